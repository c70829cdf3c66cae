//! Guards: renewal, loss, waiting and release.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use state_core::{
    Capability,
    lock::{Attempt, Extended, Guard, LockError, Locks, Released},
};

use super::trial::{LONG, LockTrial, SHORT};

/// Where the cases are written.
pub const SOURCE: &str = include_str!("guards.rs");

async fn acquired(locks: &Locks, name: &str, ttl: Duration) -> Guard {
    let lock = locks.lock(name).and_then(|lock| lock.ttl(ttl));
    let attempt = lock.expect("a lock").without_renewal().try_acquire().await;
    attempt.expect("an answer").guard().expect("a free lock")
}

async fn is_free(locks: &Locks, name: &str) -> bool {
    let attempt = locks.lock(name).expect("a lock").try_acquire().await;
    match attempt.expect("an answer") {
        Attempt::Acquired(guard) => {
            guard.release().await.expect("an answer");
            true
        }
        Attempt::Held { .. } => false,
    }
}

/// By the local clock, a little less than the lifetime.
pub async fn guard_is_good_for_its_lifetime(trial: &LockTrial) {
    let locks = trial.locks();
    let guard = acquired(&locks, "a", SHORT).await;
    assert!(guard.is_valid() && guard.remaining() < SHORT);
    trial.pass(SHORT).await;
    assert!(!guard.is_valid());
    assert_eq!(guard.release().await.expect("an answer"), Released::Expired);
}

/// A guard that is kept is kept up.
pub async fn guard_renews_itself(trial: &LockTrial) {
    let locks = trial.locks();
    let lock = locks.lock("a").and_then(|lock| lock.ttl(SHORT));
    let guard = lock.expect("a lock").acquire(LONG).await.expect("a guard");
    let _ = trial.observer.take();
    // Three renewals take longer than one lifetime less a third.
    let mut renewals = 0;
    let renewed = async {
        while renewals < 4 {
            let told = trial.observer.take();
            renewals += told
                .iter()
                .filter(|told| **told == (Capability::Lock, "extend", "extended"))
                .count();
            tokio::task::yield_now().await;
        }
    };
    trial.until(renewed).await;
    assert!(guard.is_valid());
    assert!(!is_free(&locks, "a").await);
    assert_eq!(
        guard.release().await.expect("an answer"),
        Released::Released
    );
}

/// Whoever works under a lock hears that it is lost.
pub async fn n_lk_3_lost_lock_is_signalled(trial: &LockTrial) {
    let locks = trial.locks();
    let guard = acquired(&locks, "a", SHORT).await;
    trial.until(guard.lost()).await;
    assert!(!guard.is_valid());
    // Once lost, it stays so.
    guard.lost().await;
    assert_eq!(guard.extend(LONG).await.expect("an answer"), Extended::Lost);
    assert!(!guard.is_valid());
}

/// By hand, too.
pub async fn extended_guard_lives_longer(trial: &LockTrial) {
    let locks = trial.locks();
    let guard = acquired(&locks, "a", SHORT).await;
    assert_eq!(
        guard.extend(LONG).await.expect("an answer"),
        Extended::Extended
    );
    trial.pass(SHORT).await;
    assert!(guard.is_valid());
    assert!(!is_free(&locks, "a").await);
    assert!(matches!(
        guard.extend(Duration::ZERO).await,
        Err(LockError::Option(_))
    ));
}

/// Dropping a guard does not block and gives the lock back.
pub async fn n_lk_10_dropped_guard_is_released_in_the_background(trial: &LockTrial) {
    let locks = trial.locks();
    drop(acquired(&locks, "a", LONG).await);
    let lock = locks.lock("a").expect("a lock");
    let guard = trial.until(lock.acquire(LONG)).await.expect("a guard");
    guard.release().await.expect("an answer");
}

/// An acquisition that nobody waits for any more holds nothing.
pub async fn cancelled_wait_leaves_nothing(trial: &LockTrial) {
    let locks = trial.locks();
    let guard = acquired(&locks, "a", LONG).await;
    let lock = locks.lock("a").expect("a lock");
    let waits = tokio::spawn({
        let lock = lock.clone();
        async move { lock.acquire(LONG).await }
    });
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    waits.abort();
    assert!(waits.await.is_err());
    guard.release().await.expect("an answer");
    let guard = trial.until(lock.acquire(LONG)).await.expect("a guard");
    assert!(guard.is_valid());
}

