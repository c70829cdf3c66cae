//! Reads the set of deadlines.

use futures_util::future::try_join;
use governance_core::{RequestId, Timestamp};
use redis_client::Operation;

use super::{place::DuePlace, source::Candidate};
use crate::{error::RedisError, partition::Partition, script::DUE_PAGE, shared::Shared};

const DUE: Operation = Operation::read("query_due");
const ATTEMPTS: usize = 8;

pub(super) struct Read {
    pub(super) entries: Vec<Candidate>,
    pub(super) is_end: bool,
}

/// Reads on behind a place. One round trip, however many share a deadline.
pub(super) async fn read(
    shared: &Shared,
    partition: &Partition,
    after: Option<DuePlace>,
    until: Option<Timestamp>,
    want: usize,
) -> Result<Read, RedisError> {
    let limit = want + want / 2;
    for _ in 0..ATTEMPTS {
        let fence = partition.fence();
        let call = DUE_PAGE.call().key(partition.keys.due(fence.active));
        let call = match after {
            None => call.arg("").arg(""),
            Some(place) => call
                .arg(score_text(place.due))
                .arg(&member(place, partition.number)[..]),
        };
        let until = until.map_or_else(|| "+inf".to_owned(), |until| until.as_micros().to_string());
        let call = call.arg(until).arg(limit);
        let found = async {
            let found: Vec<(Vec<u8>, f64)> = shared.invoke(&call).await?;
            Ok::<_, RedisError>(found)
        };
        let about = [partition.keys.fence.clone()];
        let (found, about) = try_join(found, shared.mget(DUE, partition, &about)).await?;
        if !shared.is_current(partition, fence, about.first().and_then(Option::as_ref))? {
            continue;
        }
        let is_end = found.len() < limit;
        let entries = found.iter().filter_map(|(member, score)| {
            let (ordinal, id) = member.split_first_chunk::<8>()?;
            let ordinal = u64::from_be_bytes(*ordinal);
            Some(Candidate {
                partition: partition.number,
                at: ordinal,
                ordinal,
                id: RequestId::from_bytes(id.try_into().ok()?).ok()?,
                stamp: 0,
                due: *score,
                decision: 0,
            })
        });
        return Ok(Read {
            entries: entries.collect(),
            is_end,
        });
    }
    Err(RedisError::Fenced)
}

/// The member behind which to go on. Partitions before that of the place are done with its
/// deadline, those after it have not begun with it.
fn member(place: DuePlace, partition: u16) -> Vec<u8> {
    match partition.cmp(&place.partition) {
        std::cmp::Ordering::Less => vec![0xff; 25],
        std::cmp::Ordering::Equal => place.member.to_vec(),
        std::cmp::Ordering::Greater => Vec::new(),
    }
}

/// A score with all its digits.
fn score_text(score: f64) -> String {
    format!("{score:?}")
}
