#![doc = include_str!("../README.md")]

mod caller;
mod layer;
mod problem;
mod session;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;

pub use caller::{Caller, InvalidNetwork, TrustedProxies};
pub use layer::{RateLimitLayer, RateLimitService};
pub use session::{
    InvalidCookie, RequestSession, RequestSessionError, SameSite, SessionCookie, SessionLayer,
    SessionService,
};
#[cfg(feature = "tower-sessions")]
pub use tower_sessions::TowerSessionsStore;
