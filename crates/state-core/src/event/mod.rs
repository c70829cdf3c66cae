//! What happened, for everybody who listens: events.
//!
//! A topic is a log that keeps what was published for a while. A [`Subscription`] reads it in
//! order, from now or from an event on, and goes on where it was after an interruption. When
//! something may be missing, because the log was cut, lost or replaced, the handler is told
//! [`Signal::Gap`]; nothing is missing in silence. An event may come twice to the log; who
//! subscribes gets it once.
//!
//! It is not a queue: every subscription gets every event. The one exception is what was published
//! through the same [`Events`]: that is left out, unless the subscription asks for it with
//! [`SubscribeOptions::own`].
//!
//! ```
//! use std::{error::Error, sync::Arc};
//! use bytes::Bytes;
//! use state_core::{Namespace, event::{Event, Events, Handler, Signal, SubscribeOptions}};
//! use state_memory::event::MemoryEventStore;
//!
//! #[derive(Debug)]
//! struct Print(tokio::sync::mpsc::UnboundedSender<String>);
//!
//! #[state_core::event::async_trait]
//! impl Handler for Print {
//!     async fn handle(&self, signal: &Signal) -> Result<(), Box<dyn Error + Send + Sync>> {
//!         self.0.send(match signal {
//!             Signal::Event(received) => received.event().kind().to_owned(),
//!             Signal::Gap(reason) => format!("look again: {reason}"),
//!             _ => "listening".to_owned(),
//!         })?;
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let store = Arc::new(MemoryEventStore::default());
//! let (here, there) = (Events::builder(store.clone()).build()?, Events::builder(store).build()?);
//! let topic = Namespace::new("orders")?;
//!
//! let (told, mut tells) = tokio::sync::mpsc::unbounded_channel();
//! let options = SubscribeOptions::default();
//! let subscription = there.subscribe(&topic, options, Arc::new(Print(told)));
//! assert_eq!(tells.recv().await.as_deref(), Some("listening"));
//! here.publish(&topic, &Event::new("order.paid", Bytes::from_static(b"7"))?).await?;
//! assert_eq!(tells.recv().await.as_deref(), Some("order.paid"));
//! subscription.close().await;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod events;
mod gap;
mod id;
mod message;
mod options;
mod queue;
mod reader;
mod signal;
mod status;
mod store;
mod subscription;

pub use async_trait::async_trait;
pub use error::{EventError, InvalidKind, InvalidOption};
pub use events::{Events, EventsBuilder, Published};
pub use gap::{GapReason, judge};
pub use id::EventId;
pub use message::{Event, Message, Origin, UnreadableMessage};
pub use options::{EventOptions, Start, SubscribeOptions};
pub use signal::{Handler, Received, Signal};
pub use status::{Lag, State};
pub use store::{Batch, Bell, Entry, EventStore, Keep};
pub use subscription::Subscription;
