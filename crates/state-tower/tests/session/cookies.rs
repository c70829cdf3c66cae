//! What goes to the client.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use http::{HeaderValue, Request, Response, StatusCode, header};
use state_memory::Fault;
use state_tower::{RequestSession, SameSite, SessionCookie, SessionLayer};
use tower_layer::Layer as _;
use tower_service::Service;

use crate::rig::{
    Answer, Handler, count, log_out, new_id, ok, oneshot, revoke_all, rig, set_cookies, whoami,
};

#[tokio::test]
async fn nobody_gets_a_cookie_without_a_reason() {
    let rig = rig();
    // Nothing the backend could fail at: it is not asked.
    for operation in ["session.load", "session.create", "session.save"] {
        rig.faults.fail_next(operation, Fault::Before);
    }
    for response in [
        rig.call(None, |_| async { ok() }).await,
        rig.call(None, whoami).await,
        rig.call(None, log_out).await,
        rig.call(None, revoke_all).await,
        rig.call(None, |session| async move {
            assert_eq!(session.get::<u32>("seen").await.unwrap(), None);
            session.remove("seen").await.unwrap();
            ok()
        })
        .await,
        // Neither is it for a session that nobody asks for, nor for what is no id.
        rig.call(Some(&"A".repeat(43)), |_| async { ok() }).await,
        rig.call(Some("nonsense"), whoami).await,
    ] {
        assert_eq!(response.status(), StatusCode::OK);
        assert!(set_cookies(&response).is_empty(), "{response:?}");
        assert!(!response.headers().contains_key(header::CACHE_CONTROL));
    }
    assert!(rig.store.is_empty());
}

#[tokio::test]
async fn of_several_cookies_the_first_id_counts() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    let other = rig.login(None, "bob").await;
    let unknown = "A".repeat(43);
    for (cookies, user) in [
        (vec![format!("a=b; id={id}; c")], "alice"),
        (vec!["a=b".to_owned(), format!("id={id}")], "alice"),
        (vec![format!("id=none; id={other}; id={id}")], "bob"),
        (vec![format!("id={unknown}; id={id}")], ""),
        (vec![format!("ID={id}; xid={id}; id2={id}")], ""),
        (vec![format!("id=\"{id}\"")], ""),
    ] {
        let cookies: Vec<&str> = cookies.iter().map(String::as_str).collect();
        let response = oneshot(&rig.layer, &cookies, whoami).await.unwrap();
        assert_eq!(response.body(), user);
    }
    // A cookie that is no text hides none.
    let mut bytes = b"a=\xff; id=".to_vec();
    bytes.extend(id.as_bytes());
    let request =
        Request::builder().header(header::COOKIE, HeaderValue::from_bytes(&bytes).unwrap());
    let mut service = rig.layer.layer(Handler(whoami));
    let response = service.call(request.body(String::new()).unwrap()).await;
    assert_eq!(response.unwrap().body(), "alice");
}

#[tokio::test]
async fn ids_are_not_shown() {
    let rig = rig();
    let id = rig.login(None, "alice").await;
    let looking = Looking::default();
    let mut service = rig.layer.layer(looking.clone());
    let request = Request::builder().header(header::COOKIE, format!("id={id}"));
    let response = service.call(request.body(String::new()).unwrap()).await;
    let next = new_id(response.as_ref().unwrap());
    let shown = looking.0.lock().unwrap().clone();
    assert!(shown.contains(r#""cookie": Sensitive"#), "{shown}");
    assert!(shown.ends_with("RequestSession { .. }"), "{shown}");
    for text in [shown, format!("{:?} {response:?} {service:?}", rig.layer)] {
        assert!(!text.contains(&id) && !text.contains(&next), "{text}");
        assert!(!text.contains("alice"), "{text}");
    }
}

/// A handler that keeps what the request looks like, and logs in.
#[derive(Debug, Clone, Default)]
struct Looking(Arc<Mutex<String>>);

impl Service<Request<String>> for Looking {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Answer {
        let session = request
            .extensions()
            .get::<RequestSession>()
            .unwrap()
            .clone();
        let shown = Arc::clone(&self.0);
        Box::pin(async move {
            session.log_in("alice").await.unwrap();
            *shown.lock().unwrap() = format!("{request:?} {session:?}");
            Ok(ok())
        })
    }
}

#[tokio::test]
async fn the_cookie_is_as_it_was_asked_for() {
    let rig = rig();
    let plain = rig.call(None, count).await;
    let plain = set_cookies(&plain)[0].split_once(';').unwrap().1.to_owned();
    assert_eq!(plain, " HttpOnly; SameSite=Lax; Secure; Path=/");
    let cookie = SessionCookie::new()
        .name("app")
        .secure(false)
        .http_only(false)
        .same_site(SameSite::Strict)
        .path("/app")
        .domain("example.com");
    let layer = SessionLayer::with_cookie(rig.sessions.clone(), cookie).unwrap();
    let response = oneshot(&layer, &[], count).await.unwrap();
    let field = set_cookies(&response)[0].to_owned();
    let (pair, attributes) = field.split_once(';').unwrap();
    assert_eq!(
        attributes,
        " SameSite=Strict; Path=/app; Domain=example.com"
    );
    // What is removed is what was set.
    let response = oneshot(&layer, &[pair], log_out).await.unwrap();
    assert_eq!(response.body(), "true");
    assert_eq!(
        set_cookies(&response),
        [
            "app=; SameSite=Strict; Path=/app; Domain=example.com; Max-Age=0; \
          Expires=Thu, 01 Jan 1970 00:00:00 GMT"
        ]
    );
}

#[test]
fn cookies_that_cannot_work_are_refused() {
    let new = SessionCookie::new;
    for (cookie, option) in [
        (new().name(""), "name"),
        (new().name("a b"), "name"),
        (new().name("a=b"), "name"),
        (new().name("\u{e4}"), "name"),
        (new().path("app"), "path"),
        (new().path("/a; Domain=evil"), "path"),
        (new().path("/a\r\nx: y"), "path"),
        (new().domain(""), "domain"),
        (new().domain("a; Path=/"), "domain"),
        (new().same_site(SameSite::None).secure(false), "secure"),
        (new().name("__Secure-id").secure(false), "secure"),
        (new().name("__host-id").secure(false), "secure"),
        (new().name("__Host-id").path("/app"), "path"),
        (new().name("__Host-id").domain("example.com"), "domain"),
    ] {
        let error = cookie.validate().unwrap_err();
        assert_eq!(
            (error.option(), error.code()),
            (option, "session.invalid_cookie")
        );
        assert_eq!(error.to_string(), format!("{option}: {}", error.rule()));
        assert!(SessionLayer::with_cookie(rig().sessions, cookie).is_err());
    }
    for cookie in [
        new(),
        new().name("__Host-id"),
        new().same_site(SameSite::None),
        new().domain("example.com").path("/a/b"),
    ] {
        assert_eq!(cookie.validate(), Ok(()));
    }
}
