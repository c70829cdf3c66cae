//! Governed states: versions that only count upwards.

use bytes::Bytes;
use governance_core::{
    Conflict, IdSource as _, Scope, StateSnapshot, StateVersion, StateWrite, StoreError,
    StoreErrorKind,
};

use crate::{
    Trial, check,
    fixtures::{scope, state_type, tenant},
};

fn write(trial: &Trial, scope: &Scope, expected: u64, body: Option<&'static str>) -> StateWrite {
    StateWrite {
        scope: scope.clone(),
        expected: StateVersion::new(expected),
        body: body.map(|text| Bytes::from_static(text.as_bytes())),
        operation: trial.ids().operation_id(),
    }
}

async fn save(
    trial: &Trial,
    scope: &Scope,
    expected: u64,
    body: Option<&'static str>,
) -> Result<StateVersion, StoreError> {
    trial
        .store()
        .save(&write(trial, scope, expected, body))
        .await
}

async fn has(trial: &Trial, scope: &Scope, version: u64, body: Option<&'static str>) {
    let found = trial.store().load(scope).await.expect("a read");
    let expected = StateSnapshot {
        version: StateVersion::new(version),
        body: body.map(|text| Bytes::from_static(text.as_bytes())),
    };
    assert_eq!(found, expected);
}

fn conflicts(result: Result<StateVersion, StoreError>, expected: u64, actual: u64) {
    let error = check::refused(result, StoreErrorKind::Conflict);
    let conflict = Conflict::State {
        expected: StateVersion::new(expected),
        actual: StateVersion::new(actual),
    };
    assert_eq!(error.conflict_data(), Some(conflict), "{error}");
}

/// A state nobody wrote has the absent version and no body.
pub async fn never_written_is_absent(trial: &Trial) {
    let found = trial.store().load(&scope("a")).await.expect("a read");
    assert_eq!(found, StateSnapshot::ABSENT);
}

/// A save from the stored version is stored, under the version after it.
pub async fn save_from_the_stored_version_is_stored(trial: &Trial) {
    let scope = scope("a");
    for (expected, body) in [(0, "one"), (1, "two"), (2, "")] {
        let saved = save(trial, &scope, expected, Some(body)).await;
        assert_eq!(saved.expect("a save").get(), expected + 1);
        has(trial, &scope, expected + 1, Some(body)).await;
    }
}

/// A save from another version is a conflict that tells both, and changes nothing.
pub async fn save_from_another_version_conflicts(trial: &Trial) {
    let scope = scope("a");
    conflicts(save(trial, &scope, 3, Some("early")).await, 3, 0);
    let first = save(trial, &scope, 0, Some("one")).await;
    first.expect("a save");
    for expected in [0, 2] {
        let result = save(trial, &scope, expected, Some("x")).await;
        conflicts(result, expected, 1);
    }
    let result = save(trial, &scope, 0, None).await;
    conflicts(result, 0, 1);
    has(trial, &scope, 1, Some("one")).await;
}

/// A deleted state keeps counting, so a version never comes back.
pub async fn deleted_state_keeps_counting(trial: &Trial) {
    let scope = scope("a");
    for (expected, body) in [(0, Some("one")), (1, None)] {
        let saved = save(trial, &scope, expected, body).await;
        saved.expect("a save");
    }
    has(trial, &scope, 2, None).await;
    for old in [0, 1] {
        let result = save(trial, &scope, old, Some("aba")).await;
        conflicts(result, old, 2);
    }
    let saved = save(trial, &scope, 2, Some("again")).await;
    assert_eq!(saved.expect("a save").get(), 3);
    has(trial, &scope, 3, Some("again")).await;
}

/// A save or delete that is repeated right after it finds its first outcome.
pub async fn repeated_save_finds_the_first_outcome(trial: &Trial) {
    let scope = scope("a");
    for (expected, body) in [(0, Some("one")), (1, None)] {
        let write = write(trial, &scope, expected, body);
        for _ in 0..3 {
            let saved = trial.store().save(&write).await;
            assert_eq!(saved.expect("the first outcome").get(), expected + 1);
        }
        has(trial, &scope, expected + 1, body).await;
    }
}

/// A save under another operation is not taken for a repetition, whatever it writes.
pub async fn same_save_of_another_operation_conflicts(trial: &Trial) {
    let scope = scope("a");
    let first = save(trial, &scope, 0, Some("one")).await;
    first.expect("a save");
    let second = save(trial, &scope, 0, Some("one")).await;
    conflicts(second, 0, 1);
}

/// States are told apart by tenant, kind and id.
pub async fn states_are_apart(trial: &Trial) {
    let one = scope("a");
    let scopes = [
        one.clone(),
        scope("b"),
        Scope {
            state_type: state_type("test.other"),
            ..one.clone()
        },
        Scope {
            tenant: tenant("acme"),
            ..one
        },
    ];
    let bodies = ["a", "b", "other", "acme"];
    for (scope, body) in scopes.iter().zip(bodies) {
        has(trial, scope, 0, None).await;
        let saved = save(trial, scope, 0, Some(body)).await;
        saved.expect("a save");
    }
    let deleted = save(trial, &scopes[0], 1, None).await;
    deleted.expect("a delete");
    has(trial, &scopes[0], 2, None).await;
    for (scope, body) in scopes.iter().zip(bodies).skip(1) {
        has(trial, scope, 1, Some(body)).await;
    }
}

/// Versions go on counting after a restart, also those of deleted states.
pub async fn reopened_store_goes_on_counting(trial: &Trial) {
    let (kept, gone) = (scope("kept"), scope("gone"));
    for (scope, expected, body) in [
        (&kept, 0, Some("one")),
        (&gone, 0, Some("one")),
        (&gone, 1, None),
    ] {
        let saved = save(trial, scope, expected, body).await;
        saved.expect("a save");
    }
    let Some(store) = trial.reopen().await else {
        return trial.lacks("reopening");
    };
    let found = store.load(&kept).await.expect("a read");
    assert_eq!(found.body.as_deref(), Some(&b"one"[..]));
    let result = store.save(&write(trial, &gone, 0, Some("aba"))).await;
    conflicts(result, 0, 2);
}
