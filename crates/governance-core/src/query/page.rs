//! Pages, cursors and orders.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::ids::Digest;

/// In which order requests are listed.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As they were submitted, oldest first.
    #[default]
    Submission,
    /// As they were submitted, newest first.
    NewestFirst,
    /// By the next deadline, earliest first. Requests without one are not listed.
    Deadline,
}

impl Order {
    /// Every order.
    pub const ALL: [Self; 3] = [Self::Submission, Self::NewestFirst, Self::Deadline];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::NewestFirst => "newest_first",
            Self::Deadline => "deadline",
        }
    }

    /// The byte that stands for it in a cursor. Never changes.
    const fn tag(self) -> u8 {
        match self {
            Self::Submission => 1,
            Self::NewestFirst => 2,
            Self::Deadline => 3,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

crate::ids::parse_by_name!(Order, "an order");

/// Which page of a listing a caller asks for.
///
/// ```
/// use governance_core::{Order, PageRequest};
///
/// let first = PageRequest::first(50)?.order(Order::NewestFirst);
/// assert_eq!(first.limit(), 50);
/// assert!(PageRequest::first(0).is_err());
/// # Ok::<(), governance_core::PageError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PageRequest {
    limit: u16,
    order: Order,
    after: Option<Cursor>,
}

impl PageRequest {
    /// Most items of one page.
    pub const MAX_LIMIT: u16 = 1_000;

    /// The first page, with at most `limit` items.
    ///
    /// # Errors
    ///
    /// [`PageError::LimitOutOfRange`] unless the limit is from 1 to [`PageRequest::MAX_LIMIT`].
    pub const fn first(limit: u16) -> Result<Self, PageError> {
        if limit == 0 || limit > Self::MAX_LIMIT {
            return Err(PageError::LimitOutOfRange { limit });
        }
        Ok(Self {
            limit,
            order: Order::Submission,
            after: None,
        })
    }

    /// The page after the one that gave this cursor. Query and order have to be the same.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.after = Some(cursor);
        self
    }

    /// In this order.
    #[must_use]
    pub const fn order(mut self, order: Order) -> Self {
        self.order = order;
        self
    }

    /// Most items.
    #[must_use]
    pub const fn limit(&self) -> u16 {
        self.limit
    }

    /// The order asked for.
    #[must_use]
    pub const fn ordering(&self) -> Order {
        self.order
    }

    /// The cursor, unless the first page is asked for.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.after.as_ref()
    }

    /// Where the page begins, as the store wrote it into the cursor; none for the first page.
    ///
    /// # Errors
    ///
    /// [`PageError::CursorForeign`] when the cursor came from another query or order.
    pub fn position(&self, query_digest: Digest) -> Result<Option<&[u8]>, PageError> {
        self.after
            .as_ref()
            .map(|cursor| cursor.position(self.order, query_digest))
            .transpose()
    }
}

/// One page of a listing.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Page<T> {
    /// The items. There may be fewer than asked for, or none, although more pages follow: a store
    /// that has read as much as it may for one page returns what it has found.
    pub items: Vec<T>,
    /// The cursor for the next page, none at the end of the listing.
    pub next: Option<Cursor>,
    /// Records between the items of this page that could not be read.
    pub undecodable: Vec<Undecodable>,
}

impl<T> Page<T> {
    /// A page on which everything could be read.
    #[must_use]
    pub const fn new(items: Vec<T>, next: Option<Cursor>) -> Self {
        Self {
            items,
            next,
            undecodable: Vec::new(),
        }
    }

    /// Adds records that could not be read.
    #[must_use]
    pub fn with_undecodable(mut self, records: Vec<Undecodable>) -> Self {
        self.undecodable.extend(records);
        self
    }

    /// The page with every item turned into another.
    #[must_use]
    pub fn map<U>(self, turn: impl FnMut(T) -> U) -> Page<U> {
        Page {
            items: self.items.into_iter().map(turn).collect(),
            next: self.next,
            undecodable: self.undecodable,
        }
    }
}

