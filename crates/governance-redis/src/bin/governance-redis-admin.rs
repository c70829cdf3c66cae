//! Checks, repairs, counts and purges a store. Ends with 1 when something is wrong.

use std::{io::Write as _, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use governance_core::{Clock as _, Status, Timestamp};
use governance_redis::{Durability, RedisStore, RedisStoreOptions, Strictness};
use redis_client::{Client, Config};
use serde_json::{Value, json};

/// Work on a governance store in Redis.
#[derive(Parser)]
#[command(name = "governance-redis-admin", version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    store: Store,
}

#[derive(Args)]
struct Store {
    /// Where the server is, several nodes of a cluster or several sentinels apart by commas.
    /// Without it the REDIS_* variables tell.
    #[arg(long, global = true)]
    url: Option<String>,
    /// The addresses are nodes of a cluster.
    #[arg(long, global = true)]
    cluster: bool,
    /// The addresses are sentinels that watch this master.
    #[arg(long, global = true, value_name = "NAME")]
    sentinel_master: Option<String>,
    /// What every key of the store starts with.
    #[arg(long, global = true, default_value = "governance")]
    key_prefix: String,
    /// Into how many partitions the store is cut.
    #[arg(long, global = true, default_value_t = 1)]
    partitions: u16,
    /// Prints JSON.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Compares documents and indexes.
    Verify,
    /// Builds the index anew while the store is in use.
    Rebuild,
    /// Counts what there is.
    Stats,
    /// Removes requests that have been final for long.
    Purge {
        /// A final status; may be given several times. All of them by default.
        #[arg(long = "status", value_parser = status)]
        statuses: Vec<Status>,
        /// Days since the request was last written.
        #[arg(long, value_name = "DAYS")]
        older_than_days: u32,
        /// Most requests to remove.
        #[arg(long, default_value_t = 10_000)]
        limit: u64,
    },
}

fn status(text: &str) -> Result<Status, String> {
    let mut all = Status::ALL
        .into_iter()
        .filter(|status| status.is_terminal());
    all.find(|status| status.as_str() == text)
        .ok_or_else(|| format!("`{text}` is not a final status"))
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What a command says: as text, as JSON, and whether all is well.
struct Answer {
    lines: Vec<String>,
    json: Value,
    ok: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(&cli)),
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(answer) => {
            let text = if cli.store.json {
                answer.json.to_string()
            } else {
                answer.lines.join("\n")
            };
            // A reader that has gone does not want to be told.
            let _ = writeln!(std::io::stdout(), "{text}");
            if answer.ok {
                ExitCode::SUCCESS
            } else {
                ExitCode::from(1)
            }
        }
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            let _ = writeln!(std::io::stderr(), "error: {text}");
            ExitCode::from(2)
        }
    }
}

async fn open(options: &Store) -> Result<RedisStore, Failure> {
    let client = match &options.url {
        None => Client::from_env().await?,
        Some(url) => {
            let mut config = Config::builder();
            for address in url.split(',') {
                config = config.address(address);
            }
            if options.cluster {
                config = config.cluster();
            }
            if let Some(master) = &options.sentinel_master {
                config = config.sentinel_master(master);
            }
            Client::connect(config.build()?).await?
        }
    };
    let options = RedisStoreOptions::default()
        .key_prefix(&options.key_prefix)
        .partitions(options.partitions)
        .durability(Durability::Memory, Strictness::Warn);
    Ok(RedisStore::connect(client, options).await?)
}

async fn run(cli: &Cli) -> Result<Answer, Failure> {
    let store = open(&cli.store).await?;
    let answer = match &cli.command {
        Command::Verify => verify(&store).await,
        Command::Rebuild => rebuild(&store).await,
        Command::Stats => stats(&store).await,
        Command::Purge {
            statuses,
            older_than_days,
            limit,
        } => purge(&store, statuses, *older_than_days, *limit).await,
    };
    let closed = store.client().close().await;
    let answer = answer?;
    closed?;
    Ok(answer)
}

async fn verify(store: &RedisStore) -> Result<Answer, Failure> {
    let report = store.verify().await?;
    let mut lines: Vec<String> = report.findings().iter().map(ToString::to_string).collect();
    lines.push(format!(
        "{} requests, {} index entries, {} findings",
        report.requests(),
        report.entries(),
        report.count()
    ));
    let findings: Vec<Value> = report
        .findings()
        .iter()
        .map(|finding| {
            json!({
                "kind": finding.kind().as_str(),
                "partition": finding.partition(),
                "subject": finding.subject(),
            })
        })
        .collect();
    Ok(Answer {
        lines,
        json: json!({
            "requests": report.requests(),
            "entries": report.entries(),
            "count": report.count(),
            "findings": findings,
        }),
        ok: report.is_clean(),
    })
}

async fn rebuild(store: &RedisStore) -> Result<Answer, Failure> {
    let report = store.rebuild().await?;
    let (requests, changed, unreadable) =
        (report.requests(), report.changed(), report.unreadable());
    Ok(Answer {
        lines: vec![format!(
            "{requests} requests indexed, {changed} changed, {unreadable} unreadable"
        )],
        json: json!({"requests": requests, "changed": changed, "unreadable": unreadable}),
        ok: unreadable == 0,
    })
}

async fn stats(store: &RedisStore) -> Result<Answer, Failure> {
    let stats = store.stats().await?;
    let mut lines = vec![format!(
        "{:>9} {:>10} {:>10} {:>10} {:>8} {:>8} {:>10}",
        "partition", "requests", "ordinals", "writes", "due", "events", "generation"
    )];
    let mut rows = Vec::new();
    for p in stats.partitions() {
        lines.push(format!(
            "{:>9} {:>10} {:>10} {:>10} {:>8} {:>8} {:>10}",
            p.partition, p.requests, p.ordinals, p.writes, p.due, p.events, p.generation
        ));
        rows.push(json!({
            "partition": p.partition,
            "requests": p.requests,
            "ordinals": p.ordinals,
            "writes": p.writes,
            "due": p.due,
            "events": p.events,
            "generation": p.generation,
        }));
    }
    lines.push(format!("{} requests", stats.requests()));
    Ok(Answer {
        lines,
        json: json!({"requests": stats.requests(), "partitions": rows}),
        ok: true,
    })
}

async fn purge(
    store: &RedisStore,
    statuses: &[Status],
    days: u32,
    limit: u64,
) -> Result<Answer, Failure> {
    let age = Duration::from_secs(u64::from(days) * 24 * 60 * 60);
    let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let before = Timestamp::from_micros(store.now().await?.as_micros().saturating_sub(age));
    let all: Vec<Status> = Status::ALL
        .into_iter()
        .filter(|s| s.is_terminal())
        .collect();
    let statuses = if statuses.is_empty() {
        &all[..]
    } else {
        statuses
    };
    let mut purged = 0;
    let more = loop {
        let step = (limit - purged).min(100);
        let Ok(step @ 1..) = u16::try_from(step) else {
            break true;
        };
        let report = store.purge_finished(statuses, before, step).await?;
        purged += report.purged();
        if !report.more() {
            break false;
        }
    };
    let rest = if more { "; more is left" } else { "" };
    Ok(Answer {
        lines: vec![format!("{purged} requests purged{rest}")],
        json: json!({"purged": purged, "more": more}),
        ok: true,
    })
}
