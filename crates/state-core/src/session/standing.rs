//! What a stored session is worth at a time.

use std::time::Duration;

use crate::clock::Timestamp;

/// How long sessions live.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// Without a request; 30 minutes unless set.
    pub idle: Duration,
    /// In all; 24 hours unless set.
    pub max_age: Duration,
    /// How much of `idle` passes before a load writes that there was a request; 10 percent unless
    /// set.
    pub touch_percent: u8,
}

impl Default for Lifetime {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(30 * 60),
            max_age: Duration::from_secs(24 * 60 * 60),
            touch_percent: 10,
        }
    }
}

/// The times of a stored session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it began.
    pub created: Timestamp,
    /// When the last request was written.
    pub seen: Timestamp,
    /// When it ends whatever happens, as was said when it began.
    pub ends: Timestamp,
}

/// What a stored session is worth.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is good.
    Live {
        /// Whether this request is to be written.
        touch: bool,
        /// How long it lives from now without another request.
        left: Duration,
    },
    /// Its time is over.
    Expired,
    /// All sessions of the user that began when it did, or before, were revoked.
    Revoked,
}

/// Judges a stored session. `cut` is when the sessions of its user were last revoked, to the
/// microsecond: what began in that very microsecond is revoked, too.
///
/// A shorter maximum age applies to sessions that began under a longer one. Age comes before
/// revocation, as the records of revocations are only kept as long as sessions can live.
#[must_use]
pub fn standing(
    lifetime: &Lifetime,
    times: Times,
    cut: Option<Timestamp>,
    now: Timestamp,
) -> Standing {
    let ends = times
        .ends
        .min(times.created.saturating_add(lifetime.max_age));
    if now >= ends || now >= times.seen.saturating_add(lifetime.idle) {
        return Standing::Expired;
    }
    if cut.is_some_and(|cut| cut >= times.created) {
        return Standing::Revoked;
    }
    let throttle = lifetime.idle * u32::from(lifetime.touch_percent) / 100;
    let touch = now.saturating_since(times.seen) >= throttle;
    let from = if touch { now } else { times.seen };
    let idle_ends = from.saturating_add(lifetime.idle);
    Standing::Live {
        touch,
        left: ends.min(idle_ends).saturating_since(now),
    }
}
