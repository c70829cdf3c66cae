//! What 64 tasks get done, by this library and by another.

use std::sync::Arc;

use anyhow::Result;
use futures_util::future::try_join_all;

use super::{Bare, Work, trips};
use crate::{
    interleave::{Measure, now},
    outcome::{Outcome, Target},
};

const TASKS: usize = 64;

/// The same work done by this library and by another.
pub(super) struct Rivals {
    pub(super) ours: Work,
    pub(super) theirs: Work,
    /// How often each task does it in a round.
    pub(super) each: usize,
    /// Rounds of both.
    pub(super) rounds: usize,
}

impl Rivals {
    /// Work that takes so little that each task does it so often.
    pub(super) const fn new(ours: Work, theirs: Work, each: usize) -> Self {
        Self {
            ours,
            theirs,
            each,
            rounds: 31,
        }
    }

    /// Measures both alternately, in rounds of 64 tasks, and counts their round trips.
    ///
    /// Whoever needs fewer round trips is ahead wherever the server is farther away than here.
    pub(super) async fn over_redis(
        &self,
        name: &str,
        bare: &Bare,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let ours = trips::count(bare, &self.ours).await?;
        let theirs = trips::count(bare, &self.theirs).await?;
        let target = (ours > theirs - 0.5).then_some(Target::AtLeast(1.0));
        let more = format!(", {ours:.1} / {theirs:.1} round trips");
        self.compare(name, target, &more, outcome).await
    }

    /// Measures both alternately where neither asks a server.
    pub(super) async fn in_memory(&self, name: &str, outcome: &mut Outcome) -> Result<()> {
        let target = Some(Target::AtLeast(1.0));
        self.compare(name, target, "", outcome).await
    }

    async fn compare(
        &self,
        name: &str,
        target: Option<Target>,
        more: &str,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let (mut of_ours, mut of_theirs) = (Vec::new(), Vec::new());
        // The first two rounds warm up.
        for number in 0..self.rounds + 2 {
            let (ours, theirs) = if number % 2 == 0 {
                let ours = self.round(number, &self.ours).await?;
                (ours, self.round(number, &self.theirs).await?)
            } else {
                let theirs = self.round(number, &self.theirs).await?;
                (self.round(number, &self.ours).await?, theirs)
            };
            if number > 1 {
                of_ours.push(ours);
                of_theirs.push(theirs);
            }
        }
        let measure = Measure::of_windows(of_ours, of_theirs);
        let detail = format!(
            "{:.0} / {:.0} a second{more}",
            1e9 / measure.subject(),
            1e9 / measure.floor()
        );
        outcome.judge(name, 1.0 / measure.ratio(), target, detail);
        Ok(())
    }

    /// Nanoseconds per call.
    async fn round(&self, number: usize, work: &Work) -> Result<f64> {
        let each = self.each;
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
}
