use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use governance_core::{ChangeFeed, FeedBatch, FeedToken, StoreError, StoreErrorKind};
use redis_client::{
    ErrorKind, Operation, Signal, Topology,
    redis::{self, Value},
};

use crate::{
    RedisStore,
    error::RedisError,
    feed::{self, Token},
};

const WAIT: Operation = Operation::read("wait");
/// How long one blocking read waits before it begins anew, so that a dead connection is noticed.
const BLOCK: Duration = Duration::from_secs(5);
/// The first and the longest pause between two looks where blocking is not possible.
const PAUSES: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));

#[async_trait]
impl ChangeFeed for RedisStore {
    async fn read(&self, after: Option<&FeedToken>, limit: u16) -> Result<FeedBatch, StoreError> {
        if !(1..=1_000).contains(&limit) {
            let detail = format!("a limit of {limit}, from 1 to 1000 are allowed");
            return Err(StoreError::new(
                StoreErrorKind::InvalidInput,
                "read",
                detail,
            ));
        }
        let after = after
            .map(|token| Token::of(token, &self.shared))
            .transpose()?;
        let (events, next) = feed::read(&self.shared, after, usize::from(limit)).await?;
        Ok(FeedBatch { events, next })
    }

    async fn head(&self) -> Result<FeedToken, StoreError> {
        feed::head(&self.shared).await
    }

    async fn wait(&self, after: &FeedToken) -> Result<(), StoreError> {
        let token = Token::of(after, &self.shared)?;
        let mut pause = PAUSES.0;
        loop {
            // The bell only wakes: what counts is the read, which also notices what is gone.
            let (events, _) = feed::read(&self.shared, Some(token.clone()), 1).await?;
            if !events.is_empty() {
                return Ok(());
            }
            match self.bell(&token).await {
                Ok(()) => pause = PAUSES.0,
                Err(RedisError::Client(error)) if may_pass(error.kind(), error.signal()) => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                }
                Err(error) => return Err(error.at("wait")),
            }
        }
    }
}

/// Whether to look again a little later instead of blocking.
fn may_pass(kind: ErrorKind, signal: Signal) -> bool {
    signal != Signal::Closed && matches!(kind, ErrorKind::Unavailable | ErrorKind::Timeout)
}

impl RedisStore {
    /// Returns when there may be something behind a token, or after a while.
    ///
    /// Blocks on a connection of its own. In a cluster streams are on several nodes, so there it
    /// only pauses.
    fn bell<'a>(&'a self, token: &'a Token) -> BoxFuture<'a, Result<(), RedisError>> {
        Box::pin(self.ring(token))
    }

    async fn ring(&self, token: &Token) -> Result<(), RedisError> {
        let shared = &*self.shared;
        let one_node = !matches!(shared.client.config().topology(), Topology::Cluster);
        let Some(first) = shared.partitions.first().filter(|_| one_node) else {
            tokio::time::sleep(PAUSES.0 * 5).await;
            return Ok(());
        };
        let mut connection = shared.client.blocking(&first.keys.feed, BLOCK).await?;
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT")
            .arg(1)
            .arg("BLOCK")
            .arg(BLOCK.as_millis().to_string())
            .arg("STREAMS");
        for partition in &shared.partitions {
            read.arg(&partition.keys.feed);
        }
        for place in token.waits() {
            read.arg(place);
        }
        connection.query::<Value>(WAIT, &read).await?;
        Ok(())
    }
}
