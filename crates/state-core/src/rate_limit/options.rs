//! Settings of a limiter.

use std::time::Duration;

use crate::rate_limit::InvalidOption;

/// What a check says when the backend does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// Go on.
    Open,
    /// Try again later.
    Closed {
        /// When.
        retry_after: Duration,
    },
    /// This process counts by itself, with its share of the limit.
    Local {
        /// How many processes share it.
        nodes: u32,
    },
}

impl OnError {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "fallback_open",
            Self::Closed { .. } => "fallback_closed",
            Self::Local { .. } => "fallback_local",
        }
    }
}

/// Settings of a [`RateLimiter`](crate::rate_limit::RateLimiter).
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LimiterOptions {
    /// How long a check may take before the policy answers; 100 ms unless set.
    pub timeout: Duration,
    /// What a check says then; go on unless set.
    pub on_error: OnError,
    /// How many denials are remembered, so that their repetition costs nothing; 10 000 unless set, 0
    /// for none.
    pub deny_cache: usize,
}

impl Default for LimiterOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_millis(100),
            on_error: OnError::Open,
            deny_cache: 10_000,
        }
    }
}

impl LimiterOptions {
    /// The same with this timeout.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with this policy.
    #[must_use]
    pub const fn on_error(mut self, policy: OnError) -> Self {
        self.on_error = policy;
        self
    }

    /// The same, remembering so many denials.
    #[must_use]
    pub const fn deny_cache(mut self, denials: usize) -> Self {
        self.deny_cache = denials;
        self
    }

    /// Checks them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        let fault = |option, rule| Err(InvalidOption { option, rule });
        if self.timeout.is_zero() {
            return fault("timeout", "more than zero");
        }
        match self.on_error {
            OnError::Local { nodes: 0 } => fault("nodes", "at least one"),
            OnError::Closed { retry_after } if retry_after.is_zero() => {
                fault("retry_after", "more than zero")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_checked() {
        let options = LimiterOptions::default();
        assert_eq!(options.validate(), Ok(()));
        let fault = |options: LimiterOptions| options.validate().unwrap_err().option;
        assert_eq!(fault(options.timeout(Duration::ZERO)), "timeout");
        assert_eq!(
            fault(options.on_error(OnError::Local { nodes: 0 })),
            "nodes"
        );
        let never = OnError::Closed {
            retry_after: Duration::ZERO,
        };
        assert_eq!(fault(options.on_error(never)), "retry_after");
    }
}
