//! An event of the change feed as it stands in the stream.
//!
//! There is one for every write, so it is kept short: version, kind, the fields of the kind, and
//! the scope. Numbers are of variable length, texts follow their length.

use governance_core::{
    FeedSubject, OperationId, RequestId, Revision, Scope, StateId, StateType, StateVersion, Status,
    TenantId,
};

use super::number::{read_number, write_number};

const VERSION: u8 = 1;
const REQUEST: u8 = 0;
const PURGED: u8 = 1;
const STATE: u8 = 2;

/// One event. When it happened is the time of the stream, which never runs back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) scope: Scope,
    pub(crate) subject: FeedSubject,
}

impl Event {
    /// The bytes; none for what this version has no name for.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut bytes = Vec::with_capacity(96);
        bytes.push(VERSION);
        match &self.subject {
            FeedSubject::Request {
                id,
                revision,
                before,
                after,
                operation,
            } => {
                bytes.push(REQUEST);
                bytes.extend(id.as_bytes());
                bytes.extend(operation.as_bytes());
                write_number(&mut bytes, revision.get());
                write_text(&mut bytes, before.map_or("", Status::as_str));
                write_text(&mut bytes, after.as_str());
            }
            FeedSubject::Purged { id } => {
                bytes.push(PURGED);
                bytes.extend(id.as_bytes());
            }
            FeedSubject::State { version } => {
                bytes.push(STATE);
                write_number(&mut bytes, version.get());
            }
            _ => return None,
        }
        write_text(&mut bytes, self.scope.tenant.as_str());
        write_text(&mut bytes, self.scope.state_type.as_str());
        write_text(&mut bytes, self.scope.state_id.as_str());
        Some(bytes)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let ([VERSION, kind], mut rest) = bytes.split_first_chunk()? else {
            return None;
        };
        let rest = &mut rest;
        let subject = match *kind {
            REQUEST => FeedSubject::Request {
                id: RequestId::from_bytes(read_bytes(rest)?).ok()?,
                operation: OperationId::from_bytes(read_bytes(rest)?),
                revision: Revision::new(read_number(rest)?),
                before: match read_text(rest)? {
                    "" => None,
                    name => Some(name.parse().ok()?),
                },
                after: read_text(rest)?.parse().ok()?,
            },
            PURGED => FeedSubject::Purged {
                id: RequestId::from_bytes(read_bytes(rest)?).ok()?,
            },
            STATE => FeedSubject::State {
                version: StateVersion::new(read_number(rest)?),
            },
            _ => return None,
        };
        let scope = Scope {
            tenant: TenantId::new(read_text(rest)?).ok()?,
            state_type: StateType::new(read_text(rest)?).ok()?,
            state_id: StateId::new(read_text(rest)?).ok()?,
        };
        rest.is_empty().then_some(Self { scope, subject })
    }
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    write_number(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

fn read_text<'a>(bytes: &mut &'a [u8]) -> Option<&'a str> {
    let length = usize::try_from(read_number(bytes)?).ok()?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    std::str::from_utf8(text).ok()
}

fn read_bytes(bytes: &mut &[u8]) -> Option<[u8; 16]> {
    let (found, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*found)
}

#[cfg(test)]
mod tests {
    use governance_core::Timestamp;
    use proptest::prelude::*;

    use super::*;

    fn events() -> impl Strategy<Value = Event> {
        let scope = ("[a-z]{1,9}", "[a-zä]{1,9}", "[a-z/]{1,200}");
        let status = || prop::sample::select(Status::ALL.to_vec());
        let request = (any::<[u8; 10]>(), any::<[u8; 16]>(), any::<u64>());
        (scope, 0..3, request, prop::option::of(status()), status()).prop_map(
            |((tenant, kind, state), subject, (random, operation, number), before, after)| {
                let scope = Scope {
                    tenant: TenantId::new(tenant).unwrap(),
                    state_type: StateType::new(kind).unwrap(),
                    state_id: StateId::new(state).unwrap(),
                };
                let id = RequestId::new(Timestamp::EPOCH, scope.slot(), random);
                let subject = match subject {
                    0 => FeedSubject::Request {
                        id,
                        revision: Revision::new(number),
                        before,
                        after,
                        operation: OperationId::from_bytes(operation),
                    },
                    1 => FeedSubject::Purged { id },
                    _ => FeedSubject::State {
                        version: StateVersion::new(number),
                    },
                };
                Event { scope, subject }
            },
        )
    }

    proptest! {
        #[test]
        fn an_event_round_trips(event in events()) {
            let bytes = event.encode().unwrap();
            prop_assert_eq!(Event::decode(&bytes), Some(event));
            prop_assert_eq!(Event::decode(&bytes[..bytes.len() - 1]), None);
        }

        #[test]
        fn damage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Event::decode(&bytes);
        }
    }
}