/// A waiter does not sleep through a release. The pauses are longer than the test.
pub async fn n_lk_14_release_wakes_the_waiter(trial: &LockTrial) {
    let locks = [0, 1].map(|_| {
        let options = state_core::lock::LockOptions::default();
        trial.front(options.ttl(LONG).retry(LONG, LONG))
    });
    let guard = acquired(&locks[0], "a", LONG).await;
    let other = locks[1].lock("a").expect("a lock");
    let waits = tokio::spawn(async move { other.acquire(LONG).await });
    // Whether it waits already or not, it hears of the release.
    tokio::task::yield_now().await;
    guard.release().await.expect("an answer");
    let guard = waits.await.expect("no panic").expect("a guard");
    guard.release().await.expect("an answer");
}

/// Waiting has an end, with an error of its own.
pub async fn n_lk_12_wait_ends(trial: &LockTrial) {
    let locks = trial.locks();
    let guard = acquired(&locks, "a", LONG).await;
    let lock = locks.lock("a").expect("a lock");
    let waited = trial.until(lock.acquire(SHORT)).await;
    assert!(matches!(waited, Err(LockError::WaitTimeout)), "{waited:?}");
    let waited = lock.acquire(Duration::ZERO).await;
    assert!(matches!(waited, Err(LockError::WaitTimeout)), "{waited:?}");
    assert!(guard.is_valid());
}

/// Everybody who waits gets the lock.
pub async fn waiters_take_turns(trial: &LockTrial) {
    let locks = trial.locks();
    let guard = acquired(&locks, "a", LONG).await;
    let waiters: Vec<_> = (0..8)
        .map(|_| {
            let lock = locks.lock("a").expect("a lock");
            tokio::spawn(async move {
                let guard = lock.acquire(LONG).await.expect("a guard");
                let fence = guard.fence();
                guard.release().await.expect("an answer");
                fence
            })
        })
        .collect();
    guard.release().await.expect("an answer");
    let all = async {
        let mut fences = Vec::new();
        for waiter in waiters {
            fences.push(waiter.await.expect("no panic"));
        }
        fences
    };
    let mut fences = trial.until(all).await;
    fences.sort_unstable();
    fences.dedup();
    assert_eq!(fences.len(), 8);
}

/// Many contenders in several processes: one holder at a time.
pub async fn t_lk_3_contenders_are_never_two(trial: &LockTrial) {
    let inside = Arc::new(AtomicU32::new(0));
    let fronts: Vec<_> = (0..4).map(|_| trial.locks()).collect();
    let contenders: Vec<_> = (0..64)
        .map(|number: usize| {
            let lock = fronts[number % fronts.len()].lock("a").expect("a lock");
            let inside = Arc::clone(&inside);
            tokio::spawn(async move {
                let guard = lock.acquire(LONG).await.expect("a guard");
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                tokio::task::yield_now().await;
                assert_eq!(inside.fetch_sub(1, Ordering::SeqCst), 1);
                let released = guard.release().await.expect("an answer");
                assert_eq!(released, Released::Released);
            })
        })
        .collect();
    let all = async {
        for contender in contenders {
            contender.await.expect("no panic");
        }
    };
    trial.until(all).await;
    assert!(is_free(&fronts[0], "a").await);
}

/// Holding one lock is no obstacle to holding another.
pub async fn n_lk_7_same_holder_may_hold_several(trial: &LockTrial) {
    let locks = trial.locks();
    let first = acquired(&locks, "a", LONG).await;
    let second = acquired(&locks, "b", LONG).await;
    assert!(first.is_valid() && second.is_valid());
    assert!(!is_free(&locks, "a").await);
}

/// One outcome, one count.
pub async fn each_outcome_is_observed_once(trial: &LockTrial) {
    let locks = trial.locks();
    let told = |operation, outcome| (Capability::Lock, operation, outcome);
    let guard = acquired(&locks, "a", LONG).await;
    assert_eq!(trial.observer.take(), [told("acquire", "acquired")]);
    let lock = locks.lock("a").expect("a lock");
    let held = lock.try_acquire().await.expect("an answer");
    assert!(held.guard().is_none());
    assert_eq!(trial.observer.take(), [told("acquire", "held")]);
    lock.acquire(Duration::ZERO).await.expect_err("held");
    assert_eq!(trial.observer.take(), [told("acquire", "wait_timeout")]);
    guard.extend(LONG).await.expect("an answer");
    assert_eq!(trial.observer.take(), [told("extend", "extended")]);
    guard.release().await.expect("an answer");
    assert_eq!(trial.observer.take(), [told("release", "released")]);
}
