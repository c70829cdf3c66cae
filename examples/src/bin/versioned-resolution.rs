//! What happens when the state has moved since the approval: the four staleness rules, each with
//! a dry run beside it.

use std::{fmt, process::ExitCode};

use examples::{People, Scene, Story, state_of};
use governance_core::{
    Actor, Applied, ApprovalRules, Change, Context, DryRun, GovernedState, Governor, Group, Intent,
    InvalidName, Mutation, MutationError, OnStale, PolicyDecision, PolicyFault, PolicySubject,
    RequestId, Requirement, Resolution, Selector, StateId, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};

/// How many machines a service runs on.
#[derive(Debug, Serialize, Deserialize)]
struct Fleet {
    machines: u32,
}

impl GovernedState for Fleet {
    const TYPE: &'static str = "compute.fleet";

    fn absent() -> Option<Self> {
        Some(Self { machines: 10 })
    }
}

impl fmt::Display for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = if self.machines == 1 { "" } else { "s" };
        write!(f, "{} machine{plural}", self.machines)
    }
}

/// Takes machines away: what is left depends on how many there are, so the version matters.
#[derive(Debug, Serialize, Deserialize)]
struct Shrink {
    by: u32,
}

impl Mutation for Shrink {
    type State = Fleet;
    const TYPE: &'static str = "compute.shrink";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("fleet.shrink", "compute")
    }

    fn validate(&self, fleet: &Fleet) -> Result<(), ValidationErrors> {
        let enough = self.by < fleet.machines;
        ValidationErrors::check(enough, "by", "fleet.empty", "at least one has to stay")
    }

    fn apply(self, fleet: Fleet) -> Result<Applied<Fleet>, MutationError> {
        let machines = fleet.machines.saturating_sub(self.by);
        let change = Change::modified("machines", fleet.machines, machines);
        Ok(Applied::new(Fleet { machines }).change(change))
    }
}

/// Whoever is on call agrees to a shrink; below three machines the owner agrees as well. The state
/// decides, so the answer can be another one when it has moved.
fn by_what_is_left(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let (Some(shrink), Some(fleet)) = (subject.mutation::<Shrink>(), subject.state::<Fleet>())
    else {
        return Ok(PolicyDecision::abstain());
    };
    let seat = |id, group| -> Result<Requirement, InvalidName> {
        Requirement::seats(id, 1, Selector::group(Group::new(group)?))
    };
    let on_call = seat("on-call", "on-call")?;
    let rules = if fleet.machines.saturating_sub(shrink.by) < 3 {
        ApprovalRules::new([on_call, seat("owner", "owners")?])?
    } else {
        ApprovalRules::new([on_call])?
    };
    Ok(PolicyDecision::require(rules))
}

/// The people of the story and the governor they all work with.
struct Cast {
    governor: Governor,
    alice: Actor,
    bob: Actor,
    olga: Actor,
    deployer: Actor,
}

impl Cast {
    /// A shrink that bob has approved.
    async fn approved(&self, fleet: &StateId, by: u32) -> anyhow::Result<RequestId> {
        let submission = self
            .governor
            .submit(&self.alice, fleet, Shrink { by })
            .await?;
        let id = submission.id();
        self.governor.approve(&id, &self.bob, "load is low").await?;
        Ok(id)
    }

    /// A shrink by four, approved for version 0, and another one that was executed meanwhile.
    async fn overtaken(&self, fleet: &StateId, meanwhile: u32) -> anyhow::Result<RequestId> {
        let id = self.approved(fleet, 4).await?;
        let faster = self.approved(fleet, meanwhile).await?;
        self.governor
            .execute(&faster, &self.deployer, OnStale::Reject)
            .await?;
        Ok(id)
    }

    /// What an execution would do, then what it does, and the state after it.
    async fn resolve(
        &self,
        story: &mut Story,
        fleet: &StateId,
        id: &RequestId,
        rule: OnStale,
    ) -> anyhow::Result<()> {
        let preview = self.governor.dry_run(id, &self.deployer, rule).await?;
        story.say(format_args!("dry run: {}", words(&preview)))?;
        let report = self.governor.execute(id, &self.deployer, rule).await?;
        anyhow::ensure!(
            report.outcome() == preview.outcome(),
            "the dry run was wrong"
        );
        story.shows("execute", report.request())?;
        let state = self.governor.state::<Fleet>(fleet).await?;
        story.say(format_args!("the fleet has {}", state_of(state)))?;
        Ok(())
    }
}

