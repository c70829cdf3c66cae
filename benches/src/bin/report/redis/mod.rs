//! The provider in Redis.
//!
//! One runtime with one thread for everything that is timed, so that the server has a core for
//! itself on a machine of two; what disturbs or delays runs in threads of its own.

mod bystander;
mod delay;
mod get;
mod inbox;
mod origin;
mod pages;
mod pairs;
mod place;
mod stock;
mod throughput;
mod update;

use anyhow::Result;
use redis_client::redis;

use self::{
    place::Place,
    stock::{Load, Stock},
};
use crate::outcome::Outcome;

/// Requests of the small store that pages of the large one are compared with.
const SMALL: usize = 10_000;
/// The large store is so much larger than the one whose name says 100 000.
const MIDDLE: usize = 10;

pub(crate) fn measure(requests: usize, url: Option<&str>, outcome: &mut Outcome) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let place = Place::open(url).await?;
        let measured = measure_on(&place, requests, outcome).await;
        place.clean().await?;
        measured
    })
}

async fn measure_on(place: &Place, requests: usize, outcome: &mut Outcome) -> Result<()> {
    let middle = (requests / MIDDLE).max(SMALL);
    let small = Stock::fill(place, "small", SMALL, 1).await?;
    let of_middle = Stock::fill(place, "middle", middle, 1).await?;
    let large = Stock::fill(place, "large", requests, 1).await?;
    outcome.add(
        "redis.fill_s",
        large.load.seconds,
        None,
        format!(
            "{} requests by {} tasks, {:.0} a second",
            large.load.requests,
            Load::TASKS,
            large.load.requests as f64 / large.load.seconds
        ),
    );
    large.load.report(outcome);
    floor(&large, outcome).await?;
    get::measure(&large, outcome).await?;
    let worst = pages::measure(&large, &small, outcome).await?;
    bystander::measure(place, &large, worst, outcome).await?;
    inbox::over_origin(place, &of_middle, "100k", 20.0, outcome).await?;
    inbox::over_origin(place, &large, "1m", 400.0, outcome).await?;
    for (partitions, target) in [(16, 1.6), (64, 2.5)] {
        let name = format!("p{partitions}");
        let cut = Stock::fill(place, &name, middle, partitions).await?;
        inbox::over_one(&cut, &of_middle, &name, target, outcome).await?;
    }
    update::measure(place, &large, outcome).await?;
    throughput::measure(place, &large, outcome).await
}

/// What any command takes.
async fn floor(stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let mut ping = async || stock.command(&redis::cmd("PING")).await;
    let times = pairs::times(2_000, &mut ping).await?;
    let p50 = crate::interleave::quantile(times, 0.5) / 1e3;
    outcome.add(
        "redis.ping_us",
        p50,
        None,
        "one PING by the same client, p50",
    );
    Ok(())
}
