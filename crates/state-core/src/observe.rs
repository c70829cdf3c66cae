//! What the capabilities report while they work.

use std::{fmt, time::Duration};

/// A capability, as it appears in metrics.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Capability {
    /// `state_core::cache`
    Cache,
    /// `state_core::session`
    Session,
    /// `state_core::rate_limit`
    RateLimit,
    /// `state_core::process`
    Process,
    /// `state_core::lock`
    Lock,
    /// Leader election in `state_core::lock`
    Leader,
    /// `state_core::event`
    Event,
}

impl Capability {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cache => "cache",
            Self::Session => "session",
            Self::RateLimit => "rate_limit",
            Self::Process => "process",
            Self::Lock => "lock",
            Self::Leader => "leader",
            Self::Event => "event",
        }
    }
}

/// One finished operation.
///
/// Every text in it comes from a closed set: constants of the program, the instance and the
/// namespace. There is no key, id, user or value in it, so labels stay few.
#[derive(Debug, Clone, Copy)]
pub struct Observation<'a> {
    /// The capability.
    pub capability: Capability,
    /// The operation, `get`, `save`, ...
    pub operation: &'static str,
    /// How it ended: `hit`, `miss`, `conflict`, ..., or the code of the error.
    pub outcome: &'static str,
    /// The namespace, empty where there is none.
    pub namespace: &'a str,
    /// From the call to its result, where that was measured.
    pub duration: Option<Duration>,
}

/// Is told what the capabilities do. Called on the path of every operation: do little, never
/// block. It cannot change a result.
pub trait Observer: fmt::Debug + Send + Sync + 'static {
    /// An operation ended. Each operation is told once.
    fn operation(&self, observation: &Observation<'_>);

    /// Whether anybody listens. Where nobody does, calls may spare themselves the time it takes to
    /// measure how long they took.
    fn listens(&self) -> bool {
        true
    }
}

/// Observes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn operation(&self, _: &Observation<'_>) {}

    fn listens(&self) -> bool {
        false
    }
}

/// Reports to the recorder of the `metrics` facade: `state.operations` (counter) and
/// `state.operation.duration` (histogram, seconds), both with `capability`, `operation`,
/// `outcome` and `namespace`.
#[cfg(feature = "metrics")]
#[derive(Debug, Clone, Copy, Default)]
pub struct MetricsObserver;

#[cfg(feature = "metrics")]
impl Observer for MetricsObserver {
    fn operation(&self, told: &Observation<'_>) {
        let labels = [
            metrics::Label::from_static_parts("capability", told.capability.as_str()),
            metrics::Label::from_static_parts("operation", told.operation),
            metrics::Label::from_static_parts("outcome", told.outcome),
            metrics::Label::new("namespace", told.namespace.to_owned()),
        ];
        if let Some(duration) = told.duration {
            metrics::histogram!("state.operation.duration", labels.iter())
                .record(duration.as_secs_f64());
        }
        metrics::counter!("state.operations", labels.iter()).increment(1);
    }
}

/// Reports every operation as an event at debug level.
#[cfg(feature = "tracing")]
#[derive(Debug, Clone, Copy, Default)]
pub struct TracingObserver;

#[cfg(feature = "tracing")]
impl Observer for TracingObserver {
    fn operation(&self, told: &Observation<'_>) {
        tracing::debug!(
            capability = told.capability.as_str(),
            operation = told.operation,
            outcome = told.outcome,
            namespace = told.namespace,
            seconds = told.duration.map(|duration| duration.as_secs_f64()),
        );
    }
}
