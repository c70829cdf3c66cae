//! What 64 tasks get done: changes of requests, `SET`s, watched transactions, and what bounds them.

use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;
use governance_core::RequestStore as _;

use super::{
    bounds,
    origin::Watched,
    place::Place,
    stock::Stock,
    update::{Change, Changes, set, stored_bytes},
};
use crate::{
    interleave::{Measure, now, quantile},
    outcome::{Outcome, Target},
};

const TASKS: usize = 64;
/// Changes of each task in a round.
pub(super) const EACH: usize = 24;
const ROUNDS: usize = 15;

pub(crate) async fn measure(place: &Place, stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let mut changes = Changes::new(stock, 1 << 33)?;
    let bytes: Arc<[u8]> = stored_bytes(stock, &mut changes).await?.into();
    let mut watched = Vec::new();
    for _ in 0..TASKS {
        watched.push(Watched::connect(place).await?);
    }
    let (mut updates, mut sets, mut transactions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut scripts, mut plain) = (Vec::new(), Vec::new());
    let mut server = ServerTimes::default();
    for _ in 0..=ROUNDS {
        let ready = changes.ready(&stock.store, TASKS * EACH).await?;
        let update = async || update_all(stock, ready).await;
        updates.push(server.updates.of(stock, "evalsha", update).await?);
        let set = async || set_all(place, stock, &bytes).await;
        sets.push(server.sets.of(stock, "set", set).await?);
        let script = async || bounds::script_all(place, stock, &bytes).await;
        scripts.push(server.scripts.of(stock, "evalsha", script).await?);
        plain.push(bounds::transaction_all(place, stock, &bytes).await?);
        let ready = changes.make(TASKS * EACH)?;
        for (i, (request, _)) in ready.iter().enumerate() {
            watched[i % TASKS].create(request).await?;
        }
        let ready = ready.into_iter().map(|(_, change)| change).collect();
        transactions.push(watch_all(&mut watched, ready).await?);
    }
    let mut report = |name: &str, subject: &[f64], floor: &[f64], target: Option<f64>| {
        // The first round warms up.
        let measure = Measure::of_windows(subject[1..].to_vec(), floor[1..].to_vec());
        outcome.judge(
            name,
            1.0 / measure.ratio(),
            target.map(Target::AtLeast),
            format!(
                "{:.0} / {:.0} a second",
                1e9 / measure.subject(),
                1e9 / measure.floor()
            ),
        );
    };
    report("redis.throughput64_over_set", &updates, &sets, None);
    report(
        "redis.throughput64_over_watch",
        &updates,
        &transactions,
        Some(1.3),
    );
    report(
        "redis.throughput64_over_script",
        &updates,
        &scripts,
        Some(0.15),
    );
    report("redis.throughput64.script_over_set", &scripts, &sets, None);
    report(
        "redis.throughput64.transaction_over_set",
        &plain,
        &sets,
        None,
    );
    server.report(bytes.len(), outcome);
    Ok(())
}

/// What the server says a command takes it, in microseconds: of every round of each kind.
#[derive(Default)]
struct ServerTimes {
    updates: Times,
    sets: Times,
    scripts: Times,
}

#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    async fn of(
        &mut self,
        stock: &Stock,
        command: &str,
        round: impl AsyncFnOnce() -> Result<f64>,
    ) -> Result<f64> {
        let (calls, usec) = stock.spent(command).await?;
        let nanos = round().await?;
        let (calls_now, usec_now) = stock.spent(command).await?;
        self.0.push((usec_now - usec) / (calls_now - calls));
        Ok(nanos)
    }
}

impl ServerTimes {
    fn report(self, bytes: usize, outcome: &mut Outcome) {
        let kinds = [
            ("update", self.updates, "a change"),
            ("set", self.sets, "a SET"),
            ("script", self.scripts, "a script that returns 1"),
        ];
        for (name, times, what) in kinds {
            let best = times.0[1..].iter().copied().fold(f64::INFINITY, f64::min);
            outcome.add(
                format!("redis.{name}_server_us"),
                quantile(times.0[1..].to_vec(), 0.5),
                None,
                format!("{what} with {bytes} bytes, best round {best:.1}"),
            );
        }
    }
}

/// Runs as many tasks, each with the work of its number. Nanoseconds per call, of which each makes
/// [`EACH`].
pub(super) async fn by_all<F>(work: impl FnMut(usize) -> F) -> Result<f64>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let start = now();
    let tasks: Vec<_> = (0..TASKS).map(work).map(tokio::spawn).collect();
    for done in try_join_all(tasks).await? {
        done?;
    }
    Ok(start.elapsed().as_nanos() as f64 / (TASKS * EACH) as f64)
}

async fn update_all(stock: &Stock, mut ready: Vec<Change>) -> Result<f64> {
    by_all(|_| {
        let mine = ready.split_off(ready.len().saturating_sub(EACH));
        let store = stock.store.clone();
        async move {
            for (request, expected) in mine {
                store.try_store(request, expected).await?;
            }
            Ok(())
        }
    })
    .await
}

async fn set_all(place: &Place, stock: &Stock, bytes: &Arc<[u8]>) -> Result<f64> {
    by_all(|task| {
        let (client, bytes) = (stock.client.clone(), Arc::clone(bytes));
        let key = place.prefix(&format!("set:{task}"));
        async move {
            for i in 0..EACH {
                set(&client, &format!("{key}:{i}"), &bytes).await?;
            }
            Ok(())
        }
    })
    .await
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
