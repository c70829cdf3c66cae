//! What released versions wrote stays readable for ever.
//!
//! Each file is a whole frame as that version wrote it. They are never written anew: a change that
//! breaks one of them needs a new schema version and an upcaster.

use std::time::Duration;

use bytes::Bytes;
use governance_core::{
    FeedSubject, Membership, MutationRequest, OperationId, Revision, StateVersion, Status,
    Timestamp,
};
use governance_testkit::fixtures::{RequestBuilder, SeededIds, actor, approve};

use super::{
    Event, Frame, Head, Schemas, StateRecord, decode_document, decode_state, encode_document,
    encode_frame, encode_state, plain_length,
};
use crate::{index::IndexRecord, options::Compression};

const NOW: Timestamp = Timestamp::from_micros(1_795_222_923_500_000);

/// A request with something in most of its fields.
pub(crate) fn sample() -> MutationRequest {
    use governance_core::IdSource as _;
    let ids = SeededIds::new(11);
    let request = RequestBuilder::new(&ids, NOW)
        .tenant("acme")
        .state("billing/quota")
        .key("order-7")
        .correlation("work-1")
        .metadata("nested", serde_json::json!({"b": [1, null], "a": 1.5}))
        .reason("größe angepasst")
        .expires_in(Duration::from_secs(3_600))
        .asks(["bob", "carol"])
        .build();
    let at = NOW.saturating_add(Duration::from_secs(5));
    let act = governance_core::Act::new(&actor("bob"), at, ids.operation_id());
    (*approve(&request, act, Membership::default())).clone()
}

fn written(compression: Compression) -> Vec<u8> {
    let request = sample();
    let head = Head {
        revision: request.revision().get(),
        ordinal: 65_537,
        stamp: 1_795_222_923_500_001,
        chain: *request
            .decisions()
            .last()
            .expect("a decision")
            .digest()
            .as_bytes(),
        decisions: u32::try_from(request.decisions().len()).expect("a few decisions"),
    };
    let document = encode_document(&request, compression, Schemas::PRESENT).expect("a document");
    encode_frame(&head, &IndexRecord::of(&request), &document)
}

fn read(frame: Vec<u8>) -> (Frame, MutationRequest) {
    let frame = Frame::decode(&Bytes::from(frame)).expect("a frame");
    let request = decode_document(&frame.document, Schemas::PRESENT).expect("a document");
    (frame, request)
}

pub(crate) fn golden(name: &str, now: &[u8]) -> Vec<u8> {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("GOVERNANCE_BLESS").is_some() && !std::path::Path::new(&path).exists() {
        std::fs::write(&path, now).expect("a file");
    }
    std::fs::read(path).expect("the golden file")
}

const SMALL: Compression = Compression::Zstd {
    level: 3,
    from_bytes: 0,
};

fn check(stored: Vec<u8>) {
    let (frame, request) = read(stored);
    assert_eq!(request, sample());
    assert_eq!(frame.index, IndexRecord::of(&request));
    assert_eq!(request.verify_history(), Ok(()));
}

#[test]
fn version_1_is_read() {
    for name in ["request-v1.bin", "request-v1-zstd.bin"] {
        check(golden(name, &[]));
    }
}

#[test]
fn version_2_is_read_and_still_written() {
    let now = written(Compression::Off);
    let stored = golden("request-v2.bin", &now);
    check(stored.clone());
    assert_eq!(
        stored, now,
        "while version 2 is current, it is written as it always was"
    );
    assert!(now.len() + 300 < golden("request-v1.bin", &[]).len());
}

#[test]
fn what_is_shortened_weighs_as_much_as_it_did() {
    let short = golden("request-v2.bin", &[]);
    let small = golden("request-v2-zstd.bin", &[]);
    assert!(plain_length(&short).abs_diff(plain_length(&small)) < 100);
    assert!(plain_length(&short) > 2 * short.len());
}

#[test]
fn version_2_is_read_compressed() {
    check(golden("request-v2-zstd.bin", &written(SMALL)));
}

#[test]
fn a_state_of_version_1_is_read_and_still_written() {
    let record = StateRecord {
        slot: Some(4_711),
        version: 7,
        operation: OperationId::from_bytes([9; 16]),
        body: Some(Bytes::from_static(b"{\"limit\":5}")),
    };
    let now = encode_state(&record, Compression::Off);
    let stored = golden("state-v1.bin", &now);
    assert_eq!(decode_state(&stored), Ok(record));
    assert_eq!(stored, now);
}

#[test]
fn events_of_version_1_are_read_and_still_written() {
    let id = *sample().id();
    let scope = sample().proposal().scope().clone();
    for (name, subject) in [
        (
            "event-request-v1.bin",
            FeedSubject::Request {
                id,
                revision: Revision::FIRST.next(),
                before: Some(Status::Pending),
                after: Status::Approved,
                operation: OperationId::from_bytes([9; 16]),
            },
        ),
        ("event-purged-v1.bin", FeedSubject::Purged { id }),
        (
            "event-state-v1.bin",
            FeedSubject::State {
                version: StateVersion::new(300),
            },
        ),
    ] {
        let scope = scope.clone();
        let event = Event { scope, subject };
        let now = event.encode().expect("an event");
        let stored = golden(name, &now);
        assert_eq!(Event::decode(&stored).as_ref(), Some(&event), "{name}");
        assert_eq!(stored, now, "{name}");
    }
}
