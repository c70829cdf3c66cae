//! The suites on a cluster, one for each of them.

mod support;

use std::sync::Arc;

use redis_harness::Cluster;
use state_testkit::{
    cache, event, lock, process, rate_limit, session,
    session::SessionHarness,
    suite::{run, run_stepwise},
};

use crate::support::On;

/// Three servers, and no replicas.
async fn cluster() -> Arc<On<Cluster>> {
    Arc::new(On::new(Cluster::start(3, 0).await).shards(6))
}

#[test]
fn every_case_of_caches() {
    run(async {
        let cluster = cluster().await;
        cache::run_all(|| cluster.caches(20)).await;
    });
}

#[test]
fn every_case_of_events() {
    run(async {
        let cluster = cluster().await;
        event::run_all(|| cluster.events()).await;
    });
}

#[test]
fn every_case_of_locks() {
    run_stepwise(async {
        let cluster = cluster().await;
        lock::run_all(|| lock::LockTrial::begin(&*cluster)).await;
    });
}

#[test]
fn every_case_of_processes() {
    run_stepwise(async {
        let cluster = cluster().await;
        process::run_all(|| process::ProcessTrial::begin(&*cluster)).await;
    });
}

#[test]
fn every_case_of_rate_limits() {
    run_stepwise(async {
        let cluster = cluster().await;
        rate_limit::run_all(|| rate_limit::RateLimitTrial::begin(&*cluster)).await;
    });
}

#[test]
fn every_case_of_sessions() {
    run_stepwise(async {
        let cluster = cluster().await;
        session::run_all(|| async { Arc::clone(&cluster) as Arc<dyn SessionHarness> }).await;
    });
}
