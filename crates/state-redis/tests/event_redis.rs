//! What events do on a server in particular.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis_client::{Client, Config, redis};
use redis_harness::{
    Fault, FaultProxy, Monitor, Options, PATIENCE, Persistence, Server, poll_until,
};
use state_core::{
    Namespace,
    event::{
        Event, EventOptions, EventStore as _, Events, GapReason, Signal, State, SubscribeOptions,
        Subscription,
    },
};
use state_redis::event::RedisEventStore;
use state_testkit::{RecordingObserver, event::Recorder};

use crate::support::{client, client_with_prefix, server};

fn topic() -> Namespace {
    Namespace::new("news").unwrap()
}

fn event(kind: &str) -> Event {
    Event::new(kind, Bytes::new()).unwrap()
}

fn events(client: &Client, interval: Duration) -> (Events, RecordingObserver) {
    let told = RecordingObserver::new();
    let events = Events::builder(Arc::new(RedisEventStore::new(client.clone())))
        .options(EventOptions::default().poll_interval(interval))
        .observer(Arc::new(told.clone()));
    (events.build().unwrap(), told)
}

async fn listening(events: &Events) -> (Recorder, Subscription) {
    let recorder = Recorder::default();
    let handler = Arc::new(recorder.clone());
    let subscription = events.subscribe(&topic(), SubscribeOptions::default(), handler);
    tokio::time::timeout(PATIENCE, recorder.until_resumed(1))
        .await
        .expect("it listens");
    (recorder, subscription)
}

async fn waiting_clients(server: &Server) -> Vec<String> {
    let mut connection = server.connection().await;
    let mut list = redis::cmd("CLIENT");
    let list: String = list.arg("LIST").query_async(&mut connection).await.unwrap();
    list.lines()
        .filter(|line| line.contains("cmd=xread"))
        .map(str::to_owned)
        .collect()
}

const INTERVAL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn n_eb_7_waiting_is_longer_than_the_timeout_of_commands() {
    let server = server().await;
    let config = Config::builder()
        .address(server.url())
        .read_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let client = Client::connect(config).await.unwrap();
    let (events, _) = events(&client, INTERVAL);
    let (_, subscription) = listening(&events).await;
    // A wait of a second ends by itself, twenty times as long as other commands may take, and
    // the next begins on the same connection: one that had been cut off would be given up, and
    // none would grow older than the timeout. Other commands may well be late on a busy machine.
    poll_until("one connection has waited twice over", async || {
        let waiting = waiting_clients(&server).await;
        waiting.iter().any(|client| age(client) >= 3).then_some(())
    })
    .await;
    assert!(subscription.is_live());
}

/// Seconds since the connection was made.
fn age(client: &str) -> u64 {
    let mut fields = client.split(' ');
    let age = fields.find_map(|field| field.strip_prefix("age="));
    age.expect("an age").parse().unwrap()
}

