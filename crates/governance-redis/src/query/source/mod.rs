//! Walks over one partition and gives candidates in the order of a page.

use std::{cmp::Ordering, collections::VecDeque, sync::Arc};

use bytes::Bytes;
use governance_core::{Order, RequestId, Timestamp};
use redis_client::redis::Value;

use super::{
    chunks, common, due,
    foresight::{Part, Start},
    journal,
    place::DuePlace,
    sets,
    slots::resolve,
    split::{Driver, Search},
};
use crate::{
    cache::IdSlot, error::RedisError, index::Class, keys::CHUNK, partition::Partition,
    shared::Shared,
};

/// A request, or a decision about one, that may be on the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(super) partition: u16,
    /// Where it is in the walk of its partition.
    pub(super) at: u64,
    pub(super) ordinal: u64,
    pub(super) id: RequestId,
    /// When it was stored.
    pub(super) stamp: u64,
    /// Its deadline, in a walk by deadline.
    pub(super) due: f64,
    /// The index of the decision, in a walk over decisions.
    pub(crate) decision: usize,
}

impl Candidate {
    /// The order of the page, the same whatever partition it is from.
    pub(super) fn compare(&self, other: &Self, order: Order) -> Ordering {
        let (a, b) = (self, other);
        let stored = || {
            let key = |c: &Self| (c.stamp, c.partition, c.at);
            key(a).cmp(&key(b))
        };
        match order {
            Order::Submission => stored(),
            Order::NewestFirst => stored().reverse(),
            Order::Deadline => a
                .due
                .total_cmp(&b.due)
                .then_with(|| (a.partition, a.member()).cmp(&(b.partition, b.member()))),
        }
    }

    /// As the set of deadlines has it.
    pub(super) fn member(&self) -> [u8; 24] {
        let mut member = [0; 24];
        member[..8].copy_from_slice(&self.ordinal.to_be_bytes());
        member[8..].copy_from_slice(self.id.as_bytes());
        member
    }
}

/// Something that was found, perhaps without its id yet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Raw {
    pub(super) at: u64,
    pub(super) ordinal: u64,
    pub(super) slot: Option<IdSlot>,
    /// When the decision was stored; else the slot tells.
    pub(super) stamp: Option<u64>,
    pub(super) decision: usize,
}

impl Raw {
    pub(super) const fn request(ordinal: u64, slot: Option<IdSlot>) -> Self {
        Self {
            at: ordinal,
            ordinal,
            slot,
            stamp: None,
            decision: 0,
        }
    }
}

/// How a partition is walked.
#[derive(Debug)]
enum Way {
    /// Over a few sorted sets. Turns to chunks when they turn out long.
    Sets {
        drivers: Vec<Driver>,
        walked: usize,
        /// Whether the server may be asked what they have in common.
        meet: bool,
    },
    /// Chunk by chunk, so many at a time.
    Chunks {
        step: usize,
        /// What is looked at first, once a chunk had too little.
        keen: Option<Search>,
    },
    /// By deadline.
    Due {
        after: Option<DuePlace>,
        until: Option<Timestamp>,
    },
    /// Over the journal, so many entries at a time.
    Journal { step: u64 },
}

impl Way {
    fn chunks(search: &Search) -> Self {
        Self::Chunks {
            step: 1,
            keen: search.keen(),
        }
    }
}

/// What is walked over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Requests,
    Decisions,
}

/// A walk over one partition.
pub(super) struct Source<'a> {
    pub(super) shared: &'a Shared,
    pub(super) partition: &'a Partition,
    pub(super) search: &'a Search,
    pub(super) order: Order,
    way: Way,
    /// Found and ready to be judged.
    pub(super) ready: VecDeque<Candidate>,
    raw: VecDeque<Raw>,
    /// Upwards: everything below was looked at. Downwards: everything from here on was.
    scanned: u64,
    /// Whether there is nothing more to look at.
    done: bool,
    /// How many more reads this page allows.
    budget: usize,
    /// The next part of a walk over sets, if it was asked for together with other partitions.
    heard: Option<sets::Reading>,
    /// What is to be remembered of that, once it is known how much of it was taken.
    seen: Option<Seen>,
    /// What is to be done about members of an inbox that no bitmap was asked about.
    doubt: Doubt,
}

/// The part of an inbox that was asked for together with other partitions.
struct Seen {
    start: Start,
    expected: Option<Arc<Part>>,
    part: Part,
    sets: Vec<Vec<sets::Member>>,
}

