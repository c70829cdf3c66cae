//! Exclusive locks, step by step.

use std::time::Duration;

use bytes::Bytes;
use state_core::lock::{
    Acquired, Extended, Fence, GuardedSet, Hold, Mode, Realm, Released, Target,
};

use super::trial::{LONG, LockTrial, SHORT, hold, target};

fn named(name: &str) -> Target {
    target(Mode::Exclusive, name)
}

/// Nobody holds it, so it is granted.
pub async fn free_lock_is_granted(trial: &LockTrial) {
    let fence = trial.granted(&hold(&named("a"), 1, LONG)).await;
    assert!(fence > Fence::new(0));
}

/// Another token is told for how long.
pub async fn held_lock_is_granted_to_nobody_else(trial: &LockTrial) {
    trial.granted(&hold(&named("a"), 1, LONG)).await;
    let remaining = trial.held(&hold(&named("a"), 2, LONG)).await;
    assert!(!remaining.is_zero() && remaining <= LONG, "{remaining:?}");
    assert!(remaining > LONG / 2, "{remaining:?}");
}

/// Names, scopes and realms do not meet, whatever is in them.
pub async fn names_are_apart(trial: &LockTrial) {
    let targets = [
        named("a"),
        named("a:l"),
        named("{a}"),
        named("a b\n%"),
        Target::one(Realm::Leader, Mode::Exclusive, "a").expect("a name"),
        Target::many("a", ["a"]).expect("a name"),
        Target::many("a", ["l:a"]).expect("a name"),
    ];
    for target in &targets {
        trial.granted(&hold(target, 1, LONG)).await;
    }
    for target in &targets {
        trial.held(&hold(target, 2, LONG)).await;
    }
}

/// After a release it is granted again.
pub async fn released_lock_is_free(trial: &LockTrial) {
    let first = hold(&named("a"), 1, LONG);
    trial.granted(&first).await;
    let released = trial.store().release(&first).await.expect("an answer");
    assert_eq!(released, Released::Released);
    trial.granted(&hold(&named("a"), 2, LONG)).await;
}

/// An acquisition repeated after a lost reply finds its own grant, with a new lifetime.
pub async fn t_lk_4_same_token_has_the_same_fence(trial: &LockTrial) {
    let short = hold(&named("a"), 1, SHORT);
    let fence = trial.granted(&short).await;
    assert_eq!(trial.granted(&hold(&named("a"), 1, LONG)).await, fence);
    trial.pass(SHORT).await;
    trial.held(&hold(&named("a"), 2, LONG)).await;
}

/// Each holder has a larger fence than the one before, however the lock changed hands.
pub async fn t_lk_2_fences_rise(trial: &LockTrial) {
    let mut last = Fence::new(0);
    for holder in 1..=20 {
        let next = hold(&named("a"), holder, LONG);
        let fence = trial.granted(&next).await;
        assert!(fence > last, "{fence} after {last}");
        last = fence;
        trial.store().release(&next).await.expect("an answer");
    }
    let short = hold(&named("a"), 21, SHORT);
    let fence = trial.granted(&short).await;
    trial.pass(SHORT).await;
    let after = trial.granted(&hold(&named("a"), 22, LONG)).await;
    assert!(last < fence && fence < after);
}

/// Nobody has to release what has expired.
pub async fn expired_lock_goes_to_the_next(trial: &LockTrial) {
    trial.granted(&hold(&named("a"), 1, SHORT)).await;
    trial.pass(SHORT).await;
    trial.granted(&hold(&named("a"), 2, LONG)).await;
}

/// Expired is not released.
pub async fn t_lk_5_release_of_an_expired_lock_is_told(trial: &LockTrial) {
    let expired = hold(&named("a"), 1, SHORT);
    trial.granted(&expired).await;
    trial.pass(SHORT).await;
    let released = trial.store().release(&expired).await.expect("an answer");
    assert_eq!(released, Released::Expired);
}

/// A late release leaves the lock of the next holder alone.
pub async fn n_lk_4_release_disturbs_no_other_holder(trial: &LockTrial) {
    let late = hold(&named("a"), 1, SHORT);
    trial.granted(&late).await;
    trial.pass(SHORT).await;
    let next = hold(&named("a"), 2, LONG);
    let fence = trial.granted(&next).await;
    let released = trial.store().release(&late).await.expect("an answer");
    assert_eq!(released, Released::Stolen);
    assert_eq!(trial.granted(&next).await, fence);
    trial.held(&hold(&named("a"), 3, LONG)).await;
}

