//! T-X-1: after the suite of each capability no key lives for ever, unless the table of keys says so.

mod support;

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use redis_client::Client;
use redis_harness::Server;
use state_redis::KEYS;
use state_testkit::{
    async_trait, cache, event, lock, process, rate_limit, session,
    session::SessionHarness,
    suite::{run, run_stepwise},
};

use crate::support::{Guard, On, Place, check_keys, client, server};

/// One server for a whole suite. Every case has a prefix of its own; what it left is looked at when
/// the next one begins, before it has ended by itself, and once more after the last.
struct Shared {
    server: Server,
    prefixes: Mutex<Vec<String>>,
    seen: Mutex<BTreeSet<&'static str>>,
}

impl Shared {
    async fn start() -> Arc<On<Self>> {
        Arc::new(On::new(Self {
            server: server().await,
            prefixes: Mutex::default(),
            seen: Mutex::default(),
        }))
    }

    async fn check(&self, prefix: &str) {
        let seen = check_keys(&self.server, prefix).await;
        self.seen.lock().extend(seen);
    }

    /// Every pattern of the owner was there at some time, so what was checked was not nothing.
    async fn finish(&self, owner: &str) {
        let prefixes = self.prefixes.lock().clone();
        assert!(prefixes.len() > 10, "{} cases", prefixes.len());
        for prefix in prefixes {
            self.check(&prefix).await;
        }
        let seen = self.seen.lock();
        let rows = KEYS.iter().flat_map(|rows| rows.iter());
        let mut of_owner = rows.filter(|row| row.owner == owner);
        assert!(of_owner.any(|row| seen.contains(row.pattern)), "{seen:?}");
    }
}

#[async_trait]
impl Place for Shared {
    async fn client(&self) -> (Client, Guard) {
        let last = self.prefixes.lock().last().cloned();
        if let Some(last) = last {
            self.check(&last).await;
        }
        let client = client(self.server.url()).await;
        let prefix = client.key_prefix().as_str().to_owned();
        self.prefixes.lock().push(prefix);
        (client, Box::new(()))
    }
}

#[test]
fn t_x_1_keys_of_locks_end() {
    run_stepwise(async {
        let shared = Shared::start().await;
        lock::run_all(|| lock::LockTrial::begin(&*shared)).await;
        shared.place.finish("lock").await;
    });
}

#[test]
fn t_x_1_keys_of_processes_end_with_them() {
    run_stepwise(async {
        let shared = Shared::start().await;
        process::run_all(|| process::ProcessTrial::begin(&*shared)).await;
        shared.place.finish("process").await;
    });
}

#[test]
fn t_x_1_keys_of_rate_limits_end() {
    run_stepwise(async {
        let shared = Shared::start().await;
        rate_limit::run_all(|| rate_limit::RateLimitTrial::begin(&*shared)).await;
        shared.place.finish("rate_limit").await;
    });
}

#[test]
fn t_x_1_keys_of_sessions_end() {
    run_stepwise(async {
        let shared = Shared::start().await;
        session::run_all(|| async { Arc::clone(&shared) as Arc<dyn SessionHarness> }).await;
        shared.place.finish("session").await;
    });
}

#[test]
fn t_x_1_keys_of_caches_end() {
    run(async {
        let shared = Shared::start().await;
        cache::run_all(|| shared.caches(20)).await;
        shared.place.finish("cache").await;
    });
}

#[test]
fn t_x_1_keys_of_events_end() {
    run(async {
        let shared = Shared::start().await;
        event::run_all(|| shared.events()).await;
        shared.place.finish("event").await;
    });
}
