//! What a limit is.

use std::time::Duration;

use crate::name::{InvalidName, Namespace};

/// How calls are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Algorithm {
    /// The generic cell rate algorithm (ITU-T I.371): a burst, then evenly.
    #[default]
    Gcra,
    /// The window now, and the one before by how much of it is still in view.
    SlidingWindow,
    /// From one full window to the next.
    FixedWindow,
}

impl Algorithm {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gcra => "gcra",
            Self::SlidingWindow => "sliding",
            Self::FixedWindow => "fixed",
        }
    }
}

/// So many per period, and so many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limit {
    quantity: u64,
    period: u64,
    burst: u64,
    /// Follows from quantity and period; kept because every count needs it.
    emission: u64,
}

/// Why a limit cannot be kept.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// Zero of something.
    #[error("quantity, period and burst of a limit are more than zero")]
    Zero,
    /// A period that is not whole microseconds.
    #[error("the period of a limit is whole microseconds, at most one year")]
    Period,
    /// More per time than microseconds can tell apart to a hundredth.
    #[error("the limit is too fast to be kept to a hundredth: fewer calls, or a longer period")]
    TooFast,
    /// A burst that takes longer than a year to come back, or numbers beyond 2^51.
    #[error("the limit is too large: a smaller burst, or a shorter period")]
    TooLarge,
    /// The name of the rule.
    #[error("the name of a rule: {0}")]
    Name(InvalidName),
}

impl InvalidLimit {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Zero => "rate_limit.zero",
            Self::Period => "rate_limit.period",
            Self::TooFast => "rate_limit.too_fast",
            Self::TooLarge => "rate_limit.too_large",
            Self::Name(_) => "rate_limit.name",
        }
    }
}

const YEAR: u64 = 366 * 24 * 60 * 60 * 1_000_000;
/// Products of limit and period stay below this, so that sums of four are exact in a double.
const EXACT: u64 = 1 << 51;

impl Limit {
    /// So many per period, and as many at once.
    ///
    /// # Errors
    ///
    /// [`InvalidLimit`].
    pub fn new(quantity: u64, period: Duration) -> Result<Self, InvalidLimit> {
        let micros = u64::try_from(period.as_micros()).map_err(|_| InvalidLimit::Period)?;
        if quantity == 0 || period.is_zero() {
            return Err(InvalidLimit::Zero);
        }
        if micros == 0 || micros > YEAR || !period.subsec_nanos().is_multiple_of(1_000) {
            return Err(InvalidLimit::Period);
        }
        let limit = Self {
            quantity,
            period: micros,
            burst: quantity,
            emission: micros.div_ceil(quantity),
        };
        // The emission is rounded up; what that takes away must not matter.
        let exact = u128::from(limit.emission()) * u128::from(quantity);
        if (exact - u128::from(micros)) * 100 > u128::from(micros) {
            return Err(InvalidLimit::TooFast);
        }
        limit.check_size()
    }

    /// The same, with so many at once.
    ///
    /// # Errors
    ///
    /// [`InvalidLimit`].
    pub fn burst(self, burst: u64) -> Result<Self, InvalidLimit> {
        if burst == 0 {
            return Err(InvalidLimit::Zero);
        }
        Self { burst, ..self }.check_size()
    }

    fn check_size(self) -> Result<Self, InvalidLimit> {
        let is_small = |a: u64, b: u64, most: u64| a.checked_mul(b).is_some_and(|c| c <= most);
        if is_small(self.burst, self.emission(), YEAR)
            && is_small(self.quantity, self.period, EXACT)
            && is_small(self.burst, self.period, EXACT)
        {
            Ok(self)
        } else {
            Err(InvalidLimit::TooLarge)
        }
    }

    /// How many per period.
    #[must_use]
    pub const fn quantity(&self) -> u64 {
        self.quantity
    }

