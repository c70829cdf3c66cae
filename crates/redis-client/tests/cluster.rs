//! A cluster: routing, redirections, slots that move, nodes that fail.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod common;

use std::{collections::HashSet, time::Duration};

use common::{BUMP, GET, INCR, PEEK, count, get, incr, key};
use redis_client::{Client, Config, ConfigBuilder, Key, Operation, Outcome, Signal, Status, redis};
use redis_harness::{Cluster, PATIENCE, poll_until, unique_prefix};

fn config(cluster: &Cluster, seeds: usize, test: &str) -> ConfigBuilder {
    let builder = Config::builder().cluster().key_prefix(unique_prefix(test));
    cluster
        .urls()
        .take(seeds)
        .fold(builder, ConfigBuilder::address)
}

async fn connect(builder: ConfigBuilder) -> Client {
    Client::connect(builder.build().unwrap()).await.unwrap()
}

/// A key that a node serves.
async fn key_on(client: &Client, cluster: &Cluster, node: usize, part: &str) -> Key {
    for tag in 0..1_000 {
        let key = key(client, &tag.to_string(), part);
        if cluster.owner(key.slot()).await == node {
            return key;
        }
    }
    unreachable!("a thousand tags meet every third of the slots")
}

#[tokio::test]
async fn commands_scripts_and_health_over_all_slots() {
    let cluster = Cluster::start(3, 0).await;
    let client = connect(config(&cluster, 1, "slots").ping_on_build(true)).await;
    let tags: Vec<_> = (0..50).map(|tag| tag.to_string()).collect();
    for tag in &tags {
        let key = key(&client, tag, "n");
        assert_eq!(
            client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
            1
        );
        assert_eq!(
            client
                .invoke::<i64>(&BUMP.call().key(&key).arg(2))
                .await
                .unwrap(),
            3
        );
        assert_eq!(
            client
                .invoke::<Option<i64>>(&PEEK.call().key(&key))
                .await
                .unwrap(),
            Some(3)
        );
        let mut exclusive = client.exclusive(&key).await.unwrap();
        assert_eq!(exclusive.query::<i64>(GET, &get(&key)).await.unwrap(), 3);
    }
    let (a, b) = (key(&client, "1", "n"), key(&client, "2", "n"));
    let error = client
        .invoke::<i64>(&BUMP.call().key(&a).key(&b))
        .await
        .unwrap_err();
    assert_eq!(error.signal(), Signal::CrossSlot);
    let mut both = redis::cmd("MGET");
    both.arg(&a).arg(&b);
    let error = client.query::<Vec<i64>>(GET, &a, &both).await.unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::CrossSlot, Outcome::NotApplied)
    );
    let mut together = redis::cmd("MGET");
    together.arg(&a).arg(key(&client, "1", "m"));
    let values: (i64, Option<i64>) = client.query(GET, &a, &together).await.unwrap();
    assert_eq!(values, (3, None));
    let mut pipeline = redis::pipe();
    pipeline.add_command(get(&a)).add_command(get(&a));
    let read: (i64, i64) = pipeline
        .query_async(&mut client.connection(GET, &a))
        .await
        .unwrap();
    assert_eq!(read, (3, 3));

    let sizes = client
        .on_each_primary(GET, &redis::cmd("DBSIZE"))
        .await
        .unwrap();
    let places: HashSet<_> = sizes.iter().map(|(address, _)| address.clone()).collect();
    assert_eq!(places.len(), 3);
    let keys: i64 = sizes
        .into_iter()
        .map(|(_, size)| redis::from_redis_value::<i64>(size.unwrap()).unwrap())
        .sum();
    assert_eq!(keys, 50);

    let report = client.health().await;
    assert_eq!(
        (report.status(), report.topology()),
        (Status::Up, "cluster"),
        "{report:?}"
    );
    assert_eq!(report.servers().len(), 3);
    assert!(
        report
            .servers()
            .iter()
            .all(|server| server.facts().is_some())
    );

    for node in cluster.nodes() {
        let mut flush = redis::cmd("SCRIPT");
        flush
            .arg("FLUSH")
            .exec_async(&mut node.connection().await)
            .await
            .unwrap();
    }
    for tag in &tags {
        let key = key(&client, tag, "n");
        assert_eq!(
            client
                .invoke::<i64>(&BUMP.call().key(&key).arg(1))
                .await
                .unwrap(),
            4
        );
    }
    client.close().await.unwrap();
    let error = client.query::<i64>(INCR, &a, &incr(&a)).await.unwrap_err();
    assert_eq!(error.signal(), Signal::Closed);
}

