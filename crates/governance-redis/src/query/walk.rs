//! Fills a page: merges the partitions, fetches what is next, lets the evaluator judge it.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use futures_util::future::{join, try_join_all};
use governance_core::{
    Cursor, Digest, Dimension, Expr, MutationRequest, Order, Page, PageRequest, RequestId,
    RequestQuery, Slot, StateId, StoreError, TenantId, Timestamp, plan,
    query::{Plan, Undecodable},
};
use redis_client::{
    Operation, Topology,
    redis::{self, Cmd, Value},
};

use super::{
    fetch::{Early, Fetched, Guess, fetch},
    foresight::Part,
    place::{Cut, DuePlace, Place},
    sets::{ABOUT, Question, about},
    source::{Candidate, NEWEST, Source, What},
    split::Search,
};
use crate::{
    codec::{BLOCK, Frame},
    error::RedisError,
    layout::Layout,
    shared::{Shared, mget, time_of, values_of},
};

const HEADS: Operation = Operation::read("query_heads");
const TOGETHER: Operation = Operation::read("query_together");
/// Partitions whose questions are one pipeline.
const AT_ONCE: usize = 32;
/// Of more partitions what was seen beyond a page is little each, and takes more room than it is
/// worth.
const MOST_FORESEEN: usize = 8;
/// Documents that are asked for before it is known whether they are wanted.
const MOST_EARLY: usize = 64;

/// What a listing is about.
pub(crate) struct Listing<'a> {
    /// The port, for errors.
    pub(crate) port: &'static str,
    pub(crate) requests: &'a RequestQuery,
    /// Digest of the whole query, which cursors are tied to.
    pub(crate) digest: Digest,
    /// Whether decisions are walked over, one by one, instead of requests.
    pub(crate) over_decisions: bool,
}

/// Lists what `add_hits` makes of the requests of a listing, in the order of the page.
///
/// Everything a request has is on one page. Looks at no more documents than the options allow.
pub(crate) async fn walk<T>(
    shared: &Shared,
    listing: &Listing<'_>,
    page: &PageRequest,
    mut add_hits: impl FnMut(&Arc<MutationRequest>, &Candidate, Timestamp, &mut Vec<T>),
) -> Result<Page<T>, StoreError> {
    let wrap = |error: RedisError| error.at(listing.port);
    let order = page.ordering();
    let cut = Cut {
        partitions: shared.partitions.len(),
        series: shared.series,
    };
    let place = page
        .position(listing.digest)
        .and_then(|place| {
            place
                .map(|place| Place::decode(place, cut, order))
                .transpose()
        })
        .map_err(|error| StoreError::page(listing.port, error))?;
    let plan = plan(listing.requests);
    let is_exact = plan.is_exact() && !listing.over_decisions;
    let search = Search::of(plan.expr(), &listing.digest);
    let mut sources = sources(shared, listing, &plan, &search, order, place.as_ref())
        .await
        .map_err(wrap)?;

    let mut filler = Filler {
        items: Vec::with_capacity(usize::from(page.limit()) + 1),
        undecodable: Vec::new(),
        limit: usize::from(page.limit()),
        looks: shared.options.scan_limit.max(1),
    };
    let mut last_due = match place {
        Some(Place::Due(place)) => Some(place),
        _ => None,
    };
    let spare = |need: usize| if is_exact { 0 } else { 1 + need / 12 };
    let first = filler.limit + 1;
    let first = share(first + spare(first), unfinished(&sources));
    let mut now = None;
    let mut early = Early::default();
    let next = loop {
        // One more than fits tells whether there is a next page.
        let need = (filler.limit + 1).saturating_sub(filler.items.len()).max(1);
        // Where documents have a say, some will be no matches.
        let need = need + spare(need);
        fill(shared, &mut sources, order, need, (&mut now, &mut early))
            .await
            .map_err(wrap)?;
        let now = now.unwrap_or(Timestamp::EPOCH);
        let batch = take(&mut sources, order, need);
        note_taken(&mut sources, &batch);
        let documents = fetch(shared, &batch, &mut early, listing.over_decisions)
            .await
            .map_err(wrap)?;
        // They would be older than what is read from now on.
        early.clear();
        let mut used = 0_usize;
        for (candidate, fetched) in batch.iter().zip(&documents) {
            if !filler.judge(fetched, |request, hits| {
                add_hits(request, candidate, now, hits)
            }) {
                break;
            }
            used += 1;
            if filler.looks == 0 {
                break;
            }
        }
        if let Some(last) = used.checked_sub(1).and_then(|last| batch.get(last)) {
            last_due = Some(DuePlace {
                due: last.due,
                partition: last.partition,
                member: last.member(),
            });
        }
        let is_at_end = used == batch.len() && sources.iter().all(Source::is_at_end);
        if is_at_end && filler.looks > 0 {
            break None;
        }
        if used < batch.len() || filler.looks == 0 || sources.iter().any(Source::is_spent) {
            break Some(end(&sources, &batch[used..], order, last_due, first));
        }
    };
    let next = next.map(|place| Cursor::new(order, listing.digest, &place.encode(cut)));
    Ok(Page::new(filler.items, next).with_undecodable(filler.undecodable))
}

