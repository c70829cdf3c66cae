//! Guards: renewal, loss, waiting and release.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use state_core::{
    Capability, Observation, Observer, OsEntropy,
    lock::{
        Attempt, Extended, Guard, LeaderOptions, Leadership, LockError, LockOptions, LockStore,
        Locks, Released,
    },
};

use super::{
    stalling::Stalling,
    trial::{LONG, LockTrial, SHORT},
};

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

/// The lifetime counts from the question, so a grant that is told too late is worth nothing.
pub async fn n_lk_2_time_until_the_answer_counts(trial: &LockTrial) {
    let (store, passage) = (&trial.parts.store, &trial.parts.passage);
    let late = Stalling::late(Arc::clone(store), Arc::clone(passage), SHORT);
    let locks = trial.front_of(Arc::new(late), LockOptions::default());
    let guard = acquired(&locks, "a", SHORT).await;
    assert!(!guard.is_valid() && guard.remaining().is_zero());
    guard.lost().await;
    // The backend agrees: it is anybody's.
    assert!(is_free(&trial.locks(), "a").await);
}

/// A grant belongs to its token. The same process, and the same front, is somebody else.
pub async fn n_lk_6_who_held_it_before_has_no_rights(trial: &LockTrial) {
    let locks = trial.locks();
    let first = acquired(&locks, "a", SHORT).await;
    assert!(!is_free(&locks, "a").await);
    trial.pass(SHORT).await;
    let second = acquired(&locks, "a", LONG).await;
    assert_eq!(first.release().await.expect("an answer"), Released::Stolen);
    assert!(second.is_valid() && !is_free(&locks, "a").await);
    assert_eq!(
        second.release().await.expect("an answer"),
        Released::Released
    );
}

/// A guard that could not be extended still is one, and still gives the lock back.
pub async fn n_lk_11_failed_extension_leaves_nothing_locked(trial: &LockTrial) {
    let store = Arc::new(Stalling::new(Arc::clone(&trial.parts.store)));
    let locks = trial.front_of(
        Arc::clone(&store) as Arc<dyn LockStore>,
        LockOptions::default(),
    );
    for drops in [false, true] {
        let guard = acquired(&locks, "a", LONG).await;
        store.refuse_extensions(true);
        let failed = guard.extend(LONG).await;
        assert!(matches!(failed, Err(LockError::Backend(_))), "{failed:?}");
        assert!(guard.is_valid());
        assert!(!is_free(&trial.locks(), "a").await);
        if drops {
            drop(guard);
        } else {
            let released = guard.release().await.expect("an answer");
            assert_eq!(released, Released::Released);
        }
        store.refuse_extensions(false);
        let other = trial.locks().lock("a").expect("a lock");
        // Long before it would have expired.
        let other = trial.until(other.acquire(LONG / 2)).await.expect("a guard");
        other.release().await.expect("an answer");
    }
}

/// What is told of locks are words of a closed set: no name becomes a label.
pub async fn n_lk_15_no_name_is_told(trial: &LockTrial) {
    let name = "tenant-4711";
    let told = Arc::new(Labels::default());
    let locks = Locks::observed(
        Arc::clone(&trial.parts.store),
        LockOptions::default().ttl(LONG),
        Arc::clone(&trial.parts.clock),
        Arc::new(OsEntropy),
        Arc::<Labels>::clone(&told),
    );
    let locks = locks.expect("valid options");
    let guard = acquired(&locks, name, LONG).await;
    assert!(!is_free(&locks, name).await);
    let lock = locks.lock(name).expect("a lock");
    lock.acquire(Duration::ZERO).await.expect_err("held");
    guard.extend(LONG).await.expect("an answer");
    guard.release().await.expect("an answer");
    let campaign = locks.campaign(name, LeaderOptions::default().ttl(LONG));
    let campaign = campaign.expect("a campaign");
    let mut states = campaign.watch();
    let leads = states.wait_for(|state| matches!(state, Leadership::Leader { .. }));
    drop(trial.until(leads).await.expect("the campaign goes on"));
    campaign.resign().await;
    let told = told.0.lock();
    assert!(told.len() >= 6, "{told:?}");
    assert!(told.iter().all(|words| !words.contains("4711")), "{told:?}");
}

/// Writes down everything it is told, word by word.
#[derive(Debug, Default)]
struct Labels(Mutex<Vec<String>>);

impl Observer for Labels {
    fn operation(&self, told: &Observation<'_>) {
        self.0.lock().push(format!("{told:?}"));
    }
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
        let options = LockOptions::default();
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
