//! What takes room, by kind of key.

use anyhow::Result;

use super::stock::Stock;
use crate::outcome::Outcome;

/// Tells how many bytes per request the keys of every kind take, as `MEMORY USAGE` tells them: with
/// their names, without the server's table of keys.
pub(crate) async fn measure(stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let requests = stock.corpus.total() as f64;
    for (kind, (bytes, keys)) in stock.kinds().await? {
        outcome.add(
            format!("redis.bytes_per_request.{kind}"),
            bytes / requests,
            None,
            format!("{keys} keys, {:.0} bytes each", bytes / keys as f64),
        );
    }
    Ok(())
}
