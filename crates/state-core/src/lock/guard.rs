//! A lock that is held.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

use crate::{
    clock::Timestamp,
    error::{BackendError, Classified as _},
    lock::{
        Extended, Fence, Hold, LockError, Released,
        inner::{Inner, Pending},
        options::check_ttl,
    },
    observe::Capability,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Held,
    Lost,
    Ended,
}

/// What a guard and its renewal share.
#[derive(Debug)]
struct Shared {
    inner: Arc<Inner>,
    hold: Hold,
    /// Microseconds of the local clock.
    valid_until: AtomicU64,
    state: watch::Sender<State>,
}

/// A held lock.
///
/// It is renewed in the background a third of the way through each lifetime, and given back when
/// it is [released](Self::release) or dropped. Dropping never blocks: the release is queued, and
/// when there is no room in the queue the lock expires by itself.
#[must_use = "dropping a guard gives the lock back"]
pub struct Guard {
    shared: Arc<Shared>,
    fence: Fence,
    since: Timestamp,
    /// Gives the lock back when dropped.
    pending: Option<Pending>,
}

impl Guard {
    pub(super) fn begin(
        inner: &Arc<Inner>,
        hold: Hold,
        fence: Fence,
        asked: Timestamp,
        renews: bool,
    ) -> Self {
        let valid_until = inner.valid_until(asked, hold.ttl);
        let queue = inner
            .releaser
            .queue(&inner.store, &inner.clock, &inner.observer);
        let shared = Arc::new(Shared {
            inner: Arc::clone(inner),
            hold: hold.clone(),
            valid_until: AtomicU64::new(valid_until.as_micros()),
            state: watch::Sender::new(State::Held),
        });
        if renews {
            tokio::spawn(renew(Arc::clone(&shared), asked));
        }
        Self {
            shared,
            fence,
            since: asked,
            pending: Some(Pending::new(queue, hold)),
        }
    }

    /// The number of this grant, larger than that of every one before.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// For how long it is certainly held, by the local clock; zero once it is lost.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.shared.remaining()
    }

    /// Whether it is certainly still held. Goes by the local clock, so it is false in time even
    /// when the whole process was stalled.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        !self.remaining().is_zero()
    }

    /// Returns when the lock is lost: somebody else may hold it from now on.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at any time.
    pub async fn lost(&self) {
        let shared = &self.shared;
        let mut state = shared.state.subscribe();
        loop {
            let until = shared.valid_until();
            if self.remaining().is_zero() {
                shared.lose();
                return;
            }
            tokio::select! {
                () = shared.inner.clock.sleep_until(until) => {}
                changed = state.wait_for(|state| *state != State::Held) => {
                    if changed.is_ok() {
                        return;
                    }
                }
            }
        }
    }

    /// Gives it a new lifetime from now on. Renewals in the background go on with the old one. A
    /// guard that is not valid any more is lost for good.
    ///
    /// # Errors
    ///
    /// [`LockError::Option`] for a lifetime that cannot work; [`LockError::Backend`] when the backend
    /// does not answer: the guard is good for as long as it was.
    ///
    /// # Cancel safety
    ///
    /// The lifetime may have been extended when the future is dropped.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn extend(&self, ttl: Duration) -> Result<Extended, LockError> {
        if let Err(error) = check_ttl("ttl", ttl) {
            let (inner, error) = (&self.shared.inner, LockError::from(error));
            inner.tell(Capability::Lock, "extend", error.code(), None);
            return Err(error);
        }
        Ok(self.shared.extend(ttl).await?)
    }

    /// Gives the lock back.
    ///
    /// # Errors
    ///
    /// [`LockError::Backend`] when the backend does not answer. The release is queued once more, and
    /// the lock expires in any case.
    ///
    /// # Cancel safety
    ///
    /// When the future is dropped, the release is queued.
    ///
    /// # Round trips
    ///
    /// One.
    pub async fn release(mut self) -> Result<Released, LockError> {
        self.shared.end();
        let inner = &self.shared.inner;
        match inner.store.release(&self.shared.hold).await {
            Ok(released) => {
                let since = Some(self.since);
                inner.tell(Capability::Lock, "release", released.as_str(), since);
                if let Some(pending) = self.pending.take() {
                    pending.defuse();
                }
                Ok(released)
            }
            Err(error) => {
                inner.tell_failure(Capability::Lock, "release", &error, Some(self.since));
                Err(error.into())
            }
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.end();
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("target", &self.shared.hold.target)
            .field("fence", &self.fence)
            .field("remaining", &self.remaining())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn valid_until(&self) -> Timestamp {
        Timestamp::from_micros(self.valid_until.load(Ordering::Acquire))
    }

    fn remaining(&self) -> Duration {
        if *self.state.borrow() == State::Held {
            self.valid_until().saturating_since(self.inner.clock.now())
        } else {
            Duration::ZERO
        }
    }

    /// Ended for good. Who listens is told once.
    fn end(&self) {
        self.state
            .send_if_modified(|state| std::mem::replace(state, State::Ended) != State::Ended);
    }

    /// Lost for good, unless it was ended before.
    fn lose(&self) {
        self.state.send_if_modified(|state| {
            let held = *state == State::Held;
            if held {
                *state = State::Lost;
            }
            held
        });
    }

    async fn extend(&self, ttl: Duration) -> Result<Extended, BackendError> {
        let asked = self.inner.clock.now();
        if self.remaining().is_zero() {
            // The backend may still have it, but whoever watched this guard was told otherwise.
            self.lose();
            let since = Some(asked);
            self.inner.tell(Capability::Lock, "extend", "lost", since);
            return Ok(Extended::Lost);
        }
        let hold = Hold {
            ttl,
            ..self.hold.clone()
        };
        let extended = self.inner.store.extend(&hold).await;
        let outcome = match &extended {
            Ok(Extended::Extended) => {
                let until = self.inner.valid_until(asked, ttl);
                self.valid_until.store(until.as_micros(), Ordering::Release);
                "extended"
            }
            Ok(Extended::Lost) => {
                self.lose();
                "lost"
            }
            Err(error) => error.code(),
        };
        let since = Some(asked);
        self.inner.tell(Capability::Lock, "extend", outcome, since);
        extended
    }
}

/// Extends the lifetime a third of the way through it, until the guard ends or the lock is lost.
async fn renew(shared: Arc<Shared>, mut renewed: Timestamp) {
    let mut state = shared.state.subscribe();
    let ttl = shared.hold.ttl;
    let clock = &shared.inner.clock;
    loop {
        let mut next = renewed.saturating_add(shared.inner.jittered(ttl / 3));
        let mut attempt = 0;
        loop {
            tokio::select! {
                biased;
                _ = state.wait_for(|state| *state != State::Held) => return,
                () = clock.sleep_until(next) => {}
            }
            let until = shared.valid_until();
            let asked = clock.now();
            let extended = tokio::select! {
                biased;
                _ = state.wait_for(|state| *state != State::Held) => return,
                extended = shared.extend(ttl) => extended,
                // An answer after that would come too late.
                () = clock.sleep_until(until) => {
                    shared.lose();
                    return;
                }
            };
            match extended {
                Ok(Extended::Extended) => {
                    renewed = asked;
                    break;
                }
                Ok(Extended::Lost) => return,
                Err(_) if clock.now() >= until => {
                    shared.lose();
                    return;
                }
                Err(_) => {
                    next = clock
                        .now()
                        .saturating_add(shared.inner.pause(attempt))
                        .min(until);
                    attempt += 1;
                }
            }
        }
    }
}
