//! Workers.

use std::collections::BTreeSet;

use state_core::{
    OperationId,
    lock::{Fence, Released},
    process::{Beat, Change, Claimed, Expect, Listing, Saved, Status},
};

use super::trial::{LEASE, ProcessTrial, saved};

/// One worker has it; another is told for how long.
pub async fn claimed_process_is_busy(trial: &ProcessTrial) {
    let version = trial.create("a").await;
    let claim = trial.claim("a", "w1").await;
    assert!(claim.fence > Fence::new(0));
    assert_eq!(claim.version, version);
    let header = trial.get("a").await.header;
    assert_eq!(header.owner.as_deref(), Some("w1"));
    assert_eq!(header.fence, claim.fence);
    assert!(header.lease_until.is_some());
    for worker in ["w2", "w1"] {
        match trial.processes.claim("a", worker).await.expect("an answer") {
            Claimed::Busy { remaining } => assert!(remaining <= LEASE, "{remaining:?}"),
            other => panic!("{other:?}"),
        }
    }
    let absent = trial.processes.claim("b", "w1").await.expect("an answer");
    assert_eq!(absent, Claimed::NotFound);
}

/// The reply was lost; the worker gets the same claim.
pub async fn repeated_claim_is_the_same(trial: &ProcessTrial) {
    trial.create("a").await;
    let claim = |operation, worker| {
        let operation = OperationId::from_bytes([operation; 16]);
        trial.store().claim("a", worker, LEASE, operation)
    };
    let first = claim(1, "w1").await.expect("an answer");
    assert!(matches!(first, Claimed::Claimed(_)));
    assert_eq!(claim(1, "w1").await.expect("an answer"), first);
    for other in [claim(1, "w2").await, claim(2, "w1").await] {
        assert!(matches!(other, Ok(Claimed::Busy { .. })), "{other:?}");
    }
}

/// Without the fence of the claim nothing is written, with it everything is.
pub async fn write_of_a_claimed_process_needs_its_fence(trial: &ProcessTrial) {
    trial.create("a").await;
    let claim = trial.claim("a", "w1").await;
    let current = claim.fence;
    let save = |fence| {
        let change = Change::new().status(Status::Running);
        trial.processes.save("a", change, Expect::Any, fence)
    };
    assert_eq!(
        save(None).await.expect("an answer"),
        Saved::Fenced { current }
    );
    let lower = Fence::new(current.get() - 1);
    assert_eq!(
        save(Some(lower)).await.expect("an answer"),
        Saved::Fenced { current }
    );
    saved(save(Some(current)).await.expect("an answer"));
}

/// After its lease another worker takes over, and what the silent one writes late is refused.
pub async fn t_ps_5_n_ps_9_silent_worker_is_replaced(trial: &ProcessTrial) {
    trial.create("a").await;
    let silent = trial.claim("a", "w1").await;
    let runs = Change::new().status(Status::Running);
    let runs = trial
        .processes
        .save("a", runs, Expect::Any, Some(silent.fence));
    saved(runs.await.expect("an answer"));
    assert!(
        trial
            .processes
            .claim_orphan("w2")
            .await
            .expect("an answer")
            .is_none()
    );
    trial.pass(LEASE).await;
    let orphans = trial
        .processes
        .list(Listing::Orphans, None)
        .await
        .expect("a page");
    assert_eq!(orphans.items.len(), 1);
    let next = trial.processes.claim_orphan("w2").await.expect("an answer");
    let next = next.expect("an orphan");
    assert!(next.fence > silent.fence);
    let late = trial
        .processes
        .save("a", Change::new(), Expect::Any, Some(silent.fence));
    let current = next.fence;
    assert_eq!(late.await.expect("an answer"), Saved::Fenced { current });
    assert_eq!(
        trial.processes.heartbeat(&silent).await.expect("an answer"),
        Beat::Lost
    );
    saved(
        trial
            .processes
            .save("a", Change::new(), Expect::Any, Some(next.fence))
            .await
            .expect("an answer"),
    );
}

/// A lease with a fraction of a millisecond: what is told is what is stored.
pub async fn n_ps_16_odd_lease_is_taken_whole_or_not_at_all(trial: &ProcessTrial) {
    for (id, nanos) in [("a", 1_500_000), ("b", 999_999), ("c", 400_000_001)] {
        trial.create(id).await;
        let lease = std::time::Duration::from_nanos(nanos);
        let operation = OperationId::from_bytes([1; 16]);
        let told = trial.store().claim(id, "w1", lease, operation).await;
        let header = trial.get(id).await.header;
        match told {
            Ok(Claimed::Claimed(claim)) => assert_eq!(header.fence, claim.fence),
            Ok(other) => panic!("{other:?}"),
            Err(error) => assert!(header.owner.is_none(), "claimed, and yet {error}"),
        }
    }
}

