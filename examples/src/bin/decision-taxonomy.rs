//! Every kind of decision the library records, each from a request that went that way.

use std::{collections::BTreeMap, process::ExitCode, sync::Arc};

use anyhow::ensure;
use examples::{People, Scene, fixed::hours};
use governance_core::{
    Actor, ActorId, Amendment, Applied, ApprovalRules, Decision, DecisionCategory, DecisionQuery,
    GovernedState, Governor, Intent, InvalidName, Label, Mutation, MutationError, OnStale,
    PageRequest, PolicyDecision, PolicyFault, PolicySubject, RequestId, Requirement, Risk, StateId,
    ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};

/// Every kind, as `category.code`, and what it says.
const TAXONOMY: [(&str, &str); 28] = [
    ("lifecycle.submitted", "handed in"),
    ("lifecycle.pending", "waits"),
    ("lifecycle.approved", "may be executed"),
    ("lifecycle.executed", "its change was made"),
    ("lifecycle.failed", "its execution ended in an error"),
    ("lifecycle.retried", "a failed execution may be tried again"),
    ("lifecycle.rejected", "refused"),
    ("lifecycle.canceled", "taken back"),
    ("lifecycle.expired", "a deadline passed"),
    ("lifecycle.superseded", "another request took its place"),
    ("policy.evaluated", "policies were asked"),
    ("approval.requested", "approvals were asked for"),
    ("approval.stage_opened", "a stage opened for votes"),
    ("approval.granted", "somebody approved"),
    ("approval.denied", "somebody denied"),
    ("approval.withdrawn", "somebody took a vote back"),
    ("approval.satisfied", "a requirement has its seats filled"),
    ("approval.expired", "the deadline of a requirement passed"),
    ("approval.renewed", "a new round of approvals began"),
    ("version.rejected_as_stale", "the state had moved: rejected"),
    (
        "version.renewed_approval_required",
        "the state had moved: to be approved again",
    ),
    (
        "version.revalidated",
        "the state had moved: policies judged it afresh",
    ),
    (
        "version.any_version_accepted",
        "the state had moved: executed all the same",
    ),
    ("amendment.deadline", "the deadline changed"),
    ("amendment.reason", "the reason changed"),
    ("amendment.risk", "a policy raised the risk"),
    ("amendment.tag", "a policy added a tag"),
    ("link.supersedes", "it took the place of another"),
];

#[derive(Debug, Default, Serialize, Deserialize)]
struct Counter {
    value: i64,
}

impl GovernedState for Counter {
    const TYPE: &'static str = "demo.counter";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Add {
    value: i64,
    /// Whether somebody has to look at it.
    reviewed: bool,
}

impl Mutation for Add {
    type State = Counter;
    const TYPE: &'static str = "demo.add";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let risk = if self.reviewed {
            Risk::Medium
        } else {
            Risk::Low
        };
        Ok(Intent::new("counter.add", "demo")?.risk(risk))
    }

    fn validate(&self, _: &Counter) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, now: Counter) -> Result<Applied<Counter>, MutationError> {
        let value = now.value + self.value;
        if value < 0 {
            let code = Label::new("counter.below_zero")?;
            return Err(MutationError::new(code, "not enough is there yet").retryable());
        }
        Ok(Applied::new(Counter { value }))
    }
}

/// What is to be reviewed goes to bob, and carol after him. A negative amount is marked, and has to
/// be settled within a day.
fn review(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let Some(add) = subject.mutation::<Add>() else {
        return Ok(PolicyDecision::abstain());
    };
    if add.value > 1_000 {
        return Ok(PolicyDecision::deny(
            "counter.too_much",
            "a thousand is enough",
        )?);
    }
    if !add.reviewed {
        return Ok(PolicyDecision::allow());
    }
    let bob = Requirement::everyone("first", [ActorId::new("bob")?])?.expires_in(hours(4));
    let carol = Requirement::everyone("second", [ActorId::new("carol")?])?.in_stage(2);
    let decision = PolicyDecision::require(ApprovalRules::new([bob, carol])?);
    Ok(if add.value < 0 {
        decision
            .amend(Amendment::RaiseRisk(Risk::High))
            .amend(Amendment::AddTag(Label::new("negative")?))
            .amend(Amendment::ExpireWithin(hours(24)))
    } else {
        decision
    })
}

/// The people of the story and the governor they all work with.
struct Cast {
    governor: Governor,
    alice: Actor,
    bob: Actor,
    carol: Actor,
    runner: Actor,
}

impl Cast {
    async fn ask(&self, state: &str, value: i64, reviewed: bool) -> anyhow::Result<RequestId> {
        let (state, add) = (StateId::new(state)?, Add { value, reviewed });
        Ok(self.governor.submit(&self.alice, &state, add).await?.id())
    }

    async fn approve(&self, id: &RequestId) -> anyhow::Result<()> {
        self.governor.approve(id, &self.bob, "first look").await?;
        self.governor
            .approve(id, &self.carol, "second look")
            .await?;
        Ok(())
    }

