//! What 64 tasks get done: changes of requests, `SET`s, and watched transactions.
//!
//! Each task has a connection of its own, as the callers of the system this one follows have, and
//! once more they all share what a client shares by default.

use std::sync::{Arc, LazyLock};

use anyhow::Result;
use futures_util::future::{BoxFuture, try_join_all};
use governance_core::RequestStore as _;
use governance_redis::RedisStore;
use redis_client::{Client, ClientError, Script};

use super::{
    origin::Watched,
    place::{Place, connect_apart},
    stock::Stock,
    update::{Change, Changes, set, stored_bytes},
};
use crate::{
    interleave::{Measure, now, quantile},
    outcome::{Outcome, Target},
};

const TASKS: usize = 64;
/// Changes of each task in a round.
const EACH: usize = 24;
const ROUNDS: usize = 15;

pub(crate) async fn measure(place: &Place, stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let apart = Way::apart(place, stock).await?;
    let shared = Way {
        store: stock.store.clone(),
        client: stock.client.clone(),
    };
    let mut changes = Changes::new(stock, 1 << 33)?;
    let bytes: Arc<[u8]> = stored_bytes(stock, &mut changes).await?.into();
    let mut watched = Vec::new();
    for _ in 0..TASKS {
        watched.push(Watched::connect(place).await?);
    }
    let (mut updates, mut sets, mut transactions) = (Vec::new(), Vec::new(), Vec::new());
    let (mut shared_updates, mut shared_sets) = (Vec::new(), Vec::new());
    let mut server = ServerTimes::default();
    for _ in 0..=ROUNDS {
        let ready = changes.ready(&stock.store, TASKS * EACH).await?;
        updates.push(apart.update_all(ready).await?);
        sets.push(apart.set_all(place, &bytes).await?);
        let ready = changes.ready(&stock.store, TASKS * EACH).await?;
        let update = async || shared.update_all(ready).await;
        shared_updates.push(server.updates.of(stock, "evalsha", update).await?);
        let set = async || shared.set_all(place, &bytes).await;
        shared_sets.push(server.sets.of(stock, "set", set).await?);
        let nothing = async || nothing_all(place, stock, &bytes).await;
        server.nothing.of(stock, "evalsha", nothing).await?;
        let ready = changes.make(TASKS * EACH)?;
        for (i, (request, _)) in ready.iter().enumerate() {
            watched[i % TASKS].create(request).await?;
        }
        let ready = ready.into_iter().map(|(_, change)| change).collect();
        transactions.push(watch_all(&mut watched, ready).await?);
    }
    // The first round warms up.
    let mut report = |name: &str, updates: &[f64], floor: &[f64], target: Option<f64>| {
        let measure = Measure::of_windows(updates[1..].to_vec(), floor[1..].to_vec());
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
    report("redis.throughput64_over_set", &updates, &sets, Some(0.5));
    report(
        "redis.throughput64_over_watch",
        &updates,
        &transactions,
        Some(1.3),
    );
    report(
        "redis.throughput64_over_set.shared",
        &shared_updates,
        &shared_sets,
        None,
    );
    let apart_over_shared =
        Measure::of_windows(shared_updates[1..].to_vec(), updates[1..].to_vec());
    outcome.add(
        "redis.throughput64.shared_over_apart",
        1.0 / apart_over_shared.ratio(),
        None,
        "changes a second by shared connections, over those by one for each task".to_owned(),
    );
    server.report(bytes.len(), outcome);
    Ok(())
}

/// What the server says a command takes it, in microseconds: of every round of each kind.
#[derive(Default)]
struct ServerTimes {
    updates: Times,
    sets: Times,
    nothing: Times,
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
            ("script", self.nothing, "a script that returns 1"),
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

/// A script that does nothing, with as many keys and bytes as a change has.
static NOTHING: LazyLock<Script> =
    LazyLock::new(|| Script::embedded("#!lua\n-- bench.nothing 1\nreturn 1"));

async fn nothing_all(place: &Place, stock: &Stock, bytes: &Arc<[u8]>) -> Result<f64> {
    let start = now();
    let tasks = (0..TASKS).map(|task| {
        let (client, bytes) = (stock.client.clone(), Arc::clone(bytes));
        let key = place.prefix(&format!("{{nothing}}:{task}"));
        tokio::spawn(async move {
            for _ in 0..EACH {
                let keys = (0..11).map(|i| format!("{key}:category:of_some_length:{i}"));
                let call = NOTHING.call().keys(keys);
                let call = call.arg(&*bytes).arg(&[7_u8; 70][..]).arg(&[7_u8; 110][..]);
                let done: BoxFuture<'_, Result<u64, ClientError>> = Box::pin(client.invoke(&call));
                done.await?;
            }
            anyhow::Ok(())
        })
    });
    for done in try_join_all(tasks).await? {
        done?;
    }
    Ok(start.elapsed().as_nanos() as f64 / (TASKS * EACH) as f64)
}

/// A way to the server, for the store and for plain commands.
struct Way {
    store: RedisStore,
    client: Client,
}

impl Way {
    /// A connection for each task.
    async fn apart(place: &Place, stock: &Stock) -> Result<Self> {
        let client = connect_apart(place.url(), TASKS).await?;
        let store = stock.by(&client).await?;
        Ok(Self { store, client })
    }

    /// Nanoseconds per change.
    async fn update_all(&self, mut ready: Vec<Change>) -> Result<f64> {
        let start = now();
        let tasks = (0..TASKS).map(|_| {
            let mine = ready.split_off(ready.len().saturating_sub(EACH));
            let store = self.store.clone();
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

    /// Nanoseconds per `SET`.
    async fn set_all(&self, place: &Place, bytes: &Arc<[u8]>) -> Result<f64> {
        let start = now();
        let tasks = (0..TASKS).map(|task| {
            let (client, bytes) = (self.client.clone(), Arc::clone(bytes));
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
