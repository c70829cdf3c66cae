//! Events, as an application uses them.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;

use super::subscription::Subscription;
use crate::{
    clock::{Clock, MonotonicClock},
    entropy::{Entropy, OsEntropy},
    error::Classified as _,
    event::{
        Event, EventError, EventId, EventOptions, EventStore, Handler, Message, Origin,
        SubscribeOptions,
    },
    name::Namespace,
    observe::{Capability, NoObserver, Observation, Observer},
};

/// Publishes events and subscribes to them. A clone is a handle to the same.
///
/// # Examples
///
/// See the [module](crate::event).
#[derive(Clone)]
pub struct Events(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) options: EventOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) origin: Origin,
    /// The last number given out in each topic. The lock of a topic is held while an event is
    /// published, so that they come to the log in order.
    numbers: Mutex<HashMap<Namespace, Arc<tokio::sync::Mutex<u64>>>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}

/// An event that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    id: EventId,
    seq: u64,
}

impl Published {
    /// Where it is in the log.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.id
    }

    /// Its number among those of this origin in the topic.
    #[must_use]
    pub const fn seq(&self) -> u64 {
        self.seq
    }
}

impl Events {
    /// Starts on a store.
    pub fn builder(store: Arc<dyn EventStore>) -> EventsBuilder {
        EventsBuilder {
            store,
            options: EventOptions::default(),
            clock: None,
            entropy: Arc::new(OsEntropy),
            observer: Arc::new(NoObserver),
        }
    }

    /// The settings.
    #[must_use]
    pub fn options(&self) -> &EventOptions {
        &self.0.options
    }

    /// Publishes an event. Those published through one `Events` come to the log in the order of
    /// the calls.
    ///
    /// When an answer is lost, the same event is sent once more under the same number; who
    /// subscribes gets it once.
    ///
    /// # Errors
    ///
    /// [`EventError::TooLarge`] and [`EventError::Backend`]. A number whose event did not come is
    /// a gap to who subscribes, as soon as a later one comes.
    ///
    /// # Cancel safety
    ///
    /// It may have been published.
    ///
    /// # Round trips
    ///
    /// One; one more when the answer was lost.
    pub async fn publish(&self, topic: &Namespace, event: &Event) -> Result<Published, EventError> {
        let listens = self.0.observer.listens();
        let started = listens.then(|| self.0.clock.now());
        let result = self.0.publish(topic, event).await;
        let outcome = match &result {
            Ok(_) => "published",
            Err(error) => error.code(),
        };
        let duration = started.map(|started| self.0.clock.now().saturating_since(started));
        self.0.observe(topic, "publish", outcome, duration);
        result
    }

    /// Reads a topic and tells a handler, until the subscription is closed or dropped.
    ///
    /// It uses one connection of its own. What was published through this `Events` or a clone of
    /// it is left out, unless the options say [`SubscribeOptions::own`].
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn subscribe(
        &self,
        topic: &Namespace,
        options: SubscribeOptions,
        handler: Arc<dyn Handler>,
    ) -> Subscription {
        Subscription::start(Arc::clone(&self.0), topic.clone(), options, handler)
    }
}

impl Inner {
    async fn publish(&self, topic: &Namespace, event: &Event) -> Result<Published, EventError> {
        let limit = self.options.max_message_bytes;
        if Message::size(event) > limit {
            return Err(EventError::TooLarge { limit });
        }
        let number = Arc::clone(self.numbers.lock().entry(topic.clone()).or_default());
        let mut number = number.lock().await;
        // Used up even if publishing fails: whether it was stored may not be known.
        *number += 1;
        let message = Message {
            origin: self.origin,
            seq: *number,
            event: event.clone(),
        };
        let (message, keep) = (message.encode(), self.options.keep());
        let id = match self.store.append(topic, &message, keep).await {
            Err(error) if error.outcome_unknown() && error.is_retryable() => {
                self.observe(topic, "publish_again", error.code(), None);
                self.store.append(topic, &message, keep).await?
            }
            id => id?,
        };
        Ok(Published { id, seq: *number })
    }

    pub(crate) fn observe(
        &self,
        topic: &Namespace,
        operation: &'static str,
        outcome: &'static str,
        duration: Option<Duration>,
    ) {
        self.observer.operation(&Observation {
            capability: Capability::Event,
            operation,
            outcome,
            namespace: topic.as_str(),
            duration,
        });
    }
}

/// Puts [`Events`] together.
#[must_use = "a builder does nothing until it builds"]
pub struct EventsBuilder {
    store: Arc<dyn EventStore>,
    options: EventOptions,
    clock: Option<Arc<dyn Clock>>,
    entropy: Arc<dyn Entropy>,
    observer: Arc<dyn Observer>,
}

impl fmt::Debug for EventsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventsBuilder")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl EventsBuilder {
    /// The settings.
    pub const fn options(mut self, options: EventOptions) -> Self {
        self.options = options;
        self
    }

    /// The clock of pauses and of what counts as live.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// The source of the origin.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Who is told what happens.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Makes them. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`EventError::Option`] for a setting that cannot work, [`EventError::Backend`] when there
    /// is no randomness.
    pub fn build(self) -> Result<Events, EventError> {
        self.options.validate()?;
        let origin = Origin::random(&*self.entropy)?;
        Ok(Events(Arc::new(Inner {
            store: self.store,
            options: self.options,
            clock: self
                .clock
                .unwrap_or_else(|| Arc::new(MonotonicClock::new())),
            observer: self.observer,
            origin,
            numbers: Mutex::default(),
        })))
    }
}