/// A record that could not be read. It does not fail the page it is on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize)]
pub struct Undecodable {
    /// What the store knows it by.
    pub id: String,
    /// What is wrong with it.
    pub problem: String,
}

/// Where a page ended. Opaque to callers, and of use only with the query and the order it came
/// from.
///
/// Its text is base64url without padding of a version byte, the order, the first eight bytes of
/// the query's digest, and a position that only the store understands.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    /// Longest text of a cursor in bytes.
    pub const MAX_BYTES: usize = 4_096;
    /// Longest position in bytes.
    pub const MAX_POSITION_BYTES: usize = Self::MAX_BYTES / 4 * 3 - Self::HEAD;

    const VERSION: u8 = 1;
    const HEAD: usize = 10;

    /// A cursor for this order and query. A position longer than
    /// [`Cursor::MAX_POSITION_BYTES`] makes a cursor that is refused when it comes back.
    #[must_use]
    pub fn new(order: Order, query_digest: Digest, position: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(Self::HEAD + position.len());
        bytes.extend(Self::head(order, query_digest));
        bytes.extend_from_slice(position);
        Self(bytes)
    }

    fn head(order: Order, query_digest: Digest) -> impl Iterator<Item = u8> {
        let digest = *query_digest.as_bytes();
        [Self::VERSION, order.tag()]
            .into_iter()
            .chain(digest.into_iter().take(Self::HEAD - 2))
    }

    /// The position, if the cursor is of this order and query.
    ///
    /// # Errors
    ///
    /// [`PageError::CursorForeign`] when it is of another, [`PageError::CursorMalformed`] when
    /// its position is too long.
    pub fn position(&self, order: Order, query_digest: Digest) -> Result<&[u8], PageError> {
        let (head, position) = self
            .0
            .split_at_checked(Self::HEAD)
            .ok_or(PageError::CursorMalformed)?;
        if position.len() > Self::MAX_POSITION_BYTES {
            return Err(PageError::CursorMalformed);
        }
        if !head.iter().copied().eq(Self::head(order, query_digest)) {
            return Err(PageError::CursorForeign);
        }
        Ok(position)
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cursor({self})")
    }
}

impl FromStr for Cursor {
    type Err = PageError;

    fn from_str(text: &str) -> Result<Self, PageError> {
        if text.len() > Self::MAX_BYTES {
            return Err(PageError::CursorMalformed);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| PageError::CursorMalformed)?;
        let known = Order::ALL
            .iter()
            .any(|order| bytes.get(1) == Some(&order.tag()));
        if bytes.len() < Self::HEAD || bytes.first() != Some(&Self::VERSION) || !known {
            return Err(PageError::CursorMalformed);
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Cursor {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cursor {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Cursor;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of a cursor")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cursor, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// A page that cannot be given.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PageError {
    /// A page has at least one item and at most so many.
    #[error(
        "{limit} items asked for, from 1 to {} are allowed",
        PageRequest::MAX_LIMIT
    )]
    LimitOutOfRange {
        /// Items asked for.
        limit: u16,
    },
    /// The text is not a cursor.
    #[error("the text is not a cursor")]
    CursorMalformed,
    /// The cursor belongs to another query or order.
    #[error("the cursor belongs to another query or order")]
    CursorForeign,
    /// The store cannot continue from the cursor any more.
    #[error("the cursor is no longer of use, begin with the first page")]
    CursorExpired,
}

impl PageError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::LimitOutOfRange { .. } => "page.limit_out_of_range",
            Self::CursorMalformed => "page.cursor_malformed",
            Self::CursorForeign => "page.cursor_foreign",
            Self::CursorExpired => "page.cursor_expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn d51_limits_are_errors() {
        for limit in [0, PageRequest::MAX_LIMIT + 1, u16::MAX] {
            let error = PageRequest::first(limit).unwrap_err();
            assert_eq!(error, PageError::LimitOutOfRange { limit });
            assert_eq!(error.code(), "page.limit_out_of_range");
        }
        for limit in [1, PageRequest::MAX_LIMIT] {
            assert_eq!(PageRequest::first(limit).unwrap().limit(), limit);
        }
    }

