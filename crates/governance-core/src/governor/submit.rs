//! Submission.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use super::{
    Governor, GovernorError, TooLarge,
    prepared::Decoded,
    update::{Call, Doubt},
};
use crate::{
    context::{Context, Reason},
    decision::{DecisionKind, DenialReason, Lifecycle, PolicyEvent, PolicyPhase, RejectionCause},
    ids::{ActorId, IdempotencyKey, RequestId, StateId, Timestamp},
    mutation::{DynMutation, Mutation, UpgradeError},
    policy::PolicySubject,
    request::{MutationRequest, Payload, PayloadError, Proposal, Scope},
    status::Status,
    store::{Creation, Operation, StoreErrorKind},
};

/// What a submission may say beyond who, which state and what.
///
/// ```
/// use std::time::Duration;
/// use governance_core::{IdempotencyKey, SubmitOptions};
///
/// let options = SubmitOptions::new()
///     .idempotency_key(IdempotencyKey::new("deploy-4711")?)
///     .reason("raise the quota for the launch")
///     .expires_in(Duration::from_secs(86_400));
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct SubmitOptions {
    idempotency_key: Option<IdempotencyKey>,
    reason: Option<String>,
    expires: Option<Expires>,
    parties: Vec<ActorId>,
}

#[derive(Debug, Clone, Copy)]
enum Expires {
    At(Timestamp),
    In(Duration),
}

impl SubmitOptions {
    /// Nothing beyond.
    pub fn new() -> Self {
        Self::default()
    }

    /// The caller's own key: the same key for the same state returns the first request.
    pub fn idempotency_key(mut self, key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Why the change is wanted.
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// The request has to be final by this time, by the store's clock.
    pub const fn expires_at(mut self, deadline: Timestamp) -> Self {
        self.expires = Some(Expires::At(deadline));
        self
    }

    /// The request has to be final within this time.
    pub const fn expires_in(mut self, duration: Duration) -> Self {
        self.expires = Some(Expires::In(duration));
        self
    }

    /// Somebody who shares in the change: a co-author or beneficiary, who cannot approve it.
    pub fn party(mut self, actor: ActorId) -> Self {
        self.parties.push(actor);
        self
    }
}

/// What policies said to a submission.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SubmissionOutcome {
    /// It may be executed.
    Approved,
    /// It waits for approvals.
    Pending,
    /// It is refused and final. The attempt stays in the history.
    Denied {
        /// Why.
        reasons: Vec<DenialReason>,
    },
}

/// A request as it was handed in.
#[derive(Debug, Clone)]
pub struct Submission {
    request: Arc<MutationRequest>,
    replayed: bool,
}

impl Submission {
    /// The id.
    #[must_use]
    pub fn id(&self) -> RequestId {
        *self.request.id()
    }

    /// The request. If the submission was a repetition, as it is by now.
    #[must_use]
    pub const fn request(&self) -> &Arc<MutationRequest> {
        &self.request
    }

    /// Whether the request may be executed right now.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        self.request.status() == Status::Approved
    }

    /// Whether an earlier submission under the same key had made the request already.
    #[must_use]
    pub const fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// What policies said at submission.
    #[must_use]
    pub fn outcome(&self) -> SubmissionOutcome {
        let first = self
            .request
            .decisions()
            .iter()
            .find_map(|d| match d.kind() {
                DecisionKind::Lifecycle(Lifecycle::Submitted { .. }) => None,
                DecisionKind::Lifecycle(event) => Some(event),
                _ => None,
            });
        match first {
            Some(Lifecycle::Rejected {
                cause: RejectionCause::PolicyDenied,
            }) => SubmissionOutcome::Denied {
                reasons: self.denial_reasons(),
            },
            Some(Lifecycle::Approved) => SubmissionOutcome::Approved,
            _ => SubmissionOutcome::Pending,
        }
    }

    fn denial_reasons(&self) -> Vec<DenialReason> {
        self.request
            .decisions()
            .iter()
            .filter_map(|decision| match decision.kind() {
                DecisionKind::Policy(PolicyEvent::Evaluated {
                    phase: PolicyPhase::Submission,
                    policies,
                    ..
                }) => Some(policies),
                _ => None,
            })
            .flatten()
            .filter(|policy| policy.decisive)
            .flat_map(|policy| policy.reasons.iter().cloned())
            .collect()
    }
}

