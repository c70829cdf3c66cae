//! What an execution would do. Executing is this and storing the result; a dry run is this alone.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    ExecutionOutcome, Governor, GovernorError, OnStale, TooLarge, prepared::Decoded, update::Call,
};
use crate::{
    approval::{ExecutorRule, Verdict},
    context::Context,
    decision::{AmendmentEvent, Decision, DenialReason, PolicyAnswer, PolicyPhase, PolicyRecord},
    effects::{Severity, SideEffect},
    ids::{Label, RequestId, StateVersion, Timestamp},
    intent::Intent,
    mutation::{AnyState, DynMutation},
    policy::{Amendment, PolicySubject, Ruling},
    request::{Draft, Failure, Judgement, MutationRequest, Payload, Scope},
    status::Status,
    store::Operation,
};

/// A state with its version, decoded.
pub(super) struct Loaded {
    pub(super) version: StateVersion,
    /// What it was decoded from.
    pub(super) body: Option<Bytes>,
    pub(super) state: AnyState,
}

/// What an execution is going to store.
pub(super) struct Assessment {
    pub(super) draft: Draft,
    pub(super) resolution: Resolution,
    pub(super) before: StateVersion,
    /// What becomes of the state, if the change is going to be made.
    pub(super) next: Option<NextState>,
}

/// What a change makes of its state.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NextState {
    /// It has this value, encoded.
    Value(Bytes),
    /// It ends: there is none afterwards.
    Deleted,
}

impl NextState {
    /// The encoded value, as a [`StateWrite`](crate::StateWrite) wants it: none deletes.
    pub(super) fn into_body(self) -> Option<Bytes> {
        match self {
            Self::Value(body) => Some(body),
            Self::Deleted => None,
        }
    }
}

/// How the version of the state bears on an execution.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// The state still has the version the request was approved for.
    Current {
        /// The version.
        version: StateVersion,
    },
    /// It has moved, and the staleness rule decides.
    Stale {
        /// Version the request was approved for.
        approved_for: StateVersion,
        /// Version found.
        current: StateVersion,
    },
}

/// What an execution would do, were it done now. Nothing was stored.
#[derive(Debug, Clone)]
pub struct DryRun {
    request: Arc<MutationRequest>,
    known: usize,
    resolution: Resolution,
    outcome: ExecutionOutcome,
    next: Option<NextState>,
}

impl DryRun {
    /// What would become of the request.
    #[must_use]
    pub const fn outcome(&self) -> ExecutionOutcome {
        self.outcome
    }

    /// How the version of the state bears on it.
    #[must_use]
    pub const fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// The request as it would be: with its execution, changes, side effects and status.
    #[must_use]
    pub fn request(&self) -> &MutationRequest {
        &self.request
    }

    /// The decisions that would be recorded.
    #[must_use]
    pub fn decisions(&self) -> &[Arc<Decision>] {
        &self.request.decisions()[self.known..]
    }

    /// What would become of the state, if the change would be made.
    #[must_use]
    pub const fn next_state(&self) -> Option<&NextState> {
        self.next.as_ref()
    }

    /// The new state, encoded, if the change would be made and leaves one.
    #[must_use]
    pub const fn state(&self) -> Option<&Bytes> {
        match &self.next {
            Some(NextState::Value(body)) => Some(body),
            Some(NextState::Deleted) | None => None,
        }
    }
}

