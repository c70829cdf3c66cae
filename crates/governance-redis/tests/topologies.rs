//! The suite on a cluster and behind Sentinel, one server set for all cases.

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

/// Stores at servers that are there already, each under a prefix of its own.
#[derive(Clone)]
struct At {
    config: ConfigBuilder,
    partitions: u16,
}

impl At {
    async fn open(&self, options: &RedisStoreOptions) -> RedisStore {
        let config = self.config.clone().build().expect("a configuration");
        let client = Client::connect(config).await.expect("a client");
        RedisStore::connect(client, options.clone())
            .await
            .expect("a store")
    }
}

#[async_trait]
impl ProviderHarness for At {
    type Guard = RedisStoreOptions;

    async fn fresh(&self) -> (Arc<dyn Provider>, RedisStoreOptions) {
        let options = options().partitions(self.partitions);
        (Arc::new(self.open(&options).await), options)
    }

    async fn reopen(&self, options: &RedisStoreOptions) -> Option<Arc<dyn Provider>> {
        Some(Arc::new(self.open(options).await))
    }

    async fn fresh_with_feed(
        &self,
        events: usize,
    ) -> Option<(Arc<dyn Provider>, RedisStoreOptions)> {
        let options = options()
            .partitions(self.partitions)
            .feed_capacity(u64::try_from(events).ok()?);
        Some((Arc::new(self.open(&options).await), options))
    }
}

macro_rules! run {
    ($harness:expr; $($group:ident { $($case:ident),+ $(,)? })+) => {
        $($({
            let trial = Trial::begin($harness.clone()).await;
            cases::$group::$case(&trial).await;
        })+)+
    };
}

async fn suite(harness: &At) {
    run! {
        harness;
        requests {
            create_then_get, duplicate_id_is_refused, repeated_create_finds_the_first,
            duplicate_key_finds_the_first, change_from_the_stored_revision_is_stored,
            change_from_an_older_revision_conflicts, change_of_a_missing_request_is_not_found,
            rewritten_history_is_refused, repeated_change_finds_the_first_outcome,
            get_many_keeps_order_and_gaps, purge_frees_the_key,
            purge_removes_from_every_listing, purged_id_can_be_created_again,
            reopened_store_has_everything,
        }
        states {
            save_from_the_stored_version_is_stored, save_from_another_version_conflicts,
            deleted_state_keeps_counting, repeated_save_finds_the_first_outcome,
        }
        commit {
            request_and_state_change_together, nothing_is_stored_when_the_state_conflicts,
            nothing_is_stored_when_the_second_request_conflicts,
            repeated_commit_finds_the_first_outcome, superseding_stores_both_sides,
        }
        queries {
            presets_find_what_they_say, every_condition_and_its_negation, conditions_combine,
            tenants_are_apart, orders_of_submission, equal_deadlines_are_all_listed,
            paging_finds_everything_once, paging_under_writes, decidable_by_is_exact,
            counts_are_never_too_high,
        }
        listings {
            approvals_stand_as_they_stand, approvals_newest_first,
            decisions_in_the_order_they_were_stored, decisions_after_a_purge,
        }
        feed {
            events_of_one_state_are_in_order, reading_goes_on_from_any_token,
            each_state_keeps_its_order, waiting_ends_with_a_write,
            trimmed_feed_tells_that_a_token_expired, concurrent_writes_are_all_told,
        }
        concurrency {
            read_modify_write_of_a_request_loses_nothing, creates_of_one_key_have_one_winner,
            commits_of_one_request_have_one_winner, executions_about_one_state_add_up,
            votes_at_the_same_time_are_all_kept,
        }
        scenarios { submit_approve_execute, stale_request_is_approved_again, tick_expires_what_is_due }
    }
}

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
