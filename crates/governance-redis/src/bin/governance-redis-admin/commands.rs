//! What each command does and says.

use std::{collections::BTreeMap, io::Write as _, time::Duration};

use governance_core::{Cursor, Status};
use governance_redis::{FindingKind, MigrationError, MigrationStep, RedisStore, Retention};
use redis_client::Client;
use serde_json::{Map, Value, json};

use crate::{
    answer::{Answer, Table},
    cli::{Cli, Command, Purge, Store, final_statuses},
    connect,
    failure::Failure,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Requests of one step of a purge.
const STEP: u64 = 100;

pub(crate) async fn run(cli: &Cli) -> Result<Answer, Failure> {
    let client = connect::client(&cli.store).await?;
    let answer = Box::pin(command(cli, &client)).await;
    // What was done is done, whether or not the connections end well.
    let _ = client.close().await;
    answer
}

async fn command(cli: &Cli, client: &Client) -> Result<Answer, Failure> {
    if let Command::MigratePartitions { from, to, undo } = cli.command {
        return migrate(client, &cli.store, from, to, undo).await;
    }
    let retention = match &cli.command {
        Command::Purge(options) => retention(options),
        _ => Retention::default(),
    };
    let store = connect::open(client, &cli.store, retention).await?;
    match &cli.command {
        Command::Verify => verify(&store).await,
        Command::Rebuild => rebuild(&store).await,
        Command::Stats => stats(&store).await,
        Command::Purge(options) => purge(&store, options).await,
        Command::MigratePartitions { .. } => Err(Failure::new("admin.failed", "not here")),
    }
}

async fn verify(store: &RedisStore) -> Result<Answer, Failure> {
    let report = store.verify().await?;
    let mut table = Table::new(["KIND", "PARTITION", "SUBJECT"]);
    let mut findings = Vec::new();
    let mut kinds: BTreeMap<FindingKind, u64> = BTreeMap::new();
    for finding in report.findings() {
        *kinds.entry(finding.kind()).or_default() += 1;
        table.row([
            finding.kind().as_str().to_owned(),
            finding.partition().to_string(),
            finding.subject().to_owned(),
        ]);
        findings.push(json!({
            "kind": finding.kind().as_str(),
            "partition": finding.partition(),
            "subject": finding.subject(),
        }));
    }
    let counted = format!(
        "{} requests and {} index entries compared",
        report.requests(),
        report.entries()
    );
    let mut answer = Answer::new(report.is_clean());
    if report.is_clean() {
        answer = answer.line(format!("{counted}, nothing is wrong"));
    } else {
        answer = answer
            .table(&table)
            .line(format!("{counted}, {} findings", report.count()));
        let listed = report.findings().len() as u64;
        if listed < report.count() {
            answer = answer.line(format!("only the first {listed} are listed"));
        }
        let index = [
            FindingKind::Missing,
            FindingKind::Stray,
            FindingKind::Outdated,
        ];
        if index.iter().any(|kind| kinds.contains_key(kind)) {
            answer = answer.line("run `rebuild` to repair what is missing, stray or outdated");
        }
        if kinds.contains_key(&FindingKind::Unlisted) {
            answer = answer.line("what is unlisted is there but not found; restore a backup");
        }
        if kinds.contains_key(&FindingKind::Foreign) {
            answer = answer.line(
                "what is foreign was written by something else; give that another key prefix",
            );
        }
    }
    Ok(answer
        .field("requests", report.requests())
        .field("entries", report.entries())
        .field("count", report.count())
        .field("findings", findings))
}

async fn rebuild(store: &RedisStore) -> Result<Answer, Failure> {
    let report = store.rebuild().await?;
    let (requests, changed) = (report.requests(), report.changed());
    let unreadable = report.unreadable();
    Ok(Answer::new(unreadable == 0)
        .line(format!(
            "{requests} requests indexed, {changed} changed, {unreadable} unreadable"
        ))
        .field("requests", requests)
        .field("changed", changed)
        .field("unreadable", unreadable))
}

async fn stats(store: &RedisStore) -> Result<Answer, Failure> {
    let stats = store.stats().await?;
    let mut table = Table::new([
        "PARTITION",
        "REQUESTS",
        "ORDINALS",
        "WRITES",
        "DUE",
        "EVENTS",
        "GENERATION",
    ]);
    let mut rows = Vec::new();
    for p in stats.partitions() {
        table.row([
            p.partition.to_string(),
            p.requests.to_string(),
            p.ordinals.to_string(),
            p.writes.to_string(),
            p.due.to_string(),
            p.events.to_string(),
            p.generation.to_string(),
        ]);
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
    Ok(Answer::new(true)
        .table(&table)
        .line(format!("{} requests", stats.requests()))
        .field("requests", stats.requests())
        .field("partitions", rows))
}

fn retention(options: &Purge) -> Retention {
    let days = |days: u32| DAY * days;
    let mut retention = Retention::default();
    for (status, age) in &options.keep {
        retention = retention.keep(*status, days(*age));
    }
    if let Some(age) = options.older_than_days {
        let all: Vec<Status> = if options.statuses.is_empty() {
            final_statuses().collect()
        } else {
            options.statuses.clone()
        };
        for status in all {
            retention = retention.keep(status, days(age));
        }
    }
    retention
}

async fn purge(store: &RedisStore, options: &Purge) -> Result<Answer, Failure> {
    let mut purged: BTreeMap<Status, u64> = BTreeMap::new();
    let (mut total, mut unreadable) = (0_u64, 0_u64);
    let mut after: Option<Cursor> = None;
    let more = loop {
        let step = (options.limit - total).min(STEP);
        let Ok(step @ 1..) = u16::try_from(step) else {
            break true;
        };
        let report = if options.dry_run {
            store.preview_purge(after.as_ref(), step).await?
        } else {
            store.purge_finished(after.as_ref(), step).await?
        };
        for (status, count) in report.by_status() {
            *purged.entry(*status).or_default() += count;
        }
        total += report.purged();
        unreadable += report.unreadable();
        after = report.next().cloned();
        if after.is_none() {
            break false;
        }
    };
    let done = if options.dry_run {
        "would be purged"
    } else {
        "purged"
    };
    let mut answer = Answer::new(unreadable == 0);
    if total > 0 {
        let mut table = Table::new(["STATUS", "REQUESTS"]);
        for (status, count) in &purged {
            table.row([status.to_string(), count.to_string()]);
        }
        answer = answer.table(&table);
    }
    let rest = if more { "; there may be more" } else { "" };
    answer = answer.line(format!("{total} requests {done}{rest}"));
    if unreadable > 0 {
        answer = answer.line(format!(
            "{unreadable} cannot be read and stay; `verify` says why"
        ));
    }
    let by_status: Map<String, Value> = purged
        .iter()
        .map(|(status, count)| (status.to_string(), Value::from(*count)))
        .collect();
    Ok(answer
        .field("dry_run", options.dry_run)
        .field("purged", total)
        .field("by_status", by_status)
        .field("unreadable", unreadable)
        .field("more", more))
}

async fn migrate(
    client: &Client,
    store: &Store,
    from: u16,
    to: u16,
    undo: bool,
) -> Result<Answer, Failure> {
    if store.partitions.is_some_and(|given| given != from) {
        let text = "--partitions and --from say different things about the store";
        return Err(Failure::new("admin.contradiction", text).hint("leave --partitions out"));
    }
    let options = connect::options(store).partitions(from);
    if undo {
        RedisStore::undo_migration(client.clone(), options, to).await?;
        return Ok(Answer::new(true)
            .line(format!(
                "taken back; the store has {from} partitions and can be written to"
            ))
            .field("partitions", from)
            .field("undone", true));
    }
    // On the other channel, so what the program answers can be read by another.
    let tell = |step: MigrationStep| {
        let text = match step {
            MigrationStep::Freezing => "locking writers out".to_owned(),
            MigrationStep::Filling { partition } => format!("filling {} of {to}", partition + 1),
            MigrationStep::Comparing { partition } => {
                format!("comparing {} of {to}", partition + 1)
            }
            MigrationStep::Switching => "taking the new partitions into use".to_owned(),
            MigrationStep::Removing => "removing what is not needed any more".to_owned(),
            _ => return,
        };
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let run = RedisStore::migrate_partitions(client.clone(), options.clone(), to, tell);
    let report = match Box::pin(run).await {
        Ok(report) => report,
        Err(error) => {
            match error {
                // The first says what to do; with the second somebody else is at it.
                MigrationError::Differs { .. } | MigrationError::TakenOver => {
                    return Err(error.into());
                }
                MigrationError::Undone { .. } => {
                    return Err(Failure::from(error).and("run it with --undo"));
                }
                _ => {}
            }
            let failure = Failure::from(error);
            // What it was doing is on record from its first step on.
            let layout = RedisStore::layout(client, &options).await;
            let is_locked = layout
                .is_ok_and(|layout| layout.is_some_and(|layout| layout.migrating_to == Some(to)));
            return Err(match is_locked {
                true => {
                    failure.and("nothing can be written until this is run again, or with --undo")
                }
                false => failure,
            });
        }
    };
    let mut answer = Answer::new(true)
        .field("partitions", to)
        .field("undone", false)
        .field("already", report.already);
    if report.already {
        return Ok(answer.line(format!("the store has {to} partitions")));
    }
    let mut table = Table::new(["MOVED", "COUNT"]);
    for (name, count) in [
        ("requests", report.requests),
        ("writes", report.writes),
        ("states", report.states),
        ("keys", report.keys),
        ("events", report.events),
    ] {
        table.row([name.to_owned(), count.to_string()]);
        answer = answer.field(name, count);
    }
    Ok(answer.table(&table).line(format!(
        "the store has {to} partitions; open it with that number from now on"
    )))
}
