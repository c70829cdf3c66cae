#![doc = include_str!("../README.md")]

pub mod cache;
pub mod event;
pub mod lock;
pub mod process;
pub mod rate_limit;
pub mod session;

mod answering;
mod caught;
mod clock;
mod entropy;
mod error;
mod name;
mod observe;
mod operation;

pub use answering::Answering;
pub use clock::{Clock, MonotonicClock, Timestamp};
pub use entropy::{Entropy, OsEntropy};
pub use error::{BackendError, Certainty, Classified, ErrorKind};
pub use name::{InvalidName, Namespace};
#[cfg(feature = "metrics")]
pub use observe::MetricsObserver;
#[cfg(feature = "tracing")]
pub use observe::TracingObserver;
pub use observe::{Capability, NoObserver, Observation, Observer};
pub use operation::OperationId;
