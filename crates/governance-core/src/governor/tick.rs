//! Due work.

use super::{Governor, GovernorError};
use crate::{
    context::{Actor, Context},
    ids::{InvalidName, RequestId, Timestamp},
    query::{Order, PageRequest, RequestQuery},
    store::Operation,
};

/// What became of one due request.
#[non_exhaustive]
#[derive(Debug)]
pub enum TickOutcome {
    /// It expired.
    Expired,
    /// Somebody else was faster, or its deadline was moved.
    Skipped,
    /// It could not be stored. The next tick tries again.
    Failed(GovernorError),
}

impl std::fmt::Display for TickOutcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Expired => f.write_str("expired"),
            Self::Skipped => f.write_str("skipped"),
            Self::Failed(error) => write!(f, "failed: {error}"),
        }
    }
}

/// One due request.
#[derive(Debug)]
pub struct TickItem {
    /// The request.
    pub id: RequestId,
    /// What became of it.
    pub outcome: TickOutcome,
}

/// What a tick did.
#[derive(Debug)]
pub struct TickReport {
    /// Each due request, earliest deadline first.
    pub items: Vec<TickItem>,
    /// Whether more is due than one tick does. Call again.
    pub more: bool,
}

impl TickReport {
    /// How many requests expired.
    #[must_use]
    pub fn expired(&self) -> usize {
        self.items
            .iter()
            .filter(|item| matches!(item.outcome, TickOutcome::Expired))
            .count()
    }
}

/// The actor of due work.
pub(super) fn system() -> Result<Actor, InvalidName> {
    Actor::system("governor")
}

impl Governor {
    /// Most requests one tick looks at.
    pub const TICK_LIMIT: usize = 1_000;
    const TICK_PAGE: u16 = 100;

    /// Does the work that is due: expires requests whose deadline, or that of an open
    /// requirement, has passed. Looks at up to [`Governor::TICK_LIMIT`] requests in pages,
    /// earliest deadline first; what fails for one request does not stop the others.
    ///
    /// `now` can only hold back: nothing that is not due by the store's clock is done. Any number
    /// of processes may tick at the same time.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Unauthorized`], or [`GovernorError::Store`] when the due requests cannot
    /// be listed. What was done before stays done.
    pub async fn tick(&self, now: Timestamp) -> Result<TickReport, GovernorError> {
        self.admit(Context::of(&system()?), Operation::Tick, None, None)
            .await?;
        let now = now.min(self.now().await?);
        let due = RequestQuery::in_tenant(self.tenant.clone()).due_by(now);
        let mut page = PageRequest::first(Self::TICK_PAGE)?.order(Order::Deadline);
        let mut items = Vec::new();
        loop {
            let found = self.parts.store.requests(&due, &page).await?;
            for request in found.items {
                let outcome = match self.expire(&request).await {
                    Ok(true) => TickOutcome::Expired,
                    Ok(false) => TickOutcome::Skipped,
                    Err(error) => TickOutcome::Failed(error),
                };
                items.push(TickItem {
                    id: *request.id(),
                    outcome,
                });
            }
            match found.next {
                Some(_) if items.len() >= Self::TICK_LIMIT => {
                    return Ok(TickReport { items, more: true });
                }
                Some(next) => page = page.after(next),
                None => return Ok(TickReport { items, more: false }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{StoreError, StoreErrorKind};

    #[test]
    fn outcomes_are_told_in_words() {
        let timeout = StoreError::new(StoreErrorKind::Timeout, "put", "no answer");
        let told = [
            TickOutcome::Expired,
            TickOutcome::Skipped,
            TickOutcome::Failed(timeout.into()),
        ]
        .map(|outcome| outcome.to_string());
        let failed = "failed: the store failed: put: no answer";
        assert_eq!(told, ["expired", "skipped", failed]);
    }
}
