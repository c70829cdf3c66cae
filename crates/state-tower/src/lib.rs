#![doc = include_str!("../README.md")]

mod caller;
mod layer;
mod problem;
mod session;

pub use caller::{Caller, InvalidNetwork, TrustedProxies};
pub use layer::{RateLimitLayer, RateLimitService};
pub use session::{
    InvalidCookie, RequestSession, RequestSessionError, SameSite, SessionCookie, SessionLayer,
    SessionService,
};
