//! Sessions of the crate `tower-sessions` on a server.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{sync::Arc, time::Duration};

use redis_client::{Client, Config};
use redis_harness::{Options, Persistence, Server, unique_prefix};
use state_core::{
    Namespace,
    session::{SessionKeys, SessionOptions},
};
use state_redis::session::RedisSessions;
use state_tower::TowerSessionsStore;
use tower_sessions_core::{
    Session, SessionStore,
    session::{Id, Record},
    session_store::Error,
};

async fn server() -> Server {
    Server::start_with(Options::default().persistence(Persistence::None)).await
}

async fn store(server: &Server, prefix: &str) -> TowerSessionsStore {
    let long = Duration::from_secs(10);
    let config = Config::builder()
        .address(server.url())
        .key_prefix(prefix)
        .read_timeout(long)
        .write_timeout(long)
        .retry_timeout(Duration::from_millis(200));
    let client = Client::connect(config.build().unwrap()).await.unwrap();
    let namespace = Namespace::new("web").unwrap();
    let sessions = RedisSessions::new(client, &namespace, SessionOptions::default()).unwrap();
    let keys = SessionKeys::new(b"a secret of 32 bytes, or of more").unwrap();
    TowerSessionsStore::new(Arc::new(sessions), keys)
}

fn session(store: &TowerSessionsStore, id: Option<Id>) -> Session {
    Session::new(id, Arc::new(store.clone()), None)
}

async fn begun(store: &TowerSessionsStore) -> Id {
    let session = session(store, None);
    session.insert("name", "alice").await.unwrap();
    session.save().await.unwrap();
    session.id().unwrap()
}

async fn record(store: &TowerSessionsStore, id: Id) -> Record {
    store.load(&id).await.unwrap().unwrap()
}

#[tokio::test]
async fn values_are_kept_from_instance_to_instance() {
    let (server, prefix) = (server().await, unique_prefix("tower"));
    let one = store(&server, &prefix).await;
    let other = store(&server, &prefix).await;
    let id = begun(&one).await;
    let there = session(&other, Some(id));
    assert_eq!(there.get("name").await.unwrap(), Some("alice".to_owned()));
    there.insert("visits", 2).await.unwrap();
    there.save().await.unwrap();
    assert_eq!(there.id(), Some(id));
    assert_eq!(record(&one, id).await.data["visits"], 2);
    // The last one to save holds, with everything.
    let (mut first, mut last) = (record(&one, id).await, record(&other, id).await);
    first.data.insert("first".to_owned(), 1.into());
    last.data.insert("last".to_owned(), 2.into());
    one.save(&first).await.unwrap();
    other.save(&last).await.unwrap();
    assert_eq!(record(&one, id).await.data, last.data);
}

#[tokio::test]
async fn n_se_1_ids_that_were_sent_are_not_taken_over() {
    let (server, prefix) = (server().await, unique_prefix("tower"));
    let store = store(&server, &prefix).await;
    let chosen = Id(4_711);
    let session = session(&store, Some(chosen));
    session.insert("name", "mallory").await.unwrap();
    session.save().await.unwrap();
    assert_ne!(session.id(), Some(chosen));
    assert_eq!(store.load(&chosen).await.unwrap(), None);
    let id = begun(&store).await;
    let mut record = record(&store, id).await;
    store.create(&mut record).await.unwrap();
    assert_ne!(record.id, id);
}

#[tokio::test]
async fn n_se_3_what_was_ended_is_not_brought_back() {
    let (server, prefix) = (server().await, unique_prefix("tower"));
    let one = store(&server, &prefix).await;
    let other = store(&server, &prefix).await;
    let id = begun(&one).await;
    let late = record(&other, id).await;
    session(&one, Some(id)).flush().await.unwrap();
    assert_eq!(other.load(&id).await.unwrap(), None);
    let saved = other.save(&late).await;
    assert!(matches!(saved, Err(Error::Backend(_))), "{saved:?}");
    assert_eq!(other.load(&id).await.unwrap(), None);
    // A new id opens, and the one of before does not.
    let old = begun(&one).await;
    let cycled = session(&one, Some(old));
    cycled.cycle_id().await.unwrap();
    cycled.save().await.unwrap();
    assert_eq!(other.load(&old).await.unwrap(), None);
    assert_eq!(
        record(&other, cycled.id().unwrap()).await.data["name"],
        "alice"
    );
}

#[tokio::test]
async fn server_that_is_away_is_an_error() {
    let (mut server, prefix) = (server().await, unique_prefix("tower"));
    let store = store(&server, &prefix).await;
    let id = begun(&store).await;
    let mut kept = record(&store, id).await;
    server.kill();
    assert!(matches!(store.load(&id).await, Err(Error::Backend(_))));
    assert!(matches!(store.save(&kept).await, Err(Error::Backend(_))));
    assert!(matches!(
        store.create(&mut kept).await,
        Err(Error::Backend(_))
    ));
    assert!(matches!(store.delete(&id).await, Err(Error::Backend(_))));
}
