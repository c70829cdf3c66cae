//! What is measured: by whom, under which names, with which labels.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod outcomes;
mod rare;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    future::Future,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use redis_client::{Config, Observer as _, Signal};
use redis_harness::{Options, Persistence, Server, unique_prefix};
use state_core::{
    MetricsObserver, Namespace,
    cache::{Cache, CacheOptions, Tags},
    event::{Event, Events},
    lock::{LockOptions, Locks},
    process::{ProcessOptions, Processes},
    rate_limit::{Limit, LimiterOptions, RateLimiter, Rule},
    session::{SessionKeys, SessionOptions, Sessions},
};
use state_modules::{
    Backend, NamedTokens, Root,
    modules::{self, Observers},
};

const SOON: Duration = Duration::from_secs(60);

/// Counts, and collects names and labels.
#[derive(Clone, Default)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    /// By the hash that a key brings along: a series that is known is found without looking at its
    /// labels, which is what a million calls would spend their time on.
    series: HashMap<u64, Series>,
    kinds: BTreeMap<String, (&'static str, BTreeSet<String>)>,
}

struct Series {
    key: Key,
    count: Arc<Count>,
}

#[derive(Default)]
struct Count(AtomicU64);

impl CounterFn for Count {
    fn increment(&self, value: u64) {
        self.0.fetch_add(value, Ordering::Relaxed);
    }

    fn absolute(&self, _: u64) {}
}

impl Noted {
    fn note(&mut self, key: &Key, kind: &'static str) -> &Arc<Count> {
        let kinds = &mut self.kinds;
        let series = self.series.entry(key.get_hash()).or_insert_with(|| {
            let labels = key.labels().map(|label| label.key().to_owned()).collect();
            let told = (kind, labels);
            let before = kinds.insert(key.name().to_owned(), told.clone());
            assert!(
                before.is_none_or(|before| before == told),
                "{key} has two shapes"
            );
            Series {
                key: key.clone(),
                count: Arc::default(),
            }
        });
        &series.count
    }
}

impl Notes {
    fn note(&self, key: &Key, kind: &'static str) -> Arc<Count> {
        Arc::clone(self.0.lock().unwrap().note(key, kind))
    }

    /// How much was counted under a name, by its labels, since the last call.
    fn take(&self, name: &str) -> Vec<(Key, u64)> {
        let noted = self.0.lock().unwrap();
        let counted = noted.series.values();
        counted
            .map(|series| (&series.key, series.count.0.swap(0, Ordering::Relaxed)))
            .filter(|(key, count)| key.name() == name && *count > 0)
            .map(|(key, count)| (key.clone(), count))
            .collect()
    }

    fn series(&self) -> HashSet<Key> {
        let noted = self.0.lock().unwrap();
        let keys = noted.series.values().map(|series| series.key.clone());
        keys.collect()
    }

    fn names(&self) -> BTreeSet<String> {
        self.0.lock().unwrap().kinds.keys().cloned().collect()
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.note(key, "counter"))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        self.note(key, "gauge");
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        self.note(key, "histogram, seconds");
        Histogram::noop()
    }
}

/// Every capability of an instance.
struct All {
    cache: Arc<Cache>,
    limiter: Arc<RateLimiter>,
    sessions: Arc<Sessions>,
    processes: Arc<Processes>,
    locks: Arc<Locks>,
    events: Arc<Events>,
    root: Root,
}

async fn all(backend: Backend, observers: Observers) -> All {
    let tokens = NamedTokens::default();
    let namespace = || Namespace::new("app").unwrap();
    let keys = SessionKeys::new(b"32 bytes or more, from a secret store").unwrap();
    let root = Root::builder()
        .module(modules::instance_observed(&tokens, backend, observers))
        .module(modules::events(&tokens, Default::default()))
        .module(modules::cache(
            &tokens,
            namespace(),
            CacheOptions::default(),
        ))
        .module(modules::rate_limit(
            &tokens,
            LimiterOptions::default().timeout(SOON),
        ))
        .module(modules::session(
            &tokens,
            namespace(),
            keys,
            SessionOptions::default()
                .max_bytes(1_000)
                .regenerate_grace(SOON),
        ))
        .module(modules::process(
            &tokens,
            namespace(),
            1,
            ProcessOptions::default(),
        ))
        .module(modules::locks(&tokens, LockOptions::default()))
        .build()
        .unwrap();
    All {
        cache: root.get(&tokens.cache).await.unwrap(),
        limiter: root.get(&tokens.rate_limit).await.unwrap(),
        sessions: root.get(&tokens.session).await.unwrap(),
        processes: root.get(&tokens.process).await.unwrap(),
        locks: root.get(&tokens.locks).await.unwrap(),
        events: root.get(&tokens.events).await.unwrap(),
        root,
    }
}

async fn on_memory() -> All {
    let observers = Observers::default().capabilities(MetricsObserver);
    all(Backend::Memory, observers).await
}

fn rule(quantity: u64) -> Rule {
    Rule::new("calls", Limit::new(quantity, SOON).unwrap()).unwrap()
}

/// Does something, and gives what it was counted as: once, under one set of labels.
async fn counted<T>(notes: &Notes, what: impl Future<Output = T>) -> (String, T) {
    notes.take("");
    let result = what.await;
    let counted = notes.take("state.operations");
    let [(key, 1)] = &*counted else {
        unreachable!("not counted once: {counted:?}");
    };
    (words(key), result)
}

