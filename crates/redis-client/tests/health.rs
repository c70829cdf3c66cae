//! Health: what it asks, how often, and how long it may take.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod common;

use std::time::Duration;

use common::{assert_hidden, config, connect};
use redis_client::{Status, WarningKind, redis};
use redis_harness::{Fault, FaultProxy, Monitor, Options, Persistence, Server};
use tokio::time::Instant;

/// How often a server ran a command.
async fn calls(server: &Server, command: &str) -> usize {
    let mut stats = redis::cmd("INFO");
    stats.arg("commandstats");
    let stats: String = stats
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    let start = format!("cmdstat_{command}:calls=");
    stats
        .lines()
        .find_map(|line| line.strip_prefix(&start))
        .and_then(|rest| rest.split_once(','))
        .map_or(0, |(calls, _)| calls.parse().unwrap())
}

#[tokio::test]
async fn t_he_3_a_hundred_probes_are_one_ping() {
    let server = Server::start(Persistence::None).await;
    // Nothing is given out again for a while: what is shared is shared because it is asked at once.
    let client = connect(config(server.url(), "probes").health_cache_for(Duration::ZERO)).await;
    client.health().await;
    let before = calls(&server, "ping").await;
    let probes = futures_util::future::join_all((0..100).map(|_| client.health()));
    let reports = probes.await;
    assert_eq!(calls(&server, "ping").await, before + 1);
    assert!(reports.iter().all(|report| report.status() == Status::Up));
    client.health().await;
    assert_eq!(calls(&server, "ping").await, before + 2);
}

#[tokio::test(start_paused = true)]
async fn t_he_1_an_answer_comes_in_time_from_a_server_that_is_silent() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap().to_string();
    for timeout in [20, 1_000, 60_000] {
        let (timeout, long) = (Duration::from_millis(timeout), Duration::from_secs(600));
        let builder = config(&address, "silent")
            .dial_timeout(long)
            .read_timeout(long)
            .pool_wait_timeout(long)
            .retry_timeout(long)
            .health_timeout(timeout);
        let client = connect(builder).await;
        // Time goes on by itself here, and only as far as somebody waits for it.
        let asked = Instant::now();
        let report = client.health().await;
        assert!(asked.elapsed() <= timeout + Duration::from_millis(50));
        assert_eq!(report.status(), Status::Down);
        assert!(report.has(WarningKind::Unreachable));
    }
}

#[tokio::test]
async fn n_he_2_health_touches_no_key() {
    let server = Server::start(Persistence::None).await;
    let client = connect(config(server.url(), "no-keys")).await;
    let monitor = Monitor::start(&server).await;
    client.health().await;
    let recording = monitor.finish(&server).await;
    let asked: Vec<_> = recording
        .commands()
        .iter()
        .map(|command| command.words[0].to_uppercase())
        .collect();
    assert!(asked.iter().any(|word| word == "PING"), "{asked:?}");
    let harmless = ["HELLO", "CLIENT", "PING", "INFO", "CONFIG", "ECHO"];
    assert!(
        asked.iter().all(|word| harmless.contains(&&**word)),
        "{asked:?}"
    );
    let size: u64 = redis::cmd("DBSIZE")
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    assert_eq!(size, 0);
}

#[tokio::test]
async fn n_he_6_the_latency_is_measured() {
    let server = Server::start(Persistence::None).await;
    let proxy = FaultProxy::start(server.port()).await;
    let late = Duration::from_millis(30);
    let builder = config(&proxy.url(), "latency")
        .health_cache_for(Duration::ZERO)
        .read_timeout(redis_harness::PATIENCE)
        .health_timeout(redis_harness::PATIENCE)
        .health_slow(late);
    let client = connect(builder).await;
    let first = client.health().await.latency().unwrap();
    assert!(first > Duration::ZERO);
    proxy.set(Fault::Delay(late));
    let report = client.health().await;
    assert!(report.latency() >= Some(late), "{report:?}");
    assert!(report.has(WarningKind::Slow));
    assert_eq!(report.status(), Status::Degraded);
}

#[tokio::test]
async fn n_he_4_reports_hold_no_secret_and_no_text_of_the_driver() {
    const SECRET: &str = "correct-horse";
    let server = Server::start_with(Options::default().password("another")).await;
    let address = format!("127.0.0.1:{}", server.port());
    let builder = config(&address, "secrets").username("alice");
    let client = connect(builder.password(SECRET)).await;
    let report = client.health().await;
    let warnings: Vec<_> = report.warnings().iter().map(ToString::to_string).collect();
    let expected = format!("health.unreachable at {address} (redis.login_failed)");
    assert_eq!(warnings, [expected]);
    let shown = format!("{report:?} {client:?}");
    for text in [SECRET, "another", "alice", "WRONGPASS", "invalid username"] {
        assert!(!shown.contains(text), "{shown}");
    }
    let error = client.ping(redis_harness::PATIENCE).await.unwrap_err();
    assert_hidden(&error, SECRET);
}
