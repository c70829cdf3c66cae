//! What a case works with.
#![allow(
    clippy::missing_panics_doc,
    reason = "constants that are as they must be"
)]

use std::{any::Any, error::Error, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use state_core::{
    Clock, Namespace, OsEntropy,
    cache::{Cache, CacheOptions, CacheStore},
    event::{
        Event, EventOptions, EventStore, Events, GapReason, Handler, Signal, State,
        SubscribeOptions, Subscription,
    },
};
use tokio::sync::watch;

use crate::{Passage, RecordingObserver};

/// What can happen between a reader and its log.
#[async_trait]
pub trait Line: Send + Sync {
    /// Nothing comes through any more.
    async fn cut(&self);

    /// It does again.
    async fn mend(&self);

    /// All but the last events of a topic are removed.
    async fn trim(&self, topic: &Namespace, keep: usize);

    /// The log is lost.
    async fn lose(&self, topic: &Namespace);
}

/// Logs as seen by one who reads and by one who publishes, the line between them, and a cache.
pub struct Bench {
    near: Arc<dyn EventStore>,
    far: Arc<dyn EventStore>,
    values: Arc<dyn CacheStore>,
    /// What can happen between them.
    pub line: Arc<dyn Line>,
    time: Arc<dyn Passage>,
    clock: Arc<dyn Clock>,
    _guard: Box<dyn Any + Send + Sync>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").finish_non_exhaustive()
    }
}

impl Bench {
    /// `near` is the store whose line can be cut, `far` the same logs past that.
    #[must_use]
    pub fn new(
        (near, far): (Arc<dyn EventStore>, Arc<dyn EventStore>),
        values: Arc<dyn CacheStore>,
        line: Arc<dyn Line>,
        time: Arc<dyn Passage>,
        clock: Arc<dyn Clock>,
        guard: impl Any + Send + Sync,
    ) -> Self {
        Self {
            near,
            far,
            values,
            line,
            time,
            clock,
            _guard: Box::new(guard),
        }
    }

    /// The topic of the cases.
    #[must_use]
    pub fn topic() -> Namespace {
        Namespace::new("news").expect("a topic")
    }

    /// Settings that wait long enough to show that nobody waits.
    #[must_use]
    pub fn options() -> EventOptions {
        EventOptions::default().poll_interval(Duration::from_secs(60))
    }

    /// The store of one who publishes.
    #[must_use]
    pub fn far_store(&self) -> &Arc<dyn EventStore> {
        &self.far
    }

    /// The store of the values.
    #[must_use]
    pub fn values(&self) -> &Arc<dyn CacheStore> {
        &self.values
    }

    /// Events as another process would have them, on the line that can be cut.
    #[must_use]
    pub fn near(&self, options: EventOptions) -> (Events, RecordingObserver) {
        self.events(&self.near, options)
    }

    /// Events as another process would have them.
    #[must_use]
    pub fn far(&self) -> Events {
        self.events(&self.far, Self::options()).0
    }

    fn events(
        &self,
        store: &Arc<dyn EventStore>,
        options: EventOptions,
    ) -> (Events, RecordingObserver) {
        let observer = RecordingObserver::new();
        let events = Events::builder(Arc::clone(store))
            .options(options)
            .clock(Arc::clone(&self.clock))
            .entropy(Arc::new(OsEntropy))
            .observer(Arc::new(observer.clone()))
            .build();
        (events.expect("events"), observer)
    }

    /// A subscription that listens, and what it is told.
    pub async fn listening(&self, events: &Events, options: SubscribeOptions) -> Listening {
        let recorder = Recorder::default();
        let handler = Arc::new(recorder.clone());
        let subscription = events.subscribe(&Self::topic(), options, handler);
        recorder.until(|told| told.contains(&Signal::Resumed)).await;
        // So that the handler is done with it.
        self.until(|| subscription.state() == State::Live).await;
        Listening {
            recorder,
            subscription,
        }
    }

    /// A cache that keeps values in its process, as soon as it is told of invalidations.
    pub async fn cache(&self, options: CacheOptions, events: Events) -> Cache {
        let cache = self.cache_of("things", options, events);
        self.until(|| cache.uses_local()).await;
        cache
    }

