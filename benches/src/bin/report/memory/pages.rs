//! Pages of 50, at full size against 10 000 requests.

use std::{hint::black_box, time::Duration};

use anyhow::{Context as _, Result};
use benches::Case;
use governance_core::{PageRequest, RequestQueries as _, RequestQuery};
use governance_memory::MemoryStore;
use tokio::runtime::Runtime;

use super::stock::Stock;
use crate::{
    interleave::{Measure, Plan, now, quantile},
    outcome::Outcome,
};

const LIMIT: u16 = 50;

/// Pages from all over a listing, visited in turn.
struct Listing<'a> {
    runtime: &'a Runtime,
    store: &'a MemoryStore,
    query: RequestQuery,
    pages: Vec<PageRequest>,
    hits: usize,
    next: usize,
    nanos: Vec<f64>,
}

impl<'a> Listing<'a> {
    const PAGES: usize = 64;
    /// Calls of a round: each page many times.
    const ROUND: usize = 1_000;

    fn new(runtime: &'a Runtime, stock: &'a Stock, case: Case) -> Result<Self> {
        let (store, query) = (&stock.store, case.query()?);
        let mut pages = vec![PageRequest::first(LIMIT)?];
        let mut hits = 0;
        loop {
            let page = pages.last().context("there is a first page")?;
            let found = runtime.block_on(store.requests(&query, page))?;
            hits += found.items.len();
            match found.next {
                Some(cursor) => pages.push(PageRequest::first(LIMIT)?.after(cursor)),
                None => break,
            }
        }
        let every = pages.len().div_ceil(Self::PAGES);
        let pages: Vec<_> = pages.into_iter().step_by(every).collect();
        Ok(Self {
            runtime,
            store,
            query,
            pages,
            hits,
            next: 0,
            nanos: Vec::new(),
        })
    }

    /// The p99 of the least disturbed round. A shared machine takes the processor away for longer
    /// than any page takes, and a busy one does so in more than one call of a hundred.
    fn undisturbed_p99(&self) -> f64 {
        self.nanos
            .chunks_exact(Self::ROUND.min(self.nanos.len()))
            .map(|round| quantile(round.to_vec(), 0.99))
            .fold(f64::INFINITY, f64::min)
    }

    fn read(&mut self, runs: u32) -> Result<Duration> {
        let begin = now();
        self.runtime.block_on(async {
            for _ in 0..runs {
                let page = &self.pages[self.next % self.pages.len()];
                self.next += 1;
                let start = now();
                black_box(self.store.requests(&self.query, page).await?);
                self.nanos.push(start.elapsed().as_nanos() as f64);
            }
            anyhow::Ok(())
        })?;
        Ok(begin.elapsed())
    }
}

pub(crate) fn measure(
    runtime: &Runtime,
    large: &Stock,
    small: &Stock,
    outcome: &mut Outcome,
) -> Result<()> {
    for case in Case::ALL {
        let mut at_large = Listing::new(runtime, large, case)?;
        let mut at_small = Listing::new(runtime, small, case)?;
        let measure = Measure::of(
            Plan::DEFAULT,
            &mut |runs| at_large.read(runs),
            &mut |runs| at_small.read(runs),
        )?;
        let name = case.as_str();
        outcome.ratio(format!("memory.page.{name}.1m_over_10k"), &measure, 3.0);
        outcome.add(
            format!("memory.page.{name}.p99_us"),
            at_large.undisturbed_p99() / 1e3,
            Some(300.0),
            format!(
                "{:.2} us over all; {} hits, {} at 10k",
                quantile(at_large.nanos, 0.99) / 1e3,
                at_large.hits,
                at_small.hits,
            ),
        );
    }
    Ok(())
}