    async fn run(&self, id: &RequestId, on_stale: OnStale) -> anyhow::Result<()> {
        self.governor.execute(id, &self.runner, on_stale).await?;
        Ok(())
    }

    /// An approved request whose state has moved since.
    async fn stale(&self, state: &str) -> anyhow::Result<RequestId> {
        let id = self.ask(state, 10, true).await?;
        self.approve(&id).await?;
        let faster = self.ask(state, 1, false).await?;
        self.run(&faster, OnStale::Reject).await?;
        Ok(id)
    }

    async fn votes(&self) -> anyhow::Result<()> {
        let id = self.ask("voted", 10, true).await?;
        self.governor.approve(&id, &self.bob, "first look").await?;
        self.governor
            .withdraw(&id, &self.bob, "second thoughts")
            .await?;
        self.approve(&id).await?;
        self.run(&id, OnStale::Reject).await?;
        let id = self.ask("denied", 10, true).await?;
        self.governor
            .reject(&id, &self.bob, "not this quarter")
            .await?;
        self.ask("too-much", 5_000, false).await?;
        Ok(())
    }

    async fn staleness(&self) -> anyhow::Result<()> {
        for (state, rule) in [
            ("rejected", OnStale::Reject),
            ("renewed", OnStale::RenewApproval),
            ("revalidated", OnStale::Revalidate),
            ("any", OnStale::AnyVersion),
        ] {
            let id = self.stale(state).await?;
            self.run(&id, rule).await?;
        }
        Ok(())
    }

    async fn amendments(&self) -> anyhow::Result<()> {
        let governor = &self.governor;
        let id = self.ask("amended", -10, true).await?;
        // A policy wants it within a day; its owner may ask for less, not for more.
        let submitted = governor.get(&id).await?.created_at();
        let sooner = submitted.saturating_add(hours(12));
        governor
            .amend_reason(&id, &self.alice, "correction of invoice 12")
            .await?;
        governor
            .amend_deadline(&id, &self.alice, Some(sooner), "the auditor leaves early")
            .await?;
        let better = self.ask("amended", -9, true).await?;
        governor
            .supersede(&id, &better, &self.alice, "one less")
            .await?;
        governor.cancel(&better, &self.alice, "not needed").await?;
        Ok(())
    }

    async fn failure(&self) -> anyhow::Result<()> {
        let id = self.ask("failed", -1, false).await?;
        self.run(&id, OnStale::Reject).await?;
        self.governor
            .retry(&id, &self.runner, "stock came in")
            .await?;
        Ok(())
    }
}

/// Every decision there is, page by page, first of each kind.
async fn first_of_each(governor: &Governor) -> anyhow::Result<BTreeMap<String, Arc<Decision>>> {
    let mut kinds = BTreeMap::new();
    let mut page = PageRequest::first(50)?;
    let query = DecisionQuery::of(governor.query());
    loop {
        let found = governor.decisions(&query, &page).await?;
        for view in found.items {
            kinds
                .entry(view.decision.kind().to_string())
                .or_insert(view.decision);
        }
        match found.next {
            Some(next) => page = page.after(next),
            None => return Ok(kinds),
        }
    }
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let governor = scene
        .governor(People::new())
        .register::<Add>()
        .policy(policy_fn("review", review))
        .build()?;
    let cast = Cast {
        governor,
        alice: Actor::user("alice")?,
        bob: Actor::user("bob")?,
        carol: Actor::user("carol")?,
        runner: Actor::service("runner")?,
    };
    cast.votes().await?;
    cast.staleness().await?;
    cast.amendments().await?;
    cast.failure().await?;
    let late = cast.ask("late", 10, true).await?;
    scene.clock.advance(hours(5));
    cast.governor.tick(scene.clock.time()).await?;

    let recorded = first_of_each(&cast.governor).await?;
    ensure!(
        recorded.len() == TAXONOMY.len(),
        "{} kinds are recorded, {} are known here",
        recorded.len(),
        TAXONOMY.len()
    );
    let story = &mut scene.story;
    for category in DecisionCategory::ALL {
        story.chapter(format_args!("{}.*", category.as_str()))?;
        for (kind, meaning) in TAXONOMY {
            let Some(decision) = recorded.get(kind) else {
                anyhow::bail!("no {kind} was recorded");
            };
            if decision.kind().category() == category {
                let (actor, status) = (decision.actor(), decision.status());
                story.say(format_args!(
                    "{kind:<35} {meaning}; by {actor}, {status} after it"
                ))?;
            }
        }
    }

    story.chapter("Facts are typed fields of the kind, the same for every reader")?;
    let request = cast.governor.get(&late).await?;
    if let Some(expiry) = request.decisions().last() {
        story.say(serde_json::to_string(expiry.kind())?)?;
    }
    story.say(format_args!(
        "{} kinds in {} families",
        recorded.len(),
        DecisionCategory::ALL.len()
    ))?;
    Ok(())
}

fn main() -> ExitCode {
    let about = "Every kind of decision the library records, as category.code";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
