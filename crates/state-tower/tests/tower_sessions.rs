//! Sessions of the crate `tower-sessions` on the twin.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use state_core::session::{OnError, SessionKeys, SessionOptions, SessionStore as _};
use state_memory::{Fault, Faults, session::MemorySessions};
use state_testkit::VirtualClock;
use state_tower::TowerSessionsStore;
use tower_sessions_core::{
    Session, SessionStore,
    session::{Id, Record},
    session_store::Error,
};

const SECRET: &[u8] = b"a secret of 32 bytes, or of more";
const NEXT: &[u8] = b"another secret of 32 bytes or more";
const IDLE: Duration = Duration::from_secs(60);

struct Rig {
    twin: MemorySessions,
    clock: VirtualClock,
    faults: Faults,
    store: TowerSessionsStore,
}

fn rig(options: SessionOptions) -> Rig {
    let (clock, faults) = (VirtualClock::new(), Faults::new());
    let twin = MemorySessions::with(options, Arc::new(clock.clone()), faults.clone()).unwrap();
    let keys = SessionKeys::new(SECRET).unwrap();
    let store = TowerSessionsStore::new(Arc::new(twin.clone()), keys);
    Rig {
        twin,
        clock,
        faults,
        store,
    }
}

fn usual() -> Rig {
    rig(SessionOptions::default().idle(IDLE))
}

impl Rig {
    fn session(&self, id: Option<Id>) -> Session {
        Session::new(id, Arc::new(self.store.clone()), None)
    }

    async fn begun(&self) -> Id {
        let session = self.session(None);
        session.insert("name", "alice").await.unwrap();
        session.save().await.unwrap();
        session.id().unwrap()
    }

