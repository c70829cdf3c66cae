//! T-X-1: after the suite of each capability no key lives for ever, unless the table of keys says so.

mod support;

use std::{collections::BTreeSet, sync::Arc};

use parking_lot::Mutex;
use redis_client::Client;
use redis_harness::Server;
use state_core::{
    MonotonicClock, Namespace,
    process::ProcessOptions,
    session::{SessionOptions, SessionStore},
};
use state_redis::{
    KEYS,
    cache::RedisCacheStore,
    event::RedisEventStore,
    lock::{RedisLockOptions, RedisLocks},
    process::RedisProcesses,
    rate_limit::RedisRateLimits,
    session::RedisSessions,
};
use state_testkit::{
    async_trait,
    cache::Bench,
    lock::{LockHarness, LockParts},
    process::{ProcessHarness, ProcessParts},
    rate_limit::{RateLimitHarness, RateLimitParts},
    session::{SessionHarness, SessionParts},
    suite::{run, run_stepwise},
};

use crate::support::{ServerTime, check_keys, client, server};

/// One server for a whole suite. Every case has a prefix of its own; what it left is looked at when
/// the next one begins, before it has ended by itself, and once more after the last.
struct Shared {
    server: Server,
    prefixes: Mutex<Vec<String>>,
    seen: Mutex<BTreeSet<&'static str>>,
}

impl Shared {
    async fn start() -> Self {
        Self {
            server: server().await,
            prefixes: Mutex::default(),
            seen: Mutex::default(),
        }
    }

    async fn check(&self, prefix: &str) {
        let seen = check_keys(&self.server, prefix).await;
        self.seen.lock().extend(seen);
    }

    async fn client(&self) -> Client {
        let last = self.prefixes.lock().last().cloned();
        if let Some(last) = last {
            self.check(&last).await;
        }
        let client = client(self.server.url()).await;
        let prefix = client.key_prefix().as_str().to_owned();
        self.prefixes.lock().push(prefix);
        client
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
impl LockHarness for Shared {
    async fn fresh(&self) -> LockParts {
        let client = self.client().await;
        let store = RedisLocks::new(client.clone(), RedisLockOptions::default());
        LockParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

#[async_trait]
impl ProcessHarness for Shared {
    async fn fresh(&self, options: ProcessOptions) -> ProcessParts {
        let client = self.client().await;
        let namespace = Namespace::new("jobs").expect("a name");
        let store = RedisProcesses::new(client.clone(), &namespace, 2, options);
        ProcessParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

#[async_trait]
impl RateLimitHarness for Shared {
    async fn fresh(&self) -> RateLimitParts {
        let client = self.client().await;
        RateLimitParts {
            store: Arc::new(RedisRateLimits::new(client.clone())),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

#[async_trait]
impl SessionHarness for Shared {
    async fn fresh(&self, options: SessionOptions) -> SessionParts {
        let client = self.client().await;
        let namespace = Namespace::new("web").expect("a name");
        let of = client.clone();
        let open = move |options| -> Arc<dyn SessionStore> {
            let store = RedisSessions::new(of.clone(), &namespace, options);
            Arc::new(store.expect("valid options"))
        };
        SessionParts {
            store: open(options),
            reopened: Box::new(open),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard: Box::new(()),
        }
    }
}

#[test]
fn t_x_1_keys_of_locks_end() {
    run_stepwise(async {
        let shared = Shared::start().await;
        state_testkit::lock::run_all(&shared).await;
        shared.finish("lock").await;
    });
}

#[test]
fn t_x_1_keys_of_processes_end_with_them() {
    run_stepwise(async {
        let shared = Shared::start().await;
        state_testkit::process::run_all(&shared).await;
        shared.finish("process").await;
    });
}

#[test]
fn t_x_1_keys_of_rate_limits_end() {
    run_stepwise(async {
        let shared = Shared::start().await;
        state_testkit::rate_limit::run_all(&shared).await;
        shared.finish("rate_limit").await;
    });
}

#[test]
fn t_x_1_keys_of_sessions_end() {
    run_stepwise(async {
        let shared = Shared::start().await;
        state_testkit::session::run_all(&shared).await;
        shared.finish("session").await;
    });
}

#[test]
fn t_x_1_keys_of_caches_end() {
    run(async {
        let shared = Shared::start().await;
        let fresh = || async {
            let client = shared.client().await;
            let store = RedisCacheStore::new(client.clone());
            let (time, clock) = (ServerTime(client), MonotonicClock::new());
            Bench::new(Arc::new(store), Arc::new(time), Arc::new(clock), ()).rounds(20)
        };
        let failed = state_testkit::cache::run_all(fresh).await;
        assert!(failed.is_empty(), "{failed:?}");
        shared.finish("cache").await;
    });
}

#[test]
fn t_x_1_keys_of_events_end() {
    run(async {
        let shared = Shared::start().await;
        let fresh = || async {
            let client = shared.client().await;
            let far = RedisEventStore::new(client.clone());
            let near = support::Severable::new(far.clone());
            state_testkit::event::Bench::new(
                (Arc::new(near.clone()), Arc::new(far)),
                Arc::new(RedisCacheStore::new(client.clone())),
                Arc::new(support::Logs::new(near, client.clone())),
                Arc::new(ServerTime(client)),
                Arc::new(MonotonicClock::new()),
                (),
            )
        };
        let failed = state_testkit::event::run_all(fresh).await;
        assert!(failed.is_empty(), "{failed:?}");
        shared.finish("event").await;
    });
}
