//! From a login to an end.

use std::time::Duration;

use state_core::{
    Capability,
    session::{
        Created, Found, NewSession, Reason, Regenerated, Saved, SessionError, SessionOptions,
    },
};

use super::trial::{AGE, IDLE, MOST, SessionHarness, SessionTrial};

/// Sessions that end soon.
fn options() -> SessionOptions {
    SessionOptions::default()
        .idle(IDLE)
        .max_age(AGE)
        .max_bytes(1_000)
        .max_per_user(MOST)
}

/// Sessions that end when no case waits any more.
fn lasting() -> SessionOptions {
    options().idle(LONG).max_age(LONG)
}

const LONG: Duration = Duration::from_secs(600);
const BRIEF: Duration = Duration::from_millis(100);
const LITTLE: Duration = Duration::from_millis(400);

async fn begin(harness: &dyn SessionHarness) -> SessionTrial {
    SessionTrial::begin(harness, options()).await
}

fn of(user: &str) -> NewSession {
    NewSession::new("data").user(user)
}

/// With everything that belongs to it.
pub async fn created_session_is_loaded(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let data: Vec<u8> = (0..=255).collect();
    let new = NewSession::new(data.clone())
        .user("al:ice \u{fc}")
        .meta("phone");
    let (cookie, created) = trial.login(new).await;
    let session = trial.live(&cookie).await;
    assert_eq!(session, created);
    assert_eq!((&session.data[..], session.version), (&data[..], 1));
    assert_eq!(session.user.as_deref(), Some("al:ice \u{fc}"));
    assert_eq!(session.ends.saturating_since(session.created), AGE);
    let (anonymous, _) = trial.login(NewSession::new("")).await;
    assert_eq!(trial.live(&anonymous).await.user, None);
}

/// Whatever a client sends.
pub async fn what_is_no_id_is_gone(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (cookie, _) = trial.login(NewSession::new("")).await;
    let longer = format!("{cookie}A");
    for cookie in ["", "x", "../../etc", &cookie[1..], &longer, &"A".repeat(43)] {
        assert_eq!(trial.load(cookie).await, Found::Gone, "{cookie}");
    }
}

/// Of two that loaded the same, one saves and the other is told.
pub async fn n_se_6_saves_do_not_overwrite_each_other(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (cookie, _) = trial.login(of("alice")).await;
    let (one, other) = (trial.live(&cookie).await, trial.live(&cookie).await);
    let saved = trial.sessions.save(&one, "one").await.expect("an answer");
    assert_eq!(saved, Saved::Saved { version: 2 });
    let refused = trial
        .sessions
        .save(&other, "other")
        .await
        .expect("an answer");
    assert_eq!(refused, Saved::Conflict { current: 2 });
    assert_eq!(trial.live(&cookie).await.data, "one");
    let changed = trial
        .sessions
        .update(&cookie, |data| [&data[..], b" and more"].concat().into());
    let changed = changed.await.expect("an answer").expect("a session");
    assert_eq!(
        (changed.version, &changed.data[..]),
        (3, &b"one and more"[..])
    );
    assert_eq!(trial.live(&cookie).await, changed);
}

/// A logout is not undone by a request that was under way.
pub async fn n_se_3_save_of_an_ended_session_is_lost(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (cookie, session) = trial.login(of("alice")).await;
    assert!(trial.sessions.delete(&session).await.expect("an answer"));
    assert!(!trial.sessions.delete(&session).await.expect("an answer"));
    let late = trial
        .sessions
        .save(&session, "late")
        .await
        .expect("an answer");
    assert_eq!(late, Saved::Lost);
    let late = trial
        .sessions
        .regenerate(&session, Reason::Rotation, None)
        .await;
    assert!(matches!(late, Ok(Regenerated::Lost)), "{late:?}");
    assert_eq!(trial.load(&cookie).await, Found::Gone);
    let late = trial.sessions.update(&cookie, Clone::clone).await;
    assert_eq!(late.expect("an answer"), None);
}

/// Gone or expired, depending on who was faster.
pub async fn idle_session_ends(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (cookie, session) = trial.login(of("alice")).await;
    trial.pass(IDLE).await;
    assert!(matches!(
        trial.load(&cookie).await,
        Found::Expired | Found::Gone
    ));
    let late = trial
        .sessions
        .save(&session, "late")
        .await
        .expect("an answer");
    assert_eq!(late, Saved::Lost);
    assert_eq!(trial.load(&cookie).await, Found::Gone);
}

