//! A person's inbox: against the way of the system this one follows, and over partitions.

use std::time::Duration;

use anyhow::Result;
use benches::Case;

use super::{origin::Scan, pages::Listing, pairs::alternate, place::Place, stock::Stock};
use crate::{
    interleave::quantile,
    outcome::{Outcome, Target},
};

/// Every document is read so often; that takes seconds at full size.
const SCANS: usize = 3;
/// Pages between two of them.
const PAGES: usize = 100;

pub(crate) async fn over_origin(
    place: &Place,
    stock: &Stock,
    size: &str,
    target: f64,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut scan = Scan::prepare(place, stock, size).await?;
    let mut listing = Listing::new(stock, Case::Decidable).await?;
    let nanos = |time: Duration| time.as_nanos() as f64;
    let (mut scans, mut pages) = (Vec::new(), Vec::new());
    for _ in 0..SCANS {
        scans.push(nanos(scan.read().await?));
        for _ in 0..PAGES {
            pages.push(nanos(listing.page().await?));
        }
    }
    let (scan, page) = (quantile(scans, 0.5), quantile(pages, 0.5));
    outcome.judge(
        format!("redis.inbox_over_origin.{size}"),
        scan / page,
        Some(Target::AtLeast(target)),
        format!(
            "{:.1} ms / {:.2} us; {} requests",
            scan / 1e6,
            page / 1e3,
            stock.corpus.total()
        ),
    );
    Ok(())
}

pub(crate) async fn over_one(
    cut: &Stock,
    one: &Stock,
    name: &str,
    target: f64,
    outcome: &mut Outcome,
) -> Result<()> {
    let mut of_cut = Listing::new(cut, Case::Decidable).await?;
    let mut of_one = Listing::new(one, Case::Decidable).await?;
    let measure = alternate(
        16,
        async || of_cut.page().await,
        async || of_one.page().await,
    )
    .await?;
    outcome.compare(
        format!("redis.inbox.{name}_over_p1"),
        &measure,
        Some(target),
    );
    Ok(())
}