/// A worker that is heard of keeps its claim.
pub async fn heartbeat_prolongs(trial: &ProcessTrial) {
    trial.create("a").await;
    let claim = trial.claim("a", "w1").await;
    trial.pass(LEASE / 2).await;
    assert_eq!(
        trial.processes.heartbeat(&claim).await.expect("an answer"),
        Beat::Alive
    );
    let until = trial.get("a").await.header.lease_until;
    trial.pass(LEASE / 2).await;
    assert_eq!(
        trial.processes.heartbeat(&claim).await.expect("an answer"),
        Beat::Alive
    );
    assert!(trial.get("a").await.header.lease_until > until);
    let orphans = trial
        .processes
        .list(Listing::Orphans, None)
        .await
        .expect("a page");
    assert!(orphans.items.is_empty());
}

/// Given back, it is anybody's.
pub async fn released_process_can_be_claimed(trial: &ProcessTrial) {
    trial.create("a").await;
    let first = trial.claim("a", "w1").await;
    let released = trial.processes.release(&first).await.expect("an answer");
    assert_eq!(released, Released::Released);
    let unclaimed = trial
        .processes
        .list(Listing::Unclaimed, None)
        .await
        .expect("a page");
    assert_eq!(unclaimed.items.len(), 1);
    // Nobody has it, so nobody's fence is needed.
    saved(
        trial
            .processes
            .save("a", Change::new(), Expect::Any, None)
            .await
            .expect("an answer"),
    );
    let second = trial.claim("a", "w2").await;
    assert!(second.fence > first.fence);
    let late = trial.processes.release(&first).await.expect("an answer");
    assert_eq!(late, Released::Stolen);
}

/// A claim that ran out is told so, and the next one stays.
pub async fn late_release_disturbs_nobody(trial: &ProcessTrial) {
    trial.create("a").await;
    let first = trial.claim("a", "w1").await;
    trial.pass(LEASE).await;
    let released = trial.processes.release(&first).await.expect("an answer");
    assert_eq!(released, Released::Expired);
    let second = trial.claim("a", "w2").await;
    let late = trial.processes.release(&first).await.expect("an answer");
    assert_eq!(late, Released::Stolen);
    assert_eq!(
        trial.processes.heartbeat(&second).await.expect("an answer"),
        Beat::Alive
    );
    trial
        .processes
        .delete("a", Expect::Any)
        .await
        .expect("an answer");
    let gone = trial.processes.release(&second).await.expect("an answer");
    assert_eq!(gone, Released::Expired);
}

/// A cancellation needs no fence and makes that of the worker worthless.
pub async fn cancelled_process_refuses_its_worker(trial: &ProcessTrial) {
    trial.create("a").await;
    let claim = trial.claim("a", "w1").await;
    saved(trial.processes.cancel("a").await.expect("an answer"));
    assert_eq!(
        trial.processes.heartbeat(&claim).await.expect("an answer"),
        Beat::Lost
    );
    let change = Change::new().status(Status::Completed);
    let late = trial
        .processes
        .save("a", change, Expect::Any, Some(claim.fence));
    assert!(matches!(
        late.await.expect("an answer"),
        Saved::Fenced { .. }
    ));
    assert_eq!(trial.get("a").await.header.status, Status::Cancelled);
}

/// There is nothing left to do.
pub async fn ended_process_cannot_be_claimed(trial: &ProcessTrial) {
    trial.create("a").await;
    saved(trial.processes.cancel("a").await.expect("an answer"));
    let claim = trial.processes.claim("a", "w1").await.expect("an answer");
    let status = Status::Cancelled;
    assert_eq!(claim, Claimed::Ended { status });
}

/// Workers that claim at the same time: one has it.
pub async fn n_ps_11_one_of_many_workers_wins(trial: &ProcessTrial) {
    trial.create("a").await;
    let workers: Vec<_> = (0..32)
        .map(|number| {
            let processes = trial.processes.clone();
            tokio::spawn(async move {
                let claim = processes.claim("a", &format!("w{number}")).await;
                claim.expect("an answer")
            })
        })
        .collect();
    let mut fences = BTreeSet::new();
    for worker in workers {
        match worker.await.expect("no panic") {
            Claimed::Claimed(claim) => {
                fences.insert(claim.fence);
            }
            Claimed::Busy { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fences.len(), 1);
}

/// Heartbeats in the background.
pub async fn kept_claim_lasts(trial: &ProcessTrial) {
    trial.create("a").await;
    let kept = trial
        .processes
        .claim_and_keep("a", "w1")
        .await
        .expect("an answer");
    let kept = kept.expect("a claim");
    let first = trial.get("a").await.header.lease_until;
    let prolonged = async {
        while trial.get("a").await.header.lease_until <= first {
            tokio::task::yield_now().await;
        }
    };
    trial.until(prolonged).await;
    assert!(kept.is_valid());
    let other = trial.processes.claim_and_keep("a", "w2").await;
    assert!(other.expect("an answer").is_none());
    assert_eq!(kept.release().await.expect("an answer"), Released::Released);
}

/// A worker hears that its process is not its any more.
pub async fn lost_claim_is_signalled(trial: &ProcessTrial) {
    trial.create("a").await;
    let kept = trial
        .processes
        .claim_and_keep("a", "w1")
        .await
        .expect("an answer");
    let kept = kept.expect("a claim");
    saved(trial.processes.cancel("a").await.expect("an answer"));
    trial.until(kept.lost()).await;
    assert!(!kept.is_valid());
}