/// Requests keep it alive, but not for ever.
pub async fn used_session_lives_to_its_age(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (cookie, session) = trial.login(of("alice")).await;
    let mut lived = Duration::ZERO;
    let step = IDLE * 3 / 5;
    while lived + step < AGE {
        trial.pass(step).await;
        lived += step;
        match trial.load(&cookie).await {
            Found::Live(found) => assert_eq!(found.ends, session.ends),
            // A machine that slept for so long has lived through the age as well.
            other => {
                assert!(matches!(other, Found::Expired | Found::Gone));
                break;
            }
        }
    }
    trial.pass(AGE - lived).await;
    assert!(matches!(
        trial.load(&cookie).await,
        Found::Expired | Found::Gone
    ));
}

/// At once, and with everything.
pub async fn new_id_opens_and_the_old_one_does_not(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(of("alice")).await;
    let made = trial
        .sessions
        .regenerate(&session, Reason::Rotation, None)
        .await;
    let Ok(Regenerated::Regenerated { id, session: made }) = made else {
        panic!("{made:?}");
    };
    assert_eq!(trial.load(&old).await, Found::Gone);
    let found = trial.live(&id.expose()).await;
    assert_eq!(
        (&found.data[..], found.user.as_deref()),
        (&b"data"[..], Some("alice"))
    );
    assert_eq!(
        (found.created, found.version),
        (session.created, made.version)
    );
    let listed = trial
        .sessions
        .list_for_user("alice")
        .await
        .expect("an answer");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].handle, made.handle);
    // What was loaded before is of another version.
    let late = trial
        .sessions
        .save(&session, "late")
        .await
        .expect("an answer");
    assert_eq!(late, Saved::Lost);
}

/// A login with a session that was there before: its id opens nothing any more.
pub async fn session_of_nobody_becomes_a_users(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (old, session) = trial.login(NewSession::new("cart")).await;
    let stamp = trial.sessions.begin_login().await.expect("an answer");
    let user = Some(("alice", stamp));
    let made = trial
        .sessions
        .regenerate(&session, Reason::PrivilegeChange, user)
        .await;
    let Ok(Regenerated::Regenerated { id, .. }) = made else {
        panic!("{made:?}");
    };
    assert_eq!(trial.load(&old).await, Found::Gone);
    let found = trial.live(&id.expose()).await;
    assert_eq!(
        (&found.data[..], found.user.as_deref()),
        (&b"cart"[..], Some("alice"))
    );
    // A login that began before everything was revoked does not end in a session.
    let (_, session) = trial.login(NewSession::new("")).await;
    let stamp = trial.sessions.begin_login().await.expect("an answer");
    trial
        .sessions
        .revoke_all("alice", None)
        .await
        .expect("an answer");
    let user = Some(("alice", stamp));
    let made = trial
        .sessions
        .regenerate(&session, Reason::PrivilegeChange, user)
        .await;
    assert!(matches!(made, Ok(Regenerated::Revoked)), "{made:?}");
}

/// The oldest first, with what was said about them.
pub async fn sessions_of_a_user_are_listed(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    for meta in ["one", "two", "three"] {
        trial.login(of("alice").meta(meta)).await;
        trial.pass(Duration::from_millis(1)).await;
    }
    trial.login(of("bob")).await;
    let listed = trial
        .sessions
        .list_for_user("alice")
        .await
        .expect("an answer");
    let metas: Vec<_> = listed.iter().map(|listed| listed.meta.as_str()).collect();
    assert_eq!(metas, ["one", "two", "three"]);
    assert!(
        trial
            .sessions
            .revoke(&listed[1].handle)
            .await
            .expect("an answer")
    );
    let listed = trial
        .sessions
        .list_for_user("alice")
        .await
        .expect("an answer");
    assert_eq!(listed.len(), 2);
    assert!(
        trial
            .sessions
            .list_for_user("carol")
            .await
            .expect("an answer")
            .is_empty()
    );
}

/// What has expired is not listed and does not count.
pub async fn n_se_9_index_forgets_what_is_over(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    for _ in 0..MOST {
        trial.login(of("alice")).await;
    }
    trial.pass(IDLE).await;
    let (cookie, _) = trial.login(of("alice")).await;
    let listed = trial
        .sessions
        .list_for_user("alice")
        .await
        .expect("an answer");
    assert_eq!(listed.len(), 1);
    trial.live(&cookie).await;
}

/// Sessions and logins under way.
pub async fn t_se_2_revocation_ends_everything_that_had_begun(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let stamp = trial.sessions.begin_login().await.expect("an answer");
    let (cookie, session) = trial.login(of("alice")).await;
    let (bobs, _) = trial.login(of("bob")).await;
    trial
        .sessions
        .revoke_all("alice", None)
        .await
        .expect("an answer");
    let late = trial.sessions.create(of("alice").stamp(stamp)).await;
    assert!(matches!(late, Ok(Created::Revoked)), "{late:?}");
    let late = trial
        .sessions
        .save(&session, "late")
        .await
        .expect("an answer");
    assert_eq!(late, Saved::Lost);
    assert_eq!(trial.load(&cookie).await, Found::Gone);
    assert!(
        trial
            .sessions
            .list_for_user("alice")
            .await
            .expect("an answer")
            .is_empty()
    );
    trial.live(&bobs).await;
}

