//! Replays the history of managed access policies as governed changes.
//!
//! Every line of the input is a change of one policy. It is submitted by an owner, judged by
//! policies, voted on by a seeded staff, and executed against the version it was approved for.
//! At the end everything is read back and compared with the input.
//!
//! Exits with 0 if all of it is right, 1 if something is not, 2 if the input or the command line is
//! bad or the provider cannot be opened.

mod conduct;
mod document;
mod glob;
mod input;
mod mutation;
mod org;
mod policies;
mod replay;
mod report;
mod risk;
mod schedule;
mod verify;

use std::{
    fs::File,
    io::{self, Cursor, IsTerminal as _, Read, Write as _},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use examples::{
    provider::{CannotOpen, Needs, Opened, ProviderArgs},
    words_of,
};
use governance_core::{RequestQuery, TenantId};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::sync::mpsc;

use crate::{
    input::Changes,
    replay::Replay,
    report::{Report, Setting},
    schedule::Progress,
};

/// The input that ships with the example.
const SAMPLE: &[u8] = include_bytes!("../../../data/iam-sample.jsonl");

/// Replays the history of managed access policies as governed changes
#[derive(Debug, Parser)]
#[command(name = "iam-replay", version)]
struct Cli {
    /// One change a line, as JSON, plain or compressed by gzip. A small sample if left out
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// What the staff does depends on it: the same seed, the same decisions
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many policies are changed at the same time
    #[arg(long, default_value_t = 1, value_name = "N",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1024))]
    concurrency: usize,
    /// Longest accepted line
    #[arg(long, default_value_t = 4 << 20, value_name = "BYTES",
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1 << 30))]
    max_line_bytes: usize,
    /// Whose requests and states they are. Has to be new on a store that was there before
    #[arg(long, default_value = "iam-replay")]
    tenant: TenantId,
    /// Go on with a replay that was interrupted: the same input, seed, tenant and --key-prefix
    #[arg(long)]
    resume: bool,
    /// Print a JSON object as the last line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    provider: ProviderArgs,
}

/// The exit code for bad input, and for a provider that cannot be opened: nothing was done then, or
/// nothing behind a certain line.
const BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return complain(&format!("no runtime: {error}"), ExitCode::FAILURE),
    };
    runtime
        .block_on(run(&cli))
        .unwrap_or_else(|error| complain(&words_of(&error), ExitCode::FAILURE))
}

fn complain(what: &str, code: ExitCode) -> ExitCode {
    // Nobody is left to tell if this cannot be written.
    let _ = writeln!(io::stderr(), "iam-replay: {what}");
    code
}

async fn run(cli: &Cli) -> anyhow::Result<ExitCode> {
    let (name, opened) = open(cli);
    let (changes, bar) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let what = format!("{name}: cannot be read: {error}");
            return Ok(complain(&what, ExitCode::from(BAD_INPUT)));
        }
    };
    let opened = match open_provider(cli).await {
        Ok(opened) => opened,
        Err(error) => {
            return Ok(complain(&error.to_string(), ExitCode::from(BAD_INPUT)));
        }
    };
    for note in opened.notes() {
        complain(note, ExitCode::SUCCESS);
    }
    let provider = opened.provider();
    let mut replay = Replay::new(provider, cli.tenant.clone(), cli.seed, cli.max_line_bytes)?;
    if cli.resume {
        replay.resume().await?;
    }
    let replay = Arc::new(replay);

    let ran = carry_out(&replay, changes, &bar, cli.concurrency).await;
    // Whatever comes next is printed where the bar was.
    bar.finish_and_clear();
    let (mut progress, took) = ran?;
    if let Some(error) = progress.broken.take() {
        return Ok(complain(
            &broken(&error, &progress, &opened),
            ExitCode::FAILURE,
        ));
    }
    let began = now();
    let audit = verify::audit(replay.governor(), &progress).await?;
    let verified_in = began.elapsed();

    let setting = Setting {
        provider: cli.provider.choice().as_str(),
        partitions: opened.partitions(),
        key_prefix: opened.key_prefix().map(str::to_owned),
        seed: cli.seed,
        concurrency: cli.concurrency,
    };
    let stopped = progress.stopped.clone();
    let report = Report::new(setting, progress, &audit, took, verified_in);
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{report}")?;
    if cli.json {
        report.print_json(&mut stdout)?;
    }
    stdout.flush()?;
    for example in &audit.examples {
        complain(&format!("mismatch: {example}"), ExitCode::FAILURE);
    }
    Ok(match stopped {
        Some(bad) => complain(&format!("{name}: {bad}"), ExitCode::from(BAD_INPUT)),
        None if audit.mismatches > 0 => ExitCode::FAILURE,
        None => ExitCode::SUCCESS,
    })
}

