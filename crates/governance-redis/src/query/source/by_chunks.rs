//! Walks chunk by chunk.

use super::{NEWEST, Raw, Source};
use crate::{
    error::RedisError,
    keys::CHUNK,
    query::{chunks, sets, split::Search},
};

impl Source<'_> {
    pub(super) async fn scan_chunks(&mut self, step: usize, want: usize) -> Result<(), RedisError> {
        let chunks = self.next_chunks(step.min(chunks::at_once(self.search)));
        let answered = chunks::evaluate(self.shared, self.partition, self.search, &chunks).await?;
        self.take_up(&chunks, answered, want);
        Ok(())
    }

    /// Looks at a part of the search in as many chunks as can be read at once. If it leaves so few
    /// that they can be judged by their documents, they are what is found, else false.
    pub(super) async fn probe_chunks(
        &mut self,
        keen: &Search,
        want: usize,
    ) -> Result<bool, RedisError> {
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
