//! What was measured: as a table for people and as one JSON object for programs.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::interleave::Measure;

/// One line of the report.
#[derive(Debug)]
struct Line {
    name: String,
    value: f64,
    target: Option<f64>,
    detail: String,
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    lines: Vec<Line>,
}

impl Outcome {
    /// Adds a ratio that should be at most `target`.
    pub(crate) fn ratio(&mut self, name: impl Into<String>, measure: &Measure, target: f64) {
        let detail = format!(
            "{} / {}, best windows {:.2}",
            shown(measure.subject()),
            shown(measure.floor()),
            measure.best_ratio(),
        );
        self.add(name, measure.ratio(), Some(target), detail);
    }

    /// Adds a number.
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        value: f64,
        target: Option<f64>,
        detail: impl Into<String>,
    ) {
        self.lines.push(Line {
            name: name.into(),
            value,
            target,
            detail: detail.into(),
        });
    }

    /// The table.
    pub(crate) fn print(&self, out: &mut impl Write) -> io::Result<()> {
        let width = self.lines.iter().map(|line| line.name.len()).max();
        let width = width.unwrap_or(0);
        writeln!(
            out,
            "{:width$}  {:>9}  {:>8}       measured",
            "", "value", "at most"
        )?;
        for line in &self.lines {
            let target = line.target.map_or(String::new(), |t| format!("{t}"));
            let met = match line.target {
                Some(target) if line.value > target => "MISS",
                Some(_) => "ok",
                None => "",
            };
            writeln!(
                out,
                "{:width$}  {:>9.2}  {target:>8}  {met:4} {}",
                line.name, line.value, line.detail
            )?;
        }
        Ok(())
    }

    /// One line of JSON.
    pub(crate) fn print_json(&self, requests: usize, out: &mut impl Write) -> io::Result<()> {
        let ratios: Map<String, Value> = self
            .lines
            .iter()
            .map(|line| (line.name.clone(), json!((line.value * 1e3).round() / 1e3)))
            .collect();
        let report = json!({
            "ratios": ratios,
            "machine": Machine::this(),
            "requests": requests,
        });
        writeln!(out, "{report}")
    }
}

/// Where it was measured.
#[derive(Debug, Serialize)]
struct Machine {
    cpu: Option<String>,
    cores: usize,
    os: &'static str,
    arch: &'static str,
}

impl Machine {
    fn this() -> Self {
        let cpu = std::fs::read_to_string("/proc/cpuinfo").ok();
        let cpu = cpu.as_deref().and_then(|info| {
            let line = info.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
        Self {
            cpu,
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        }
    }
}

fn shown(nanos: f64) -> String {
    if nanos < 1_000.0 {
        format!("{nanos:.0} ns")
    } else {
        format!("{:.2} us", nanos / 1e3)
    }
}
