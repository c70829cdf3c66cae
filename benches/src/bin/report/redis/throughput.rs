//! What 64 tasks get done: changes of requests, `SET`s, and watched transactions.

use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use governance_core::RequestStore as _;

use super::{
    origin::Watched,
    place::Place,
    stock::Stock,
    update::{Change, Changes, set, stored_bytes},
};
use crate::{
    interleave::{Measure, now},
    outcome::{Outcome, Target},
};

const TASKS: usize = 64;
/// Changes of each task in a round.
const EACH: usize = 24;
const ROUNDS: usize = 15;

pub(crate) async fn measure(place: &Place, stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let mut changes = Changes::new(stock, 1 << 33)?;
    let bytes: Arc<[u8]> = stored_bytes(stock, &mut changes).await?.into();
    let mut watched = Vec::new();
    for _ in 0..TASKS {
        watched.push(Watched::connect(place).await?);
    }
    let (mut updates, mut sets, mut transactions) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..=ROUNDS {
        let ready = changes.ready(&stock.store, TASKS * EACH).await?;
        updates.push(update_all(stock, ready).await?);
        sets.push(set_all(place, stock, &bytes).await?);
        let ready = changes.make(TASKS * EACH)?;
        for (i, (request, _)) in ready.iter().enumerate() {
            watched[i % TASKS].create(request).await?;
        }
        let ready = ready.into_iter().map(|(_, change)| change).collect();
        transactions.push(watch_all(&mut watched, ready).await?);
    }
    // The first round warms up.
    let mut report = |name: &str, floor: Vec<f64>, target: f64| {
        let measure = Measure::of_windows(updates[1..].to_vec(), floor[1..].to_vec());
        outcome.judge(
            name,
            1.0 / measure.ratio(),
            Some(Target::AtLeast(target)),
            format!(
                "{:.0} / {:.0} a second",
                1e9 / measure.subject(),
                1e9 / measure.floor()
            ),
        );
    };
    report("redis.throughput64_over_set", sets, 0.5);
    report("redis.throughput64_over_watch", transactions, 1.3);
    Ok(())
}

/// Nanoseconds per change.
async fn update_all(stock: &Stock, mut ready: Vec<Change>) -> Result<f64> {
    let start = now();
    let tasks = (0..TASKS).map(|_| {
        let mine = ready.split_off(ready.len().saturating_sub(EACH));
        let store = stock.store.clone();
        tokio::spawn(async move {
            for (request, expected) in mine {
                store.try_store(request, expected).await?;
            }
            anyhow::Ok(())
        })
    });
    for done in try_join_all(tasks).await? {
        done?;
    }
    Ok(start.elapsed().as_nanos() as f64 / (TASKS * EACH) as f64)
}

async fn set_all(place: &Place, stock: &Stock, bytes: &Arc<[u8]>) -> Result<f64> {
    let start = now();
    let tasks = (0..TASKS).map(|task| {
        let (client, bytes) = (stock.client.clone(), Arc::clone(bytes));
        let key = place.prefix(&format!("set:{task}"));
        tokio::spawn(async move {
            for i in 0..EACH {
                set(&client, &format!("{key}:{i}"), &bytes).await?;
            }
            anyhow::Ok(())
        })
    });
    for done in try_join_all(tasks).await? {
        done?;
    }
    Ok(start.elapsed().as_nanos() as f64 / (TASKS * EACH) as f64)
}

async fn watch_all(watched: &mut Vec<Watched>, mut ready: Vec<Change>) -> Result<f64> {
    let start = now();
    let tasks = watched.drain(..).map(|mut watched| {
        let mine = ready.split_off(ready.len().saturating_sub(EACH));
        tokio::spawn(async move {
            for (request, _) in mine {
                watched.update(&request).await?;
            }
            anyhow::Ok(watched)
        })
    });
    let done = try_join_all(tasks).await?;
    let nanos = start.elapsed().as_nanos() as f64;
    for task in done {
        watched.push(task?);
    }
    Ok(nanos / (TASKS * EACH) as f64)
}
