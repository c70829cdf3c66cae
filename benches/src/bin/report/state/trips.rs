//! Round trips, counted by the server.

use anyhow::{Context as _, Result};
use redis_client::redis;

use super::{Bare, Work};

const TIMES: usize = 100;

/// How often the server had to read from a connection for one call.
///
/// Calls are made one after another, so what is sent in one go is read in one go.
pub(super) async fn count(bare: &Bare, work: &Work) -> Result<f64> {
    // What is only done once: connections, scripts, what is there already.
    for turn in 0..8 {
        work(usize::MAX, turn).await?;
    }
    let before = reads(bare).await?;
    for turn in 0..TIMES {
        work(usize::MAX, 8 + turn).await?;
    }
    let after = reads(bare).await?;
    // One of the reads was the question itself.
    Ok((after - before - 1.0) / TIMES as f64)
}

async fn reads(bare: &Bare) -> Result<f64> {
    let mut info = redis::cmd("INFO");
    info.arg("stats");
    let info: String = info.query_async(&mut bare.connection.clone()).await?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("total_reads_processed:"));
    let count = line.context("a server of 7.0 or later tells its reads")?;
    Ok(count.trim().parse()?)
}
