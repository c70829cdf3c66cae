//! A document without the names of its fields, and without what it says twice.
//!
//! The names that the model has are nearly half of a small document. Here each takes one byte: a
//! document is MessagePack whose map keys are strings, so a small number in the place of a key is
//! the number of a name in [`NAMES`]. In the place of a value, or for a name with a number above
//! 127, the byte 0xc1 comes first, which MessagePack never uses.
//!
//! Behind that byte, numbers from 0xf0 on stand for a text or for bytes that were there before:
//! 0xf0 for what was met last, 0xf1 for what was met before that. A history repeats the digest of
//! every decision in the next, and its actors. 0xef stands for a digest of zeros, with which a
//! history begins. Everything else is as it was, so names that are not in the list stay as they
//! are.

use std::{ops::Range, sync::LazyLock};

/// The number of a name is its place. What is stored has these numbers, so names are only added at
/// the end.
#[rustfmt::skip]
const NAMES: [&str; 169] = [
    "id", "kind", "at", "seq", "actor", "operation", "status", "revision", "prev", "digest",
    "round", "stage", "subject", "reason", "proposal", "pending", "version", "requirements",
    "evidence", "scope", "tenant", "state_type", "state_id", "payload", "mutation", "schema",
    "body", "intent", "category", "risk", "reversible", "tags", "requester", "parties",
    "created_at", "submitted_version", "updated_at", "number", "opened_at", "rules", "seats",
    "from", "any_of", "role", "group", "deny_threshold", "min_chars", "distinct", "self_approval",
    "executor", "stages", "votes", "verdict", "roles", "execution", "attempts", "links",
    "decisions", "submitted", "policy", "evaluated", "phase", "answer", "policies", "reasons",
    "requested", "stage_opened", "granted", "lifecycle", "approval", "name", "on_behalf_of",
    "idempotency_key", "correlation", "metadata", "expires_at", "before", "after", "deleted",
    "executed_at", "failure", "changes", "side_effects", "code", "message", "retryable",
    "superseded_by", "supersedes", "groups", "acts_for", "expires_in", "description", "pattern",
    "all_of", "denied", "withdrawn", "satisfied", "expired", "renewed", "requirement", "by",
    "deadline", "cause", "approved", "retried", "executed", "failed", "rejected", "canceled",
    "superseded", "attempt", "effects", "violations", "approved_for", "current", "amendment",
    "link", "severity", "decisive", "blast_radius", "affected", "path", "data", "to", "tag",
    "any_version_accepted", "revalidated", "renewed_approval_required", "user", "service",
    "system", "created", "policy_denied", "default", "request", "anyone", "forbid", "allow",
    "submission", "required", "approve", "deny", "low", "medium", "high", "critical", "single",
    "module", "global", "added", "modified", "removed", "info", "warning", "error",
    "requires_action", "contract", "abstained", "allowed", "not_requester",
    "not_requester_or_approver", "approval_denied", "quorum_unreachable", "invalid", "stale",
    "request_deadline", "requirement_deadline", "policy_requires", "rejected_as_stale",
];
/// So many fit into the place of a key with one byte.
const SHORT: u8 = 0x80;
const NAME: u8 = 0xc1;
/// From here on what was there before.
const AGAIN: u8 = 0xf0;
const ZEROS: u8 = 0xef;
const ZERO_DIGEST: [u8; 34] = {
    let mut item = [0; 34];
    item[0] = 0xc4;
    item[1] = 32;
    item
};
/// A key that is itself a small number.
const NUMBER: u8 = 0xcc;
/// Documents are not nested more deeply.
const DEEPEST: usize = 64;

