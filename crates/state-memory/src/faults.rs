//! Failures on demand.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use parking_lot::Mutex;
use state_core::BackendError;

/// Where the next call fails.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Before it is done: nothing was changed.
    Before,
    /// After it was done: the reply is lost.
    After,
}

/// Makes calls of a store fail, for tests of what is built on it. A clone is a handle to the same.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Asked>);

#[derive(Debug, Default)]
struct Asked {
    faults: Mutex<VecDeque<(&'static str, Fault)>>,
    /// Whether there ever were any, so that nobody waits for a lock where there are none.
    any: AtomicBool,
}

impl Faults {
    /// No failures.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The next call of an operation fails; more of them queue up.
    pub fn fail_next(&self, operation: &'static str, fault: Fault) {
        self.0.faults.lock().push_back((operation, fault));
        // Whoever is told that a failure was asked for sees this.
        self.0.any.store(true, Ordering::Relaxed);
    }

    /// Whether every failure asked for has happened.
    #[must_use]
    pub fn are_used_up(&self) -> bool {
        self.0.faults.lock().is_empty()
    }

    /// Does a step of an operation, unless it is to fail.
    ///
    /// # Errors
    ///
    /// Those of the step, and [`Unavailable`](state_core::ErrorKind::Unavailable) or
    /// [`Timeout`](state_core::ErrorKind::Timeout) with an unknown outcome as asked for.
    #[inline]
    pub(crate) fn around<T, E: From<BackendError>>(
        &self,
        operation: &'static str,
        step: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        match self.take(operation) {
            None => step(),
            Some(Fault::Before) => {
                Err(BackendError::unavailable(operation, "the call fails as asked for").into())
            }
            Some(Fault::After) => {
                step()?;
                Err(BackendError::timeout(operation).outcome_is_unknown().into())
            }
        }
    }

    #[inline]
    fn take(&self, operation: &'static str) -> Option<Fault> {
        if !self.are_asked_for() {
            return None;
        }
        self.asked_for(operation)
    }

    /// Whether there ever were any.
    #[inline]
    pub(crate) fn are_asked_for(&self) -> bool {
        self.0.any.load(Ordering::Relaxed)
    }

    fn asked_for(&self, operation: &'static str) -> Option<Fault> {
        let mut next = self.0.faults.lock();
        let at = next.iter().position(|(name, _)| *name == operation)?;
        next.remove(at).map(|(_, fault)| fault)
    }
}
