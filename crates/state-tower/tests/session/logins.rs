//! Who is logged in, and by which id.

use std::time::Duration;

use http::StatusCode;
use state_core::session::{Found, SessionOptions};

use crate::rig::{
    code, count, is_removed, log_out, new_id, ok, revoke_all, rig, rig_with, set_cookies, status,
};

#[tokio::test]
async fn a_login_takes_the_values_along_and_leaves_the_id_behind() {
    let rig = rig();
    let before = new_id(&rig.call(None, count).await);
    let after = rig.login(Some(&before), "alice").await;
    assert_ne!(before, after);
    assert_eq!(rig.user(&after).await.as_deref(), Some("alice"));
    assert_eq!(rig.data(&after).await, r#"{"seen":1}"#);
    assert_eq!(rig.user(&before).await, None);
    // Again, as the same user: a new id all the same.
    let again = rig.login(Some(&after), "alice").await;
    assert_ne!(again, after);
    assert_eq!(rig.user(&after).await, None);
    assert_eq!(rig.data(&again).await, r#"{"seen":1}"#);
    // As another: nothing of the first, neither stored nor set before the login.
    let other = rig
        .call(Some(&again), |session| async move {
            session.insert("secret", &"of alice").await.unwrap();
            session.log_in("bob").await.unwrap();
            session.insert("own", &true).await.unwrap();
            ok()
        })
        .await;
    let other = new_id(&other);
    assert_eq!(rig.user(&other).await.as_deref(), Some("bob"));
    assert_eq!(rig.data(&other).await, r#"{"own":true}"#);
    assert_eq!(rig.user(&again).await, None);
    assert!(
        rig.sessions
            .list_for_user("alice")
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn what_is_set_around_a_login_is_kept() {
    let rig = rig();
    for id in [None, Some(new_id(&rig.call(None, count).await))] {
        let response = rig
            .call(id.as_deref(), |session| async move {
                session.insert("before", &1).await.unwrap();
                session.log_in("alice").await.unwrap();
                assert_eq!(session.user().await.unwrap().as_deref(), Some("alice"));
                assert_eq!(session.get("before").await.unwrap(), Some(1));
                session.insert("after", &2).await.unwrap();
                ok()
            })
            .await;
        let data = rig.data(&new_id(&response)).await;
        assert!(data.starts_with(r#"{"after":2,"before":1"#), "{data}");
    }
}

#[tokio::test]
async fn a_logout_ends_the_session_and_takes_the_cookie() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    let response = rig
        .call(Some(&id), |session| async move {
            session.insert("dropped", &1).await.unwrap();
            assert!(session.log_out().await.unwrap());
            assert_eq!(session.user().await.unwrap(), None);
            assert_eq!(session.get::<u32>("dropped").await.unwrap(), None);
            assert!(!session.log_out().await.unwrap());
            ok()
        })
        .await;
    assert!(is_removed(&response), "{:?}", set_cookies(&response));
    assert_eq!(rig.user(&id).await, None);
    assert!(rig.store.is_empty());
    // A cookie that opens nothing goes, too, and what is set from then on begins anew.
    assert!(is_removed(&rig.call(Some(&id), log_out).await));
    let id = rig.login(None, "alice").await;
    let response = rig
        .call(Some(&id), |session| async move {
            session.log_out().await.unwrap();
            session.insert("notice", &"bye").await.unwrap();
            ok()
        })
        .await;
    let next = new_id(&response);
    assert_ne!(next, id);
    assert_eq!(rig.data(&next).await, r#"{"notice":"bye"}"#);
    // Begun and ended within one request: the client never heard of it.
    let response = rig
        .call(None, |session| async move {
            session.log_in("alice").await.unwrap();
            session.log_out().await.unwrap();
            ok()
        })
        .await;
    assert!(set_cookies(&response).is_empty());
}

#[tokio::test]
async fn everywhere_ends_every_session_and_logins_under_way() {
    let rig = rig();
    let one = rig.login(None, "alice").await;
    let two = rig.login(None, "alice").await;
    let other = rig.login(None, "bob").await;
    let begun = rig.sessions.begin_login().await.unwrap();
    rig.clock.advance(Duration::from_millis(1));
    let response = rig.call(Some(&one), revoke_all).await;
    assert_eq!(response.body(), "true");
    assert!(is_removed(&response));
    for id in [&one, &two] {
        assert_eq!(rig.user(id).await, None);
    }
    assert_eq!(rig.user(&other).await.as_deref(), Some("bob"));
    for id in [None, Some(new_id(&rig.call(None, count).await))] {
        let late = rig
            .call(id.as_deref(), move |session| async move {
                let error = session.finish_login(begun, "alice").await;
                assert_eq!(code(error), "session.revoked");
                assert_eq!(session.user().await.unwrap(), None);
                status(StatusCode::UNAUTHORIZED)
            })
            .await;
        assert_eq!(late.body(), "fine");
        assert!(set_cookies(&late).is_empty());
    }
    rig.clock.advance(Duration::from_millis(1));
    let again = rig.login(None, "alice").await;
    assert_eq!(rig.user(&again).await.as_deref(), Some("alice"));
    // Somebody who is not logged in ends nothing.
    let nobody = new_id(&rig.call(None, count).await);
    assert_eq!(rig.call(Some(&nobody), revoke_all).await.body(), "false");
    assert_eq!(rig.data(&nobody).await, r#"{"seen":1}"#);
}

#[tokio::test]
async fn ids_of_others_are_never_taken_over() {
    let rig = rig();
    let unknown = "A".repeat(43);
    assert_eq!(rig.user(&unknown).await, None);
    let begun = new_id(&rig.call(Some(&unknown), count).await);
    let logged_in = rig.login(Some(&unknown), "alice").await;
    assert!(begun != unknown && logged_in != unknown);
    assert_eq!(rig.user(&unknown).await, None);
    // What has expired is as good as unknown.
    rig.clock.advance(Duration::from_secs(30 * 60));
    for id in [&begun, &logged_in] {
        assert_eq!(rig.user(id).await, None);
        let next = new_id(&rig.call(Some(id), count).await);
        assert!(next != begun && next != logged_in);
        assert_eq!(rig.data(&next).await, r#"{"seen":1}"#);
    }
    // The session of the attacker, planted: the victim leaves it with the login.
    let planted = new_id(&rig.call(None, count).await);
    let victim = rig.login(Some(&planted), "victim").await;
    assert_ne!(victim, planted);
    assert_eq!(rig.user(&planted).await, None);
}

#[tokio::test]
async fn a_login_goes_on_when_the_session_of_before_was_changed_or_ended() {
    for (theirs, data) in [
        (Some(r#"{"theirs":1}"#), r#"{"mine":2,"theirs":1}"#),
        (None, r#"{"mine":2}"#),
    ] {
        let rig = rig();
        let id = new_id(&rig.call(None, count).await);
        let (sessions, own) = (rig.sessions.clone(), id.clone());
        let response = rig
            .call(Some(&id), move |session| {
                let (sessions, own) = (sessions.clone(), own.clone());
                async move {
                    session.insert("mine", &2).await.unwrap();
                    let Found::Live(before) = sessions.load(&own).await.unwrap() else {
                        panic!("it is there")
                    };
                    match theirs {
                        Some(data) => drop(sessions.save(&before, data).await.unwrap()),
                        None => drop(sessions.delete(&before).await.unwrap()),
                    }
                    session.log_in("alice").await.unwrap();
                    ok()
                }
            })
            .await;
        let next = new_id(&response);
        assert_eq!(rig.user(&next).await.as_deref(), Some("alice"));
        assert_eq!(rig.data(&next).await, data);
        assert_eq!(rig.user(&id).await, None);
    }
}

#[tokio::test]
async fn logins_count_where_sessions_are_limited() {
    let rig = rig_with(SessionOptions::default().max_per_user(2));
    let mut ids = Vec::new();
    for _ in 0..3 {
        let before = new_id(&rig.call(None, count).await);
        ids.push(rig.login(Some(&before), "alice").await);
        assert_eq!(rig.user(&before).await, None);
        rig.clock.advance(Duration::from_secs(1));
    }
    assert_eq!(rig.user(&ids[0]).await, None);
    for id in &ids[1..] {
        assert_eq!(rig.user(id).await.as_deref(), Some("alice"));
        assert_eq!(rig.data(id).await, r#"{"seen":1}"#);
    }
    // Again as the same user: it counts once.
    let again = rig.login(Some(&ids[2]), "alice").await;
    assert_eq!(rig.user(&ids[1]).await.as_deref(), Some("alice"));
    assert_eq!(rig.user(&again).await.as_deref(), Some("alice"));
}
