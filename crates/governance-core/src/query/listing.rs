//! Lists of requirements and of decisions: slim views, not whole requests.

use std::{collections::BTreeSet, sync::Arc};

use serde::Serialize;

use super::{
    filter::{Filter, FilterError, TimeRange},
    matches::{has_code, matches},
    request_query::{RequestQuery, outcomes},
};
use crate::{
    approval::{Requirement, RequirementEvaluation, RequirementStatus, Selector},
    decision::{Decision, DecisionCategory},
    ids::{
        ActorId, Digest, Group, RequestId, RequirementId, Revision, Role, StateId, TenantId,
        Timestamp,
    },
    request::MutationRequest,
    status::Status,
};

/// One condition on a requirement. A set means "one of these"; an empty set matches nothing.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalCondition {
    /// How it stands.
    Statuses(BTreeSet<RequirementStatus>),
    /// It names one of these actors.
    Actors(BTreeSet<ActorId>),
    /// It names one of these roles.
    Roles(BTreeSet<Role>),
    /// It names one of these groups.
    Groups(BTreeSet<Group>),
    /// Its stage.
    Stages(BTreeSet<u16>),
}

impl ApprovalCondition {
    /// How many values it compares with.
    fn values(&self) -> usize {
        match self {
            Self::Statuses(set) => set.len(),
            Self::Actors(set) => set.len(),
            Self::Roles(set) => set.len(),
            Self::Groups(set) => set.len(),
            Self::Stages(set) => set.len(),
        }
    }
}

/// Checks how many conditions there are, and values of all of them, by the bounds of a filter.
fn bounded(values: impl ExactSizeIterator<Item = usize>) -> Result<(), FilterError> {
    if values.len() > Filter::MAX_PARTS {
        return Err(FilterError::TooManyParts);
    }
    if values.fold(0, usize::saturating_add) > Filter::MAX_VALUES {
        return Err(FilterError::TooManyValues);
    }
    Ok(())
}

/// Which requirements a caller asks for: those of the requests of a query that meet every
/// condition. Every method narrows.
///
/// ```
/// use governance_core::{ApprovalQuery, RequestQuery, Role, TenantId};
///
/// let requests = RequestQuery::in_tenant(TenantId::default());
/// let query = ApprovalQuery::of(requests).open().roles([Role::new("security")?]);
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApprovalQuery {
    requests: RequestQuery,
    approvals: Vec<ApprovalCondition>,
    #[serde(skip)]
    problem: Option<FilterError>,
}

impl ApprovalQuery {
    /// Every requirement of these requests.
    #[must_use]
    pub const fn of(requests: RequestQuery) -> Self {
        Self {
            requests,
            approvals: Vec::new(),
            problem: None,
        }
    }

    /// Of which requests.
    #[must_use]
    pub const fn requests(&self) -> &RequestQuery {
        &self.requests
    }

    /// What the requirements have to meet, all of it.
    #[must_use]
    pub fn conditions(&self) -> &[ApprovalCondition] {
        &self.approvals
    }

    /// Checks that the query is within bounds, that of its requests too: at most
    /// [`Filter::MAX_PARTS`] conditions and [`Filter::MAX_VALUES`] values of its own. Stores call
    /// this first. A query that is not matches nothing.
    ///
    /// # Errors
    ///
    /// [`FilterError`] names the bound.
    pub fn check(&self) -> Result<(), FilterError> {
        self.requests.check()?;
        self.problem.map_or(Ok(()), Err)
    }

    /// Digest of the query, which ties cursors to it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_value(self).unwrap_or(Digest::ZERO)
    }

    /// Only those that meet the condition too.
    #[must_use]
    pub fn and(mut self, condition: ApprovalCondition) -> Self {
        if self.problem.is_none() {
            self.approvals.push(condition);
            if let Err(problem) = bounded(self.approvals.iter().map(ApprovalCondition::values)) {
                // Not kept, and nothing meets this.
                self.approvals = vec![ApprovalCondition::Statuses(BTreeSet::new())];
                self.problem = Some(problem);
            }
        }
        self
    }

    /// Only those that stand like this.
    #[must_use]
    pub fn statuses(self, statuses: impl IntoIterator<Item = RequirementStatus>) -> Self {
        self.and(ApprovalCondition::Statuses(statuses.into_iter().collect()))
    }

    /// Only those that name one of these actors.
    #[must_use]
    pub fn actors(self, actors: impl IntoIterator<Item = ActorId>) -> Self {
        self.and(ApprovalCondition::Actors(actors.into_iter().collect()))
    }

    /// Only those that name one of these roles.
    #[must_use]
    pub fn roles(self, roles: impl IntoIterator<Item = Role>) -> Self {
        self.and(ApprovalCondition::Roles(roles.into_iter().collect()))
    }

    /// Only those that name one of these groups.
    #[must_use]
    pub fn groups(self, groups: impl IntoIterator<Item = Group>) -> Self {
        self.and(ApprovalCondition::Groups(groups.into_iter().collect()))
    }

    /// Only those of these stages.
    #[must_use]
    pub fn stages(self, stages: impl IntoIterator<Item = u16>) -> Self {
        self.and(ApprovalCondition::Stages(stages.into_iter().collect()))
    }

    /// Only open ones, of requests that wait for approvals.
    #[must_use]
    pub fn open(mut self) -> Self {
        self.requests = self.requests.approval_queue();
        self.statuses([RequirementStatus::Open])
    }
}