    /// The same in any namespace, whether it is told of anything or not.
    #[must_use]
    pub fn cache_of(&self, namespace: &str, options: CacheOptions, events: Events) -> Cache {
        Cache::builder(
            Arc::clone(&self.values),
            Namespace::new(namespace).expect("a namespace"),
        )
        .options(options)
        .clock(Arc::clone(&self.clock))
        .bus(events, Self::topic())
        .build()
        .expect("a cache")
    }

    /// Waits until something holds, while time passes slowly.
    ///
    /// # Panics
    ///
    /// When it does not for very long.
    pub async fn until(&self, holds: impl Fn() -> bool + Send + Sync) {
        for _ in 0..20_000 {
            if holds() {
                return;
            }
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
            self.time.pass(Duration::from_micros(500)).await;
        }
        panic!("it does not come");
    }

    /// Lets time pass.
    pub async fn pass(&self, time: Duration) {
        self.time.pass(time).await;
    }
}

/// A subscription and what it is told.
#[derive(Debug)]
pub struct Listening {
    /// What it is told.
    pub recorder: Recorder,
    /// The subscription.
    pub subscription: Subscription,
}

/// A handler that writes down what it is told. A clone is a handle to the same.
#[derive(Debug, Clone)]
pub struct Recorder(Arc<(watch::Sender<Vec<Signal>>, watch::Sender<bool>)>);

impl Default for Recorder {
    fn default() -> Self {
        Self(Arc::new((
            watch::Sender::default(),
            watch::Sender::new(true),
        )))
    }
}

impl Recorder {
    /// Keeps the handler busy, or lets it go on.
    pub fn go_on(&self, go_on: bool) {
        self.0.1.send_replace(go_on);
    }

    /// Everything it was told.
    #[must_use]
    pub fn told(&self) -> Vec<Signal> {
        self.0.0.borrow().clone()
    }

    /// Kinds of events, reasons of gaps and `resumed`, in order.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        words(&self.told())
    }

    /// Waits until it was told enough.
    pub async fn until(&self, enough: impl Fn(&[Signal]) -> bool + Send + Sync) {
        let mut told = self.0.0.subscribe();
        // Fails only when this recorder is gone.
        let _ = told.wait_for(|told| enough(told)).await;
    }

    /// Waits until it was told an event of a kind.
    pub async fn until_event(&self, kind: &str) {
        let is_it = |signal: &Signal| matches!(signal, Signal::Event(received) if received.event().kind() == kind);
        self.until(|told| told.iter().any(is_it)).await;
    }

    /// Waits until it was told of a gap.
    pub async fn until_gap(&self, reason: GapReason) {
        self.until(|told| told.contains(&Signal::Gap(reason))).await;
    }

    /// Waits until it was told so often that the log is being read.
    pub async fn until_resumed(&self, times: usize) {
        let count = |told: &[Signal]| {
            told.iter()
                .filter(|signal| **signal == Signal::Resumed)
                .count()
                >= times
        };
        self.until(count).await;
    }
}

fn words(told: &[Signal]) -> Vec<String> {
    let word = |signal: &Signal| match signal {
        Signal::Event(received) => received.event().kind().to_owned(),
        Signal::Gap(reason) => format!("gap:{reason}"),
        _ => "resumed".to_owned(),
    };
    told.iter().map(word).collect()
}

#[async_trait]
impl Handler for Recorder {
    async fn handle(&self, signal: &Signal) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.0.0.send_modify(|told| told.push(signal.clone()));
        let mut go_on = self.0.1.subscribe();
        go_on.wait_for(|go_on| *go_on).await?;
        match signal {
            Signal::Event(received) if received.event().kind() == "fail" => Err("as asked".into()),
            Signal::Event(received) if received.event().kind() == "panic" => {
                std::panic::resume_unwind(Box::new("as asked"))
            }
            _ => Ok(()),
        }
    }
}

/// An event of a kind.
pub(crate) fn event(kind: &str) -> Event {
    Event::new(kind, Bytes::new()).expect("an event")
}
