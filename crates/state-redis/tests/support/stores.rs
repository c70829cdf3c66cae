//! The stores of this crate as the suites want them, on whatever place a test has.

use std::{any::Any, sync::Arc};

use redis_client::Client;
use redis_harness::Cluster;
use state_core::{
    MonotonicClock, Namespace,
    process::ProcessOptions,
    session::{SessionOptions, SessionStore},
};
use state_redis::{
    cache::RedisCacheStore,
    event::RedisEventStore,
    lock::{RedisLockOptions, RedisLocks},
    process::RedisProcesses,
    rate_limit::RedisRateLimits,
    session::RedisSessions,
};
use state_testkit::{
    async_trait, cache, event,
    lock::{LockHarness, LockParts},
    process::{ProcessHarness, ProcessParts},
    rate_limit::{RateLimitHarness, RateLimitParts},
    session::{SessionHarness, SessionParts},
};

use super::{Logs, ServerTime, Severable, client, client_of, server};

/// What must live as long as a client: its server, or nothing.
pub type Guard = Box<dyn Any + Send + Sync>;

/// Where the clients of cases go to.
#[async_trait]
pub trait Place: Send + Sync {
    /// A client with a prefix of its own.
    async fn client(&self) -> (Client, Guard);
}

/// A server for each case.
pub struct OwnServer;

#[async_trait]
impl Place for OwnServer {
    async fn client(&self) -> (Client, Guard) {
        let server = server().await;
        (client(server.url()).await, Box::new(server))
    }
}

#[async_trait]
impl Place for Cluster {
    async fn client(&self) -> (Client, Guard) {
        (client_of(self).await, Box::new(()))
    }
}

/// The stores of a place.
pub struct On<P> {
    pub place: P,
    shards: u32,
}

impl<P: Place> On<P> {
    /// Processes are in two shards.
    pub const fn new(place: P) -> Self {
        Self { place, shards: 2 }
    }

    pub const fn shards(mut self, shards: u32) -> Self {
        self.shards = shards;
        self
    }

    /// With the cases of a test on random interleavings as often as this.
    pub async fn caches(&self, rounds: u64) -> cache::Bench {
        let (client, guard) = self.place.client().await;
        let store = Arc::new(RedisCacheStore::new(client.clone()));
        let (time, clock) = (ServerTime(client), MonotonicClock::new());
        cache::Bench::new(store, Arc::new(time), Arc::new(clock), guard).rounds(rounds)
    }

    /// With subscriptions that are cut inside the client.
    pub async fn events(&self) -> event::Bench {
        let (client, guard) = self.place.client().await;
        let far = RedisEventStore::new(client.clone());
        let near = Severable::new(far.clone());
        event::Bench::new(
            (Arc::new(near.clone()), Arc::new(far)),
            Arc::new(RedisCacheStore::new(client.clone())),
            Arc::new(Logs::new(near, client.clone())),
            Arc::new(ServerTime(client)),
            Arc::new(MonotonicClock::new()),
            guard,
        )
    }
}

#[async_trait]
impl<P: Place> LockHarness for On<P> {
    async fn fresh(&self) -> LockParts {
        let (client, guard) = self.place.client().await;
        let store = RedisLocks::new(client.clone(), RedisLockOptions::default());
        LockParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard,
        }
    }
}

#[async_trait]
impl<P: Place> ProcessHarness for On<P> {
    async fn fresh(&self, options: ProcessOptions) -> ProcessParts {
        let (client, guard) = self.place.client().await;
        let namespace = Namespace::new("jobs").expect("a name");
        let store = RedisProcesses::new(client.clone(), &namespace, self.shards, options);
        ProcessParts {
            store: Arc::new(store.expect("valid options")),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard,
        }
    }
}

#[async_trait]
impl<P: Place> RateLimitHarness for On<P> {
    async fn fresh(&self) -> RateLimitParts {
        let (client, guard) = self.place.client().await;
        RateLimitParts {
            store: Arc::new(RedisRateLimits::new(client.clone())),
            clock: Arc::new(MonotonicClock::new()),
            passage: Arc::new(ServerTime(client)),
            guard,
        }
    }
}

#[async_trait]
impl<P: Place> SessionHarness for On<P> {
    async fn fresh(&self, options: SessionOptions) -> SessionParts {
        let (client, guard) = self.place.client().await;
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
            guard,
        }
    }
}