/// One requirement of one request.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ApprovalView {
    /// The request.
    pub request: RequestId,
    /// The revision this is a view of.
    pub revision: Revision,
    /// Where the request stands.
    pub request_status: Status,
    /// The tenant.
    pub tenant: TenantId,
    /// The state the request is about.
    pub state_id: StateId,
    /// The requirement.
    pub requirement: RequirementId,
    /// Its stage.
    pub stage: u16,
    /// How it stands. Never open or waiting once the request waits for approvals no more.
    pub status: RequirementStatus,
    /// Its seats.
    pub seats: u16,
    /// Who fills seats, sorted.
    pub filled: Vec<ActorId>,
    /// Seats still open.
    pub open_seats: usize,
    /// Who denied, sorted.
    pub denied_by: Vec<ActorId>,
    /// Its deadline, once its stage has opened.
    pub deadline: Option<Timestamp>,
    /// Who may fill seats.
    pub selector: Selector,
}

/// The requirements of the request the query asks for, by stage and id. None if the request is
/// not one the query asks for.
#[must_use]
pub fn approval_views(
    query: &ApprovalQuery,
    request: &MutationRequest,
    now: Timestamp,
) -> Vec<ApprovalView> {
    if !matches(&query.requests, request, now) {
        return Vec::new();
    }
    let waits = request.awaits_approval();
    // What has ended is shown as it ended: nothing expires afterwards.
    let at = if waits { now } else { request.updated_at() };
    let evaluation = request.evaluate(at);
    let scope = request.proposal().scope();
    request
        .round()
        .rules()
        .requirements()
        .iter()
        .zip(evaluation.requirements())
        .filter_map(|(requirement, evaluated)| {
            let status = shown(evaluated, waits);
            let asked = |condition| meets(condition, requirement, status);
            query.approvals.iter().all(asked).then(|| ApprovalView {
                request: *request.id(),
                revision: request.revision(),
                request_status: request.status(),
                tenant: scope.tenant.clone(),
                state_id: scope.state_id.clone(),
                requirement: requirement.id().clone(),
                stage: requirement.stage(),
                status,
                seats: evaluated.seats,
                filled: evaluated.filled.clone(),
                open_seats: evaluated.open_seats(),
                denied_by: evaluated.denied_by.clone(),
                deadline: evaluated.deadline,
                selector: requirement.selector().clone(),
            })
        })
        .collect()
}

fn shown(evaluated: &RequirementEvaluation, waits: bool) -> RequirementStatus {
    match evaluated.status {
        RequirementStatus::Open | RequirementStatus::Waiting if !waits => RequirementStatus::Closed,
        status => status,
    }
}

fn meets(
    condition: &ApprovalCondition,
    requirement: &Requirement,
    status: RequirementStatus,
) -> bool {
    let names = |wanted: &dyn Fn(&Selector) -> bool| requirement.selector().leaves().any(wanted);
    match condition {
        ApprovalCondition::Statuses(set) => set.contains(&status),
        ApprovalCondition::Actors(set) => {
            names(&|leaf| matches!(leaf, Selector::Actor(id) if set.contains(id)))
        }
        ApprovalCondition::Roles(set) => {
            names(&|leaf| matches!(leaf, Selector::Role(role) if set.contains(role)))
        }
        ApprovalCondition::Groups(set) => {
            names(&|leaf| matches!(leaf, Selector::Group(group) if set.contains(group)))
        }
        ApprovalCondition::Stages(set) => set.contains(&requirement.stage()),
    }
}

