//! What is kept, and who wins.

use std::sync::{Arc, Mutex};

use http::{Response, StatusCode, header};
use state_core::session::{Created, Found, NewSession, SessionOptions};
use state_memory::Fault;
use state_tower::RequestSession;

use crate::rig::{
    Rig, code, count, is_problem, new_id, ok, oneshot, rig, rig_with, set_cookies, status,
};

#[tokio::test]
async fn values_come_back_and_only_changes_are_stored() {
    let rig = rig();
    let first = rig.call(None, count).await;
    let id = new_id(&first);
    assert_eq!(first.headers()[header::CACHE_CONTROL], "no-store");
    for seen in 1..4 {
        let response = rig.call(Some(&id), count).await;
        assert_eq!(response.body(), &seen.to_string());
        assert!(set_cookies(&response).is_empty());
    }
    assert_eq!(rig.user(&id).await, None);
    let version = rig.live(&id).await.version;
    let same = rig
        .call(Some(&id), |session| async move {
            session.insert("seen", &4).await.unwrap();
            session.insert("other", &"x").await.unwrap();
            assert_eq!(session.get("other").await.unwrap(), Some("x".to_owned()));
            session.remove("other").await.unwrap();
            assert_eq!(session.get::<String>("other").await.unwrap(), None);
            ok()
        })
        .await;
    assert_eq!(same.status(), StatusCode::OK);
    assert_eq!(rig.live(&id).await.version, version);
    rig.call(Some(&id), |session| async move {
        session.remove("seen").await.unwrap();
        status(StatusCode::IM_A_TEAPOT)
    })
    .await;
    assert_eq!(rig.data(&id).await, "{}");
}

