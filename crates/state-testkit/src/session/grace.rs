//! Ids that were replaced and still lead to the session.

use std::time::Duration;

use state_core::session::{
    Created, Found, NewSession, Reason, Regenerated, Saved, Session, SessionError, SessionOptions,
};

use super::{
    races::stuck,
    trial::{SessionHarness, SessionTrial},
};

/// Long enough for the calls of a case.
const GRACE: Duration = Duration::from_millis(2_500);

/// Sessions with a time for ids that were replaced.
async fn begin(harness: &dyn SessionHarness) -> SessionTrial {
    let options = SessionOptions::default().regenerate_grace(GRACE);
    SessionTrial::begin(harness, options).await
}

fn of(user: &str) -> NewSession {
    NewSession::new("data").user(user)
}

/// What comes of a rotation: the cookie and the session.
async fn rotated(trial: &SessionTrial, session: &Session) -> (String, Session) {
    let made = trial
        .sessions
        .regenerate(session, Reason::Rotation, None)
        .await;
    match made.expect("an answer") {
        Regenerated::Regenerated { id, session } => (id.expose().to_string(), session),
        other => panic!("{other:?}"),
    }
}

/// And tells that the cookie stays as it is.
pub async fn replaced_id_leads_to_the_session(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let (new, made) = rotated(trial, &session).await;
    assert!(!made.by_old_id);
    let by_new = trial.live(&new).await;
    assert_eq!(by_new, made);
    let by_old = trial.live(&old).await;
    assert!(by_old.by_old_id);
    let found = Session {
        by_old_id: false,
        ..by_old.clone()
    };
    assert_eq!(found, by_new);
    // What is written by the one is read by the other.
    let saved = trial.sessions.save(&by_old, "more").await;
    assert_eq!(saved.expect("an answer"), Saved::Saved { version: 3 });
    assert_eq!(trial.live(&new).await.data, "more");
    let updated = trial.sessions.update(&old, |_| "most".into()).await;
    assert!(updated.expect("an answer").is_some());
    assert_eq!(trial.live(&new).await.data, "most");
}

/// Whatever the options say: somebody else may know the old id.
pub async fn change_of_rights_leaves_no_old_id(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(NewSession::new("cart")).await;
    let made = trial
        .sessions
        .regenerate(&session, Reason::PrivilegeChange, None)
        .await;
    let Ok(Regenerated::Regenerated { session, .. }) = made else {
        panic!("{made:?}");
    };
    assert_eq!(trial.load(&old).await, Found::Gone);
    // A login is one, however it is called.
    for reason in [Reason::PrivilegeChange, Reason::Rotation] {
        let (old, session) = trial.login(NewSession::new("cart")).await;
        let stamp = trial.sessions.begin_login().await.expect("an answer");
        let user = Some(("alice", stamp));
        let made = trial.sessions.regenerate(&session, reason, user).await;
        assert!(
            matches!(made, Ok(Regenerated::Regenerated { .. })),
            "{made:?}"
        );
        assert_eq!(trial.load(&old).await, Found::Gone);
    }
    // Nor does one that still led to the session when the rights changed.
    let (new, session) = rotated(trial, &session).await;
    let (newest, session) = rotated(trial, &session).await;
    let made = trial
        .sessions
        .regenerate(&session, Reason::PrivilegeChange, None)
        .await;
    assert!(
        matches!(made, Ok(Regenerated::Regenerated { .. })),
        "{made:?}"
    );
    for cookie in [&old, &new, &newest] {
        assert_eq!(trial.load(cookie).await, Found::Gone);
    }
}

/// After the grace, also if it was used.
pub async fn replaced_id_stops_by_itself(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let (new, _) = rotated(trial, &session).await;
    trial.load(&old).await;
    trial.pass(GRACE).await;
    assert_eq!(trial.load(&old).await, Found::Gone);
    assert_eq!(
        trial
            .sessions
            .save(&session, "late")
            .await
            .expect("an answer"),
        Saved::Lost
    );
    assert!(!trial.sessions.delete(&session).await.expect("an answer"));
    trial.live(&new).await;
}

