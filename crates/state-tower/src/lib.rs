// The examples of the page use both layers.
#![cfg_attr(
    all(feature = "rate-limit", feature = "session"),
    doc = include_str!("../README.md")
)]
#![cfg_attr(
    not(all(feature = "rate-limit", feature = "session")),
    doc = "The rate limits and sessions of `state-core` as tower layers, each behind its feature."
)]

#[cfg(feature = "rate-limit")]
mod caller;
#[cfg(any(feature = "session", feature = "tower-sessions"))]
mod depth;
#[cfg(feature = "rate-limit")]
mod layer;
#[cfg(any(feature = "rate-limit", feature = "session"))]
mod problem;
#[cfg(feature = "session")]
mod session;
#[cfg(feature = "tower-sessions")]
mod tower_sessions;

#[cfg(feature = "rate-limit")]
pub use caller::{Caller, InvalidNetwork, TrustedProxies};
#[cfg(feature = "rate-limit")]
pub use layer::{InvalidRules, RateLimitLayer, RateLimitService};
#[cfg(feature = "session")]
pub use session::{
    InvalidCookie, RequestSession, RequestSessionError, SameSite, SessionCookie, SessionLayer,
    SessionService,
};
#[cfg(feature = "tower-sessions")]
pub use tower_sessions::TowerSessionsStore;
