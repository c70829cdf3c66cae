//! What 64 tasks get done, by this library and by another.

use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;

use super::Work;
use crate::{
    interleave::{Measure, now},
    outcome::{Outcome, Target},
};

const TASKS: usize = 64;
const ROUNDS: usize = 31;

/// Measures both alternately, in rounds of 64 tasks that each do it so many times.
pub(super) async fn compare(
    name: &str,
    each: usize,
    ours: &Work,
    theirs: &Work,
    more: &str,
    outcome: &mut Outcome,
) -> Result<()> {
    let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
    // The first two rounds warm up.
    for number in 0..ROUNDS + 2 {
        let (first, second) = if number % 2 == 0 {
            let first = round(number, each, ours).await?;
            (first, round(number, each, theirs).await?)
        } else {
            let second = round(number, each, theirs).await?;
            (round(number, each, ours).await?, second)
        };
        if number > 1 {
            of_ours.push(first);
            of_theirs.push(second);
        }
    }
    let measure = Measure::of_windows(of_ours, of_theirs);
    let detail = format!(
        "{:.0} / {:.0} a second{more}",
        1e9 / measure.subject(),
        1e9 / measure.floor()
    );
    let ratio = 1.0 / measure.ratio();
    outcome.judge(name, ratio, Some(Target::AtLeast(1.0)), detail);
    Ok(())
}

/// Nanoseconds per call.
async fn round(number: usize, each: usize, work: &Work) -> Result<f64> {
    let start = now();
    let tasks = (0..TASKS).map(|task| {
        let work = Arc::clone(work);
        tokio::spawn(async move {
            for turn in 0..each {
                work(task, number * each + turn).await?;
            }
            anyhow::Ok(())
        })
    });
    for done in try_join_all(tasks).await? {
        done?;
    }
    Ok(start.elapsed().as_nanos() as f64 / (TASKS * each) as f64)
}
