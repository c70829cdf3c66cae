//! Counts without reading documents, where the index alone can tell.

use futures_util::future::try_join_all;
use governance_core::{Count, Expr, RequestQuery, plan};

use super::{chunks, split::Search};
use crate::{error::RedisError, keys::CHUNK, partition::Partition, shared::Shared};

/// Answers of one count and partition. Beyond that it is a lower bound.
const MOST_READS: usize = 256;

/// The count, if the index decides the query; else none.
pub(crate) async fn count(
    shared: &Shared,
    query: &RequestQuery,
) -> Result<Option<Count>, RedisError> {
    let plan = plan(query);
    if !plan.is_exact() {
        return Ok(None);
    }
    if *plan.expr() == Expr::Nothing {
        return Ok(Some(Count::Exact(0)));
    }
    let search = Search::new(plan.expr());
    let parts = shared
        .partitions
        .iter()
        .map(|partition| part(shared, partition, &search));
    let parts = try_join_all(parts).await?;
    Ok(Some(parts.into_iter().fold(Count::Exact(0), Count::plus)))
}

async fn part(
    shared: &Shared,
    partition: &Partition,
    search: &Search,
) -> Result<Count, RedisError> {
    let step = chunks::at_once(search) as u64;
    let (mut next, mut counted) = (0, 0);
    for _ in 0..MOST_READS {
        let wanted: Vec<u64> = (next..next + step).collect();
        let answered = chunks::evaluate(shared, partition, search, &wanted).await?;
        counted += answered
            .chunks
            .iter()
            .map(|(_, bits)| bits.count())
            .sum::<u64>();
        next += step;
        if next * CHUNK >= answered.counters.ordinals {
            return Ok(Count::Exact(counted));
        }
    }
    Ok(Count::AtLeast(counted))
}