/// One condition on a decision. A set means "one of these"; an empty set matches nothing.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionCondition {
    /// Its family.
    Categories(BTreeSet<DecisionCategory>),
    /// Its code, written `category.code`.
    Codes(BTreeSet<String>),
    /// Who decided.
    Actors(BTreeSet<ActorId>),
    /// The display name of who decided. An actor without one never matches.
    Names(BTreeSet<String>),
    /// When.
    At(TimeRange),
    /// The status it led to.
    Statuses(BTreeSet<Status>),
}

impl DecisionCondition {
    /// How many values it compares with.
    fn values(&self) -> usize {
        match self {
            Self::Categories(set) => set.len(),
            Self::Codes(set) | Self::Names(set) => set.len(),
            Self::Actors(set) => set.len(),
            Self::At(_) => 1,
            Self::Statuses(set) => set.len(),
        }
    }
}

/// Which decisions a caller asks for: those of the requests of a query that meet every condition.
/// Every method narrows.
///
/// ```
/// use governance_core::{DecisionQuery, RequestQuery, TenantId};
///
/// let query = DecisionQuery::of(RequestQuery::in_tenant(TenantId::default())).recent_outcomes();
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionQuery {
    requests: RequestQuery,
    decisions: Vec<DecisionCondition>,
    #[serde(skip)]
    problem: Option<FilterError>,
}

impl DecisionQuery {
    /// Every decision about these requests.
    #[must_use]
    pub const fn of(requests: RequestQuery) -> Self {
        Self {
            requests,
            decisions: Vec::new(),
            problem: None,
        }
    }

    /// About which requests. Requests without a decision of a family or code that was asked for
    /// are left out already.
    #[must_use]
    pub const fn requests(&self) -> &RequestQuery {
        &self.requests
    }

    /// What the decisions have to meet, all of it.
    #[must_use]
    pub fn conditions(&self) -> &[DecisionCondition] {
        &self.decisions
    }

    /// Checks that the query is within bounds, that of its requests too: at most
    /// [`Filter::MAX_PARTS`] conditions and [`Filter::MAX_VALUES`] values of its own. Stores call
    /// this first. A query that is not matches nothing.
    ///
    /// # Errors
    ///
    /// [`FilterError`] names the bound.
    pub fn check(&self) -> Result<(), FilterError> {
        self.requests.check()?;
        self.problem.map_or(Ok(()), Err)
    }

    /// Digest of the query, which ties cursors to it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_value(self).unwrap_or(Digest::ZERO)
    }

    /// Only those that meet the condition too.
    #[must_use]
    pub fn and(mut self, condition: DecisionCondition) -> Self {
        if self.problem.is_some() {
            return self;
        }
        self.requests = match &condition {
            DecisionCondition::Categories(set) => {
                self.requests.decision_categories(set.iter().copied())
            }
            DecisionCondition::Codes(set) => self.requests.decision_codes(set.iter().cloned()),
            DecisionCondition::Actors(_)
            | DecisionCondition::Names(_)
            | DecisionCondition::At(_)
            | DecisionCondition::Statuses(_) => self.requests,
        };
        self.decisions.push(condition);
        if let Err(problem) = bounded(self.decisions.iter().map(DecisionCondition::values)) {
            // Not kept, and nothing meets this.
            self.decisions = vec![DecisionCondition::Statuses(BTreeSet::new())];
            self.problem = Some(problem);
        }
        self
    }

    /// Only these families.
    #[must_use]
    pub fn categories(self, categories: impl IntoIterator<Item = DecisionCategory>) -> Self {
        let categories = categories.into_iter().collect();
        self.and(DecisionCondition::Categories(categories))
    }

    /// Only these codes, written `category.code`.
    #[must_use]
    pub fn codes<C: Into<String>>(self, codes: impl IntoIterator<Item = C>) -> Self {
        let codes = codes.into_iter().map(Into::into).collect();
        self.and(DecisionCondition::Codes(codes))
    }

    /// Only decisions of these actors.
    #[must_use]
    pub fn actors(self, actors: impl IntoIterator<Item = ActorId>) -> Self {
        self.and(DecisionCondition::Actors(actors.into_iter().collect()))
    }

    /// Only decisions of actors with one of these display names.
    #[must_use]
    pub fn names<N: Into<String>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.and(DecisionCondition::Names(names))
    }

    /// Only decisions of this span.
    #[must_use]
    pub fn at(self, range: TimeRange) -> Self {
        self.and(DecisionCondition::At(range))
    }

    /// Only decisions that led to one of these statuses.
    #[must_use]
    pub fn statuses(self, statuses: impl IntoIterator<Item = Status>) -> Self {
        self.and(DecisionCondition::Statuses(statuses.into_iter().collect()))
    }

    /// Only what became of requests whose state had moved.
    #[must_use]
    pub fn recent_version_resolutions(self) -> Self {
        self.categories([DecisionCategory::Version])
    }

    /// Only changes of status that ended a request, or a failed execution.
    #[must_use]
    pub fn recent_outcomes(self) -> Self {
        self.categories([DecisionCategory::Lifecycle])
            .statuses(outcomes())
    }
}

