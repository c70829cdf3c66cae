//! Being told of events.

use std::{fmt, sync::Arc};

use tokio::{sync::watch, task::JoinHandle};

use super::{events::Inner, queue::Queue, reader::Reader, status::Status};
use crate::{
    caught::caught,
    event::{EventId, Handler, Lag, Signal, State, SubscribeOptions},
    name::Namespace,
};

/// Reads a topic and tells a handler. Dropping it ends that at the next chance;
/// [`close`](Self::close) waits for the end.
pub struct Subscription {
    inner: Arc<Inner>,
    topic: Namespace,
    status: Arc<Status>,
    stop: watch::Sender<bool>,
    tasks: Option<(JoinHandle<()>, JoinHandle<()>)>,
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription")
            .field("topic", &self.topic)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl Subscription {
    pub(crate) fn start(
        inner: Arc<Inner>,
        topic: Namespace,
        options: SubscribeOptions,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let status = Arc::new(Status::new());
        let queue = Queue::new(inner.options.queue, options.coalesce, Arc::clone(&status));
        let queue = Arc::new(queue);
        let (stop, stopped) = watch::channel(false);
        let reader = Reader::new(
            Arc::clone(&inner),
            topic.clone(),
            options,
            Arc::clone(&queue),
            Arc::clone(&status),
        );
        let (until, standing) = (stopped.clone(), Arc::clone(&status));
        let reading = tokio::spawn(async move {
            tokio::select! {
                biased;
                () = is_stopped(until) => {}
                // The backend was closed.
                () = reader.run() => standing.closed(),
            }
        });
        let teller = Teller {
            inner: Arc::clone(&inner),
            topic: topic.clone(),
            status: Arc::clone(&status),
            queue,
            handler,
        };
        let telling = tokio::spawn(teller.run(stopped));
        Self {
            inner,
            topic,
            status,
            stop,
            tasks: Some((reading, telling)),
        }
    }

    /// Where it stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.status.state()
    }

    /// Whether the handler is up to date: it was told everything, and the backend was heard of
    /// within the [poll interval](crate::event::EventOptions::poll_interval).
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.status
            .is_live(self.inner.clock.now(), self.inner.options.poll_interval)
    }

    /// The last event the handler was told of, or where reading started. A later subscription can
    /// [start](crate::event::Start::After) there.
    #[must_use]
    pub fn position(&self) -> EventId {
        self.status.handled_up_to()
    }

    /// How far the handler is behind.
    #[must_use]
    pub fn lag(&self) -> Lag {
        self.status.lag()
    }

    /// Ends it: when this returns, the connection is given up and the handler is not called any
    /// more. What the handler is doing is waited for.
    ///
    /// # Cancel safety
    ///
    /// It ends even when the future is dropped.
    pub async fn close(mut self) {
        self.stop.send_replace(true);
        if let Some((reading, telling)) = self.tasks.take() {
            // They end by themselves and panics of the handler are caught; there is nothing to tell.
            let _ = reading.await;
            let _ = telling.await;
        }
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.status.closed();
    }
}

async fn is_stopped(mut stopped: watch::Receiver<bool>) {
    // Fails only when the subscription is gone, which is the end as well.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Tells the handler what is queued.
struct Teller {
    inner: Arc<Inner>,
    topic: Namespace,
    status: Arc<Status>,
    queue: Arc<Queue>,
    handler: Arc<dyn Handler>,
}

impl Teller {
    async fn run(self, stopped: watch::Receiver<bool>) {
        loop {
            let next = tokio::select! {
                biased;
                () = is_stopped(stopped.clone()) => return,
                next = self.queue.pop() => next,
            };
            let outcome = match caught(self.handler.handle(&next.signal)).await {
                Ok(Ok(())) => "handled",
                Ok(Err(_)) => "failed",
                Err(_) => "panicked",
            };
            self.inner.observe(&self.topic, "handle", outcome, None);
            match &next.signal {
                Signal::Event(received) => self.status.handled(received.id),
                Signal::Resumed if self.status.resumed(next.turn) => {
                    self.inner.observe(&self.topic, "resume", "resumed", None);
                }
                Signal::Resumed | Signal::Gap(_) => {}
            }
        }
    }
}
