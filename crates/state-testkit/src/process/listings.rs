//! Listings.

use std::collections::BTreeSet;

use state_core::process::{
    Expect, Listing, NewProcess, PageCursor, ProcessError, ProcessPage, Status,
};

use super::trial::{LEASE, PAGE, ProcessTrial};

/// Every id of a listing, page by page.
async fn all(trial: &ProcessTrial, listing: Listing<'_>) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after: Option<PageCursor> = None;
    loop {
        let page: ProcessPage = trial
            .processes
            .list(listing, after.as_ref())
            .await
            .expect("a page");
        assert!(
            page.items.len() <= PAGE && page.undecodable.is_empty(),
            "{page:?}"
        );
        ids.extend(page.items.into_iter().map(|item| item.id));
        // The cursor survives being written down.
        let Some(next) = page.next else {
            return ids;
        };
        after = Some(next.to_string().parse().expect("a cursor"));
    }
}

async fn set(trial: &ProcessTrial, listing: Listing<'_>) -> BTreeSet<String> {
    let all = all(trial, listing).await;
    let count = all.len();
    let set: BTreeSet<_> = all.into_iter().collect();
    assert_eq!(set.len(), count, "something was listed twice");
    set
}

fn ids(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// Live, unclaimed, orphaned, of a kind, ended.
pub async fn listings_have_what_they_say(trial: &ProcessTrial) {
    for id in ["new", "claimed", "orphan", "done"] {
        trial.create(id).await;
    }
    for (id, kind) in [("x", "up"), ("y", "upgrades")] {
        let new = NewProcess::new(id, kind).status(Status::Paused);
        trial.processes.create(new).await.expect("an answer");
    }
    trial.claim("orphan", "w1").await;
    trial.pass(LEASE).await;
    trial.claim("claimed", "w1").await;
    trial.processes.cancel("done").await.expect("an answer");
    let active = ids(&["new", "claimed", "orphan", "x", "y"]);
    assert_eq!(set(trial, Listing::Active).await, active);
    assert_eq!(
        set(trial, Listing::Unclaimed).await,
        ids(&["new", "x", "y"])
    );
    assert_eq!(set(trial, Listing::Orphans).await, ids(&["orphan"]));
    let upgrades = ids(&["new", "claimed", "orphan"]);
    assert_eq!(set(trial, Listing::ByKind("upgrade")).await, upgrades);
    assert_eq!(set(trial, Listing::ByKind("up")).await, ids(&["x"]));
    assert_eq!(set(trial, Listing::ByKind("none")).await, ids(&[]));
    assert_eq!(set(trial, Listing::Ended).await, ids(&["done"]));
}

/// Whole, without repetition, whatever the size of a page.
pub async fn pages_have_everything_once(trial: &ProcessTrial) {
    let mut expected = BTreeSet::new();
    for number in 0..(PAGE * 4 + 1) {
        let id = format!("p{number}");
        trial.create(&id).await;
        expected.insert(id);
    }
    assert_eq!(set(trial, Listing::Active).await, expected);
    assert_eq!(set(trial, Listing::Unclaimed).await, expected);
    for id in &expected {
        trial.claim(id, "w1").await;
    }
    trial.pass(LEASE).await;
    assert_eq!(set(trial, Listing::Orphans).await, expected);
    for id in &expected {
        trial.processes.cancel(id).await.expect("an answer");
    }
    assert_eq!(set(trial, Listing::Ended).await, expected);
    assert_eq!(set(trial, Listing::Active).await, ids(&[]));
}

/// An id may be anything, also what a backend calls its own things.
pub async fn n_ps_5_ids_are_no_keys(trial: &ProcessTrial) {
    let odd = [
        "active", "kinds", "ended", "log", "doc", "a:b", "{a}", "a b", "%", "*", "\u{fc}", "\n",
    ];
    for id in odd {
        trial.create(id).await;
    }
    assert_eq!(set(trial, Listing::Active).await, ids(&odd));
    assert_eq!(set(trial, Listing::ByKind("upgrade")).await, ids(&odd));
    for id in odd {
        assert_eq!(trial.get(id).await.header.id, id);
        trial.processes.cancel(id).await.expect("an answer");
    }
    assert_eq!(set(trial, Listing::Ended).await, ids(&odd));
}

/// After each step the listings are what the records say.
pub async fn n_ps_4_listings_follow_every_step(trial: &ProcessTrial) {
    let check = async |active: bool, unclaimed: bool, ended: bool| {
        let one = |listed: bool| if listed { ids(&["a"]) } else { ids(&[]) };
        assert_eq!(set(trial, Listing::Active).await, one(active));
        assert_eq!(set(trial, Listing::ByKind("upgrade")).await, one(active));
        assert_eq!(set(trial, Listing::Unclaimed).await, one(unclaimed));
        assert_eq!(set(trial, Listing::Ended).await, one(ended));
    };
    check(false, false, false).await;
    trial.create("a").await;
    check(true, true, false).await;
    let claim = trial.claim("a", "w1").await;
    check(true, false, false).await;
    let pause = trial
        .processes
        .transition("a", &Status::LIVE, Status::Paused, Some(claim.fence));
    pause.await.expect("an answer");
    check(true, false, false).await;
    trial.processes.release(&claim).await.expect("an answer");
    check(true, true, false).await;
    trial.processes.cancel("a").await.expect("an answer");
    check(false, false, true).await;
    trial
        .processes
        .delete("a", Expect::Any)
        .await
        .expect("an answer");
    check(false, false, false).await;
}

/// A cursor of a store with more shards.
pub async fn foreign_cursor_is_refused(trial: &ProcessTrial) {
    trial.create("a").await;
    let cursor = PageCursor {
        shard: 9_999,
        score: 0,
        member: "a".to_owned(),
    };
    let page = trial.processes.list(Listing::Active, Some(&cursor)).await;
    assert!(matches!(page, Err(ProcessError::Cursor(_))), "{page:?}");
}