/// One decision about one request.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DecisionView {
    /// The request.
    pub request: RequestId,
    /// The tenant.
    pub tenant: TenantId,
    /// The state the request is about.
    pub state_id: StateId,
    /// The decision.
    pub decision: Arc<Decision>,
}

impl DecisionView {
    /// A decision about a request.
    #[must_use]
    pub fn new(request: &MutationRequest, decision: Arc<Decision>) -> Self {
        let scope = request.proposal().scope();
        Self {
            request: *request.id(),
            tenant: scope.tenant.clone(),
            state_id: scope.state_id.clone(),
            decision,
        }
    }
}

/// The decisions about the request the query asks for, oldest first. None if the request is not
/// one the query asks for.
#[must_use]
pub fn decision_views(
    query: &DecisionQuery,
    request: &MutationRequest,
    now: Timestamp,
) -> Vec<DecisionView> {
    if !matches(&query.requests, request, now) {
        return Vec::new();
    }
    request
        .decisions()
        .iter()
        .filter(|decision| matches_decision(query, decision))
        .map(|decision| DecisionView::new(request, Arc::clone(decision)))
        .collect()
}

/// Whether the decision meets every condition of the query. Whether its request does is for
/// [`matches`](super::matches()) to tell.
#[must_use]
pub fn matches_decision(query: &DecisionQuery, decision: &Decision) -> bool {
    query.decisions.iter().all(|condition| match condition {
        DecisionCondition::Categories(set) => set.contains(&decision.kind().category()),
        DecisionCondition::Codes(set) => has_code(decision.kind(), set),
        DecisionCondition::Actors(set) => set.contains(decision.actor().id()),
        DecisionCondition::Names(set) => decision.actor().name().is_some_and(|n| set.contains(n)),
        DecisionCondition::At(range) => range.contains(decision.at()),
        DecisionCondition::Statuses(set) => set.contains(&decision.status()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything() -> RequestQuery {
        RequestQuery::all_tenants()
    }

    #[test]
    fn lists_of_requirements_are_bounded() {
        let all = ApprovalQuery::of(everything());
        assert_eq!(all.clone().stages(0..=9_999).check(), Ok(()));
        let large = all.clone().stages(0..=9_999).stages([1]);
        assert_eq!(large.check(), Err(FilterError::TooManyValues));
        // It asks for nothing rather than for less than was said.
        assert_eq!(large.conditions().len(), 1);
        assert_eq!(large.stages([1]).check(), Err(FilterError::TooManyValues));

        let many = |n| (0..n).fold(all.clone(), |query, _| query.stages([1]));
        assert_eq!(many(Filter::MAX_PARTS).check(), Ok(()));
        let error = many(Filter::MAX_PARTS + 1).check();
        assert_eq!(error, Err(FilterError::TooManyParts));
    }

    #[test]
    fn lists_of_decisions_are_bounded() {
        let all = DecisionQuery::of(everything());
        let names = |n: usize| all.clone().names((0..n).map(|i| i.to_string()));
        assert_eq!(names(Filter::MAX_VALUES).check(), Ok(()));
        let large = names(Filter::MAX_VALUES + 1);
        assert_eq!(large.check(), Err(FilterError::TooManyValues));

        let range = TimeRange::default();
        let many = |n| (0..n).fold(all.clone(), |query, _| query.at(range));
        assert_eq!(many(Filter::MAX_PARTS).check(), Ok(()));
        let error = many(Filter::MAX_PARTS + 1).check();
        assert_eq!(error, Err(FilterError::TooManyParts));
    }

    #[test]
    fn a_request_query_out_of_bounds_makes_its_lists_so() {
        let long = "x".repeat(Filter::MAX_TEXT_BYTES + 1);
        let requests = everything().and(crate::query::Condition::Text(long).into());
        let problem = requests.check();
        assert!(problem.is_err());
        assert_eq!(ApprovalQuery::of(requests.clone()).check(), problem);
        assert_eq!(DecisionQuery::of(requests).check(), problem);
    }
}
