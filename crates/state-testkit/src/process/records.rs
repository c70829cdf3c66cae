//! Creating, changing and ending.

use std::collections::BTreeSet;

use state_core::{
    OperationId,
    lock::Fence,
    process::{
        Change, Created, Deleted, Expect, Listing, NewProcess, Payload, ProcessError, Save, Saved,
        Status,
    },
};

use super::trial::{ProcessTrial, RETENTION, saved};

/// As it was created, with the backend's time.
pub async fn created_process_is_there(trial: &ProcessTrial) {
    let version = trial.create("a").await;
    let process = trial.get("a").await;
    let header = process.header;
    assert_eq!((header.id.as_str(), header.kind.as_str()), ("a", "upgrade"));
    assert_eq!((header.status, header.version), (Status::Pending, version));
    assert_eq!((header.percent, header.fence), (0, Fence::new(0)));
    assert!(header.created.as_micros() > 0 && header.created == header.updated);
    assert!(header.step.is_none() && header.error.is_none() && header.ended.is_none());
    assert!(header.owner.is_none() && header.lease_until.is_none());
    assert_eq!(process.payload, Payload::new("text/1", "begun"));
    assert!(trial.processes.get("b").await.expect("an answer").is_none());
}

/// A second process of the same id is not created.
pub async fn taken_id_is_told(trial: &ProcessTrial) {
    let version = trial.create("a").await;
    let again = trial.processes.create(NewProcess::new("a", "other")).await;
    assert_eq!(again.expect("an answer"), Created::Exists { version });
    assert_eq!(trial.get("a").await.header.kind, "upgrade");
}

/// The reply was lost, the call is repeated, and there is one process.
pub async fn repeated_creation_is_recognised(trial: &ProcessTrial) {
    let (new, operation) = (NewProcess::new("a", "k"), OperationId::from_bytes([1; 16]));
    let first = trial.store().create(&new, operation).await;
    let Created::Created { version } = first.expect("an answer") else {
        panic!("not created");
    };
    let again = trial.store().create(&new, operation).await;
    assert_eq!(
        again.expect("an answer"),
        Created::AlreadyApplied { version }
    );
}

/// Binary payloads and long texts, unchanged.
pub async fn changes_are_kept_and_the_rest_stays(trial: &ProcessTrial) {
    let version = trial.create("a").await;
    let step = "schema: \u{fc}ber\n\0 'quoted' ".to_owned() + &"x".repeat(2_000);
    let change = Change::new()
        .status(Status::Running)
        .step(&step)
        .percent(40);
    let save = trial
        .processes
        .save("a", change, Expect::Exact(version), None);
    let version = saved(save.await.expect("an answer"));
    let bytes: Vec<u8> = (0..=255).collect();
    let change = Change::new().payload(Payload::new("raw/2", bytes.clone()));
    let save = trial
        .processes
        .save("a", change, Expect::Exact(version), None);
    let version = saved(save.await.expect("an answer"));
    let process = trial.get("a").await;
    assert_eq!(process.payload, Payload::new("raw/2", bytes));
    let header = process.header;
    assert_eq!(header.step.as_deref(), Some(step.as_str()));
    assert_eq!((header.status, header.percent), (Status::Running, 40));
    assert_eq!(header.version, version);
    assert!(header.updated >= header.created);
}

/// A save based on anything but the stored version changes nothing.
pub async fn t_ps_2_old_versions_are_refused(trial: &ProcessTrial) {
    let old = trial.create("a").await;
    let change = || Change::new().percent(1);
    let save = trial
        .processes
        .save("a", change(), Expect::Exact(old), None)
        .await;
    let current = saved(save.expect("an answer"));
    assert!(current > old);
    let save = trial
        .processes
        .save("a", Change::new().percent(2), Expect::Exact(old), None);
    let status = Status::Pending;
    assert_eq!(
        save.await.expect("an answer"),
        Saved::Conflict { current, status }
    );
    assert_eq!(trial.get("a").await.header.percent, 1);
    let save = trial
        .processes
        .save("a", Change::new().percent(3), Expect::Any, None)
        .await;
    assert!(saved(save.expect("an answer")) > current);
}

/// Whatever version is named, and none.
pub async fn n_ps_12_missing_process_accepts_no_version(trial: &ProcessTrial) {
    let version = trial.create("other").await;
    for expect in [Expect::Exact(version), Expect::Any] {
        let save = trial.processes.save("a", Change::new(), expect, None).await;
        assert_eq!(save.expect("an answer"), Saved::NotFound);
        let deleted = trial.processes.delete("a", expect).await;
        assert_eq!(deleted.expect("an answer"), Deleted::NotFound);
    }
}

