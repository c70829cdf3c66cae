//! The end, in order.

use std::{
    fmt,
    future::poll_fn,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, ready},
    time::Duration,
};

use futures_util::FutureExt as _;
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

/// A step panicked. What it said is not repeated.
#[derive(Debug, thiserror::Error)]
#[error("the step panicked")]
struct Panicked;

/// When a time from now is over. One that is longer than clocks go is long enough.
pub(crate) fn after(time: Duration) -> Instant {
    const LONG: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
    let now = Instant::now();
    now.checked_add(time).unwrap_or(now + LONG)
}

/// The steps of the end, and how far it is.
#[derive(Default)]
pub(crate) struct Ending {
    begun: AtomicBool,
    /// Whether there was nothing left to be closed: whoever still builds closes it himself.
    passed: AtomicBool,
    steps: Mutex<Vec<(String, CloseStep)>>,
    progress: tokio::sync::Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    running: Option<(String, CloseFuture)>,
    /// Steps that took longer than their share of the time, and go on beside the others.
    late: Vec<(String, CloseFuture)>,
    errors: Vec<CloseError>,
}

impl Progress {
    fn note(&mut self, token: String, ended: Result<(), BoxError>) {
        if let Err(source) = ended {
            self.errors.push(CloseError { token, source });
        }
    }

    /// Ready when the step that runs has ended. What is late is polled with it.
    fn poll_running(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let _ = self.poll_late(context);
        let Some((_, step)) = &mut self.running else {
            return Poll::Ready(());
        };
        let ended = ready!(step.as_mut().poll(context));
        if let Some((token, _)) = self.running.take() {
            self.note(token, ended);
        }
        Poll::Ready(())
    }

    /// Ready when no step is late any more.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        for (token, mut step) in std::mem::take(&mut self.late) {
            match step.as_mut().poll(context) {
                Poll::Ready(ended) => self.note(token, ended),
                Poll::Pending => self.late.push((token, step)),
            }
        }
        if self.late.is_empty() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
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
        let step = AssertUnwindSafe(async move { step().await }).catch_unwind();
        let step = async { step.await.unwrap_or_else(|_| Err(Box::new(Panicked))) };
        Some((token, Box::pin(step)))
    }

    /// Runs the steps that are left, the last first. What a dropped call began is gone on with.
    pub(crate) async fn run(&self, until: Instant) -> Result<(), CloseErrors> {
        self.go_on(until).await;
        let mut progress = self.progress.lock().await;
        let errors = std::mem::take(&mut progress.errors);
        if errors.is_empty() {
            Ok(())
        } else {
            Err(CloseErrors(errors))
        }
    }

    /// Something that is still being built was not waited for.
    pub(crate) async fn missed(&self, token: String) {
        let missed = Err(NotInTime.into());
        self.progress.lock().await.note(token, missed);
    }

    /// Closes what was built after the end. Whether there was an end.
    pub(crate) async fn is_over(&self) -> bool {
        const LATE: Duration = Duration::from_secs(5);
        let is_over = self.passed.load(Ordering::SeqCst);
        if is_over {
            self.go_on(after(LATE)).await;
        }
        is_over
    }

    async fn go_on(&self, until: Instant) {
        let mut progress = self.progress.lock().await;
        loop {
            if progress.running.is_none() {
                progress.running = self.next();
            }
            let left = self.steps.lock().len();
            if progress.running.is_none() {
                // From here on nothing is added that nobody sees: this, or who adds it.
                if self.passed.swap(true, Ordering::SeqCst) && left == 0 {
                    break;
                }
                continue;
            }
            // One that hangs leaves time for the others.
            let share = until.saturating_duration_since(Instant::now());
            let share = share / u32::try_from(left + 1).unwrap_or(u32::MAX);
            let ended = poll_fn(|context| progress.poll_running(context));
            if timeout_at(after(share), ended).await.is_err() {
                let late = progress.running.take();
                progress.late.extend(late);
            }
        }
        let ended = poll_fn(|context| progress.poll_late(context));
        if timeout_at(until, ended).await.is_err() {
            for (token, _) in std::mem::take(&mut progress.late) {
                progress.note(token, Err(NotInTime.into()));
            }
        }
    }
}
