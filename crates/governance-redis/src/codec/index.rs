//! What a request is indexed under, in few bytes.
//!
//! | Field | |
//! |---|---|
//! | 1 B | what there is: 1 for a deadline, 2 for an idempotency key |
//! | number | the deadline, if there is one: microseconds, its sign in the lowest bit |
//! | 16 B | the digest of the idempotency key, if there is one |
//! | 1 B | of every term: class in the two high bits, number of the dimension in the others; 63 for a dimension without one, then the length of its name and the name |
//! | number | of every term: four times the length of its value, then the value; one more than four times the place of the value in the document, then its length; or two more than four times the number of a name |
//!
//! Most values are names of the model or stand in the document anyway, which is a part of the same
//! record, so most terms take three or four bytes.

use governance_core::Dimension;

use super::{
    names::{name_of, number_of_name},
    number::{read_number, write_number},
};
use crate::index::{Class, IndexRecord, IndexTerm};

/// The number of a dimension is its place. What is stored has these numbers, so the list never
/// changes; later dimensions are stored by name.
const NUMBERED: [Dimension; 19] = [
    Dimension::Tenant,
    Dimension::Status,
    Dimension::PendingReason,
    Dimension::Risk,
    Dimension::Category,
    Dimension::Operation,
    Dimension::MutationType,
    Dimension::StateType,
    Dimension::StateId,
    Dimension::Requester,
    Dimension::Tag,
    Dimension::BlastScope,
    Dimension::Correlation,
    Dimension::Link,
    Dimension::DecisionCategory,
    Dimension::DecidedBy,
    Dimension::OpenActor,
    Dimension::OpenRole,
    Dimension::OpenGroup,
];
const NAMED: u8 = 63;
const DUE: u8 = 1;
const KEY: u8 = 2;

const fn class_number(class: Class) -> u8 {
    match class {
        Class::Bitmap => 0,
        Class::Ordinals => 1,
        Class::Inbox => 2,
    }
}

const fn class_of(number: u8) -> Option<Class> {
    match number {
        0 => Some(Class::Bitmap),
        1 => Some(Class::Ordinals),
        2 => Some(Class::Inbox),
        _ => None,
    }
}

pub(super) fn write_index(record: &IndexRecord, document: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(96);
    let due = if record.due().is_some() { DUE } else { 0 };
    let key = if record.key().is_some() { KEY } else { 0 };
    bytes.push(due | key);
    if let Some(due) = record.due() {
        write_number(&mut bytes, ((due << 1) ^ (due >> 63)).cast_unsigned());
    }
    bytes.extend(record.key().into_iter().flatten());
    for term in record.terms() {
        let class = class_number(term.class()) << 6;
        let number = term.known_dimension().and_then(|dimension| {
            let at = NUMBERED.iter().position(|known| *known == dimension)?;
            u8::try_from(at).ok()
        });
        match number {
            Some(number) => bytes.push(class | number),
            None => {
                bytes.push(class | NAMED);
                write_number(&mut bytes, term.dimension().len() as u64);
                bytes.extend(term.dimension().as_bytes());
            }
        }
        write_value(&mut bytes, term.value().as_bytes(), document);
    }
    bytes
}

const IN_PLACE: u64 = 0;
const IN_DOCUMENT: u64 = 1;
const NAMED_VALUE: u64 = 2;

fn write_value(bytes: &mut Vec<u8>, value: &[u8], document: &[u8]) {
    let length = value.len() as u64;
    if let Some(number) = number_of_name(value) {
        write_number(bytes, u64::from(number) << 2 | NAMED_VALUE);
    } else if value.len() > 2
        && let Some(at) = memchr::memmem::find(document, value)
    {
        write_number(bytes, (at as u64) << 2 | IN_DOCUMENT);
        write_number(bytes, length);
    } else {
        write_number(bytes, length << 2 | IN_PLACE);
        bytes.extend(value);
    }
}