fn words(preview: &DryRun) -> String {
    let version = match preview.resolution() {
        Resolution::Current { version } => format!("approved for version {version}, still there"),
        Resolution::Stale {
            approved_for,
            current,
        } => {
            format!("approved for version {approved_for}, now at {current}")
        }
        other => format!("{other:?}"),
    };
    let kinds: Vec<String> = preview
        .decisions()
        .iter()
        .map(|d| d.kind().to_string())
        .collect();
    format!("{version}, would record {}", kinds.join(", "))
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let people =
        People::new()
            .person("bob", &[], &["on-call"])?
            .person("olga", &[], &["owners"])?;
    let cast = Cast {
        governor: scene
            .governor(people)
            .register::<Shrink>()
            .policy(policy_fn("by-what-is-left", by_what_is_left))
            .build()?,
        alice: Actor::user("alice")?,
        bob: Actor::user("bob")?,
        olga: Actor::user("olga")?,
        deployer: Actor::service("deployer")?,
    };
    let story = &mut scene.story;

    story.chapter("Nobody came in between: the approved version is executed")?;
    let fleet = StateId::new("match")?;
    let id = cast.approved(&fleet, 4).await?;
    cast.resolve(story, &fleet, &id, OnStale::Reject).await?;

    story.chapter("Reject: what was approved for another version is refused for good")?;
    let fleet = StateId::new("reject")?;
    let id = cast.overtaken(&fleet, 1).await?;
    cast.resolve(story, &fleet, &id, OnStale::Reject).await?;

    story.chapter("RenewApproval: a new round, in which old votes do not count")?;
    let fleet = StateId::new("renew")?;
    let id = cast.overtaken(&fleet, 1).await?;
    let seen = *cast.governor.get(&id).await?.round().subject();
    cast.resolve(story, &fleet, &id, OnStale::RenewApproval)
        .await?;
    let old = Context::of(&cast.bob).expecting(seen);
    let vote = cast.governor.approve(&id, &old, "as before").await;
    story.refused(
        "a vote on what bob saw before",
        "vote.subject_changed",
        vote,
    )?;
    let request = cast
        .governor
        .approve(&id, &cast.bob, "load is still low")
        .await?;
    story.shows("bob approves again", &request)?;
    cast.resolve(story, &fleet, &id, OnStale::RenewApproval)
        .await?;

    story.chapter("Revalidate, policies ask for no more than was granted: it is executed")?;
    let fleet = StateId::new("revalidate-same")?;
    let id = cast.overtaken(&fleet, 1).await?;
    cast.resolve(story, &fleet, &id, OnStale::Revalidate)
        .await?;

    story.chapter("Revalidate, policies ask for more: a new round")?;
    let fleet = StateId::new("revalidate-more")?;
    let id = cast.overtaken(&fleet, 5).await?;
    cast.resolve(story, &fleet, &id, OnStale::Revalidate)
        .await?;
    story.explains(&cast.governor.explain(&id).await?)?;
    cast.governor
        .approve(&id, &cast.bob, "load is still low")
        .await?;
    cast.governor
        .approve(&id, &cast.olga, "one machine will do")
        .await?;
    cast.resolve(story, &fleet, &id, OnStale::Revalidate)
        .await?;

    story.chapter("Revalidate, the change makes no sense any more: rejected")?;
    let fleet = StateId::new("revalidate-invalid")?;
    let id = cast.overtaken(&fleet, 7).await?;
    cast.resolve(story, &fleet, &id, OnStale::Revalidate)
        .await?;

    story.chapter("AnyVersion: executed all the same, and the history says so")?;
    let fleet = StateId::new("any-version")?;
    let id = cast.overtaken(&fleet, 1).await?;
    cast.resolve(story, &fleet, &id, OnStale::AnyVersion)
        .await?;
    let request = cast.governor.get(&id).await?;
    let execution = request.execution();
    story.say(format_args!(
        "approved for version {}, executed against {}: both are kept",
        request.approved_version(),
        execution
            .version_before()
            .map_or("none".to_owned(), |version| version.to_string()),
    ))?;
    Ok(())
}

fn main() -> ExitCode {
    let about = "What happens when the state has moved since the approval: four staleness rules";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