/// Capability, operation and outcome.
fn words(key: &Key) -> String {
    let labels: BTreeMap<_, _> = key.labels().map(|l| (l.key(), l.value())).collect();
    ["capability", "operation", "outcome"]
        .map(|label| labels[label])
        .join(" ")
}

#[tokio::test]
async fn t_me_1_a_million_keys_are_as_many_labels_as_a_thousand() {
    let all = on_memory().await;
    let notes = Notes::default();
    let _guard = metrics::set_default_local_recorder(&notes);
    let (tags, rule) = (Tags::default(), rule(1_000_000));
    let mut number: u64 = 1;
    let mut use_keys = async |count: u32| {
        for turn in 0..count {
            // Keys without order, none twice.
            number = number
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let key = format!("key-{number:016x}");
            match turn % 100 {
                0 => drop(all.locks.lock(&key).unwrap().try_acquire().await.unwrap()),
                1 => drop(all.sessions.load(&key).await),
                2..=10 => drop(all.limiter.check(&rule, &key, 1).await.unwrap()),
                11..=40 => drop(all.processes.get(&key).await.unwrap()),
                _ => drop(all.cache.get(&key, &tags).await.unwrap()),
            }
            if turn % 100 == 0 {
                // What a dropped guard leaves to be done.
                tokio::task::yield_now().await;
            }
        }
    };
    use_keys(1_000).await;
    let few = notes.series();
    use_keys(999_000).await;
    let many = notes.series();
    assert!(few.len() >= 10, "{few:?}");
    assert_eq!(many, few);
}

/// All capabilities on a server, untouched.
async fn all_on(server: &Server) -> All {
    let long = Duration::from_secs(10);
    let config = Config::builder()
        .address(server.url())
        .key_prefix(unique_prefix("metrics"))
        .read_timeout(long)
        .write_timeout(long)
        .retry_timeout(Duration::ZERO);
    let observers = Observers::default()
        .capabilities(MetricsObserver)
        .client(redis_client::MetricsObserver);
    all(Backend::redis(config.build().unwrap()), observers).await
}

async fn on_redis(notes: &Notes, server: &Server) -> All {
    let all = all_on(server).await;
    let secret = "hunter2";
    let _ = all.cache.get(secret, &Tags::default()).await.unwrap();
    all.limiter.check(&rule(5), secret, 1).await.unwrap();
    all.sessions.load(secret).await.unwrap();
    let _ = all.processes.get(secret).await.unwrap();
    let lock = all.locks.lock(secret).unwrap();
    let guard = lock.acquire(SOON).await.unwrap();
    guard.release().await.unwrap();
    let topic = Namespace::new("topic").unwrap();
    let event = Event::new("changed", secret.into()).unwrap();
    all.events.publish(&topic, &event).await.unwrap();
    redis_client::MetricsObserver.retry("", "get", Signal::Loading);
    assert!(notes.names().len() > 3);
    all
}

async fn server() -> Server {
    Server::start_with(Options::default().persistence(Persistence::None)).await
}

#[tokio::test]
async fn n_me_1_no_key_and_no_name_of_a_lock_is_a_label() {
    let server = server().await;
    let notes = Notes::default();
    let _guard = metrics::set_default_local_recorder(&notes);
    let all = on_redis(&notes, &server).await;
    let series = format!("{:?}", notes.series());
    assert!(!series.contains("hunter2"), "{series}");
    all.root.close(SOON).await.unwrap();
}

#[tokio::test]
async fn n_me_2_no_name_is_told_by_two_layers() {
    let server = server().await;
    let memory = Notes::default();
    {
        let _guard = metrics::set_default_local_recorder(&memory);
        let all = on_memory().await;
        let _ = all.cache.get("k", &Tags::default()).await.unwrap();
    }
    let both = Notes::default();
    let _guard = metrics::set_default_local_recorder(&both);
    let all = on_redis(&both, &server).await;
    // Where there is no client, only capabilities tell; the client adds names of its own.
    let capabilities = memory.names();
    let (of_capabilities, of_client): (BTreeSet<_>, BTreeSet<_>) = both
        .names()
        .into_iter()
        .partition(|name| name.starts_with("state."));
    assert_eq!(of_capabilities, capabilities);
    assert!(!of_client.is_empty());
    // One call is one operation, although a command was sent for it.
    let get = async || {
        let tags = Tags::default();
        all.cache.get("other", &tags).await.unwrap()
    };
    let _ = counted(&both, get()).await;
    all.root.close(SOON).await.unwrap();
}

#[tokio::test]
async fn n_me_3_the_guide_has_the_metrics_there_are() {
    let server = server().await;
    let notes = Notes::default();
    let _guard = metrics::set_default_local_recorder(&notes);
    let all = on_redis(&notes, &server).await;
    let kinds = notes.0.lock().unwrap().kinds.clone();
    let mut expected: Vec<_> = kinds
        .iter()
        .map(|(name, (kind, labels))| {
            let labels: Vec<_> = labels.iter().map(|label| format!("`{label}`")).collect();
            format!("| `{name}` | {kind} | {} |", labels.join(", "))
        })
        .collect();
    expected.sort();
    let guide = include_str!("../../../../docs/redis-patterns.md");
    let starts = ["| `state.", "| `db.", "| `redis.client."];
    let mut rows: Vec<_> = guide
        .lines()
        .filter(|line| starts.iter().any(|start| line.starts_with(start)))
        .collect();
    rows.sort_unstable();
    assert_eq!(rows, expected);
    all.root.close(SOON).await.unwrap();
}
