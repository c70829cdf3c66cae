//! The tier that waits for replicas.

mod support;

use std::{sync::Arc, time::Duration};

use governance_core::{Creation, RequestStore, Retry, StoreErrorKind, Timestamp, WriteCertainty};
use governance_redis::{Durability, Strictness};
use governance_testkit::fixtures::{RequestBuilder, SeededIds};
use redis_client::redis;
use redis_harness::{Persistence, poll_until};

use crate::support::{open, options, server};

#[tokio::test]
async fn a_write_is_confirmed_by_replicas_or_its_outcome_is_unknown() {
    let primary = server(Persistence::None).await;
    let replica = server(Persistence::None).await;
    let mut admin = replica.connection().await;
    let mut follow = redis::cmd("REPLICAOF");
    follow
        .arg("127.0.0.1")
        .arg(primary.port())
        .exec_async(&mut admin)
        .await
        .unwrap();
    // A replica may be called online before it confirms anything.
    let told = primary.connection().await;
    poll_until("the replica to confirm a write", async || {
        let mut both = redis::pipe();
        both.cmd("SET").arg("unrelated").arg(1).ignore();
        both.cmd("WAIT").arg(1).arg(100);
        let confirmed: [u32; 1] = both.query_async(&mut told.clone()).await.ok()?;
        (confirmed == [1]).then_some(())
    })
    .await;
    let tier = |replicas, strictness| {
        let wait = Duration::from_millis(500);
        options().durability(Durability::Replicated { replicas, wait }, strictness)
    };
    let ids = SeededIds::new(1);
    let now = Timestamp::from_micros(1_900_000_000_000_000);
    let request = RequestBuilder::new(&ids, now).build();
    let store = open(primary.url(), &tier(1, Strictness::Refuse)).await;
    let created = store.create(Arc::clone(&request)).await;
    assert!(matches!(created, Ok(Creation::Created)), "{created:?}");
    assert!(matches!(
        store.create(request).await,
        Ok(Creation::Existing(_))
    ));

    let store = open(primary.url(), &tier(2, Strictness::Warn)).await;
    assert_eq!(store.warnings()[0].code(), "durability.replicas");
    let request = RequestBuilder::new(&ids, now).build();
    // It is done, but nobody can promise that it stays, however often it is repeated.
    for _ in 0..2 {
        let error = store.create(Arc::clone(&request)).await.unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Timeout);
        assert_eq!(
            (error.outcome(), error.retry()),
            (WriteCertainty::Unknown, Retry::SameOperation)
        );
        assert!(error.to_string().contains("1 of 2 replicas"), "{error}");
    }
    assert_eq!(store.get(request.id()).await.unwrap(), Some(request));
}