/// An extension counts from now.
pub async fn extension_prolongs(trial: &LockTrial) {
    trial.granted(&hold(&named("a"), 1, SHORT)).await;
    let longer = hold(&named("a"), 1, LONG);
    let extended = trial.store().extend(&longer).await.expect("an answer");
    assert_eq!(extended, Extended::Extended);
    trial.pass(SHORT).await;
    trial.held(&hold(&named("a"), 2, LONG)).await;
}

/// Whoever has lost a lock cannot get it back by extending it.
pub async fn extension_of_a_lost_lock_changes_nothing(trial: &LockTrial) {
    let lost = hold(&named("a"), 1, SHORT);
    trial.granted(&lost).await;
    trial.pass(SHORT).await;
    let late = hold(&named("a"), 1, LONG);
    assert_eq!(
        trial.store().extend(&late).await.expect("an answer"),
        Extended::Lost
    );
    trial.granted(&hold(&named("a"), 2, LONG)).await;
    assert_eq!(
        trial.store().extend(&late).await.expect("an answer"),
        Extended::Lost
    );
}

/// Lifetimes of a few milliseconds end, and the lock can be had again.
pub async fn t_lk_6_short_lifetimes_work(trial: &LockTrial) {
    for (holder, millis) in [(1, 1), (2, 10), (3, 50), (4, 500)] {
        let ttl = Duration::from_millis(millis);
        trial.granted(&hold(&named("a"), holder, ttl)).await;
        trial.pass(ttl).await;
    }
    trial.granted(&hold(&named("a"), 5, LONG)).await;
}

/// One name that is held keeps all others free.
pub async fn several_names_are_locked_together_or_not_at_all(trial: &LockTrial) {
    let many = |names: &[&str]| Target::many("s", names).expect("names");
    trial.granted(&hold(&many(&["b"]), 1, LONG)).await;
    trial.held(&hold(&many(&["a", "b", "c"]), 2, LONG)).await;
    let both = hold(&many(&["c", "a"]), 3, LONG);
    let fence = trial.granted(&both).await;
    assert_eq!(
        trial.granted(&hold(&many(&["a", "c"]), 3, LONG)).await,
        fence
    );
    trial.held(&hold(&many(&["c"]), 4, LONG)).await;
    assert_eq!(
        trial.store().release(&both).await.expect("an answer"),
        Released::Released
    );
    trial.granted(&hold(&many(&["a"]), 4, LONG)).await;
}

/// One token on targets that share names: the fence of a grant is one for all its names and larger
/// than every one before of any of them, unless it is the grant that is there already.
pub async fn one_token_on_overlapping_names_has_one_fence(trial: &LockTrial) {
    let many = |names: &[&str]| Target::many("s", names).expect("names");
    let grant = async |names: &[&str]| trial.granted(&hold(&many(names), 1, LONG)).await;
    // One after the other: asking for both is a grant of its own, and repeating it is not.
    let first = grant(&["a"]).await;
    let second = grant(&["b"]).await;
    let both = grant(&["a", "b"]).await;
    assert!(first < second && second < both);
    assert_eq!(grant(&["a", "b"]).await, both);
    assert_eq!(grant(&["a"]).await, both);
    assert_eq!(grant(&["b"]).await, both);
    // In the other order, too: neither the first nor the last name decides.
    let later = grant(&["d"]).await;
    let latest = grant(&["c"]).await;
    assert!(latest > later && grant(&["c", "d"]).await > latest);
    // Some of them: all get a new one.
    let more = grant(&["b", "e"]).await;
    assert!(more > both);
    assert_eq!(grant(&["e"]).await, more);
    assert_eq!(grant(&["a"]).await, both);
    let again = grant(&["a", "b"]).await;
    assert!(again > more);
    assert_eq!(grant(&["e"]).await, more);
    // Nobody else gets in, and a release gives back the names it says and no others.
    trial.held(&hold(&many(&["a", "z"]), 2, LONG)).await;
    let release = async |names: &[&str]| {
        let hold = hold(&many(names), 1, LONG);
        trial.store().release(&hold).await.expect("an answer")
    };
    assert_eq!(release(&["b"]).await, Released::Released);
    assert!(trial.granted(&hold(&many(&["b"]), 2, LONG)).await > again);
    trial.held(&hold(&many(&["a"]), 2, LONG)).await;
    assert_eq!(release(&["a", "b"]).await, Released::Stolen);
    assert_eq!(release(&["c", "d", "e"]).await, Released::Released);
}

