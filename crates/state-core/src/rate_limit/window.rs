//! Windows, in whole microseconds. All comparisons are of products, so nothing is rounded.

use std::time::Duration;

use crate::rate_limit::{Count, Counter, Limit, Verdict};

/// Where a call falls into the windows.
struct View {
    index: u64,
    elapsed: u64,
    count: u64,
    before: u64,
    slides: bool,
}

fn view(limit: Limit, stored: Option<Counter>, now: u64, slides: bool) -> View {
    let period = limit.period_micros();
    let index = now / period;
    let (count, before) = match stored {
        Some(Counter::Window {
            index: known,
            count,
            before,
        }) if known == index => (count, before),
        Some(Counter::Window {
            index: known,
            count,
            ..
        }) if known + 1 == index => (0, count),
        _ => (0, 0),
    };
    View {
        index,
        elapsed: now % period,
        count,
        before: if slides { before } else { 0 },
        slides,
    }
}

pub(super) fn count(
    limit: Limit,
    stored: Option<Counter>,
    now: u64,
    cost: u64,
    takes: bool,
    slides: bool,
) -> (Count, Option<Counter>) {
    let (most, period) = (limit.quantity(), limit.period_micros());
    let mut view = view(limit, stored, now, slides);
    let verdict = if cost > most {
        Verdict::Never
    } else if view.used(period) + cost * period > most * period {
        Verdict::Denied
    } else {
        Verdict::Allowed
    };
    let mut retry = 0;
    let mut stored = None;
    if verdict == Verdict::Denied {
        retry = view.wait(most, period, cost);
    }
    if verdict == Verdict::Allowed && takes && cost > 0 {
        view.count += cost;
        stored = Some(Counter::Window {
            index: view.index,
            count: view.count,
            before: view.before,
        });
    }
    let left = period - view.elapsed;
    let reset = match (view.count, view.before) {
        (0, 0) => 0,
        (0, _) => left,
        _ if slides => left + period,
        _ => left,
    };
    let count = Count {
        verdict,
        remaining: (most * period).saturating_sub(view.used(period)) / period,
        retry_after: Duration::from_micros(retry),
        reset_after: Duration::from_micros(reset),
    };
    (count, stored)
}

impl View {
    /// How much is used, times the period.
    const fn used(&self, period: u64) -> u64 {
        self.before * (period - self.elapsed) + self.count * period
    }

    /// How long until the cost fits, if nobody else comes.
    fn wait(&self, most: u64, period: u64, cost: u64) -> u64 {
        // How far into a window its predecessor must have gone out of view.
        let into = |room: u64, before: u64| period.saturating_sub(room * period / before.max(1));
        let left = period - self.elapsed;
        if self.count + cost > most {
            // Not in this window. In the next one this one is the predecessor.
            return left
                + if self.slides {
                    into(most - cost, self.count)
                } else {
                    0
                };
        }
        into(most - cost - self.count, self.before)
            .saturating_sub(self.elapsed)
            .min(left)
    }
}

pub(super) fn refund(limit: Limit, stored: Counter, now: u64, cost: u64) -> Option<Counter> {
    let Counter::Window {
        index,
        count,
        before,
    } = stored
    else {
        return None;
    };
    // What was had in an earlier window is not given back.
    let cost = if index == now / limit.period_micros() {
        cost
    } else {
        0
    };
    let count = count.saturating_sub(cost);
    (count > 0 || before > 0).then_some(Counter::Window {
        index,
        count,
        before,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: u64 = 1_000_000;
    const START: u64 = 1_767_225_600 * PERIOD;

    fn limit(quantity: u64) -> Limit {
        Limit::new(quantity, Duration::from_micros(PERIOD)).unwrap()
    }

    fn take(stored: &mut Option<Counter>, now: u64, cost: u64, slides: bool) -> Count {
        let (count, next) = count(limit(10), *stored, now, cost, true, slides);
        *stored = next.or(*stored);
        count
    }

    #[test]
    fn fixed_windows_begin_anew() {
        let mut stored = None;
        assert_eq!(take(&mut stored, START, 10, false).remaining, 0);
        let denied = take(&mut stored, START + 300_000, 1, false);
        assert_eq!(denied.verdict, Verdict::Denied);
        assert_eq!(denied.retry_after, Duration::from_micros(700_000));
        let next = take(&mut stored, START + PERIOD, 1, false);
        assert_eq!((next.verdict, next.remaining), (Verdict::Allowed, 9));
    }

    #[test]
    fn sliding_windows_forget_evenly() {
        let mut stored = None;
        take(&mut stored, START + 900_000, 10, true);
        let half = START + PERIOD + 500_000;
        let stand = count(limit(10), stored, half, 0, false, true).0;
        assert_eq!(stand.remaining, 5);
        assert_eq!(take(&mut stored, half, 6, true).verdict, Verdict::Denied);
        assert_eq!(take(&mut stored, half, 5, true).remaining, 0);
    }

    #[test]
    fn the_wait_is_exact() {
        for first in 1..=10 {
            for cost in 1..=10 {
                for offset in [0, 1, 250_000, 999_999] {
                    for slides in [false, true] {
                        let mut stored = None;
                        take(&mut stored, START + offset, first, slides);
                        let now = START + offset + 400_000;
                        let (stand, _) = count(limit(10), stored, now, cost, true, slides);
                        if stand.verdict != Verdict::Denied {
                            continue;
                        }
                        let wait = u64::try_from(stand.retry_after.as_micros()).unwrap();
                        let at = |now| count(limit(10), stored, now, cost, true, slides).0.verdict;
                        assert_eq!(at(now + wait), Verdict::Allowed, "{first} {cost} {offset}");
                        assert_eq!(
                            at(now + wait - 1),
                            Verdict::Denied,
                            "{first} {cost} {offset}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn refunds_stay_in_their_window() {
        let stored = Counter::Window {
            index: START / PERIOD,
            count: 3,
            before: 0,
        };
        let less = refund(limit(10), stored, START, 2);
        assert!(matches!(less, Some(Counter::Window { count: 1, .. })));
        assert_eq!(refund(limit(10), stored, START, 3), None);
        assert_eq!(refund(limit(10), stored, START + PERIOD, 3), Some(stored));
    }
}
