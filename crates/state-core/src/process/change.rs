//! What callers want written.

use std::fmt;

use crate::process::{Payload, Status, Version};

/// A process to be created. `Debug` shows neither id nor payload.
#[derive(Clone)]
pub struct NewProcess {
    /// The id, 1 to 512 bytes.
    pub id: String,
    /// What kind of process it is: 1 to 64 characters of `a-z 0-9 . _ -`.
    pub kind: String,
    /// Where it starts: a status that is not an end.
    pub status: Status,
    /// What the application keeps in it.
    pub payload: Payload,
}

impl NewProcess {
    /// A pending process without a payload.
    #[must_use]
    pub fn new(id: impl Into<String>, kind: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            kind: kind.into(),
            status: Status::Pending,
            payload: Payload::default(),
        }
    }

    /// The same with this payload.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = payload;
        self
    }

    /// The same, starting here.
    #[must_use]
    pub const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }
}

impl fmt::Debug for NewProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewProcess")
            .field("kind", &self.kind)
            .field("status", &self.status)
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

/// What is to change. What is not named stays as it is. `Debug` does not show texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Change {
    pub(crate) payload: Option<Payload>,
    pub(crate) step: Option<String>,
    pub(crate) percent: Option<u8>,
    pub(crate) status: Option<Status>,
    pub(crate) error: Option<String>,
}

impl Change {
    /// Longest text of a step or an error in bytes.
    pub const MAX_TEXT_BYTES: usize = 4_096;

    /// Changes nothing but the version.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// This payload.
    #[must_use]
    pub fn payload(mut self, payload: Payload) -> Self {
        self.payload = Some(payload);
        self
    }

    /// What is being done now.
    #[must_use]
    pub fn step(mut self, step: impl Into<String>) -> Self {
        self.step = Some(step.into());
        self
    }

    /// How far it is, 0 to 100.
    #[must_use]
    pub const fn percent(mut self, percent: u8) -> Self {
        self.percent = Some(percent);
        self
    }

    /// Where it stands.
    #[must_use]
    pub const fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Why it failed.
    #[must_use]
    pub fn error(mut self, error: impl Into<String>) -> Self {
        self.error = Some(error.into());
        self
    }

    /// The payload to be written.
    #[must_use]
    pub const fn new_payload(&self) -> Option<&Payload> {
        self.payload.as_ref()
    }

    /// The step to be written.
    #[must_use]
    pub fn new_step(&self) -> Option<&str> {
        self.step.as_deref()
    }

    /// The percentage to be written.
    #[must_use]
    pub const fn new_percent(&self) -> Option<u8> {
        self.percent
    }

    /// The status to be written.
    #[must_use]
    pub const fn new_status(&self) -> Option<Status> {
        self.status
    }

    /// The error to be written.
    #[must_use]
    pub fn new_error(&self) -> Option<&str> {
        self.error.as_deref()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("payload", &self.payload)
            .field("percent", &self.percent)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// What a write is based on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// This version and no other.
    Exact(Version),
    /// Whatever is there.
    Any,
}
