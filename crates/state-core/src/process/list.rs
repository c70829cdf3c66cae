//! Listings, page by page.

use std::{fmt, str::FromStr};

use crate::process::{InvalidCursor, ProcessHeader};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing<'a> {
    /// Every live process, by kind and id.
    Active,
    /// Live processes that no worker has claimed, by id.
    Unclaimed,
    /// Live processes whose worker has not been heard of for its lease, longest silence first.
    Orphans,
    /// Live processes of a kind, by id.
    ByKind(&'a str),
    /// Ended processes, in the order they ended.
    Ended,
}

/// Where the next page begins. Its text can be kept and read again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PageCursor {
    /// The shard the page goes on in.
    pub shard: u32,
    /// The score of the last item there; 0 in listings by id.
    pub score: u64,
    /// The last item there; empty at the beginning of a shard.
    pub member: String,
}

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.shard, self.score, self.member)
    }
}

impl fmt::Debug for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageCursor")
            .field("shard", &self.shard)
            .finish_non_exhaustive()
    }
}

impl FromStr for PageCursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let mut parts = text.splitn(3, '.');
        let mut next = || parts.next().ok_or(InvalidCursor);
        let number = |text: &str| text.parse().map_err(|_| InvalidCursor);
        Ok(Self {
            shard: u32::try_from(number(next()?)?).map_err(|_| InvalidCursor)?,
            score: number(next()?)?,
            member: next()?.to_owned(),
        })
    }
}

/// A page of a listing, shard by shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessPage {
    /// The processes.
    pub items: Vec<ProcessHeader>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<PageCursor>,
    /// Ids of records that cannot be read. They are no obstacle to the others.
    pub undecodable: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_their_text() {
        let cursor = PageCursor {
            shard: 3,
            score: 17,
            member: "a.b.c".to_owned(),
        };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for text in ["", "1", "1.2", "x.1.a", "1.x.a", "-1.0.a"] {
            assert_eq!(text.parse::<PageCursor>(), Err(InvalidCursor), "{text}");
        }
    }
}
