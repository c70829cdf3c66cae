//! The generic cell rate algorithm in whole microseconds, as a virtual scheduling queue (ITU-T
//! I.371, annex A).

use std::time::Duration;

use crate::rate_limit::{Count, Counter, Limit, Verdict};

// See `count` of the rules.
#[inline(always)]
pub(super) fn count(
    limit: Limit,
    stored: Option<Counter>,
    now: u64,
    cost: u64,
    takes: bool,
) -> (Count, Option<Counter>) {
    let emission = limit.emission();
    let window = limit.at_once() * emission;
    let due = match stored {
        Some(Counter::Gcra { due }) => due.max(now),
        _ => now,
    };
    if cost > limit.at_once() {
        return (stand(Verdict::Never, due, now, window, emission, 0), None);
    }
    let next = due + cost * emission;
    let missing = next.saturating_sub(now + window);
    if missing > 0 {
        return (
            stand(Verdict::Denied, due, now, window, emission, missing),
            None,
        );
    }
    let (due, stored) = if takes && cost > 0 {
        (next, Some(Counter::Gcra { due: next }))
    } else {
        (due, None)
    };
    (
        stand(Verdict::Allowed, due, now, window, emission, 0),
        stored,
    )
}

#[inline(always)]
const fn stand(
    verdict: Verdict,
    due: u64,
    now: u64,
    window: u64,
    emission: u64,
    missing: u64,
) -> Count {
    Count {
        verdict,
        // A limit that was made smaller may be overdrawn.
        remaining: (now + window).saturating_sub(due) / emission,
        retry_after: Duration::from_micros(missing),
        reset_after: Duration::from_micros(due - now),
    }
}

pub(super) fn refund(limit: Limit, stored: Counter, now: u64, cost: u64) -> Option<Counter> {
    let Counter::Gcra { due } = stored else {
        return None;
    };
    let due = due.saturating_sub(cost.saturating_mul(limit.emission()));
    (due > now).then_some(Counter::Gcra { due })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600_000_000;

    fn limit(quantity: u64, burst: u64) -> Limit {
        let limit = Limit::new(quantity, Duration::from_secs(1)).unwrap();
        limit.burst(burst).unwrap()
    }

    #[test]
    fn n_rl_1_ten_of_ten_count_down_to_zero_and_then_the_wait_is_exact() {
        let limit = limit(10, 10);
        let mut stored = None;
        for remaining in (0..10).rev() {
            let (count, next) = count(limit, stored, NOW, 1, true);
            assert_eq!(
                (count.verdict, count.remaining),
                (Verdict::Allowed, remaining)
            );
            stored = next;
        }
        let (denied, nothing) = count(limit, stored, NOW, 1, true);
        assert_eq!((denied.verdict, nothing), (Verdict::Denied, None));
        assert_eq!(denied.retry_after, Duration::from_millis(100));
        assert_eq!(denied.reset_after, Duration::from_secs(1));
        let early = count(limit, stored, NOW + 99_999, 1, true).0;
        assert_eq!(early.retry_after, Duration::from_micros(1));
        let in_time = count(limit, stored, NOW + 100_000, 1, true).0;
        assert_eq!(in_time.verdict, Verdict::Allowed);
    }

    #[test]
    fn n_rl_2_more_than_the_burst_never_fits() {
        let (never, nothing) = count(limit(10, 5), None, NOW, 6, true);
        assert_eq!((never.verdict, nothing), (Verdict::Never, None));
        assert_eq!(never.remaining, 5);
        let (never, _) = count(limit(10, 5), None, NOW, u64::MAX, true);
        assert_eq!(never.verdict, Verdict::Never);
    }

    #[test]
    fn looking_costs_nothing() {
        let (stand, nothing) = count(limit(10, 5), None, NOW, 0, true);
        assert_eq!((stand.remaining, nothing), (5, None));
    }

    #[test]
    fn a_smaller_limit_is_not_overdrawn_below_zero() {
        let stored = Some(Counter::Gcra {
            due: NOW + 5_000_000,
        });
        let (count, _) = count(limit(10, 5), stored, NOW, 1, true);
        assert_eq!((count.verdict, count.remaining), (Verdict::Denied, 0));
    }

    #[test]
    fn refunds_do_not_go_below_nothing() {
        let limit = limit(10, 10);
        let stored = Counter::Gcra { due: NOW + 300_000 };
        let left = refund(limit, stored, NOW, 1);
        assert_eq!(left, Some(Counter::Gcra { due: NOW + 200_000 }));
        assert_eq!(refund(limit, stored, NOW, 3), None);
        assert_eq!(refund(limit, stored, NOW, u64::MAX), None);
    }
}
