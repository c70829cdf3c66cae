//! The layer on a server, as several instances of an application have it.

use std::{sync::Arc, time::Duration};

use http::{Response, StatusCode};
use redis_client::{Client, Config};
use redis_harness::{Options, Persistence, Server, unique_prefix};
use state_core::{
    Namespace,
    session::{SessionKeys, SessionOptions, Sessions},
};
use state_redis::session::RedisSessions;
use state_tower::SessionLayer;

use crate::rig::{
    count, is_problem, is_removed, log_out, new_id, ok, oneshot, revoke_all, set_cookies, whoami,
};

async fn server() -> Server {
    Server::start_with(Options::default().persistence(Persistence::None)).await
}

/// The layer of one instance: a client of its own, on what all share.
async fn instance(server: &Server, prefix: &str, options: SessionOptions) -> SessionLayer {
    let long = Duration::from_secs(10);
    let config = Config::builder()
        .address(server.url())
        .key_prefix(prefix)
        .read_timeout(long)
        .write_timeout(long);
    let client = Client::connect(config.build().unwrap()).await.unwrap();
    let store = RedisSessions::new(client, &Namespace::new("web").unwrap(), options).unwrap();
    let keys = SessionKeys::new(b"32 bytes or more, for tests alone").unwrap();
    SessionLayer::new(Sessions::new(Arc::new(store), keys))
}

async fn login(layer: &SessionLayer, id: Option<&str>) -> String {
    let cookie = id.map(|id| format!("id={id}"));
    let cookies: Vec<_> = cookie.as_deref().into_iter().collect();
    let handler = |session: state_tower::RequestSession| async move {
        session.log_in("alice").await.unwrap();
        ok()
    };
    new_id(&oneshot(layer, &cookies, handler).await.unwrap())
}

async fn user(layer: &SessionLayer, id: &str) -> String {
    let answer = oneshot(layer, &[&format!("id={id}")], whoami).await;
    answer.unwrap().into_body()
}

async fn seen(layer: &SessionLayer, id: &str) -> Response<String> {
    let answer = oneshot(layer, &[&format!("id={id}")], count).await;
    answer.unwrap()
}

#[tokio::test]
async fn session_is_one_on_every_instance() {
    let (server, prefix) = (server().await, unique_prefix("tower"));
    let one = instance(&server, &prefix, SessionOptions::default()).await;
    let other = instance(&server, &prefix, SessionOptions::default()).await;
    let before = new_id(&oneshot(&one, &[], count).await.unwrap());
    assert_eq!(seen(&other, &before).await.body(), "1");
    // A login takes the values along and leaves the id behind.
    let id = login(&other, Some(&before)).await;
    assert_ne!(id, before);
    assert_eq!(user(&one, &before).await, "");
    assert_eq!(user(&one, &id).await, "alice");
    assert_eq!(seen(&one, &id).await.body(), "2");
    assert_eq!(seen(&other, &id).await.body(), "3");
    // A logout is one everywhere.
    let answer = oneshot(&one, &[&format!("id={id}")], log_out)
        .await
        .unwrap();
    assert_eq!(answer.body(), "true");
    assert!(is_removed(&answer));
    assert_eq!(user(&other, &id).await, "");
    let again = oneshot(&other, &[&format!("id={id}")], log_out).await;
    assert_eq!(again.unwrap().body(), "false");
}

#[tokio::test]
async fn changes_of_two_requests_are_merged() {
    let (server, prefix) = (server().await, unique_prefix("tower"));
    let one = instance(&server, &prefix, SessionOptions::default()).await;
    let other = instance(&server, &prefix, SessionOptions::default()).await;
    let id = login(&one, None).await;
    let cookie = format!("id={id}");
    let (inner, inner_cookie) = (other.clone(), cookie.clone());
    // While the first request is handled, another one on another instance comes and goes.
    let answer = oneshot(&one, &[&cookie], move |session| {
        let (other, cookie) = (inner.clone(), inner_cookie.clone());
        async move {
            session.insert("slow", &1).await.unwrap();
            let quick = oneshot(&other, &[&cookie], |session| async move {
                session.insert("quick", &2).await.unwrap();
                ok()
            });
            assert_eq!(quick.await.unwrap().status(), StatusCode::OK);
            ok()
        }
    });
    assert_eq!(answer.await.unwrap().status(), StatusCode::OK);
    let both = oneshot(&other, &[&cookie], |session| async move {
        let slow: Option<u8> = session.get("slow").await.unwrap();
        let quick: Option<u8> = session.get("quick").await.unwrap();
        Response::new(format!("{slow:?} {quick:?}"))
    });
    assert_eq!(both.await.unwrap().body(), "Some(1) Some(2)");
}

#[tokio::test]
async fn logins_count_and_end_together() {
    let (server, prefix) = (server().await, unique_prefix("tower"));
    let options = SessionOptions::default().max_per_user(2);
    let one = instance(&server, &prefix, options).await;
    let other = instance(&server, &prefix, options).await;
    let mut ids = Vec::new();
    for layer in [&one, &other, &one] {
        let before = new_id(&oneshot(layer, &[], count).await.unwrap());
        ids.push(login(layer, Some(&before)).await);
    }
    assert_eq!(user(&other, &ids[0]).await, "");
    for id in &ids[1..] {
        assert_eq!(user(&other, id).await, "alice");
    }
    let answer = oneshot(&one, &[&format!("id={}", ids[1])], revoke_all).await;
    assert!(is_removed(&answer.unwrap()));
    for id in &ids {
        assert_eq!(user(&other, id).await, "");
    }
}

#[tokio::test]
async fn n_se_5_server_knows_no_id() {
    let (server, prefix) = (server().await, unique_prefix("tower"));
    let layer = instance(&server, &prefix, SessionOptions::default()).await;
    let id = login(&layer, None).await;
    assert_eq!(seen(&layer, &id).await.body(), "0");
    let mut connection = server.connection().await;
    let mut dump = redis_client::redis::cmd("EVAL");
    dump.arg(
        "local all = {} for _, key in ipairs(redis.call('KEYS', '*')) do \
         all[#all + 1] = key all[#all + 1] = redis.call('DUMP', key) end return all",
    )
    .arg(0);
    let all: Vec<Vec<u8>> = dump.query_async(&mut connection).await.unwrap();
    let has = |text: &[u8]| {
        let parts = || all.iter().flat_map(|part| part.windows(text.len()));
        parts().any(|part| part == text)
    };
    // What is looked for would be found.
    assert!(has(b"alice"));
    assert!(!has(id.as_bytes()));
}

#[tokio::test]
async fn server_that_is_away_is_said() {
    let (mut server, prefix) = (server().await, unique_prefix("tower"));
    let layer = instance(&server, &prefix, SessionOptions::default()).await;
    let id = login(&layer, None).await;
    assert_eq!(user(&layer, &id).await, "alice");
    server.kill();
    let asks = |session: state_tower::RequestSession| async move {
        assert!(session.user().await.is_err());
        ok()
    };
    let answer = oneshot(&layer, &[&format!("id={id}")], asks).await.unwrap();
    assert!(is_problem(&answer, StatusCode::SERVICE_UNAVAILABLE));
    // Nobody is logged out by it: who has the cookie keeps it.
    assert!(set_cookies(&answer).is_empty());
    // Requests that do not ask for their session work.
    let quiet = oneshot(&layer, &[&format!("id={id}")], |_| async { ok() }).await;
    assert_eq!(quiet.unwrap().status(), StatusCode::OK);
}
