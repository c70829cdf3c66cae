//! Approvals in stages: two reviewers, then a lead. Who may vote, who may not and why, and what the
//! library says about a request that waits.

use std::{fmt, process::ExitCode};

use examples::{People, Scene, state_of};
use governance_core::{
    Actor, Applied, ApprovalEvent, ApprovalRules, Change, Context, DecisionKind, Denial,
    ExecutorRule, GovernedState, Group, Intent, InvalidName, Label, Mutation, MutationError,
    OnStale, PolicyDecision, PolicyFault, PolicySubject, ReasonRule, Requirement, Risk, Role,
    Selector, StateId, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};

/// Which version of the payment service customers are sent to.
#[derive(Debug, Serialize, Deserialize)]
struct Rollout {
    version: String,
}

impl GovernedState for Rollout {
    const TYPE: &'static str = "payments.rollout";

    fn absent() -> Option<Self> {
        let version = "1.0.0".to_owned();
        Some(Self { version })
    }
}

impl fmt::Display for Rollout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.version.fmt(f)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Promote {
    version: String,
}

impl Mutation for Promote {
    type State = Rollout;
    const TYPE: &'static str = "payments.promote";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Ok(Intent::new("rollout.promote", "payments")?.risk(Risk::High))
    }

    fn validate(&self, now: &Rollout) -> Result<(), ValidationErrors> {
        let differs = self.version != now.version;
        ValidationErrors::check(
            differs,
            "version",
            "unchanged",
            "that version is out already",
        )
    }

    fn apply(self, now: Rollout) -> Result<Applied<Rollout>, MutationError> {
        let version = self.version;
        let change = Change::modified("version", now.version.as_str(), version.as_str());
        Ok(Applied::new(Rollout { version }).change(change))
    }
}

