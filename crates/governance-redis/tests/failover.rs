//! Failovers under load, for every durability tier: what was acknowledged and then lost is counted.
//!
//! `cargo test -p governance-redis --test failover -- --nocapture` prints the counts.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use governance_core::{MutationRequest, RequestStore as _, Retry};
use governance_redis::{Durability, RedisStore, StoreRegressed, Strictness};
use governance_testkit::fixtures::SeededIds;
use redis_client::redis;
use redis_harness::{Sentinel, poll_until};

use crate::support::{
    load::Life,
    options,
    topology::{at_sentinel, store_at},
};

/// Acknowledged writes before the failover begins, and after it has ended.
const WRITES: usize = 100;

/// What one run came to.
#[derive(Debug)]
struct Count {
    acknowledged: usize,
    lost: usize,
    /// Errors, by whether they said that the write was not done or that nobody knows.
    refused: usize,
    unknown: usize,
    regressed: usize,
}

/// A request in the last form that was acknowledged.
type Acknowledged = Vec<Arc<MutationRequest>>;

/// Creates and approves until told to stop. What fails for good is left where it was.
async fn write(
    store: RedisStore,
    seed: u64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) -> (Acknowledged, Count) {
    let ids = SeededIds::new(seed);
    let mut all = Acknowledged::new();
    let mut count = Count {
        acknowledged: 0,
        lost: 0,
        refused: 0,
        unknown: 0,
        regressed: 0,
    };
    for number in 0.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let life = Life::new(&ids, &format!("state-{seed}-{number}"));
        let first = life.created.revision();
        let mut last = None;
        for next in [&life.created, &life.approved] {
            let answer = loop {
                let answer = if last.is_none() {
                    store.create(Arc::clone(next)).await.map(drop)
                } else {
                    store.try_store(Arc::clone(next), first).await.map(drop)
                };
                let Err(error) = answer else { break Ok(()) };
                if StoreRegressed::of(&error).is_some() {
                    count.regressed += 1;
                    // An operator would look first. The server may be away at the moment.
                    while store.accept_regression().await.is_err() {
                        tokio::task::yield_now().await;
                    }
                    break Err(());
                }
                match error.retry() {
                    Retry::Safe => count.refused += 1,
                    Retry::SameOperation => count.unknown += 1,
                    // The create this vote is about was lost.
                    _ => break Err(()),
                }
                tokio::task::yield_now().await;
            };
            if answer.is_err() {
                break;
            }
            last = Some(Arc::clone(next));
            count.acknowledged += 1;
            done.fetch_add(1, Ordering::AcqRel);
        }
        all.extend(last);
    }
    (all, count)
}

#[expect(clippy::print_stdout, reason = "the counts are what it is run for")]
async fn fail_over_under_load(tier: Durability) -> Count {
    let sentinel = Sentinel::start().await;
    if matches!(tier, Durability::Fsync1s | Durability::FsyncAlways) {
        let fsync = if tier == Durability::Fsync1s {
            "everysec"
        } else {
            "always"
        };
        for server in sentinel.servers() {
            let mut set = redis::cmd("CONFIG");
            set.arg("SET")
                .arg("appendonly")
                .arg("yes")
                .arg("appendfsync")
                .arg(fsync);
            let mut connection = server.connection().await;
            set.exec_async(&mut connection).await.expect("a setting");
        }
    }
    let options = options().durability(tier, Strictness::Refuse);
    let stop = Arc::new(AtomicBool::new(false));
    let done = Arc::new(AtomicUsize::new(0));
    let mut writers = Vec::new();
    for seed in 1..=4 {
        let store = store_at(at_sentinel(&sentinel), &options).await;
        let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
        writers.push(tokio::spawn(write(store, seed, stop, done)));
    }
    let until = async |count: usize| {
        poll_until("writes to be acknowledged", async || {
            (done.load(Ordering::Acquire) >= count).then_some(())
        })
        .await;
    };
    until(WRITES).await;
    sentinel.fail_over().await;
    until(done.load(Ordering::Acquire) + WRITES).await;
    stop.store(true, Ordering::Release);

    let mut total = Count {
        acknowledged: 0,
        lost: 0,
        refused: 0,
        unknown: 0,
        regressed: 0,
    };
    let store = store_at(at_sentinel(&sentinel), &options).await;
    for writer in writers {
        let (all, count) = writer.await.expect("a writer");
        total.acknowledged += count.acknowledged;
        total.refused += count.refused;
        total.unknown += count.unknown;
        total.regressed += count.regressed;
        for request in all {
            let kept = store.get(request.id()).await.expect("an answer");
            let kept = kept.map_or(0, |kept| kept.revision().get());
            let lost = request.revision().get().saturating_sub(kept);
            total.lost += usize::try_from(lost).expect("a few");
        }
    }
    let report = store.verify().await.expect("a report");
    assert!(report.is_clean(), "{report:?}");
    println!(
        "{:<12} acknowledged {:>5}  lost {:>4}  refused {:>5}  unknown {:>4}  regressions {:>2}  torn 0",
        tier.as_str(),
        total.acknowledged,
        total.lost,
        total.refused,
        total.unknown,
        total.regressed,
    );
    total
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_tears_nothing_and_takes_what_only_the_master_had() {
    for tier in [
        Durability::Memory,
        Durability::Fsync1s,
        Durability::FsyncAlways,
    ] {
        let count = fail_over_under_load(tier).await;
        assert!(count.acknowledged >= 2 * WRITES, "{count:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_takes_nothing_that_replicas_confirmed() {
    let tier = Durability::Replicated {
        replicas: 1,
        wait: Duration::from_millis(500),
    };
    let count = fail_over_under_load(tier).await;
    assert_eq!(count.lost, 0, "{count:?}");
    assert_eq!(count.regressed, 0, "{count:?}");
    assert!(count.acknowledged >= 2 * WRITES, "{count:?}");
}
