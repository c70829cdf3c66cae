//! Being the one who loads, over all processes.

use std::time::Duration;

use bytes::Bytes;

use super::{inner::Inner, load::Need, read::loaded};
use crate::{
    cache::{
        Begin, Begun, CacheError, Draft, Epochs, Fill, Filled, Freshness, Invalidation, LeaseToken,
        Lives, LoadOptions, Loaded, OnError, Source,
        flight::{Landing, Leader},
    },
    error::{BackendError, Classified as _},
};

/// What the attempt to be the one who loads came to.
pub(super) enum Turn {
    Mine(LeaseToken, Epochs),
    /// To load without a lease, and not to store.
    Without,
    Theirs(Landing),
}

impl Inner {
    /// Becomes the one who loads, over all processes, or waits for who is.
    pub(super) async fn turn(
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
            match self.begin(key, options, token, need.mark.as_bytes()).await {
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
    pub(super) async fn fill(
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

    pub(super) async fn give_back(&self, key: &str, token: LeaseToken) {
        if let Err(error) = self.store.abandon(&self.space, key, token).await {
            // The lease ends by itself.
            self.observe("abandon", error.code(), None);
        }
    }
}

fn theirs(value: Loaded, confirmed: Option<u64>) -> Turn {
    Turn::Theirs(Landing {
        result: Ok((value.value, value.codec, value.source)),
        confirmed,
    })
}
