//! Execution: once, whoever tries how often; failures that can be retried and those that cannot;
//! side effects as data on the request.

use std::{collections::BTreeMap, fmt, process::ExitCode};

use anyhow::ensure;
use examples::{People, Scene, Story, state_of};
use governance_core::{
    Actor, Applied, Change, Context, ExecutionOutcome, ExecutionReport, GovernedState, Governor,
    GovernorError, Intent, InvalidName, Label, Mutation, MutationError, OnStale, OperationId,
    PolicyDecision, RequestId, Severity, SideEffect, StateId, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

/// What lies in a warehouse.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stock {
    units: u32,
}

impl GovernedState for Stock {
    const TYPE: &'static str = "warehouse.stock";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl fmt::Display for Stock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} units", self.units)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Deliver {
    units: u32,
}

impl Mutation for Deliver {
    type State = Stock;
    const TYPE: &'static str = "warehouse.deliver";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("stock.deliver", "warehouse")
    }

    fn validate(&self, _: &Stock) -> Result<(), ValidationErrors> {
        ValidationErrors::check(self.units > 0, "units", "zero", "deliver something")
    }

    fn apply(self, stock: Stock) -> Result<Applied<Stock>, MutationError> {
        let Some(units) = stock.units.checked_add(self.units) else {
            let code = Label::new("stock.overflow")?;
            return Err(MutationError::new(code, "no warehouse holds that many"));
        };
        Ok(Applied::new(Stock { units }).change(Change::modified("units", stock.units, units)))
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Ship {
    units: u32,
}

impl Mutation for Ship {
    type State = Stock;
    const TYPE: &'static str = "warehouse.ship";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("stock.ship", "warehouse")
    }

    fn validate(&self, _: &Stock) -> Result<(), ValidationErrors> {
        ValidationErrors::check(self.units > 0, "units", "zero", "ship something")
    }

    fn apply(self, stock: Stock) -> Result<Applied<Stock>, MutationError> {
        // Short stock is not a mistake of the request: more may come in, so it can be retried.
        let Some(units) = stock.units.checked_sub(self.units) else {
            let message = format!(
                "{} units are there, {} are asked for",
                stock.units, self.units
            );
            return Err(MutationError::new(Label::new("stock.short")?, message).retryable());
        };
        let label = SideEffect::new(Label::new("label.print")?, "print the shipping label");
        let applied = Applied::new(Stock { units })
            .change(Change::modified("units", stock.units, units))
            .side_effect(label);
        Ok(if units < 10 {
            let reorder = SideEffect::new(Label::new("stock.reorder")?, "fewer than ten are left");
            applied.side_effect(reorder.severity(Severity::Warning).requiring_action())
        } else {
            applied
        })
    }
}

