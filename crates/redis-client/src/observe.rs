//! What the client reports while it works.

use std::{fmt, time::Duration};

use crate::{access::Access, signal::Signal};

/// One finished command.
///
/// Every text in it comes from a closed set: constants of the program and the instance name.
#[derive(Debug, Clone, Copy)]
pub struct CommandEvent<'a> {
    pub(crate) instance: &'a str,
    pub(crate) operation: &'static str,
    pub(crate) access: Access,
    pub(crate) failure: Option<Signal>,
    pub(crate) attempts: u32,
    pub(crate) duration: Duration,
}

impl CommandEvent<'_> {
    /// The name of the instance, empty for the default one.
    #[must_use]
    pub const fn instance(&self) -> &str {
        self.instance
    }

    /// The name of the operation.
    #[must_use]
    pub const fn operation(&self) -> &'static str {
        self.operation
    }

    /// Whether it was a read or a write.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// What went wrong, if anything.
    #[must_use]
    pub const fn failure(&self) -> Option<Signal> {
        self.failure
    }

    /// `ok`, or the code of the failure.
    #[must_use]
    pub const fn outcome(&self) -> &'static str {
        match self.failure {
            None => "ok",
            Some(signal) => signal.code(),
        }
    }

    /// How often it was sent or would have been, had there been a connection.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// From the call to its result.
    #[must_use]
    pub const fn duration(&self) -> Duration {
        self.duration
    }
}

/// Is told what the client does. Every method does nothing unless implemented.
///
/// Called on the path of every command: do little, never block. A panic here is the caller's.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// A command ended.
    fn command(&self, event: &CommandEvent<'_>) {
        let _ = event;
    }

    /// A command is tried again after this.
    fn retry(&self, instance: &str, operation: &'static str, signal: Signal) {
        let _ = (instance, operation, signal);
    }

    /// A server did not have a script, which was sent with its text.
    fn script_loaded(&self, instance: &str, script: &'static str) {
        let _ = (instance, script);
    }
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

/// Reports to the recorder of the `metrics` facade.
///
/// `db.client.operation.duration` (histogram, seconds; `db.operation.name`, `outcome`,
/// `redis.instance`), `redis.client.retries` and `redis.client.script_loads` (counters).
#[cfg(feature = "metrics")]
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsObserver;

#[cfg(feature = "metrics")]
impl Observer for MetricsObserver {
    fn command(&self, event: &CommandEvent<'_>) {
        metrics::histogram!(
            "db.client.operation.duration",
            "db.system.name" => "redis",
            "db.operation.name" => event.operation,
            "outcome" => event.outcome(),
            "redis.instance" => event.instance.to_owned(),
        )
        .record(event.duration.as_secs_f64());
    }

    fn retry(&self, instance: &str, operation: &'static str, signal: Signal) {
        metrics::counter!(
            "redis.client.retries",
            "db.operation.name" => operation,
            "reason" => signal.code(),
            "redis.instance" => instance.to_owned(),
        )
        .increment(1);
    }

    fn script_loaded(&self, instance: &str, script: &'static str) {
        metrics::counter!(
            "redis.client.script_loads",
            "redis.script" => script,
            "redis.instance" => instance.to_owned(),
        )
        .increment(1);
    }
}