/// The numbers of names, each at the place its name is looked for, or behind it.
static NUMBERS: LazyLock<[u8; PLACES]> = LazyLock::new(|| {
    let mut numbers = [NONE; PLACES];
    for (name, number) in NAMES.iter().zip(0..) {
        let mut place = place_of(name.as_bytes());
        while numbers[place] != NONE {
            place = (place + 1) % PLACES;
        }
        numbers[place] = number;
    }
    numbers
});
const PLACES: usize = 1 << 10;
const NONE: u8 = 0xff;

/// Where a name is looked for. Texts that are no names rarely have the place of one.
fn place_of(text: &[u8]) -> usize {
    let byte = |at: usize| text.get(at).map_or(0, |byte| usize::from(*byte));
    let ends = byte(0) * 11 + byte(text.len().saturating_sub(1)) * 37;
    (text.len() * 560 + ends + byte(text.len() / 2) * 11) % PLACES
}

/// The texts and bytes that were met last, the last one first.
struct Met<T>(Vec<T>);

impl<T> Met<T> {
    const MOST: usize = (u8::MAX - AGAIN) as usize + 1;
    /// What is shorter is not worth two bytes; what is longer rarely comes twice.
    const fn has_room_for(item: &[u8]) -> bool {
        matches!(item, [0xa0..=0xbf | 0xc4 | 0xd9, ..]) && item.len() >= 4
    }

    fn new() -> Self {
        Self(Vec::with_capacity(Self::MOST))
    }

    fn add(&mut self, item: T) {
        self.0.truncate(Self::MOST - 1);
        self.0.insert(0, item);
    }

    /// What was met at a place, which is then what was met last.
    fn again(&mut self, at: usize) -> Option<&T> {
        self.0.get_mut(..=at)?.rotate_right(1);
        self.0.first()
    }
}

/// Where in a tree of maps and lists a walk is.
#[derive(Default)]
struct Walk {
    /// Of every open map or list, how many items are left; keys and values count apart.
    open: Vec<(u64, bool)>,
}

impl Walk {
    fn is_key(&self) -> bool {
        matches!(self.open.last(), Some((left, true)) if left % 2 == 0)
    }

    /// Goes on behind an item. None if the tree is too deep.
    fn pass(&mut self, children: Option<(u64, bool)>) -> Option<()> {
        if let Some((left, _)) = self.open.last_mut() {
            *left -= 1;
        }
        self.open.extend(children);
        while let Some((0, _)) = self.open.last() {
            self.open.pop();
        }
        (self.open.len() <= DEEPEST).then_some(())
    }

    fn is_done(&self) -> bool {
        self.open.is_empty()
    }
}

/// One item: how long it is, and what is in it if it is a map or a list.
struct Item {
    length: usize,
    children: Option<(u64, bool)>,
}

impl Item {
    fn read(bytes: &[u8]) -> Option<Self> {
        let number = |width: usize| {
            let bytes = bytes.get(1..=width)?;
            Some(
                bytes
                    .iter()
                    .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            )
        };
        let plain = |length: usize| {
            Some(Self {
                length,
                children: None,
            })
        };
        let sized = |width: usize, more: usize| {
            let length = usize::try_from(number(width)?).ok()?;
            plain(length.checked_add(1 + width + more)?)
        };
        let tree = |length: usize, count: u64, is_map: bool| {
            let items = if is_map { count * 2 } else { count };
            Some(Self {
                length,
                children: Some((items, is_map)),
            })
        };
        let first = *bytes.first()?;
        let low = u64::from(first);
        match first {
            0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => plain(1),
            0x80..=0x8f => tree(1, low & 0xf, true),
            0x90..=0x9f => tree(1, low & 0xf, false),
            0xa0..=0xbf => plain(1 + usize::from(first & 0x1f)),
            NAME => None,
            0xc4 | 0xd9 => sized(1, 0),
            0xc5 | 0xda => sized(2, 0),
            0xc6 | 0xdb => sized(4, 0),
            0xc7 => sized(1, 1),
            0xc8 => sized(2, 1),
            0xc9 => sized(4, 1),
            0xcc | 0xd0 => plain(2),
            0xcd | 0xd1 | 0xd4 => plain(3),
            0xce | 0xd2 | 0xca => plain(5),
            0xcf | 0xd3 | 0xcb => plain(9),
            0xd5 => plain(4),
            0xd6 => plain(6),
            0xd7 => plain(10),
            0xd8 => plain(18),
            0xdc => tree(3, number(2)?, false),
            0xdd => tree(5, number(4)?, false),
            0xde => tree(3, number(2)?, true),
            0xdf => tree(5, number(4)?, true),
        }
    }
}

