//! So many per time: rate limits.
//!
//! A [`Rule`] says how much, a subject says of whom, and a [`RateLimiter`] asks the backend, so that
//! all instances of a service count together. A denied call costs nothing, and what is told about
//! it is exact: repeat after [`Decision::retry_after`], and it is allowed if nobody else was faster.
//!
//! - [`Algorithm::Gcra`] lets a burst through and then one by one as the time goes, with one number
//!   per subject. It is the one to take.
//! - [`Algorithm::SlidingWindow`] weighs the window before by how much of it is still in view.
//! - [`Algorithm::FixedWindow`] counts from one full window to the next, and lets twice as much
//!   through around its end.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use state_core::rate_limit::{Limit, LimiterOptions, RateLimiter, Rule};
//! use state_memory::rate_limit::MemoryRateLimits;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let limiter = RateLimiter::new(Arc::new(MemoryRateLimits::new()), LimiterOptions::default())?;
//! let rule = Rule::new("api", Limit::new(10, Duration::from_secs(1))?)?;
//! let decision = limiter.check(&rule, "customer-17", 1).await?;
//! assert!(decision.is_allowed());
//! assert_eq!(decision.remaining, 9);
//! # Ok(())
//! # }
//! ```

mod asking;
mod count;
mod counters;
mod decision;
mod deny;
mod error;
mod fields;
mod gcra;
mod limit;
mod limiter;
mod local;
mod options;
mod store;
mod window;

pub use count::{Count, Counter, Verdict, count, refund};
pub use counters::Counters;
pub use decision::{Decision, Outcome, Source};
pub use error::{InvalidOption, RateLimitError};
pub use fields::RateLimitFields;
pub use limit::{Algorithm, InvalidLimit, Limit, Rule};
pub use limiter::RateLimiter;
pub use options::{LimiterOptions, OnError};
pub use store::{Answer, Charge, RateLimitStore};
