//! A backend that does not answer.

use http::StatusCode;
use state_core::{
    Classified as _,
    session::{OnError, SessionOptions},
};
use state_memory::Fault;

use crate::rig::{code, count, is_problem, is_removed, ok, rig, rig_with, set_cookies, status};

#[tokio::test]
async fn a_backend_that_is_away_is_said() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    // Whatever the handler makes of it, unless it fails itself.
    for (answer, is_kept) in [
        (StatusCode::OK, false),
        (StatusCode::UNAUTHORIZED, false),
        (StatusCode::BAD_GATEWAY, true),
    ] {
        rig.faults.fail_next("session.load", Fault::Before);
        let response = rig
            .call(Some(&id), move |session| async move {
                assert_eq!(
                    session.user().await.unwrap_err().kind().as_str(),
                    "unavailable"
                );
                status(answer)
            })
            .await;
        assert_eq!(
            is_problem(&response, StatusCode::SERVICE_UNAVAILABLE),
            !is_kept
        );
        assert!(set_cookies(&response).is_empty());
    }
    // What was not stored.
    for (operation, id) in [
        ("session.save", Some(id.as_str())),
        ("session.create", None),
    ] {
        for answer in [StatusCode::OK, StatusCode::NOT_FOUND] {
            rig.faults.fail_next(operation, Fault::Before);
            let response = rig
                .call(id, move |session| async move {
                    session.insert("a", &1).await.unwrap();
                    status(answer)
                })
                .await;
            let is_said = is_problem(&response, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(is_said, answer == StatusCode::OK);
            assert!(set_cookies(&response).is_empty());
        }
    }
    assert_eq!(rig.data(&id).await, "{}");
    // Logouts that did not happen are none.
    for (operation, handler) in [("session.delete", 0), ("session.revoke_all", 1)] {
        rig.faults.fail_next(operation, Fault::Before);
        let response = rig
            .call(Some(&id), move |session| async move {
                let ended = match handler {
                    0 => session.log_out().await,
                    _ => session.revoke_all().await,
                };
                assert!(ended.unwrap_err().is_retryable());
                ok()
            })
            .await;
        assert!(is_problem(&response, StatusCode::SERVICE_UNAVAILABLE));
        assert!(set_cookies(&response).is_empty());
    }
    assert_eq!(rig.user(&id).await.as_deref(), Some("alice"));
    assert!(rig.faults.are_used_up());
}

#[tokio::test]
async fn an_answer_that_was_lost_is_asked_for_again() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    rig.faults.fail_next("session.save", Fault::After);
    let response = rig.call(Some(&id), count).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(rig.data(&id).await, r#"{"seen":1}"#);
    assert_eq!(rig.live(&id).await.version, 2);
    // With nobody to ask, nobody knows.
    rig.faults.fail_next("session.save", Fault::After);
    let faults = rig.faults.clone();
    let response = rig
        .call(Some(&id), move |session| {
            let faults = faults.clone();
            async move {
                let response = count(session).await;
                faults.fail_next("session.load", Fault::Before);
                response
            }
        })
        .await;
    assert!(is_problem(&response, StatusCode::SERVICE_UNAVAILABLE));
    // A login of which nobody knows the end leaves neither id in use.
    rig.faults.fail_next("session.relocate", Fault::After);
    let response = rig
        .call(Some(&id), |session| async move {
            assert!(session.log_in("alice").await.unwrap_err().outcome_unknown());
            assert_eq!(session.user().await.unwrap(), None);
            ok()
        })
        .await;
    assert!(is_problem(&response, StatusCode::SERVICE_UNAVAILABLE));
    assert!(is_removed(&response));
    assert_eq!(rig.user(&id).await, None);
}

#[tokio::test]
async fn with_an_open_policy_the_caller_is_nobody_and_changes_nothing() {
    let rig = rig_with(SessionOptions::default().on_error(OnError::OpenAnonymous));
    let id = rig.login(None, "alice").await;
    rig.faults.fail_next("session.load", Fault::Before);
    let response = rig
        .call(Some(&id), |session| async move {
            assert!(session.is_unknown().await.unwrap());
            assert_eq!(session.user().await.unwrap(), None);
            assert_eq!(session.get::<u32>("a").await.unwrap(), None);
            assert_eq!(code(session.insert("a", &1).await), "session.unavailable");
            assert_eq!(code(session.remove("a").await), "session.unavailable");
            assert_eq!(code(session.log_in("bob").await), "session.unavailable");
            assert_eq!(code(session.log_out().await), "session.unavailable");
            assert_eq!(code(session.revoke_all().await), "session.unavailable");
            ok()
        })
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(set_cookies(&response).is_empty());
    assert_eq!(rig.user(&id).await.as_deref(), Some("alice"));
    // What cannot be stored is said all the same.
    rig.faults.fail_next("session.save", Fault::Before);
    let response = rig.call(Some(&id), count).await;
    assert!(is_problem(&response, StatusCode::SERVICE_UNAVAILABLE));
}
