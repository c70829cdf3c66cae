//! What the benchmarks and the report measure on: a corpus of pending requests to list, and a
//! governor over one kind of state to change.

mod change;
mod corpus;

pub use change::{Bench, PolicyDocument, PutPolicy, Statement};
pub use corpus::{Case, Corpus, approver, person};
