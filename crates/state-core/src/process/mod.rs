//! Where long work stands: process state.
//!
//! A process is a record that several workers share: what it is, how far it is, and whose it is at
//! the moment. [`Processes`] keeps them on a backend.
//!
//! - Every write names the [`Version`] it is based on, or says that it does not care. Versions rise
//!   over the whole life of an id, also when it is deleted and created anew.
//! - A worker [claims](Processes::claim) a process for a while and keeps it by heartbeats. From
//!   then on writes need the fence of the claim, so that a worker that was thought dead and comes
//!   back changes nothing.
//! - The status machine is the backend's to check: nothing leaves an ended status.
//! - A live process stays until it ends; an ended one is kept for
//!   [`retention`](ProcessOptions::retention).
//!
//! ```
//! use std::sync::Arc;
//! use state_core::process::{
//!     Change, Created, Expect, NewProcess, Payload, ProcessOptions, Processes, Saved, Status,
//! };
//! use state_memory::process::MemoryProcesses;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = MemoryProcesses::new(ProcessOptions::default())?;
//! let processes = Processes::new(Arc::new(store));
//! let new = NewProcess::new("upgrade-7", "upgrade").payload(Payload::new("json/1", "{}"));
//! let Created::Created { version } = processes.create(new).await? else {
//!     return Ok(());
//! };
//! let change = Change::new().status(Status::Running).step("download").percent(10);
//! let saved = processes.save("upgrade-7", change, Expect::Exact(version), None).await?;
//! assert!(matches!(saved, Saved::Saved { .. }));
//! # Ok(())
//! # }
//! ```

mod change;
mod claim;
mod error;
mod event;
mod kept;
mod list;
mod options;
mod processes;
mod record;
mod status;
mod store;

pub use change::{Change, Expect, NewProcess};
pub use claim::{Beat, Claim, Claimed};
pub use error::{InvalidOption, ProcessError};
pub use event::{EventBatch, EventCursor, InvalidCursor, ProcessEvent, ProcessEventKind};
pub use kept::Kept;
pub use list::{Listing, PageCursor, ProcessPage};
pub use options::ProcessOptions;
pub use processes::Processes;
pub use record::{Payload, Process, ProcessHeader, Version};
pub use status::Status;
pub use store::{Created, Deleted, ProcessStore, Save, Saved};