/// A login right after a revocation is good, one right before is not.
pub async fn n_se_11_revocation_is_exact(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    for _ in 0..20 {
        let (before, _) = trial.login(of("alice")).await;
        trial
            .sessions
            .revoke_all("alice", None)
            .await
            .expect("an answer");
        let (after, _) = trial.login(of("alice")).await;
        assert_eq!(trial.load(&before).await, Found::Revoked);
        trial.live(&after).await;
    }
}

/// "Log out everywhere else."
pub async fn spared_session_stays(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (one, _) = trial.login(of("alice")).await;
    let (spared, session) = trial.login(of("alice")).await;
    let done = trial.sessions.revoke_all("alice", Some(&session)).await;
    done.expect("an answer");
    assert_eq!(trial.load(&one).await, Found::Revoked);
    trial.live(&spared).await;
}

/// A user has no more than so many.
pub async fn oldest_session_makes_room(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let mut cookies = Vec::new();
    for _ in 0..=MOST {
        cookies.push(trial.login(of("alice")).await.0);
        trial.pass(Duration::from_millis(1)).await;
    }
    assert_eq!(trial.load(&cookies[0]).await, Found::Gone);
    for cookie in &cookies[1..] {
        trial.live(cookie).await;
    }
    let listed = trial
        .sessions
        .list_for_user("alice")
        .await
        .expect("an answer");
    assert_eq!(listed.len(), MOST);
}

/// A login in a session that is there counts like one without: of nobody, of the same user, of
/// another one.
pub async fn login_in_a_session_makes_room_too(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let login = async |session: &state_core::session::Session, user: &str| {
        let stamp = trial.sessions.begin_login().await.expect("an answer");
        let user = Some((user, stamp));
        let made = trial
            .sessions
            .regenerate(session, Reason::PrivilegeChange, user)
            .await;
        match made.expect("an answer") {
            Regenerated::Regenerated { id, session } => (id.expose().to_string(), session),
            other => panic!("{other:?}"),
        }
    };
    let listed = async |user: &str| {
        let listed = trial.sessions.list_for_user(user).await;
        listed.expect("an answer").len()
    };
    let mut alices = Vec::new();
    for _ in 0..=MOST {
        let (_, nobodys) = trial.login(NewSession::new("cart")).await;
        alices.push(login(&nobodys, "alice").await);
        trial.pass(Duration::from_millis(1)).await;
    }
    assert_eq!(listed("alice").await, MOST);
    assert_eq!(trial.load(&alices[0].0).await, Found::Gone);
    assert_eq!(trial.live(&alices[1].0).await.data, "cart");
    // Again as the same user: it counts once, and nobody has to go.
    let (last, _) = login(&alices[MOST].1, "alice").await;
    assert_eq!(listed("alice").await, MOST);
    trial.live(&alices[1].0).await;
    trial.live(&last).await;
    // Of another user, who has as many as there may be already.
    let (bobs, session) = trial.login(of("bob")).await;
    login(&session, "alice").await;
    assert_eq!(trial.load(&bobs).await, Found::Gone);
    assert_eq!((listed("alice").await, listed("bob").await), (MOST, 0));
    assert_eq!(trial.load(&alices[1].0).await, Found::Gone);
    trial.live(&last).await;
}

/// A setting that becomes shorter holds for what is there, in listings as well as in loads, and
/// what is over by it does not count.
pub async fn shorter_life_holds_for_listings_too(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    const SHORT: Duration = Duration::from_millis(100);
    for _ in 0..MOST {
        trial.login(of("alice")).await;
    }
    trial.login(of("bob")).await;
    trial.pass(SHORT).await;
    let younger = trial.reopened(options().max_age(SHORT).idle(SHORT));
    assert!(
        younger
            .list_for_user("alice")
            .await
            .expect("an answer")
            .is_empty()
    );
    let idler = trial.reopened(options().idle(SHORT));
    assert!(
        idler
            .list_for_user("bob")
            .await
            .expect("an answer")
            .is_empty()
    );
    let created = younger.create(of("alice")).await.expect("an answer");
    assert!(matches!(created, Created::Created { .. }), "{created:?}");
    let listed = younger.list_for_user("alice").await.expect("an answer");
    assert_eq!(listed.len(), 1);
}

