//! One load at a time in this process.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::cache::{CacheError, Source};

/// How a load ended, for everybody who waited for it.
#[derive(Debug, Clone)]
pub(crate) struct Landing {
    pub(crate) result: Result<(Option<Bytes>, u8, Source), CacheError>,
    /// The round in which the backend confirmed that nothing it depends on had been invalidated.
    /// It is good for who was there before that round. For others, only if the load began after
    /// they came.
    pub(crate) confirmed: Option<u64>,
}

/// The loads under way. The lock is held to look one up, never while one runs.
#[derive(Debug, Default)]
pub(crate) struct Flights {
    flying: Mutex<HashMap<Arc<str>, Flying>>,
    next: AtomicU64,
}

#[derive(Debug)]
struct Flying {
    number: u64,
    /// Counts the questions to the backend that confirm the value.
    round: u64,
    landed: watch::Receiver<Option<Landing>>,
}

/// A place on a load.
pub(crate) enum Seat {
    /// The caller is to load.
    Leader(Leader, Landed),
    /// Somebody is loading.
    Follower(Landed),
}

/// Waits for a load.
pub(crate) struct Landed {
    receiver: watch::Receiver<Option<Landing>>,
    /// The round when the caller came.
    came: u64,
}

impl Landed {
    /// How it ended, and whether it is confirmed for this caller; none if it was broken off.
    pub(crate) async fn landing(mut self) -> Option<(Landing, bool)> {
        let landed = self.receiver.wait_for(Option::is_some).await.ok()?;
        let landing = landed.clone()?;
        let confirmed = landing.confirmed.is_some_and(|round| self.came < round);
        Some((landing, confirmed))
    }
}

/// The duty to load. Dropping it without an end breaks the load off.
#[derive(Debug)]
pub(crate) struct Leader {
    flights: Arc<Flights>,
    key: Arc<str>,
    number: u64,
    landed: watch::Sender<Option<Landing>>,
}

impl Flights {
    /// Joins the load of a key, or starts one.
    pub(crate) fn board(self: &Arc<Self>, key: &str) -> Seat {
        let mut flying = self.flying.lock();
        if let Some(there) = flying.get(key) {
            return Seat::Follower(Landed {
                receiver: there.landed.clone(),
                came: there.round,
            });
        }
        let (leader, receiver) = self.start(&mut flying, key);
        Seat::Leader(leader, Landed { receiver, came: 0 })
    }

    /// Starts a load unless there is one.
    pub(crate) fn lead(self: &Arc<Self>, key: &str) -> Option<Leader> {
        let mut flying = self.flying.lock();
        if flying.contains_key(key) {
            return None;
        }
        Some(self.start(&mut flying, key).0)
    }

    fn start(
        self: &Arc<Self>,
        flying: &mut HashMap<Arc<str>, Flying>,
        key: &str,
    ) -> (Leader, watch::Receiver<Option<Landing>>) {
        let (sender, landed) = watch::channel(None);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let key: Arc<str> = key.into();
        let there = Flying {
            number,
            round: 0,
            landed: landed.clone(),
        };
        flying.insert(Arc::clone(&key), there);
        let leader = Leader {
            flights: Arc::clone(self),
            key,
            number,
            landed: sender,
        };
        (leader, landed)
    }

    /// Nobody joins the load of a key any more: what it loads may be outdated.
    pub(crate) fn detach(&self, key: &str) {
        self.flying.lock().remove(key);
    }

    /// Nobody joins any load that is under way.
    pub(crate) fn detach_all(&self) {
        self.flying.lock().clear();
    }

    /// How many loads can be joined.
    pub(crate) fn count(&self) -> usize {
        self.flying.lock().len()
    }
}

impl Leader {
    /// Starts a round: the backend is about to be asked. Returns its number.
    pub(crate) fn next_round(&self) -> u64 {
        let mut flying = self.flights.flying.lock();
        match flying.get_mut(&*self.key) {
            Some(there) if there.number == self.number => {
                there.round += 1;
                there.round
            }
            // Nobody joins any more, so everybody was there before.
            _ => u64::MAX,
        }
    }

    /// Ends the load.
    pub(crate) fn land(self, landing: Landing) {
        // Whoever comes from now on is not on this flight.
        self.leave();
        self.landed.send_replace(Some(landing));
    }

    fn leave(&self) {
        let mut flying = self.flights.flying.lock();
        if flying
            .get(&*self.key)
            .is_some_and(|there| there.number == self.number)
        {
            flying.remove(&*self.key);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn landing() -> Landing {
        Landing {
            result: Ok((None, 0, Source::Loaded)),
            confirmed: None,
        }
    }

    #[tokio::test]
    async fn who_comes_after_the_question_does_not_trust_its_answer() {
        let flights = Arc::new(Flights::default());
        let Seat::Leader(leader, mine) = flights.board("k") else {
            panic!("nobody was there");
        };
        let Seat::Follower(before) = flights.board("k") else {
            panic!("somebody is there");
        };
        let round = leader.next_round();
        let Seat::Follower(after) = flights.board("k") else {
            panic!("somebody is there");
        };
        leader.land(Landing {
            confirmed: Some(round),
            ..landing()
        });
        for (landed, expected) in [(mine, true), (before, true), (after, false)] {
            assert_eq!(landed.landing().await.unwrap().1, expected);
        }
    }

    #[tokio::test]
    async fn followers_get_what_the_leader_lands() {
        let flights = Arc::new(Flights::default());
        let Seat::Leader(leader, mine) = flights.board("k") else {
            panic!("nobody was there");
        };
        let Seat::Follower(other) = flights.board("k") else {
            panic!("somebody is there");
        };
        assert!(matches!(flights.board("l"), Seat::Leader(..)));
        leader.land(landing());
        assert!(mine.landing().await.is_some());
        assert!(other.landing().await.is_some());
        assert_eq!(flights.count(), 0);
    }

    #[tokio::test]
    async fn a_dropped_leader_hands_over() {
        let flights = Arc::new(Flights::default());
        let Seat::Leader(leader, _) = flights.board("k") else {
            panic!("nobody was there");
        };
        let Seat::Follower(follower) = flights.board("k") else {
            panic!("somebody is there");
        };
        drop(leader);
        assert!(follower.landing().await.is_none());
        assert!(matches!(flights.board("k"), Seat::Leader(..)));
    }

    #[tokio::test]
    async fn nobody_joins_a_detached_load_and_its_end_is_no_other_ones() {
        let flights = Arc::new(Flights::default());
        let Seat::Leader(old, _) = flights.board("k") else {
            panic!("nobody was there");
        };
        flights.detach("k");
        let Seat::Leader(new, _) = flights.board("k") else {
            panic!("it was detached");
        };
        old.land(landing());
        assert!(matches!(flights.board("k"), Seat::Follower(_)));
        drop(new);
        assert_eq!(flights.count(), 0);
    }
}
