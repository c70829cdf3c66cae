//! Stores that go wrong when told to.
//!
//! Each wraps a provider and is one: [`FailingStore`] fails calls, [`LostReplyStore`] does what it
//! is asked and loses the answer, [`StaleReadStore`] answers reads with what was there before.
//! [`Faulty`] with a [`Fault`] of one's own does anything else.

mod failing;
mod faulty;
mod lost_reply;
mod stale_read;

pub use failing::{Failing, FailingStore, unavailable, unknown};
pub use faulty::{Call, Fault, Faulty};
pub use lost_reply::{LostReply, LostReplyStore};
pub use stale_read::{StaleRead, StaleReadStore};
