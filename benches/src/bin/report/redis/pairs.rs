//! Measures single calls of two arms in turn.

use std::time::Duration;

use anyhow::Result;

use crate::interleave::{Measure, now, quantile};

/// Windows of each arm.
const WINDOWS: usize = 60;

/// Measures two arms alternately, in windows of so many calls: the median call of each window.
///
/// An arm tells itself how long a call took, so what it has to get ready is not counted.
pub(crate) async fn alternate(
    calls: usize,
    mut subject: impl AsyncFnMut() -> Result<Duration>,
    mut floor: impl AsyncFnMut() -> Result<Duration>,
) -> Result<Measure> {
    let (mut of_subject, mut of_floor) = (Vec::new(), Vec::new());
    // One window of each is not counted: it opens connections and fills caches.
    for window in 0..=WINDOWS {
        let (first, second);
        if window % 2 == 0 {
            first = median(calls, &mut subject).await?;
            second = median(calls, &mut floor).await?;
        } else {
            second = median(calls, &mut floor).await?;
            first = median(calls, &mut subject).await?;
        }
        if window > 0 {
            of_subject.push(first);
            of_floor.push(second);
        }
    }
    Ok(Measure::of_windows(of_subject, of_floor))
}

async fn median(calls: usize, arm: &mut impl AsyncFnMut() -> Result<Duration>) -> Result<f64> {
    let mut nanos = Vec::with_capacity(calls);
    for _ in 0..calls {
        nanos.push(arm().await?.as_nanos() as f64);
    }
    Ok(quantile(nanos, 0.5))
}

/// How long each of so many calls took, in nanoseconds.
pub(crate) async fn times<T>(
    calls: usize,
    arm: &mut impl AsyncFnMut() -> Result<T>,
) -> Result<Vec<f64>> {
    let mut nanos = Vec::with_capacity(calls);
    for _ in 0..calls {
        let start = now();
        std::hint::black_box(arm().await?);
        nanos.push(start.elapsed().as_nanos() as f64);
    }
    Ok(nanos)
}

/// How long one piece of work took.
pub(crate) async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<Duration> {
    let start = now();
    std::hint::black_box(work.await?);
    Ok(start.elapsed())
}
