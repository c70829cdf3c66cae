//! Measures the ratios this project promises, both arms of each in one run, and reports them.
//!
//! A ratio compares what the library does with the least that has to be done anyway, or with
//! itself at another size, on the same machine at the same time. Absolute times tell more about
//! the machine than about the library; they are shown beside the ratios and promised nowhere.

mod interleave;
mod memory;
mod outcome;
mod redis;
mod state;

use std::io::{self, Write as _};

use clap::{Parser, ValueEnum};

use crate::outcome::Outcome;

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    /// The provider in memory, and the model through it.
    Memory,
    /// The provider in Redis.
    Redis,
    /// What applications keep beside: cache, sessions, rate limits, locks, processes, events.
    State,
}

impl Subject {
    fn measure(
        self,
        requests: usize,
        redis: &redis::Choice,
        state: &state::Choice,
        outcome: &mut Outcome,
    ) -> anyhow::Result<()> {
        match self {
            Self::Memory => memory::measure(requests, outcome),
            Self::Redis => redis::measure(requests, redis, outcome),
            Self::State => state::measure(redis.url(), state, outcome),
        }
    }
}

/// Measures the ratios this project promises and prints them as a table.
#[derive(Debug, Parser)]
struct Arguments {
    /// Measure this and nothing else.
    #[arg(long)]
    only: Option<Subject>,
    /// How many pending requests the large store has.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..=50_000_000))]
    requests: u64,
    #[command(flatten)]
    redis: redis::Choice,
    #[command(flatten)]
    state: state::Choice,
    /// Print one JSON object as the last line.
    #[arg(long)]
    json: bool,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let requests = usize::try_from(arguments.requests)?;
    let subjects = match &arguments.only {
        Some(only) => std::slice::from_ref(only),
        None => Subject::value_variants(),
    };
    let mut outcome = Outcome::default();
    for subject in subjects {
        subject.measure(requests, &arguments.redis, &arguments.state, &mut outcome)?;
    }
    let mut out = io::stdout().lock();
    outcome.print(&mut out)?;
    if arguments.json {
        outcome.print_json(requests, &mut out)?;
    }
    out.flush()?;
    Ok(())
}
