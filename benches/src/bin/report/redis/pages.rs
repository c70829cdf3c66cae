//! Pages of 50, against `MGET` of the same documents and against themselves at 10 000 requests.

use std::{hint::black_box, time::Duration};

use anyhow::{Context as _, Result};
use benches::Case;
use governance_core::{PageRequest, RequestQueries as _, RequestQuery};
use redis_client::redis;

use super::{
    pairs::{alternate, timed},
    stock::Stock,
};
use crate::{interleave::Measure, outcome::Outcome};

const LIMIT: u16 = 50;

/// Pages from all over a listing, visited in turn.
pub(crate) struct Listing<'a> {
    stock: &'a Stock,
    query: RequestQuery,
    pages: Vec<PageRequest>,
    hits: usize,
    next: usize,
    /// `MGET`s of 50 documents each: those of the pages, and others where a page has fewer.
    floors: Vec<redis::Cmd>,
}

impl<'a> Listing<'a> {
    const PAGES: usize = 64;

    pub(crate) async fn new(stock: &'a Stock, case: Case) -> Result<Self> {
        let query = case.query()?;
        let mut listing = Self {
            stock,
            query,
            pages: vec![PageRequest::first(LIMIT)?],
            hits: 0,
            next: 0,
            floors: Vec::new(),
        };
        let long = PageRequest::first(PageRequest::MAX_LIMIT)?;
        let mut page = long.clone();
        loop {
            let found = stock.store.requests(&listing.query, &page).await?;
            listing.hits += found.items.len();
            let Some(cursor) = found.next else { break };
            // The last page may be a short one.
            if found.items.len() == usize::from(PageRequest::MAX_LIMIT) {
                listing
                    .pages
                    .push(PageRequest::first(LIMIT)?.after(cursor.clone()));
            }
            page = long.clone().after(cursor);
        }
        let every = listing.pages.len().div_ceil(Self::PAGES);
        listing.pages = listing.pages.into_iter().step_by(every).collect();
        let mut others = (1..).map(|number| stock.corpus.request(number * 17 % 9_973 + 1));
        for page in &listing.pages {
            let found = stock.store.requests(&listing.query, page).await?;
            let mut keys: Vec<_> = found
                .items
                .iter()
                .map(|item| stock.key(item.id()))
                .collect();
            while keys.len() < usize::from(LIMIT) {
                let other = others.next().context("there are more")??;
                keys.push(stock.key(other.id()));
            }
            let mut mget = redis::cmd("MGET");
            mget.arg(keys);
            listing.floors.push(mget);
        }
        Ok(listing)
    }

    /// Reads the next page until it is full or nothing is left.
    pub(crate) async fn page(&mut self) -> Result<Duration> {
        let mut page = self.pages[self.next % self.pages.len()].clone();
        self.next += 1;
        timed(async {
            let mut items = 0;
            loop {
                let found = self.stock.store.requests(&self.query, &page).await?;
                items += found.items.len();
                match found.next {
                    Some(cursor) if items < usize::from(LIMIT) => page = page.after(cursor),
                    _ => break,
                }
                black_box(&found.items);
            }
            Ok(items)
        })
        .await
    }

    /// Reads documents of the next page by their keys.
    pub(crate) async fn floor(&mut self) -> Result<Duration> {
        let mget = &self.floors[self.next % self.floors.len()];
        self.next += 1;
        timed(async {
            let documents: Vec<Vec<u8>> = self.stock.query(mget).await?;
            Ok(documents)
        })
        .await
    }
}

/// Measures all cases. Returns the slowest.
pub(crate) async fn measure(
    large: &Stock,
    small: &Stock,
    cases: &[String],
    outcome: &mut Outcome,
) -> Result<Case> {
    let mut worst = (Case::Decidable, 0.0);
    for case in Case::ALL {
        let name = case.as_str();
        if !cases.is_empty() && !cases.iter().any(|case| case == name) {
            continue;
        }
        let mut page = Listing::new(large, case).await?;
        let mut floor = Listing::new(large, case).await?;
        let measure =
            alternate(16, async || page.page().await, async || floor.floor().await).await?;
        let target = if case == Case::Decidable { 2.0 } else { 6.0 };
        outcome.compare(
            format!("redis.page.{name}.over_mget"),
            &measure,
            Some(target),
        );
        if measure.subject() > worst.1 {
            worst = (case, measure.subject());
        }
        let mut at_small = Listing::new(small, case).await?;
        let hits = (page.hits, at_small.hits);
        let measure = alternate(
            16,
            async || page.page().await,
            async || at_small.page().await,
        )
        .await?;
        report_sizes(name, &measure, hits, outcome);
    }
    Ok(worst.0)
}

fn report_sizes(name: &str, measure: &Measure, hits: (usize, usize), outcome: &mut Outcome) {
    outcome.compare_with(
        format!("redis.page.{name}.1m_over_10k"),
        measure,
        Some(2.0),
        &format!("; {} hits, {} at 10k", hits.0, hits.1),
    );
}
