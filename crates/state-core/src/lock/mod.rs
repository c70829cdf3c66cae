//! One at a time: locks, semaphores and leaders.
//!
//! [`Locks`] hands out handles: [`lock`](Locks::lock), [`many`](Locks::many),
//! [`read`](Locks::read) and [`write`](Locks::write), [`semaphore`](Locks::semaphore). A handle is
//! acquired and gives a [`Guard`], which renews itself in the background, tells when it was
//! [`lost`](Guard::lost), and is released when asked or dropped.
//!
//! # What a lock with a lifetime is worth
//!
//! A holder that stalls for longer than the lifetime has lost the lock and does not know it yet.
//! Two things help: [`Guard::is_valid`] goes by the local clock and is false in time, and the
//! [`Fence`] of each grant is larger than all before it. Hand the fence to whatever the lock
//! protects and let that refuse a lower one, as [`Locks::guarded_set`] and
//! [`process`](crate::process) saves do. Without that check a lock saves work; it does not keep two
//! writers apart.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use state_core::lock::{Attempt, LockOptions, Locks};
//! use state_memory::lock::MemoryLocks;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let locks = Locks::new(Arc::new(MemoryLocks::new()), LockOptions::default())?;
//! let guard = locks.lock("invoices")?.acquire(Duration::from_secs(1)).await?;
//! assert!(matches!(locks.lock("invoices")?.try_acquire().await?, Attempt::Held { .. }));
//! guard.release().await?;
//! # Ok(())
//! # }
//! ```

mod attempt;
mod error;
mod guard;
mod inner;
mod leader;
mod locks;
mod options;
mod releaser;
mod store;
mod target;
mod token;
mod turns;

pub use error::{InvalidOption, LockError};
pub use guard::Guard;
pub use leader::{Campaign, LeaderOptions, Leadership};
pub use locks::{Attempt, Lock, Locks};
pub use options::LockOptions;
pub use store::{
    Acquired, Extended, GuardedSet, GuardedValue, Hold, LockStore, Released, WRITER_CLAIM,
};
pub use target::{InvalidTarget, Mode, Realm, Target};
pub use token::{Fence, Token};
