//! Sessions on a server: what scripts touch and leave, trips, faults, secrets.

mod support;

use std::{sync::Arc, time::Duration};

use redis_client::redis;
use redis_harness::{Fault, FaultProxy, Monitor, Server, poll_until};
use state_core::{
    Classified as _, ErrorKind, Namespace,
    session::{
        Created, Found, NewSession, OnError, Reason, Regenerated, Saved, Session, SessionKeys,
        SessionOptions, Sessions,
    },
};
use state_redis::session::RedisSessions;

use crate::support::{ServerTime, check_keys, client, server};

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
    let (old, session) = login(sessions, NewSession::new("d").user(user)).await;
    between().await;
    let made = sessions.regenerate(&session, Reason::Rotation, None).await;
    made.expect("an answer");
    between().await;
    sessions.load(&old).await.expect("an answer");
    between().await;
    sessions.save(&session, "e").await.expect("an answer");
    between().await;
    let spared = sessions.revoke_all(user, Some(&session)).await;
    spared.expect("an answer");
    between().await;
    sessions.delete(&session).await.expect("an answer");
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
    let options = SessionOptions::default()
        .max_per_user(2)
        .regenerate_grace(Duration::from_secs(60));
    let sessions = sessions(client.clone(), options);
    let monitor = Monitor::start(&server).await;
    exercise(&sessions, None).await;
    let recording = monitor.finish(&server).await;
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 25, "{} calls", seen.calls);
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
async fn t_se_4_use_is_noted_once_in_a_part_of_the_idle_time_at_any_rate() {
    let server = server().await;
    let client = client(server.url()).await;
    let time = ServerTime(client.clone());
    // Noted once in a second.
    let idle = SessionOptions::default().idle(Duration::from_secs(10));
    let sessions = sessions(client, idle);
    let (cookie, session) = login(&sessions, NewSession::new("d").user("alice")).await;
    let monitor = Monitor::start(&server).await;
    let since = session.created.as_micros();
    let mut loads = 0;
    while loads < 200 || time.micros().await < since + 1_100_000 {
        assert!(matches!(sessions.load(&cookie).await, Ok(Found::Live(_))));
        loads += 1;
    }
    assert!(matches!(sessions.load(&cookie).await, Ok(Found::Live(_))));
    let seconds = (time.micros().await - since) / 1_000_000;
    let recording = monitor.finish(&server).await;
    let commands = recording.commands().iter();
    let notes = commands
        .filter(|command| command.words[0] == "HSET")
        .count() as u64;
    assert!((1..=seconds).contains(&notes), "{notes} in {seconds} s");
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
async fn what_leads_on_from_an_old_id_is_one_field_and_short_lived() {
    let server = server().await;
    let client = client(server.url()).await;
    let grace = Duration::from_secs(20);
    let options = SessionOptions::default().regenerate_grace(grace);
    let sessions = sessions(client.clone(), options);
    let (old, session) = login(&sessions, NewSession::new("d").user("alice")).await;
    let made = sessions.regenerate(&session, Reason::Rotation, None).await;
    let Ok(Regenerated::Regenerated { id, session: made }) = made else {
        panic!("{made:?}");
    };
    let mut connection = server.connection().await;
    let key = session_key(&client, &session);
    let (fields, ttl): (Vec<(String, String)>, u128) = redis::pipe()
        .cmd("HGETALL")
        .arg(&key)
        .cmd("PTTL")
        .arg(&key)
        .query_async(&mut connection)
        .await
        .unwrap();
    let hash = made.handle.as_str().to_owned();
    assert_eq!(fields, [("m".to_owned(), hash)]);
    assert!((1..=grace.as_millis()).contains(&ttl), "{ttl}");
    // The server learns the script.
    sessions.load(&old).await.expect("an answer");
    let monitor = Monitor::start(&server).await;
    sessions.load(&id.expose()).await.expect("an answer");
    sessions.load(&old).await.expect("an answer");
    let recording = monitor.finish(&server).await;
    let trips = recording
        .commands()
        .iter()
        .filter(|command| !command.by_script);
    assert_eq!(trips.count(), 3);
}

fn session_key(client: &redis_client::Client, session: &Session) -> String {
    let prefix = client.key_prefix().as_str();
    format!("{prefix}:sess:{{web}}:s:{}", session.handle.as_str())
}

#[tokio::test]
async fn n_se_10_no_other_key_is_a_sessions() {
    let server = server().await;
    let client = client(server.url()).await;
    let sessions = sessions(client.clone(), SessionOptions::default());
    let monitor = Monitor::start(&server).await;
    let report = client.health().await;
    assert_eq!(report.status(), redis_client::Status::Up);
    // What is no id is not asked for at all.
    for cookie in ["health", "ping", "cut", "u:alice", "../cut"] {
        let found = sessions.load(cookie).await.expect("an answer");
        assert_eq!(found, Found::Gone);
    }
    let recording = monitor.finish(&server).await;
    for command in recording.commands() {
        let names_ours = |word: &String| word.contains(":sess:");
        assert!(!command.words.iter().any(names_ours), "{:?}", command.words);
    }
    // A user whose name is a handle has an index of that name, and no session.
    let (cookie, session) = login(&sessions, NewSession::new("d").user("alice")).await;
    let name = session.handle.as_str();
    login(&sessions, NewSession::new("e").user(name)).await;
    sessions.revoke_all(name, None).await.expect("an answer");
    assert!(matches!(sessions.load(&cookie).await, Ok(Found::Live(_))));
    check_keys(&server, client.key_prefix().as_str()).await;
}

#[tokio::test]
async fn n_se_12_a_field_of_a_later_version_breaks_nothing_and_stays() {
    let server = server().await;
    let client = client(server.url()).await;
    let sessions = sessions(client.clone(), SessionOptions::default());
    let (cookie, session) = login(&sessions, NewSession::new("d").user("alice")).await;
    let mut connection = server.connection().await;
    // Names before, between and after those that there are.
    for field in ["0", "e", "z"] {
        let mut set = redis::cmd("HSET");
        set.arg(session_key(&client, &session))
            .arg(field)
            .arg("later");
        set.exec_async(&mut connection).await.unwrap();
    }
    let found = sessions.load(&cookie).await.expect("an answer");
    assert_eq!(found, Found::Live(session.clone()));
    let saved = sessions.save(&session, "e").await.expect("an answer");
    assert_eq!(saved, Saved::Saved { version: 2 });
    let Found::Live(session) = sessions.load(&cookie).await.expect("an answer") else {
        panic!("it is gone");
    };
    let made = sessions.regenerate(&session, Reason::Rotation, None).await;
    let Ok(Regenerated::Regenerated { session, .. }) = made else {
        panic!("{made:?}");
    };
    assert_eq!((&session.data[..], session.version), (&b"e"[..], 3));
    let mut get = redis::cmd("HMGET");
    get.arg(session_key(&client, &session))
        .arg(&["0", "e", "z"]);
    let later: Vec<String> = get.query_async(&mut connection).await.unwrap();
    assert_eq!(later, ["later"; 3]);
    let listed = sessions.list_for_user("alice").await.expect("an answer");
    assert_eq!(listed.len(), 1);
}

#[tokio::test]
async fn t_se_5_thousands_of_users_leave_nothing_behind() {
    const USERS: usize = 4_000;
    let server = server().await;
    let client = client(server.url()).await;
    let age = Duration::from_secs(2);
    let options = SessionOptions::default()
        .idle(age)
        .max_age(age)
        .regenerate_grace(Duration::from_secs(1));
    let sessions = sessions(client, options);
    let mut connection = server.connection().await;
    let count = async |connection: &mut redis::aio::MultiplexedConnection| -> usize {
        let size = redis::cmd("DBSIZE");
        size.query_async(connection).await.expect("a count")
    };
    let baseline = count(&mut connection).await;
    let mut tasks = tokio::task::JoinSet::new();
    for worker in 0..16 {
        let sessions = sessions.clone();
        tasks.spawn(async move {
            for number in (worker..USERS).step_by(16) {
                let user = format!("{number}@example.org");
                let new = NewSession::new("d").user(&user);
                let (_, session) = login(&sessions, new).await;
                // Whatever leaves keys of its own: revocations, ids that were replaced.
                match number % 16 {
                    0 => sessions.revoke_all(&user, None).await.expect("an answer"),
                    1 => drop(sessions.regenerate(&session, Reason::Rotation, None).await),
                    2 => drop(sessions.delete(&session).await.expect("an answer")),
                    _ => {}
                }
            }
        });
    }
    tasks.join_all().await;
    assert!(count(&mut connection).await > baseline);
    poll_until("keys are back to what there was", || {
        let mut connection = connection.clone();
        async move { (count(&mut connection).await == baseline).then_some(()) }
    })
    .await;
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