/// Settings that were shorter for a while: what a listing left out then is over, and what it did
/// not judge is as it was. Nothing lives that no listing shows.
pub async fn what_a_listing_left_out_stays_over(harness: &dyn SessionHarness) {
    let trial = &SessionTrial::begin(harness, lasting()).await;
    let listed = async || {
        let listed = trial.sessions.list_for_user("alice").await;
        listed.expect("an answer").len()
    };
    let (alices, _) = trial.login(of("alice")).await;
    let (bobs, _) = trial.login(of("bob")).await;
    trial.pass(BRIEF).await;
    let younger = trial.reopened(lasting().max_age(BRIEF).idle(BRIEF));
    let none = younger.list_for_user("alice").await;
    assert!(none.expect("an answer").is_empty());
    assert_eq!(
        (trial.load(&alices).await, listed().await),
        (Found::Gone, 0)
    );
    trial.live(&bobs).await;
    // One that is left in the index counts as one.
    for _ in 0..MOST {
        trial.login(of("alice")).await;
    }
    assert_eq!(listed().await, MOST);
}

/// A session that was replaced under shorter settings is listed for as long as it lives.
pub async fn longer_life_leaves_no_session_unlisted(harness: &dyn SessionHarness) {
    let trial = &SessionTrial::begin(harness, lasting()).await;
    let (_, session) = trial.login(of("alice")).await;
    let younger = trial.reopened(lasting().max_age(LITTLE));
    let made = younger.regenerate(&session, Reason::Rotation, None).await;
    let (id, session) = match made {
        Ok(Regenerated::Regenerated { id, session }) => (id, session),
        // A machine that slept for so long.
        Ok(Regenerated::Lost) => return,
        other => panic!("{other:?}"),
    };
    let saved = trial.sessions.save(&session, "used").await;
    match saved.expect("an answer") {
        Saved::Saved { .. } => {}
        Saved::Lost => return,
        Saved::Conflict { current } => panic!("version {current}"),
    }
    trial.pass(LITTLE).await;
    let session = trial.live(&id.expose()).await;
    let listed = trial.sessions.list_for_user("alice").await;
    let listed = listed.expect("an answer");
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].handle, session.handle);
}

/// Revocations last as long as what they revoked could.
pub async fn longer_life_brings_nothing_back_that_was_revoked(harness: &dyn SessionHarness) {
    let trial = &SessionTrial::begin(harness, lasting()).await;
    let (alices, _) = trial.login(of("alice")).await;
    let younger = trial.reopened(lasting().max_age(BRIEF).idle(BRIEF));
    let revoke = async |user: &str| {
        let revoked = younger.revoke_all(user, None).await;
        revoked.expect("an answer");
    };
    revoke("alice").await;
    trial.pass(BRIEF * 2).await;
    // Whoever is revoked now, no record of before goes for it.
    revoke("bob").await;
    trial.pass(BRIEF * 2).await;
    revoke("carol").await;
    assert_eq!(trial.load(&alices).await, Found::Revoked);
}

/// A new secret logs nobody out.
pub async fn rotated_keys_open_old_sessions(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (cookie, _) = trial.login(of("alice")).await;
    let rotated = trial.rotated();
    for _ in 0..2 {
        let found = rotated.load(&cookie).await.expect("an answer");
        assert!(matches!(found, Found::Live(_)), "{found:?}");
    }
    // It was moved to where the new secret puts it.
    assert_eq!(trial.load(&cookie).await, Found::Gone);
    let listed = trial
        .sessions
        .list_for_user("alice")
        .await
        .expect("an answer");
    assert_eq!(listed.len(), 1);
}

/// Before anything is sent.
pub async fn large_data_is_refused(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let large = vec![0; 1_001];
    let created = trial.sessions.create(NewSession::new(large.clone())).await;
    assert!(
        matches!(created, Err(SessionError::TooLarge { .. })),
        "{created:?}"
    );
    let (_, session) = trial.login(of("alice")).await;
    let saved = trial.sessions.save(&session, large).await;
    assert!(
        matches!(saved, Err(SessionError::TooLarge { .. })),
        "{saved:?}"
    );
    for user in ["", &"x".repeat(513)] {
        let created = trial.sessions.create(of(user)).await;
        assert!(matches!(created, Err(SessionError::User)), "{created:?}");
    }
}

/// One call, one count.
pub async fn each_outcome_is_observed_once(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let told = |operation, outcome| {
        let told = (Capability::Session, operation, outcome);
        assert_eq!(trial.observer.take(), [told]);
    };
    let (cookie, session) = trial.login(of("alice")).await;
    told("create", "created");
    trial.load(&cookie).await;
    told("load", "live");
    trial.load("nonsense").await;
    told("load", "gone");
    trial.sessions.save(&session, "a").await.expect("an answer");
    told("save", "saved");
    trial.sessions.save(&session, "b").await.expect("an answer");
    told("save", "conflict");
    trial.sessions.delete(&session).await.expect("an answer");
    told("delete", "ended");
    trial.sessions.save(&session, "c").await.expect("an answer");
    told("save", "lost");
    trial
        .sessions
        .revoke_all("alice", None)
        .await
        .expect("an answer");
    told("revoke_all", "revoked");
}
