//! Leaders.

use std::{sync::Arc, time::Duration};

use state_core::lock::{Campaign, LeaderOptions, Leadership, LockOptions, LockStore};

use super::{
    stalling::Stalling,
    trial::{LONG, LockTrial, SHORT},
};

fn stand(trial: &LockTrial, ttl: Duration) -> Campaign {
    let options = LeaderOptions::default().ttl(ttl);
    let campaign = trial.locks().campaign("a", options);
    campaign.expect("a campaign")
}

async fn becomes(campaign: &Campaign, wanted: impl Fn(&Leadership) -> bool) -> Leadership {
    let mut states = campaign.watch();
    *states.wait_for(wanted).await.expect("the campaign goes on")
}

const fn leads(state: &Leadership) -> bool {
    matches!(state, Leadership::Leader { .. })
}

fn follows(state: &Leadership) -> bool {
    *state == Leadership::Follower
}

/// Of two candidates one leads and the other follows.
pub async fn one_candidate_leads(trial: &LockTrial) {
    let first = stand(trial, LONG);
    trial.until(becomes(&first, leads)).await;
    assert!(first.is_leader());
    let second = stand(trial, LONG);
    trial.until(becomes(&second, follows)).await;
    assert!(!second.is_leader() && second.term().is_none());
    assert!(first.is_leader());
}

/// The other candidate does not wait for the term to end.
pub async fn resignation_hands_over(trial: &LockTrial) {
    let first = stand(trial, LONG);
    trial.until(becomes(&first, leads)).await;
    let term = first.term();
    let second = stand(trial, LONG);
    trial.until(becomes(&second, follows)).await;
    assert!(first.resign().await.is_some());
    trial.until(becomes(&second, leads)).await;
    assert!(second.term() > term);
}

/// A leader that gets no answer any more stops being one by its own clock, and another is elected.
pub async fn n_lk_8_stalled_leader_knows_in_time(trial: &LockTrial) {
    let stalling = Arc::new(Stalling::new(Arc::clone(&trial.parts.store)));
    let store = Arc::clone(&stalling) as Arc<dyn LockStore>;
    let locks = trial.front_of(store, LockOptions::default());
    let options = LeaderOptions::default().ttl(SHORT);
    let stalled = locks.campaign("a", options);
    let stalled = stalled.expect("a campaign");
    trial.until(becomes(&stalled, leads)).await;
    stalling.stall();
    let next = stand(trial, LONG);
    trial.until(becomes(&next, leads)).await;
    assert!(!stalled.is_leader(), "two leaders at a time");
    trial
        .until(becomes(&stalled, |state| *state == Leadership::Unknown))
        .await;
}

/// Each term has a larger number.
pub async fn terms_rise(trial: &LockTrial) {
    let mut last = None;
    for _ in 0..5 {
        let campaign = stand(trial, LONG);
        trial.until(becomes(&campaign, leads)).await;
        let term = campaign.term();
        assert!(term > last, "{term:?} after {last:?}");
        last = term;
        campaign.resign().await.expect("a leadership to give back");
    }
}

/// Dropping a campaign gives the leadership back.
pub async fn dropped_campaign_ends(trial: &LockTrial) {
    let first = stand(trial, LONG);
    trial.until(becomes(&first, leads)).await;
    drop(first);
    let second = stand(trial, LONG);
    trial.until(becomes(&second, leads)).await;
}