/// Opens the provider, where nothing of another replay may be in the way.
async fn open_provider(cli: &Cli) -> Result<Opened, CannotOpen> {
    let needs = Needs::of("iam-replay").document_limit(Replay::document_limit(cli.max_line_bytes));
    let needs = if !cli.resume {
        needs.without(
            RequestQuery::in_tenant(cli.tenant.clone()),
            format!("requests of the tenant {}", cli.tenant),
            "add --resume to go on with them, name another --key-prefix or --tenant, or leave \
             --key-prefix out for a new one",
        )
    } else if cli.provider.key_prefix().is_some() {
        needs.with_what_is_there()
    } else {
        return Err(CannotOpen::because(
            "--resume needs the --key-prefix of the replay to go on with",
        ));
    };
    cli.provider.open(needs).await
}

/// What is to say when something failed on the way.
fn broken(error: &anyhow::Error, progress: &Progress, opened: &Opened) -> String {
    let done = progress.changes;
    let stay = opened
        .key_prefix()
        .map(|prefix| format!(" and stay: go on by adding --key-prefix {prefix} --resume"))
        .unwrap_or_default();
    let error = words_of(error);
    format!("{error}; {done} changes were carried out before that{stay}")
}

/// Reads and carries out at the same time. Says how long that took.
async fn carry_out(
    replay: &Arc<Replay>,
    changes: Changes,
    bar: &ProgressBar,
    concurrency: usize,
) -> anyhow::Result<(Progress, Duration)> {
    let began = now();
    let (sender, receiver) = mpsc::channel(16);
    let reader = tokio::task::spawn_blocking(move || {
        for change in changes {
            // Nobody takes any more after a change that failed.
            if sender.blocking_send(change).is_err() {
                break;
            }
        }
    });
    let shown = |done| bar.set_message(format!("{done} changes"));
    let progress = schedule::run(replay, receiver, concurrency, shown).await?;
    reader.await.context("the reader")?;
    Ok((progress, began.elapsed()))
}

/// Opens the input. The progress of reading it is shown on a terminal, nowhere else.
fn open(cli: &Cli) -> (String, io::Result<(Changes, ProgressBar)>) {
    let (name, source): (_, io::Result<(Box<dyn Read + Send>, u64)>) = match &cli.input {
        None => {
            let size = u64::try_from(SAMPLE.len()).unwrap_or(0);
            (
                "sample".to_owned(),
                Ok((Box::new(Cursor::new(SAMPLE)), size)),
            )
        }
        Some(path) => {
            let file = File::open(path).and_then(|file| {
                let size = file.metadata()?.len();
                Ok((Box::new(file) as _, size))
            });
            (path.display().to_string(), file)
        }
    };
    let opened = source.and_then(|(source, size)| {
        let bar = progress_bar(size);
        let changes = Changes::new(bar.wrap_read(source), cli.max_line_bytes)?;
        Ok((changes, bar))
    });
    (name, opened)
}

fn progress_bar(size: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {percent:>3} % {msg} {elapsed}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(size).with_style(style)
}

#[expect(
    clippy::disallowed_methods,
    reason = "measures how long the run took; nothing is decided by it"
)]
fn now() -> Instant {
    Instant::now()
}
