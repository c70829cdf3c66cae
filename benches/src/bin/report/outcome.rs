//! What was measured: as a table for people and as one JSON object for programs.

use std::{
    fmt,
    io::{self, Write},
};

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::interleave::Measure;

/// One line of the report.
#[derive(Debug)]
struct Line {
    name: String,
    value: f64,
    target: Option<Target>,
    detail: String,
}

/// What a value should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Target {
    AtMost(f64),
    AtLeast(f64),
}

impl Target {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(most) => f.pad(&format!("<= {most}")),
            Self::AtLeast(least) => f.pad(&format!(">= {least}")),
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    lines: Vec<Line>,
}

impl Outcome {
    /// Adds a ratio that should be at most `target`.
    pub(crate) fn ratio(&mut self, name: impl Into<String>, measure: &Measure, target: f64) {
        self.compare(name, measure, Some(target));
    }

    /// Adds a ratio, with what it should be at most.
    pub(crate) fn compare(
        &mut self,
        name: impl Into<String>,
        measure: &Measure,
        target: Option<f64>,
    ) {
        self.compare_with(name, measure, target, "");
    }

    /// Adds a ratio with something more to say about it.
    pub(crate) fn compare_with(
        &mut self,
        name: impl Into<String>,
        measure: &Measure,
        target: Option<f64>,
        more: &str,
    ) {
        let detail = format!(
            "{} / {}, best windows {:.2}{more}",
            shown(measure.subject()),
            shown(measure.floor()),
            measure.best_ratio(),
        );
        self.add(name, measure.ratio(), target, detail);
    }

    /// Adds a number that should be at most `target`.
    pub(crate) fn add(
        &mut self,
        name: impl Into<String>,
        value: f64,
        target: Option<f64>,
        detail: impl Into<String>,
    ) {
        self.judge(name, value, target.map(Target::AtMost), detail);
    }

    /// Adds a number with what it should be.
    pub(crate) fn judge(
        &mut self,
        name: impl Into<String>,
        value: f64,
        target: Option<Target>,
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
            "", "value", "target"
        )?;
        for line in &self.lines {
            let target = line.target.map_or(String::new(), |t| format!("{t}"));
            let met = match line.target {
                Some(target) if target.is_met(line.value) => "ok",
                Some(_) => "MISS",
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
