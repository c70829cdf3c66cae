//! Where building a client stops, and what is said about it.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod common;

use std::time::Duration;

use common::{GET, config, connect, get, key};
use redis_client::{
    Client, Config, ConfigBuilder, ErrorKind, Outcome, Retry, Signal, Stage, Status, redis,
};
use redis_harness::{Fault, FaultProxy, Options, Persistence, Server, unique_prefix};

#[tokio::test]
async fn t_cl_1_the_stage_of_every_failure_is_typed() {
    for (name, code) in [
        (" ", "instance.blank"),
        ("a b", "instance.character"),
        ("pool", "instance.reserved"),
        ("nobody_sets_this", "config.missing"),
    ] {
        let error = Client::from_env_named(name).await.unwrap_err();
        assert_eq!((error.stage(), error.code()), (Stage::Config, code));
        assert!(error.config_error().is_some() && error.client_error().is_none());
    }
    let server = Server::start_with(Options::default().password("correct-horse")).await;
    let mut user = redis::cmd("ACL");
    user.arg(&["SETUSER", "mute", "on", ">pw", "~*", "+@all", "-ping"]);
    user.exec_async(&mut server.connection().await)
        .await
        .unwrap();
    let mut gone = Server::start(Persistence::None).await;
    gone.kill();
    let hole = FaultProxy::start(server.port()).await;
    hole.set(Fault::BlackHole);
    let address = format!("127.0.0.1:{}", server.port());
    let with_password = || config(&address, "stages").password("correct-horse");
    let brief = Duration::from_millis(50);
    for (builder, signal, kind, retry) in [
        (
            config(gone.url(), "stages"),
            Signal::ConnectFailed,
            ErrorKind::Unavailable,
            Retry::Safe,
        ),
        (
            config(&format!("127.0.0.1:{}", hole.port()), "stages").dial_timeout(brief),
            Signal::ConnectTimeout,
            ErrorKind::Timeout,
            Retry::Safe,
        ),
        (
            config(&address, "stages").password("wrong"),
            Signal::LoginFailed,
            ErrorKind::Denied,
            Retry::Never,
        ),
        (
            config(&address, "stages").username("mute").password("pw"),
            Signal::NotPermitted,
            ErrorKind::Denied,
            Retry::Never,
        ),
        (
            with_password().database(9_999),
            Signal::DatabaseUnknown,
            ErrorKind::InvalidInput,
            Retry::Never,
        ),
        (
            with_password().cluster(),
            Signal::NotACluster,
            ErrorKind::InvalidInput,
            Retry::Never,
        ),
    ] {
        let builder = builder.ping_on_build(true).retry_timeout(Duration::ZERO);
        let error = Client::connect(builder.build().unwrap()).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Ping, "{error}");
        assert_eq!(error.token(), "redis.client");
        let cause = error.client_error().unwrap();
        assert_eq!(
            (cause.signal(), cause.kind(), cause.retry(), cause.outcome()),
            (signal, kind, retry, Outcome::NotApplied)
        );
    }
}

/// A client that may try for as long as it likes, and must not.
async fn refused_at_once(builder: ConfigBuilder, signal: Signal, help: &str) {
    let client = connect(builder.retry_timeout(Duration::from_secs(86_400))).await;
    let key = key(&client, "a", "n");
    for _ in 0..2 {
        let command = get(&key);
        let read = client.query::<Option<i64>>(GET, &key, &command);
        let error = tokio::time::timeout(redis_harness::PATIENCE, read)
            .await
            .unwrap()
            .unwrap_err();
        assert_eq!((error.signal(), error.retry()), (signal, Retry::Never));
        assert!(error.to_string().contains(help), "{error}");
    }
    let report = client.health().await;
    assert_eq!(report.status(), Status::Down);
    assert_eq!(report.warnings()[0].cause(), Some(signal.code()));
}

#[tokio::test]
async fn a_database_that_is_not_there_is_told_and_not_tried_again() {
    let server = Server::start_with(Options::default().setting("databases", "4")).await;
    let fits = connect(config(server.url(), "database").database(3)).await;
    fits.ping(redis_harness::PATIENCE).await.unwrap();
    let help = "set a lower one";
    for protocol in [redis_client::Protocol::Resp3, redis_client::Protocol::Resp2] {
        let builder = config(server.url(), "database").protocol(protocol);
        refused_at_once(builder.database(4), Signal::DatabaseUnknown, help).await;
    }
}

#[tokio::test]
async fn a_cluster_has_one_database() {
    let cluster = redis_harness::Cluster::start(1, 0).await;
    let node = cluster.nodes()[0].url();
    let builder = config(node, "one-database").database(1);
    refused_at_once(builder, Signal::DatabaseUnknown, "0 for a cluster").await;
}

#[tokio::test]
async fn a_server_that_is_no_cluster_is_told_and_not_tried_again() {
    let server = Server::start(Persistence::None).await;
    let builder = Config::builder()
        .cluster()
        .address(server.url())
        .key_prefix(unique_prefix("no-cluster"));
    refused_at_once(builder, Signal::NotACluster, "switch cluster mode off").await;
}

#[tokio::test(start_paused = true)]
async fn closing_takes_as_long_as_it_may() {
    for limit in [20, 60_000] {
        let limit = Duration::from_millis(limit);
        let client = connect(config("127.0.0.1:1", "closing").close_timeout(limit)).await;
        client.on_close("stuck", std::future::pending).unwrap();
        let asked = tokio::time::Instant::now();
        let error = client.close().await.unwrap_err();
        assert_eq!(error.errors()[0].code(), "close.step_timeout");
        let took = asked.elapsed();
        assert!((limit..limit * 2).contains(&took), "{took:?}");
    }
}

#[tokio::test]
async fn a_server_that_is_no_sentinel_is_told_and_not_tried_again() {
    let server = Server::start(Persistence::None).await;
    let builder = config(server.url(), "no-sentinel").sentinel_master("main");
    refused_at_once(
        builder,
        Signal::NotASentinel,
        "leave the name of the master out",
    )
    .await;
}
