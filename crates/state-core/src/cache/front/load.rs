//! Loading values.

use std::{error::Error, future::Future, pin::Pin, sync::Arc};

use bytes::Bytes;

use super::{inner::Inner, lease::Turn};
use crate::{
    cache::{
        CacheError, LoadOptions, Loaded, LoaderError, Source,
        flight::{Landed, Landing, Leader, Seat},
        mark::Mark,
    },
    caught::caught,
    error::Classified as _,
};

type Loading = Pin<Box<dyn Future<Output = Result<Option<Bytes>, LoaderError>> + Send>>;
pub(super) type Loader = Box<dyn FnOnce() -> Loading + Send>;

pub(super) fn boxed<F, L, E>(loader: F) -> Loader
where
    F: FnOnce() -> L + Send + 'static,
    L: Future<Output = Result<Option<Bytes>, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    Box::new(move || Box::pin(async move { loader().await.map_err(LoaderError::new) }))
}

/// What is known before a load.
#[derive(Debug, Clone)]
pub(super) struct Need {
    /// What tells a newer value from the one that was read.
    pub(super) mark: Mark,
    /// What can be used instead.
    pub(super) stale: Option<Loaded>,
    /// Whether the backend can be reached.
    pub(super) reachable: bool,
}

impl Need {
    pub(super) const fn after(mark: Mark) -> Self {
        Self {
            mark,
            stale: None,
            reachable: true,
        }
    }

    pub(super) const fn unreachable() -> Self {
        Self {
            mark: Mark::NONE,
            stale: None,
            reachable: false,
        }
    }

    pub(super) fn or(mut self, stale: Loaded) -> Self {
        self.stale = Some(Loaded {
            source: Source::Stale,
            ..stale
        });
        self
    }
}

impl Inner {
    /// Loads a value in the background, unless somebody does.
    pub(super) fn refresh(
        self: &Arc<Self>,
        key: &str,
        options: &LoadOptions,
        loader: Loader,
        need: Need,
    ) {
        if let Some(leader) = self.flights.lead(key) {
            self.observe("refresh", "early", None);
            self.take_off(leader, key, options, loader, need);
        }
    }

    /// Loads a value, or waits for who does.
    pub(super) async fn load(
        self: &Arc<Self>,
        key: &str,
        options: &LoadOptions,
        loader: Loader,
        need: Need,
    ) -> Result<Loaded, CacheError> {
        if let Some(stale) = &need.stale
            && self.is_cooling(key)
        {
            return Ok(stale.clone());
        }
        let mut loader = Some(loader);
        let mut waited_before = false;
        loop {
            let (landed, mine) = match self.flights.board(key) {
                Seat::Follower(landed) => (landed, false),
                Seat::Leader(leader, landed) => {
                    let Some(loader) = loader.take() else {
                        return Err(CacheError::LoaderPanicked);
                    };
                    self.take_off(leader, key, options, loader, need.clone());
                    (landed, true)
                }
            };
            let Some(landing) = self.wait_softly(landed, need.stale.is_some()).await else {
                // Only who has something stale stops waiting.
                return need.stale.ok_or(CacheError::LoadTimeout);
            };
            match landing {
                // The load was broken off, with its runtime.
                None if mine => return Err(CacheError::LoaderPanicked),
                None => {}
                Some((landing, confirmed)) => {
                    // A load that began before this call is good only if the backend confirmed it
                    // after this call; the next one begins after this call.
                    if mine || confirmed || waited_before || landing.result.is_err() {
                        return Self::landed(landing, mine, need.stale);
                    }
                    waited_before = true;
                }
            }
        }
    }

    fn landed(landing: Landing, mine: bool, stale: Option<Loaded>) -> Result<Loaded, CacheError> {
        match landing.result {
            Ok((value, codec, source)) => Ok(Loaded {
                value,
                codec,
                source: match source {
                    Source::Stale => Source::Stale,
                    source if mine => source,
                    _ => Source::Coalesced,
                },
            }),
            Err(error) => stale.ok_or(error),
        }
    }

    /// Waits for the end of a load. None when the soft timeout came first.
    async fn wait_softly(
        &self,
        landed: Landed,
        has_stale: bool,
    ) -> Option<Option<(Landing, bool)>> {
        let landing = landed.landing();
        match self.options.soft_timeout.filter(|_| has_stale) {
            None => Some(landing.await),
            Some(soft) => {
                let until = self.clock.now().saturating_add(soft);
                tokio::select! {
                    biased;
                    landing = landing => Some(landing),
                    () = self.clock.sleep_until(until) => None,
                }
            }
        }
    }

    fn take_off(
        self: &Arc<Self>,
        leader: Leader,
        key: &str,
        options: &LoadOptions,
        loader: Loader,
        need: Need,
    ) {
        let (this, key, options) = (Arc::clone(self), Arc::<str>::from(key), options.clone());
        tokio::spawn(async move {
            let landing = this.fly(&leader, &key, &options, loader, need).await;
            leader.land(landing);
        });
    }

    async fn fly(
        &self,
        leader: &Leader,
        key: &str,
        options: &LoadOptions,
        loader: Loader,
        need: Need,
    ) -> Landing {
        let turn = match self.turn(leader, key, options, need).await {
            Ok(turn) => turn,
            Err(error) => return failed(error),
        };
        let turn = match turn {
            Turn::Theirs(landing) => return landing,
            Turn::Mine(token, epochs) => Some((token, epochs)),
            Turn::Without => None,
        };
        let started = self.clock.now();
        let value = self.call(loader).await;
        let cost = self.clock.now().saturating_since(started);
        let value = match value {
            Ok(value) => value,
            Err(error) => {
                self.cool(key);
                self.observe("load", error.code(), Some(cost));
                if let Some((token, _)) = turn {
                    self.give_back(key, token).await;
                }
                return failed(error);
            }
        };
        self.cooling.lock().remove(key);
        self.observe("load", "loaded", Some(cost));
        let round = leader.next_round();
        let stored = match turn {
            Some((token, epochs)) => {
                self.fill(key, options, token, &epochs, value.as_ref(), cost)
                    .await
            }
            None => false,
        };
        let source = if stored {
            Source::Loaded
        } else {
            Source::Uncached
        };
        Landing {
            result: Ok((value, options.codec, source)),
            confirmed: stored.then_some(round),
        }
    }

    /// Runs the loader, for no longer than the hard timeout.
    async fn call(&self, loader: Loader) -> Result<Option<Bytes>, CacheError> {
        let until = self.clock.now().saturating_add(self.options.hard_timeout);
        let loading = caught(async move { loader().await });
        tokio::select! {
            biased;
            value = loading => match value {
                Ok(value) => value.map_err(CacheError::Loader),
                Err(_) => Err(CacheError::LoaderPanicked),
            },
            () = self.clock.sleep_until(until) => Err(CacheError::LoadTimeout),
        }
    }
}

const fn failed(error: CacheError) -> Landing {
    Landing {
        result: Err(error),
        confirmed: None,
    }
}
