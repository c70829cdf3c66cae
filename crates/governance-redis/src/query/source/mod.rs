//! Walks over one partition and gives candidates in the order of a page.

mod ahead;
mod by_chunks;

use std::{cmp::Ordering, collections::VecDeque};

use ahead::Seen;
use governance_core::{Order, RequestId, Timestamp};

use super::{
    common, due, journal,
    place::DuePlace,
    sets,
    slots::resolve,
    split::{Driver, Search},
};
use crate::{cache::IdSlot, error::RedisError, index::Class, partition::Partition, shared::Shared};

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

    fn place(&self, want: usize) -> sets::Place {
        sets::Place {
            from: self.scanned,
            upwards: self.is_upwards(),
            want,
        }
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
}
