//! The lives a request can have: executed, canceled, superseded, expired, denied.

use std::{fmt, process::ExitCode};

use examples::{People, Scene, fixed::hours, state_of};
use governance_core::{
    Actor, Applied, ApprovalRules, Change, GovernedState, Group, IdempotencyKey, Intent,
    InvalidName, Mutation, MutationError, MutationRequest, OnStale, PageRequest, PolicyDecision,
    PolicyFault, PolicySubject, Requirement, Risk, Selector, StateId, SubmitOptions,
    ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};

/// How many requests a customer may send per minute.
#[derive(Debug, Serialize, Deserialize)]
struct RateLimit {
    per_minute: u64,
}

impl GovernedState for RateLimit {
    const TYPE: &'static str = "api.rate_limit";

    fn absent() -> Option<Self> {
        Some(Self { per_minute: 100 })
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} per minute", self.per_minute)
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct SetRateLimit {
    per_minute: u64,
}

impl Mutation for SetRateLimit {
    type State = RateLimit;
    const TYPE: &'static str = "api.set_rate_limit";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let risk = match self.per_minute {
            0..1_000 => Risk::Low,
            1_000..10_000 => Risk::Medium,
            _ => Risk::High,
        };
        let words = format!("{} per minute", self.per_minute);
        Ok(Intent::new("rate_limit.set", "capacity")?
            .risk(risk)
            .described(words))
    }

    fn validate(&self, now: &RateLimit) -> Result<(), ValidationErrors> {
        let differs = self.per_minute != now.per_minute;
        ValidationErrors::check(differs, "per_minute", "unchanged", "that is the limit now")
    }

    fn apply(self, now: RateLimit) -> Result<Applied<RateLimit>, MutationError> {
        let Self { per_minute } = self;
        let change = Change::modified("per_minute", now.per_minute, per_minute);
        Ok(Applied::new(RateLimit { per_minute }).change(change))
    }
}

