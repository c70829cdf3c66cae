//! Calls that fail.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use governance_core::{Provider, Retry, StoreError, StoreErrorKind, WriteCertainty};

use super::faulty::{Call, Fault, Faulty};

/// Fails the calls it is told to fail; the wrapped provider does not see them.
///
/// ```
/// use governance_core::RequestStore;
/// use governance_testkit::{
///     faults::{Call, FailingStore, unavailable},
///     fixtures::{RequestBuilder, SeededIds, VirtualClock},
///     model::ModelStore,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let store = FailingStore::new(ModelStore::new(VirtualClock::new()));
/// store.fail_next(Call::Create, 1, unavailable);
/// let request = RequestBuilder::new(&SeededIds::new(1), VirtualClock::START).build();
/// assert!(store.create(request.clone()).await.is_err());
/// assert!(store.create(request).await.is_ok());
/// # }
/// ```
pub type FailingStore = Faulty<Failing>;

/// What a [`FailingStore`] does.
#[derive(Default)]
pub struct Failing {
    rules: Mutex<Vec<Rule>>,
}

struct Rule {
    call: Call,
    /// How many calls pass before.
    pass: u32,
    /// How often still; none: always.
    left: Option<u32>,
    error: Arc<dyn Fn(Call) -> StoreError + Send + Sync>,
}

impl fmt::Debug for Failing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rules = rules.iter().map(|rule| (rule.call, (rule.pass, rule.left)));
        f.debug_map().entries(rules).finish()
    }
}

/// The store could not be reached; nothing was done and trying again is safe.
#[must_use]
pub fn unavailable(call: Call) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, call.as_str(), "told to fail")
        .with_retry(Retry::Safe)
}

/// No answer came in time; a write may have been done.
#[must_use]
pub fn unknown(call: Call) -> StoreError {
    let error = StoreError::new(StoreErrorKind::Timeout, call.as_str(), "no answer came");
    if call.is_write() {
        error
            .with_retry(Retry::SameOperation)
            .with_outcome(WriteCertainty::Unknown)
    } else {
        error.with_retry(Retry::Safe)
    }
}

impl Faulty<Failing> {
    /// The provider, failing nothing yet.
    #[must_use]
    pub fn new(store: impl Provider) -> Self {
        Self::with(store, Failing::default())
    }

    /// Fails the next calls of a method, so many of them.
    pub fn fail_next(
        &self,
        call: Call,
        times: u32,
        error: impl Fn(Call) -> StoreError + Send + Sync + 'static,
    ) {
        self.fault().add(call, 0, Some(times), error);
    }

    /// Fails every call of a method until [`heal`](Self::heal).
    pub fn fail_always(
        &self,
        call: Call,
        error: impl Fn(Call) -> StoreError + Send + Sync + 'static,
    ) {
        self.fault().add(call, 0, None, error);
    }

    /// Lets the next calls of a method pass, so many of them, and fails every one after them until
    /// [`heal`](Self::heal).
    pub fn pass_then_fail(
        &self,
        call: Call,
        pass: u32,
        error: impl Fn(Call) -> StoreError + Send + Sync + 'static,
    ) {
        self.fault().add(call, pass, None, error);
    }

    /// Fails nothing any more.
    pub fn heal(&self) {
        let rules = &self.fault().rules;
        rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl Failing {
    fn add(
        &self,
        call: Call,
        pass: u32,
        left: Option<u32>,
        error: impl Fn(Call) -> StoreError + Send + Sync + 'static,
    ) {
        let rule = Rule {
            call,
            pass,
            left,
            error: Arc::new(error),
        };
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.push(rule);
    }
}

#[async_trait]
impl Fault for Failing {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let rule = rules
            .iter_mut()
            .find(|rule| rule.call == call && rule.left != Some(0));
        match rule {
            None => Ok(()),
            Some(rule) if rule.pass > 0 => {
                rule.pass -= 1;
                Ok(())
            }
            Some(rule) => {
                rule.left = rule.left.map(|left| left - 1);
                Err((rule.error)(call))
            }
        }
    }
}