/// The number of a short string that is a name.
fn number_of(item: &[u8]) -> Option<u8> {
    match item.split_first()? {
        (0xa0..=0xbf, text) => number_of_name(text),
        _ => None,
    }
}

/// Puts numbers in the place of names, behind what is in `short`. None if it is not exactly one
/// value in its shortest form.
pub(super) fn shorten(mut bytes: &[u8], short: &mut Vec<u8>) -> Option<()> {
    let mut walk = Walk::default();
    let mut met: Met<&[u8]> = Met::new();
    loop {
        let is_key = walk.is_key();
        let item = Item::read(bytes)?;
        let (whole, rest) = bytes.split_at_checked(item.length)?;
        match (number_of(whole), whole) {
            (Some(number), _) if is_key && number < SHORT => short.push(number),
            (Some(number), _) => short.extend([NAME, number]),
            (None, [small @ ..0x80]) if is_key => short.extend([NUMBER, *small]),
            // It would read as a small number.
            (None, [NUMBER, ..0x80]) if is_key => return None,
            (None, _) if whole == ZERO_DIGEST => short.extend([NAME, ZEROS]),
            (None, _) if Met::<&[u8]>::has_room_for(whole) => {
                let before = met.0.iter().position(|before| *before == whole);
                if let Some(at) = before {
                    met.again(at);
                    short.extend([NAME, AGAIN + u8::try_from(at).ok()?]);
                } else {
                    met.add(whole);
                    short.extend(whole);
                }
            }
            (None, _) => short.extend(whole),
        }
        bytes = rest;
        walk.pass(item.children)?;
        if walk.is_done() {
            return bytes.is_empty().then_some(());
        }
    }
}

/// Puts names in the place of numbers. None if the bytes are damaged or come out longer than they
/// should.
pub(super) fn expand(mut short: &[u8], most: usize) -> Option<Vec<u8>> {
    let mut walk = Walk::default();
    let mut met: Met<Range<usize>> = Met::new();
    let mut bytes = Vec::with_capacity(most.min(1 << 16));
    loop {
        let is_key = walk.is_key();
        let mut children = None;
        match *short {
            [number @ ..SHORT, ref rest @ ..] if is_key => {
                push_name(&mut bytes, number)?;
                short = rest;
            }
            [NAME, number, ref rest @ ..] => {
                match number {
                    AGAIN.. => {
                        bytes.extend_from_within(met.again((number - AGAIN).into())?.clone())
                    }
                    ZEROS => bytes.extend(ZERO_DIGEST),
                    _ => push_name(&mut bytes, number)?,
                }
                short = rest;
            }
            [NUMBER, small @ ..0x80, ref rest @ ..] if is_key => {
                bytes.push(small);
                short = rest;
            }
            _ => {
                let item = Item::read(short)?;
                let (whole, rest) = short.split_at_checked(item.length)?;
                if Met::<&[u8]>::has_room_for(whole) {
                    met.add(bytes.len()..bytes.len() + whole.len());
                }
                bytes.extend(whole);
                short = rest;
                children = item.children;
            }
        }
        if bytes.len() > most {
            return None;
        }
        walk.pass(children)?;
        if walk.is_done() {
            return short.is_empty().then_some(bytes);
        }
    }
}

