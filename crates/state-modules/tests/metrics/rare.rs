//! Outcomes that do not come by themselves, each counted once: of time that passes, of others who
//! are faster, of a backend that fails.

use std::{
    error::Error,
    future::Future,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use redis_client::{Client, Config};
use redis_harness::{
    Fault as Cut, FaultProxy, Options, PATIENCE, Persistence, Server, poll_until, unique_prefix,
};
use state_core::{
    Answering, BackendError, Clock, Namespace, OsEntropy, Timestamp,
    cache::{Cache, CacheOptions, CacheStore, Consistency, LoadOptions, SetOptions, Tags},
    event::{
        Event, EventOptions, EventStore, Events, Handler, Keep, Message, Origin, Signal, State,
        SubscribeOptions,
    },
    lock::{Fence, LeaderOptions, LockOptions, LockStore, Locks},
    process::{
        Change, Claimed, Expect, Listing, NewProcess, ProcessOptions, ProcessStore, Processes,
        Saved,
    },
    rate_limit::{LimiterOptions, OnError, RateLimitStore, RateLimiter},
    session::{
        Change as Relocation, Created, Found, Listed, Moved, NewRecord, NewSession,
        OnError as SessionOnError, Reason, Record, Regenerated, SessionHash, SessionKeys,
        SessionOptions, SessionStore, Sessions, Stored, Target, Written,
    },
};
use state_memory::{
    Fault, Faults, cache::MemoryCacheStore, event::MemoryEventStore, lock::MemoryLocks,
    process::MemoryProcesses, rate_limit::MemoryRateLimits, session::MemorySessions,
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
    RecordingObserver, SeededEntropy, VirtualClock,
    cache::{Bench, Gate, text},
};
use tokio::sync::Semaphore;

use crate::rule;

const HOUR: Duration = Duration::from_secs(3_600);
const MOMENT: Duration = Duration::from_millis(10);

/// A backend that fails when it is asked to, the local clock, and what was told.
struct Rig {
    clock: VirtualClock,
    /// Caches have tokens of their own, and the same in every run.
    seeds: AtomicU64,
    told: RecordingObserver,
    on: On,
    cache: Arc<dyn CacheStore>,
    events: Arc<dyn EventStore>,
    limits: Arc<dyn RateLimitStore>,
    locks: Arc<dyn LockStore>,
    processes: Arc<dyn ProcessStore>,
}

enum On {
    Memory {
        cache: MemoryCacheStore,
        events: MemoryEventStore,
        sessions: MemorySessions,
        faults: Faults,
    },
    Redis {
        server: Server,
        proxy: FaultProxy,
        client: Box<Client>,
    },
}

fn name() -> Namespace {
    Namespace::new("app").unwrap()
}

impl Rig {
    fn memory() -> Self {
        let clock = VirtualClock::new();
        let time = || Arc::new(clock.clone());
        let faults = Faults::new();
        let cache = MemoryCacheStore::new(time(), 1_000);
        let events = MemoryEventStore::new(time());
        let sessions = MemorySessions::with(sessions_options(), time(), faults.clone()).unwrap();
        let processes = MemoryProcesses::with(ProcessOptions::default(), time(), faults.clone());
        Self {
            seeds: AtomicU64::new(1),
            told: RecordingObserver::new(),
            cache: Arc::new(cache.clone()),
            events: Arc::new(events.clone()),
            limits: Arc::new(MemoryRateLimits::with(time(), faults.clone())),
            locks: Arc::new(MemoryLocks::with(time(), faults.clone())),
            processes: Arc::new(processes.unwrap()),
            on: On::Memory {
                cache,
                events,
                sessions,
                faults,
            },
            clock,
        }
    }

    async fn redis() -> Self {
        let server = Server::start_with(Options::default().persistence(Persistence::None)).await;
        let proxy = FaultProxy::start(server.port()).await;
        let config = Config::builder()
            .address(proxy.url())
            .key_prefix(unique_prefix("rare"))
            .dial_timeout(PATIENCE)
            .read_timeout(PATIENCE)
            .write_timeout(PATIENCE)
            .retry_timeout(Duration::ZERO);
        let client = Client::connect(config.build().unwrap()).await.unwrap();
        let locks = RedisLocks::new(client.clone(), RedisLockOptions::default());
        let processes = RedisProcesses::new(client.clone(), &name(), 1, ProcessOptions::default());
        Self {
            clock: VirtualClock::new(),
            seeds: AtomicU64::new(1),
            told: RecordingObserver::new(),
            cache: Arc::new(RedisCacheStore::new(client.clone())),
            events: Arc::new(RedisEventStore::new(client.clone())),
            limits: Arc::new(RedisRateLimits::new(client.clone())),
            locks: Arc::new(locks.unwrap()),
            processes: Arc::new(processes.unwrap()),
            on: On::Redis {
                server,
                proxy,
                client: Box::new(client),
            },
        }
    }

    fn time(&self) -> Arc<dyn Clock> {
        Arc::new(self.clock.clone())
    }

    fn observer(&self) -> Arc<RecordingObserver> {
        Arc::new(self.told.clone())
    }

    /// So much time passes here, and at least as much on the backend.
    async fn pass(&self, time: Duration) {
        self.clock.advance(time);
        if let On::Redis { server, .. } = &self.on {
            let mut connection = server.connection().await;
            let mut now = async || {
                let now = redis_client::redis::cmd("TIME");
                let (seconds, micros): (u64, u64) = now.query_async(&mut connection).await.unwrap();
                Duration::from_secs(seconds) + Duration::from_micros(micros)
            };
            let until = now().await + time;
            while now().await <= until {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The backend fails: so many calls of an operation on memory, everything on Redis.
    fn fails(&self, operation: &'static str, times: usize) {
        match &self.on {
            On::Memory { .. } => {
                (0..times).for_each(|_| self.fail_next(operation, Fault::Before));
            }
            On::Redis { proxy, .. } => proxy.set(Cut::Refuse),
        }
    }

    fn fail_next(&self, operation: &'static str, fault: Fault) {
        let On::Memory {
            cache,
            events,
            faults,
            ..
        } = &self.on
        else {
            return;
        };
        let faults = match operation.split('.').next() {
            Some("cache") => cache.faults(),
            Some("event") => events.faults(),
            _ => faults,
        };
        faults.fail_next(operation, fault);
    }

    /// It works again.
    fn works(&self) {
        match &self.on {
            On::Memory { events, .. } => events.reconnect(),
            On::Redis { proxy, .. } => proxy.set(Cut::None),
        }
    }

    /// The next call is done, and its answer is lost.
    async fn loses_answer(&self, operation: &'static str) {
        match &self.on {
            On::Memory { .. } => self.fail_next(operation, Fault::After),
            On::Redis { proxy, .. } => {
                // The connections that calls share are all there before.
                for _ in 0..8 {
                    self.processes.get("none").await.unwrap();
                }
                proxy.once(Cut::CutBeforeReply);
            }
        }
    }

    /// Who reads events is cut off.
    fn cuts_line(&self) {
        match &self.on {
            On::Memory { events, .. } => events.disconnect(),
            On::Redis { proxy, .. } => proxy.set(Cut::Refuse),
        }
    }

    /// Does something that waits, and lets the time pass that it waits for.
    async fn drive<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            let tick = async {
                for _ in 0..50 {
                    tokio::task::yield_now().await;
                }
                self.clock.advance(Duration::from_millis(5));
            };
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tick => {}
            }
        }
    }

    /// Everything that was told since the last time is this, in any order.
    async fn told(&self, expected: &[&str]) {
        let mut told = Vec::new();
        let happens = async {
            loop {
                told.extend(self.told.take().into_iter().map(|(capability, what, how)| {
                    format!("{} {what} {how}", capability.as_str())
                }));
                if told.len() >= expected.len() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        // What does not happen is seen below.
        let _ = tokio::time::timeout(PATIENCE, happens).await;
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, expected);
    }

    fn cache(&self, options: CacheOptions, bus: Option<Events>) -> Cache {
        let mut cache = Cache::builder(Arc::clone(&self.cache), name())
            .options(options)
            .clock(self.time())
            .entropy(Arc::new(SeededEntropy::new(
                self.seeds.fetch_add(1, Ordering::Relaxed),
            )))
            .observer(self.observer());
        if let Some(bus) = bus {
            cache = cache.bus(bus, name());
        }
        cache.build().unwrap()
    }

    fn events(&self, options: EventOptions) -> Events {
        let events = Events::builder(Arc::clone(&self.events)).options(options);
        let events = events.clock(self.time()).observer(self.observer());
        events.build().unwrap()
    }

    fn session_store(&self, options: SessionOptions) -> Arc<dyn SessionStore> {
        match &self.on {
            On::Memory { sessions, .. } => Arc::new(sessions.reopened(options).unwrap()),
            On::Redis { client, .. } => {
                Arc::new(RedisSessions::new((**client).clone(), &name(), options).unwrap())
            }
        }
    }

    fn sessions(&self, store: Arc<dyn SessionStore>) -> Sessions {
        let keys = SessionKeys::new(b"32 bytes or more, from a secret store").unwrap();
        Sessions::observed(
            store,
            keys,
            self.time(),
            Arc::new(OsEntropy),
            self.observer(),
        )
    }

    fn processes(&self) -> Processes {
        let store = Arc::clone(&self.processes);
        Processes::observed(store, self.time(), Arc::new(OsEntropy), self.observer())
    }

    fn limiter(&self, policy: OnError) -> RateLimiter {
        let options = LimiterOptions::default().timeout(HOUR).on_error(policy);
        let store = Arc::clone(&self.limits);
        RateLimiter::observed(store, options, self.time(), self.observer()).unwrap()
    }

    fn locks(&self) -> Locks {
        Locks::observed(
            Arc::clone(&self.locks),
            LockOptions::default(),
            self.time(),
            Arc::new(OsEntropy),
            self.observer(),
        )
        .unwrap()
    }
}

fn panics() -> Result<Option<Bytes>, std::io::Error> {
    panic!("on purpose")
}

async fn of_loads(rig: &Rig) {
    let cache = rig.cache(Bench::options(), None);
    let other = rig.cache(Bench::options(), None);
    let load = LoadOptions::default();
    let now = |value: &str| Gate::open().loader(value);
    let fails = || async { Err::<Option<Bytes>, _>(std::io::Error::other("no")) };

    let brief = SetOptions::default().ttl(MOMENT);
    cache.set("stale", text("v"), &brief).await.unwrap();
    rig.told(&["cache set stored"]).await;
    rig.pass(MOMENT * 2).await;
    cache.get("stale", Tags::NONE).await.unwrap();
    rig.told(&["cache get stale"]).await;
    cache.get_or_load("stale", &load, fails).await.unwrap();
    rig.told(&["cache load cache.loader", "cache get_or_load stale"])
        .await;
    // Loads that failed are left out for a while.
    cache.get_or_load("stale", &load, fails).await.unwrap();
    rig.told(&["cache get_or_load stale"]).await;

    // Another process loads: who waits for it, and who does not.
    let loading = |key: &'static str, gate: &Gate| {
        let (cache, loader) = (cache.clone(), gate.loader("v"));
        tokio::spawn(async move {
            let load = LoadOptions::default();
            cache.get_or_load(key, &load, loader).await.unwrap()
        })
    };
    let loaded = [
        "cache load loaded",
        "cache fill stored",
        "cache get_or_load loaded",
    ];
    let gate = Gate::closed();
    let first = loading("waited", &gate);
    gate.came(1).await;
    let waiting = {
        let (other, load, loader) = (other.clone(), load.clone(), now("w"));
        tokio::spawn(async move { other.get_or_load("waited", &load, loader).await.unwrap() })
    };
    // One for the load that may take too long, one for the turn that is waited for.
    poll_until("the other waits", || async {
        (rig.clock.sleepers() >= 2).then_some(())
    })
    .await;
    gate.let_in();
    first.await.unwrap();
    rig.told(&loaded).await;
    rig.drive(waiting).await.unwrap();
    rig.told(&["cache get_or_load waited"]).await;

    let hasty = rig.cache(Bench::options().lease_wait(Duration::ZERO), None);
    let uncached = ["cache load loaded", "cache get_or_load uncached"];
    let gate = Gate::closed();
    let first = loading("uncached", &gate);
    gate.came(1).await;
    let got = hasty.get_or_load("uncached", &load, now("v")).await;
    got.unwrap();
    rig.told(&uncached).await;
    gate.let_in();
    first.await.unwrap();
    rig.told(&loaded).await;

    // What was loaded is not stored: it was deleted or invalidated meanwhile, or cannot be.
    for (fill, told) in [
        ("cache fill lost", "cache delete absent"),
        ("cache fill moved", "cache invalidate_namespace done"),
    ] {
        let gate = Gate::closed();
        let first = loading("kept", &gate);
        gate.came(1).await;
        if fill.ends_with("lost") {
            other.delete("kept").await.unwrap();
        } else {
            other.invalidate_namespace().await.unwrap();
        }
        rig.told(&[told]).await;
        gate.let_in();
        first.await.unwrap();
        rig.told(&[&uncached[..], &[fill]].concat()).await;
    }
    let small = Bench::options().max_value_bytes(1);
    let small = rig.cache(small.negative_ttl(Duration::ZERO), None);
    let got = small.get_or_load("large", &load, now("large")).await;
    got.unwrap();
    rig.told(&[&uncached[..], &["cache fill too_large"]].concat())
        .await;
    let none = || async { Ok::<Option<Bytes>, std::io::Error>(None) };
    small.get_or_load("none", &load, none).await.unwrap();
    rig.told(&[&uncached[..], &["cache fill not_kept"]].concat())
        .await;

    // Loads that do not end, or not well.
    let second = Duration::from_secs(1);
    let strict = rig.cache(Bench::options().hard_timeout(second), None);
    let gate = Gate::closed();
    let endless = strict.get_or_load("endless", &load, gate.loader("v"));
    let late = async {
        gate.came(1).await;
        rig.clock.advance(second);
    };
    assert!(tokio::join!(endless, late).0.is_err());
    rig.told(&[
        "cache load cache.load_timeout",
        "cache get_or_load cache.load_timeout",
    ])
    .await;
    let panicking = || async { panics() };
    assert!(cache.get_or_load("panic", &load, panicking).await.is_err());
    rig.told(&[
        "cache load cache.loader_panicked",
        "cache get_or_load cache.loader_panicked",
    ])
    .await;

    // Loads before the end of what is there.
    let eager = rig.cache(Bench::options().beta(100.0), None);
    let gate = Gate::closed();
    let brief = load.clone().ttl(Duration::from_secs(60));
    let dear = eager.get_or_load("dear", &brief, gate.loader("v"));
    let slow = async {
        gate.came(1).await;
        rig.clock.advance(HOUR / 2);
        gate.let_in();
    };
    tokio::join!(dear, slow).0.unwrap();
    rig.told(&loaded).await;
    eager.get_or_load("dear", &brief, now("w")).await.unwrap();
    rig.told(&[
        "cache get_or_load hit",
        "cache refresh early",
        "cache load loaded",
        "cache fill stored",
    ])
    .await;

    rig.fails("cache.read", 2);
    assert!(cache.get("k", Tags::NONE).await.is_err());
    rig.told(&["cache get backend.unavailable"]).await;
    cache.get_or_load("k", &load, now("v")).await.unwrap();
    rig.told(&[&uncached[..], &["cache read backend.unavailable"]].concat())
        .await;
    rig.works();
}

async fn of_invalidations(rig: &Rig) {
    let failed = "cache invalidate backend.unavailable";
    let eventual = Bench::options().consistency(Consistency::Eventual);
    let eventual = rig.cache(eventual.retry_queue(1), None);
    rig.fails("cache.delete", 3);
    eventual.delete("k").await.unwrap();
    rig.told(&[
        failed,
        "cache delete queued",
        "cache retry backend.unavailable",
    ])
    .await;
    // There is room for no other.
    assert!(eventual.delete("l").await.is_err());
    rig.told(&[failed, "cache delete cache.queue_full"]).await;
    rig.works();
    let done = async {
        while eventual.queued_invalidations() > 0 {
            tokio::task::yield_now().await;
        }
    };
    rig.drive(done).await;
    rig.told(&["cache retry done"]).await;

    let strict = rig.cache(Bench::options(), None);
    rig.fails("cache.invalidate", 4);
    assert!(rig.drive(strict.invalidate_namespace()).await.is_err());
    let ended = "cache invalidate_namespace cache.invalidation";
    rig.told(&[failed, failed, failed, failed, ended]).await;
    rig.works();

    // The backend knows, and the others cannot be told.
    let log = MemoryEventStore::new(rig.time());
    let bus = || {
        let events = Events::builder(Arc::new(log.clone()));
        let options = EventOptions::default().poll_interval(HOUR / 6);
        let events = events.options(options).clock(rig.time());
        events.build().unwrap()
    };
    let short = Bench::options().consistency(Consistency::ShortTtl);
    let shorter = rig.cache(short, Some(bus()));
    for _ in 0..4 {
        log.faults().fail_next("event.append", Fault::Before);
    }
    rig.drive(shorter.delete("k")).await.unwrap();
    let ended = "cache delete shortened";
    rig.told(&[failed, failed, failed, failed, ended]).await;
    rig.fails("cache.delete", 4);
    rig.fails("cache.shorten", 1);
    assert!(rig.drive(shorter.delete("k")).await.is_err());
    let ended = [
        "cache shorten backend.unavailable",
        "cache delete cache.invalidation",
    ];
    rig.told(&[&[failed; 4][..], &ended].concat()).await;
    rig.works();

    // What a process keeps itself goes when it may not have heard of something.
    let local = rig.cache(Bench::options().l1_capacity(9), Some(bus()));
    poll_until("it is told of invalidations", || async {
        local.uses_local().then_some(())
    })
    .await;
    log.replace();
    let event = Event::new("other", Bytes::new()).unwrap();
    bus().publish(&name(), &event).await.unwrap();
    rig.told(&["cache flush replaced"]).await;
    local.close().await;
}

fn sessions_options() -> SessionOptions {
    SessionOptions::default()
        .regenerate_grace(Duration::from_secs(60))
        .idle(HOUR)
        .max_age(HOUR * 24)
}

/// Somebody who is always a little faster to save.
#[derive(Debug)]
struct Hasty(Arc<dyn SessionStore>);

#[async_trait]
impl SessionStore for Hasty {
    fn options(&self) -> &SessionOptions {
        self.0.options()
    }

    async fn now(&self) -> Result<Timestamp, BackendError> {
        self.0.now().await
    }

    async fn create(&self, new: &NewRecord) -> Result<Stored, BackendError> {
        self.0.create(new).await
    }

    fn load<'a>(&'a self, hash: &'a SessionHash) -> Answering<'a, Target<Record>> {
        self.0.load(hash)
    }

    async fn save(
        &self,
        hash: &SessionHash,
        data: Bytes,
        version: u64,
    ) -> Result<Target<Written>, BackendError> {
        self.0.save(hash, text("faster"), version).await?;
        self.0.save(hash, data, version).await
    }

    async fn relocate(
        &self,
        from: (&SessionHash, &Record),
        to: &SessionHash,
        change: Relocation<'_>,
    ) -> Result<Target<Moved>, BackendError> {
        self.0.relocate(from, to, change).await
    }

    async fn delete(&self, hash: &SessionHash) -> Result<Target<()>, BackendError> {
        self.0.delete(hash).await
    }

    async fn list(&self, user: &str) -> Result<Vec<Listed>, BackendError> {
        self.0.list(user).await
    }

    async fn revoke_all(
        &self,
        user: &str,
        except: Option<&SessionHash>,
    ) -> Result<Target<()>, BackendError> {
        self.0.revoke_all(user, except).await
    }
}

async fn of_sessions(rig: &Rig) {
    let store = rig.session_store(sessions_options());
    let sessions = rig.sessions(Arc::clone(&store));
    sessions.begin_login().await.unwrap();
    rig.told(&["session begin_login begun"]).await;
    let new = NewSession::new("d").user("alice");
    let Created::Created { id, .. } = sessions.create(new).await.unwrap() else {
        panic!("revoked");
    };
    let cookie = id.expose().to_string();
    rig.told(&["session create created"]).await;
    sessions.list_for_user("alice").await.unwrap();
    rig.told(&["session list listed"]).await;
    assert!(sessions.list_for_user("").await.is_err());
    rig.told(&["session list session.user"]).await;
    assert!(sessions.revoke_all("", None).await.is_err());
    rig.told(&["session revoke_all session.user"]).await;

    let change = |data: &Bytes| data.clone();
    sessions.update(&cookie, change).await.unwrap();
    let steps = ["session load live", "session save saved"];
    rig.told(&[&steps[..], &["session update updated"]].concat())
        .await;
    assert!(sessions.update("nonsense", change).await.unwrap().is_none());
    rig.told(&["session load gone", "session update gone"])
        .await;
    let slow = rig.sessions(Arc::new(Hasty(Arc::clone(&store))));
    assert!(slow.update(&cookie, change).await.is_err());
    let steps = ["session load live", "session save conflict"].repeat(3);
    rig.told(&[&steps[..], &["session update session.contended"]].concat())
        .await;

    // Lifetimes that were shortened.
    let brief = sessions_options().idle(MOMENT).max_age(MOMENT);
    let brief = rig.sessions(rig.session_store(brief));
    rig.pass(MOMENT * 2).await;
    assert!(matches!(brief.load(&cookie).await.unwrap(), Found::Expired));
    rig.told(&["session load expired"]).await;

    // An id that was replaced again and again.
    let new = NewSession::new("d");
    let Created::Created { id, mut session } = sessions.create(new).await.unwrap() else {
        panic!("revoked");
    };
    rig.told(&["session create created"]).await;
    for _ in 0..9 {
        let moved = sessions.regenerate(&session, Reason::Rotation, None).await;
        let Regenerated::Regenerated { session: moved, .. } = moved.unwrap() else {
            panic!("not regenerated");
        };
        session = moved;
        rig.told(&["session rotate regenerated"]).await;
    }
    assert!(sessions.load(&id.expose()).await.is_err());
    rig.told(&["session load session.contended"]).await;

    let open = sessions_options().on_error(SessionOnError::OpenAnonymous);
    let open = rig.sessions(rig.session_store(open));
    rig.fails("session.load", 1);
    let found = open.load(&cookie).await.unwrap();
    assert!(matches!(found, Found::Anonymous));
    rig.told(&["session load anonymous"]).await;
    rig.works();
}

async fn of_processes(rig: &Rig) {
    let processes = rig.processes();
    // Scripts are known before answers are lost.
    let new = |id: &str| NewProcess::new(id, "k");
    processes.create(new("known")).await.unwrap();
    let one = || Change::new().percent(1);
    let any = Expect::Any;
    processes.save("known", one(), any, None).await.unwrap();
    let Claimed::Claimed(_) = processes.claim("known", "w").await.unwrap() else {
        panic!("not claimed");
    };
    rig.told(&[
        "process create created",
        "process save saved",
        "process claim claimed",
    ])
    .await;
    rig.loses_answer("process.create").await;
    rig.drive(processes.create(new("p"))).await.unwrap();
    rig.told(&["process create already_applied"]).await;
    rig.loses_answer("process.save").await;
    let saved = rig.drive(processes.save("p", one(), any, None)).await;
    assert!(matches!(saved.unwrap(), Saved::Saved { .. }));
    rig.told(&["process save already_applied"]).await;
    rig.loses_answer("process.claim").await;
    let claimed = rig.drive(processes.claim("p", "w")).await.unwrap();
    assert!(matches!(claimed, Claimed::Claimed(_)));
    rig.told(&["process claim claimed"]).await;

    let end = processes.events_end().await.unwrap();
    rig.told(&["process events_end found"]).await;
    processes.events(&end, Duration::ZERO).await.unwrap();
    rig.told(&["process events read"]).await;
    processes.list(Listing::Active, None).await.unwrap();
    rig.told(&["process list page"]).await;
    assert!(
        processes
            .list(Listing::ByKind("no kind"), None)
            .await
            .is_err()
    );
    rig.told(&["process list process.invalid_argument"]).await;
}

async fn of_locks(rig: &Rig) {
    let locks = rig.locks();
    let fence = |number| Fence::new(number);
    let set = async |fence, ttl| locks.guarded_set("g", fence, "v", ttl).await;
    set(fence(2), HOUR).await.unwrap();
    rig.told(&["lock guarded_set stored"]).await;
    set(fence(1), HOUR).await.unwrap();
    rig.told(&["lock guarded_set fenced"]).await;
    assert!(set(fence(2), Duration::ZERO).await.is_err());
    rig.told(&["lock guarded_set lock.invalid_option"]).await;
    locks.guarded_get("g").await.unwrap();
    rig.told(&["lock guarded_get found"]).await;
    locks.guarded_get("h").await.unwrap();
    rig.told(&["lock guarded_get absent"]).await;
    let guard = locks.lock("l").unwrap().acquire(HOUR).await.unwrap();
    rig.told(&["lock acquire acquired"]).await;
    assert!(guard.extend(Duration::ZERO).await.is_err());
    rig.told(&["lock extend lock.invalid_option"]).await;
    rig.fails("lock.acquire", 1);
    let lock = locks.lock("m").unwrap();
    assert!(lock.acquire(HOUR).await.is_err());
    rig.told(&["lock acquire backend.unavailable"]).await;
    rig.fails("lock.extend", 1);
    assert!(guard.extend(HOUR).await.is_err());
    rig.told(&["lock extend backend.unavailable"]).await;
    rig.fails("lock.guarded_get", 1);
    assert!(locks.guarded_get("g").await.is_err());
    rig.told(&["lock guarded_get backend.unavailable"]).await;
    rig.fails("lock.acquire", 1);
    let campaign = locks.campaign("c", LeaderOptions::default()).unwrap();
    rig.told(&["leader campaign backend.unavailable"]).await;
    rig.works();
    rig.drive(campaign.resign()).await;
    // It may have been granted.
    rig.told(&["leader resign expired"]).await;
    guard.release().await.unwrap();
    rig.told(&["lock release released"]).await;
}

async fn of_rate_limits(rig: &Rig) {
    let rule = rule(5);
    for (policy, told) in [
        (OnError::Open, "rate_limit check fallback_open"),
        (
            OnError::Closed { retry_after: HOUR },
            "rate_limit check fallback_closed",
        ),
        (
            OnError::Local { nodes: 2 },
            "rate_limit check fallback_local",
        ),
    ] {
        let limiter = rig.limiter(policy);
        rig.fails("rate_limit.charge", 1);
        limiter.check(&rule, "a", 1).await.unwrap();
        rig.told(&["rate_limit backend backend.unavailable", told])
            .await;
        rig.works();
    }
    let limiter = rig.limiter(OnError::Open);
    let long = "s".repeat(513);
    for subject in ["", &long] {
        assert!(limiter.check(&rule, subject, 1).await.is_err());
        rig.told(&["rate_limit check rate_limit.invalid_argument"])
            .await;
        assert!(limiter.refund(&rule, subject, 1).await.is_err());
        rig.told(&["rate_limit refund rate_limit.invalid_argument"])
            .await;
        assert!(limiter.reset(&rule, subject).await.is_err());
        rig.told(&["rate_limit reset rate_limit.invalid_argument"])
            .await;
    }
    let twice = [(&rule, "a"), (&rule, "a")];
    assert!(limiter.check_all("s", &twice, 1).await.is_err());
    rig.told(&["rate_limit check rate_limit.invalid_argument"])
        .await;
}

/// Waits at events until it is let go on.
struct Slow {
    came: AtomicUsize,
    permits: Semaphore,
}

#[async_trait]
impl Handler for Slow {
    async fn handle(&self, signal: &Signal) -> Result<(), Box<dyn Error + Send + Sync>> {
        if let Signal::Event(_) = signal {
            self.came.fetch_add(1, Ordering::Relaxed);
            self.permits.acquire().await?.forget();
        }
        Ok(())
    }
}

async fn of_events(rig: &Rig) {
    let events = rig.events(EventOptions::default().queue(2).poll_interval(HOUR / 6));
    let slow = Arc::new(Slow {
        came: AtomicUsize::new(0),
        permits: Semaphore::new(0),
    });
    let handler = Arc::clone(&slow);
    let subscription = events.subscribe(&name(), SubscribeOptions::default(), handler);
    let resumed = ["event handle handled", "event resume resumed"];
    rig.told(&resumed).await;
    let keep = Keep {
        max_len: 100,
        retention: HOUR,
    };
    let append = async |message: Bytes| {
        let stored = rig.events.append(&name(), &message, keep).await;
        stored.unwrap();
    };
    let message = |seq: u8| {
        let event = Event::new("e", Bytes::from(vec![seq])).unwrap();
        let (origin, seq) = (Origin::from_bytes([7; 16]), seq.into());
        Message { origin, seq, event }.encode()
    };
    let (queued, handled) = ("event receive queued", "event handle handled");
    slow.permits.add_permits(2);
    append(message(1)).await;
    rig.told(&[queued, handled]).await;
    append(message(1)).await;
    rig.told(&["event receive duplicate"]).await;
    append(text("nonsense")).await;
    rig.told(&["event gap unreadable", handled]).await;
    append(message(3)).await;
    rig.told(&["event gap skipped", queued, handled, handled])
        .await;
    // One is handled, two wait, and there is no room for more: all of them are one gap.
    append(message(4)).await;
    poll_until("it is handled", || async {
        (slow.came.load(Ordering::Relaxed) == 3).then_some(())
    })
    .await;
    append(message(5)).await;
    append(message(6)).await;
    append(message(7)).await;
    rig.told(&[queued, queued, queued, "event gap overflow"])
        .await;
    slow.permits.add_permits(1);
    rig.told(&[handled, handled]).await;

    rig.cuts_line();
    rig.told(&["event read backend.unavailable"]).await;
    rig.works();
    let reads = async {
        while subscription.state() != State::Live {
            tokio::task::yield_now().await;
        }
    };
    rig.drive(reads).await;
    rig.told(&resumed).await;
    subscription.close().await;

    rig.loses_answer("event.append").await;
    let event = Event::new("own", Bytes::new()).unwrap();
    events.publish(&name(), &event).await.unwrap();
    let again = match rig.on {
        On::Memory { .. } => "event publish_again backend.timeout",
        On::Redis { .. } => "event publish_again backend.unavailable",
    };
    rig.told(&[again, "event publish published"]).await;
}

async fn of_all(rig: &Rig) {
    of_loads(rig).await;
    of_invalidations(rig).await;
    of_sessions(rig).await;
    of_processes(rig).await;
    of_locks(rig).await;
    of_rate_limits(rig).await;
    of_events(rig).await;
}

#[tokio::test]
async fn t_me_2_rare_outcomes_are_one_counter() {
    of_all(&Rig::memory()).await;
}

#[tokio::test]
async fn t_me_2_rare_outcomes_are_one_counter_on_redis() {
    of_all(&Rig::redis().await).await;
}
