//! Open, closing, closed: who may still send, and the order of the end.

use std::{
    error::Error,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, watch},
    time::{Instant, timeout_at},
};

/// Where a client stands.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It serves.
    Open,
    /// Those who use it are being closed; it still serves them.
    Closing,
    /// It takes no new commands and waits for those under way.
    Draining,
    /// Its connections are closed.
    Closed,
}

type BoxError = Box<dyn Error + Send + Sync>;
type HookFuture = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send>>;
type Hook = Box<dyn FnOnce() -> HookFuture + Send>;

/// The life of a client.
pub(crate) struct Life {
    state: watch::Sender<State>,
    under_way: AtomicUsize,
    idle: tokio::sync::Notify,
    hooks: parking_lot::Mutex<Vec<(&'static str, Hook)>>,
    progress: Mutex<Progress>,
}

/// How far closing has come. A cancelled close leaves it for the next one.
#[derive(Default)]
struct Progress {
    running: Option<(&'static str, HookFuture)>,
    errors: Vec<CloseError>,
}

/// A command that is under way.
pub(crate) struct UnderWay<'a>(&'a Life);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if self.0.under_way.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

impl Life {
    pub(crate) fn new() -> Self {
        Self {
            state: watch::Sender::new(State::Open),
            under_way: AtomicUsize::new(0),
            idle: tokio::sync::Notify::new(),
            hooks: parking_lot::Mutex::default(),
            progress: Mutex::default(),
        }
    }

    pub(crate) fn state(&self) -> State {
        *self.state.borrow()
    }

    /// Counts a command as under way, unless the client takes none.
    pub(crate) fn enter(&self) -> Option<UnderWay<'_>> {
        self.under_way.fetch_add(1, Ordering::SeqCst);
        let entered = UnderWay(self);
        (self.state() < State::Draining).then_some(entered)
    }

    /// Ends when the client takes no more commands.
    pub(crate) async fn draining(&self) {
        let mut state = self.state.subscribe();
        // The sender is `self`, so the channel does not end before.
        let _ = state.wait_for(|state| *state >= State::Draining).await;
    }

    /// Adds a step to closing. `false` when closing has begun.
    pub(crate) fn on_close(&self, name: &'static str, hook: Hook) -> bool {
        let mut hooks = self.hooks.lock();
        let open = self.state() == State::Open;
        if open {
            hooks.push((name, hook));
        }
        open
    }

    /// Runs the steps, the last added first, waits for commands, then lets `finish` close the rest.
    pub(crate) async fn close(
        &self,
        timeout: Duration,
        finish: impl FnOnce() + Send,
    ) -> Result<(), CloseErrors> {
        let deadline = Instant::now() + timeout;
        let mut progress = self.progress.lock().await;
        if self.state() < State::Closed {
            let hooks = self.hooks.lock();
            self.advance(State::Closing);
            drop(hooks);
            while let Some(result) = self.step(&mut progress, deadline).await {
                progress.errors.extend(result.err());
            }
            self.advance(State::Draining);
            if let Err(error) = self.drain(deadline).await {
                progress.errors.push(error);
            }
            finish();
            self.advance(State::Closed);
        }
        if progress.errors.is_empty() {
            Ok(())
        } else {
            Err(CloseErrors(progress.errors.clone()))
        }
    }

    fn advance(&self, to: State) {
        self.state.send_if_modified(|state| {
            let forward = *state < to;
            *state = to.max(*state);
            forward
        });
    }

    /// One hook. `None` when there are no more.
    async fn step(
        &self,
        progress: &mut Progress,
        deadline: Instant,
    ) -> Option<Result<(), CloseError>> {
        if progress.running.is_none() {
            let (name, hook) = self.hooks.lock().pop()?;
            progress.running = Some((name, hook()));
        }
        let (name, future) = progress.running.as_mut()?;
        let name = *name;
        let result = timeout_at(deadline, future).await;
        progress.running = None;
        Some(match result {
            Ok(result) => result.map_err(|source| CloseError::Step {
                name,
                source: Arc::from(source),
            }),
            Err(_) => Err(CloseError::StepTimeout { name }),
        })
    }

    async fn drain(&self, deadline: Instant) -> Result<(), CloseError> {
        loop {
            let idle = self.idle.notified();
            let commands = self.under_way.load(Ordering::SeqCst);
            if commands == 0 {
                return Ok(());
            }
            if timeout_at(deadline, idle).await.is_err() {
                return Err(CloseError::CommandsUnderWay { commands });
            }
        }
    }
}

impl fmt::Debug for Life {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Life")
            .field("state", &self.state())
            .field("under_way", &self.under_way)
            .finish_non_exhaustive()
    }
}

