//! Locks with several holders.

use std::time::Duration;

use state_core::lock::{Acquired, Extended, Mode, Released};

use super::trial::{LONG, LockTrial, SHORT, hold, target};

/// Any number of readers hold it at a time, and no writer.
pub async fn readers_share(trial: &LockTrial) {
    let (read, write) = (target(Mode::Read, "a"), target(Mode::Write, "a"));
    let mut last = None;
    for reader in 1..=5 {
        let fence = trial.granted(&hold(&read, reader, LONG)).await;
        assert!(Some(fence) > last);
        last = Some(fence);
    }
    trial.held(&hold(&write, 9, LONG)).await;
    for reader in 1..=5 {
        let released = trial.store().release(&hold(&read, reader, LONG)).await;
        assert_eq!(released.expect("an answer"), Released::Released);
    }
    trial.granted(&hold(&write, 9, LONG)).await;
}

/// A writer keeps readers and writers out.
pub async fn writer_is_alone(trial: &LockTrial) {
    let (read, write) = (target(Mode::Read, "a"), target(Mode::Write, "a"));
    let writer = hold(&write, 1, LONG);
    trial.granted(&writer).await;
    trial.held(&hold(&read, 2, LONG)).await;
    trial.held(&hold(&write, 3, LONG)).await;
    trial.store().release(&writer).await.expect("an answer");
    trial.granted(&hold(&read, 2, LONG)).await;
}

/// Readers that keep coming do not starve a writer.
pub async fn waiting_writer_keeps_new_readers_out(trial: &LockTrial) {
    let (read, write) = (target(Mode::Read, "a"), target(Mode::Write, "a"));
    let reader = hold(&read, 1, LONG);
    trial.granted(&reader).await;
    let writer = hold(&write, 2, LONG);
    let waits = trial.store().acquire(&writer, true).await;
    assert!(matches!(waits, Ok(Acquired::Held { .. })));
    trial.held(&hold(&read, 3, LONG)).await;
    // Who reads already goes on.
    trial.granted(&reader).await;
    trial.store().release(&reader).await.expect("an answer");
    trial.held(&hold(&read, 3, LONG)).await;
    trial.granted(&writer).await;
    trial.store().release(&writer).await.expect("an answer");
    trial.granted(&hold(&read, 3, LONG)).await;
}

/// As many holders as there are permits.
pub async fn permits_are_counted(trial: &LockTrial) {
    let three = target(Mode::Permit { of: 3 }, "a");
    for holder in 1..=3 {
        trial.granted(&hold(&three, holder, LONG)).await;
    }
    let remaining = trial.held(&hold(&three, 4, LONG)).await;
    assert!(remaining > LONG / 2 && remaining <= LONG, "{remaining:?}");
    let released = trial.store().release(&hold(&three, 2, LONG)).await;
    assert_eq!(released.expect("an answer"), Released::Released);
    trial.granted(&hold(&three, 4, LONG)).await;
    trial.held(&hold(&three, 2, LONG)).await;
}

/// One permit expires, the others stay.
pub async fn expired_permit_is_free(trial: &LockTrial) {
    let two = target(Mode::Permit { of: 2 }, "a");
    trial.granted(&hold(&two, 1, SHORT)).await;
    trial.granted(&hold(&two, 2, LONG)).await;
    let remaining = trial.held(&hold(&two, 3, LONG)).await;
    assert!(remaining <= SHORT, "{remaining:?}");
    trial.pass(SHORT).await;
    trial.granted(&hold(&two, 3, LONG)).await;
    trial.held(&hold(&two, 4, LONG)).await;
}

/// Asking again with the same token takes no second place and keeps the fence.
pub async fn place_of_a_same_token_is_kept(trial: &LockTrial) {
    for mode in [Mode::Permit { of: 2 }, Mode::Read, Mode::Write] {
        let mine = hold(&target(mode, "a"), 1, LONG);
        let fence = trial.granted(&mine).await;
        assert_eq!(trial.granted(&mine).await, fence);
        assert_eq!(
            trial.store().extend(&mine).await.expect("an answer"),
            Extended::Extended
        );
        assert_eq!(
            trial.store().release(&mine).await.expect("an answer"),
            Released::Released
        );
    }
}

/// Expired, or taken by others meanwhile.
pub async fn release_of_a_lost_place_is_told(trial: &LockTrial) {
    for (mode, other) in [
        (Mode::Permit { of: 1 }, Mode::Permit { of: 1 }),
        (Mode::Write, Mode::Read),
        (Mode::Read, Mode::Write),
    ] {
        let mine = hold(&target(mode, "a"), 1, SHORT);
        trial.granted(&mine).await;
        trial.pass(SHORT).await;
        assert_eq!(
            trial.store().extend(&mine).await.expect("an answer"),
            Extended::Lost
        );
        assert_eq!(
            trial.store().release(&mine).await.expect("an answer"),
            Released::Expired
        );
        let mine = hold(&target(mode, "a"), 2, SHORT);
        trial.granted(&mine).await;
        trial.pass(SHORT).await;
        let next = hold(&target(other, "a"), 3, LONG);
        trial.granted(&next).await;
        assert_eq!(
            trial.store().release(&mine).await.expect("an answer"),
            Released::Stolen
        );
        assert_eq!(
            trial.store().release(&next).await.expect("an answer"),
            Released::Released
        );
    }
}

/// A lock, a lock for reading and writing, and a semaphore of one name are three things.
pub async fn kinds_of_one_name_are_apart(trial: &LockTrial) {
    for mode in [Mode::Exclusive, Mode::Write, Mode::Permit { of: 1 }] {
        trial.granted(&hold(&target(mode, "a"), 1, LONG)).await;
        trial.pass(Duration::from_millis(1)).await;
    }
    for mode in [Mode::Exclusive, Mode::Read, Mode::Permit { of: 1 }] {
        trial.held(&hold(&target(mode, "a"), 2, LONG)).await;
    }
}