/// Whether what was found may be no match for the most part. An inbox is the same for all tenants
/// and states, so it depends on the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// No.
    None,
    /// Documents tell first.
    Later,
    /// Documents told, and left much of the page empty.
    Now,
}

/// Reads of one page and partition that may find nothing.
const BUDGET: usize = 64;
/// Chunks that are looked at together at most.
const MOST_CHUNKS: usize = 64;
/// A walk over sets that is longer than this goes on by chunks.
const LONGEST_WALK: usize = 2_048;
/// Where a page lacks more than this, what fills it may be no match for the most part.
const MOST_MISSES: usize = 16;
/// Where a walk downwards begins when nothing is known.
pub(super) const NEWEST: u64 = u64::MAX;

impl<'a> Source<'a> {
    /// A walk that begins at a place: for orders by ordinal the number a cursor holds.
    pub(super) fn new(
        shared: &'a Shared,
        partition: &'a Partition,
        search: &'a Search,
        what: What,
        order: Order,
        from: u64,
        due: (Option<DuePlace>, Option<Timestamp>),
    ) -> Self {
        let way = match (what, order, search.drivers.is_empty()) {
            (What::Decisions, ..) => Way::Journal { step: 0 },
            (What::Requests, Order::Deadline, _) => Way::Due {
                after: due.0,
                until: due.1,
            },
            (What::Requests, _, false) => Way::Sets {
                drivers: search.drivers.clone(),
                walked: 0,
                meet: true,
            },
            (What::Requests, _, true) => Way::chunks(search),
        };
        let nothing_below = order == Order::NewestFirst && from == 0;
        Self {
            shared,
            partition,
            search,
            order,
            way,
            ready: VecDeque::new(),
            raw: VecDeque::new(),
            scanned: from,
            done: search.is_empty() || nothing_below,
            budget: BUDGET,
            heard: None,
            seen: None,
            doubt: Doubt::None,
        }
    }

    /// A walk over candidates that are known already, in order.
    pub(super) fn of(
        shared: &'a Shared,
        partition: &'a Partition,
        search: &'a Search,
        order: Order,
        from: u64,
        ready: VecDeque<Candidate>,
    ) -> Self {
        let mut source = Self::new(
            shared,
            partition,
            search,
            What::Requests,
            order,
            from,
            (None, None),
        );
        source.scanned = match (order, ready.back()) {
            (Order::NewestFirst, _) => 0,
            (_, Some(last)) => last.at + 1,
            (_, None) => from,
        };
        source.ready = ready;
        source.done = true;
        source
    }

    /// A walk over a partition that cannot have anything of interest.
    pub(super) fn skip(mut self) -> Self {
        self.done = true;
        self
    }

    fn is_upwards(&self) -> bool {
        self.order != Order::NewestFirst
    }

    /// Whether nothing is left.
    pub(super) fn is_at_end(&self) -> bool {
        self.done && self.raw.is_empty() && self.ready.is_empty()
    }

    /// Whether there may be more, but this page has looked far enough.
    pub(super) fn is_spent(&self) -> bool {
        !self.done && self.raw.is_empty() && self.ready.is_empty() && self.budget == 0
    }

    /// Where to go on when all that is ready has been dealt with but `ready` itself.
    pub(super) fn frontier(&self) -> u64 {
        let first = self
            .ready
            .front()
            .map(|c| c.at)
            .or_else(|| self.raw.front().map(|r| r.at));
        match first {
            Some(at) => self.before(at),
            None if self.scanned == NEWEST => 0,
            None => self.scanned,
        }
    }

    /// The place right before something.
    pub(super) fn before(&self, at: u64) -> u64 {
        if self.is_upwards() {
            at
        } else {
            at.saturating_add(1)
        }
    }

    /// What the next read will ask, if that is known and can be asked together with others; and
    /// what is expected to be found.
    pub(super) fn question(&self, want: usize) -> Option<(sets::Question, Option<Arc<Part>>)> {
        let is_idle = self.ready.is_empty() && self.raw.is_empty() && self.heard.is_none();
        match &self.way {
            Way::Sets {
                drivers,
                walked,
                meet,
            } if is_idle
                && !self.done
                && *walked < LONGEST_WALK
                && !(*meet && common::may_help(self.partition, drivers)) =>
            {
                let place = self.place(want);
                let expected = self
                    .start(drivers, place)
                    .and_then(|start| self.shared.foresight.expected(start));
                let hint = self.partition.hint();
                if let Some(part) = expected.as_ref().filter(|part| part.may_hold(hint)) {
                    let known = Arc::clone(part);
                    let question = sets::Question::unless_written(self.partition, place, known);
                    return Some((question, expected));
                }
                let shares = expected.as_ref().map_or(&[][..], |part| &part.shares);
                let question = sets::Question::new(self.partition, drivers, place, shares)?;
                Some((question, expected))
            }
            _ => None,
        }
    }

