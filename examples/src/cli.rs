//! The command line of every scenario.

use std::{error::Error, io, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use crate::{Scene, fixed::VirtualClock, provider::ProviderArgs};

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    provider: ProviderArgs,
}

/// Runs a scenario: reads the command line, sets the [`Scene`], and turns the outcome into an exit
/// code: 0 when the story went as told, 1 when it did not, 2 for a command line nobody can follow.
#[must_use]
pub fn run(
    name: &'static str,
    about: &'static str,
    scenario: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
) -> ExitCode {
    let command = Options::command().name(name).about(about);
    let options = match command
        .try_get_matches()
        .and_then(|matches| Options::from_arg_matches(&matches))
    {
        Ok(options) => options,
        Err(error) => {
            // Help and version are errors to clap; printing them can only fail on a closed pipe.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match play(&options, scenario) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the story has seen enough of it.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn play(
    options: &Options,
    scenario: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()
        .context("no runtime could be started")?;
    runtime.block_on(async {
        let clock = VirtualClock::new();
        let store = options.provider.open_on(clock.clone()).await?;
        scenario(&mut Scene::new(store, clock)).await
    })
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |cause: &(dyn Error + 'static)| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
    };
    error.chain().any(closed)
}

#[expect(clippy::print_stderr, reason = "this is where a program reports")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
