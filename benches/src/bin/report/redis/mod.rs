//! The provider in Redis.
//!
//! One runtime with one thread for everything that is timed, so that the server has a core for
//! itself on a machine of two; what disturbs or delays runs in threads of its own.

mod bounds;
mod bystander;
mod delay;
mod get;
mod inbox;
mod origin;
mod pages;
pub(crate) mod pairs;
pub(crate) mod place;
mod room;
mod stock;
mod throughput;
mod update;

use anyhow::Result;
use benches::Corpus;
use clap::{Args, ValueEnum};
use redis_client::redis;

use self::{place::Place, stock::Stock};
use crate::outcome::Outcome;

/// What of it is measured, and where.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Measure Redis on this server, not on one that is started for it. What is written there is
    /// removed at the end.
    #[arg(long)]
    redis_url: Option<String>,
    /// Measure only these parts of Redis.
    #[arg(long, value_delimiter = ',')]
    parts: Vec<Part>,
    /// Measure only these pages of Redis.
    #[arg(long, value_delimiter = ',')]
    cases: Vec<String>,
}

impl Choice {
    fn wants(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// The server somebody named.
    pub(crate) fn url(&self) -> Option<&str> {
        self.redis_url.as_deref()
    }
}

/// A part of what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Reading one request.
    Get,
    /// Pages of 50.
    Pages,
    /// What somebody else feels.
    Bystander,
    /// The inbox, against the origin's way.
    Origin,
    /// The inbox over 16 and 64 partitions.
    Partitions,
    /// What takes room.
    Room,
    /// One change.
    Update,
    /// Changes of 64 tasks.
    Throughput,
}

/// Requests of the small store that pages of the large one are compared with.
const SMALL: usize = 10_000;
/// The large store is so much larger than the one whose name says 100 000.
const MIDDLE: usize = 10;

pub(crate) fn measure(requests: usize, choice: &Choice, outcome: &mut Outcome) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let place = Place::open(choice.url()).await?;
        let measured = measure_on(&place, requests, choice, outcome).await;
        place.clean().await?;
        measured
    })
}

async fn measure_on(
    place: &Place,
    requests: usize,
    choice: &Choice,
    outcome: &mut Outcome,
) -> Result<()> {
    let wants = |part: Part| choice.wants(part);
    let reads = [
        Part::Get,
        Part::Pages,
        Part::Bystander,
        Part::Origin,
        Part::Partitions,
    ];
    if reads.into_iter().any(wants) {
        let large = Stock::fill(place, "large", requests, 1).await?;
        large.load.report(".of_pages", None, outcome);
        measure_reads(place, &large, requests, choice, outcome).await?;
    }
    if [Part::Room, Part::Update, Part::Throughput]
        .into_iter()
        .any(wants)
    {
        let lean = Stock::of(place, "lean", Corpus::lean(requests)?, 1).await?;
        lean.load.report("", Some(400.0), outcome);
        floor(&lean, outcome).await?;
        if wants(Part::Room) {
            room::measure(&lean, outcome).await?;
        }
        // These change what there is, so they come last.
        if wants(Part::Update) {
            update::measure(place, &lean, outcome).await?;
        }
        if wants(Part::Throughput) {
            throughput::measure(place, &lean, outcome).await?;
        }
    }
    Ok(())
}

async fn measure_reads(
    place: &Place,
    large: &Stock,
    requests: usize,
    choice: &Choice,
    outcome: &mut Outcome,
) -> Result<()> {
    let wants = |part: Part| choice.wants(part);
    let middle = (requests / MIDDLE).max(SMALL);
    floor(large, outcome).await?;
    if wants(Part::Get) {
        get::measure(large, outcome).await?;
    }
    if wants(Part::Pages) || wants(Part::Bystander) {
        let small = Stock::fill(place, "small", SMALL, 1).await?;
        let worst = pages::measure(large, &small, &choice.cases, outcome).await?;
        bystander::measure(place, large, worst, outcome).await?;
    }
    if wants(Part::Origin) || wants(Part::Partitions) {
        let of_middle = Stock::fill(place, "middle", middle, 1).await?;
        if wants(Part::Origin) {
            inbox::over_origin(place, &of_middle, "100k", 20.0, outcome).await?;
            inbox::over_origin(place, large, "1m", 400.0, outcome).await?;
        }
        let cuts = [(16, 1.6), (64, 2.5)];
        for (partitions, target) in cuts.into_iter().filter(|_| wants(Part::Partitions)) {
            let name = format!("p{partitions}");
            let cut = Stock::fill(place, &name, middle, partitions).await?;
            inbox::over_one(&cut, &of_middle, &name, target, outcome).await?;
        }
    }
    Ok(())
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
