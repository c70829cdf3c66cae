//! Measures two arms of a ratio alternately, so that both see the same machine.

use std::time::{Duration, Instant};

/// Does a piece of work so many times and tells how long that took, without what it had to get
/// ready.
pub(crate) type Arm<'a> = &'a mut dyn FnMut(u32) -> anyhow::Result<Duration>;

/// How long and how often to measure.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Windows of each arm.
    pub(crate) windows: usize,
    /// How long one window takes, about.
    pub(crate) window: Duration,
}

impl Plan {
    /// Short enough for a machine to be the same from one window to the next, and many enough for
    /// a disturbed window not to matter.
    pub(crate) const DEFAULT: Self = Self {
        windows: 300,
        window: Duration::from_millis(3),
    };
}

/// Two arms, measured alternately: time per run in each window, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Measure {
    subject: Vec<f64>,
    floor: Vec<f64>,
}

impl Measure {
    /// Measures what is judged (`subject`) against what it is compared with (`floor`).
    pub(crate) fn of(plan: Plan, subject: Arm<'_>, floor: Arm<'_>) -> anyhow::Result<Self> {
        let runs = [calibrate(plan, subject)?, calibrate(plan, floor)?];
        let mut measure = Self {
            subject: Vec::with_capacity(plan.windows),
            floor: Vec::with_capacity(plan.windows),
        };
        for window in 0..plan.windows {
            // Neither arm is always the one that runs on warm caches.
            if window % 2 == 0 {
                measure.subject.push(time(runs[0], subject)?);
                measure.floor.push(time(runs[1], floor)?);
            } else {
                measure.floor.push(time(runs[1], floor)?);
                measure.subject.push(time(runs[0], subject)?);
            }
        }
        Ok(measure)
    }

    /// Of windows that were measured in pairs already.
    pub(crate) const fn of_windows(subject: Vec<f64>, floor: Vec<f64>) -> Self {
        Self { subject, floor }
    }

    /// The median of the ratios of neighbouring windows.
    pub(crate) fn ratio(&self) -> f64 {
        let ratios = self.subject.iter().zip(&self.floor).map(|(s, f)| s / f);
        quantile(ratios.collect(), 0.5)
    }

    /// The ratio of the undisturbed windows: those that 90 % of an arm are slower than.
    pub(crate) fn best_ratio(&self) -> f64 {
        quantile(self.subject.clone(), 0.1) / quantile(self.floor.clone(), 0.1)
    }

    /// The median time of the arm that is judged, in nanoseconds.
    pub(crate) fn subject(&self) -> f64 {
        quantile(self.subject.clone(), 0.5)
    }

    /// The median time of the arm it is compared with, in nanoseconds.
    pub(crate) fn floor(&self) -> f64 {
        quantile(self.floor.clone(), 0.5)
    }
}

/// The value that a share of the values does not exceed.
pub(crate) fn quantile(mut values: Vec<f64>, share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    let at = (share * last as f64).ceil() as usize;
    values.get(at.min(last)).copied().unwrap_or(f64::NAN)
}

/// Runs of an arm that take about one window.
fn calibrate(plan: Plan, arm: Arm<'_>) -> anyhow::Result<u32> {
    let mut runs = 1_u32;
    loop {
        let nanos = time(runs, arm)? * f64::from(runs);
        let share = plan.window.as_secs_f64() * 1e9 / nanos.max(1.0);
        if share <= 2.0 || runs > 1 << 24 {
            let runs = (f64::from(runs) * share) as u32;
            return Ok(runs.max(1));
        }
        runs *= 2;
    }
}

fn time(runs: u32, arm: Arm<'_>) -> anyhow::Result<f64> {
    let mut taken = Ok(Duration::ZERO);
    // Counting allocations costs time.
    allocation_counter::opt_out(|| taken = arm(runs));
    let nanos = taken?.as_nanos() as f64;
    Ok(nanos / f64::from(runs))
}

/// Now, for measuring.
pub(crate) fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "measuring is what this is for")]
    Instant::now()
}
