//! Walks over requests in the order of a page.

use std::{
    collections::BTreeSet,
    ops::{Bound, ControlFlow},
    sync::Arc,
};

use governance_core::{MutationRequest, Order, PageError, Timestamp};

use crate::{
    engine::Search,
    inner::Inner,
    postings::{Posting, join, split},
};

/// A place in a walk: behind the request it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the order of submission, either way.
    Ordinal(u32),
    /// By deadline.
    Due(Timestamp, u32),
}

impl Place {
    pub(crate) fn encode(self) -> Vec<u8> {
        match self {
            Self::Ordinal(ordinal) => ordinal.to_be_bytes().to_vec(),
            Self::Due(due, ordinal) => {
                let mut bytes = due.as_micros().to_be_bytes().to_vec();
                bytes.extend(ordinal.to_be_bytes());
                bytes
            }
        }
    }

    pub(crate) fn decode(order: Order, bytes: &[u8]) -> Result<Self, PageError> {
        let ordinal = |bytes: &[u8]| bytes.try_into().ok().map(u32::from_be_bytes);
        let place = match (order, bytes.len()) {
            (Order::Submission | Order::NewestFirst, 4) => ordinal(bytes).map(Self::Ordinal),
            (Order::Deadline, 12) => {
                let (due, rest) = bytes.split_at(8);
                let due = due.try_into().ok().map(i64::from_be_bytes);
                due.zip(ordinal(rest))
                    .map(|(due, ordinal)| Self::Due(Timestamp::from_micros(due), ordinal))
            }
            _ => None,
        };
        place.ok_or(PageError::CursorMalformed)
    }
}

/// What to walk over.
pub(crate) struct Walk<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) search: &'a Search<'a>,
    pub(crate) order: Order,
    pub(crate) after: Option<Place>,
    /// Nothing due later is wanted.
    pub(crate) due_until: Option<Timestamp>,
}

type Step = ControlFlow<()>;

/// What was found at a place: nothing if it is outside the search.
type Look<'a> = Option<&'a Arc<MutationRequest>>;

impl<'a> Walk<'a> {
    /// Calls `visit` for every request of the search behind the starting place, and for every
    /// place that had to be looked at on the way, until it breaks.
    pub(crate) fn run(&self, mut visit: impl FnMut(Place, Look<'a>) -> Step) {
        let _ = match self.order {
            Order::Deadline => self.by_deadline(&mut visit),
            Order::NewestFirst => {
                let from = match self.after {
                    Some(Place::Ordinal(ordinal)) => ordinal.checked_sub(1),
                    _ => self.newest(),
                };
                from.map_or(Step::Continue(()), |from| {
                    self.descending(from, |o, r| visit(Place::Ordinal(o), Some(r)))
                })
            }
            Order::Submission => {
                let after = match self.after {
                    Some(Place::Ordinal(ordinal)) => Some(ordinal),
                    _ => None,
                };
                self.ascending(after, |o, r| visit(Place::Ordinal(o), Some(r)))
            }
        };
    }

    fn newest(&self) -> Option<u32> {
        u32::try_from(self.inner.by_ordinal.len())
            .ok()?
            .checked_sub(1)
    }

    fn get(&self, ordinal: u32) -> Option<&'a Arc<MutationRequest>> {
        self.inner.by_ordinal.get(ordinal as usize)?.as_ref()
    }

    fn ascending(
        &self,
        after: Option<u32>,
        mut visit: impl FnMut(u32, &'a Arc<MutationRequest>) -> Step,
    ) -> Step {
        let Some(newest) = self.newest() else {
            return Step::Continue(());
        };
        let Some(from) = after.map_or(Some(0), |after| after.checked_add(1)) else {
            return Step::Continue(());
        };
        let (first, low) = split(from);
        for chunk in first..=split(newest).0 {
            let Some(part) = self.search.part(chunk, &self.inner.live) else {
                continue;
            };
            part.ascend(if chunk == first { low } else { 0 }, |low| {
                let ordinal = join(chunk, low);
                match self.get(ordinal) {
                    Some(request) => visit(ordinal, request),
                    None => Step::Continue(()),
                }
            })?;
        }
        Step::Continue(())
    }

    fn descending(
        &self,
        from: u32,
        mut visit: impl FnMut(u32, &'a Arc<MutationRequest>) -> Step,
    ) -> Step {
        let (first, low) = split(from);
        for chunk in (0..=first).rev() {
            let Some(part) = self.search.part(chunk, &self.inner.live) else {
                continue;
            };
            part.descend(if chunk == first { low } else { u16::MAX }, |low| {
                let ordinal = join(chunk, low);
                match self.get(ordinal) {
                    Some(request) => visit(ordinal, request),
                    None => Step::Continue(()),
                }
            })?;
        }
        Step::Continue(())
    }

    fn by_deadline(&self, visit: &mut impl FnMut(Place, Look<'a>) -> Step) -> Step {
        let start = match self.after {
            Some(Place::Due(due, ordinal)) => Bound::Excluded((due, ordinal)),
            _ => Bound::Unbounded,
        };
        let end = self
            .due_until
            .map_or(Bound::Unbounded, |due| Bound::Included((due, u32::MAX)));
        for (due, ordinal) in due_range(&self.inner.due, start, end) {
            let request = self
                .get(*ordinal)
                .filter(|_| self.search.contains(*ordinal));
            visit(Place::Due(*due, *ordinal), request)?;
        }
        Step::Continue(())
    }
}

/// A range of a set that is empty, rather than a panic, when its ends are the wrong way round.
fn due_range(
    due: &BTreeSet<(Timestamp, u32)>,
    start: Bound<(Timestamp, u32)>,
    end: Bound<(Timestamp, u32)>,
) -> impl Iterator<Item = &(Timestamp, u32)> {
    let crossed = match (&start, &end) {
        (Bound::Excluded(start), Bound::Included(end)) => start >= end,
        _ => false,
    };
    (!crossed)
        .then(|| due.range((start, end)))
        .into_iter()
        .flatten()
}

/// A set of requests that were asked for by id.
pub(crate) fn ordinals<'a>(
    inner: &Inner,
    ids: impl IntoIterator<Item = &'a governance_core::RequestId>,
) -> Posting {
    let mut posting = Posting::default();
    for id in ids {
        if let Some(entry) = inner.by_id.get(id) {
            posting.insert(entry.ordinal);
        }
    }
    posting
}
