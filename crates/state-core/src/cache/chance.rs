//! Numbers by chance, and what depends on them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use crate::{clock::Timestamp, entropy::Entropy, error::BackendError};

/// A cheap generator for jitter. Not for secrets.
#[derive(Debug)]
pub(crate) struct Chance(AtomicU64);

impl Chance {
    pub(crate) fn new(entropy: &dyn Entropy) -> Result<Self, BackendError> {
        let mut seed = [0; 8];
        entropy.fill(&mut seed)?;
        Ok(Self(AtomicU64::new(u64::from_le_bytes(seed))))
    }

    /// A number above 0 and at most 1.
    pub(crate) fn unit(&self) -> f64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
        let mut mixed = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        // 2^32 steps are fine enough, and both numbers are exact.
        (f64::from((mixed >> 32) as u32) + 1.0) / 4_294_967_296.0
    }
}

/// A time to live, made shorter by up to so many percent. Never longer, never zero.
pub(crate) fn shortened(ttl: Duration, percent: u8, unit: f64) -> Duration {
    let cut = ttl.mul_f64(f64::from(percent.min(100)) / 100.0 * unit.clamp(0.0, 1.0));
    ttl.saturating_sub(cut).max(Duration::from_millis(1))
}

/// Whether a value is to be refreshed before its time is over.
///
/// The chance grows as the end comes near, and sooner for values that are slow to load (`XFetch`:
/// Vattani, Chierichetti, Lowenstein 2015). `unit` is by chance, above 0 and at most 1.
#[must_use]
pub fn is_early(
    now: Timestamp,
    fresh_until: Timestamp,
    cost: Duration,
    beta: f64,
    unit: f64,
) -> bool {
    let left = fresh_until.saturating_since(now).as_secs_f64();
    let ahead = -beta * cost.as_secs_f64() * unit.ln();
    // Comparisons with what is not a number are false: then it is not early.
    ahead > 0.0 && ahead >= left
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_above_zero_and_spread() {
        let chance = Chance(AtomicU64::new(7));
        let units: Vec<f64> = (0..1_000).map(|_| chance.unit()).collect();
        assert!(units.iter().all(|unit| *unit > 0.0 && *unit <= 1.0));
        let mean = units.iter().sum::<f64>() / 1_000.0;
        assert!((0.45..0.55).contains(&mean), "{mean}");
    }

    #[test]
    fn ttl_is_never_longer_and_never_zero() {
        let ttl = Duration::from_secs(100);
        for unit in [0.0, 0.3, 1.0] {
            let short = shortened(ttl, 10, unit);
            assert!(
                short <= ttl && short >= Duration::from_secs(90),
                "{short:?}"
            );
        }
        assert_eq!(shortened(ttl, 0, 1.0), ttl);
        assert_eq!(shortened(ttl, 100, 1.0), Duration::from_millis(1));
    }

    #[test]
    fn refreshes_are_early_only_near_the_end() {
        let end = Timestamp::from_micros(1_000_000_000);
        let cost = Duration::from_millis(10);
        let at =
            |before: Duration, unit| is_early(end.saturating_sub(before), end, cost, 1.0, unit);
        assert!(!at(Duration::from_secs(1), 0.5));
        assert!(at(Duration::from_millis(6), 0.5));
        assert!(!at(Duration::from_millis(8), 0.5));
        assert!(at(Duration::from_millis(8), 0.1));
        assert!(
            !at(Duration::ZERO, 1.0),
            "the luckiest number is never early"
        );
        assert!(
            !is_early(end, end, cost, 0.0, 0.5),
            "beta of zero turns it off"
        );
        assert!(!is_early(end, end, Duration::ZERO, 1.0, 0.5));
        assert!(!is_early(end, end, cost, f64::NAN, 0.5));
    }
}
