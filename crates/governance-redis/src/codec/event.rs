//! An event of the change feed as it stands in the stream.

use governance_core::{FeedSubject, Scope};
use serde::{Deserialize, Serialize};

/// One event. When it happened is the time of the stream, which never runs back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    #[serde(rename = "c")]
    pub(crate) scope: Scope,
    #[serde(rename = "s")]
    pub(crate) subject: FeedSubject,
}

impl Event {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, rmp_serde::encode::Error> {
        rmp_serde::to_vec_named(self)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, rmp_serde::decode::Error> {
        rmp_serde::from_slice(bytes)
    }
}
