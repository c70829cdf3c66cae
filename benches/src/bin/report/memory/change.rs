//! One governed change, against the least that has to be done for it.

use std::hint::black_box;

use anyhow::Result;
use benches::{Bench, PolicyDocument, PutPolicy};
use governance_core::Digest;
use tokio::runtime::Runtime;

use crate::{
    interleave::{Measure, Plan},
    outcome::Outcome,
};

pub(crate) fn measure(runtime: &Runtime, outcome: &mut Outcome) -> Result<()> {
    let bench = Bench::new()?;
    let state = PolicyDocument::sample();
    let mutation = PutPolicy::new(state.clone());
    let mut change = |runs: u32| {
        runtime.block_on(async {
            for _ in 0..runs {
                bench.change().await?;
            }
            Ok(())
        })
    };
    let mut floor = |runs: u32| {
        for _ in 0..runs {
            let encoded = rmp_serde::to_vec_named(black_box(&mutation))?;
            black_box(Digest::of(&encoded));
            black_box(black_box(&state).clone());
        }
        Ok(())
    };
    let measure = Measure::of(Plan::DEFAULT, &mut change, &mut floor)?;
    outcome.ratio("memory.change_over_floor", &measure, 10.0);

    const COUNTED: u32 = 1_000;
    let mut counted = Ok(());
    let allocations = allocation_counter::measure(|| counted = change(COUNTED));
    counted?;
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
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
