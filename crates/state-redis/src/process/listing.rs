//! Listings: a range of ids, then their headers in one go.

use std::sync::LazyLock;

use futures_util::future::try_join_all;
use redis_client::{Key, Operation, Script, redis};
use state_core::{
    BackendError, Classified as _, ErrorKind,
    process::{InvalidCursor, Listing, PageCursor, ProcessError, ProcessHeader, ProcessPage},
};

use super::{keys::ShardKeys, record, store::Inner};
use crate::error::{backend, too_long};

static PAGE: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../../lua/process_page.lua")));

const NAME: &str = "process.list";

/// One page: shard after shard, until it is full.
pub(super) async fn page(
    inner: &Inner,
    listing: Listing<'_>,
    after: Option<&PageCursor>,
) -> Result<ProcessPage, ProcessError> {
    let size = inner.options.page_size;
    let mut page = ProcessPage {
        items: Vec::new(),
        next: None,
        undecodable: Vec::new(),
    };
    let first = after.map_or(0, |after| after.shard);
    let start = usize::try_from(first).map_err(|_| InvalidCursor)?;
    if start >= inner.shards.len() {
        return Err(InvalidCursor.into());
    }
    let mut room = size;
    for (shard, keys) in (first..).zip(&inner.shards[start..]) {
        let place = after.filter(|after| after.shard == shard && !after.member.is_empty());
        // One more tells whether there is another page.
        let mut found = members(inner, keys, listing, place, room + 1).await?;
        let more = found.len() > room;
        found.truncate(room);
        room -= found.len();
        headers(inner, keys, listing, &found, &mut page).await?;
        if more {
            // A full page that ends with the shard before begins the next one here.
            let (member, score) = found.pop().unwrap_or_default();
            page.next = Some(PageCursor {
                shard,
                score,
                member,
            });
            break;
        }
    }
    Ok(page)
}

/// Members behind a place with their scores, in order.
async fn members(
    inner: &Inner,
    keys: &ShardKeys,
    listing: Listing<'_>,
    place: Option<&PageCursor>,
    most: usize,
) -> Result<Vec<(String, u64)>, ProcessError> {
    let by_score = match listing {
        Listing::Unclaimed => Some((&keys.active, "0", "0")),
        Listing::Orphans => Some((&keys.active, "(0", "now")),
        Listing::Ended => Some((&keys.ended, "-inf", "+inf")),
        Listing::Active | Listing::ByKind(_) => None,
    };
    let Some((set, lowest, highest)) = by_score else {
        return by_name(inner, &keys.kinds, listing, place, most).await;
    };
    let call = PAGE
        .call()
        .key(set)
        .arg(lowest)
        .arg(highest)
        .arg(
            place
                .map(|place| place.score.to_string())
                .unwrap_or_default(),
        )
        .arg(place.map_or("", |place| place.member.as_str()))
        .arg(most);
    let found: Vec<String> = inner.client.invoke(&call).await.map_err(backend)?;
    let mut parts = found.into_iter();
    let mut members = Vec::new();
    while let (Some(member), Some(score)) = (parts.next(), parts.next()) {
        members.push((member, score.parse().unwrap_or_default()));
    }
    Ok(members)
}

async fn by_name(
    inner: &Inner,
    kinds: &Key,
    listing: Listing<'_>,
    place: Option<&PageCursor>,
    most: usize,
) -> Result<Vec<(String, u64)>, ProcessError> {
    let (lowest, highest) = match listing {
        // The byte after a colon ends the range of a kind.
        Listing::ByKind(kind) => (format!("[{kind}:"), format!("({kind};")),
        _ => ("-".to_owned(), "+".to_owned()),
    };
    let mut range = redis::cmd("ZRANGE");
    range
        .arg(kinds)
        .arg(place.map_or(lowest, |place| format!("({}", place.member)))
        .arg(highest)
        .arg("BYLEX")
        .arg("LIMIT")
        .arg(0)
        .arg(most);
    let found: Vec<String> = inner
        .client
        .query(Operation::read(NAME), kinds, &range)
        .await
        .map_err(backend)?;
    Ok(found.into_iter().map(|member| (member, 0)).collect())
}

/// Reads the headers of members; those that cannot be read are named.
async fn headers(
    inner: &Inner,
    keys: &ShardKeys,
    listing: Listing<'_>,
    members: &[(String, u64)],
    page: &mut ProcessPage,
) -> Result<(), ProcessError> {
    if members.is_empty() {
        return Ok(());
    }
    let is_by_name = matches!(listing, Listing::Active | Listing::ByKind(_));
    let ids: Vec<&str> = members
        .iter()
        .map(|(member, _)| match member.split_once(':') {
            Some((_, id)) if is_by_name => id,
            _ => member,
        })
        .collect();
    let records: Result<Vec<Key>, _> = ids.iter().map(|id| keys.record(id)).collect();
    let records = records.map_err(too_long(NAME))?;
    let commands = records.iter().map(record::header_command).collect();
    // The members are not empty, and all records of a shard share a slot.
    let together = inner
        .client
        .read_together(Operation::read(NAME), &records[0], commands);
    let headers: Vec<_> = match together.await.map_err(backend) {
        Ok(answers) => {
            let headers = ids.iter().zip(answers);
            headers
                .map(|(id, answer)| record::header(id, answer))
                .collect()
        }
        // One of them is of another type: its own fault, not the page's.
        Err(error) if error.kind() == ErrorKind::Unexpected => {
            one_by_one(inner, &ids, &records).await?
        }
        Err(error) => return Err(error.into()),
    };
    for (id, header) in ids.iter().zip(headers) {
        match header {
            Ok(Some(header)) => page.items.push(header),
            // An ended process may be gone between the two steps.
            Ok(None) if matches!(listing, Listing::Ended) => {}
            Ok(None) | Err(record::Unreadable) => page.undecodable.push((*id).to_owned()),
        }
    }
    Ok(())
}

/// Reads each header by itself, so that one that cannot be read does not hide the others.
async fn one_by_one(
    inner: &Inner,
    ids: &[&str],
    records: &[Key],
) -> Result<Vec<Result<Option<ProcessHeader>, record::Unreadable>>, BackendError> {
    let asked = ids.iter().zip(records).map(|(id, key)| async move {
        let (operation, command) = (Operation::read(NAME), record::header_command(key));
        let answer = inner.client.query::<redis::Value>(operation, key, &command);
        match answer.await.map_err(backend) {
            Ok(answer) => Ok(record::header(id, answer)),
            Err(error) if error.kind() == ErrorKind::Unexpected => Ok(Err(record::Unreadable)),
            Err(error) => Err(error),
        }
    });
    try_join_all(asked).await
}
