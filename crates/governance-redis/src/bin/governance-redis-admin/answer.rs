//! What a command says: as a table and lines, as JSON, and whether all is well.

use serde_json::{Map, Value};

/// A table whose columns are as wide as what is in them.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self {
            rows: vec![head.map(str::to_owned).into()],
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    fn lines(&self) -> Vec<String> {
        let columns = self.rows.first().map_or(0, Vec::len);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        // Numbers are easier to read when they end below each other.
        let is_number = |column: usize| {
            let mut cells = self.rows.iter().skip(1).filter_map(|row| row.get(column));
            cells.all(|cell| cell.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let numbers: Vec<bool> = (0..columns).map(is_number).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(widths.iter().zip(&numbers));
            let cells = cells.map(|(cell, (width, number))| match number {
                true => format!("{cell:>width$}"),
                false => format!("{cell:<width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        self.rows.iter().map(line).collect()
    }
}

pub(crate) struct Answer {
    lines: Vec<String>,
    fields: Map<String, Value>,
    pub(crate) ok: bool,
}

impl Answer {
    pub(crate) fn new(ok: bool) -> Self {
        let fields = Map::from_iter([("ok".to_owned(), Value::Bool(ok))]);
        Self {
            lines: Vec::new(),
            fields,
            ok,
        }
    }

    pub(crate) fn line(mut self, line: impl Into<String>) -> Self {
        self.lines.push(line.into());
        self
    }

    pub(crate) fn table(mut self, table: &Table) -> Self {
        self.lines.extend(table.lines());
        self
    }

    pub(crate) fn field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn text(&self) -> String {
        self.lines.join("\n")
    }

    pub(crate) fn json(self) -> String {
        Value::Object(self.fields).to_string()
    }
}
