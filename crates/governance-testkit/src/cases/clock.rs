//! The store's clock.

use std::time::Duration;

use governance_core::{Order, RequestQuery, TenantId, Timestamp};

use crate::{Trial, check, fixtures};

/// The store tells a time after 2020: a clock that was never set is not one.
pub async fn tells_a_plausible_time(trial: &Trial) {
    let now = trial.store().now().await.expect("the time");
    assert!(now > Timestamp::from_micros(1_577_836_800_000_000), "{now}");
    assert!(now < Timestamp::from_micros(7_258_118_400_000_000), "{now}");
}

/// Two handles of one store are told the time of one clock.
pub async fn every_handle_is_told_the_same_clock(trial: &Trial) {
    let Some(other) = trial.reopen().await else {
        return trial.lacks("reopening");
    };
    let one = trial.store().now().await.expect("the time");
    let two = other.now().await.expect("the time");
    let three = trial.store().now().await.expect("the time");
    assert!(one <= two && two <= three, "{one} {two} {three}");
}

/// A clock that is set is the one the store tells.
pub async fn set_clock_is_told(trial: &Trial) {
    let Some(clock) = trial.clock() else {
        return trial.lacks("a clock that can be set");
    };
    for time in [
        trial.start().saturating_add(Duration::from_secs(5)),
        Timestamp::from_micros(trial.start().as_micros() - 1),
    ] {
        clock.set(time);
        assert_eq!(trial.store().now().await.expect("the time"), time);
    }
}

/// Listings go by the store's clock: a request nobody wrote leaves an inbox when it is overdue.
pub async fn listings_go_by_the_clock(trial: &Trial) {
    let Some(clock) = trial.clock() else {
        return trial.lacks("a clock that can be set");
    };
    let minute = Duration::from_secs(60);
    let request = trial.create(&trial.request().expires_in(minute)).await;
    let store = &**trial.store();
    let query = RequestQuery::in_tenant(TenantId::default());
    let inbox = query
        .clone()
        .decidable_by(fixtures::actor_id("bob"), Default::default());
    assert_eq!(check::found(store, &inbox).await, [*request.id()]);
    clock.advance(minute - Duration::from_micros(1));
    assert_eq!(check::found(store, &inbox).await, [*request.id()]);
    // At the deadline itself it is over.
    clock.advance(Duration::from_micros(1));
    assert_eq!(check::found(store, &inbox).await, []);
    let due = check::walk(store, &query.due_by(clock.time()), Order::Deadline, 10).await;
    assert_eq!(check::ids(&due), [*request.id()]);
}