    #[test]
    fn a_cursor_is_of_use_only_where_it_came_from() {
        let cursor = Cursor::new(Order::Deadline, Digest::of("a"), b"here");
        assert_eq!(
            cursor.position(Order::Deadline, Digest::of("b")),
            Err(PageError::CursorForeign)
        );
        assert_eq!(
            cursor.position(Order::Submission, Digest::of("a")),
            Err(PageError::CursorForeign)
        );
        let page = PageRequest::first(1).unwrap();
        assert_eq!(page.position(Digest::of("a")), Ok(None));
        let page = page.order(Order::Deadline).after(cursor);
        assert_eq!(page.position(Digest::of("a")), Ok(Some(&b"here"[..])));
    }

    #[test]
    fn texts_that_are_no_cursors_are_refused() {
        let good = Cursor::new(Order::Submission, Digest::of("a"), b"x").to_string();
        assert!(good.parse::<Cursor>().is_ok());
        let padded = format!("{good}=");
        let version = URL_SAFE_NO_PAD.encode([9; 12]);
        let order = URL_SAFE_NO_PAD.encode([1; 12]).replacen("AQEB", "AQkB", 1);
        let long = "A".repeat(Cursor::MAX_BYTES + 1);
        for text in [
            "",
            "AQ",
            "not base64!",
            &good[..6],
            &padded,
            &version,
            &order,
            &long,
        ] {
            assert_eq!(
                text.parse::<Cursor>(),
                Err(PageError::CursorMalformed),
                "{text}"
            );
        }
        let long = Cursor::new(Order::Submission, Digest::ZERO, &[0; Cursor::MAX_BYTES]);
        assert!(long.to_string().parse::<Cursor>().is_err());
        assert!(long.position(Order::Submission, Digest::ZERO).is_err());
        let longest = [7; Cursor::MAX_POSITION_BYTES];
        let longest = Cursor::new(Order::Submission, Digest::ZERO, &longest);
        assert_eq!(longest.to_string().parse::<Cursor>(), Ok(longest));
    }

    proptest! {
        #[test]
        fn a_cursor_keeps_its_position(
            position in prop::collection::vec(any::<u8>(), 0..64), order in 0_usize..3,
        ) {
            let (order, query) = (Order::ALL[order], Digest::of("query"));
            let cursor = Cursor::new(order, query, &position);
            let text = serde_json::to_string(&cursor).unwrap();
            let read: Cursor = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(read.position(order, query), Ok(&position[..]));
        }
    }

    /// What a service would send: cursors as their text, what a vote was refused for by name.
    #[test]
    fn a_page_can_be_sent() {
        let cursor = Cursor::new(Order::Submission, Digest::ZERO, b"x");
        let actor = crate::ActorId::new("alice").unwrap();
        let refused = crate::VoteRefused::NoVote { actor };
        let page =
            Page::new(vec![refused], Some(cursor.clone())).with_undecodable(vec![Undecodable {
                id: "7".to_owned(),
                problem: "cut off".to_owned(),
            }]);
        assert_eq!(
            serde_json::to_value(&page).unwrap(),
            serde_json::json!({
                "items": [{"no_vote": {"actor": "alice"}}],
                "next": cursor.to_string(),
                "undecodable": [{"id": "7", "problem": "cut off"}],
            })
        );
        assert_eq!(
            serde_json::to_value(crate::Count::AtLeast(3)).unwrap(),
            serde_json::json!({"at_least": 3})
        );
    }
}
