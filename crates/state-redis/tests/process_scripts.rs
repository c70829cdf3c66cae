//! What the scripts of processes touch, and what they leave.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use redis_client::{Client, CommandEvent, Config, Observer};
use redis_harness::{Monitor, Server};
use state_core::{
    Namespace, OperationId,
    lock::Fence,
    process::{
        Change, Claimed, Expect, Listing, NewProcess, Payload, ProcessOptions, ProcessStore as _,
        Save, Saved, Status,
    },
};
use state_redis::process::RedisProcesses;

use crate::support::{check_keys, client, server};

fn operation(number: u8) -> OperationId {
    OperationId::from_bytes([number; 16])
}

fn store(client: Client) -> RedisProcesses {
    let namespace = Namespace::new("jobs").expect("a name");
    let store = RedisProcesses::new(client, &namespace, 2, ProcessOptions::default());
    store.expect("valid options")
}

/// Every script in most of its outcomes, with something left behind. Before each call the server
/// forgets its scripts if asked to.
async fn exercise(store: &RedisProcesses, forget: Option<&Server>) {
    let between = async || {
        if let Some(server) = forget {
            let mut connection = server.connection().await;
            let flush = redis_client::redis::cmd("SCRIPT").arg("FLUSH").to_owned();
            flush.exec_async(&mut connection).await.expect("flushed");
        }
    };
    for id in ["a", "b c:{d}", "e"] {
        let new = NewProcess::new(id, "upgrade").payload(Payload::new("raw", vec![0, 255]));
        for number in [1, 1, 2] {
            between().await;
            store
                .create(&new, operation(number))
                .await
                .expect("an answer");
        }
        between().await;
        let claimed = store
            .claim(id, "w", Duration::from_secs(9), operation(3))
            .await;
        let Claimed::Claimed(claim) = claimed.expect("an answer") else {
            panic!("not claimed");
        };
        for worker in ["w", "v"] {
            between().await;
            let claimed = store.claim(id, worker, claim.lease, operation(3)).await;
            claimed.expect("an answer");
        }
        between().await;
        store.heartbeat(&claim).await.expect("an answer");
        let change = Change::new()
            .status(Status::Running)
            .step("s")
            .error("e")
            .percent(3);
        for fence in [None, Some(Fence::new(1)), Some(claim.fence)] {
            between().await;
            let save = Save {
                change: &change,
                expect: Expect::Any,
                fence,
                allowed_from: &Status::LIVE,
                overrides_claim: false,
                operation: operation(4),
            };
            store.save(id, &save).await.expect("an answer");
        }
        between().await;
        store.release(&claim).await.expect("an answer");
        for listing in [
            Listing::Active,
            Listing::Unclaimed,
            Listing::Orphans,
            Listing::Ended,
        ] {
            between().await;
            store.list(listing, None).await.expect("a page");
        }
        between().await;
        let end = store.events_end().await.expect("a cursor");
        between().await;
        store
            .events(&end, 10, Duration::ZERO)
            .await
            .expect("events");
    }
    for (id, ends) in [("e", true), ("b c:{d}", false)] {
        between().await;
        if ends {
            let change = Change::new().status(Status::Cancelled);
            let save = Save {
                change: &change,
                expect: Expect::Any,
                fence: None,
                allowed_from: &Status::LIVE,
                overrides_claim: true,
                operation: operation(5),
            };
            store.save(id, &save).await.expect("an answer");
        } else {
            store.delete(id, Expect::Any).await.expect("an answer");
        }
    }
}

#[tokio::test]
async fn scripts_touch_what_they_declare() {
    let server = server().await;
    let store = store(client(server.url()).await);
    let monitor = Monitor::start(&server).await;
    exercise(&store, None).await;
    let recording = monitor.finish(&server).await;
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 60, "{} calls", seen.calls);
    for command in [
        "HSET", "HDEL", "DEL", "ZADD", "ZREM", "XADD", "PEXPIRE", "PERSIST", "XRANGE",
    ] {
        assert!(seen.commands.contains(command), "{command} was never sent");
    }
}

#[tokio::test]
async fn every_key_is_in_the_table() {
    let server = server().await;
    let client = client(server.url()).await;
    let store = store(client.clone());
    exercise(&store, None).await;
    let seen = check_keys(&server, client.key_prefix().as_str()).await;
    let missing: Vec<_> = state_redis::KEYS
        .iter()
        .flat_map(|rows| rows.iter())
        .filter(|row| row.owner == "process" && !seen.contains(row.pattern))
        .collect();
    assert!(missing.is_empty(), "never written: {missing:?}");
}

#[tokio::test]
async fn forgotten_scripts_change_nothing() {
    let server = server().await;
    let store = store(client(server.url()).await);
    exercise(&store, Some(&server)).await;
}

