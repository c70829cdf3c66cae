//! Retention: what has been final for long goes with everything it is found by, and nothing else.

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use governance_core::{
    Act, Clock as _, IdSource as _, IdempotencyKey, Membership, MutationRequest, RequestStore as _,
    Status, Timestamp,
};
use governance_redis::{RedisStore, RedisStoreOptions, Retention};
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, approve, cancel, deny, fail, scope,
};
use redis_client::redis;
use redis_harness::Persistence;

use crate::support::{client, open, options, server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A request of some status that was last written so many days ago.
async fn one(
    store: &RedisStore,
    ids: &SeededIds,
    status: Status,
    days: u32,
    key: &str,
) -> Arc<MutationRequest> {
    let now = store.now().await.expect("the time");
    let age = i64::try_from((DAY * days).as_micros()).expect("an age");
    let at = Timestamp::from_micros(now.as_micros() - age - 1);
    let act = |who: &str| Act::new(&actor(who), at, ids.operation_id());
    let request = RequestBuilder::new(ids, at)
        .state("quota")
        .key(key)
        .expires_in(DAY * 4_000)
        .asks(["bob"])
        .build();
    store.create(Arc::clone(&request)).await.expect("created");
    let next = match status {
        Status::Canceled => cancel(&request, act("alice")),
        Status::Rejected => deny(&request, act("bob"), Membership::default()),
        Status::Approved | Status::Failed => approve(&request, act("bob"), Membership::default()),
        _ => return request,
    };
    store
        .try_store(Arc::clone(&next), request.revision())
        .await
        .expect("stored");
    if status != Status::Failed {
        return next;
    }
    let failed = fail(&next, act("deployer"));
    store
        .try_store(Arc::clone(&failed), next.revision())
        .await
        .expect("failed");
    failed
}

/// Purges with an option, in as many steps as it takes.
async fn walk(
    (url, options): (&str, &RedisStoreOptions),
    retention: &Retention,
    limit: u16,
    remove: bool,
) -> BTreeMap<Status, u64> {
    let store = open(url, &options.clone().retention(retention.clone())).await;
    let (mut found, mut after) = (BTreeMap::new(), None);
    loop {
        let report = if remove {
            store.purge_finished(after.as_ref(), limit).await
        } else {
            store.preview_purge(after.as_ref(), limit).await
        };
        let report = report.expect("an answer");
        assert!(report.purged() <= u64::from(limit));
        for (status, count) in report.by_status() {
            *found.entry(*status).or_default() += count;
        }
        after = report.next().cloned();
        if after.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn every_status_has_an_age_of_its_own_and_what_lives_stays() {
    let server = server(Persistence::None).await;
    for partitions in [1, 4] {
        // Few documents a page: what is too young lies before what is to go.
        let options = options().partitions(partitions).scan_limit(4);
        let store = open(server.url(), &options).await;
        let ids = SeededIds::new(1);
        let mut all = Vec::new();
        for round in 0..3 {
            for (status, days) in [
                (Status::Canceled, 5),
                (Status::Canceled, 40),
                (Status::Rejected, 40),
                (Status::Rejected, 500),
                (Status::Pending, 900),
                (Status::Approved, 900),
                (Status::Failed, 900),
            ] {
                for nth in 0..4 {
                    let key = format!("{status}-{days}-{round}-{nth}");
                    let request = one(&store, &ids, status, days, &key).await;
                    assert_eq!(request.status(), status);
                    all.push((status, days, key, request));
                }
            }
        }
        let retention = Retention::default()
            .keep(Status::Canceled, 30 * DAY)
            .keep(Status::Rejected, 400 * DAY);
        let expected = BTreeMap::from([(Status::Canceled, 12), (Status::Rejected, 12)]);
        assert_eq!(
            walk((server.url(), &options), &retention, 5, false).await,
            expected
        );
        assert_eq!(store.stats().await.unwrap().requests(), 84, "nothing went");
        assert_eq!(
            walk((server.url(), &options), &retention, 5, true).await,
            expected
        );
        assert_eq!(
            walk((server.url(), &options), &retention, 5, true).await,
            BTreeMap::new()
        );
        let report = store.verify().await.unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.requests(), 60);
        for (status, days, key, request) in &all {
            let gone = matches!(
                (status, days),
                (Status::Canceled, 40) | (Status::Rejected, 500)
            );
            let found = store.get(request.id()).await.unwrap();
            assert_eq!(found.is_none(), gone, "{key}");
            let key = IdempotencyKey::new(key).unwrap();
            let held = store.find_by_key(&scope("quota"), &key).await.unwrap();
            assert_eq!(held.is_none(), gone);
        }
        // Everything that is final, at once; what lives stays even then.
        let everything = Retention::keep_all(Duration::ZERO);
        let rest = BTreeMap::from([(Status::Canceled, 12), (Status::Rejected, 12)]);
        assert_eq!(
            walk((server.url(), &options), &everything, 1_000, true).await,
            rest
        );
        assert_eq!(store.stats().await.unwrap().requests(), 36);
        assert!(store.verify().await.unwrap().is_clean());
    }
}

#[tokio::test]
async fn what_is_under_way_cannot_be_named() {
    let server = server(Persistence::None).await;
    let options = options();
    for status in Status::ALL {
        let retention = Retention::default().keep(status, DAY);
        let options = options.clone().retention(retention);
        match RedisStore::connect(client(server.url()).await, options).await {
            Ok(store) => {
                assert!(status.is_terminal(), "{status}");
                assert!(store.purge_finished(None, 10).await.is_ok());
                assert!(store.purge_finished(None, 0).await.is_err());
            }
            Err(error) => {
                assert!(!status.is_terminal(), "{status}");
                assert_eq!(error.code(), "open.invalid_retention");
            }
        }
    }
    let store = open(server.url(), &options).await;
    let nothing = store.purge_finished(None, 10).await;
    assert!(nothing.unwrap_err().to_string().contains("no status"));
}

#[tokio::test]
async fn nothing_is_left_of_what_is_purged() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    let ids = SeededIds::new(1);
    for i in 0..20 {
        one(&store, &ids, Status::Canceled, 10, &format!("key-{i}")).await;
    }
    let all = Retention::keep_all(DAY);
    assert_eq!(
        walk((server.url(), &options), &all, 7, true).await[&Status::Canceled],
        20
    );
    let mut admin = server.connection().await;
    for kind in ["r", "b1", "z1", "q1", "x1", "k"] {
        let mut keys = redis::cmd("KEYS");
        keys.arg(format!("*:{kind}:*"));
        let keys: Vec<String> = keys.query_async(&mut admin).await.unwrap();
        for key in keys {
            // A bitmap of the chunk that is being filled stays, empty.
            assert_eq!(kind, "b1", "{key}");
            let mut count = redis::cmd("BITCOUNT");
            let bits: u64 = count.arg(&key).query_async(&mut admin).await.unwrap();
            assert_eq!(bits, 0, "{key}");
        }
    }
}