/// Reads the record again; none if it is damaged.
pub(super) fn read_index<'a>(mut bytes: &'a [u8], document: &'a [u8]) -> Option<IndexRecord> {
    let bytes = &mut bytes;
    let (what, rest) = bytes.split_first()?;
    *bytes = rest;
    if what & !(DUE | KEY) != 0 {
        return None;
    }
    let due = if what & DUE == 0 {
        None
    } else {
        let number = read_number(bytes)?;
        let sign = -(number & 1).cast_signed();
        Some((number >> 1).cast_signed() ^ sign)
    };
    let key = if what & KEY == 0 {
        None
    } else {
        let (key, rest) = bytes.split_first_chunk()?;
        *bytes = rest;
        Some(*key)
    };
    let mut terms = Vec::with_capacity(16);
    while let Some((first, rest)) = bytes.split_first() {
        *bytes = rest;
        let class = class_of(first >> 6)?;
        let term = match first & 0x3f {
            NAMED => {
                let length = read_number(bytes)?;
                let name = text(take(bytes, length)?)?;
                IndexTerm::named(class, name, read_value(bytes, document)?)
            }
            number => {
                let dimension = *NUMBERED.get(usize::from(number))?;
                IndexTerm::known(class, dimension, read_value(bytes, document)?)
            }
        };
        terms.push(term);
    }
    Some(IndexRecord::from_parts(terms, due, key))
}

fn read_value<'a>(bytes: &mut &'a [u8], document: &'a [u8]) -> Option<&'a str> {
    let number = read_number(bytes)?;
    let rest = number >> 2;
    match number & 3 {
        IN_PLACE => text(take(bytes, rest)?),
        IN_DOCUMENT => {
            let mut behind = document.get(usize::try_from(rest).ok()?..)?;
            text(take(&mut behind, read_number(bytes)?)?)
        }
        NAMED_VALUE => name_of(rest),
        _ => None,
    }
}

fn take<'a>(bytes: &mut &'a [u8], length: u64) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(taken)
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn terms() -> impl Strategy<Value = Vec<IndexTerm>> {
        let classes = prop::sample::select(vec![Class::Bitmap, Class::Ordinals, Class::Inbox]);
        let names = prop::sample::select(vec!["tenant", "open_group", "of_tomorrow", "x"]);
        let term = (classes, names, "[ab]{0,4}|pending|low")
            .prop_map(|(class, name, value)| IndexTerm::named(class, name, &value));
        prop::collection::vec(term, 0..20)
    }

    proptest! {
        #[test]
        fn a_record_round_trips(
            terms in terms(),
            due: Option<i64>,
            key: Option<[u8; 16]>,
            document in "[abc]{0,20}",
        ) {
            let record = IndexRecord::from_parts(terms, due, key);
            let bytes = write_index(&record, document.as_bytes());
            prop_assert_eq!(read_index(&bytes, document.as_bytes()), Some(record));
        }

        #[test]
        fn damage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..60), document: Vec<u8>) {
            let _ = read_index(&bytes, &document);
        }
    }

    #[test]
    fn what_the_document_has_takes_four_bytes() {
        let term = IndexTerm::of(Dimension::Operation, "policy.put");
        let record = IndexRecord::from_parts(vec![term], None, None);
        let document = [&[b' '; 100][..], b"policy.put"].concat();
        assert_eq!(write_index(&record, &document).len(), 1 + 4);
        let status = IndexTerm::of(Dimension::Status, "pending");
        let named = IndexRecord::from_parts(vec![status], None, None);
        assert_eq!(write_index(&named, b"pending").len(), 1 + 2);
        assert_eq!(write_index(&record, b"").len(), 1 + 2 + "policy.put".len());
    }

    #[test]
    fn dimensions_keep_their_numbers() {
        let names: Vec<_> = NUMBERED.iter().map(|known| known.as_str()).collect();
        assert_eq!(
            names.join(" "),
            "tenant status pending_reason risk category operation mutation_type state_type \
             state_id requester tag blast_scope correlation link decision_category decided_by \
             open_actor open_role open_group"
        );
    }
}
