//! A definition of a workflow is published after three managers agreed in order. A rejection is
//! data, and what has to happen elsewhere is typed data with a contract.

use std::{fmt, process::ExitCode};

use anyhow::Context as _;
use examples::{People, Scene, state_of};
use governance_core::{
    Actor, Applied, ApprovalEvent, ApprovalRules, Change, DataContract, DecisionKind, Denial,
    GovernedState, Intent, InvalidName, Label, Mutation, MutationError, MutationRequest, OnStale,
    PolicyDecision, PolicyFault, PolicySubject, Requirement, Risk, Role, Selector, Severity,
    SideEffect, StateId, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// The steps an expense report goes through.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Workflow {
    steps: Vec<String>,
}

impl GovernedState for Workflow {
    const TYPE: &'static str = "workflow.definition";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl fmt::Display for Workflow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.steps.join(" > "))
    }
}

/// Data of a side effect that whoever carries it out can rely on: a name, a version, a form.
trait Contract: Serialize + DeserializeOwned {
    const NAME: &'static str;
    const VERSION: u32;

    /// The side effect that carries this.
    fn effect(&self, kind: &str, description: &str) -> Result<SideEffect, MutationError> {
        let name = Label::new(Self::NAME)?;
        let data = match serde_json::to_value(self) {
            Ok(data) => data,
            Err(error) => {
                let code = Label::new("effect.encode")?;
                return Err(MutationError::new(code, error.to_string()));
            }
        };
        let contract = DataContract {
            name,
            version: Self::VERSION,
        };
        Ok(SideEffect::new(Label::new(kind)?, description).with_data(contract, data))
    }

    /// What a side effect carries; none if it is of another contract or version.
    fn of(effect: &SideEffect) -> anyhow::Result<Option<Self>> {
        let (Some(contract), Some(data)) = (effect.contract(), effect.data()) else {
            return Ok(None);
        };
        if contract.name.as_str() != Self::NAME || contract.version != Self::VERSION {
            return Ok(None);
        }
        let value = serde_json::from_value(data.clone());
        Ok(Some(value.with_context(|| {
            format!("not a {} {}", Self::NAME, Self::VERSION)
        })?))
    }
}

/// People to be told.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Notice {
    audience: String,
    steps: usize,
}

impl Contract for Notice {
    const NAME: &'static str = "workflow.notice";
    const VERSION: u32 = 1;
}

/// Reports that are under way and have to be moved to the new steps.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Migration {
    dropped: Vec<String>,
}

impl Contract for Migration {
    const NAME: &'static str = "workflow.migration";
    const VERSION: u32 = 2;
}

#[derive(Debug, Serialize, Deserialize)]
struct Publish {
    steps: Vec<String>,
}

impl Publish {
    fn of(steps: &[&str]) -> Self {
        let steps = steps.iter().map(|step| (*step).to_owned()).collect();
        Self { steps }
    }
}

impl Mutation for Publish {
    type State = Workflow;
    const TYPE: &'static str = "workflow.publish";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let intent = Intent::new("workflow.publish", "workflow")?;
        Ok(intent.risk(Risk::Medium).described(self.steps.join(" > ")))
    }

    fn validate(&self, _: &Workflow) -> Result<(), ValidationErrors> {
        ValidationErrors::check(
            self.steps.len() >= 2,
            "steps",
            "too_few",
            "submit and decide",
        )
    }

    fn apply(self, now: Workflow) -> Result<Applied<Workflow>, MutationError> {
        let steps = self.steps;
        let notice = Notice {
            audience: "everybody".to_owned(),
            steps: steps.len(),
        };
        let gone = now.steps.iter().filter(|step| !steps.contains(step));
        let dropped: Vec<String> = gone.cloned().collect();
        let change = Change::modified("steps", now.steps, steps.clone());
        let applied = Applied::new(Workflow { steps })
            .change(change)
            .side_effect(notice.effect("mail.send", "tell people about the new steps")?);
        if dropped.is_empty() {
            return Ok(applied);
        }
        let migrate =
            Migration { dropped }.effect("reports.move", "reports wait in dropped steps")?;
        Ok(applied.side_effect(migrate.severity(Severity::Critical)))
    }
}

/// The team manager first, then the one of the department, then finance.
fn managers_in_order(_: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let mut steps = Vec::new();
    for (stage, role) in (1..).zip(["team-manager", "department-manager", "finance-manager"]) {
        let holder = Selector::role(Role::new(role)?);
        steps.push(Requirement::seats(role, 1, holder)?.in_stage(stage));
    }
    Ok(PolicyDecision::require(ApprovalRules::new(steps)?))
}

/// Why a manager sends a definition back, for programs and people alike.
#[derive(Debug, Clone, Copy)]
enum Objection {
    Incomplete,
    AgainstPolicy,
}

impl Objection {
    fn denial(self, words: &str) -> Result<Denial, InvalidName> {
        let (code, category) = match self {
            Self::Incomplete => ("definition.incomplete", "quality"),
            Self::AgainstPolicy => ("definition.against_policy", "compliance"),
        };
        Denial::because(words).code(code)?.category(category)
    }
}

