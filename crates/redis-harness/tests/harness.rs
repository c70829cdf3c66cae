//! The harness does what it says.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

use redis_harness::{Fault, FaultProxy, Persistence, Server, unique_prefix};

async fn set(server: &Server) {
    let mut command = redis::cmd("SET");
    command.arg("k").arg("v");
    command
        .exec_async(&mut server.connection().await)
        .await
        .unwrap();
}

async fn get(server: &Server) -> Option<String> {
    let mut command = redis::cmd("GET");
    command
        .arg("k")
        .query_async(&mut server.connection().await)
        .await
        .unwrap()
}

#[tokio::test]
async fn what_survives_a_crash_is_what_was_asked_for() {
    for (persistence, survives) in [
        (Persistence::None, false),
        (Persistence::Snapshots, false),
        (Persistence::AppendAlways, true),
    ] {
        let mut server = Server::start(persistence).await;
        set(&server).await;
        server.restart().await;
        assert_eq!(get(&server).await.is_some(), survives, "{persistence:?}");
    }
    let mut server = Server::start(Persistence::Snapshots).await;
    set(&server).await;
    redis::cmd("SAVE")
        .exec_async(&mut server.connection().await)
        .await
        .unwrap();
    server.restart().await;
    assert!(get(&server).await.is_some(), "a snapshot was taken");
    let server = Server::start(Persistence::AppendEverySecond).await;
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("appendfsync");
    let fsync: Vec<String> = command
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    assert_eq!(fsync[1], "everysec");
}

#[tokio::test]
async fn a_dropped_server_is_gone_with_its_directory() {
    let server = Server::start(Persistence::AppendAlways).await;
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg("dir");
    let dir: Vec<String> = command
        .query_async(&mut server.connection().await)
        .await
        .unwrap();
    let port = server.port();
    assert!(server.process_id().is_some() && std::path::Path::new(&dir[1]).exists());
    drop(server);
    assert!(!std::path::Path::new(&dir[1]).exists());
    assert!(
        tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_proxy_passes_cuts_and_refuses() {
    let server = Server::start(Persistence::None).await;
    let proxy = FaultProxy::start(server.port()).await;
    let open = async || {
        let client = redis::Client::open(proxy.url()).unwrap();
        client.get_multiplexed_async_connection().await
    };
    let incr = async |connection: &mut redis::aio::MultiplexedConnection| {
        let mut command = redis::cmd("INCR");
        command.arg("n").query_async::<i64>(connection).await
    };
    let mut connection = open().await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 1);
    proxy.once(Fault::CutBeforeForward);
    assert!(incr(&mut connection).await.is_err());
    let mut connection = open().await.unwrap();
    assert_eq!(
        incr(&mut connection).await.unwrap(),
        2,
        "the server saw nothing of it"
    );
    proxy.once(Fault::CutBeforeReply);
    assert!(incr(&mut connection).await.is_err());
    let mut connection = open().await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 4, "the server had it");
    proxy.once(Fault::CutInRequest(5));
    assert!(incr(&mut connection).await.is_err());
    let mut connection = open().await.unwrap();
    assert_eq!(
        incr(&mut connection).await.unwrap(),
        5,
        "five bytes are nothing"
    );
    proxy.once(Fault::CutInReply(2));
    assert!(incr(&mut connection).await.is_err());
    let mut connection = open().await.unwrap();
    assert_eq!(incr(&mut connection).await.unwrap(), 7, "the server had it");
    assert_eq!(proxy.cuts(), 4);
    proxy.set(Fault::Refuse);
    assert!(incr(&mut connection).await.is_err());
    assert!(open().await.is_err());
}

#[test]
fn prefixes_are_unique() {
    assert_ne!(unique_prefix("a"), unique_prefix("a"));
}
