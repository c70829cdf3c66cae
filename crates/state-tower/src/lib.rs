#![doc = include_str!("../README.md")]

mod caller;
mod layer;

pub use caller::{Caller, InvalidNetwork, TrustedProxies};
pub use layer::{RateLimitLayer, RateLimitService};