/// One thing that went wrong while closing. The rest was closed all the same.
#[non_exhaustive]
#[derive(Debug, Clone, thiserror::Error)]
pub enum CloseError {
    /// A step failed.
    #[error("closing {name} failed")]
    Step {
        /// The name it was added under.
        name: &'static str,
        /// Its error.
        source: Arc<dyn Error + Send + Sync>,
    },
    /// A step did not end in time.
    #[error("closing {name} did not end in time")]
    StepTimeout {
        /// The name it was added under.
        name: &'static str,
    },
    /// Commands did not end in time; their connections were closed under them.
    #[error("{commands} command(s) did not end in time")]
    CommandsUnderWay {
        /// How many.
        commands: usize,
    },
}

impl CloseError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Step { .. } => "close.step",
            Self::StepTimeout { .. } => "close.step_timeout",
            Self::CommandsUnderWay { .. } => "close.commands_under_way",
        }
    }
}

/// Everything that went wrong while closing.
#[derive(Debug, Clone)]
pub struct CloseErrors(Vec<CloseError>);

impl CloseErrors {
    /// The errors, in the order they came up. Never empty.
    #[must_use]
    pub fn errors(&self) -> &[CloseError] {
        &self.0
    }
}

impl fmt::Display for CloseErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "closing ended with {} error(s)", self.0.len())?;
        match self.0.first() {
            Some(first) => write!(f, ", first: {first}"),
            None => Ok(()),
        }
    }
}

impl Error for CloseErrors {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.first().map(|first| first as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    type Log = Arc<parking_lot::Mutex<Vec<&'static str>>>;

    fn step(life: &Life, log: &Log, name: &'static str, result: Result<(), &'static str>) {
        let log = Arc::clone(log);
        let hook = move || -> HookFuture {
            Box::pin(async move {
                log.lock().push(name);
                result.map_err(BoxError::from)
            })
        };
        assert!(life.on_close(name, Box::new(hook)));
    }

    #[tokio::test]
    async fn steps_run_backwards_and_all_of_them() {
        let (life, log) = (Life::new(), Log::default());
        step(&life, &log, "first", Ok(()));
        step(&life, &log, "second", Err("broken"));
        step(&life, &log, "third", Err("broken too"));
        let error = life
            .close(LONG, || log.lock().push("connections"))
            .await
            .unwrap_err();
        assert_eq!(*log.lock(), ["third", "second", "first", "connections"]);
        let codes: Vec<_> = error.errors().iter().map(CloseError::code).collect();
        assert_eq!(codes, ["close.step", "close.step"]);
        assert_eq!(life.state(), State::Closed);
        let again = life
            .close(LONG, || log.lock().push("twice"))
            .await
            .unwrap_err();
        assert_eq!(again.errors().len(), 2, "the errors are kept");
        assert_eq!(log.lock().len(), 4, "nothing runs twice");
    }

    #[tokio::test]
    async fn a_closed_client_takes_no_commands_and_no_steps() {
        let life = Life::new();
        assert!(life.enter().is_some());
        life.close(LONG, || {}).await.unwrap();
        assert!(life.enter().is_none());
        assert!(!life.on_close("late", Box::new(|| Box::pin(async { Ok(()) }))));
        life.draining().await;
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_commands_but_not_for_ever() {
        let life = Arc::new(Life::new());
        let command = life.enter().unwrap();
        let error = life.close(LONG, || {}).await.unwrap_err();
        assert!(matches!(
            error.errors(),
            [CloseError::CommandsUnderWay { commands: 1 }]
        ));
        drop(command);

        let life = Arc::new(Life::new());
        let command = life.enter().unwrap();
        let closing = tokio::spawn({
            let life = Arc::clone(&life);
            async move { life.close(LONG, || {}).await }
        });
        life.draining().await;
        drop(command);
        closing.await.unwrap().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_close_goes_on_where_it_stopped() {
        let (life, log) = (Life::new(), Log::default());
        step(&life, &log, "last", Ok(()));
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        let hook = {
            let log = Arc::clone(&log);
            move || -> HookFuture {
                Box::pin(async move {
                    log.lock().push("slow begins");
                    let _ = released.await;
                    log.lock().push("slow ends");
                    Ok(())
                })
            }
        };
        assert!(life.on_close("slow", Box::new(hook)));
        step(&life, &log, "broken", Err("no"));
        let cancelled = tokio::time::timeout(Duration::from_secs(1), life.close(LONG, || {})).await;
        assert!(cancelled.is_err());
        assert_eq!(*log.lock(), ["broken", "slow begins"]);
        release.send(()).unwrap();
        let error = life.close(LONG, || {}).await.unwrap_err();
        assert_eq!(*log.lock(), ["broken", "slow begins", "slow ends", "last"]);
        assert_eq!(error.errors().len(), 1, "what was collected before is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn a_step_that_hangs_is_left_behind() {
        let (life, log) = (Life::new(), Log::default());
        step(&life, &log, "last", Ok(()));
        assert!(life.on_close("stuck", Box::new(|| Box::pin(std::future::pending()))));
        let error = life.close(LONG, || {}).await.unwrap_err();
        assert!(matches!(
            error.errors()[0],
            CloseError::StepTimeout { name: "stuck" }
        ));
    }
}
