//! Settings of sessions.

use std::time::Duration;

use crate::session::{InvalidOption, Lifetime};

/// What a load says when the backend does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnError {
    /// The load fails: nobody is logged in.
    #[default]
    Closed,
    /// The caller is [anonymous](crate::session::Found::Anonymous), and told apart from one without a
    /// session.
    OpenAnonymous,
}

/// Settings of a store of sessions. Every process that uses the store must have the same.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionOptions {
    /// How long sessions live.
    pub lifetime: Lifetime,
    /// Largest data; 64 KiB unless set.
    pub max_bytes: usize,
    /// How many sessions a user may have; the oldest are ended for new ones. 0, as unless set, for
    /// as many as there are.
    pub max_per_user: usize,
    /// How long an id that was replaced by [rotation](crate::session::Reason::Rotation) still leads to
    /// the session, for requests that were under way; at most a minute. Zero, as unless set: not at
    /// all.
    pub regenerate_grace: Duration,
    /// What a load says when the backend does not answer.
    pub on_error: OnError,
}

impl Default for SessionOptions {
    fn default() -> Self {
        Self {
            lifetime: Lifetime::default(),
            max_bytes: 64 * 1024,
            max_per_user: 0,
            regenerate_grace: Duration::ZERO,
            on_error: OnError::Closed,
        }
    }
}

impl SessionOptions {
    /// The same, ending after this time without requests.
    #[must_use]
    pub const fn idle(mut self, idle: Duration) -> Self {
        self.lifetime.idle = idle;
        self
    }

    /// The same, ending after this time in all.
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.lifetime.max_age = age;
        self
    }

    /// The same, writing a request after this part of the idle time.
    #[must_use]
    pub const fn touch_percent(mut self, percent: u8) -> Self {
        self.lifetime.touch_percent = percent;
        self
    }

    /// The same with data up to this size.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// The same with so many sessions for a user.
    #[must_use]
    pub const fn max_per_user(mut self, sessions: usize) -> Self {
        self.max_per_user = sessions;
        self
    }

    /// The same, with ids that were replaced by rotation good for this time.
    #[must_use]
    pub const fn regenerate_grace(mut self, grace: Duration) -> Self {
        self.regenerate_grace = grace;
        self
    }

    /// The same with this policy.
    #[must_use]
    pub const fn on_error(mut self, policy: OnError) -> Self {
        self.on_error = policy;
        self
    }

    /// Checks them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
        const MINUTE: Duration = Duration::from_secs(60);
        let is_whole = |time: Duration| time.subsec_nanos().is_multiple_of(1_000_000);
        let whole = |time: Duration| is_whole(time) && !time.is_zero() && time <= YEAR;
        let millis = "whole milliseconds, more than zero and at most one year";
        let rules = [
            ("idle", whole(self.lifetime.idle), millis),
            ("max_age", whole(self.lifetime.max_age), millis),
            (
                "touch_percent",
                self.lifetime.touch_percent <= 100,
                "at most 100",
            ),
            (
                "max_bytes",
                self.max_bytes <= 16 * 1024 * 1024,
                "at most 16 MiB",
            ),
            ("max_per_user", self.max_per_user <= 100, "at most 100"),
            (
                "regenerate_grace",
                is_whole(self.regenerate_grace) && self.regenerate_grace <= MINUTE,
                "whole milliseconds, at most one minute",
            ),
        ];
        rules
            .into_iter()
            .find(|(_, holds, _)| !holds)
            .map_or(Ok(()), |(option, _, rule)| {
                Err(InvalidOption { option, rule })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n_se_13_nothing_is_fixed_and_everything_is_checked() {
        let with = SessionOptions::default();
        assert_eq!(with.validate(), Ok(()));
        let fault = |options: SessionOptions| options.validate().unwrap_err().option;
        assert_eq!(fault(with.idle(Duration::ZERO)), "idle");
        assert_eq!(fault(with.max_age(Duration::from_nanos(1))), "max_age");
        assert_eq!(fault(with.touch_percent(101)), "touch_percent");
        assert_eq!(fault(with.max_bytes(usize::MAX)), "max_bytes");
        assert_eq!(fault(with.max_per_user(101)), "max_per_user");
        for grace in [Duration::from_nanos(1), Duration::from_millis(60_001)] {
            assert_eq!(fault(with.regenerate_grace(grace)), "regenerate_grace");
        }
        let minute = with.regenerate_grace(Duration::from_secs(60));
        assert_eq!(minute.validate(), Ok(()));
    }
}