    /// The period.
    #[must_use]
    pub const fn period(&self) -> Duration {
        Duration::from_micros(self.period)
    }

    /// The period in microseconds.
    #[must_use]
    pub const fn period_micros(&self) -> u64 {
        self.period
    }

    /// How many at once. Windows count up to the [`quantity`](Self::quantity) instead.
    #[must_use]
    pub const fn at_once(&self) -> u64 {
        self.burst
    }

    /// Microseconds from one call to the next, rounded up: never too many are let through.
    #[must_use]
    pub const fn emission(&self) -> u64 {
        self.emission
    }

    /// A share of the limit: the same period, with quantity and burst divided, at least one each.
    #[must_use]
    pub(super) fn share(self, of: u32) -> Self {
        let quantity = (self.quantity / u64::from(of)).max(1);
        Self {
            quantity,
            period: self.period,
            burst: (self.burst / u64::from(of)).max(1),
            emission: self.period.div_ceil(quantity),
        }
    }
}

/// A limit with a name and an algorithm. Rules of different names count apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Rule {
    name: Namespace,
    limit: Limit,
    algorithm: Algorithm,
}

impl Rule {
    /// A rule by [`Algorithm::Gcra`].
    ///
    /// # Errors
    ///
    /// [`InvalidLimit::Name`] when the name has other characters than `a-z 0-9 . _ -`.
    pub fn new(name: &str, limit: Limit) -> Result<Self, InvalidLimit> {
        Ok(Self {
            name: Namespace::new(name).map_err(InvalidLimit::Name)?,
            limit,
            algorithm: Algorithm::Gcra,
        })
    }

    /// The same by another algorithm.
    #[must_use]
    pub const fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = algorithm;
        self
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    pub(super) const fn namespace(&self) -> &Namespace {
        &self.name
    }

    /// The limit.
    #[must_use]
    pub const fn limit(&self) -> Limit {
        self.limit
    }

    /// How calls are counted.
    #[must_use]
    pub const fn counted_by(&self) -> Algorithm {
        self.algorithm
    }

    /// The most that can be had at once.
    #[must_use]
    pub const fn most(&self) -> u64 {
        match self.algorithm {
            Algorithm::Gcra => self.limit.burst,
            Algorithm::SlidingWindow | Algorithm::FixedWindow => self.limit.quantity,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_kept_is_refused() {
        let second = Duration::from_secs(1);
        let limit = |quantity, period| Limit::new(quantity, period).map_err(InvalidLimit::code);
        assert_eq!(limit(0, second), Err("rate_limit.zero"));
        assert_eq!(limit(1, Duration::ZERO), Err("rate_limit.zero"));
        assert_eq!(
            limit(1, Duration::from_nanos(1_500)),
            Err("rate_limit.period")
        );
        assert_eq!(limit(1, second * 40_000_000), Err("rate_limit.period"));
        assert_eq!(limit(2_000_000, second), Err("rate_limit.too_fast"));
        // 1.5 us each, rounded up to 2: a third too slow.
        assert_eq!(limit(666_667, second), Err("rate_limit.too_fast"));
        let one = Limit::new(1, second).unwrap();
        assert_eq!(
            one.burst(0).map_err(InvalidLimit::code),
            Err("rate_limit.zero")
        );
        let year = one.burst(366 * 24 * 60 * 60);
        assert!(year.is_ok());
        let more = one.burst(366 * 24 * 60 * 60 + 1);
        assert_eq!(
            more.map_err(InvalidLimit::code),
            Err("rate_limit.too_large")
        );
        assert_eq!(
            Rule::new("No name", one).map_err(InvalidLimit::code),
            Err("rate_limit.name")
        );
    }

    #[test]
    fn shares_are_at_least_one() {
        let limit = Limit::new(10, Duration::from_secs(1)).unwrap();
        assert_eq!(limit.share(4).quantity(), 2);
        assert_eq!(limit.share(100).at_once(), 1);
    }
}
