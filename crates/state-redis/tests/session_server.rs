//! Sessions on a server: what scripts touch and leave, trips, faults, secrets.

mod support;

use std::sync::Arc;

use redis_client::redis;
use redis_harness::{Fault, FaultProxy, Monitor, Server};
use state_core::{
    Classified as _, ErrorKind, Namespace,
    session::{
        Created, Found, NewSession, OnError, Reason, Session, SessionKeys, SessionOptions, Sessions,
    },
};
use state_redis::session::RedisSessions;

use crate::support::{check_keys, client, server};

const SECRET: &[u8] = b"hunter2-hunter2-hunter2-hunter2-hunter2";

fn sessions(client: redis_client::Client, options: SessionOptions) -> Sessions {
    let namespace = Namespace::new("web").expect("a name");
    let store = RedisSessions::new(client, &namespace, options).expect("valid options");
    let keys = SessionKeys::new(SECRET).expect("long enough");
    Sessions::new(Arc::new(store), keys)
}

async fn login(sessions: &Sessions, new: NewSession) -> (String, Session) {
    match sessions.create(new).await.expect("an answer") {
        Created::Created { id, session } => (id.expose().to_string(), session),
        Created::Revoked => panic!("it was revoked"),
    }
}

async fn exercise(sessions: &Sessions, forget: Option<&Server>) {
    let between = async || {
        if let Some(server) = forget {
            let mut connection = server.connection().await;
            let flush = redis::cmd("SCRIPT").arg("FLUSH").to_owned();
            flush.exec_async(&mut connection).await.expect("flushed");
        }
    };
    let user = "a user:{x}";
    for _ in 0..3 {
        between().await;
        let (cookie, session) = login(sessions, NewSession::new("d").user(user)).await;
        between().await;
        sessions.load(&cookie).await.expect("an answer");
        between().await;
        sessions.save(&session, "e").await.expect("an answer");
        between().await;
        sessions.save(&session, "f").await.expect("an answer");
    }
    let (_, session) = login(sessions, NewSession::new("d")).await;
    let stamp = sessions.begin_login().await.expect("an answer");
    between().await;
    let user_now = Some((user, stamp));
    let made = sessions
        .regenerate(&session, Reason::PrivilegeChange, user_now)
        .await;
    made.expect("an answer");
    between().await;
    sessions.list_for_user(user).await.expect("an answer");
    let (_, kept) = login(sessions, NewSession::new("d").user(user)).await;
    between().await;
    sessions
        .revoke_all(user, Some(&kept))
        .await
        .expect("an answer");
    sessions.list_for_user(user).await.expect("an answer");
}

#[tokio::test]
async fn scripts_touch_what_they_declare_and_every_key_ends() {
    let server = server().await;
    let client = client(server.url()).await;
    let sessions = sessions(client.clone(), SessionOptions::default().max_per_user(2));
    let monitor = Monitor::start(&server).await;
    exercise(&sessions, None).await;
    let recording = monitor.finish(&server).await;
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 16, "{} calls", seen.calls);
    let patterns = check_keys(&server, client.key_prefix().as_str()).await;
    assert_eq!(patterns.len(), 3, "{patterns:?}");
    exercise(&sessions, Some(&server)).await;
}

#[tokio::test]
async fn t_se_4_a_load_is_one_trip_and_mostly_writes_nothing() {
    let server = server().await;
    let sessions = sessions(client(server.url()).await, SessionOptions::default());
    let (cookie, _) = login(&sessions, NewSession::new("d").user("alice")).await;
    sessions.load(&cookie).await.expect("an answer");
    let monitor = Monitor::start(&server).await;
    for _ in 0..20 {
        assert!(matches!(sessions.load(&cookie).await, Ok(Found::Live(_))));
    }
    let recording = monitor.finish(&server).await;
    let commands = recording.commands();
    let trips = commands.iter().filter(|command| !command.by_script).count();
    assert_eq!(trips, 20);
    assert!(
        commands
            .iter()
            .all(|command| !["HSET", "PEXPIRE"].contains(&&*command.words[0]))
    );
}

#[tokio::test]
async fn t_se_3_no_cookie_is_stored_and_n_se_5_none_is_shown() {
    let mut server = server().await;
    let client = client(server.url()).await;
    let sessions = sessions(client, SessionOptions::default());
    let new = NewSession::new("hunter2").user("hunter2").meta("hunter2");
    let mut shown = format!("{new:?}");
    let (cookie, session) = login(&sessions, new).await;
    let found = sessions.load(&cookie).await.expect("an answer");
    let listed = sessions.list_for_user("hunter2").await.expect("an answer");
    shown += &format!("{sessions:?} {session:?} {found:?} {listed:?}");
    let mut connection = server.connection().await;
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    for key in keys {
        let dump: Vec<u8> = redis::cmd("DUMP")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .unwrap();
        let stored = [key.as_bytes(), &dump].concat();
        let has = stored
            .windows(cookie.len())
            .any(|part| part == cookie.as_bytes());
        assert!(!has, "a cookie is stored");
    }
    server.kill();
    let error = sessions.load(&cookie).await.expect_err("no server");
    let late = sessions.save(&session, "x").await.expect_err("no server");
    shown += &format!("{error} {error:?} {late} {late:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains(&cookie),
        "{shown}"
    );
}

#[tokio::test]
async fn a_server_that_is_away_logs_nobody_in() {
    let mut server = server().await;
    let url = server.url().to_owned();
    let closed = sessions(client(&url).await, SessionOptions::default());
    let open = SessionOptions::default().on_error(OnError::OpenAnonymous);
    let open = sessions(client(&url).await, open);
    let (cookie, _) = login(&closed, NewSession::new("d")).await;
    server.kill();
    let error = closed.load(&cookie).await.expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(
        open.load(&cookie).await.expect("a policy"),
        Found::Anonymous
    );
}

#[tokio::test]
async fn lost_replies_are_told_and_change_nothing_twice() {
    let server = server().await;
    let proxy = FaultProxy::start(server.port()).await;
    let sessions = sessions(client(&proxy.url()).await, SessionOptions::default());
    exercise(&sessions, None).await;
    let (cookie, session) = login(&sessions, NewSession::new("d").user("bob")).await;
    for _ in 0..8 {
        sessions.load(&cookie).await.expect("an answer");
    }
    proxy.once(Fault::CutBeforeReply);
    let error = sessions
        .save(&session, "e")
        .await
        .expect_err("the reply was lost");
    assert!(error.outcome_unknown());
    let Found::Live(found) = sessions.load(&cookie).await.expect("an answer") else {
        panic!("it is gone");
    };
    assert_eq!((found.version, &found.data[..]), (2, &b"e"[..]));
    for _ in 0..8 {
        sessions.load(&cookie).await.expect("an answer");
    }
    proxy.once(Fault::CutBeforeReply);
    let error = sessions
        .delete(&session)
        .await
        .expect_err("the reply was lost");
    assert!(error.outcome_unknown());
    assert!(!sessions.delete(&session).await.expect("an answer"));
    assert_eq!(
        sessions.load(&cookie).await.expect("an answer"),
        Found::Gone
    );
}
