//! Connections that break at the worst moment.

mod common;

use std::time::Duration;

use common::{BUMP, GET, INCR, config, connect, count, get, incr, key};
use redis_client::{Client, ConfigBuilder, Outcome, Recycle, Retry, Signal, Status, redis};
use redis_harness::{Fault, FaultProxy, Persistence, Server, poll_until};

async fn setup(
    test: &str,
    tune: fn(ConfigBuilder) -> ConfigBuilder,
) -> (Server, FaultProxy, Client) {
    let server = Server::start(Persistence::None).await;
    let proxy = FaultProxy::start(server.port()).await;
    let client = connect(tune(config(&proxy.url(), test))).await;
    (server, proxy, client)
}

/// As it is: after two commands both shared connections are open, and a fault meets the command and
/// not a connection that is being made.
const fn as_it_is(builder: ConfigBuilder) -> ConfigBuilder {
    builder
}

#[tokio::test]
async fn cut_before_the_server_saw_it() {
    let (server, proxy, client) = setup("cut-before", as_it_is).await;
    let key = key(&client, "a", "n");
    for _ in 0..2 {
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    }
    proxy.once(Fault::CutBeforeForward);
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(error.signal(), Signal::ConnectionLost);
    assert_eq!(
        (error.retry(), error.outcome()),
        (Retry::SameOperation, Outcome::Unknown)
    );
    assert_eq!(proxy.cuts(), 1);
    assert_eq!(
        count(&server, &key).await,
        2,
        "unknown, and in fact not applied"
    );
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        3
    );
}

#[tokio::test]
async fn cut_after_the_server_answered() {
    let (server, proxy, client) = setup("cut-after", as_it_is).await;
    let key = key(&client, "a", "n");
    let bump = BUMP.call().key(&key).arg(1);
    for _ in 0..2 {
        client.invoke::<i64>(&bump).await.unwrap();
    }
    proxy.once(Fault::CutBeforeReply);
    let error = client.invoke::<i64>(&bump).await.unwrap_err();
    assert_eq!(error.signal(), Signal::ConnectionLost);
    assert_eq!(
        (error.retry(), error.outcome()),
        (Retry::SameOperation, Outcome::Unknown)
    );
    assert_eq!(
        count(&server, &key).await,
        3,
        "unknown, and in fact applied once"
    );
}

#[tokio::test]
async fn a_read_gets_over_a_cut() {
    let (_server, proxy, client) = setup("read-cut", as_it_is).await;
    let key = key(&client, "a", "n");
    for _ in 0..2 {
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    }
    for fault in [Fault::CutBeforeForward, Fault::CutBeforeReply] {
        let before = proxy.cuts();
        proxy.once(fault);
        assert_eq!(client.query::<i64>(GET, &key, &get(&key)).await.unwrap(), 2);
        assert_eq!(proxy.cuts(), before + 1);
    }
}

#[tokio::test]
async fn a_black_hole_is_left_after_some_timeouts() {
    let brief = Duration::from_millis(150);
    let (server, proxy, client) = setup("black-hole", |builder| {
        let brief = Duration::from_millis(150);
        let builder = builder
            .read_timeout(brief)
            .write_timeout(brief)
            .dial_timeout(brief);
        builder.shared_connections(1).retry_timeout(Duration::ZERO)
    })
    .await;
    let key = key(&client, "a", "n");
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    proxy.set(Fault::BlackHole);
    for _ in 0..3 {
        let error = client
            .query::<i64>(INCR, &key, &incr(&key))
            .await
            .unwrap_err();
        assert_eq!(
            (error.signal(), error.outcome()),
            (Signal::ResponseTimeout, Outcome::Unknown)
        );
    }
    // The connection is given up; a new one cannot log in, so nothing is sent any more.
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::ConnectTimeout, Outcome::NotApplied)
    );
    let report = tokio::time::timeout(brief * 1_000, client.health())
        .await
        .unwrap();
    assert_eq!(report.status(), Status::Down);
    proxy.set(Fault::None);
    let value = poll_until("the client to go on", async || {
        client.query::<i64>(INCR, &key, &incr(&key)).await.ok()
    })
    .await;
    assert_eq!(count(&server, &key).await, value);
}

#[tokio::test]
async fn n_he_3_health_has_a_deadline_of_its_own() {
    let (_server, proxy, client) = setup("health-deadline", |builder| {
        let long = Duration::from_secs(600);
        let builder = builder
            .read_timeout(long)
            .dial_timeout(long)
            .pool_wait_timeout(long);
        builder.health_timeout(Duration::from_millis(50))
    })
    .await;
    proxy.set(Fault::BlackHole);
    let report = tokio::time::timeout(redis_harness::PATIENCE, client.health())
        .await
        .unwrap();
    assert_eq!(report.status(), Status::Down);
    assert_eq!(report.warnings()[0].cause(), Some("redis.response_timeout"));
}

#[tokio::test]
async fn read_and_write_timeouts_are_two() {
    let (_server, proxy, client) = setup("two-timeouts", |builder| {
        builder
            .read_timeout(redis_harness::PATIENCE)
            .write_timeout(Duration::from_millis(10))
    })
    .await;
    let key = key(&client, "a", "n");
    for _ in 0..2 {
        client
            .query::<Option<i64>>(GET, &key, &get(&key))
            .await
            .unwrap();
    }
    proxy.set(Fault::Delay(Duration::from_millis(200)));
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(error.signal(), Signal::ResponseTimeout);
    client
        .query::<Option<i64>>(GET, &key, &get(&key))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_server_that_refuses_is_tried_again_for_the_retry_timeout() {
    let (_server, proxy, client) = setup("refuse", |builder| {
        builder.retry_timeout(redis_harness::PATIENCE)
    })
    .await;
    let key = key(&client, "a", "n");
    proxy.set(Fault::Refuse);
    let waiting = tokio::spawn({
        let (client, key) = (client.clone(), key.clone());
        async move { client.query::<i64>(INCR, &key, &incr(&key)).await }
    });
    tokio::task::yield_now().await;
    proxy.set(Fault::None);
    assert_eq!(waiting.await.unwrap().unwrap(), 1);
}

#[tokio::test]
async fn recycling_decides_who_meets_a_dead_connection() {
    let brief = Duration::from_millis(1);
    for (recycle, survives) in [
        (Recycle::Always, true),
        (Recycle::AfterIdle(brief), true),
        (Recycle::AfterIdle(Duration::from_secs(86_400)), false),
        (Recycle::Never, false),
    ] {
        let server = Server::start(Persistence::None).await;
        // RESP2, where nothing tells of a connection that ended.
        let builder = config(server.url(), "recycle").protocol(redis_client::Protocol::Resp2);
        let client = connect(builder.recycle(recycle)).await;
        let key = key(&client, "a", "n");
        drop(client.exclusive(&key).await.unwrap());
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        kill.exec_async(&mut server.connection().await)
            .await
            .unwrap();
        let returned = tokio::time::Instant::now();
        poll_until("the connection to be idle", async || {
            (returned.elapsed() > brief).then_some(())
        })
        .await;
        let mut connection = client.exclusive(&key).await.unwrap();
        let result = connection.query::<Option<i64>>(GET, &get(&key)).await;
        assert_eq!(result.is_ok(), survives, "{recycle:?}: {result:?}");
    }
}
