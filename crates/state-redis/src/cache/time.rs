//! An estimate of the server's time.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use redis_client::{Client, Key, Operation, redis};
use state_core::{BackendError, Timestamp};
use tokio::time::Instant;

use super::parse;
use crate::error::backend;

/// What the server's clock showed, and when that was here.
///
/// It is late by the time an answer takes, and by what the clocks drift apart in a minute. The
/// wall clock of this machine has no part in it.
#[derive(Debug, Clone, Default)]
pub(super) struct ServerTime(Arc<Mutex<Option<(Instant, Timestamp)>>>);

/// A sample is used for so long.
const LONGEST: Duration = Duration::from_secs(60);
const TIME: Operation = Operation::read("cache.time");

impl ServerTime {
    /// The time now, if the last sample is recent.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let (at, shown) = (*self.0.lock())?;
        let since = at.elapsed();
        (since < LONGEST).then(|| shown.saturating_add(since))
    }

    /// Takes a sample out of an answer.
    pub(super) fn tell(&self, shown: Timestamp) {
        *self.0.lock() = Some((Instant::now(), shown));
    }

    /// Takes the sample that an answer begins with, and returns its tag and the rest.
    pub(super) fn told<'a>(&self, reply: &'a [Bytes]) -> Option<(&'a [u8], &'a [Bytes])> {
        let [shown, tag, rest @ ..] = reply else {
            return None;
        };
        self.tell(Timestamp::from_micros(parse(shown)?));
        Some((tag, rest))
    }

    /// Asks the server that has a key.
    pub(super) async fn ask(&self, client: &Client, key: &Key) -> Result<Timestamp, BackendError> {
        let time = redis::cmd("TIME");
        let (seconds, micros): (u64, u64) =
            client.query(TIME, key, &time).await.map_err(backend)?;
        let shown = seconds.saturating_mul(1_000_000).saturating_add(micros);
        let shown = Timestamp::from_micros(shown);
        self.tell(shown);
        Ok(shown)
    }
}