fn push_name(bytes: &mut Vec<u8>, number: u8) -> Option<()> {
    let name = NAMES.get(usize::from(number))?;
    bytes.push(0xa0 | u8::try_from(name.len()).ok()?);
    bytes.extend(name.as_bytes());
    Some(())
}

/// The number of a name.
pub(super) fn number_of_name(text: &[u8]) -> Option<u8> {
    let mut place = place_of(text);
    loop {
        let number = NUMBERS[place];
        let name = NAMES.get(usize::from(number))?;
        if name.as_bytes() == text {
            return Some(number);
        }
        place = (place + 1) % PLACES;
    }
}

/// The name with a number.
pub(super) fn name_of(number: u64) -> Option<&'static str> {
    NAMES.get(usize::try_from(number).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use governance_core::Digest;
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;

    #[derive(Clone, Debug, Serialize)]
    #[serde(untagged)]
    enum Tree {
        Number(i64),
        Text(String),
        Bytes(serde_bytes::ByteBuf),
        List(Vec<Self>),
        Named(BTreeMap<String, Self>),
        Numbered(BTreeMap<i16, Self>),
    }

    fn texts() -> impl Strategy<Value = String> {
        prop_oneof![
            prop::sample::select(&NAMES[..]).prop_map(str::to_owned),
            "[a-z]{0,40}"
        ]
    }

    fn trees() -> impl Strategy<Value = Tree> {
        let bytes = prop_oneof![
            Just(vec![0; 32]),
            prop::collection::vec(0_u8..2, 0..6),
            prop::collection::vec(any::<u8>(), 250..260)
        ];
        let leaf = prop_oneof![
            any::<i64>().prop_map(Tree::Number),
            texts().prop_map(Tree::Text),
            bytes.prop_map(|bytes| Tree::Bytes(serde_bytes::ByteBuf::from(bytes)))
        ];
        leaf.prop_recursive(5, 64, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..20).prop_map(Tree::List),
                prop::collection::btree_map(texts(), inner.clone(), 0..20).prop_map(Tree::Named),
                prop::collection::btree_map(-200_i16..400, inner, 0..6).prop_map(Tree::Numbered),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_shortened_comes_out(tree in trees()) {
            let bytes = rmp_serde::to_vec_named(&tree).unwrap();
            let mut short = Vec::new();
            shorten(&bytes, &mut short).unwrap();
            prop_assert_eq!(expand(&short, bytes.len()), Some(bytes));
        }

        #[test]
        fn damage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = expand(&bytes, 200);
            let mut short = Vec::new();
            if shorten(&bytes, &mut short).is_some() {
                prop_assert_eq!(expand(&short, bytes.len()), Some(bytes));
            }
        }
    }

    #[test]
    fn a_bomb_is_not_opened() {
        // Many lists in one another, and more names than there is room for.
        assert_eq!(expand(&[0x91; 1_000], 1 << 20), None);
        assert!(NAMES.len() <= usize::from(ZEROS));
        let names = [&[0xdc, 0x01, 0x00][..], &[NAME, 1].repeat(256)].concat();
        assert_eq!(expand(&names, 100), None);
        assert_eq!(
            expand(&names, 3 + 256 * 5).map(|bytes| bytes.len()),
            Some(3 + 256 * 5)
        );
    }

    #[test]
    fn names_keep_their_numbers() {
        let first = NAMES[..169].join(" ");
        assert_eq!(
            Digest::of(first).to_string(),
            "bc95aee10fe0a13040b0f7451c7f3b9222dd17004dd36331d29b9023910923a4",
            "names are only added at the end"
        );
        for (name, number) in NAMES.iter().zip(0..) {
            let mut item = vec![0xa0 | u8::try_from(name.len()).unwrap()];
            item.extend(name.as_bytes());
            assert!(item[0] < 0xc0, "{name} is too long");
            assert_eq!(number_of(&item), Some(number), "{name} is there twice");
        }
    }
}