/// The objections a request ended with, from its history.
fn objections(request: &MutationRequest) -> Vec<String> {
    let denied = request
        .decisions()
        .iter()
        .filter_map(|decision| match decision.kind() {
            DecisionKind::Approval(ApprovalEvent::Denied {
                stage,
                code,
                category,
                ..
            }) => {
                let text =
                    |label: &Option<Label>| label.as_ref().map_or("none", Label::as_str).to_owned();
                let (code, category) = (text(code), text(category));
                let words = decision
                    .reason()
                    .map(ToString::to_string)
                    .unwrap_or_default();
                let who = decision.actor();
                Some(format!(
                    "{who} in stage {stage}: {code} ({category}), \"{words}\""
                ))
            }
            _ => None,
        });
    denied.collect()
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let people = People::new()
        .person("tess", &["team-manager"], &[])?
        .person("dora", &["department-manager"], &[])?
        .person("finn", &["finance-manager"], &[])?;
    let governor = scene
        .governor(people)
        .register::<Publish>()
        .policy(policy_fn("managers-in-order", managers_in_order))
        .build()?;
    let story = &mut scene.story;
    let (ann, engine) = (Actor::user("ann")?, Actor::service("workflow-engine")?);
    let (tess, dora) = (Actor::user("tess")?, Actor::user("dora")?);
    let finn = Actor::user("finn")?;
    let expenses = StateId::new("expenses")?;

    story.chapter("Three managers agree, one after the other")?;
    let steps = Publish::of(&["submit", "check receipts", "approve", "pay"]);
    let first = governor.submit(&ann, &expenses, steps).await?;
    let id = first.id();
    story.submitted("ann asks", &first)?;
    let early = governor.approve(&id, &finn, "the numbers are right").await;
    story.refused("finn is too early", "vote.stage_not_open", early)?;
    for (manager, reason) in [
        (&tess, "that is how we work"),
        (&dora, "fits the department"),
        (&finn, "the numbers are right"),
    ] {
        let request = governor.approve(&id, manager, reason).await?;
        let waits = match request.open_stage() {
            Some(stage) => format!("stage {stage} is open"),
            None => "no stage is left".to_owned(),
        };
        story.shows(format_args!("{manager} approves, {waits}"), &request)?;
    }
    let report = governor.execute(&id, &engine, OnStale::Reject).await?;
    story.shows("the engine publishes it", report.request())?;
    let state = governor.state::<Workflow>(&expenses).await?;
    story.say(format_args!("expenses: {}", state_of(state)))?;

    story.chapter("A manager sends one back, and says why in a form programs can read")?;
    let hasty = governor
        .submit(&ann, &expenses, Publish::of(&["submit", "pay"]))
        .await?;
    let id = hasty.id();
    story.submitted("ann asks for a shorter one", &hasty)?;
    governor.approve(&id, &tess, "faster for everybody").await?;
    let denial = Objection::AgainstPolicy.denial("nobody looks at the receipts")?;
    let rejected = governor.reject(&id, &dora, denial).await?;
    story.shows("dora objects", &rejected)?;
    for objection in objections(&rejected) {
        story.say(format_args!("  {objection}"))?;
    }
    let vote = governor.approve(&id, &finn, "I would have liked it").await;
    story.refused("finn approves", "request.takes_no_votes", vote)?;
    let vague = governor
        .submit(&ann, &expenses, Publish::of(&["submit", "decide"]))
        .await?;
    let denial = Objection::Incomplete.denial("who pays, and when?")?;
    let rejected = governor.reject(&vague.id(), &tess, denial).await?;
    story.shows("tess objects to another", &rejected)?;
    for objection in objections(&rejected) {
        story.say(format_args!("  {objection}"))?;
    }

    story.chapter("What dora asked for, as a new request")?;
    let steps = Publish::of(&["submit", "check receipts", "pay"]);
    let better = governor.submit(&ann, &expenses, steps).await?;
    let id = better.id();
    for manager in [&tess, &dora, &finn] {
        governor
            .approve(&id, manager, "receipts are checked")
            .await?;
    }
    let report = governor.execute(&id, &engine, OnStale::Reject).await?;
    story.shows("published", report.request())?;

    story.chapter("Side effects, read back by their contracts")?;
    // As a consumer gets them: from the stored request, through JSON.
    let stored = governor.get(&id).await?;
    let sent = serde_json::to_string(stored.execution().side_effects())?;
    let received: Vec<SideEffect> = serde_json::from_str(&sent)?;
    for effect in &received {
        let act = if effect.requires_action() {
            "somebody has to act"
        } else {
            "for information"
        };
        story.say(format_args!(
            "{}, {act}: {}",
            effect.kind(),
            effect.description()
        ))?;
        if let Some(notice) = Notice::of(effect)? {
            story.say(format_args!(
                "  tell {} about {} steps",
                notice.audience, notice.steps
            ))?;
        } else if let Some(migration) = Migration::of(effect)? {
            story.say(format_args!(
                "  move reports out of: {}",
                migration.dropped.join(", ")
            ))?;
        } else {
            story.say("  not ours, left alone")?;
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    let about = "Ordered approvals by managers, structured rejection, typed side effects";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
