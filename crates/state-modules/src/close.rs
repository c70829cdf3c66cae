//! The end, in order.

use std::{
    fmt,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, timeout_at};

use crate::{
    error::BoxError,
    module::{CloseFuture, CloseStep},
};

/// Something that did not end well.
#[derive(Debug, thiserror::Error)]
#[error("closing {token} failed: {source}")]
pub struct CloseError {
    token: String,
    source: BoxError,
}

impl CloseError {
    /// What was closed.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }
}

/// Everything that did not end well, in the order it was closed.
#[derive(Debug)]
pub struct CloseErrors(Vec<CloseError>);

impl CloseErrors {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "close.failed"
    }

    /// The errors.
    #[must_use]
    pub fn errors(&self) -> &[CloseError] {
        &self.0
    }
}

impl fmt::Display for CloseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CloseErrors {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.first().map(|error| error as _)
    }
}

/// A step took longer than the end may.
#[derive(Debug, thiserror::Error)]
#[error("it was not closed in time")]
struct NotInTime;

/// The steps of the end, and how far it is.
#[derive(Default)]
pub(crate) struct Ending {
    begun: AtomicBool,
    steps: Mutex<Vec<(String, CloseStep)>>,
    progress: tokio::sync::Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    running: Option<(String, CloseFuture)>,
    errors: Vec<CloseError>,
}

impl Ending {
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn add(&self, token: &str, step: CloseStep) {
        self.steps.lock().push((token.to_owned(), step));
    }

    fn next(&self) -> Option<(String, CloseFuture)> {
        let (token, step) = self.steps.lock().pop()?;
        Some((token, step()))
    }

    /// Runs the steps that are left, the last first. What a dropped call began is gone on with.
    pub(crate) async fn run(&self, timeout: Duration) -> Result<(), CloseErrors> {
        let until = Instant::now() + timeout;
        let mut progress = self.progress.lock().await;
        loop {
            if progress.running.is_none() {
                progress.running = self.next();
            }
            let Some((_, step)) = &mut progress.running else {
                break;
            };
            let ended = timeout_at(until, step).await;
            let ended = ended.unwrap_or_else(|_| Err(Box::new(NotInTime)));
            if let Some((token, _)) = progress.running.take()
                && let Err(source) = ended
            {
                progress.errors.push(CloseError { token, source });
            }
        }
        let errors = std::mem::take(&mut progress.errors);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(CloseErrors(errors))
        }
    }
}