/// Executes a request from 64 tasks at the same time; says how many ran it and how many were told
/// what another one did.
async fn race(
    story: &mut Story,
    governor: &Governor,
    deployer: &Actor,
    id: RequestId,
) -> anyhow::Result<()> {
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (governor, deployer) = (governor.clone(), deployer.clone());
        tasks.spawn(async move { governor.execute(&id, &deployer, OnStale::Reject).await });
    }
    let (mut ran, mut told) = (0, 0);
    let reports: Vec<Result<ExecutionReport, GovernorError>> = tasks.join_all().await;
    for report in reports {
        let report = report?;
        ensure!(
            report.outcome() == ExecutionOutcome::Executed,
            "not executed"
        );
        *if report.is_replayed() {
            &mut told
        } else {
            &mut ran
        } += 1;
    }
    story.say(format_args!(
        "of 64 executions {ran} ran it and {told} were told so"
    ))?;
    Ok(())
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let governor = scene
        .governor(People::new())
        .register::<Deliver>()
        .register::<Ship>()
        .policy(policy_fn("routine", |_| Ok(PolicyDecision::allow())))
        .build()?;
    let story = &mut scene.story;
    let (alice, deployer) = (Actor::user("alice")?, Actor::service("deployer")?);
    let hall = StateId::new("hall-1")?;

    story.chapter("One request, 64 executions at the same time, one commit")?;
    let delivery = governor
        .submit(&alice, &hall, Deliver { units: 20 })
        .await?;
    race(story, &governor, &deployer, delivery.id()).await?;
    story.say(format_args!(
        "hall-1 has {}",
        state_of(governor.state::<Stock>(&hall).await?)
    ))?;
    let request = governor.get(&delivery.id()).await?;
    let mut kinds: BTreeMap<String, u32> = BTreeMap::new();
    for decision in request.decisions() {
        *kinds.entry(decision.kind().to_string()).or_default() += 1;
    }
    let executed = kinds.get("lifecycle.executed").copied().unwrap_or_default();
    story.say(format_args!(
        "its history has {executed} lifecycle.executed"
    ))?;
    request.verify_history()?;

    story.chapter("16 requests, executed at the same time, and none is lost")?;
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let (governor, deployer) = (governor.clone(), deployer.clone());
        let id = governor
            .submit(&alice, &hall, Deliver { units: 1 })
            .await?
            .id();
        // Adding does not depend on what is there, so any version will do; it has to be said.
        tasks.spawn(async move { governor.execute(&id, &deployer, OnStale::AnyVersion).await });
    }
    for report in tasks.join_all().await {
        ensure!(
            report?.outcome() == ExecutionOutcome::Executed,
            "not executed"
        );
    }
    story.say(format_args!(
        "hall-1 has {}",
        state_of(governor.state::<Stock>(&hall).await?)
    ))?;

    story.chapter("An answer that was lost: repeat under the same operation id")?;
    let shipment = governor.submit(&alice, &hall, Ship { units: 6 }).await?;
    let call = Context::of(&alice).operation(OperationId::from_bytes([7; 16]));
    let canceled = governor
        .cancel(&shipment.id(), &call, "wrong customer")
        .await?;
    story.shows("alice cancels a shipment", &canceled)?;
    let canceled = governor
        .cancel(&shipment.id(), &call, "wrong customer")
        .await?;
    story.shows("her client repeats the call", &canceled)?;
    let another = governor
        .cancel(&shipment.id(), &alice, "wrong customer")
        .await;
    story.refused("she cancels it once more", "request.not_allowed", another)?;
    let forged = Context::of(&deployer).operation(OperationId::from_bytes([7; 16]));
    let forged = governor.retry(&shipment.id(), &forged, "not mine").await;
    story.refused(
        "somebody else under her id",
        "governor.operation_reused",
        forged,
    )?;

    story.chapter("A failure is not a refusal: it is recorded, and can be retried")?;
    let large = governor.submit(&alice, &hall, Ship { units: 50 }).await?;
    let report = governor
        .execute(&large.id(), &deployer, OnStale::Reject)
        .await?;
    story.shows("50 of 36 are shipped", report.request())?;
    story.explains(&governor.explain(&large.id()).await?)?;
    let early = governor
        .execute(&large.id(), &deployer, OnStale::Reject)
        .await;
    story.refused("executed again as it is", "request.not_allowed", early)?;
    let more = governor
        .submit(&alice, &hall, Deliver { units: 20 })
        .await?;
    governor
        .execute(&more.id(), &deployer, OnStale::Reject)
        .await?;
    governor
        .retry(&large.id(), &deployer, "twenty more came in")
        .await?;
    // The state has moved since the approval, so policies look at it again.
    let report = governor
        .execute(&large.id(), &deployer, OnStale::Revalidate)
        .await?;
    story.shows("retried after a delivery", report.request())?;
    story.say(format_args!(
        "attempts: {}",
        report.request().execution().attempts()
    ))?;
    story.history(report.request())?;

    story.chapter("A failure that trying again cannot mend")?;
    let absurd = governor
        .submit(&alice, &hall, Deliver { units: u32::MAX })
        .await?;
    let report = governor
        .execute(&absurd.id(), &deployer, OnStale::Reject)
        .await?;
    story.shows("four billion are delivered", report.request())?;
    let retry = governor.retry(&absurd.id(), &deployer, "maybe now").await;
    story.refused("retried", "request.not_retryable", retry)?;
    let canceled = governor
        .cancel(&absurd.id(), &alice, "a typing error")
        .await?;
    story.shows("alice cancels it", &canceled)?;

    story.chapter("Side effects are data on the request, for somebody else to carry out")?;
    let request = governor.get(&large.id()).await?;
    for effect in request.execution().side_effects() {
        let act = if effect.requires_action() {
            ", somebody has to act"
        } else {
            ""
        };
        let (kind, severity) = (effect.kind(), effect.severity_level());
        story.say(format_args!(
            "{kind}, {severity:?}: {}{act}",
            effect.description()
        ))?;
    }
    for change in request.execution().changes() {
        let show =
            |value: Option<&serde_json::Value>| value.map_or("-".to_owned(), ToString::to_string);
        let (before, after) = (show(change.before()), show(change.after()));
        story.say(format_args!(
            "change of {}: {before} -> {after}",
            change.path()
        ))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let about = "Execution: exactly once, failures and retries, side effects as data";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