/// A version of an earlier life of an id is never one of a later life.
pub async fn n_ps_13_versions_go_on_after_a_deletion(trial: &ProcessTrial) {
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let first = trial.create("a").await;
        let save = trial
            .processes
            .save("a", Change::new(), Expect::Any, None)
            .await;
        let second = saved(save.expect("an answer"));
        assert!(seen.last().is_none_or(|last| *last < first));
        seen.extend([first, second]);
        let deleted = trial.processes.delete("a", Expect::Exact(second)).await;
        assert_eq!(deleted.expect("an answer"), Deleted::Deleted);
        trial.pass(std::time::Duration::from_millis(1)).await;
    }
    trial.create("a").await;
    for old in seen {
        let save = trial
            .processes
            .save("a", Change::new(), Expect::Exact(old), None);
        assert!(matches!(
            save.await.expect("an answer"),
            Saved::Conflict { .. }
        ));
    }
}

/// The last four operations are known; repeating one changes nothing.
pub async fn repeated_save_is_recognised(trial: &ProcessTrial) {
    trial.create("a").await;
    let save = async |number: u8| {
        let change = Change::new().percent(number);
        let save = Save {
            change: &change,
            expect: Expect::Any,
            fence: None,
            allowed_from: &Status::LIVE,
            overrides_claim: false,
            operation: OperationId::from_bytes([number; 16]),
        };
        trial.store().save("a", &save).await.expect("an answer")
    };
    let mut versions = Vec::new();
    for number in 1..=6 {
        versions.push(saved(save(number).await));
    }
    for number in 3..=6_u8 {
        let version = versions[usize::from(number) - 1];
        assert_eq!(save(number).await, Saved::AlreadyApplied { version });
    }
    assert_eq!(trial.get("a").await.header.percent, 6);
}

/// A finished process is not run again, and a cancelled one is not finished.
pub async fn n_ps_2_nothing_leaves_an_end(trial: &ProcessTrial) {
    for (id, end) in [
        ("a", Status::Completed),
        ("b", Status::Failed),
        ("c", Status::Cancelled),
        ("d", Status::RolledBack),
    ] {
        trial.create(id).await;
        let save = |status| {
            let change = Change::new().status(status);
            trial.processes.save(id, change, Expect::Any, None)
        };
        saved(save(Status::Running).await.expect("an answer"));
        saved(save(end).await.expect("an answer"));
        let refused = Saved::BadTransition { from: end };
        for to in Status::ALL {
            assert_eq!(save(to).await.expect("an answer"), refused);
        }
        let save = trial
            .processes
            .save(id, Change::new().percent(20), Expect::Any, None);
        assert_eq!(save.await.expect("an answer"), refused);
        assert_eq!(
            trial.processes.cancel(id).await.expect("an answer"),
            refused
        );
    }
}

/// Even when a caller of the port allows writes from an end: a note is taken, the process stays
/// ended, is listed as ended and goes when it would have gone.
pub async fn n_ps_2_note_on_an_ended_process_does_not_revive_it(trial: &ProcessTrial) {
    trial.create("a").await;
    saved(trial.processes.cancel("a").await.expect("an answer"));
    let ended = trial.get("a").await.header.ended;
    trial.pass(RETENTION / 2).await;
    let save = async |change: Change, number: u8| {
        let save = Save {
            change: &change,
            expect: Expect::Any,
            fence: None,
            allowed_from: &Status::ALL,
            overrides_claim: false,
            operation: OperationId::from_bytes([number; 16]),
        };
        trial.store().save("a", &save).await.expect("an answer")
    };
    for (number, to) in (0..).zip(Status::ALL) {
        let from = Status::Cancelled;
        let moved = save(Change::new().status(to), number).await;
        assert_eq!(moved, Saved::BadTransition { from }, "{to}");
    }
    let version = saved(save(Change::new().step("looked at"), 100).await);
    let header = trial.get("a").await.header;
    assert_eq!(
        (header.status, header.version),
        (Status::Cancelled, version)
    );
    assert_eq!(header.step.as_deref(), Some("looked at"));
    assert_eq!(header.ended, ended);
    let listed = async |listing: Listing<'_>| {
        let page = trial.store().list(listing, None).await.expect("a page");
        page.items.len()
    };
    assert_eq!(listed(Listing::Active).await, 0);
    assert_eq!(listed(Listing::Ended).await, 1);
    trial.pass(RETENTION / 2).await;
    assert!(trial.processes.get("a").await.expect("an answer").is_none());
}

