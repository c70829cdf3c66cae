//! Finds what a query asks for.
//!
//! Each partition is walked by a [`Source`](source::Source), which gives candidates in the order
//! of the page. [`walk`](walk()) merges the partitions, fetches the documents of the candidates
//! that are next, and lets the evaluator judge each of them.

mod bits;
mod chunks;
mod common;
mod count;
mod due;
mod fetch;
mod foresight;
mod journal;
mod operands;
mod place;
mod sets;
mod slots;
mod source;
mod split;
mod walk;

pub(crate) use bits::Bits;
pub(crate) use count::count;
pub(crate) use foresight::Foresight;
pub(crate) use journal::{Entry as JournalEntry, range as journal_range};
pub(crate) use walk::{Listing, refuse_deadline, walk};
