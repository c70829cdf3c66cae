//! How a lock is acquired.

use std::{sync::Arc, time::Duration};

use crate::{
    clock::Timestamp,
    error::{BackendError, Classified as _},
    lock::{
        Acquired, Attempt, Guard, Hold, LockError, Target, Token,
        inner::{Inner, Pending},
    },
    observe::Capability,
};

const ACQUIRE: &str = "acquire";

/// Until when somebody waits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience(Timestamp);

impl Patience {
    pub(super) fn new(inner: &Inner, wait: Duration) -> Self {
        Self(inner.clock.now().saturating_add(wait))
    }

    fn left(self, inner: &Inner) -> Duration {
        self.0.saturating_since(inner.clock.now())
    }
}

/// One acquisition, under one token from its first attempt to its last.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    inner: &'a Arc<Inner>,
    target: &'a Target,
    ttl: Duration,
    renews: bool,
    /// When it began, where somebody wants to know.
    since: Option<Timestamp>,
}

impl<'a> Asked<'a> {
    pub(super) fn new(
        inner: &'a Arc<Inner>,
        target: &'a Target,
        ttl: Duration,
        renews: bool,
    ) -> Self {
        Self {
            inner,
            target,
            ttl,
            renews,
            since: inner.started(),
        }
    }

    /// Without waiting.
    pub(super) async fn once(self) -> Result<Attempt, LockError> {
        let (hold, pending) = self.begin()?;
        match self.ask(&hold, false).await {
            Ok((Acquired::Granted { fence }, asked)) => {
                pending.defuse();
                self.tell("acquired");
                let guard = Guard::begin(self.inner, hold, fence, asked, self.renews);
                Ok(Attempt::Acquired(guard))
            }
            Ok((Acquired::Held { remaining }, _)) => {
                pending.defuse();
                self.tell("held");
                Ok(Attempt::Held { remaining })
            }
            Err(error) => Err(self.fail(pending, error)),
        }
    }

    /// Waiting for it.
    pub(super) async fn patiently(self, patience: Patience) -> Result<Guard, LockError> {
        let (hold, pending) = self.begin()?;
        let turn = tokio::select! {
            biased;
            turn = self.inner.turns.next(self.target) => turn,
            () = self.inner.clock.sleep_until(patience.0) => {
                pending.defuse();
                self.tell("wait_timeout");
                return Err(LockError::WaitTimeout);
            }
        };
        let mut attempt = 0;
        loop {
            let waits = !patience.left(self.inner).is_zero();
            let remaining = match self.ask(&hold, waits).await {
                Ok((Acquired::Granted { fence }, asked)) => {
                    drop(turn);
                    pending.defuse();
                    self.tell("acquired");
                    return Ok(Guard::begin(self.inner, hold, fence, asked, self.renews));
                }
                Ok((Acquired::Held { remaining }, _)) => remaining,
                Err(error) => return Err(self.fail(pending, error)),
            };
            let left = patience.left(self.inner);
            if left.is_zero() {
                pending.defuse();
                self.tell("wait_timeout");
                return Err(LockError::WaitTimeout);
            }
            let at_most = remaining
                .max(self.inner.options.retry_min)
                .min(self.inner.pause(attempt.max(4)))
                .min(left);
            if let Err(error) = self.inner.store.wait(self.target, at_most).await {
                return Err(self.fail(pending, error));
            }
            attempt += 1;
        }
    }

    fn begin(&self) -> Result<(Hold, Pending), LockError> {
        let token = Token::random(&*self.inner.entropy);
        let hold = Hold {
            target: self.target.clone(),
            token: token.inspect_err(|error| self.tell(error.code()))?,
            ttl: self.ttl,
        };
        let inner = self.inner;
        let queue = inner
            .releaser
            .queue(&inner.store, &inner.clock, &inner.observer);
        Ok((hold.clone(), Pending::new(queue, hold)))
    }

    /// Asks the backend, once more when the answer was lost: the token makes that safe.
    async fn ask(&self, hold: &Hold, waits: bool) -> Result<(Acquired, Timestamp), BackendError> {
        let asked = self.inner.clock.now();
        match self.inner.store.acquire(hold, waits).await {
            Err(error) if error.outcome_unknown() => {
                let asked = self.inner.clock.now();
                let answer = self.inner.store.acquire(hold, waits).await?;
                Ok((answer, asked))
            }
            answer => Ok((answer?, asked)),
        }
    }

    fn tell(&self, outcome: &'static str) {
        self.inner
            .tell(Capability::Lock, ACQUIRE, outcome, self.since);
    }

    /// What may have been granted goes back in the background; what was not, need not.
    fn fail(&self, pending: Pending, error: BackendError) -> LockError {
        self.inner
            .tell_failure(Capability::Lock, ACQUIRE, &error, self.since);
        if error.outcome_unknown() {
            drop(pending);
        } else {
            pending.defuse();
        }
        error.into()
    }
}