/// Low risk passes, medium needs somebody of the capacity team, high is out of the question.
fn by_risk(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    Ok(match subject.intent().risk_level() {
        Risk::Low => PolicyDecision::allow(),
        Risk::Medium => {
            let team = Selector::group(Group::new("capacity")?);
            let one = Requirement::seats("capacity-review", 1, team)?;
            PolicyDecision::require(ApprovalRules::new([one])?)
        }
        Risk::High | Risk::Critical => {
            PolicyDecision::deny("rate_limit.too_high", "no customer gets more than 10 000")?
        }
    })
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let people = People::new().person("carol", &[], &["capacity"])?;
    let governor = scene
        .governor(people)
        .register::<SetRateLimit>()
        .policy(policy_fn("by-risk", by_risk))
        .build()?;
    let Scene { story, clock, .. } = scene;
    let (alice, carol) = (Actor::user("alice")?, Actor::user("carol")?);
    let deployer = Actor::service("deployer")?;
    let acme = StateId::new("acme")?;

    story.chapter("A routine change is approved by policy alone, then executed")?;
    let to = |per_minute| SetRateLimit { per_minute };
    let small = governor.submit(&alice, &acme, to(500)).await?;
    story.submitted("alice asks for 500", &small)?;
    let report = governor
        .execute(&small.id(), &deployer, OnStale::Reject)
        .await?;
    story.shows("deployer executes it", report.request())?;
    story.say(format_args!(
        "acme has {}",
        state_of(governor.state::<RateLimit>(&acme).await?)
    ))?;

    story.chapter("A larger one waits for a person; submitting it twice is submitting it once")?;
    let ticket = || -> Result<SubmitOptions, InvalidName> {
        Ok(SubmitOptions::new()
            .idempotency_key(IdempotencyKey::new("ticket-4711")?)
            .reason("launch on Thursday, ticket 4711"))
    };
    let launch = governor
        .submit_with(&alice, &acme, to(2_000), ticket()?)
        .await?;
    story.submitted("alice asks for 2000", &launch)?;
    let again = governor
        .submit_with(&alice, &acme, to(2_000), ticket()?)
        .await?;
    story.submitted("her client tries again", &again)?;
    let other = governor
        .submit_with(&alice, &acme, to(3_000), ticket()?)
        .await;
    story.refused(
        "another change under the same key",
        "governor.key_reused",
        other,
    )?;

    let unapproved = governor
        .execute(&launch.id(), &deployer, OnStale::Reject)
        .await;
    story.refused(
        "deployer executes it too early",
        "request.not_allowed",
        unapproved,
    )?;
    let approved = governor
        .approve(&launch.id(), &carol, "capacity is there")
        .await?;
    story.shows("carol approves", &approved)?;
    let report = governor
        .execute(&launch.id(), &deployer, OnStale::Reject)
        .await?;
    story.shows("deployer executes it", report.request())?;
    let report = governor
        .execute(&launch.id(), &deployer, OnStale::Reject)
        .await?;
    let ran = if report.is_replayed() {
        "nothing ran"
    } else {
        "it ran again"
    };
    story.shows(
        format_args!("deployer executes it again, {ran}"),
        report.request(),
    )?;

    story.chapter("A request can be taken back by its owner")?;
    let regretted = governor.submit(&alice, &acme, to(4_000)).await?;
    story.submitted("alice asks for 4000", &regretted)?;
    let by_carol = governor.cancel(&regretted.id(), &carol, "not needed").await;
    story.refused("carol cancels it", "governor.unauthorized", by_carol)?;
    let canceled = governor
        .cancel(&regretted.id(), &alice, "the launch is off")
        .await?;
    story.shows("alice cancels it", &canceled)?;

    story.chapter("A better one can take its place")?;
    let first = governor.submit(&alice, &acme, to(5_000)).await?;
    let second = governor.submit(&alice, &acme, to(6_000)).await?;
    let superseded = governor
        .supersede(&first.id(), &second.id(), &alice, "6000 after all")
        .await?;
    story.shows("5000 makes way for 6000", &superseded)?;
    let linked = governor.get(&second.id()).await?;
    let known = linked.links().supersedes() == [first.id()];
    story.say(format_args!(
        "the request for 6000 knows whose place it took: {known}"
    ))?;

    story.chapter("Who waits too long expires")?;
    let day = SubmitOptions::new().expires_in(hours(4));
    let late = governor.submit_with(&alice, &acme, to(7_000), day).await?;
    let deadline = |request: &MutationRequest| match request.expires_at() {
        Some(deadline) => deadline.to_string(),
        None => "none".to_owned(),
    };
    story.say(format_args!(
        "alice asks for 7000, deadline {}",
        deadline(late.request())
    ))?;
    let later = clock.time().saturating_add(hours(8));
    let amended = governor
        .amend_deadline(
            &late.id(),
            &alice,
            Some(later),
            "carol is away this morning",
        )
        .await?;
    story.say(format_args!(
        "alice moves the deadline to {}",
        deadline(&amended)
    ))?;
    clock.advance(hours(5));
    let tick = governor.tick(clock.time()).await?;
    story.say(format_args!(
        "at {} a tick expires {}",
        clock.time(),
        tick.expired()
    ))?;
    clock.advance(hours(5));
    let tick = governor.tick(clock.time()).await?;
    story.say(format_args!(
        "at {} a tick expires {}",
        clock.time(),
        tick.expired()
    ))?;
    let too_late = governor
        .approve(&late.id(), &carol, "capacity is there")
        .await;
    story.refused("carol approves", "request.takes_no_votes", too_late)?;

    story.chapter("What policies deny is final, and the attempt stays on record")?;
    let huge = governor.submit(&alice, &acme, to(1_000_000)).await?;
    story.submitted("alice asks for 1000000", &huge)?;
    let same = governor.submit(&alice, &acme, to(2_000)).await;
    story.refused("alice asks for what is there", "governor.invalid", same)?;

    story.chapter("What became of them all")?;
    let page = governor
        .requests(&governor.query(), &PageRequest::first(50)?)
        .await?;
    story.lists(&page.items)?;
    story.say("the launch, in full:")?;
    story.history(&*governor.get(&launch.id()).await?)
}

fn main() -> ExitCode {
    let about = "The lives a request can have: executed, canceled, superseded, expired, denied";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
