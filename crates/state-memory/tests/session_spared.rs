//! Who stays when all others of a user are ended.

use std::{sync::Arc, time::Duration};

use state_core::session::{
    Created, Found, NewSession, Session, SessionKeys, SessionOptions, Sessions,
};
use state_memory::{Faults, session::MemorySessions};
use state_testkit::VirtualClock;

const SECRET: &[u8] = b"a secret of 32 bytes, or of more";

async fn login(sessions: &Sessions, user: &str) -> (String, Session) {
    let new = NewSession::new("data").user(user);
    match sessions.create(new).await.expect("an answer") {
        Created::Created { id, session } => (id.expose().to_string(), session),
        Created::Revoked => panic!("it was revoked"),
    }
}

#[tokio::test]
async fn what_is_over_is_not_made_good_again_by_being_spared() {
    let clock = VirtualClock::new();
    let idle = Duration::from_secs(60);
    let options = SessionOptions::default().idle(idle);
    let store = MemorySessions::with(options, Arc::new(clock.clone()), Faults::new());
    let keys = SessionKeys::new(SECRET).expect("long enough");
    let sessions = Sessions::new(Arc::new(store.expect("valid options")), keys);
    let revoke_others = async |session: &Session| {
        let revoked = sessions.revoke_all("alice", Some(session)).await;
        revoked.expect("an answer");
    };

    // A thief's request was under way when the owner ended everything.
    let (stolen, thiefs) = login(&sessions, "alice").await;
    let (owned, owners) = login(&sessions, "alice").await;
    revoke_others(&owners).await;
    revoke_others(&thiefs).await;
    assert_eq!(
        sessions.load(&stolen).await.expect("an answer"),
        Found::Revoked
    );
    // It ended the others nevertheless: whoever is in doubt logs in again.
    assert_eq!(
        sessions.load(&owned).await.expect("an answer"),
        Found::Revoked
    );

    let (late, session) = login(&sessions, "alice").await;
    // It began a few microseconds after now: after the last revocation.
    clock.advance(idle + Duration::from_millis(1));
    revoke_others(&session).await;
    let found = sessions.load(&late).await.expect("an answer");
    assert!(matches!(found, Found::Expired | Found::Gone), "{found:?}");
}
