//! An event of the change feed as it stands in the stream.

use governance_core::{FeedSubject, Scope, Timestamp};
use serde::{Deserialize, Serialize};

/// One event. When it happened is in the event if the request says so, else the stream's time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    #[serde(rename = "c")]
    pub(crate) scope: Scope,
    #[serde(rename = "s")]
    pub(crate) subject: FeedSubject,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Timestamp>,
}

impl Event {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}
