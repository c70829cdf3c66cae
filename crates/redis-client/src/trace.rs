//! Spans and events, when the feature is on.

use std::{future::Future, time::Duration};

use crate::{error::ClientError, operation::Operation, signal::Signal};

/// Runs a command in its span.
#[cfg(feature = "tracing")]
pub(crate) async fn command<T, F>(
    instance: &str,
    operation: Operation,
    work: F,
) -> Result<T, ClientError>
where
    F: Future<Output = Result<T, ClientError>>,
{
    use tracing::Instrument;
    let span = tracing::debug_span!(
        "redis.command",
        otel.kind = "client",
        db.system.name = "redis",
        db.operation.name = operation.name(),
        redis.access = operation.access().as_str(),
        redis.instance = instance,
        error.r#type = tracing::field::Empty,
    );
    let result = work.instrument(span.clone()).await;
    if let Err(error) = &result {
        span.record("error.type", error.code());
    }
    result
}

#[cfg(not(feature = "tracing"))]
pub(crate) fn command<T, F>(_: &str, _: Operation, work: F) -> F
where
    F: Future<Output = Result<T, ClientError>>,
{
    work
}

/// A command is tried again.
#[cfg(feature = "tracing")]
pub(crate) fn retry(operation: &'static str, signal: Signal, pause: Duration) {
    let pause_ms = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
    tracing::debug!(operation, reason = signal.code(), pause_ms, "trying again");
}

#[cfg(not(feature = "tracing"))]
pub(crate) const fn retry(_: &'static str, _: Signal, _: Duration) {}