/// Who read before the end does not bring the process back from it.
pub async fn n_ps_1_late_progress_does_not_undo_the_end(trial: &ProcessTrial) {
    let read = trial.create("a").await;
    let done = Change::new().status(Status::Running).percent(90);
    let running = trial.processes.save("a", done, Expect::Exact(read), None);
    let running = saved(running.await.expect("an answer"));
    let done = Change::new().status(Status::Completed).percent(100);
    let ended = trial
        .processes
        .save("a", done, Expect::Exact(running), None);
    let current = saved(ended.await.expect("an answer"));
    let late = || Change::new().status(Status::Running).percent(20);
    for old in [read, running] {
        let save = trial.processes.save("a", late(), Expect::Exact(old), None);
        let status = Status::Completed;
        assert_eq!(
            save.await.expect("an answer"),
            Saved::Conflict { current, status }
        );
    }
    for expect in [Expect::Exact(current), Expect::Any] {
        let save = trial.processes.save("a", late(), expect, None).await;
        let from = Status::Completed;
        assert_eq!(save.expect("an answer"), Saved::BadTransition { from });
    }
    let header = trial.get("a").await.header;
    assert_eq!((header.status, header.percent), (Status::Completed, 100));
    assert_eq!(header.version, current);
}

/// Only a version that is not the stored one is a conflict: nothing else is called one because a
/// version was named.
pub async fn n_ps_15_other_refusals_are_no_conflicts(trial: &ProcessTrial) {
    let version = trial.create("a").await;
    let save = async |id: &str, change: Change, version| {
        trial
            .processes
            .save(id, change, Expect::Exact(version), None)
            .await
    };
    let missing = save("b", Change::new(), version).await;
    assert_eq!(missing.expect("an answer"), Saved::NotFound);
    let large = Change::new().payload(Payload::new("raw", vec![0; 1024 * 1024 + 1]));
    let large = save("a", large, version).await;
    assert!(
        matches!(large, Err(ProcessError::TooLarge { .. })),
        "{large:?}"
    );
    let claim = trial.claim("a", "w").await;
    let version = trial.get("a").await.header.version;
    let current = claim.fence;
    let fenced = save("a", Change::new(), version).await;
    assert_eq!(fenced.expect("an answer"), Saved::Fenced { current });
    let cancelled = saved(trial.processes.cancel("a").await.expect("an answer"));
    // The cancellation made the fence worthless, too; that is checked before the status.
    let fence = trial.get("a").await.header.fence;
    let ended = trial
        .processes
        .save("a", Change::new(), Expect::Exact(cancelled), Some(fence));
    let from = Status::Cancelled;
    assert_eq!(
        ended.await.expect("an answer"),
        Saved::BadTransition { from }
    );
}

/// From every live status to every status.
pub async fn every_transition_is_as_the_table_says(trial: &ProcessTrial) {
    for from in Status::LIVE {
        for to in Status::ALL {
            let id = format!("{from}-{to}");
            let new = NewProcess::new(&id, "k").status(from);
            trial.processes.create(new).await.expect("an answer");
            let save = trial
                .processes
                .transition(&id, &Status::ALL, to, None)
                .await;
            let allowed = matches!(save.expect("an answer"), Saved::Saved { .. });
            assert_eq!(allowed, from.may_become(to), "{id}");
            let stands = if allowed { to } else { from };
            assert_eq!(trial.get(&id).await.header.status, stands);
        }
    }
}

/// What the table allows may still not be what the caller meant.
pub async fn named_sources_are_checked_too(trial: &ProcessTrial) {
    trial.create("a").await;
    let resume = trial
        .processes
        .transition("a", &[Status::Paused], Status::Running, None);
    let refused = Saved::BadTransition {
        from: Status::Pending,
    };
    assert_eq!(resume.await.expect("an answer"), refused);
}

/// Written with the status, in one step.
pub async fn n_ps_3_every_end_has_a_time(trial: &ProcessTrial) {
    trial.create("a").await;
    saved(trial.processes.cancel("a").await.expect("an answer"));
    let header = trial.get("a").await.header;
    assert_eq!(header.ended, Some(header.updated));
    assert_eq!(header.status, Status::Cancelled);
}

/// Only ended processes have a lifetime.
pub async fn n_ps_6_paused_process_stays(trial: &ProcessTrial) {
    trial.create("a").await;
    let pause = trial
        .processes
        .transition("a", &Status::LIVE, Status::Paused, None);
    saved(pause.await.expect("an answer"));
    trial.pass(RETENTION * 2).await;
    assert_eq!(trial.get("a").await.header.status, Status::Paused);
}