impl Governor {
    /// Hands in a change of a state.
    ///
    /// The mutation is validated on the state as it is, policies judge it, and the request is
    /// stored: approved, pending with the approvals they require, or denied.
    ///
    /// # Errors
    ///
    /// [`GovernorError::Invalid`] when the mutation makes no sense on the state,
    /// [`GovernorError::Unsatisfiable`] when too few people could ever approve it,
    /// [`GovernorError::PolicyConflict`], [`GovernorError::UnknownMutation`],
    /// [`GovernorError::Payload`] when the mutation cannot be encoded and read back,
    /// [`GovernorError::Upgrade`] when the type registered under its name does not know its schema,
    /// [`GovernorError::TooDeep`], [`GovernorError::TooLarge`], [`GovernorError::Unauthorized`], [`GovernorError::Name`],
    /// [`GovernorError::Port`], [`GovernorError::Store`], [`GovernorError::Unknown`]. Nothing is
    /// stored then, but for the last, which does not know.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future may leave the request stored. Repeat it under the same idempotency key
    /// or operation id to find it again.
    pub async fn submit<M: Mutation>(
        &self,
        by: impl Into<Context> + Send,
        state: &StateId,
        mutation: M,
    ) -> Result<Submission, GovernorError> {
        self.submit_with(by, state, mutation, SubmitOptions::new())
            .await
    }

    /// [`Governor::submit`] with more to say.
    ///
    /// # Errors
    ///
    /// As [`Governor::submit`]; also [`GovernorError::KeyReused`] when the idempotency key belongs
    /// to another change, [`GovernorError::Reason`], and [`GovernorError::Request`] when the
    /// deadline has passed.
    pub async fn submit_with<M: Mutation>(
        &self,
        by: impl Into<Context> + Send,
        state: &StateId,
        mutation: M,
        options: SubmitOptions,
    ) -> Result<Submission, GovernorError> {
        let context = by.into();
        let Some((name, state_type)) = self.parts.registry.names(M::TYPE) else {
            return Err(GovernorError::UnknownMutation {
                mutation: M::TYPE.to_owned(),
            });
        };
        let scope = Scope {
            tenant: self.tenant.clone(),
            state_type: state_type.clone(),
            state_id: state.clone(),
        };
        let payload = Payload::encode(name.clone(), M::SCHEMA, &mutation).map_err(|source| {
            GovernorError::Payload {
                what: "payload",
                source,
            }
        })?;
        TooLarge::check("payload", payload.body().len(), self.parts.limits.payload)?;
        // From here on it is about what is stored, not about what was handed in: policies judge
        // what is going to run. What nobody can read would else be found out at the execution,
        // after all the approvals.
        drop(mutation);
        let mutation = self.read_back(&payload)?;
        let call = self
            .admit(context, Operation::Submit, Some(&scope), None)
            .await?;
        self.submit_dyn(call, scope, payload, mutation, options)
            .await
    }

    fn read_back(&self, payload: &Payload) -> Result<Box<dyn DynMutation>, GovernorError> {
        let refuse = |source| GovernorError::Payload {
            what: "payload",
            source,
        };
        self.decode(payload).map_err(|error| match error {
            GovernorError::Upgrade(UpgradeError::Payload(source)) => refuse(source),
            GovernorError::Upgrade(UpgradeError::UnknownField) => refuse(PayloadError::UnreadField),
            error => error,
        })
    }

    /// How often policies are asked about one submission while they amend it.
    const MOST_RULINGS: u32 = 8;

    async fn submit_dyn(
        &self,
        call: Call,
        scope: Scope,
        payload: Payload,
        mutation: Box<dyn DynMutation>,
        options: SubmitOptions,
    ) -> Result<Submission, GovernorError> {
        let key = match (options.idempotency_key, call.context.operation) {
            (None, Some(operation)) => Some(IdempotencyKey::new(format!("operation:{operation}"))?),
            (key, _) => key,
        };
        if let Some(key) = &key
            && let Some(existing) = self.parts.store.find_by_key(&scope, key).await?
        {
            return same_change(existing, &payload, &call);
        }
        let mut intent = mutation.intent()?;
        GovernorError::check_nesting("intent", intent.metadata().values())?;
        self.check_metadata(intent.metadata())?;
        let loaded = self.load_state(&scope, &*mutation, None).await?;
        mutation
            .validate(&loaded.state)
            .map_err(GovernorError::Invalid)?;
        let now = self.now().await?;
        let mut act = call.act(now);
        act.reason = options.reason.map(Reason::new).transpose()?;
        let mut deadline = options
            .expires
            .or(self.parts.time_to_live.map(Expires::In))
            .map(|expires| match expires {
                Expires::At(deadline) => deadline,
                Expires::In(duration) => now.saturating_add(duration),
            });
        let mut amendments = Vec::new();
        let mut rounds = 0;
        let judgement = loop {
            let subject = PolicySubject {
                phase: PolicyPhase::Submission,
                scope: &scope,
                intent: &intent,
                requester: &call.context.actor,
                on_behalf_of: call.context.on_behalf_of.as_ref(),
                membership: &call.membership,
                reason: act.reason.as_ref(),
                metadata: &call.context.metadata,
                version: loaded.version,
                mutation: mutation.as_any(),
                state: loaded.state.as_deref(),
                granted: None,
                now,
            };
            let policies = &self.parts.policies;
            let mut ruling = policies
                .evaluate(&subject, self.parts.policy_deadline)
                .await?;
            rounds += 1;
            // A policy that changes the risk or the tags changes what the others judge by. Risk
            // only rises and tags only come, so this ends by itself unless a policy keeps making
            // up new tags.
            let again = ruling.amend(&mut intent, &mut deadline, now, &mut amendments);
            if !again || rounds == Self::MOST_RULINGS {
                break ruling.judgement().amending(amendments);
            }
        };
        let id = self.parts.ids.request_id(now, scope.slot());
        let parties = self.parties(options.parties, &call).await?;
        let mut proposal =
            Proposal::new(id, scope, payload, intent, loaded.version, &act).with_parties(parties);
        if let Some(key) = key {
            proposal = proposal.with_idempotency_key(key);
        }
        self.check_satisfiable(judgement.rules(), proposal.parties())
            .await?;
        let request = Arc::new(MutationRequest::submit(
            proposal, &judgement, deadline, &act,
        )?);
        self.check_document(&request)?;
        let proposal = Arc::clone(request.shared_proposal());
        let submission = self.create(request, &call).await?;
        if !submission.replayed && !submission.request.status().is_terminal() {
            self.parts.prepared.keep(
                id,
                Decoded {
                    proposal,
                    mutation,
                    state: loaded,
                },
            );
        }
        Ok(submission)
    }

