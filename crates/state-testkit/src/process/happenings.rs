//! Events and observations.

use std::time::Duration;

use state_core::{
    Capability,
    process::{Change, Expect, NewProcess, ProcessEvent, ProcessEventKind, Status},
};

use super::trial::{EVENTS, ProcessTrial};

/// Every kind, in order, with what the process was then.
pub async fn every_step_is_told(trial: &ProcessTrial) {
    let start = trial.processes.events_end().await.expect("a cursor");
    trial.create("a").await;
    let claim = trial.claim("a", "w1").await;
    let change = Change::new().status(Status::Running);
    let save = trial
        .processes
        .save("a", change, Expect::Any, Some(claim.fence));
    save.await.expect("an answer");
    trial.processes.release(&claim).await.expect("an answer");
    trial.processes.cancel("a").await.expect("an answer");
    trial
        .processes
        .delete("a", Expect::Any)
        .await
        .expect("an answer");
    // What changed nothing is not told.
    trial.processes.cancel("a").await.expect("an answer");
    let batch = trial.processes.events(&start, Duration::ZERO).await;
    let mut events: Vec<ProcessEvent> = Vec::new();
    let mut batch = batch.expect("events");
    while !batch.events.is_empty() {
        assert!(!batch.gap);
        events.append(&mut batch.events);
        let next = trial.processes.events(&batch.next, Duration::ZERO).await;
        batch = next.expect("events");
    }
    let told: Vec<_> = events
        .iter()
        .map(|event| (event.kind, event.status))
        .collect();
    assert_eq!(
        told,
        [
            (ProcessEventKind::Created, Status::Pending),
            (ProcessEventKind::Claimed, Status::Pending),
            (ProcessEventKind::Saved, Status::Running),
            (ProcessEventKind::Released, Status::Running),
            (ProcessEventKind::Ended, Status::Cancelled),
            (ProcessEventKind::Deleted, Status::Cancelled),
        ]
    );
    assert!(events.iter().all(|event| event.id == "a"));
    assert!(events.is_sorted_by_key(|event| (event.version, event.at)));
}

/// Nothing twice, nothing left out.
pub async fn reading_goes_on_from_a_cursor(trial: &ProcessTrial) {
    let mut cursor = trial.processes.events_end().await.expect("a cursor");
    let mut read = Vec::new();
    for number in 0..20 {
        trial.create(&format!("p{number}")).await;
        if number % 7 == 0 {
            let batch = trial.processes.events(&cursor, Duration::ZERO).await;
            let batch = batch.expect("events");
            assert!(!batch.gap);
            read.extend(batch.events.into_iter().map(|event| event.id));
            cursor = batch.next.to_string().parse().expect("a cursor");
        }
    }
    loop {
        let batch = trial.processes.events(&cursor, Duration::ZERO).await;
        let batch = batch.expect("events");
        assert!(!batch.gap);
        if batch.events.is_empty() {
            break;
        }
        read.extend(batch.events.into_iter().map(|event| event.id));
        cursor = batch.next;
    }
    read.sort_unstable();
    let mut expected: Vec<_> = (0..20).map(|number| format!("p{number}")).collect();
    expected.sort_unstable();
    assert_eq!(read, expected);
}

/// A follower does not have to poll.
pub async fn waiting_ends_with_an_event(trial: &ProcessTrial) {
    let cursor = trial.processes.events_end().await.expect("a cursor");
    let processes = trial.processes.clone();
    let waits = tokio::spawn(async move {
        let batch = processes.events(&cursor, Duration::from_secs(600)).await;
        batch.expect("events").events.len()
    });
    tokio::task::yield_now().await;
    trial.create("a").await;
    assert_eq!(trial.until(waits).await.expect("no panic"), 1);
    let cursor = trial.processes.events_end().await.expect("a cursor");
    let idle = trial.processes.events(&cursor, Duration::from_millis(20));
    assert!(trial.until(idle).await.expect("events").events.is_empty());
}

/// Whoever was away for too long hears of it.
pub async fn trimmed_events_are_told_as_a_gap(trial: &ProcessTrial) {
    trial.create("first").await;
    let old = trial.processes.events_end().await.expect("a cursor");
    // A backend may keep more than it was asked to, but not this much.
    for _ in 0..(EVENTS * 10) {
        let save = trial
            .processes
            .save("first", Change::new(), Expect::Any, None);
        save.await.expect("an answer");
    }
    let batch = trial.processes.events(&old, Duration::ZERO).await;
    let batch = batch.expect("events");
    assert!(batch.gap);
    let next = trial.processes.events(&batch.next, Duration::ZERO).await;
    assert!(!next.expect("events").gap);
}

/// One call, one count.
pub async fn each_outcome_is_observed_once(trial: &ProcessTrial) {
    let told = |operation, outcome| (Capability::Process, operation, outcome);
    let observed = |operation, outcome| {
        assert_eq!(trial.observer.take(), [told(operation, outcome)]);
    };
    let version = trial.create("a").await;
    observed("create", "created");
    let create = trial.processes.create(NewProcess::new("a", "k")).await;
    create.expect("an answer");
    observed("create", "exists");
    trial.get("a").await;
    observed("get", "found");
    trial.processes.get("b").await.expect("an answer");
    observed("get", "absent");
    let claim = trial.claim("a", "w").await;
    observed("claim", "claimed");
    trial.processes.claim("a", "v").await.expect("an answer");
    observed("claim", "busy");
    trial.processes.heartbeat(&claim).await.expect("an answer");
    observed("heartbeat", "alive");
    let save = |fence, expect| trial.processes.save("a", Change::new(), expect, fence);
    save(None, Expect::Any).await.expect("an answer");
    observed("save", "fenced");
    save(Some(claim.fence), Expect::Any)
        .await
        .expect("an answer");
    observed("save", "saved");
    save(Some(claim.fence), Expect::Exact(version))
        .await
        .expect("an answer");
    observed("save", "conflict");
    trial.processes.release(&claim).await.expect("an answer");
    observed("release", "released");
    trial.processes.cancel("a").await.expect("an answer");
    observed("save", "saved");
    trial.processes.cancel("a").await.expect("an answer");
    observed("save", "bad_transition");
    trial
        .processes
        .delete("a", Expect::Any)
        .await
        .expect("an answer");
    observed("delete", "deleted");
    trial.processes.cancel("a").await.expect("an answer");
    observed("save", "not_found");
}