/// A request that had loaded the session is told that it changed, not that it is gone.
pub async fn what_began_before_a_rotation_goes_on(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let (new, made) = rotated(trial, &session).await;
    let saved = trial.sessions.save(&session, "late").await;
    let current = made.version;
    assert_eq!(saved.expect("an answer"), Saved::Conflict { current });
    let changed = trial
        .sessions
        .regenerate(&session, Reason::PrivilegeChange, None)
        .await;
    assert!(
        matches!(changed, Ok(Regenerated::Conflict { current: found }) if found == current),
        "{changed:?}"
    );
    trial.live(&new).await;
    trial.live(&old).await;
}

/// A logout with what was loaded before a rotation is a logout.
pub async fn end_by_an_old_id_ends_the_session(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let (new, _) = rotated(trial, &session).await;
    assert!(trial.sessions.delete(&session).await.expect("an answer"));
    assert!(!trial.sessions.delete(&session).await.expect("an answer"));
    for cookie in [&old, &new] {
        assert_eq!(trial.load(cookie).await, Found::Gone);
    }
    let (old, session) = trial.login(of("alice")).await;
    let (new, _) = rotated(trial, &session).await;
    let by_old = trial.live(&old).await;
    let handle = &by_old.handle;
    assert!(trial.sessions.revoke(handle).await.expect("an answer"));
    for cookie in [&old, &new] {
        assert_eq!(trial.load(cookie).await, Found::Gone);
    }
    // And the one of a listing from before.
    let (_, session) = trial.login(of("alice")).await;
    let (new, _) = rotated(trial, &session).await;
    let handle = &session.handle;
    assert!(trial.sessions.revoke(handle).await.expect("an answer"));
    assert_eq!(trial.load(&new).await, Found::Gone);
}

/// However it ends.
pub async fn end_of_the_session_ends_old_ids(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let (_, made) = rotated(trial, &session).await;
    let by_old = trial.live(&old).await;
    assert!(trial.sessions.delete(&made).await.expect("an answer"));
    assert_eq!(trial.load(&old).await, Found::Gone);
    for late in [&by_old, &session] {
        let saved = trial.sessions.save(late, "late").await;
        assert_eq!(saved.expect("an answer"), Saved::Lost);
    }
    let late = trial.sessions.update(&old, Clone::clone).await;
    assert_eq!(late.expect("an answer"), None);
    let (old, session) = trial.login(of("alice")).await;
    let (_, made) = rotated(trial, &session).await;
    let handle = &made.handle;
    assert!(trial.sessions.revoke(handle).await.expect("an answer"));
    assert_eq!(trial.load(&old).await, Found::Gone);
}

/// Of all sessions, and of all but one that is named as it was before.
pub async fn revocation_reaches_old_ids_and_spares_by_them(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    rotated(trial, &session).await;
    let revoked = trial.sessions.revoke_all("alice", None).await;
    revoked.expect("an answer");
    assert_eq!(trial.load(&old).await, Found::Revoked);
    assert_eq!(trial.load(&old).await, Found::Gone);
    let (other, _) = trial.login(of("alice")).await;
    let (old, session) = trial.login(of("alice")).await;
    let (new, _) = rotated(trial, &session).await;
    let revoked = trial.sessions.revoke_all("alice", Some(&session)).await;
    revoked.expect("an answer");
    assert_eq!(trial.load(&other).await, Found::Revoked);
    for cookie in [&old, &new] {
        trial.live(cookie).await;
    }
}

/// Whoever stole it would have the session for good, and the user would not.
pub async fn old_id_does_not_become_a_new_one(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let (new, _) = rotated(trial, &session).await;
    let by_old = trial.live(&old).await;
    for known in [&session, &by_old] {
        let made = trial
            .sessions
            .regenerate(known, Reason::Rotation, None)
            .await;
        assert!(matches!(made, Ok(Regenerated::Moved)), "{made:?}");
    }
    assert!(!trial.live(&new).await.by_old_id);
}