    /// Those who share in a change beside the caller. Whoever owns an account that asks or shares
    /// does so, too.
    async fn parties(
        &self,
        others: Vec<ActorId>,
        call: &Call,
    ) -> Result<BTreeSet<ActorId>, GovernorError> {
        let mut parties: BTreeSet<ActorId> = others.into_iter().collect();
        // The directory is asked about each, so first of all they have to fit.
        let bytes = parties.iter().map(|party| party.as_str().len()).sum();
        TooLarge::check("document", bytes, self.parts.limits.document)?;
        parties.extend(call.context.on_behalf_of.clone());
        parties.remove(call.context.actor.id());
        let mut owners = call.membership.acts_for.clone();
        for party in &parties {
            let membership = self.parts.directory.membership(&self.tenant, party).await?;
            owners.extend(membership.acts_for);
        }
        parties.extend(owners);
        Ok(parties)
    }

    async fn create(
        &self,
        request: Arc<MutationRequest>,
        call: &Call,
    ) -> Result<Submission, GovernorError> {
        let mut doubt = Doubt::default();
        self.attempt_create(request, call, &mut doubt)
            .await
            .map_err(|error| doubt.conclude(error, call.operation))
    }

    async fn attempt_create(
        &self,
        request: Arc<MutationRequest>,
        call: &Call,
        doubt: &mut Doubt,
    ) -> Result<Submission, GovernorError> {
        for attempt in 0..self.parts.attempts {
            match self.parts.store.create(Arc::clone(&request)).await {
                Ok(Creation::Created) => {
                    return Ok(Submission {
                        request,
                        replayed: false,
                    });
                }
                Ok(Creation::Existing(existing)) if existing.id() == request.id() => {
                    return Ok(Submission {
                        request: existing,
                        replayed: attempt == 0,
                    });
                }
                Ok(Creation::Existing(existing)) => {
                    return same_change(existing, request.proposal().payload(), call);
                }
                // The id was made for this request alone, so sending the same again is safe.
                Err(error)
                    if error.kind() != StoreErrorKind::Conflict
                        && self.try_again(&error, attempt) =>
                {
                    doubt.note(error, request.revision());
                }
                Err(error) => return Err(GovernorError::of_write(error, call.operation)),
            }
        }
        Err(GovernorError::Contended {
            id: *request.id(),
            attempts: self.parts.attempts,
        })
    }
}

/// The request an idempotency key belongs to, if it is the same change of the same requester for
/// the same person.
fn same_change(
    existing: Arc<MutationRequest>,
    payload: &Payload,
    call: &Call,
) -> Result<Submission, GovernorError> {
    let (known, stored) = (existing.proposal(), existing.proposal().payload());
    let same = (stored.mutation(), stored.schema(), stored.digest())
        == (payload.mutation(), payload.schema(), payload.digest())
        && known.requester().id() == call.context.actor.id()
        && known.on_behalf_of() == call.context.on_behalf_of.as_ref();
    if same {
        Ok(Submission {
            request: existing,
            replayed: true,
        })
    } else {
        Err(GovernorError::KeyReused {
            existing: *existing.id(),
        })
    }
}
