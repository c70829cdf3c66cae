//! Which records a listing has, and in which order.

use state_core::{
    Timestamp,
    process::{Listing, PageCursor, ProcessHeader, ProcessPage},
};

/// One page of a listing.
pub(super) fn page<'a>(
    records: impl Iterator<Item = &'a ProcessHeader>,
    listing: Listing<'_>,
    after: Option<&PageCursor>,
    size: usize,
    now: Timestamp,
) -> ProcessPage {
    let mut found: Vec<_> = records
        .filter_map(|header| Some((place(header, listing, now)?, header)))
        .filter(|(place, _)| after.is_none_or(|after| *place > (after.score, after.member.clone())))
        .collect();
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let more = found.len() > size;
    found.truncate(size);
    let next = found
        .last()
        .filter(|_| more)
        .map(|((score, member), _)| PageCursor {
            shard: 0,
            score: *score,
            member: member.clone(),
        });
    ProcessPage {
        items: found
            .into_iter()
            .map(|(_, header)| header.clone())
            .collect(),
        next,
        undecodable: Vec::new(),
    }
}

/// Where a record stands in a listing, if it is in it.
fn place(header: &ProcessHeader, listing: Listing<'_>, now: Timestamp) -> Option<(u64, String)> {
    let by_kind = || (0, format!("{}:{}", header.kind, header.id));
    let by_id = |score| (score, header.id.clone());
    let is_live = !header.status.is_ended();
    match listing {
        Listing::Active => is_live.then(by_kind),
        Listing::ByKind(kind) => (is_live && header.kind == kind).then(by_kind),
        Listing::Unclaimed => (is_live && header.lease_until.is_none()).then(|| by_id(0)),
        Listing::Orphans => {
            let until = header
                .lease_until
                .filter(|until| is_live && *until <= now)?;
            Some(by_id(until.as_micros()))
        }
        Listing::Ended => Some(by_id(header.ended?.as_micros())),
    }
}
