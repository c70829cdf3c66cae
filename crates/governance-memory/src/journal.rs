//! The order in which decisions were stored.

use std::{ops::Range, sync::Arc};

use governance_core::{Decision, MutationRequest};

/// Points to one decision of one request.
#[derive(Debug, Clone, Copy)]
struct Line {
    seq: u64,
    ordinal: u32,
    index: u32,
}

/// Every decision of every request, in the order they were stored. Lines of purged requests stay
/// until they are the larger part.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: Vec<Line>,
    next: u64,
    dead: usize,
}

/// A line: its place in the journal, the ordinal of its request, and what it points to unless the
/// request was purged.
pub(crate) struct Found<'a> {
    pub(crate) seq: u64,
    pub(crate) ordinal: u32,
    pub(crate) decision: Option<(&'a Arc<MutationRequest>, &'a Arc<Decision>)>,
}

impl Journal {
    pub(crate) fn append(&mut self, ordinal: u32, decisions: Range<usize>) {
        for index in decisions {
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            self.lines.push(Line {
                seq: self.next,
                ordinal,
                index,
            });
            self.next += 1;
        }
    }

    /// Counts the lines of a request that is about to go, and drops dead lines when they are most.
    pub(crate) fn forget(
        &mut self,
        lines: usize,
        requests: &[Option<Arc<MutationRequest>>],
        gone: u32,
    ) {
        self.dead += lines;
        if self.dead > 1_024 && self.dead * 2 > self.lines.len() {
            self.lines.retain(|line| {
                line.ordinal != gone
                    && requests
                        .get(line.ordinal as usize)
                        .is_some_and(Option::is_some)
            });
            self.dead = 0;
        }
    }

    /// Lines stored after a place, oldest first.
    pub(crate) fn after<'a>(
        &'a self,
        place: Option<u64>,
        requests: &'a [Option<Arc<MutationRequest>>],
    ) -> impl Iterator<Item = Found<'a>> {
        let from = place.map_or(0, |place| {
            self.lines.partition_point(|line| line.seq <= place)
        });
        self.lines[from..]
            .iter()
            .map(move |line| find(line, requests))
    }

    /// Lines stored before a place, newest first.
    pub(crate) fn before<'a>(
        &'a self,
        place: Option<u64>,
        requests: &'a [Option<Arc<MutationRequest>>],
    ) -> impl Iterator<Item = Found<'a>> {
        let to = place.map_or(self.lines.len(), |place| {
            self.lines.partition_point(|line| line.seq < place)
        });
        self.lines[..to]
            .iter()
            .rev()
            .map(move |line| find(line, requests))
    }
}

fn find<'a>(line: &Line, requests: &'a [Option<Arc<MutationRequest>>]) -> Found<'a> {
    let request = requests.get(line.ordinal as usize).and_then(Option::as_ref);
    Found {
        seq: line.seq,
        ordinal: line.ordinal,
        decision: request.and_then(|request| {
            let decision = request.decisions().get(line.index as usize)?;
            Some((request, decision))
        }),
    }
}
