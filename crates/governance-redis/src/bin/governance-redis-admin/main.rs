//! Checks, repairs, counts, purges and moves a store. Ends with 0 when all is well, with 1 when
//! something is wrong with the store, and with 2 when that could not be told.

mod answer;
mod cli;
mod commands;
mod connect;
mod failure;

use std::{io::Write as _, process::ExitCode};

use clap::Parser as _;

use crate::{cli::Cli, failure::Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(commands::run(&cli)),
        Err(error) => Err(Failure::of(&error)),
    };
    // A reader that has gone does not want to be told.
    match result {
        Ok(answer) => {
            let ok = answer.ok;
            let text = if cli.store.json {
                answer.json()
            } else {
                answer.text()
            };
            let _ = writeln!(std::io::stdout(), "{text}");
            if ok {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
        Err(failure) => {
            if cli.store.json {
                let _ = writeln!(std::io::stdout(), "{}", failure.json());
            }
            let _ = writeln!(std::io::stderr(), "error: {failure}");
            ExitCode::from(failure.exit_code())
        }
    }
}