/// Kept for the retention, then gone by itself.
pub async fn n_ps_14_ended_process_goes_after_its_retention(trial: &ProcessTrial) {
    trial.create("a").await;
    saved(trial.processes.cancel("a").await.expect("an answer"));
    assert_eq!(trial.get("a").await.header.status, Status::Cancelled);
    trial.pass(RETENTION).await;
    assert!(trial.processes.get("a").await.expect("an answer").is_none());
    trial.create("a").await;
}

/// A deletion does not hit a process that has moved on.
pub async fn deletion_checks_the_version(trial: &ProcessTrial) {
    let old = trial.create("a").await;
    let save = trial
        .processes
        .save("a", Change::new(), Expect::Any, None)
        .await;
    let current = saved(save.expect("an answer"));
    let deleted = trial.processes.delete("a", Expect::Exact(old)).await;
    assert_eq!(deleted.expect("an answer"), Deleted::Conflict { current });
    let deleted = trial.processes.delete("a", Expect::Exact(current)).await;
    assert_eq!(deleted.expect("an answer"), Deleted::Deleted);
    assert!(trial.processes.get("a").await.expect("an answer").is_none());
}

/// Changing what was read changes nothing that is stored.
pub async fn n_ps_17_what_is_read_is_a_copy(trial: &ProcessTrial) {
    trial.create("a").await;
    let mut read = trial.get("a").await;
    read.header.percent = 99;
    read.header.status = Status::Failed;
    read.payload = Payload::default();
    let stored = trial.get("a").await;
    assert_eq!(
        (stored.header.percent, stored.header.status),
        (0, Status::Pending)
    );
    assert_eq!(stored.payload, Payload::new("text/1", "begun"));
}

/// Writers of one version: one succeeds, all others are told.
pub async fn t_ps_1_one_of_many_writers_wins(trial: &ProcessTrial) {
    let version = trial.create("a").await;
    let writers: Vec<_> = (0..32)
        .map(|number| {
            let processes = trial.processes.clone();
            let change = Change::new().percent(number);
            tokio::spawn(async move {
                let save = processes.save("a", change, Expect::Exact(version), None);
                save.await.expect("an answer")
            })
        })
        .collect();
    let mut won = 0;
    for writer in writers {
        match writer.await.expect("no panic") {
            Saved::Saved { .. } => won += 1,
            Saved::Conflict { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(won, 1);
}

/// A request that is given up does not take the end of a process with it.
pub async fn n_ps_10_an_end_is_written_though_nobody_waits(trial: &ProcessTrial) {
    trial.create("a").await;
    {
        let cancel = std::pin::pin!(trial.processes.cancel("a"));
        // Polled once, then dropped.
        tokio::select! {
            biased;
            _ = cancel => {}
            () = std::future::ready(()) => {}
        }
    }
    let ended = async {
        loop {
            if trial.get("a").await.header.status == Status::Cancelled {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    ended.await;
}

/// Before anything is sent.
pub async fn bad_arguments_are_refused(trial: &ProcessTrial) {
    let long = "x".repeat(513);
    let argument = |result: Result<(), ProcessError>| match result {
        Err(ProcessError::Invalid { argument, .. }) => argument,
        other => panic!("{other:?}"),
    };
    let create = async |new: NewProcess| argument(trial.processes.create(new).await.map(drop));
    assert_eq!(create(NewProcess::new("", "k")).await, "id");
    assert_eq!(create(NewProcess::new(&*long, "k")).await, "id");
    assert_eq!(create(NewProcess::new("a", "k:x")).await, "kind");
    let ended = NewProcess::new("a", "k").status(Status::Failed);
    assert_eq!(create(ended).await, "status");
    let formatted = NewProcess::new("a", "k").payload(Payload::new("f".repeat(65), ""));
    assert_eq!(create(formatted).await, "format");
    let save = async |change: Change| {
        let save = trial.processes.save("a", change, Expect::Any, None).await;
        argument(save.map(drop))
    };
    assert_eq!(save(Change::new().percent(101)).await, "percent");
    assert_eq!(save(Change::new().step("x".repeat(4_097))).await, "step");
    assert_eq!(save(Change::new().error("x".repeat(4_097))).await, "error");
    let claim = trial.processes.claim("a", &long).await;
    assert_eq!(argument(claim.map(drop)), "worker");
    let large = Payload::new("raw", vec![0; 1024 * 1024 + 1]);
    let create = trial
        .processes
        .create(NewProcess::new("a", "k").payload(large))
        .await;
    assert!(
        matches!(create, Err(ProcessError::TooLarge { .. })),
        "{create:?}"
    );
}
