//! What a check found.

use std::fmt;

use crate::partition::Partition;

/// Findings that are listed; more are only counted.
const LISTED: usize = 1_000;

/// What is wrong with something.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// The record of a request or of a state cannot be read.
    Unreadable,
    /// The history of a request is not whole.
    History,
    /// An entry of the id table leads to no request, or to another; or an idempotency key leads to
    /// none.
    Dangling,
    /// A request is there and cannot be listed, since the id table or the counters lack it; or the
    /// journal lacks decisions of it, or it is not found by its idempotency key. A rebuild does not
    /// repair that: these come first, and the index is made from them.
    Unlisted,
    /// The record says it is indexed under something else than it should be.
    Outdated,
    /// A request is not found by something it should be found by.
    Missing,
    /// The index has something that no request has.
    Stray,
    /// A key under the prefix that is none of the store's, or of another type than the store's.
    /// Nothing reads it, and nothing removes it.
    Foreign,
}

impl FindingKind {
    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::History => "history",
            Self::Dangling => "dangling",
            Self::Unlisted => "unlisted",
            Self::Outdated => "outdated",
            Self::Missing => "missing",
            Self::Stray => "stray",
            Self::Foreign => "foreign",
        }
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    kind: FindingKind,
    partition: u16,
    subject: String,
}

impl Finding {
    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> FindingKind {
        self.kind
    }

    /// In which partition.
    #[must_use]
    pub const fn partition(&self) -> u16 {
        self.partition
    }

    /// With what.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} in partition {}: {}",
            self.kind.as_str(),
            self.partition,
            self.subject
        )
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    requests: u64,
    entries: u64,
    count: u64,
    findings: Vec<Finding>,
    /// The kinds that are of interest, all if none is named.
    only: &'static [FindingKind],
}

impl VerifyReport {
    /// A report that leaves all other kinds out.
    pub(in crate::admin) fn only(kinds: &'static [FindingKind]) -> Self {
        Self {
            only: kinds,
            ..Self::default()
        }
    }

    /// Requests that were read.
    #[must_use]
    pub const fn requests(&self) -> u64 {
        self.requests
    }

    /// Index entries that were compared.
    #[must_use]
    pub const fn entries(&self) -> u64 {
        self.entries
    }

    /// How many things are wrong.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The first of them.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.count == 0
    }

    /// One like this in which nothing was found yet.
    pub(super) fn anew(&self) -> Self {
        Self::only(self.only)
    }

    pub(super) fn request(&mut self) {
        self.requests += 1;
    }

    pub(super) fn entry(&mut self) {
        self.entries += 1;
    }

    pub(super) fn merge(&mut self, other: Self) {
        self.requests += other.requests;
        self.entries += other.entries;
        self.count += other.count;
        let room = LISTED.saturating_sub(self.findings.len());
        self.findings.extend(other.findings.into_iter().take(room));
    }

    pub(super) fn add(
        &mut self,
        kind: FindingKind,
        partition: &Partition,
        subject: impl Into<String>,
    ) {
        if !self.only.is_empty() && !self.only.contains(&kind) {
            return;
        }
        self.count += 1;
        if self.findings.len() < LISTED {
            self.findings.push(Finding {
                kind,
                partition: partition.number,
                subject: subject.into(),
            });
        }
    }
}