#[tokio::test]
async fn t_ps_6_calls_take_one_trip_and_pages_two() {
    let server = server().await;
    let store = store(client(server.url()).await);
    // The server knows the scripts afterwards, and all connections are there.
    exercise(&store, None).await;
    let monitor = Monitor::start(&server).await;
    let save = Save {
        change: &Change::new().percent(9),
        expect: Expect::Any,
        fence: None,
        allowed_from: &Status::LIVE,
        overrides_claim: false,
        operation: operation(9),
    };
    store.save("a", &save).await.expect("an answer");
    store.get("a").await.expect("an answer");
    let page = store.list(Listing::Active, None).await.expect("a page");
    let recording = monitor.finish(&server).await;
    let mut sent: Vec<_> = recording
        .commands()
        .iter()
        .filter(|command| !command.by_script)
        .map(|command| command.words[0].as_str())
        .collect();
    // A page is a range of each shard, then its headers at once.
    assert_eq!(page.items.len(), 1);
    sent.sort_unstable();
    assert_eq!(sent, ["EVALSHA", "HMGET", "HMGET", "ZRANGE", "ZRANGE"]);
}

/// However many processes a page has, it is a range and one pipeline.
#[tokio::test]
async fn n_ps_8_a_page_is_not_read_one_by_one() {
    let server = server().await;
    let commands = Arc::new(Commands::default());
    let observer: Arc<dyn Observer> = Arc::<Commands>::clone(&commands);
    let config = support::patient(Config::builder().address(server.url())).build();
    let config = config.expect("a configuration");
    let client = Client::connect_observed(config, observer).await;
    let namespace = Namespace::new("jobs").expect("a name");
    let options = ProcessOptions::default();
    let store = RedisProcesses::new(client.expect("a client"), &namespace, 1, options);
    let store = store.expect("valid options");
    let trips = || commands.0.swap(0, Ordering::Relaxed);
    for number in 0..100 {
        let new = NewProcess::new(format!("p{number}"), "k");
        store.create(&new, operation(1)).await.expect("an answer");
    }
    // From here on the server knows the script of a page.
    store.list(Listing::Unclaimed, None).await.expect("a page");
    trips();
    for listing in [Listing::Active, Listing::Unclaimed, Listing::ByKind("k")] {
        let page = store.list(listing, None).await.expect("a page");
        assert_eq!(page.items.len(), 100);
        assert_eq!(trips(), 2, "{listing:?}");
    }
}

#[derive(Debug, Default)]
struct Commands(AtomicU32);

impl Observer for Commands {
    fn command(&self, _: &CommandEvent<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The end and its lifetime are written by one script, so neither can be there without the other.
#[tokio::test]
async fn n_ps_14_lifetimes_are_written_with_what_they_are_of() {
    let server = server().await;
    let store = store(client(server.url()).await);
    exercise(&store, None).await;
    let monitor = Monitor::start(&server).await;
    let change = Change::new().status(Status::Completed);
    let save = Save {
        change: &change,
        expect: Expect::Any,
        fence: None,
        allowed_from: &Status::LIVE,
        overrides_claim: false,
        operation: operation(8),
    };
    let saved = store.save("a", &save).await.expect("an answer");
    assert!(matches!(saved, Saved::Saved { .. }), "{saved:?}");
    let recording = monitor.finish(&server).await;
    let sent = |by_script: bool| {
        let commands = recording.commands().iter();
        let commands = commands.filter(move |command| command.by_script == by_script);
        commands.map(|command| command.words[0].as_str())
    };
    assert_eq!(sent(false).collect::<Vec<_>>(), ["EVALSHA"]);
    assert!(sent(true).any(|command| command == "PEXPIRE"));
}

#[tokio::test]
async fn n_ps_7_a_bad_record_breaks_no_listing() {
    let server = server().await;
    let client = client(server.url()).await;
    let namespace = Namespace::new("jobs").expect("a name");
    let store = RedisProcesses::new(client.clone(), &namespace, 1, ProcessOptions::default());
    let store = store.expect("valid options");
    for id in ["good", "status", "number", "type", "gone"] {
        let new = NewProcess::new(id, "k");
        store.create(&new, operation(1)).await.expect("an answer");
    }
    let mut connection = server.connection().await;
    let key = |id: &str| {
        let key = client.key_prefix().key().part("proc").tag("jobs/0");
        key.part("doc").part(id).finish().expect("a key")
    };
    redis_client::redis::pipe()
        .hset(key("status").as_str(), "s", "?")
        .hset(key("number").as_str(), "v", "many")
        .del(key("type").as_str())
        .set(key("type").as_str(), "text")
        .del(key("gone").as_str())
        .exec_async(&mut connection)
        .await
        .expect("poisoned");
    for listing in [Listing::Active, Listing::Unclaimed, Listing::ByKind("k")] {
        let page = store.list(listing, None).await.expect("a page");
        assert_eq!(page.items.len(), 1);
        let mut undecodable = page.undecodable;
        undecodable.sort_unstable();
        assert_eq!(undecodable, ["gone", "number", "status", "type"]);
    }
    assert!(store.get("status").await.is_err());
    assert!(store.get("good").await.expect("an answer").is_some());
}
