//! One governed change, against the least that has to be done for it.

use std::hint::black_box;

use anyhow::Result;
use benches::{Bench, PolicyDocument, PutPolicy};
use governance_core::Digest;
use tokio::runtime::Runtime;

use crate::{
    interleave::{Measure, Plan, now},
    outcome::Outcome,
};

pub(crate) fn measure(runtime: &Runtime, outcome: &mut Outcome) -> Result<()> {
    let bench = Bench::new()?;
    let state = PolicyDocument::sample();
    let mutation = PutPolicy::new(state.clone());
    let windows = |purged: bool, runs: u32| {
        // What callers hand in is made by them.
        let puts: Vec<PutPolicy> = (0..runs).map(|_| bench.put()).collect();
        let mut made = Vec::with_capacity(puts.len());
        runtime.block_on(async {
            let start = now();
            for put in puts {
                made.push(bench.change(put).await?);
            }
            let elapsed = start.elapsed();
            if purged {
                for id in &made {
                    bench.purge(id).await?;
                }
            }
            Ok(elapsed)
        })
    };
    let mut change = |runs| windows(true, runs);
    let mut growing = |runs| windows(false, runs);
    let mut floor = |runs: u32| {
        let start = now();
        for _ in 0..runs {
            let encoded = rmp_serde::to_vec_named(black_box(&mutation))?;
            black_box(Digest::of(&encoded));
            black_box(black_box(&state).clone());
        }
        Ok(start.elapsed())
    };
    let measure = Measure::of(Plan::DEFAULT, &mut change, &mut floor)?;
    outcome.ratio("memory.change_over_floor", &measure, 10.0);
    let measure = Measure::of(Plan::DEFAULT, &mut growing, &mut floor)?;
    outcome.compare("memory.change_over_floor.growing", &measure, None);

    const COUNTED: u32 = 1_000;
    let mut counted = Ok(());
    let mut puts: Vec<PutPolicy> = (0..COUNTED).map(|_| bench.put()).collect();
    let allocations = allocation_counter::measure(|| {
        counted = runtime.block_on(async {
            for put in puts.drain(..) {
                bench.change(put).await?;
            }
            anyhow::Ok(())
        });
    });
    counted?;
    let each = |total: u64| total as f64 / f64::from(COUNTED);
    outcome.add(
        "memory.change_allocations",
        each(allocations.count_total),
        None,
        format!(
            "{:.0} bytes; the payload takes {} bytes",
            each(allocations.bytes_total),
            rmp_serde::to_vec_named(&mutation)?.len(),
        ),
    );
    Ok(())
}
