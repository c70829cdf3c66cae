//! Ports: what the library needs from a provider and from the application around it.
//!
//! Providers implement [`RequestStore`], [`RequestQueries`], [`StateStore`], [`GovernedCommit`],
//! [`ChangeFeed`] and [`Clock`]; together they are a [`Provider`]. Applications bring a
//! [`Directory`] and, if the default does not fit, an [`Authorizer`] and an [`IdSource`].
//! Every trait can be used as `dyn`.

mod authorizer;
mod clock;
mod commit;
mod directory;
mod error;
mod feed;
mod ids;
mod provider;
mod queries;
mod requests;
mod states;

pub use authorizer::{Access, AccessRequest, Authorizer, Operation, OwnerAuthorizer};
pub use clock::Clock;
pub use commit::{Commit, GovernedCommit, RequestWrite, StateWrite};
pub use directory::{Directory, Members, NamedActorsOnly, PortError};
pub use error::{Conflict, Retry, StoreError, StoreErrorKind, WriteCertainty};
pub use feed::{ChangeFeed, FeedBatch, FeedEvent, FeedSubject, FeedToken};
pub use ids::{IdSource, RandomIds};
pub use provider::Provider;
pub use queries::RequestQueries;
pub use requests::{Creation, RequestStore, Written};
pub use states::{StateSnapshot, StateStore};
