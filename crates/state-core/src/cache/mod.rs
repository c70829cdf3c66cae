//! Values that can be had again: cache.
//!
//! A [`Cache`] is one namespace of values on a [`CacheStore`]. Every value is stored with the
//! epochs of its namespace and its tags; it is a hit only while all of them are what they were.
//! Invalidating moves an epoch, so it costs the same however many values it ends, and an epoch
//! that was lost ends its values too: nothing that was invalidated comes back.
//!
//! [`get_or_load`](Cache::get_or_load) is for values that somebody has to make: one load at a time
//! in this process and, by a lease, over all of them; a load that began before an invalidation
//! never overwrites it.
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use state_core::{Namespace, cache::{Cache, LoadOptions, Source, Tags}};
//! use state_memory::cache::MemoryCacheStore;
//!
//! # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
//! let store = Arc::new(MemoryCacheStore::default());
//! let cache = Cache::builder(store, Namespace::new("tiles")?).build()?;
//!
//! let options = LoadOptions::default().tags(Tags::new(["layer:roads"])?);
//! let tile = cache
//!     .get_or_load("12/2048/1361", &options, || async {
//!         Ok::<_, std::io::Error>(Some(Bytes::from_static(b"a drawing")))
//!     })
//!     .await?;
//! assert_eq!(tile.source(), Source::Loaded);
//!
//! assert!(cache.get("12/2048/1361", options.tags_ref()).await?.is_hit());
//! cache.invalidate_tags(&Tags::new(["layer:roads"])?).await?;
//! assert!(cache.get("12/2048/1361", options.tags_ref()).await?.is_miss());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bounded;
mod chance;
mod envelope;
mod error;
mod flight;
mod freshness;
mod front;
mod local;
mod mark;
mod message;
mod options;
mod outcome;
mod store;
mod tag;

pub use bounded::BoundedMap;
pub use chance::is_early;
pub use envelope::{Draft, Envelope, Times, UnreadableEnvelope};
pub use error::{CacheError, InvalidOption, LoaderError};
pub use freshness::{Freshness, judge};
pub use front::{Cache, CacheBuilder};
pub use message::Invalidation;
pub use options::{CacheOptions, Consistency, LoadOptions, OnError, SetOptions};
pub use outcome::{Deleted, Hit, Invalidated, Loaded, Lookup, Source};
pub use store::{
    Begin, Begun, CacheStore, Epoch, Epochs, Fill, Filled, LeaseToken, Lives, MAX_BATCH, Read,
    Space, Target,
};
pub use tag::{InvalidTags, MAX_KEY_BYTES, Tag, Tags};