    async fn record(&self, id: Id) -> Record {
        self.store.load(&id).await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn values_are_kept_from_request_to_request() {
    let rig = usual();
    let id = rig.begun().await;
    let session = rig.session(Some(id));
    assert_eq!(session.get("name").await.unwrap(), Some("alice".to_owned()));
    session.insert("visits", 2).await.unwrap();
    session.save().await.unwrap();
    assert_eq!(session.id(), Some(id));
    let again = rig.session(Some(id));
    assert_eq!(again.get("visits").await.unwrap(), Some(2));
    assert_eq!(rig.twin.len(), 1);
}

#[tokio::test]
async fn n_se_1_ids_are_made_here_and_none_that_was_sent_is_taken_over() {
    let rig = usual();
    let chosen = Id(4_711);
    assert_eq!(rig.store.load(&chosen).await.unwrap(), None);
    let session = rig.session(Some(chosen));
    session.insert("name", "mallory").await.unwrap();
    session.save().await.unwrap();
    assert_ne!(session.id(), Some(chosen));
    assert_eq!(rig.store.load(&chosen).await.unwrap(), None);
    // Nor is one of a record.
    let id = rig.begun().await;
    let mut record = rig.record(id).await;
    rig.store.create(&mut record).await.unwrap();
    assert_ne!(record.id, id);
    for id in [Id(0), Id(-1), Id(i128::MIN), Id(i128::MAX)] {
        assert_eq!(rig.store.load(&id).await.unwrap(), None);
    }
}

#[tokio::test]
async fn new_id_opens_and_the_old_one_does_not() {
    let rig = usual();
    let old = rig.begun().await;
    let session = rig.session(Some(old));
    session.cycle_id().await.unwrap();
    session.save().await.unwrap();
    let new = session.id().unwrap();
    assert_ne!(new, old);
    assert_eq!(rig.store.load(&old).await.unwrap(), None);
    assert_eq!(rig.record(new).await.data["name"], "alice");
}

#[tokio::test]
async fn n_se_3_what_was_ended_is_not_brought_back() {
    let rig = usual();
    let id = rig.begun().await;
    let late = rig.record(id).await;
    let session = rig.session(Some(id));
    session.flush().await.unwrap();
    assert_eq!(rig.store.load(&id).await.unwrap(), None);
    let saved = rig.store.save(&late).await;
    assert!(matches!(saved, Err(Error::Backend(_))), "{saved:?}");
    assert_eq!(rig.store.load(&id).await.unwrap(), None);
    // Whoever ends it again ends nothing.
    rig.store.delete(&id).await.unwrap();
    assert!(rig.twin.is_empty());
}

#[tokio::test]
async fn the_last_one_to_save_holds() {
    let rig = usual();
    let id = rig.begun().await;
    let (mut one, mut other) = (rig.record(id).await, rig.record(id).await);
    one.data.insert("one".to_owned(), 1.into());
    other.data.insert("other".to_owned(), 2.into());
    rig.store.save(&one).await.unwrap();
    rig.store.save(&other).await.unwrap();
    assert_eq!(rig.record(id).await.data, other.data);
}

#[tokio::test]
async fn sessions_live_as_the_options_say() {
    let rig = usual();
    let id = rig.begun().await;
    let record = rig.record(id).await;
    let now = rig.twin.now().await.unwrap();
    let ends = now.saturating_add(SessionOptions::default().lifetime.max_age);
    let micros = record.expiry_date.unix_timestamp_nanos() / 1_000;
    assert_eq!(micros, i128::from(ends.as_micros()));
    rig.clock.advance(IDLE);
    assert_eq!(rig.store.load(&id).await.unwrap(), None);
    let saved = rig.store.save(&record).await;
    assert!(matches!(saved, Err(Error::Backend(_))), "{saved:?}");
}

#[tokio::test]
async fn rotated_keys_open_old_sessions() {
    let rig = usual();
    let id = rig.begun().await;
    let keys = SessionKeys::new(NEXT).unwrap().previous(SECRET).unwrap();
    let rotated = TowerSessionsStore::new(Arc::new(rig.twin.clone()), keys);
    for _ in 0..2 {
        assert!(rotated.load(&id).await.unwrap().is_some());
    }
    assert_eq!(rig.store.load(&id).await.unwrap(), None);
}

#[tokio::test]
async fn failures_are_errors_by_either_policy() {
    for policy in [OnError::Closed, OnError::OpenAnonymous] {
        let rig = rig(SessionOptions::default().on_error(policy).max_bytes(100));
        let id = rig.begun().await;
        rig.faults.fail_next("session.load", Fault::Before);
        let loaded = rig.store.load(&id).await;
        assert!(matches!(loaded, Err(Error::Backend(_))), "{loaded:?}");
        assert!(rig.store.load(&id).await.unwrap().is_some());
        let mut large = rig.record(id).await;
        large
            .data
            .insert("large".to_owned(), "x".repeat(100).into());
        let saved = rig.store.save(&large).await;
        assert!(matches!(saved, Err(Error::Encode(_))), "{saved:?}");
        let created = rig.store.create(&mut large).await;
        assert!(matches!(created, Err(Error::Encode(_))), "{created:?}");
    }
}

#[tokio::test]
async fn n_se_5_no_id_is_shown() {
    let rig = usual();
    let id = rig.begun().await;
    let record = rig.record(id).await;
    rig.store.delete(&id).await.unwrap();
    let error = rig.store.save(&record).await.unwrap_err();
    let shown = format!("{:?} {:?} {error} {error:?}", rig.store, rig.twin);
    assert!(!shown.contains(&id.to_string()), "{shown}");
}

#[tokio::test]
async fn what_could_not_be_read_again_is_not_stored() {
    let rig = usual();
    let id = rig.begun().await;
    for depth in [120, 121, 1_000] {
        let nested = (0..depth).fold(serde_json::Value::Null, |inner, _| {
            serde_json::Value::Array(vec![inner])
        });
        let mut record = rig.record(id).await;
        record.data.insert("sent".to_owned(), nested);
        let saved = rig.store.save(&record).await;
        let is_stored = !matches!(saved, Err(Error::Encode(_)));
        assert_eq!(is_stored, depth == 120, "{saved:?}");
        assert!(rig.record(id).await.data.contains_key("sent"));
    }
}