#[tokio::test]
async fn n_eb_4_closing_gives_the_connection_up() {
    let server = server().await;
    let (events, _) = events(&client(server.url()).await, INTERVAL);
    let (_, subscription) = listening(&events).await;
    poll_until("it waits", async || {
        (waiting_clients(&server).await.len() == 1).then_some(())
    })
    .await;
    subscription.close().await;
    // The server hears of it a moment later.
    poll_until("it is gone", async || {
        (waiting_clients(&server).await.is_empty()).then_some(())
    })
    .await;
    let (_, subscription) = listening(&events).await;
    poll_until("it waits", async || {
        (waiting_clients(&server).await.len() == 1).then_some(())
    })
    .await;
    drop(subscription);
    poll_until("it is gone", async || {
        (waiting_clients(&server).await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn closing_the_client_ends_subscriptions() {
    let server = server().await;
    let client = client(server.url()).await;
    let (events, _) = events(&client, Duration::from_secs(600));
    let (_, subscription) = listening(&events).await;
    client.close().await.unwrap();
    let closed = async || (subscription.state() == State::Closed).then_some(());
    poll_until("it ends", closed).await;
    assert!(!subscription.is_live());
}

#[tokio::test]
async fn t_eb_3_a_server_that_starts_empty_is_a_gap() {
    let mut server = server().await;
    let client = client(server.url()).await;
    let (events_far, _) = events(&client, INTERVAL);
    let (near, _) = events(&client, INTERVAL);
    let (recorder, subscription) = listening(&near).await;
    events_far
        .publish(&topic(), &event("before"))
        .await
        .unwrap();
    recorder.until_event("before").await;
    server.restart().await;
    recorder.until_resumed(2).await;
    poll_until("it is live", async || subscription.is_live().then_some(())).await;
    events_far.publish(&topic(), &event("after")).await.unwrap();
    recorder.until_event("after").await;
    let words = recorder.words();
    assert_eq!(words[..2], ["resumed", "before"]);
    assert!(words[2].starts_with("gap:"), "{words:?}");
    assert_eq!(words[3..5], ["resumed", "after"], "{words:?}");
}

#[tokio::test]
async fn t_eb_3_another_server_with_the_same_log_is_a_gap() {
    let options = Options::default()
        .persistence(Persistence::None)
        .setting("enable-debug-command", "yes");
    let server = Server::start_with(options).await;
    let client = client(server.url()).await;
    let (near, _) = events(&client, Duration::from_millis(200));
    let (recorder, _subscription) = listening(&near).await;
    events(&client, INTERVAL)
        .0
        .publish(&topic(), &event("before"))
        .await
        .unwrap();
    recorder.until_event("before").await;
    let mut connection = server.connection().await;
    let mut change = redis::cmd("DEBUG");
    change
        .arg("CHANGE-REPL-ID")
        .exec_async(&mut connection)
        .await
        .unwrap();
    // Within one interval, without anything being published.
    recorder.until_gap(GapReason::Replaced).await;
    assert_eq!(
        recorder.told().last(),
        Some(&Signal::Gap(GapReason::Replaced))
    );
}

#[tokio::test]
async fn who_may_not_ask_for_information_reads_all_the_same() {
    let server = server().await;
    let mut connection = server.connection().await;
    let mut acl = redis::cmd("ACL");
    acl.arg(&[
        "SETUSER", "reader", "on", ">secret", "~*", "&*", "+@all", "-info",
    ]);
    acl.exec_async(&mut connection).await.unwrap();
    let config = support::patient(Config::builder().address(server.url()))
        .username("reader")
        .password("secret")
        .build()
        .unwrap();
    let client = Client::connect(config).await.unwrap();
    let (near, _) = events(&client, INTERVAL);
    let (recorder, _subscription) = listening(&near).await;
    events(&client, INTERVAL)
        .0
        .publish(&topic(), &event("news"))
        .await
        .unwrap();
    recorder.until_event("news").await;
    let batch = RedisEventStore::new(client)
        .read(&topic(), None, 1)
        .await
        .unwrap();
    assert_eq!(batch.incarnation, 0);
}

#[tokio::test]
async fn an_event_whose_answer_was_lost_is_told_once() {
    let server = server().await;
    let proxy = FaultProxy::start(server.port()).await;
    let far = client(server.url()).await;
    let near = client_with_prefix(&proxy.url(), far.key_prefix().as_str()).await;
    let (publisher, told) = events(&near, INTERVAL);
    let (reader, _) = events(&far, INTERVAL);
    let (recorder, _subscription) = listening(&reader).await;
    publisher.publish(&topic(), &event("first")).await.unwrap();
    let _ = told.take();
    proxy.once(Fault::CutBeforeReply);
    let again = publisher.publish(&topic(), &event("again")).await.unwrap();
    assert_eq!(again.seq(), 2);
    let told: Vec<_> = told
        .take()
        .into_iter()
        .map(|(_, operation, _)| operation)
        .collect();
    assert_eq!(told, ["publish_again", "publish"]);
    publisher.publish(&topic(), &event("last")).await.unwrap();
    recorder.until_event("last").await;
    assert_eq!(recorder.words(), ["resumed", "first", "again", "last"]);
    let batch = RedisEventStore::new(far)
        .read(&topic(), None, 1)
        .await
        .unwrap();
    assert!(batch.head > again.id());
}

#[tokio::test]
async fn scripts_touch_what_they_declare_and_the_log_ends() {
    let server = server().await;
    let client = client_with_prefix(server.url(), "app").await;
    let monitor = Monitor::start(&server).await;
    let (publisher, reader) = (events(&client, INTERVAL).0, events(&client, INTERVAL).0);
    let (recorder, subscription) = listening(&reader).await;
    let flush = async || {
        let mut connection = server.connection().await;
        let mut command = redis::cmd("SCRIPT");
        command
            .arg("FLUSH")
            .exec_async(&mut connection)
            .await
            .unwrap();
    };
    for kind in ["a", "b", "c"] {
        flush().await;
        publisher.publish(&topic(), &event(kind)).await.unwrap();
    }
    recorder.until_event("c").await;
    subscription.close().await;
    let recording = monitor.finish(&server).await;
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 5, "{} calls", seen.calls);
    for command in ["XADD", "PEXPIRE", "XINFO", "XRANGE"] {
        assert!(seen.commands.contains(command), "{command} was never sent");
    }
    let mut connection = server.connection().await;
    let found: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(found, ["app:bus:{news}:log"]);
    let left: u64 = redis::cmd("PTTL")
        .arg(&found[0])
        .query_async(&mut connection)
        .await
        .unwrap();
    assert!(left > 23 * 60 * 60 * 1_000, "{left} ms");
}

#[tokio::test]
async fn old_events_go() {
    let server = server().await;
    let client = client_with_prefix(server.url(), "app").await;
    let store = Arc::new(RedisEventStore::new(client));
    let publisher = Events::builder(store).options(EventOptions::default().max_len(10));
    let publisher = publisher.build().unwrap();
    for number in 0..500 {
        publisher
            .publish(&topic(), &event(&format!("e{number}")))
            .await
            .unwrap();
    }
    let mut connection = server.connection().await;
    let mut length = redis::cmd("XLEN");
    length.arg("app:bus:{news}:log");
    let length: u64 = length.query_async(&mut connection).await.unwrap();
    // A server removes whole nodes of a log, which have a hundred events.
    assert!((10..=210).contains(&length), "{length}");
}
