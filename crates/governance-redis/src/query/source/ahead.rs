//! What a walk over an inbox asks together with other partitions, and what it expects to be told.

use std::sync::Arc;

use bytes::Bytes;
use redis_client::redis::Value;

use super::{Candidate, LONGEST_WALK, Raw, Source, Way};
use crate::{
    cache::IdSlot,
    error::RedisError,
    index::Class,
    query::{
        common,
        foresight::{Part, Start},
        sets,
        split::Driver,
    },
};

/// The part of an inbox that was asked for together with other partitions.
pub(super) struct Seen {
    start: Start,
    expected: Option<Arc<Part>>,
    part: Part,
    sets: Vec<Vec<sets::Member>>,
}

impl Source<'_> {
    /// What the next read will ask, if that is known and can be asked together with others; and
    /// what is expected to be found.
    pub(in crate::query) fn question(
        &self,
        want: usize,
    ) -> Option<(sets::Question, Option<Arc<Part>>)> {
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
    pub(in crate::query) fn expect_rest<'b>(
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

    /// Takes the answers to its question. False if they cannot be used: then the next read asks anew.
    pub(in crate::query) fn hear(
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
    pub(in crate::query) fn note_taken(&mut self, taken: Option<u64>) {
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
}
