//! The provider in memory.

mod change;
mod get;
mod pages;
mod stock;

use crate::outcome::Outcome;

/// Requests of the small store that pages of the large one are compared with.
const SMALL: usize = 10_000;

pub(crate) fn measure(requests: usize, outcome: &mut Outcome) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    change::measure(&runtime, outcome)?;
    let small = stock::Stock::fill(&runtime, SMALL)?;
    let large = stock::Stock::fill(&runtime, requests)?;
    get::measure(&runtime, &large, outcome)?;
    pages::measure(&runtime, &large, &small, outcome)?;
    large.report(outcome);
    Ok(())
}