#[tokio::test]
async fn a_slot_that_moves_is_followed() {
    let cluster = Cluster::start(3, 0).await;
    let client = connect(config(&cluster, 3, "moves").retry_timeout(PATIENCE)).await;
    let here = key_on(&client, &cluster, 0, "here").await;
    let tag = here.as_str().split(['{', '}']).nth(1).unwrap();
    let there = key(&client, tag, "there");
    for key in [&here, &there] {
        client.query::<i64>(INCR, key, &incr(key)).await.unwrap();
    }
    let slot = here.slot();
    let from = cluster.begin_move(slot, 1).await;
    assert_eq!(from, 0);
    cluster.move_key(there.as_str(), 0, 1).await;
    // One key is still here, the other is asked for at the target.
    for key in [&here, &there] {
        assert_eq!(client.query::<i64>(INCR, key, &incr(key)).await.unwrap(), 2);
    }
    // A script over both is told to come again, until the slot is in one place.
    let impatient = connect(config(&cluster, 1, "moves").retry_timeout(Duration::ZERO)).await;
    let torn = BUMP.call().key(&here).key(&there).arg(1);
    let error = impatient.invoke::<i64>(&torn).await.unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::TryAgain, Outcome::NotApplied)
    );
    let waiting = tokio::spawn({
        let (client, here, there) = (client.clone(), here.clone(), there.clone());
        async move {
            client
                .invoke::<i64>(&BUMP.call().key(&here).key(&there).arg(1))
                .await
        }
    });
    tokio::task::yield_now().await;
    cluster.move_key(here.as_str(), 0, 1).await;
    cluster.end_move(slot, 0, 1).await;
    assert_eq!(waiting.await.unwrap().unwrap(), 3);
    for (key, expected) in [(&here, 4), (&there, 3)] {
        assert_eq!(
            client.query::<i64>(INCR, key, &incr(key)).await.unwrap(),
            expected
        );
        assert_eq!(
            count(&cluster.nodes()[1], key).await,
            expected,
            "it is at the target now"
        );
    }
    // A stranger to the move finds it as well, and an exclusive connection after one redirection.
    assert_eq!(
        impatient
            .query::<i64>(GET, &here, &get(&here))
            .await
            .unwrap(),
        4
    );
    let mut exclusive = client.exclusive(&here).await.unwrap();
    assert_eq!(exclusive.query::<i64>(GET, &get(&here)).await.unwrap(), 4);
}

#[tokio::test]
async fn killed_connections_are_replaced() {
    let cluster = Cluster::start(3, 0).await;
    let client = connect(config(&cluster, 3, "killed")).await;
    let keys: Vec<_> = (0..12)
        .map(|tag| key(&client, &tag.to_string(), "n"))
        .collect();
    for round in 0..5 {
        for key in &keys {
            let value = client
                .query::<Option<i64>>(GET, key, &get(key))
                .await
                .unwrap();
            assert_eq!(value.unwrap_or_default(), round);
            // A write that met the end of a connection is unknown; the counter tells.
            if let Err(error) = client.query::<i64>(INCR, key, &incr(key)).await {
                assert_eq!(error.outcome(), Outcome::Unknown);
                let mut set = redis::cmd("SET");
                set.arg(key).arg(round + 1);
                client
                    .query::<()>(Operation::write("set"), key, &set)
                    .await
                    .unwrap();
            }
        }
        for node in cluster.nodes() {
            let mut kill = redis::cmd("CLIENT");
            kill.arg("KILL")
                .arg("TYPE")
                .arg("normal")
                .arg("SKIPME")
                .arg("yes");
            kill.exec_async(&mut node.connection().await).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_primary_that_dies_is_replaced_by_its_replica() {
    let mut cluster = Cluster::start(3, 1).await;
    let builder = config(&cluster, 6, "failover").retry_timeout(PATIENCE);
    let client = connect(builder.dial_timeout(Duration::from_secs(1))).await;
    let key = key_on(&client, &cluster, 0, "n").await;
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        1
    );
    let mut exclusive = client.exclusive(&key).await.unwrap();
    let call = BUMP.call().key(&key).arg(1);
    let confirmed = exclusive
        .invoke_replicated::<i64>(&call, 1, PATIENCE / 2)
        .await
        .unwrap();
    assert_eq!((*confirmed.answer(), confirmed.replicas()), (2, 1));
    drop(exclusive);
    cluster.node_mut(0).kill();
    let survived = poll_until("the replica to take over", async || {
        client.query::<i64>(GET, &key, &get(&key)).await.ok()
    });
    assert_eq!(survived.await, 2, "what a replica confirmed is there");
    let written = poll_until("a write to get through", async || {
        client.query::<i64>(INCR, &key, &incr(&key)).await.ok()
    });
    assert!(written.await >= 3);
    let mut exclusive = client.exclusive(&key).await.unwrap();
    assert!(exclusive.query::<i64>(GET, &get(&key)).await.unwrap() >= 3);
    let report = client.health().await;
    assert_ne!(report.status(), Status::Down);
}
