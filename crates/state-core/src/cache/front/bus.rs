//! Telling other processes of invalidations, and hearing of theirs.

use std::{error::Error, sync::Arc};

use async_trait::async_trait;
use parking_lot::Mutex;

use crate::{
    cache::{Invalidation, local::Local},
    event::{
        Event, EventError, Events, GapReason, Handler, Signal, SubscribeOptions, Subscription,
    },
    name::Namespace,
    observe::{Capability, Observation, Observer},
};

#[derive(Debug)]
pub(super) struct Bus {
    events: Events,
    topic: Namespace,
    /// None when nothing is kept here, or when it was closed.
    subscription: Mutex<Option<Subscription>>,
}

impl Bus {
    pub(super) fn new(events: Events, topic: Namespace, listener: Option<Listener>) -> Self {
        let options = SubscribeOptions::default().coalesce(true);
        let subscription =
            listener.map(|listener| events.subscribe(&topic, options, Arc::new(listener)));
        Self {
            events,
            topic,
            subscription: Mutex::new(subscription),
        }
    }

    /// Whether this process has heard of everything, as far as can be known.
    pub(super) fn is_live(&self) -> bool {
        self.subscription
            .lock()
            .as_ref()
            .is_some_and(Subscription::is_live)
    }

    pub(super) async fn tell(
        &self,
        namespace: &Namespace,
        what: &Invalidation,
    ) -> Result<(), EventError> {
        let publish = async |what: &Invalidation| {
            let event = Event::new(Invalidation::KIND, what.encode(namespace.as_str()))?;
            self.events.publish(&self.topic, &event).await
        };
        match publish(what).await {
            // Too many keys to name them: then it is all of them.
            Err(EventError::TooLarge { .. }) if *what != Invalidation::Namespace => {
                publish(&Invalidation::Namespace).await?;
            }
            told => {
                told?;
            }
        }
        Ok(())
    }

    pub(super) async fn close(&self) {
        let subscription = self.subscription.lock().take();
        if let Some(subscription) = subscription {
            subscription.close().await;
        }
    }
}

/// Ends what this process keeps, as it is told.
pub(super) struct Listener {
    pub(super) local: Arc<Local>,
    pub(super) namespace: Namespace,
    pub(super) observer: Arc<dyn Observer>,
}

impl Listener {
    fn flush(&self, why: &'static str) {
        self.local.flush();
        self.observer.operation(&Observation {
            capability: Capability::Cache,
            operation: "flush",
            outcome: why,
            namespace: self.namespace.as_str(),
            duration: None,
        });
    }
}

#[async_trait]
impl Handler for Listener {
    async fn handle(&self, signal: &Signal) -> Result<(), Box<dyn Error + Send + Sync>> {
        match signal {
            Signal::Event(received) if received.event().kind() == Invalidation::KIND => {
                match Invalidation::decode(received.event().payload()) {
                    Some((namespace, what)) if namespace == self.namespace.as_str() => {
                        self.local.end(&what);
                    }
                    Some(_) => {}
                    // One of a later version: it may be about anything.
                    None => self.flush(GapReason::Unreadable.as_str()),
                }
            }
            Signal::Gap(reason) => self.flush(reason.as_str()),
            Signal::Event(_) | Signal::Resumed => {}
        }
        Ok(())
    }
}