/// Two reviewers of the payments team, then a lead who has to say more than "ok". Whoever asked or
/// approved does not execute.
fn two_then_a_lead(_: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let payments = Selector::group(Group::new("payments")?);
    let reviewers = Selector::role(Role::new("reviewer")?).and(payments);
    let leads = Selector::role(Role::new("lead")?);
    let rules = ApprovalRules::new([
        Requirement::seats("review", 2, reviewers)?.denied_by(2),
        Requirement::seats("sign-off", 1, leads)?
            .in_stage(2)
            .with_reason_rule(ReasonRule::default().min_chars(20)),
    ])?;
    Ok(PolicyDecision::require(
        rules.executor(ExecutorRule::NotRequesterOrApprover),
    ))
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    // What a person may do comes from the directory, never from the person.
    let people = People::new()
        .person("alice", &["reviewer"], &["payments"])?
        .person("bob", &["reviewer"], &["payments"])?
        .person("carol", &["reviewer"], &["payments"])?
        .person("dave", &["reviewer"], &["payments"])?
        .person("erin", &["lead"], &["payments"])?
        .person("mallory", &["reviewer"], &["marketing"])?
        .person("alices-bot", &["reviewer"], &["payments"])?
        .acting_for("alices-bot", "alice")?;
    let governor = scene
        .governor(people)
        .register::<Promote>()
        .policy(policy_fn("two-then-a-lead", two_then_a_lead))
        .build()?;
    let story = &mut scene.story;
    let (alice, mallory) = (Actor::user("alice")?, Actor::user("mallory")?);
    let (bob, carol, dave) = (
        Actor::user("bob")?,
        Actor::user("carol")?,
        Actor::user("dave")?,
    );
    let erin = Actor::user("erin")?;
    let (bot, deployer) = (Actor::service("alices-bot")?, Actor::service("deployer")?);
    let rollout = StateId::new("payments")?;
    let to = |version: &str| Promote {
        version: version.to_owned(),
    };

    story.chapter("Alice asks, and the request says whom it waits for")?;
    let submission = governor.submit(&alice, &rollout, to("2.0.0")).await?;
    let id = submission.id();
    story.submitted("alice asks for 2.0.0", &submission)?;
    story.explains(&governor.explain(&id).await?)?;

    story.chapter("Votes that do not count")?;
    let vote = governor.approve(&id, &alice, "it is my own work").await;
    story.refused("alice approves", "vote.self_approval", vote)?;
    let vote = governor.approve(&id, &bot, "looks right to me").await;
    story.refused("alice's bot approves", "vote.self_approval", vote)?;
    let vote = governor.approve(&id, &mallory, "let me in").await;
    story.refused("mallory of marketing approves", "vote.not_eligible", vote)?;
    let vote = governor
        .approve(&id, &erin, "I trust the team on this one")
        .await;
    story.refused(
        "erin approves ahead of her stage",
        "vote.stage_not_open",
        vote,
    )?;
    let vote = governor.approve(&id, &bob, ".").await;
    story.refused("bob gives no reason", "reason.trivial", vote)?;

    story.chapter("Stage 1: two reviewers, in any order; a vote can be taken back")?;
    // The digest ties the vote to what bob saw.
    let seen = Context::of(&bob).expecting(*submission.request().round().subject());
    let request = governor.approve(&id, &seen, "read every line").await?;
    story.shows("bob approves", &request)?;
    story.explains(&governor.explain(&id).await?)?;
    let vote = governor.approve(&id, &bob, "once more").await;
    story.refused("bob approves again", "vote.already_voted", vote)?;
    let request = governor
        .withdraw(&id, &bob, "found a leak after all")
        .await?;
    story.shows("bob takes it back", &request)?;
    governor.approve(&id, &carol, "load test passed").await?;
    let request = governor
        .approve(&id, &dave, "leak fixed, read again")
        .await?;
    story.shows("carol and dave approve", &request)?;
    story.explains(&governor.explain(&id).await?)?;

    story.chapter("Stage 2: the lead")?;
    let vote = governor.approve(&id, &bob, "fixed now").await;
    story.refused("bob comes too late", "vote.seats_filled", vote)?;
    let vote = governor.approve(&id, &erin, "ok").await;
    story.refused("erin says ok", "vote.reason_not_accepted", vote)?;
    let request = governor
        .approve(&id, &erin, "rollback rehearsed, on-call is informed")
        .await?;
    story.shows("erin approves", &request)?;
    story.explains(&governor.explain(&id).await?)?;

    story.chapter("Who asked or approved does not execute")?;
    let report = governor.execute(&id, &alice, OnStale::Reject).await;
    story.refused("alice executes", "governor.executor_barred", report)?;
    let report = governor.execute(&id, &carol, OnStale::Reject).await;
    story.refused("carol executes", "governor.executor_barred", report)?;
    let report = governor.execute(&id, &deployer, OnStale::Reject).await?;
    story.shows("deployer executes", report.request())?;
    let state = governor.state::<Rollout>(&rollout).await?;
    story.say(format_args!("payments runs {}", state_of(state)))?;
    story.history(report.request())?;

    story.chapter("One denial is a warning here, two are the end")?;
    let submission = governor.submit(&alice, &rollout, to("3.0.0")).await?;
    let id = submission.id();
    let request = governor.reject(&id, &bob, "the changelog is empty").await?;
    story.shows("bob denies 3.0.0", &request)?;
    let denial = Denial::because("drops a column that is still read")
        .code("schema.breaking")?
        .category("safety")?;
    let request = governor.reject(&id, &carol, denial).await?;
    story.shows("carol denies it too", &request)?;
    for decision in request.decisions() {
        if let DecisionKind::Approval(ApprovalEvent::Denied { code, category, .. }) =
            decision.kind()
        {
            let word = |label: &Option<Label>| label.as_ref().map_or("-", Label::as_str).to_owned();
            let (code, category) = (word(code), word(category));
            story.say(format_args!(
                "  {}: code {code}, category {category}",
                decision.actor()
            ))?;
        }
    }
    let vote = governor.approve(&id, &dave, "I disagree with both").await;
    story.refused("dave approves", "request.takes_no_votes", vote)
}

fn main() -> ExitCode {
    let about = "Approvals in stages: two reviewers, then a lead; who may vote and who may not";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
