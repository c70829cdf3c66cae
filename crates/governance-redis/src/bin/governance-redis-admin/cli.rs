//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use governance_core::Status;

/// Checks, repairs, counts, purges and moves a governance store in Redis.
///
/// Everything but `migrate-partitions` works while the store is in use.
#[derive(Parser)]
#[command(
    name = "governance-redis-admin",
    version,
    after_help = "\
The password comes from REDIS_PASSWORD, REDIS_PASSWORD_FILE or --password-file, and is never shown.
All other REDIS_* variables of the library count, too; options win over them.

Exit codes: 0 all is well; 1 something is wrong with the store; 2 it could not be told, because an
argument is wrong, the server cannot be reached or refuses."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) store: Store,
}

/// Which store, and how to speak.
#[derive(Args)]
#[command(next_help_heading = "Store")]
pub(crate) struct Store {
    /// Where the server is: `redis://host:port` or `rediss://host:port`. Several nodes of a
    /// cluster or several sentinels with commas. [env: `REDIS_ADDR`]
    #[arg(long, global = true, value_name = "URL[,URL..]")]
    pub(crate) url: Option<String>,
    /// The addresses are nodes of a cluster.
    #[arg(long, global = true, conflicts_with = "sentinel_master")]
    pub(crate) cluster: bool,
    /// The addresses are sentinels that watch this master.
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) sentinel_master: Option<String>,
    /// The user, if it is not the default one. [env: `REDIS_USERNAME`]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) username: Option<String>,
    /// A file with the password. [env: `REDIS_PASSWORD_FILE`]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// What every key of the store starts with.
    #[arg(
        long,
        global = true,
        value_name = "PREFIX",
        default_value = "governance"
    )]
    pub(crate) key_prefix: String,
    /// Into how many partitions the store is cut. Not needed: the store tells. Given, it has to
    /// be right.
    #[arg(long, global = true, value_name = "N")]
    pub(crate) partitions: Option<u16>,
    /// Prints one JSON object instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Compares documents and indexes, in both directions. Changes nothing.
    Verify,
    /// Builds the index anew beside the old one, then takes it into use. Repairs what `verify`
    /// calls missing, stray or outdated.
    Rebuild,
    /// Counts what there is in every partition.
    Stats,
    /// Removes requests that have been final for long, with everything they are found by.
    Purge(Purge),
    /// Moves the store to another number of partitions. Nothing can be written meanwhile; stop the
    /// processes that use the store, or let them wait.
    ///
    /// Broken off, it goes on where it was when it is run again with the same numbers. Old keys
    /// are removed after everything was copied, compared and taken into use.
    MigratePartitions {
        /// Partitions the store has.
        #[arg(long, value_name = "N")]
        from: u16,
        /// Partitions it is to have: a power of two up to 256.
        #[arg(long, value_name = "M")]
        to: u16,
        /// Takes back a migration that was begun and not finished.
        #[arg(long)]
        undo: bool,
    },
}

#[derive(Args)]
pub(crate) struct Purge {
    /// A final status; several times for several. All of them by default.
    #[arg(long = "status", value_name = "STATUS", value_parser = status, requires = "older_than_days")]
    pub(crate) statuses: Vec<Status>,
    /// Days since the write that ended the request.
    #[arg(long, value_name = "DAYS", required_unless_present = "keep")]
    pub(crate) older_than_days: Option<u32>,
    /// How many days requests of a status are kept, as `canceled=30`; several times for several.
    /// A status that is not named is kept for ever.
    #[arg(long, value_name = "STATUS=DAYS", value_parser = keep, conflicts_with = "older_than_days")]
    pub(crate) keep: Vec<(Status, u32)>,
    /// Most requests to remove.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) limit: u64,
    /// Counts what would go, and removes nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

pub(crate) fn final_statuses() -> impl Iterator<Item = Status> {
    Status::ALL
        .into_iter()
        .filter(|status| status.is_terminal())
}

fn status(text: &str) -> Result<Status, String> {
    final_statuses()
        .find(|status| status.as_str() == text)
        .ok_or_else(|| {
            let all: Vec<&str> = final_statuses().map(Status::as_str).collect();
            format!("not a final status; those are {}", all.join(", "))
        })
}

fn keep(text: &str) -> Result<(Status, u32), String> {
    let (name, days) = text.split_once('=').ok_or("not STATUS=DAYS")?;
    let days = days.parse().map_err(|_| "not a number of days")?;
    Ok((status(name)?, days))
}