#[tokio::test]
async fn a_session_is_read_once_and_clones_share_it() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    let response = rig
        .call(Some(&id), {
            let faults = rig.faults.clone();
            move |session| {
                let faults = faults.clone();
                async move {
                    assert_eq!(session.user().await.unwrap().as_deref(), Some("alice"));
                    faults.fail_next("session.load", Fault::Before);
                    let other = session.clone();
                    other.insert("a", &1).await.unwrap();
                    assert_eq!(session.get("a").await.unwrap(), Some(1));
                    assert!(!session.is_unknown().await.unwrap());
                    ok()
                }
            }
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(!rig.faults.are_used_up());
}

/// A request that changes one key, and lets somebody else save first.
async fn behind_others(
    rig: &Rig,
    id: &str,
    others: impl Fn(u64) -> Option<&'static str> + Clone + Send + Sync + 'static,
    answer: StatusCode,
) -> Response<String> {
    let (sessions, own) = (rig.sessions.clone(), id.to_owned());
    rig.call(Some(id), move |session| {
        let (sessions, own, others) = (sessions.clone(), own.clone(), others.clone());
        async move {
            session.insert("mine", &"new").await.unwrap();
            session.remove("gone").await.unwrap();
            let Found::Live(theirs) = sessions.load(&own).await.unwrap() else {
                panic!("it is there")
            };
            match others(theirs.version) {
                Some(data) => drop(sessions.save(&theirs, data).await.unwrap()),
                None => drop(sessions.delete(&theirs).await.unwrap()),
            }
            status(answer)
        }
    })
    .await
}

#[tokio::test]
async fn changes_are_merged_by_key_with_those_of_others() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    let theirs = r#"{"gone":1,"kept":{"a":[1]},"mine":"old"}"#;
    let response = behind_others(&rig, &id, move |_| Some(theirs), StatusCode::OK).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(set_cookies(&response).is_empty());
    assert_eq!(rig.data(&id).await, r#"{"kept":{"a":[1]},"mine":"new"}"#);
    // Others who did the very same: nothing is left to store.
    let theirs = r#"{"mine":"new"}"#;
    let version = rig.live(&id).await.version;
    rig.call(Some(&id), |session| async move {
        session.remove("mine").await.unwrap();
        ok()
    })
    .await;
    behind_others(&rig, &id, move |_| Some(theirs), StatusCode::OK).await;
    assert_eq!(rig.live(&id).await.version, version + 2);
    assert_eq!(rig.data(&id).await, theirs);
}

#[tokio::test]
async fn none_of_many_at_a_time_is_lost() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    let gate = Arc::new(tokio::sync::Barrier::new(6));
    let calls: Vec<_> = (0..6)
        .map(|number| {
            let (gate, layer, id) = (Arc::clone(&gate), rig.layer.clone(), format!("id={id}"));
            tokio::spawn(async move {
                let handler = move |session: RequestSession| {
                    let gate = Arc::clone(&gate);
                    async move {
                        let key = format!("key{number}");
                        session.insert(&key, &number).await.unwrap();
                        gate.wait().await;
                        ok()
                    }
                };
                oneshot(&layer, &[&id], handler).await.unwrap().status()
            })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.unwrap(), StatusCode::OK);
    }
    let session = rig.live(&id).await;
    let data = String::from_utf8(session.data.to_vec()).unwrap();
    for number in 0..6 {
        assert!(
            data.contains(&format!(r#""key{number}":{number}"#)),
            "{data}"
        );
    }
}

#[tokio::test]
async fn a_session_that_was_ended_meanwhile_is_lost() {
    for (answer, expected) in [
        (StatusCode::OK, StatusCode::UNAUTHORIZED),
        (StatusCode::SEE_OTHER, StatusCode::UNAUTHORIZED),
        (StatusCode::IM_A_TEAPOT, StatusCode::IM_A_TEAPOT),
        (StatusCode::BAD_GATEWAY, StatusCode::BAD_GATEWAY),
    ] {
        let rig = rig();
        let id = rig.login(None, "alice").await;
        let response = behind_others(&rig, &id, |_| None, answer).await;
        assert_eq!(response.status(), expected);
        assert!(set_cookies(&response).is_empty());
        let is_kept = answer == expected;
        assert_eq!(is_problem(&response, expected), !is_kept);
        assert!(rig.store.is_empty());
    }
}

/// Whoever logs in while another request of theirs is handled stays logged in, whichever answer
/// comes last.
#[tokio::test]
async fn a_login_is_not_undone_by_a_slower_answer() {
    let rig = Arc::new(rig());
    let id = new_id(&rig.call(None, count).await);
    let new = Arc::new(Mutex::new(None));
    let slow = {
        let (rig, id, new) = (Arc::clone(&rig), id.clone(), Arc::clone(&new));
        move |session: RequestSession| {
            let (rig, id, new) = (Arc::clone(&rig), id.clone(), Arc::clone(&new));
            async move {
                session.insert("page", &"other").await.unwrap();
                *new.lock().unwrap() = Some(rig.login(Some(&id), "alice").await);
                ok()
            }
        }
    };
    let response = rig.call(Some(&id), slow).await;
    assert!(is_problem(&response, StatusCode::UNAUTHORIZED));
    assert!(set_cookies(&response).is_empty());
    let new = new.lock().unwrap().take().unwrap();
    assert_eq!(rig.user(&new).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn what_does_not_fit_is_refused_where_it_is_set() {
    let rig = rig_with(SessionOptions::default().max_bytes(32));
    let response = rig
        .call(None, |session| async move {
            session.insert("a", &"small").await.unwrap();
            let large = session.insert("a", &"x".repeat(32)).await;
            assert_eq!(code(large), "session.too_large");
            assert_eq!(
                code(session.insert("b", &"x".repeat(32)).await),
                "session.too_large"
            );
            assert_eq!(session.get("a").await.unwrap(), Some("small".to_owned()));
            assert_eq!(code(session.get::<u32>("a").await), "session.type");
            let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
            assert_eq!(code(session.insert("c", &no_json).await), "session.value");
            ok()
        })
        .await;
    let id = new_id(&response);
    assert_eq!(rig.data(&id).await, r#"{"a":"small"}"#);
    // Too large only together with what somebody else stored.
    let theirs = r#"{"theirs":"0123456789"}"#;
    let response = behind_others(&rig, &id, move |_| Some(theirs), StatusCode::OK).await;
    assert!(
        is_problem(&response, StatusCode::INTERNAL_SERVER_ERROR),
        "{response:?}"
    );
    assert_eq!(rig.data(&id).await, theirs);
}

#[tokio::test]
async fn data_of_other_programs_is_left_alone() {
    let rig = rig();
    for (data, is_empty) in [("", true), ("[1]", false), ("\u{1}", false)] {
        let new = NewSession::new(data).user("alice");
        let Created::Created { id, .. } = rig.sessions.create(new).await.unwrap() else {
            panic!("it is created")
        };
        let id = id.expose();
        assert_eq!(rig.user(&id).await.as_deref(), Some("alice"));
        let response = rig
            .call(Some(&id), move |session| async move {
                if is_empty {
                    assert_eq!(session.get::<u32>("a").await.unwrap(), None);
                } else {
                    assert_eq!(code(session.get::<u32>("a").await), "session.data");
                    assert_eq!(code(session.insert("a", &1).await), "session.data");
                }
                ok()
            })
            .await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(rig.data(&id).await, data);
        let next = rig.login(Some(&id), "alice").await;
        assert_eq!(rig.user(&id).await, None);
        assert_eq!(rig.call(Some(&next), count).await.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn nothing_is_changed_after_the_answer() {
    let rig = rig();
    let kept = Arc::new(Mutex::new(None));
    let keeping = Arc::clone(&kept);
    let response = rig
        .call(None, move |session| {
            *keeping.lock().unwrap() = Some(session.clone());
            count(session)
        })
        .await;
    let id = new_id(&response);
    let session = kept.lock().unwrap().take().unwrap();
    assert_eq!(session.get("seen").await.unwrap(), Some(1));
    assert_eq!(code(session.insert("late", &1).await), "session.answered");
    assert_eq!(code(session.log_in("alice").await), "session.answered");
    assert_eq!(code(session.log_out().await), "session.answered");
    assert_eq!(rig.data(&id).await, r#"{"seen":1}"#);
}

/// Lists in lists, so many.
fn nested(depth: usize) -> serde_json::Value {
    (0..depth).fold(serde_json::Value::Null, |inner, _| {
        serde_json::Value::Array(vec![inner])
    })
}

/// What a caller sends, as deep as it can be read, must not make a session that cannot be.
#[tokio::test]
async fn what_could_not_be_read_again_is_not_stored() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    for depth in [1, 64, 120, 121, 125, 126, 127, 128, 1_000] {
        let stored = rig.call(Some(&id), move |session| async move {
            let stored = session.insert("sent", &nested(depth)).await;
            if depth > 120 {
                assert_eq!(code(stored), "session.value", "{depth}");
            } else {
                stored.unwrap();
            }
            session.insert("depth", &depth).await.unwrap();
            ok()
        });
        assert_eq!(stored.await.status(), StatusCode::OK);
        let read = rig.call(Some(&id), move |session| async move {
            let found: Option<usize> = session.get("depth").await.unwrap();
            assert_eq!(found, Some(depth));
            let sent: Option<serde_json::Value> = session.get("sent").await.unwrap();
            assert_eq!(sent, Some(nested(depth.min(120))));
            ok()
        });
        assert_eq!(read.await.status(), StatusCode::OK);
    }
}