/// The page as far as it is filled.
struct Filler<T> {
    items: Vec<T>,
    undecodable: Vec<Undecodable>,
    limit: usize,
    /// How many more documents may be looked at.
    looks: usize,
}

impl<T> Filler<T> {
    /// Takes what a document gives. False if it does not fit the page any more.
    fn judge(
        &mut self,
        fetched: &Fetched,
        add_hits: impl FnOnce(&Arc<MutationRequest>, &mut Vec<T>),
    ) -> bool {
        let before = self.items.len();
        match fetched {
            Fetched::Request(request) => add_hits(request, &mut self.items),
            Fetched::Unreadable(record) => {
                if !self.undecodable.contains(record) {
                    self.undecodable.push(record.clone());
                }
            }
            Fetched::Gone => {}
        }
        if self.items.len() > before && before >= self.limit {
            self.items.truncate(before);
            return false;
        }
        self.looks = self.looks.saturating_sub(1);
        true
    }
}

/// Gets something ready in every partition that has more; at the first time, the store's time too.
async fn fill(
    shared: &Shared,
    sources: &mut [Source<'_>],
    order: Order,
    need: usize,
    (now, early): (&mut Option<Timestamp>, &mut Early),
) -> Result<(), RedisError> {
    let want = share(need, unfinished(sources));
    let heard = ask_together(shared, sources, order, (need, want), (now, early)).await?;
    if !heard {
        // Something was written since: it has to be asked as a whole.
        ask_together(shared, sources, order, (need, want), (now, early)).await?;
    }
    let fills = try_join_all(sources.iter_mut().map(|source| source.fill(want)));
    if now.is_none() {
        let (fills, time) = join(fills, shared.now()).await;
        fills?;
        *now = Some(time?);
    } else {
        fills.await?;
    }
    Ok(())
}

/// Who asks, what, and what is expected to be found.
type Asking<'s, 'a> = (&'s mut Source<'a>, Question, Option<Arc<Part>>);

/// Asks one server in one go what every partition would ask by itself, and for its time. False if
/// a partition has to ask again.
async fn ask_together(
    shared: &Shared,
    sources: &mut [Source<'_>],
    order: Order,
    (need, want): (usize, usize),
    (now, early): (&mut Option<Timestamp>, &mut Early),
) -> Result<bool, RedisError> {
    let (Topology::Standalone | Topology::Sentinel { .. }) = shared.client.config().topology()
    else {
        return Ok(true);
    };
    let asking = sources.iter_mut().filter_map(|source| {
        let (question, expected) = source.question(want)?;
        Some((source, question, expected))
    });
    let mut asking: Vec<Asking<'_, '_>> = asking.collect();
    let Some((first, ..)) = asking.first() else {
        return Ok(true);
    };
    let partition = first.partition;
    // What most likely will be on the page, in its order.
    let expected = asking.iter().filter_map(|(source, _, expected)| {
        let part = expected.as_ref().filter(|part| part.is_steady)?;
        Some(part.candidates(source.partition.number))
    });
    let mut expected: Vec<Candidate> = expected.flatten().collect();
    expected.sort_by(|a, b| a.compare(b, order));
    expected.truncate(need.min(MOST_EARLY));
    let mut guesses = Vec::new();
    let groups = asking.chunks_mut(AT_ONCE).map(|group| {
        let partitions = group.iter().map(|(source, ..)| source.partition);
        let keys: Vec<_> = partitions.flat_map(about).collect();
        let mut commands = vec![mget(&keys)];
        for (_, question, _) in &mut *group {
            commands.append(&mut question.commands);
        }
        // Behind what tells which they are, so none is older than that.
        let mut numbers = group.iter().map(|(source, ..)| source.partition.number);
        let (first, last) = (numbers.next().unwrap_or(0), numbers.next_back());
        let numbers = first..=last.unwrap_or(first);
        let of_group = expected.iter().filter(|c| numbers.contains(&c.partition));
        let guess = Guess::new(shared, of_group);
        guesses.push(guess.map(|(guess, command)| {
            commands.push(command);
            guess
        }));
        commands
    });
    let mut groups: Vec<Vec<Cmd>> = groups.collect();
    let asks_time = now.is_none() && shared.options.clock.is_none();
    if let Some(last) = groups.last_mut().filter(|_| asks_time) {
        last.push(redis::cmd("TIME"));
    }
    let reads = groups
        .into_iter()
        .map(|commands| shared.together(TOGETHER, partition, commands));
    let mut answers = try_join_all(reads).await?;
    let groups = asking.chunks_mut(AT_ONCE).zip(guesses);
    let mut all_heard = true;
    for ((group, guess), answers) in groups.zip(&mut answers) {
        let keys = group.len() * ABOUT;
        let mut about = values_of(answers.next().unwrap_or(Value::Nil), keys)?.into_iter();
        let mut unheard = Vec::new();
        for (source, question, expected) in group {
            if !source.hear(question, expected.take(), &mut about, answers)? {
                unheard.push(source.partition.number);
            }
        }
        if let Some(guess) = guess {
            // Documents may not be older than what tells that they are wanted.
            guess.hear(shared, answers.next(), &unheard, early)?;
        }
        all_heard &= unheard.is_empty();
    }
    if asks_time {
        let time = answers.last_mut().and_then(Iterator::next);
        *now = Some(time_of(time.unwrap_or(Value::Nil))?);
    }
    Ok(all_heard)
}

fn unfinished(sources: &[Source<'_>]) -> usize {
    let unfinished = sources.iter().filter(|source| !source.is_at_end());
    unfinished.count()
}

/// How many to ask each of some partitions for, so that together they most likely have enough.
fn share(need: usize, partitions: usize) -> usize {
    if partitions <= 1 {
        return need;
    }
    let even = need.div_ceil(partitions);
    even + 3 * even.isqrt() + 1
}

/// Takes what comes next over all partitions. Stops where a partition may have something earlier
/// that is not known yet.
fn take(sources: &mut [Source<'_>], order: Order, most: usize) -> Vec<Candidate> {
    let mut batch = Vec::with_capacity(most);
    let mut heads = Vec::with_capacity(sources.len());
    for (i, source) in sources.iter().enumerate() {
        match source.ready.front() {
            Some(candidate) => heads.push((i, *candidate)),
            None if source.is_at_end() => {}
            None => return batch,
        }
    }
    // What comes next is at the end.
    let compare = |a: &Candidate, b: &Candidate| b.compare(a, order);
    heads.sort_unstable_by(|(_, a), (_, b)| compare(a, b));
    while batch.len() < most {
        let Some((i, candidate)) = heads.pop() else {
            return batch;
        };
        batch.push(candidate);
        sources[i].ready.pop_front();
        match sources[i].ready.front() {
            Some(next) => {
                let at = heads.partition_point(|(_, head)| compare(head, next).is_lt());
                heads.insert(at, (i, *next));
            }
            None if sources[i].is_at_end() => {}
            None => return batch,
        }
    }
    batch
}

/// Tells every partition how much was taken of it.
fn note_taken(sources: &mut [Source<'_>], batch: &[Candidate]) {
    let mut taken = vec![None; sources.len()];
    for candidate in batch {
        if let Some(taken) = taken.get_mut(usize::from(candidate.partition)) {
            *taken = Some(candidate.ordinal);
        }
    }
    for (source, taken) in sources.iter_mut().zip(taken) {
        source.note_taken(taken);
    }
}

/// The place behind what was used: `rest` was taken, but not used. The next page will ask every
/// partition for `want`.
fn end(
    sources: &[Source<'_>],
    rest: &[Candidate],
    order: Order,
    last: Option<DuePlace>,
    want: usize,
) -> Place {
    if order == Order::Deadline {
        let start = DuePlace {
            due: f64::NEG_INFINITY,
            partition: 0,
            member: [0; 24],
        };
        return Place::Due(last.unwrap_or(start));
    }
    let mut places: Vec<u64> = sources.iter().map(Source::frontier).collect();
    for candidate in rest.iter().rev() {
        let i = usize::from(candidate.partition);
        if let (Some(place), Some(source)) = (places.get_mut(i), sources.get(i)) {
            *place = source.before(candidate.at);
        }
    }
    if sources.len() > MOST_FORESEEN {
        return Place::Ordinals(places);
    }
    for (source, place) in sources.iter().zip(&places) {
        let number = source.partition.number;
        let rest = rest.iter().filter(|rest| rest.partition == number);
        source.expect_rest(rest, *place, want);
    }
    Place::Ordinals(places)
}

/// A walk for every partition.
async fn sources<'a>(
    shared: &'a Shared,
    listing: &Listing<'_>,
    plan: &Plan,
    search: &'a Search,
    order: Order,
    place: Option<&Place>,
) -> Result<Vec<Source<'a>>, RedisError> {
    let count = shared.partitions.len();
    let start = if order == Order::NewestFirst {
        NEWEST
    } else {
        0
    };
    let from: Vec<u64> = match place {
        Some(Place::Ordinals(places)) => places.clone(),
        _ => vec![start; count],
    };
    let due = match place {
        Some(Place::Due(place)) => Some(*place),
        _ => None,
    };
    if let Some(ids) = plan.ids().filter(|_| !listing.over_decisions) {
        let mut ready = named(shared, ids, order, &from, due, plan.due_until()).await?;
        let sources = shared.partitions.iter().enumerate().map(|(i, partition)| {
            let ready = std::mem::take(&mut ready[i]);
            Source::of(shared, partition, search, order, from[i], ready)
        });
        return Ok(sources.collect());
    }
    let what = if listing.over_decisions {
        What::Decisions
    } else {
        What::Requests
    };
    let only = partitions_of(listing.requests.tenant(), plan.expr(), count);
    let named = plan
        .ids()
        .map(|ids| ids.iter().map(|id| Layout::partition(id.slot(), count)));
    let only = named.map(Iterator::collect).or(only);
    let sources = shared.partitions.iter().enumerate().map(|(i, partition)| {
        let due = (due, plan.due_until());
        let source = Source::new(shared, partition, search, what, order, from[i], due);
        match &only {
            Some(only) if !only.contains(&i) => source.skip(),
            _ => source,
        }
    });
    Ok(sources.collect())
}

/// The partitions that can have a match, when the query names states.
fn partitions_of(tenant: Option<&TenantId>, expr: &Expr, count: usize) -> Option<BTreeSet<usize>> {
    let tenant = tenant?;
    let parts = match expr {
        Expr::And(parts) => parts.as_slice(),
        other => std::slice::from_ref(other),
    };
    parts.iter().find_map(|part| {
        let terms = match part {
            Expr::Or(terms) => terms.as_slice(),
            term => std::slice::from_ref(term),
        };
        let partition = |term: &Expr| match term {
            Expr::Term(term) if term.dimension() == Dimension::StateId => {
                let state = StateId::new(term.value()).ok()?;
                Some(Layout::partition(Slot::of(tenant, &state), count))
            }
            _ => None,
        };
        terms.iter().map(partition).collect()
    })
}

/// Requests that were asked for by id, in the order of the page, per partition.
async fn named(
    shared: &Shared,
    ids: &BTreeSet<RequestId>,
    order: Order,
    from: &[u64],
    due: Option<DuePlace>,
    until: Option<Timestamp>,
) -> Result<Vec<VecDeque<Candidate>>, RedisError> {
    let count = shared.partitions.len();
    let reads = ids.iter().map(|id| async move {
        let partition = shared.partition(id.slot());
        let key = partition.keys.request(id);
        let mut command = redis::cmd("GETRANGE");
        // A deadline stands behind the head, in the index record.
        let last = if order == Order::Deadline {
            -1
        } else {
            BLOCK as i64 - 1
        };
        command.arg(&key).arg(0).arg(last);
        let bytes: Vec<u8> = shared.query(HEADS, &key, &command).await?;
        Ok::<_, RedisError>(candidate(partition.number, *id, &bytes.into(), order))
    });
    let mut found: Vec<VecDeque<Candidate>> = vec![VecDeque::new(); count];
    let until = until.map(|until| score(until.as_micros()));
    for candidate in try_join_all(reads).await?.into_iter().flatten() {
        let i = usize::from(candidate.partition);
        let is_behind = match order {
            Order::Submission => candidate.at >= from[i],
            Order::NewestFirst => candidate.at < from[i],
            Order::Deadline => {
                let place = |c: &Candidate| (c.partition, c.member());
                due.is_none_or(|after| {
                    let rest = place(&candidate).cmp(&(after.partition, after.member));
                    candidate.due.total_cmp(&after.due).then(rest).is_gt()
                }) && until.is_none_or(|until| candidate.due <= until)
            }
        };
        if is_behind {
            found[i].push_back(candidate);
        }
    }
    for candidates in &mut found {
        candidates
            .make_contiguous()
            .sort_by(|a, b| a.compare(b, order));
    }
    Ok(found)
}

/// What a head tells. A record too damaged for that is listed first, as undecodable.
fn candidate(
    partition: u16,
    id: RequestId,
    bytes: &bytes::Bytes,
    order: Order,
) -> Option<Candidate> {
    if bytes.is_empty() {
        return None;
    }
    let number =
        |at: usize| -> Option<u64> { Some(u64::from_be_bytes(*bytes.get(at..)?.first_chunk()?)) };
    let ordinal = number(16).unwrap_or(0);
    let due = match order {
        Order::Deadline => score(Frame::salvage(bytes).ok()?.index.due()?),
        Order::Submission | Order::NewestFirst => 0.0,
    };
    Some(Candidate {
        partition,
        at: ordinal,
        ordinal,
        id,
        stamp: number(24).unwrap_or(0),
        due,
        decision: 0,
    })
}

/// A time as the server keeps it.
#[expect(
    clippy::cast_precision_loss,
    reason = "the server keeps scores as doubles, too"
)]
fn score(micros: i64) -> f64 {
    micros as f64
}

/// A cursor of another query, order or store.
pub(crate) fn refuse_deadline(port: &'static str, order: Order) -> Result<(), StoreError> {
    if order == Order::Deadline {
        let detail = "decisions have no order by deadline";
        return Err(StoreError::new(
            governance_core::StoreErrorKind::InvalidInput,
            port,
            detail,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use governance_core::PageError;

    use super::*;

    #[test]
    fn partitions_are_asked_for_a_little_more_than_their_share() {
        assert_eq!(share(51, 1), 51);
        assert_eq!(share(51, 16), 4 + 6 + 1);
        assert!((1..100).all(|need| share(need, 8) * 8 >= need));
    }

    #[test]
    fn a_query_about_states_asks_their_partitions_only() {
        let tenant = TenantId::default();
        let query = RequestQuery::in_tenant(tenant.clone())
            .states([StateId::new("a").unwrap()])
            .pending();
        let only = partitions_of(query.tenant(), plan(&query).expr(), 16).unwrap();
        let state = StateId::new("a").unwrap();
        assert_eq!(
            only,
            [Layout::partition(Slot::of(&tenant, &state), 16)].into()
        );
        assert_eq!(partitions_of(None, plan(&query).expr(), 16), None);
        let query = RequestQuery::in_tenant(tenant).pending();
        assert_eq!(partitions_of(query.tenant(), plan(&query).expr(), 16), None);
    }

    #[test]
    fn a_cursor_of_another_number_of_partitions_is_expired() {
        let cut = |partitions| Cut {
            partitions,
            series: 0,
        };
        let place = Place::Ordinals(vec![1, 2]).encode(cut(2));
        assert_eq!(
            Place::decode(&place, cut(4), Order::Submission),
            Err(PageError::CursorExpired)
        );
    }
}
