//! What is printed at the end.

use std::{
    fmt,
    io::{self, Write},
    time::Duration,
};

use serde::Serialize;

use crate::{conduct::Refusals, schedule::Progress, verify::Audit};

/// What the run was asked to do.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Setting {
    pub(crate) provider: &'static str,
    /// Of a provider that has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) partitions: Option<u16>,
    /// Of a provider that has keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) key_prefix: Option<String>,
    pub(crate) seed: u64,
    pub(crate) concurrency: usize,
}

/// Everything there is to say about a run. The names of the fields are what programs read.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    changes: u64,
    submitted: u64,
    approved_automatically: u64,
    approved_by_people: u64,
    rejected: u64,
    refused_votes: u64,
    refused_votes_by_code: Refusals,
    executed: u64,
    stale: u64,
    decisions: u64,
    states: u64,
    mismatches: u64,
    histories_verified: u64,
    requests_by_risk: std::collections::BTreeMap<&'static str, u64>,
    seconds: f64,
    changes_per_second: f64,
    verify_seconds: f64,
    decisions_digest: String,
    #[serde(flatten)]
    setting: Setting,
    stopped_at_line: Option<u64>,
    stopped_because: Option<String>,
}

impl Report {
    pub(crate) fn new(
        setting: Setting,
        progress: Progress,
        audit: &Audit,
        took: Duration,
        verified_in: Duration,
    ) -> Self {
        let seconds = took.as_secs_f64();
        let stopped = progress.stopped;
        Self {
            changes: progress.changes,
            submitted: audit.submitted,
            approved_automatically: audit.approved_automatically,
            approved_by_people: audit.approved_by_people,
            rejected: audit.rejected,
            refused_votes: progress.refusals.values().sum(),
            refused_votes_by_code: progress.refusals,
            executed: audit.executed,
            stale: audit.stale,
            decisions: audit.decisions,
            states: audit.states,
            mismatches: audit.mismatches,
            histories_verified: audit.histories_verified,
            requests_by_risk: audit.risks.clone(),
            seconds,
            changes_per_second: if seconds > 0.0 {
                as_f64(progress.changes) / seconds
            } else {
                0.0
            },
            verify_seconds: verified_in.as_secs_f64(),
            decisions_digest: audit.decisions_digest().to_string(),
            setting,
            stopped_at_line: stopped.as_ref().map(|bad| bad.line),
            stopped_because: stopped.map(|bad| bad.reason),
        }
    }

    /// Prints it as one JSON object on one line.
    pub(crate) fn print_json(&self, to: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *to, self)?;
        writeln!(to)
    }

    fn rows(&self) -> Vec<(String, String)> {
        let row = |name: &str, value: u64| (name.to_owned(), value.to_string());
        let mut rows = vec![
            row("changes", self.changes),
            row("submitted", self.submitted),
        ];
        for (risk, count) in &self.requests_by_risk {
            rows.push(row(&format!("  of {risk} risk"), *count));
        }
        rows.extend([
            row("approved automatically", self.approved_automatically),
            row("approved by people", self.approved_by_people),
            row("rejected", self.rejected),
            row("refused votes", self.refused_votes),
        ]);
        for (code, count) in &self.refused_votes_by_code {
            rows.push(row(&format!("  {code}"), *count));
        }
        rows.extend([
            row("executed", self.executed),
            row("stale", self.stale),
            row("decisions", self.decisions),
            row("histories verified", self.histories_verified),
            row("states", self.states),
            row("mismatches", self.mismatches),
            ("seconds".to_owned(), format!("{:.3}", self.seconds)),
            (
                "changes per second".to_owned(),
                format!("{:.0}", self.changes_per_second),
            ),
            (
                "seconds to verify".to_owned(),
                format!("{:.3}", self.verify_seconds),
            ),
        ]);
        rows
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setting {
            provider,
            partitions,
            seed,
            concurrency,
            ..
        } = &self.setting;
        let parts = match partitions {
            None => String::new(),
            Some(1) => " in 1 partition".to_owned(),
            Some(many) => format!(" in {many} partitions"),
        };
        writeln!(
            f,
            "iam-replay on {provider}{parts}, seed {seed}, {concurrency} at a time"
        )?;
        if let Some(line) = self.stopped_at_line {
            writeln!(
                f,
                "stopped at line {line}; what is before it was carried out"
            )?;
        }
        let rows = self.rows();
        let names = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        let values = rows.iter().map(|(_, value)| value.len()).max().unwrap_or(0);
        for (name, value) in rows {
            writeln!(f, "  {name:names$}  {value:>values$}")?;
        }
        write!(f, "  decisions digest  {}", self.decisions_digest)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate for people needs no more than 52 bits"
)]
fn as_f64(count: u64) -> f64 {
    count as f64
}
