//! The command line of every scenario.

use std::{error::Error, io, process::ExitCode};

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser};

use crate::{
    Scene,
    fixed::VirtualClock,
    provider::{CannotOpen, Needs, ProviderArgs},
    tell, words_of,
};

#[derive(Debug, Parser)]
struct Options {
    #[command(flatten)]
    provider: ProviderArgs,
}

/// Runs a scenario: reads the command line, sets the [`Scene`], and turns the outcome into an exit
/// code: 0 when the story went as told, 1 when it did not, 2 when it did not begin because nobody can
/// follow the command line or the provider cannot be opened.
#[must_use]
pub fn run(
    name: &'static str,
    about: &'static str,
    scenario: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
) -> ExitCode {
    // What is documented of the options they share is for programmers, not for help.
    let command = Options::command().name(name).about(about).long_about(about);
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
    match play(name, &options, scenario) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the story has seen enough of it.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("error: {}", words_of(&error)));
            ExitCode::from(if error.is::<CannotOpen>() { 2 } else { 1 })
        }
    }
}

fn play(
    name: &'static str,
    options: &Options,
    scenario: impl AsyncFnOnce(&mut Scene) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime could be started")?;
    runtime.block_on(async {
        let clock = VirtualClock::new();
        let needs = Needs::of(name).clock(clock.clone());
        let opened = options.provider.open(needs).await?;
        for note in opened.notes() {
            tell(note);
        }
        scenario(&mut Scene::new(opened.provider(), clock)).await
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
