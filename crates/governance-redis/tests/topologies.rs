//! What only a cluster or Sentinel can do: slots that move, masters that are deposed.

mod support;

use std::sync::Arc;

use governance_core::{
    Actor, PageRequest, Provider, RequestQueries, RequestQuery, RequestStore, Retry,
};
use governance_redis::{RedisStore, RedisStoreOptions};
use governance_testkit::{ProviderHarness, Trial, async_trait, cases, fixtures};
use redis_client::{Client, Config, ConfigBuilder};
use redis_harness::{Cluster, Sentinel};

use crate::support::options;

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_of_three() {
    let cluster = Cluster::start(3, 0).await;
    let mut config = Config::builder().cluster();
    for url in cluster.urls() {
        config = config.address(url);
    }
    let harness = At {
        config,
        partitions: 16,
    };
    suite(&harness).await;
    let store = harness.open(&options().partitions(16)).await;
    let ids = fixtures::SeededIds::new(1);
    let begin = governance_core::Clock::now(&store).await.unwrap();
    for i in 0..40 {
        let request = fixtures::RequestBuilder::new(&ids, begin).state(&format!("state-{i}"));
        store.create(request.build()).await.unwrap();
    }
    assert!(store.verify().await.unwrap().is_clean());
    assert_eq!(store.rebuild().await.unwrap().requests(), 40);
    assert!(store.verify().await.unwrap().is_clean());
    assert_eq!(store.stats().await.unwrap().requests(), 40);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinel_and_over_a_failover() {
    let sentinel = Sentinel::start().await;
    let mut config = Config::builder().sentinel_master(Sentinel::MASTER);
    for url in sentinel.urls() {
        config = config.address(url);
    }
    let harness = At {
        config,
        partitions: 1,
    };
    suite(&harness).await;

    let store = harness.open(&options()).await;
    let ids = fixtures::SeededIds::new(1);
    let begin = governance_core::Clock::now(&store).await.unwrap();
    let request = fixtures::RequestBuilder::new(&ids, begin)
        .asks(["bob"])
        .build();
    store.create(Arc::clone(&request)).await.unwrap();
    let page = PageRequest::first(10).unwrap();
    sentinel.fail_over().await;
    let bob: Actor = fixtures::actor("bob");
    let act = governance_core::Act::new(&bob, begin, governance_core::IdSource::operation_id(&ids));
    let approved = fixtures::approve(&request, act, governance_core::Membership::default());
    loop {
        match store
            .try_store(Arc::clone(&approved), request.revision())
            .await
        {
            Ok(_) => break,
            Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
        }
    }
    let found = store
        .requests(&RequestQuery::all_tenants(), &page)
        .await
        .unwrap();
    assert_eq!(found.items, [approved]);
    assert!(store.verify().await.unwrap().is_clean());
}