impl Governor {
    /// What executing a request would do now. Stores nothing and changes no status.
    ///
    /// # Errors
    ///
    /// As [`Governor::execute`], but for those that come from storing.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn dry_run(
        &self,
        id: &RequestId,
        by: impl Into<Context> + Send,
        on_stale: OnStale,
    ) -> Result<DryRun, GovernorError> {
        let request = self.load(id).await?;
        let scope = request.proposal().scope().clone();
        let call = self
            .admit(by.into(), Operation::DryRun, Some(&scope), Some(&request))
            .await?;
        let assessment = self.assess(&request, &call, on_stale, None).await?;
        let after = assessment.draft.finish();
        Ok(DryRun {
            known: request.decisions().len(),
            resolution: assessment.resolution,
            outcome: ExecutionOutcome::of(after.status()),
            next: assessment.next,
            request: Arc::new(after),
        })
    }

    /// Decides what an execution does: re-checks record, deadlines, duty split and digests, looks
    /// at the state as it is, resolves staleness, asks policies, and applies the mutation.
    pub(super) async fn assess(
        &self,
        request: &Arc<MutationRequest>,
        call: &Call,
        on_stale: OnStale,
        prepared: Option<Decoded>,
    ) -> Result<Assessment, GovernorError> {
        let now = self.now().await?;
        let mut draft = request.draft(call.act(now));
        draft.check_executable()?;
        request
            .verify_if_read()
            .map_err(|problem| GovernorError::Tampered {
                id: *request.id(),
                problem,
            })?;
        check_executor(request, call, request.round().rules().executor_rule())?;
        // One that was prepared here has told the intent that is stored.
        let (mutation, known) = match prepared.and_then(|p| p.of(request.shared_proposal())) {
            Some((mutation, state)) => (mutation, Some(state)),
            None => (self.stored_mutation(request)?, None),
        };
        let loaded = self
            .load_state(request.proposal().scope(), &*mutation, known)
            .await?;
        let approved_for = request.approved_version();
        let current = loaded.version;
        let stale = current != approved_for;
        let resolution = if stale {
            Resolution::Stale {
                approved_for,
                current,
            }
        } else {
            Resolution::Current { version: current }
        };
        let done = |draft, next| {
            Ok(Assessment {
                draft,
                resolution,
                before: current,
                next,
            })
        };
        if stale && on_stale == OnStale::Reject {
            draft.reject_stale(current)?;
            return done(draft, None);
        }
        if stale
            && on_stale != OnStale::AnyVersion
            && let Err(invalid) = mutation.validate(&loaded.state)
        {
            let violations = invalid
                .violations()
                .iter()
                .map(ToString::to_string)
                .collect();
            draft.reject_invalid(current, violations)?;
            return done(draft, None);
        }
        let judgement = self
            .judge_execution(request, &*mutation, &loaded, now)
            .await?;
        if !self
            .resolve(&mut draft, stale.then_some(on_stale), current, &judgement)
            .await?
        {
            return done(draft, None);
        }
        // Policies may have become stricter about who executes, and need no new approvals for it.
        let executor = judgement.judgement.rules().executor_rule();
        check_executor(request, call, executor)?;
        let applied = match mutation.validate(&loaded.state) {
            Ok(()) => mutation.apply(loaded.state).map_err(|error| Failure {
                code: error.code,
                message: error.message,
                retryable: error.retryable,
            }),
            Err(invalid) => Err(Failure {
                code: Label::literal("mutation.invalid"),
                message: invalid.to_string(),
                retryable: true,
            }),
        };
        match applied {
            Ok(applied) => {
                let (changes, effects) = (applied.changes, applied.side_effects);
                let values = changes
                    .iter()
                    .flat_map(|c| c.before().into_iter().chain(c.after()));
                let data = effects.iter().filter_map(SideEffect::data);
                GovernorError::check_nesting("changes", values.chain(data))?;
                let after = current.next();
                let next = match applied.body {
                    Some(body) => {
                        TooLarge::check("state", body.len(), self.parts.limits.state)?;
                        draft.complete(current, after, changes, effects)?;
                        NextState::Value(body)
                    }
                    None => {
                        draft.complete_deleting(current, after, changes, effects)?;
                        NextState::Deleted
                    }
                };
                done(draft, Some(next))
            }
            Err(failure) => {
                draft.fail(failure)?;
                done(draft, None)
            }
        }
    }

    /// Follows policies and staleness rule. Says whether to go on and apply the mutation.
    async fn resolve(
        &self,
        draft: &mut Draft,
        stale: Option<OnStale>,
        current: StateVersion,
        judgement: &ExecutionJudgement,
    ) -> Result<bool, GovernorError> {
        let ExecutionJudgement { judgement, faulted } = judgement;
        if *faulted {
            return Err(GovernorError::PolicyUnavailable {
                reasons: owned_reasons(judgement),
            });
        }
        let required = judgement.rules();
        match stale {
            Some(OnStale::RenewApproval) => {
                self.check_satisfiable(required, draft.request().proposal().parties())
                    .await?;
                draft.renew(current, judgement)?;
            }
            Some(OnStale::Revalidate) => {
                if !required.are_covered_by(draft.request().round().rules()) {
                    self.check_satisfiable(required, draft.request().proposal().parties())
                        .await?;
                }
                draft.revalidate(current, judgement)?;
            }
            Some(OnStale::AnyVersion | OnStale::Reject) | None => {
                if judgement.answer() == PolicyAnswer::Denied {
                    return Err(GovernorError::PolicyDenied {
                        reasons: owned_reasons(judgement),
                    });
                }
                if stale.is_some() {
                    draft.accept_any_version(current)?;
                }
                if !required.are_covered_by(draft.request().round().rules()) {
                    self.check_satisfiable(required, draft.request().proposal().parties())
                        .await?;
                    draft.require_more(current, judgement)?;
                }
            }
        }
        Ok(draft.request().status() == Status::Approved)
    }

    /// The mutation of a payload.
    pub(super) fn decode(&self, payload: &Payload) -> Result<Box<dyn DynMutation>, GovernorError> {
        let unknown = || GovernorError::UnknownMutation {
            mutation: payload.mutation().to_string(),
        };
        let decoded = self.parts.registry.decode(payload);
        Ok(decoded.ok_or_else(unknown)??)
    }

    fn stored_mutation(
        &self,
        request: &MutationRequest,
    ) -> Result<Box<dyn DynMutation>, GovernorError> {
        let mutation = self.decode(request.proposal().payload())?;
        let (stored, now) = (request.proposal().intent(), mutation.intent()?);
        // Policies may have raised the risk, nobody can have lowered it.
        if now.operation() != stored.operation() || now.risk_level() > stored.risk_level() {
            return Err(GovernorError::IntentChanged { id: *request.id() });
        }
        Ok(mutation)
    }

    /// The state as it is now. It is not decoded again where it is the one that is known.
    pub(super) async fn load_state(
        &self,
        scope: &Scope,
        mutation: &dyn DynMutation,
        known: Option<Loaded>,
    ) -> Result<Loaded, GovernorError> {
        let snapshot = self.parts.store.load(scope).await?;
        let state =
            match known {
                Some(known) if known.body == snapshot.body => known.state,
                _ => mutation.state(snapshot.body.as_ref()).map_err(|source| {
                    GovernorError::Payload {
                        what: "state",
                        source,
                    }
                })?,
            };
        Ok(Loaded {
            version: snapshot.version,
            body: snapshot.body,
            state,
        })
    }

    async fn judge_execution(
        &self,
        request: &MutationRequest,
        mutation: &dyn DynMutation,
        loaded: &Loaded,
        now: Timestamp,
    ) -> Result<ExecutionJudgement, GovernorError> {
        let proposal = request.proposal();
        let requester = proposal.requester();
        let membership = self
            .parts
            .directory
            .membership(&self.tenant, requester.id())
            .await?;
        let subject = PolicySubject {
            phase: PolicyPhase::Execution,
            scope: proposal.scope(),
            intent: proposal.intent(),
            requester,
            on_behalf_of: proposal.on_behalf_of(),
            membership: &membership,
            reason: request.reason(),
            metadata: proposal.metadata(),
            version: loaded.version,
            mutation: mutation.as_any(),
            state: loaded.state.as_deref(),
            granted: Some(request.round()),
            now,
        };
        let ruling = self
            .parts
            .policies
            .evaluate(&subject, self.parts.policy_deadline)
            .await?;
        Ok(ExecutionJudgement {
            faulted: ruling.is_faulted(),
            judgement: ruling.judgement(),
        })
    }
}