/// Every id leads on, for its own time.
pub async fn rotation_again_and_again_is_followed(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (cookie, mut session) = trial.login(of("alice")).await;
    let first = session.clone();
    let mut cookies = vec![cookie];
    for _ in 0..4 {
        let (cookie, made) = rotated(trial, &session).await;
        session = made;
        cookies.push(cookie);
    }
    for cookie in &cookies {
        assert_eq!(trial.live(cookie).await.handle, session.handle);
    }
    assert!(trial.sessions.delete(&first).await.expect("an answer"));
    for cookie in &cookies {
        assert_eq!(trial.load(cookie).await, Found::Gone);
    }
    // But not for ever: that is refused, and nothing is ended.
    let (old, mut session) = trial.login(of("alice")).await;
    let first = session.clone();
    for _ in 0..8 {
        session = rotated(trial, &session).await.1;
    }
    let found = trial.sessions.load(&old).await;
    assert!(matches!(found, Err(SessionError::Contended)), "{found:?}");
    let ended = trial.sessions.delete(&first).await;
    assert!(matches!(ended, Err(SessionError::Contended)), "{ended:?}");
    assert!(trial.sessions.delete(&session).await.expect("an answer"));
}

/// A new secret moves the session; who was under way finds it.
pub async fn rotated_keys_leave_old_ids_good(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let (new, _) = rotated(trial, &session).await;
    let next = trial.rotated();
    for (cookie, by_old_id) in [(&new, false), (&old, true), (&new, false)] {
        let found = next.load(cookie).await.expect("an answer");
        assert!(
            matches!(&found, Found::Live(session) if session.by_old_id == by_old_id),
            "{found:?}"
        );
    }
    // A logout by a process that still has the secret before.
    assert!(trial.sessions.delete(&session).await.expect("an answer"));
    for cookie in [&new, &old] {
        let found = next.load(cookie).await.expect("an answer");
        assert_eq!(found, Found::Gone);
    }
}

/// A login by a request that was under way; no id from before is good for anything.
pub async fn session_by_an_old_id_becomes_a_users(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(NewSession::new("cart")).await;
    let (new, _) = rotated(trial, &session).await;
    let by_old = trial.live(&old).await;
    let stamp = trial.sessions.begin_login().await.expect("an answer");
    let user = Some(("alice", stamp));
    let made = trial
        .sessions
        .regenerate(&by_old, Reason::PrivilegeChange, user)
        .await;
    let Ok(Regenerated::Regenerated { id, .. }) = made else {
        panic!("{made:?}");
    };
    assert_eq!(
        trial.live(&id.expose()).await.user.as_deref(),
        Some("alice")
    );
    for cookie in [&old, &new] {
        assert_eq!(trial.load(cookie).await, Found::Gone);
    }
}

/// A new session does not get it while it leads to another one.
pub async fn n_se_1_place_of_an_old_id_is_taken(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let sessions = trial.front(&stuck().1);
    let created = sessions.create(of("alice")).await.expect("an answer");
    let Created::Created { id, session } = created else {
        panic!("{created:?}");
    };
    let (_, made) = rotated(trial, &session).await;
    let again = sessions.create(of("bob")).await;
    assert!(matches!(again, Err(SessionError::IdExhausted)), "{again:?}");
    assert_eq!(trial.live(&id.expose()).await.handle, made.handle);
    let (_, other) = trial.login(of("bob")).await;
    let again = sessions.regenerate(&other, Reason::Rotation, None).await;
    assert!(matches!(again, Err(SessionError::IdExhausted)), "{again:?}");
}

/// One session is one entry, and its place is not free.
pub async fn list_has_no_old_ids(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (_, session) = trial.login(of("alice").meta("phone")).await;
    let (_, made) = rotated(trial, &session).await;
    for _ in 0..2 {
        let listed = trial.sessions.list_for_user("alice").await;
        let listed = listed.expect("an answer");
        assert_eq!(listed.len(), 1);
        assert_eq!(listed[0].handle, made.handle);
        assert_eq!(listed[0].meta, "phone");
    }
    let created = trial.sessions.create(of("alice")).await;
    assert!(
        matches!(created, Ok(Created::Created { .. })),
        "{created:?}"
    );
    let listed = trial.sessions.list_for_user("alice").await;
    assert_eq!(listed.expect("an answer").len(), 2);
}
