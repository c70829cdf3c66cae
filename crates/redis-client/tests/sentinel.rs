//! A master that sentinels watch.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod common;

use std::time::Duration;

use common::{BUMP, GET, INCR, count, get, incr, key};
use redis_client::{
    Client, Config, ConfigBuilder, ErrorKind, Outcome, Role, Signal, Status, redis,
};
use redis_harness::{PATIENCE, Sentinel, poll_until, unique_prefix};

fn config(group: &Sentinel, test: &str) -> ConfigBuilder {
    let builder = Config::builder().sentinel_master(Sentinel::MASTER);
    let builder = builder.key_prefix(unique_prefix(test));
    group.urls().fold(builder, ConfigBuilder::address)
}

async fn connect(builder: ConfigBuilder) -> Client {
    Client::connect(builder.build().unwrap()).await.unwrap()
}

#[tokio::test]
async fn the_master_is_found_and_followed() {
    let mut group = Sentinel::start().await;
    let client = connect(
        config(&group, "follow")
            .ping_on_build(true)
            .retry_timeout(PATIENCE),
    )
    .await;
    let key = key(&client, "a", "n");
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        1
    );
    let report = client.health().await;
    assert_eq!(
        (report.status(), report.topology()),
        (Status::Up, "sentinel"),
        "{report:?}"
    );
    let facts = report.servers()[0].facts().unwrap();
    assert_eq!(
        (facts.role(), facts.replicas().len()),
        (Some(Role::Master), 1)
    );
    let mut exclusive = client.exclusive(&key).await.unwrap();
    let call = BUMP.call().key(&key).arg(1);
    let confirmed = exclusive
        .invoke_replicated::<i64>(&call, 1, PATIENCE / 2)
        .await
        .unwrap();
    assert_eq!((*confirmed.answer(), confirmed.replicas()), (2, 1));
    drop(exclusive);

    // One sentinel less is still enough, whichever was asked before.
    group.kill_sentinel(2);
    let before = group.master().await;
    let after = group.fail_over().await;
    assert_ne!(before, after);
    let mut applied = 2;
    while applied < 5 {
        match client.invoke::<i64>(&BUMP.call().key(&key).arg(1)).await {
            Ok(value) => applied = value,
            // Met by the end of the old connection; anything else would have been tried again.
            Err(error) => assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}"),
        }
    }
    assert_eq!(count(&group.servers()[after], &key).await, applied);
    let read = client.query::<i64>(GET, &key, &get(&key)).await.unwrap();
    assert_eq!(read, applied);
    let mut exclusive = client.exclusive(&key).await.unwrap();
    assert_eq!(
        exclusive.query::<i64>(INCR, &incr(&key)).await.unwrap(),
        applied + 1
    );
    client.close().await.unwrap();
}

#[tokio::test]
async fn a_master_that_dies_is_replaced() {
    let mut group = Sentinel::start().await;
    let builder = config(&group, "dies")
        .retry_timeout(PATIENCE)
        .read_timeout(PATIENCE);
    let client = connect(builder.dial_timeout(Duration::from_secs(1))).await;
    let key = key(&client, "a", "n");
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    let master = group.master().await;
    let other = 1 - master;
    poll_until("the replica to have it", async || {
        (count(&group.servers()[other], &key).await == 1).then_some(())
    })
    .await;
    group.server_mut(master).kill();
    let read = poll_until("the other server to take over", async || {
        client.query::<i64>(GET, &key, &get(&key)).await.ok()
    });
    assert_eq!(read.await, 1);
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        2
    );
    assert_eq!(count(&group.servers()[other], &key).await, 2);
}

async fn only(user: &str, password: &str, url: &str) {
    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for words in [
        &[
            "SETUSER",
            user,
            "on",
            &format!(">{password}"),
            "~*",
            "&*",
            "+@all",
        ][..],
        &["SETUSER", "default", "resetpass", ">nobody knows"],
    ] {
        let mut acl = redis::cmd("ACL");
        acl.arg(words).exec_async(&mut connection).await.unwrap();
    }
}

#[tokio::test]
async fn sentinels_and_servers_have_logins_of_their_own() {
    let group = Sentinel::start().await;
    for url in group.urls() {
        only("watcher", "at the tower", &url).await;
    }
    let master = group.servers()[0].url();
    only("app", "at the gate", master).await;
    let login = |builder: ConfigBuilder| {
        let builder = builder.username("app").sentinel_username("watcher");
        builder.retry_timeout(Duration::ZERO)
    };
    let right = login(config(&group, "logins"));
    let client = connect(
        right
            .password("at the gate")
            .sentinel_password("at the tower"),
    )
    .await;
    let key = key(&client, "a", "n");
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        1
    );
    for (server, sentinel) in [
        ("at the tower", "at the tower"),
        ("at the gate", "at the gate"),
    ] {
        let wrong = login(config(&group, "logins"));
        let client = connect(wrong.password(server).sentinel_password(sentinel)).await;
        let error = client.query::<i64>(INCR, &key, &incr(&key)).await;
        let error = error.unwrap_err();
        assert_eq!(error.signal(), Signal::LoginFailed, "{server}, {sentinel}");
        common::assert_hidden(&error, "at the");
    }
}

#[tokio::test]
async fn an_unknown_name_is_told() {
    let group = Sentinel::start().await;
    let builder = config(&group, "unknown").sentinel_master("other");
    let client = connect(builder.retry_timeout(Duration::ZERO)).await;
    let key = key(&client, "a", "n");
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.kind()),
        (Signal::MasterUnknown, ErrorKind::Unavailable)
    );
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(client.health().await.status(), Status::Down);
}
