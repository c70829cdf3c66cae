//! Loading values.

use std::{error::Error, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{inner::Inner, read::loaded};
use crate::{
    cache::{
        Begin, Begun, CacheError, Draft, Epochs, Fill, Filled, Freshness, Invalidation, LeaseToken,
        Lives, LoadOptions, Loaded, LoaderError, OnError, Source,
        flight::{Landed, Landing, Leader, Seat},
    },
    caught::caught,
    error::{BackendError, Classified as _},
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
    mark: Bytes,
    /// What can be used instead.
    stale: Option<Loaded>,
    /// Whether the backend can be reached.
    reachable: bool,
}

impl Need {
    pub(super) const fn after(mark: Bytes) -> Self {
        Self {
            mark,
            stale: None,
            reachable: true,
        }
    }

    pub(super) const fn unreachable() -> Self {
        Self {
            mark: Bytes::new(),
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

/// What the attempt to be the one who loads came to.
enum Turn {
    Mine(LeaseToken, Epochs),
    /// To load without a lease, and not to store.
    Without,
    Theirs(Landing),
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

    /// Becomes the one who loads, over all processes, or waits for who is.
    async fn turn(
        &self,
        leader: &Leader,
        key: &str,
        options: &LoadOptions,
        mut need: Need,
    ) -> Result<Turn, CacheError> {
        if !need.reachable {
            return Ok(Turn::Without);
        }
        let token = LeaseToken::random(&*self.entropy)?;
        let give_up = self.clock.now().saturating_add(self.options.lease_wait);
        let mut pause = Duration::from_millis(4);
        loop {
            match self.begin(key, options, token, &need.mark).await {
                Err(error) if self.options.on_error == OnError::Error => return Err(error.into()),
                Err(error) => {
                    self.observe("begin", error.code(), None);
                    return Ok(Turn::Without);
                }
                Ok(Begun::Won(epochs)) => return Ok(Turn::Mine(token, epochs)),
                Ok(Begun::Changed) => {}
                Ok(Begun::Held) => {
                    if let Some(stale) = need.stale {
                        // It was valid when this call read it.
                        return Ok(theirs(stale, None));
                    }
                    if self.clock.now() >= give_up {
                        return Ok(Turn::Without);
                    }
                    let jittered = pause.mul_f64(0.5 + self.chance.unit() / 2.0);
                    self.clock
                        .sleep_until(self.clock.now().saturating_add(jittered))
                        .await;
                    pause = (pause * 2).min(Duration::from_millis(64));
                }
            }
            let round = leader.next_round();
            let seen = match self.look(key, &options.tags).await {
                Ok(seen) => seen,
                Err(error) if self.options.on_error == OnError::Error => return Err(error),
                Err(error) => {
                    self.observe("read", error.code(), None);
                    return Ok(Turn::Without);
                }
            };
            need.mark = seen.mark;
            if let Some((Freshness::Fresh, envelope)) = &seen.found {
                return Ok(theirs(loaded(envelope, Source::Waited), Some(round)));
            }
        }
    }

    /// Begins. When the answer is lost, asks again under the same token.
    async fn begin(
        &self,
        key: &str,
        options: &LoadOptions,
        token: LeaseToken,
        mark: &[u8],
    ) -> Result<Begun, BackendError> {
        let ttl = options.ttl.unwrap_or(self.options.default_ttl);
        let lives = Lives {
            fresh: ttl,
            stored: ttl.saturating_add(self.options.stale_window),
        };
        let begin = Begin {
            token,
            lease: self.options.lease_ttl,
            seen: mark,
            tags: options.tags.as_slice(),
            epochs: lives.epochs().max(self.options.lease_ttl),
        };
        match self.store.begin(&self.space, key, &begin).await {
            Err(error) if error.outcome_unknown() && error.is_retryable() => {
                self.store.begin(&self.space, key, &begin).await
            }
            begun => begun,
        }
    }

    /// Stores what was loaded. A failure is counted; the caller has its value anyway.
    async fn fill(
        &self,
        key: &str,
        options: &LoadOptions,
        token: LeaseToken,
        epochs: &Epochs,
        value: Option<&Bytes>,
        cost: Duration,
    ) -> bool {
        let lives = match value {
            Some(_) => {
                let ttl = options.ttl.unwrap_or(self.options.default_ttl);
                self.lives(ttl, self.options.stale_window)
            }
            None => self.lives(self.options.negative_ttl, Duration::ZERO),
        };
        let refused = match value {
            Some(value) if self.check_value(value).is_err() => Some("too_large"),
            None if self.options.negative_ttl.is_zero() => Some("not_kept"),
            _ => None,
        };
        if let Some(why) = refused {
            self.observe("fill", why, None);
            self.give_back(key, token).await;
            return false;
        }
        let draft = Draft::new(value, options.tags.as_slice(), options.codec, cost);
        let fill = Fill {
            token,
            epochs,
            tags: options.tags.as_slice(),
            draft: &draft,
            lives,
        };
        let (outcome, stored) = match self.store.fill(&self.space, key, &fill).await {
            Ok(Filled::Stored) => ("stored", true),
            Ok(Filled::Lost) => ("lost", false),
            Ok(Filled::Moved) => ("moved", false),
            Err(error) => (error.code(), false),
        };
        if let Some(local) = &self.local
            && stored
        {
            // What is kept here may be the one that was refreshed.
            local.end(&Invalidation::key(key));
        }
        self.observe("fill", outcome, None);
        stored
    }

    async fn give_back(&self, key: &str, token: LeaseToken) {
        if let Err(error) = self.store.abandon(&self.space, key, token).await {
            // The lease ends by itself.
            self.observe("abandon", error.code(), None);
        }
    }
}

const fn failed(error: CacheError) -> Landing {
    Landing {
        result: Err(error),
        confirmed: None,
    }
}

fn theirs(value: Loaded, confirmed: Option<u64>) -> Turn {
    Turn::Theirs(Landing {
        result: Ok((value.value, value.codec, value.source)),
        confirmed,
    })
}
