//! Several at once, several processes, and sources that are not as they should be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use state_core::{
    BackendError, Entropy,
    session::{Created, Found, NewSession, Saved, SessionError, SessionOptions},
};
use tokio::task::JoinSet;

use super::trial::{Front, SessionHarness, SessionTrial};
use crate::VirtualClock;

/// As they are unless set.
async fn begin(harness: &dyn SessionHarness) -> SessionTrial {
    let options = SessionOptions::default();
    SessionTrial::begin(harness, options).await
}

fn of(user: &str) -> NewSession {
    NewSession::new("data").user(user)
}

/// Always the same, and counts how often it was asked.
#[derive(Debug, Default)]
pub(super) struct Stuck(AtomicUsize);

impl Entropy for Stuck {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), BackendError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        bytes.fill(7);
        Ok(())
    }
}

/// A front that gives everything the same id.
pub(super) fn stuck() -> (Arc<Stuck>, Front) {
    let entropy = Arc::new(Stuck::default());
    let front = Front {
        entropy: Some(Arc::clone(&entropy) as Arc<dyn Entropy>),
        ..Front::default()
    };
    (entropy, front)
}

/// An id that is taken stays what it is.
pub async fn n_se_1_create_does_not_overwrite(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let sessions = trial.front(&stuck().1);
    let created = sessions.create(of("alice")).await.expect("an answer");
    let Created::Created { id, session } = created else {
        panic!("{created:?}");
    };
    let again = NewSession::new("other").user("bob");
    let again = sessions.create(again).await;
    assert!(matches!(again, Err(SessionError::IdExhausted)), "{again:?}");
    assert_eq!(trial.live(&id.expose()).await, session);
    let listed = trial.sessions.list_for_user("bob").await;
    assert!(listed.expect("an answer").is_empty());
}

/// Three ids are tried, whatever the source of randomness does.
pub async fn n_se_2_search_for_an_id_ends(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let (entropy, front) = stuck();
    let sessions = trial.front(&front);
    sessions.create(of("alice")).await.expect("an answer");
    assert_eq!(entropy.0.swap(0, Ordering::Relaxed), 1);
    let again = sessions.create(of("alice")).await;
    assert!(matches!(again, Err(SessionError::IdExhausted)), "{again:?}");
    assert_eq!(entropy.0.load(Ordering::Relaxed), 3);
}

/// A process whose clock is ten years off neither ends nor prolongs a session.
pub async fn n_se_4_time_is_the_backends(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let clock = VirtualClock::new();
    clock.advance(Duration::from_secs(10 * 366 * 24 * 60 * 60));
    let off = trial.front(&Front {
        clock: Some(Arc::new(clock)),
        ..Front::default()
    });
    let (cookie, session) = trial.login(of("alice")).await;
    let found = off.load(&cookie).await.expect("an answer");
    assert_eq!(found, Found::Live(session.clone()));
    let saved = off.save(&session, "more").await.expect("an answer");
    assert_eq!(saved, Saved::Saved { version: 2 });
    let now = trial.parts.store.now().await.expect("an answer");
    let created = off.create(of("bob")).await.expect("an answer");
    let Created::Created { id, session } = created else {
        panic!("{created:?}");
    };
    assert!(session.created.saturating_since(now) < Duration::from_secs(60));
    let age = session.ends.saturating_since(session.created);
    assert_eq!(age, SessionOptions::default().lifetime.max_age);
    trial.live(&id.expose()).await;
}

/// No process keeps a copy that outlives the session.
pub async fn n_se_8_logout_elsewhere_is_seen_at_once(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let elsewhere = trial.front(&Front::default());
    for all in [false, true] {
        let (cookie, session) = trial.login(of("alice")).await;
        for _ in 0..3 {
            trial.live(&cookie).await;
        }
        if all {
            let revoked = elsewhere.revoke_all("alice", None).await;
            revoked.expect("an answer");
            assert_eq!(trial.load(&cookie).await, Found::Revoked);
        } else {
            assert!(elsewhere.delete(&session).await.expect("an answer"));
        }
        assert_eq!(trial.load(&cookie).await, Found::Gone);
    }
}

/// Whoever is faster: it is gone, and who saved too late knows.
pub async fn t_se_1_logout_and_save_at_once(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let elsewhere = trial.front(&Front::default());
    for round in 0..30 {
        let (cookie, session) = trial.login(of("alice")).await;
        let save = elsewhere.save(&session, "late");
        let delete = trial.sessions.delete(&session);
        // The one that is first in line is often the faster one.
        let (saved, ended) = if round % 2 == 0 {
            tokio::join!(save, delete)
        } else {
            let (ended, saved) = tokio::join!(delete, save);
            (saved, ended)
        };
        assert!(ended.expect("an answer"));
        let saved = saved.expect("an answer");
        assert!(
            matches!(saved, Saved::Saved { version: 2 } | Saved::Lost),
            "{saved:?}"
        );
        assert_eq!(trial.load(&cookie).await, Found::Gone);
        let late = elsewhere.save(&session, "later").await;
        assert_eq!(late.expect("an answer"), Saved::Lost);
    }
}

/// Of a hundred logins that began before, none is good after it; all that begin after it are.
pub async fn t_se_2_revocation_and_logins_at_once(harness: &dyn SessionHarness) {
    let trial = &begin(harness).await;
    let stamp = trial.sessions.begin_login().await.expect("an answer");
    let mut logins = JoinSet::new();
    for number in 0..100 {
        let sessions = trial.sessions.clone();
        logins.spawn(async move {
            if number == 50 {
                let revoked = sessions.revoke_all("alice", None).await;
                revoked.expect("an answer");
            }
            sessions.create(of("alice").stamp(stamp)).await
        });
    }
    for created in logins.join_all().await {
        let Created::Created { id, .. } = created.expect("an answer") else {
            continue;
        };
        assert_eq!(trial.load(&id.expose()).await, Found::Revoked);
    }
    let (after, _) = trial.login(of("alice")).await;
    trial.live(&after).await;
    let listed = trial.sessions.list_for_user("alice").await;
    assert_eq!(listed.expect("an answer").len(), 1);
}
