//! One change, from its line to the state.

use std::{collections::HashMap, sync::Arc};

use anyhow::{Context as _, anyhow};
use governance_core::{
    Actor, Context, Governor, GovernorError, Limits, MutationRequest, OnStale, PageRequest,
    Provider, RejectionCause, RequestId, Status, StoreErrorKind, SubmitOptions, TenantId,
};

use crate::{
    conduct::{Refusals, Staff},
    input::{BadLine, Change},
    mutation::{PolicyState, PutPolicy, finding, shown},
    org::Organisation,
    policies::policies,
    verify::place,
};

/// How often a change is handed in. The staff lets the third attempt pass; more are needed only
/// where others write to the same states.
const ATTEMPTS: u32 = 16;

/// Why a change was not carried out.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Its line is to blame.
    BadLine(BadLine),
    /// Something else is.
    Broken(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

/// Carries changes out, each as a governed request.
#[derive(Debug)]
pub(crate) struct Replay {
    governor: Governor,
    organisation: Arc<Organisation>,
    deployer: Actor,
    seed: u64,
    /// What an earlier run left, by line and attempt.
    before: HashMap<(u64, u64), RequestId>,
}

impl Replay {
    /// On this provider, for changes of at most so many bytes.
    pub(crate) fn new(
        provider: Arc<dyn Provider>,
        tenant: TenantId,
        seed: u64,
        longest: usize,
    ) -> anyhow::Result<Self> {
        let organisation = Arc::new(Organisation::new()?);
        let limits = Limits::default()
            .payload(longest)
            .state(longest)
            .document(Self::document_limit(longest));
        let governor = Governor::builder(provider)
            .tenant(tenant)
            .directory(Arc::clone(&organisation))
            .register::<PutPolicy>()
            .policy(policies())
            .limits(limits)
            .build()?;
        Ok(Self {
            governor,
            organisation,
            deployer: Actor::service("deployer")?,
            seed,
            before: HashMap::new(),
        })
    }

    /// Goes on with what an earlier run left: what it executed is not done again, what it began is
    /// brought to its end.
    pub(crate) async fn resume(&mut self) -> anyhow::Result<()> {
        let query = self.governor.query();
        let mut page = PageRequest::first(500)?;
        loop {
            let read = self.governor.requests(&query, &page).await?;
            let known = read.items.iter();
            self.before
                .extend(known.filter_map(|request| Some((place(request)?, *request.id()))));
            match read.next {
                Some(cursor) => page = page.after(cursor),
                None => return Ok(()),
            }
        }
    }

    /// How large a request gets for changes of at most so many bytes: it holds its document up to
    /// three times, as it is asked for, and, once it is executed, before and after.
    pub(crate) const fn document_limit(longest: usize) -> usize {
        longest.saturating_mul(4)
    }

    pub(crate) const fn governor(&self) -> &Governor {
        &self.governor
    }

    /// Hands a change in, again by another owner as long as it is rejected, and executes it.
    /// Returns the votes that were refused on the way.
    pub(crate) async fn carry_out(&self, change: &Change) -> Result<Refusals, Trouble> {
        let mut refusals = Refusals::new();
        for attempt in 1..=ATTEMPTS {
            let mut request = match self.before.get(&(change.line, u64::from(attempt))) {
                Some(begun) => self.governor.get(begun).await?,
                None => self.submit(change, attempt).await?,
            };
            let about = (self.seed, change.line, attempt);
            let mut staff = Staff::new(&self.governor, &self.organisation, &mut refusals, about);
            loop {
                request = match request.status() {
                    Status::Pending => staff.decide(request).await?,
                    Status::Approved => self.execute(change, &request).await?,
                    Status::Executed => return Ok(refusals),
                    Status::Rejected if was_denied_by_policies(&request) => {
                        return Err(anyhow!("policies deny it").into());
                    }
                    Status::Rejected => break,
                    status => {
                        let id = request.id();
                        return Err(anyhow!("request {id} is {status} unexpectedly").into());
                    }
                }
            }
        }
        Err(anyhow!("rejected {ATTEMPTS} times").into())
    }

    /// Hands a change in and lets so many people vote, unless it needs fewer; no more.
    #[cfg(test)]
    pub(crate) async fn begin(&self, change: &Change, votes: u32) -> Result<(), Trouble> {
        let mut request = self.submit(change, 1).await?;
        let mut refusals = Refusals::new();
        let about = (self.seed, change.line, 1);
        let mut staff = Staff::new(&self.governor, &self.organisation, &mut refusals, about);
        for _ in 0..votes {
            if request.status() == Status::Pending {
                request = staff.next_vote(&request).await?;
            }
        }
        Ok(())
    }

    async fn submit(&self, change: &Change, attempt: u32) -> Result<Arc<MutationRequest>, Trouble> {
        let policy = change.policy.as_str();
        let owner = self.organisation.owner_of(policy, attempt);
        let owner = owner.context("nobody owns the policy")?;
        let (state, _) = self.governor.state::<PolicyState>(&change.policy).await?;
        let finding = finding(&state.unwrap_or_default(), &change.document)?;
        let mutation = PutPolicy {
            policy: policy.to_owned(),
            from_version: change.from_version.clone(),
            to_version: change.to_version.clone(),
            document: change.document.clone(),
            risk: finding.risk(),
        };
        let mut context = Context::of(owner)
            .metadata("line", change.line)
            .metadata("attempt", attempt);
        if let Some(at) = &change.observed_at {
            context = context.metadata("observed_at", at.as_str());
        }
        let from = shown(change.from_version.as_deref());
        let reason = format!("{from} to {}: {finding}", change.to_version);
        let options = SubmitOptions::new().reason(reason);
        let submission = self
            .governor
            .submit_with(context, &change.policy, mutation, options)
            .await
            .map_err(|error| trouble(change.line, error))?;
        Ok(Arc::clone(submission.request()))
    }

    async fn execute(
        &self,
        change: &Change,
        request: &MutationRequest,
    ) -> Result<Arc<MutationRequest>, Trouble> {
        let report = self
            .governor
            .execute(request.id(), &self.deployer, OnStale::Reject)
            .await
            .map_err(|error| trouble(change.line, error))?;
        Ok(Arc::clone(report.request()))
    }
}

fn was_denied_by_policies(request: &MutationRequest) -> bool {
    request.rejection() == Some(&RejectionCause::PolicyDenied)
}

/// Whether the line is to blame for an error.
fn trouble(line: u64, error: GovernorError) -> Trouble {
    let reason = match &error {
        // In the order the checks were made, so the first says most.
        GovernorError::Invalid(invalid) => invalid.violations().first().map_or_else(
            || invalid.to_string(),
            |violation| format!("{}: {}", violation.path, violation.message),
        ),
        GovernorError::TooLarge(large) => large.to_string(),
        GovernorError::Store(store) if store.kind() == StoreErrorKind::TooLarge => {
            "larger than the store takes".to_owned()
        }
        _ => return Trouble::Broken(error.into()),
    };
    Trouble::BadLine(BadLine { line, reason })
}