    /// Expects what was found beyond a page on the next one, which begins at `from`: `rest` was
    /// taken and not used.
    pub(super) fn expect_rest<'b>(
        &self,
        rest: impl Iterator<Item = &'b Candidate>,
        from: u64,
        want: usize,
    ) {
        let Way::Sets { drivers, .. } = &self.way else {
            return;
        };
        let place = sets::Place {
            from,
            ..self.place(want)
        };
        let Some(start) = self.start(drivers, place) else {
            return;
        };
        let known = rest
            .copied()
            .chain(self.ready.iter().copied())
            .map(|candidate| Raw {
                slot: Some(IdSlot {
                    id: candidate.id,
                    stamp: candidate.stamp,
                }),
                ..Raw::request(candidate.ordinal, None)
            });
        let part = Part::of(start, known.chain(self.raw.iter().copied()), want);
        let foresight = &self.shared.foresight;
        if part.members.len() == want && foresight.expected(start).is_none() {
            foresight.expect(start, part);
        }
    }

    /// What is expected of a part of an inbox is found by this.
    fn start(&self, drivers: &[Driver], place: sets::Place) -> Option<Start> {
        match drivers {
            [inbox] if inbox.class == Class::Inbox => {
                let number = self.partition.number;
                self.shared.foresight.start(number, self.search, place)
            }
            _ => None,
        }
    }

    fn place(&self, want: usize) -> sets::Place {
        sets::Place {
            from: self.scanned,
            upwards: self.is_upwards(),
            want,
        }
    }

    /// Takes the answers to its question. False if they cannot be used: then the next read asks anew.
    pub(super) fn hear(
        &mut self,
        question: &mut sets::Question,
        expected: Option<Arc<Part>>,
        about: &mut impl Iterator<Item = Option<Bytes>>,
        answers: &mut std::vec::IntoIter<Value>,
    ) -> Result<bool, RedisError> {
        let Way::Sets { drivers, .. } = &self.way else {
            return Ok(true);
        };
        self.heard = question.hear(self.shared, self.partition, drivers, about, answers)?;
        let start = self.start(drivers, question.place);
        if question.is_short() {
            if let (None, Some(start), Some(before)) = (&self.heard, start, &expected) {
                self.shared.foresight.changed(start, before);
            }
            return Ok(self.heard.is_some());
        }
        if let Some(sets::Reading::Of(_, read)) = &mut self.heard
            && let Some(start) = start
        {
            let found = read.members.iter().copied();
            self.seen = Some(Seen {
                start,
                expected,
                part: Part {
                    state: question.state.take(),
                    until: read.until,
                    newest: read.newest,
                    ..Part::of(start, found, usize::MAX)
                },
                sets: std::mem::take(&mut read.sets),
            });
        }
        Ok(self.heard.is_some())
    }

    /// Remembers the part of an inbox that was heard: it was taken up to an ordinal, and the one
    /// behind told that nothing was in between.
    pub(super) fn note_taken(&mut self, taken: Option<u64>) {
        let Some(mut seen) = self.seen.take() else {
            return;
        };
        let upwards = self.is_upwards();
        seen.part.truncate(taken);
        let last = seen.part.members.last().map(|(ordinal, _)| *ordinal);
        // Without members no set has one.
        let last = last.unwrap_or(if upwards { 0 } else { u64::MAX });
        seen.part.shares = sets::shares(&seen.sets, last, upwards);
        let expected = seen.expected.as_ref();
        self.shared.foresight.found(seen.start, expected, seen.part);
    }

    /// Reads on until something is ready, at best `want` of it.
    pub(super) async fn fill(&mut self, want: usize) -> Result<(), RedisError> {
        while self.ready.is_empty() {
            if self.raw.is_empty() {
                if self.done || self.budget == 0 {
                    return Ok(());
                }
                self.budget -= 1;
                self.scan(want).await?;
                continue;
            }
            self.clear_doubt(want).await?;
            let count = self.raw.len().min(want);
            let next: Vec<Raw> = self.raw.drain(..count).collect();
            let slots = resolve(self.shared, self.partition, &next).await?;
            let number = self.partition.number;
            let found = next.iter().zip(slots).filter_map(|(raw, slot)| {
                let slot = slot?;
                Some(Candidate {
                    partition: number,
                    at: raw.at,
                    ordinal: raw.ordinal,
                    id: slot.id,
                    stamp: raw.stamp.unwrap_or(slot.stamp),
                    due: 0.0,
                    decision: raw.decision,
                })
            });
            self.ready.extend(found);
        }
        Ok(())
    }

    /// Asks bitmaps about members of an inbox, once documents told that many are no matches.
    async fn clear_doubt(&mut self, want: usize) -> Result<(), RedisError> {
        match self.doubt {
            Doubt::None => return Ok(()),
            Doubt::Later => {
                self.doubt = Doubt::Now;
                return Ok(());
            }
            Doubt::Now => {}
        }
        // For the last few of a page, more documents are cheaper.
        if want <= MOST_MISSES {
            return Ok(());
        }
        self.doubt = Doubt::None;
        let members = std::mem::take(&mut self.raw).into();
        self.raw = self.narrow_inbox(members).await?.into();
        Ok(())
    }

    /// Leaves out members of an inbox that bitmaps tell are no matches, and remembers whether that
    /// helped.
    async fn narrow_inbox(&self, members: Vec<Raw>) -> Result<Vec<Raw>, RedisError> {
        let before = members.len();
        let members =
            sets::narrow(self.shared, self.partition, self.search, false, members).await?;
        if before > sets::FEW {
            let is_mixed = members.len() < before - before / 4;
            let (number, search) = (self.partition.number, self.search);
            self.shared.foresight.set_mixed(number, search, is_mixed);
        }
        Ok(members)
    }

    async fn scan(&mut self, want: usize) -> Result<(), RedisError> {
        let place = self.place(want);
        match &mut self.way {
            Way::Sets {
                drivers,
                walked,
                meet,
            } => {
                let ordinals = |driver: &Driver| driver.class == Class::Ordinals;
                if *walked >= LONGEST_WALK && drivers.iter().all(ordinals) {
                    self.way = Way::chunks(self.search);
                    return Ok(());
                }
                let mut reading = self.heard.take();
                if reading.is_none() && std::mem::take(meet) {
                    reading = common::read(self.shared, self.partition, drivers, place).await?;
                }
                let reading = match reading {
                    Some(reading) => reading,
                    None => sets::read(self.shared, self.partition, drivers, place).await?,
                };
                let sets::Reading::Of(number, found) = reading else {
                    self.way = Way::chunks(self.search);
                    return Ok(());
                };
                drivers.swap(0, number);
                drivers.truncate(1);
                *walked += found.members.len();
                let members = if drivers[0].class == Class::Ordinals {
                    let (shared, partition) = (self.shared, self.partition);
                    sets::narrow(shared, partition, self.search, true, found.members).await?
                } else if self.doubt == Doubt::Now
                    || self
                        .shared
                        .foresight
                        .is_mixed(self.partition.number, self.search)
                {
                    self.doubt = Doubt::None;
                    self.narrow_inbox(found.members).await?
                } else {
                    self.doubt = Doubt::Later;
                    found.members
                };
                self.raw.extend(members);
                match found.until {
                    Some(until) => self.scanned = until,
                    None => {
                        self.finish(found.newest);
                    }
                }
            }
            Way::Chunks { step, keen } => {
                let step_now = *step;
                *step = (step_now * 4).min(MOST_CHUNKS);
                let foresight = &self.shared.foresight;
                let is_scarce =
                    |keen: &mut Search| foresight.is_scarce(self.partition.number, keen);
                if let Some(keen) = keen.take_if(|keen| step_now > 1 || is_scarce(keen))
                    && self.probe_chunks(&keen, want).await?
                {
                    // There may be as little in the next.
                    self.way = Way::Chunks {
                        step: step_now,
                        keen: Some(keen),
                    };
                    return Ok(());
                }
                self.scan_chunks(step_now, want).await?;
            }
            Way::Due { after, until } => {
                let found = due::read(self.shared, self.partition, *after, *until, want).await?;
                self.done = found.is_end;
                if let Some(last) = found.entries.last() {
                    *after = Some(DuePlace {
                        due: last.due,
                        partition: self.partition.number,
                        member: last.member(),
                    });
                }
                self.ready.extend(found.entries);
            }
            Way::Journal { step } => {
                // The first look takes what a page without much of a filter needs.
                let first = *step == 0;
                *step = if first { want as u64 } else { journal::LONGEST };
                let upwards = self.order != Order::NewestFirst;
                let narrow = (!first).then_some(self.search);
                let found = journal::read(
                    self.shared,
                    self.partition,
                    narrow,
                    self.scanned,
                    upwards,
                    *step,
                )
                .await?;
                self.raw.extend(found.decisions);
                self.scanned = found.until;
                self.done = found.is_end;
            }
        }
        Ok(())
    }

    /// Nothing is left. Upwards, what is stored from now on comes behind what there was.
    fn finish(&mut self, newest: u64) {
        self.done = true;
        self.scanned = if self.is_upwards() {
            self.scanned.max(newest)
        } else {
            0
        };
    }

    async fn scan_chunks(&mut self, step: usize, want: usize) -> Result<(), RedisError> {
        let chunks = self.next_chunks(step.min(chunks::at_once(self.search)));
        let answered = chunks::evaluate(self.shared, self.partition, self.search, &chunks).await?;
        self.take_up(&chunks, answered, want);
        Ok(())
    }

    /// Looks at a part of the search in as many chunks as can be read at once. If it leaves so few
    /// that they can be judged by their documents, they are what is found, else false.
    async fn probe_chunks(&mut self, keen: &Search, want: usize) -> Result<bool, RedisError> {
        let chunks = self.next_chunks(chunks::at_once(keen));
        let answered = chunks::evaluate(self.shared, self.partition, keen, &chunks).await?;
        let found: u64 = answered.chunks.iter().map(|(_, bits)| bits.count()).sum();
        let is_scarce = found <= sets::FEW as u64;
        let number = self.partition.number;
        self.shared.foresight.set_scarce(number, keen, is_scarce);
        if is_scarce {
            self.take_up(&chunks, answered, want);
        }
        Ok(is_scarce)
    }

    /// The chunks that come next, as far as there are any.
    fn next_chunks(&self, most: usize) -> Vec<u64> {
        let (most, known) = (most as u64, self.partition.hint().ordinals);
        if self.is_upwards() {
            let first = self.scanned / CHUNK;
            let last = (first + most - 1).min(first.max(known / CHUNK));
            (first..=last).collect()
        } else {
            let top = match self.scanned {
                NEWEST => known,
                bound => bound,
            };
            let first = top.saturating_sub(1) / CHUNK;
            (first.saturating_sub(most - 1)..=first).rev().collect()
        }
    }

    /// Takes up what was found in chunks that come next.
    fn take_up(&mut self, chunks: &[u64], answered: chunks::Answered, want: usize) {
        let newest = answered.counters.ordinals;
        // What is beyond this is read again, should the page come to that.
        let most = want.saturating_mul(4);
        if self.is_upwards() {
            let from = self.scanned;
            for (chunk, bits) in answered.chunks {
                let behind = if chunk == from / CHUNK {
                    bits.from(chunks::low_of(from))
                } else {
                    bits
                };
                let mut ordinals = behind.iter().map(|low| chunk * CHUNK + u64::from(low));
                let room = most.saturating_sub(self.raw.len());
                let taken = ordinals.by_ref().take(room);
                self.raw
                    .extend(taken.map(|ordinal| Raw::request(ordinal, None)));
                if let Some(next) = ordinals.next() {
                    self.scanned = next;
                    return;
                }
            }
            let end = chunks.last().map_or(from, |last| (last + 1) * CHUNK);
            // What is created while the walk is under way may be seen by the next page.
            self.scanned = end.min(newest.max(from));
            self.done = end >= newest;
            return;
        }
        let known = chunks.first().map_or(0, |first| (first + 1) * CHUNK);
        if self.scanned == NEWEST {
            self.scanned = newest;
            if newest > known {
                // The newest are in a later chunk than was thought.
                return;
            }
        }
        if self.scanned > newest {
            // A cursor may say anything; nothing is that far up.
            self.scanned = newest;
            self.done = newest == 0;
            if chunks.last().is_none_or(|last| newest <= last * CHUNK) {
                return;
            }
        }
        let below = self.scanned;
        for (chunk, bits) in answered.chunks {
            let before = if chunk == below / CHUNK {
                bits.below(chunks::low_of(below))
            } else {
                bits
            };
            let mut ordinals = before
                .iter()
                .rev()
                .map(|low| chunk * CHUNK + u64::from(low));
            let room = most.saturating_sub(self.raw.len());
            let taken = ordinals.by_ref().take(room);
            self.raw
                .extend(taken.map(|ordinal| Raw::request(ordinal, None)));
            if let Some(next) = ordinals.next() {
                self.scanned = next + 1;
                return;
            }
        }
        self.scanned = chunks.last().map_or(0, |last| last * CHUNK);
        self.done = self.scanned == 0;
    }
}