/// Of several names some may be lost: that is told, and the rest is given back.
pub async fn n_lk_5_partly_lost_names_are_told(trial: &LockTrial) {
    let many = |names: &[&str]| Target::many("s", names).expect("names");
    let both = hold(&many(&["a", "b"]), 1, SHORT);
    trial.granted(&both).await;
    // The token is the same, so this prolongs one of the two names.
    trial.granted(&hold(&many(&["a"]), 1, LONG)).await;
    trial.pass(SHORT).await;
    trial.granted(&hold(&many(&["b"]), 2, LONG)).await;
    let later = hold(&many(&["a", "b"]), 1, LONG);
    assert_eq!(
        trial.store().extend(&later).await.expect("an answer"),
        Extended::Lost
    );
    assert_eq!(
        trial.store().release(&both).await.expect("an answer"),
        Released::Stolen
    );
    trial.granted(&hold(&many(&["a"]), 3, LONG)).await;
    trial.held(&hold(&many(&["b"]), 3, LONG)).await;
}

/// A holder that was stalled past its lifetime cannot write over its successor.
pub async fn t_lk_1_guarded_write_of_an_older_holder_is_refused(trial: &LockTrial) {
    let name = named("a");
    let first = trial.granted(&hold(&name, 1, SHORT)).await;
    trial.pass(SHORT).await;
    let second = trial.granted(&hold(&name, 2, LONG)).await;
    let set = |fence, value: &'static [u8]| {
        trial
            .store()
            .guarded_set(&name, fence, Bytes::from_static(value), LONG)
    };
    assert_eq!(
        trial.store().guarded_get(&name).await.expect("an answer"),
        None
    );
    assert_eq!(
        set(second, b"new \x00 value").await.expect("an answer"),
        GuardedSet::Stored
    );
    let refused = set(first, b"old").await.expect("an answer");
    assert_eq!(refused, GuardedSet::Fenced { current: second });
    let stored = trial.store().guarded_get(&name).await.expect("an answer");
    let stored = stored.expect("a value");
    assert_eq!(
        (stored.fence, &stored.value[..]),
        (second, &b"new \x00 value"[..])
    );
    assert_eq!(
        set(second, b"").await.expect("an answer"),
        GuardedSet::Stored
    );
    let stored = trial.store().guarded_get(&name).await.expect("an answer");
    assert!(stored.expect("a value").value.is_empty());
}

/// A guarded value has a lifetime too.
pub async fn guarded_value_expires(trial: &LockTrial) {
    let name = named("a");
    let set = |fence, ttl| {
        trial
            .store()
            .guarded_set(&name, Fence::new(fence), Bytes::from_static(b"v"), ttl)
    };
    set(2, SHORT).await.expect("an answer");
    trial.pass(SHORT).await;
    assert_eq!(
        trial.store().guarded_get(&name).await.expect("an answer"),
        None
    );
    assert_eq!(set(1, LONG).await.expect("an answer"), GuardedSet::Stored);
}

/// Every step may be repeated, as it has to be when its reply was lost.
pub async fn lost_replies_change_nothing(trial: &LockTrial) {
    let mine = hold(&named("a"), 1, LONG);
    let twice = async |hold: &Hold| {
        let first = trial.acquire(hold).await;
        assert_eq!(trial.acquire(hold).await, first);
        first
    };
    assert!(matches!(twice(&mine).await, Acquired::Granted { .. }));
    for _ in 0..2 {
        assert_eq!(
            trial.store().extend(&mine).await.expect("an answer"),
            Extended::Extended
        );
    }
    assert_eq!(
        trial.store().release(&mine).await.expect("an answer"),
        Released::Released
    );
    assert_eq!(
        trial.store().release(&mine).await.expect("an answer"),
        Released::Expired
    );
    trial.granted(&hold(&named("a"), 2, LONG)).await;
}
