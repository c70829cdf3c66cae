//! A governor over documents of about 1 KB, the size of an ordinary IAM policy.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use governance_core::{
    Actor, ActorId, Applied, ApprovalRules, Change, Directory, GovernedState, Governor, Intent,
    InvalidName, Members, Membership, Mutation, MutationError, OnStale, PolicyDecision, PortError,
    RequestId, Requirement, Risk, Role, Selector, StateId, Status, TenantId, ValidationErrors,
    policy_fn,
};
use governance_memory::MemoryStore;
use serde::{Deserialize, Serialize};

/// One statement of a policy document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    sid: String,
    effect: String,
    actions: Vec<String>,
    resources: Vec<String>,
}

/// A policy document: the governed state.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDocument {
    version: String,
    statements: Vec<Statement>,
}

impl GovernedState for PolicyDocument {
    const TYPE: &'static str = "iam.policy";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl PolicyDocument {
    /// A document of about 1 KB.
    #[must_use]
    pub fn sample() -> Self {
        let statement = |service: &str, verbs: &[&str]| Statement {
            sid: format!("Allow{service}"),
            effect: "Allow".to_owned(),
            actions: verbs
                .iter()
                .map(|verb| format!("{service}:{verb}"))
                .collect(),
            resources: vec![format!("arn:aws:{service}:eu-central-1:123456789012:*")],
        };
        Self {
            version: "2012-10-17".to_owned(),
            statements: vec![
                statement(
                    "ec2",
                    &[
                        "DescribeInstances",
                        "DescribeVolumes",
                        "StartInstances",
                        "StopInstances",
                    ],
                ),
                statement("s3", &["GetObject", "PutObject", "ListBucket"]),
                statement(
                    "logs",
                    &["CreateLogGroup", "CreateLogStream", "PutLogEvents"],
                ),
                statement("cloudwatch", &["GetMetricData", "PutMetricData"]),
                statement("elasticloadbalancing", &["DescribeLoadBalancers"]),
                statement("autoscaling", &["DescribePolicies", "SetDesiredCapacity"]),
                statement("kms", &["Decrypt"]),
            ],
        }
    }
}

/// Puts a document in the place of another.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PutPolicy {
    document: PolicyDocument,
}

impl PutPolicy {
    /// Puts this document.
    #[must_use]
    pub const fn new(document: PolicyDocument) -> Self {
        Self { document }
    }
}

impl Mutation for PutPolicy {
    type State = PolicyDocument;
    const TYPE: &'static str = "iam.put_policy";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Ok(Intent::new("policy.put", "iam")?.risk(Risk::Medium))
    }

    fn validate(&self, _: &PolicyDocument) -> Result<(), ValidationErrors> {
        let empty = self.document.statements.is_empty();
        ValidationErrors::check(!empty, "statements", "empty", "a policy has statements")
    }

    fn apply(self, before: PolicyDocument) -> Result<Applied<PolicyDocument>, MutationError> {
        let count = |document: &PolicyDocument| document.statements.len();
        let change = Change::modified("statements", count(&before), count(&self.document));
        Ok(Applied::new(self.document).change(change))
    }
}

/// Knows two people: bob and carol, who review.
#[derive(Debug)]
struct Staff {
    reviewer: Role,
    people: BTreeSet<ActorId>,
}

#[async_trait]
impl Directory for Staff {
    async fn membership(&self, _: &TenantId, actor: &ActorId) -> Result<Membership, PortError> {
        Ok(if self.people.contains(actor) {
            Membership::default().role(self.reviewer.clone())
        } else {
            Membership::default()
        })
    }

    async fn members(&self, _: &TenantId, leaf: &Selector) -> Result<Members, PortError> {
        Ok(Members::Listed(match leaf {
            Selector::Role(role) if *role == self.reviewer => self.people.clone(),
            _ => BTreeSet::new(),
        }))
    }
}

/// A governor with the people who use it, and states to change.
#[derive(Debug)]
pub struct Bench {
    governor: Governor,
    author: Actor,
    reviewer: Actor,
    deployer: Actor,
    states: Vec<StateId>,
    change: PutPolicy,
    next: AtomicUsize,
}

impl Bench {
    const STATES: usize = 64;

    /// On an empty store in memory. Every change needs one vote of a reviewer.
    ///
    /// # Errors
    ///
    /// None: the names are valid.
    pub fn new() -> Result<Self> {
        let reviewer = Role::new("reviewer")?;
        let seat = Requirement::seats("review", 1, Selector::role(reviewer.clone()))?;
        let rules = ApprovalRules::new([seat])?;
        let staff = Staff {
            reviewer,
            people: BTreeSet::from([ActorId::new("bob")?, ActorId::new("carol")?]),
        };
        let governor = Governor::builder(MemoryStore::new())
            .directory(staff)
            .register::<PutPolicy>()
            .policy(policy_fn("one-reviewer", move |_| {
                Ok(PolicyDecision::require(rules.clone()))
            }))
            .build()?;
        let states = (0..Self::STATES).map(|i| StateId::new(format!("policy/{i}")));
        Ok(Self {
            governor,
            author: Actor::user("alice")?,
            reviewer: Actor::user("bob")?,
            deployer: Actor::service("deployer")?,
            states: states.collect::<Result<_, _>>()?,
            change: PutPolicy::new(PolicyDocument::sample()),
            next: AtomicUsize::new(0),
        })
    }

    /// The change that is made every time.
    #[must_use]
    pub fn put(&self) -> PutPolicy {
        self.change.clone()
    }

    /// Hands in a change of the next state.
    ///
    /// # Errors
    ///
    /// Whatever the governor refuses.
    pub async fn submit(&self, change: PutPolicy) -> Result<RequestId> {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let state = &self.states[turn % self.states.len()];
        let submission = self.governor.submit(&self.author, state, change).await?;
        Ok(submission.id())
    }

    /// Gives the one vote that is needed.
    ///
    /// # Errors
    ///
    /// Whatever the governor refuses.
    pub async fn vote(&self, id: &RequestId) -> Result<()> {
        self.governor
            .approve(id, &self.reviewer, "reads fine to me")
            .await?;
        Ok(())
    }

    /// Executes an approved change.
    ///
    /// # Errors
    ///
    /// Whatever the governor refuses, and a change that was not made.
    pub async fn execute(&self, id: &RequestId) -> Result<()> {
        let report = self
            .governor
            .execute(id, &self.deployer, OnStale::Reject)
            .await?;
        (report.request().status() == Status::Executed)
            .then_some(())
            .context("the change was not made")
    }

    /// One governed change from start to end: handed in, voted on, executed.
    ///
    /// # Errors
    ///
    /// As the three steps.
    pub async fn change(&self, change: PutPolicy) -> Result<RequestId> {
        let id = self.submit(change).await?;
        self.vote(&id).await?;
        self.execute(&id).await?;
        Ok(id)
    }

    /// Removes a request that was executed, as a service does with what it has kept long enough.
    ///
    /// # Errors
    ///
    /// Whatever the store refuses.
    pub async fn purge(&self, id: &RequestId) -> Result<()> {
        let store = self.governor.store();
        let request = store.get(id).await?.context("it is stored")?;
        Ok(store.purge(id, request.revision()).await?)
    }
}
