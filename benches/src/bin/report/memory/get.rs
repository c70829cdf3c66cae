//! Reading one request, against a look-up in a plain map.

use std::{collections::HashMap, hint::black_box, sync::Arc};

use anyhow::{Context as _, Result};
use governance_core::{MutationRequest, RequestId, RequestStore as _};
use parking_lot::RwLock;
use tokio::runtime::Runtime;

use super::stock::Stock;
use crate::{
    interleave::{Measure, Plan, now},
    outcome::Outcome,
};

/// Visits all places of a list in an order that has nothing to do with theirs.
struct Wander {
    at: usize,
    step: usize,
    len: usize,
}

impl Wander {
    fn new(len: usize, start: usize) -> Self {
        // Coprime to any length that is not a multiple of it, and far from small.
        Self {
            at: start % len,
            step: 1_000_003 % len,
            len,
        }
    }

    fn next(&mut self) -> usize {
        self.at = (self.at + self.step) % self.len;
        self.at
    }
}

pub(crate) fn measure(runtime: &Runtime, stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let requests = &stock.requests;
    let ids: Vec<RequestId> = requests.iter().map(|request| *request.id()).collect();
    let map: RwLock<HashMap<RequestId, Arc<MutationRequest>>> = RwLock::new(
        requests
            .iter()
            .map(|request| (*request.id(), Arc::clone(request)))
            .collect(),
    );
    // Apart from each other, so that no arm reads what the other has just brought near.
    let mut of_store = Wander::new(ids.len(), 0);
    let mut of_map = Wander::new(ids.len(), ids.len() / 2);
    let mut subject = |runs: u32| {
        let start = now();
        runtime.block_on(async {
            for _ in 0..runs {
                let request = stock.store.get(&ids[of_store.next()]).await?;
                black_box(request.context("a request is missing")?);
            }
            anyhow::Ok(())
        })?;
        Ok(start.elapsed())
    };
    let mut floor = |runs: u32| {
        let start = now();
        for _ in 0..runs {
            let request = map.read().get(&ids[of_map.next()]).map(Arc::clone);
            black_box(request.context("a request is missing")?);
        }
        Ok(start.elapsed())
    };
    let measure = Measure::of(Plan::DEFAULT, &mut subject, &mut floor)?;
    outcome.ratio("memory.get_over_hashmap", &measure, 2.0);
    Ok(())
}
