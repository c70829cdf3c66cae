//! The governor with a cache in front of it, and what has to run beside the calls.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use examples::{People, tell, words_of};
use governance_core::{
    FeedSubject, FeedToken, Governor, Provider, StateId, Status, StoreErrorKind, Timestamp,
    policy_fn,
};
use state_core::{
    cache::{Cache, LoadOptions, Source},
    rate_limit::RateLimiter,
};
use tokio::time::{MissedTickBehavior, interval, sleep};

use crate::flag::{Flag, SetFlag, by_environment};

/// How long to wait before what failed is tried again.
const PAUSE: Duration = Duration::from_secs(1);
/// How often deadlines are looked after.
const TICK: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) governor: Governor,
    pub(crate) limiter: RateLimiter,
    cache: Cache,
}

impl Service {
    pub(crate) fn new(
        store: Arc<dyn Provider>,
        people: People,
        cache: Cache,
        limiter: RateLimiter,
    ) -> anyhow::Result<Self> {
        let governor = Governor::builder(store)
            .directory(people)
            .register::<SetFlag>()
            .policy(policy_fn("by-environment", by_environment))
            .time_to_live(Duration::from_secs(7 * 86_400))
            .build()?;
        Ok(Self {
            governor,
            limiter,
            cache,
        })
    }

    /// A flag, from the cache if it is there.
    pub(crate) async fn flag(&self, id: &StateId) -> anyhow::Result<(Flag, Source)> {
        let (governor, wanted) = (self.governor.clone(), id.clone());
        let load = move || async move {
            let (flag, _) = governor.state::<Flag>(&wanted).await?;
            let bytes = flag.map(|flag| serde_json::to_vec(&flag)).transpose()?;
            anyhow::Ok(bytes.map(Bytes::from))
        };
        let options = LoadOptions::default();
        let loaded = self.cache.get_or_load(id.as_str(), &options, load).await?;
        let flag = loaded.value().map(|value| serde_json::from_slice(value));
        Ok((flag.transpose()?.unwrap_or_default(), loaded.source()))
    }

    /// Where to follow the change feed from. Nobody may have followed it before that place, so the
    /// cache forgets everything.
    pub(crate) async fn begin(&self) -> anyhow::Result<FeedToken> {
        let head = self.governor.store().head().await?;
        self.cache.invalidate_namespace().await?;
        Ok(head)
    }

    /// Follows the change feed from a place on: what was written is forgotten by the cache, what
    /// was executed is told. Every process does so for itself; forgetting twice does no harm.
    pub(crate) async fn follow(self, mut place: FeedToken) {
        loop {
            match self.step(&place).await {
                Ok(next) => place = next,
                Err(error) => {
                    tell(format_args!("feed: {}", words_of(&error)));
                    sleep(PAUSE).await;
                }
            }
        }
    }

    async fn step(&self, place: &FeedToken) -> anyhow::Result<FeedToken> {
        let feed = self.governor.store();
        let read = match feed.wait(place).await {
            Ok(()) => feed.read(Some(place), 100).await,
            Err(error) => Err(error),
        };
        let batch = match read {
            Err(error) if error.kind() == StoreErrorKind::Expired => return self.begin().await,
            read => read?,
        };
        for event in &batch.events {
            let flag = &event.scope.state_id;
            match &event.subject {
                FeedSubject::State { .. } => {
                    self.cache.delete(flag.as_str()).await?;
                }
                FeedSubject::Request {
                    id,
                    before: Some(Status::Approved),
                    after: Status::Executed,
                    ..
                } => tell(format_args!("{flag} was changed by {id}")),
                _ => {}
            }
        }
        Ok(batch.next)
    }

    /// Records what has expired. Any number of processes may do so.
    pub(crate) async fn tick(self) {
        let mut timer = interval(TICK);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            loop {
                match self.governor.tick(Timestamp::MAX).await {
                    Ok(report) => {
                        for item in &report.items {
                            tell(format_args!("{} {}", item.id, item.outcome));
                        }
                        if !report.more {
                            break;
                        }
                    }
                    Err(error) => {
                        tell(format_args!("tick: {error} ({})", error.code()));
                        break;
                    }
                }
            }
        }
    }
}