struct ExecutionJudgement {
    judgement: Judgement,
    faulted: bool,
}

fn owned_reasons(judgement: &Judgement) -> Vec<DenialReason> {
    judgement.reasons().cloned().collect()
}

fn check_executor(
    request: &MutationRequest,
    call: &Call,
    rule: ExecutorRule,
) -> Result<(), GovernorError> {
    let actor = call.context.actor.id();
    let round = request.round();
    if rule == ExecutorRule::Anyone {
        return Ok(());
    }
    let mut membership = call.membership.clone();
    membership
        .acts_for
        .extend(call.context.on_behalf_of.clone());
    let requester = || request.proposal().parties().include(actor, &membership);
    let approver = || {
        round.votes().iter().any(|v| {
            v.verdict() == Verdict::Approve
                && membership.is_one_person(actor, v.actor(), v.evidence())
        })
    };
    let barred = match rule {
        ExecutorRule::Anyone => false,
        ExecutorRule::NotRequester => requester(),
        ExecutorRule::NotRequesterOrApprover => requester() || approver(),
    };
    if barred {
        Err(GovernorError::ExecutorBarred {
            actor: actor.clone(),
        })
    } else {
        Ok(())
    }
}

impl Ruling {
    /// The ruling in the form a request records. Where no policy had an opinion the change is
    /// denied, and the record says so.
    pub(super) fn judgement(self) -> Judgement {
        let mut records = self.records;
        match self.answer {
            // An allowance has rules, too: who may execute.
            PolicyAnswer::Allowed | PolicyAnswer::Required => {
                Judgement::required(self.rules, records)
            }
            PolicyAnswer::Denied => Judgement::denied(records),
            PolicyAnswer::Abstained => {
                records.push(PolicyRecord {
                    policy: "policies".to_owned(),
                    answer: PolicyAnswer::Denied,
                    severity: Severity::Error,
                    reasons: vec![DenialReason {
                        code: Label::literal("policy.no_opinion"),
                        message: "no policy allows this change".to_owned(),
                    }],
                    decisive: true,
                    metadata: crate::context::Metadata::new(),
                });
                Judgement::denied(records)
            }
        }
    }

    /// Carries out what policies change about a submission. Says whether they changed what they
    /// judge by, so that they have to be asked again.
    pub(super) fn amend(
        &mut self,
        intent: &mut Intent,
        deadline: &mut Option<Timestamp>,
        now: Timestamp,
        events: &mut Vec<AmendmentEvent>,
    ) -> bool {
        let mut again = false;
        for (policy, amendment) in std::mem::take(&mut self.amendments) {
            match amendment {
                Amendment::RaiseRisk(to) => {
                    let from = intent.risk;
                    if to > from {
                        intent.risk = to;
                        events.push(AmendmentEvent::Risk { from, to, policy });
                        again = true;
                    }
                }
                Amendment::AddTag(tag) => {
                    if intent.tags.insert(tag.clone()) {
                        events.push(AmendmentEvent::Tag { tag, policy });
                        again = true;
                    }
                }
                Amendment::ExpireWithin(duration) => {
                    let to = now.saturating_add(duration);
                    if deadline.is_none_or(|deadline| to < deadline) {
                        let from = deadline.replace(to);
                        events.push(AmendmentEvent::Deadline {
                            policy: Some(policy),
                            from,
                            to: *deadline,
                        });
                    }
                }
            }
        }
        again
    }
}
