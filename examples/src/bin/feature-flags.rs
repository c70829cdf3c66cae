//! Feature flags: two people for critical flags, a change window by the store's clock, batches, and
//! the history of one piece of work.

use std::{collections::BTreeSet, fmt, process::ExitCode};

use async_trait::async_trait;
use examples::{People, Scene, Story, fixed::hours, state_of};
use governance_core::{
    Actor, Amendment, Applied, ApprovalRules, Change, Context, CorrelationId, DecisionQuery,
    GovernedState, Governor, Group, Intent, InvalidName, Mutation, MutationError, OnStale,
    PageRequest, Policy, PolicyDecision, PolicyFault, PolicySubject, RequestId, Requirement, Risk,
    Selector, StateId, Timestamp, ValidationErrors,
};
use serde::{Deserialize, Serialize};

/// A flag. The state id is its name.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Flag {
    on: bool,
}

impl GovernedState for Flag {
    const TYPE: &'static str = "flags.flag";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

impl fmt::Display for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.on { "on" } else { "off" })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Switch {
    on: bool,
}

impl Mutation for Switch {
    type State = Flag;
    const TYPE: &'static str = "flags.switch";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let words = if self.on { "on" } else { "off" };
        Ok(Intent::new(format!("flag.{words}"), "flags")?.described(words))
    }

    fn validate(&self, flag: &Flag) -> Result<(), ValidationErrors> {
        ValidationErrors::check(
            self.on != flag.on,
            "on",
            "flag.unchanged",
            "it is so already",
        )
    }

    fn apply(self, flag: Flag) -> Result<Applied<Flag>, MutationError> {
        let change = Change::modified("on", flag.on, self.on);
        Ok(Applied::new(Flag { on: self.on }).change(change))
    }
}

/// Critical flags need two people of the platform team; others pass.
#[derive(Debug)]
struct TwoPersonRule {
    critical: BTreeSet<StateId>,
}

#[async_trait]
impl Policy for TwoPersonRule {
    fn name(&self) -> &str {
        "two-person-rule"
    }

    async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
        if !self.critical.contains(&subject.scope().state_id) {
            return Ok(PolicyDecision::allow());
        }
        let platform = Selector::group(Group::new("platform")?);
        let two = Requirement::seats("two-people", 2, platform)?;
        Ok(PolicyDecision::require(ApprovalRules::new([two])?)
            .amend(Amendment::RaiseRisk(Risk::High)))
    }
}

/// Flags are turned on while people are there to watch; turning off is always possible. The time is
/// the store's, and it is asked again at execution.
#[derive(Debug)]
struct ChangeWindow {
    from_hour: u64,
    to_hour: u64,
}

impl ChangeWindow {
    const fn is_open(&self, at: Timestamp) -> bool {
        let hour = at.as_micros().unsigned_abs() / 3_600_000_000;
        // The first of January 1970 was a Thursday; day 0 is a Monday here.
        let weekday = (hour / 24 + 3) % 7;
        weekday < 5 && self.from_hour <= hour % 24 && hour % 24 < self.to_hour
    }
}

#[async_trait]
impl Policy for ChangeWindow {
    fn name(&self) -> &str {
        "change-window"
    }

    async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
        let turns_on = subject.mutation::<Switch>().is_some_and(|switch| switch.on);
        if !turns_on || self.is_open(subject.now()) {
            return Ok(PolicyDecision::abstain());
        }
        let message = format!(
            "open from {} to {} on weekdays",
            self.from_hour, self.to_hour
        );
        Ok(PolicyDecision::deny("window.closed", message)?)
    }
}

/// Asks for many flags at once, as one piece of work. What is approved is executed.
async fn switch_all(
    story: &mut Story,
    governor: &Governor,
    by: &Context,
    flags: &[&str],
    on: bool,
) -> anyhow::Result<Vec<RequestId>> {
    let mut waiting = Vec::new();
    for flag in flags {
        let submission = governor
            .submit(by, &StateId::new(flag)?, Switch { on })
            .await?;
        story.submitted(flag, &submission)?;
        if submission.is_approved() {
            let report = governor
                .execute(&submission.id(), by, OnStale::Reject)
                .await?;
            story.shows(flag, report.request())?;
        } else if !submission.request().status().is_terminal() {
            waiting.push(submission.id());
        }
    }
    Ok(waiting)
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let people = People::new()
        .person("pat", &[], &["platform"])?
        .person("pia", &[], &["platform"])?
        .person("paul", &[], &["platform"])?;
    let payments = StateId::new("new-payments")?;
    let critical = BTreeSet::from([payments.clone(), StateId::new("new-login")?]);
    let governor = scene
        .governor(people)
        .register::<Switch>()
        .policy(TwoPersonRule { critical })
        .policy(ChangeWindow {
            from_hour: 9,
            to_hour: 17,
        })
        .build()?;
    let Scene { story, clock, .. } = scene;
    let (dan, pat) = (Actor::user("dan")?, Actor::user("pat")?);
    let (pia, paul) = (Actor::user("pia")?, Actor::user("paul")?);

    story.chapter("An ordinary flag, on a Monday morning")?;
    let banner = StateId::new("banner")?;
    let ordinary = governor.submit(&dan, &banner, Switch { on: true }).await?;
    story.submitted("dan turns the banner on", &ordinary)?;
    let report = governor
        .execute(&ordinary.id(), &dan, OnStale::Reject)
        .await?;
    story.shows("dan executes it", report.request())?;
    let again = governor.submit(&dan, &banner, Switch { on: true }).await;
    story.refused("dan turns it on again", "governor.invalid", again)?;

    story.chapter("A critical flag takes two people besides the one who asks")?;
    let launch = governor
        .submit(&pat, &payments, Switch { on: true })
        .await?;
    let id = launch.id();
    story.submitted("pat turns new-payments on", &launch)?;
    let vote = governor.approve(&id, &pat, "I wrote it").await;
    story.refused("pat approves", "vote.self_approval", vote)?;
    let request = governor.approve(&id, &pia, "watched it in staging").await?;
    story.shows("pia approves", &request)?;
    let vote = governor.approve(&id, &pia, "really").await;
    story.refused("pia approves again", "vote.already_voted", vote)?;
    let request = governor.approve(&id, &paul, "dashboards are ready").await?;
    story.shows("paul approves", &request)?;

    story.chapter("The window is asked at execution too: approved is not yet now")?;
    clock.advance(hours(10));
    story.say(format_args!("it is {}", clock.time()))?;
    let late = governor.execute(&id, &pat, OnStale::Reject).await;
    story.refused(
        "pat executes it in the evening",
        "governor.policy_denied",
        late,
    )?;
    story.shows("it stays", &*governor.get(&id).await?)?;
    let denied = governor
        .submit(&dan, &StateId::new("dark-mode")?, Switch { on: true })
        .await?;
    story.submitted("dan turns dark-mode on", &denied)?;
    let off = governor.submit(&dan, &banner, Switch { on: false }).await?;
    story.submitted("dan turns the banner off", &off)?;
    clock.advance(hours(14));
    let report = governor.execute(&id, &pat, OnStale::Reject).await?;
    story.shows(
        format_args!("pat executes it at {}", clock.time()),
        report.request(),
    )?;
    story.say(format_args!(
        "new-payments is {}",
        state_of(governor.state::<Flag>(&payments).await?)
    ))?;

    story.chapter("A release turns on several flags, as one piece of work")?;
    let release = CorrelationId::new("release-42")?;
    let by_dan = Context::of(&dan).correlation(release.clone());
    let flags = ["dark-mode", "new-search", "new-login"];
    let waiting = switch_all(story, &governor, &by_dan, &flags, true).await?;
    for id in &waiting {
        for (person, reason) in [
            (&pia, "tested with real accounts"),
            (&paul, "support knows"),
        ] {
            let vote = Context::of(person).correlation(release.clone());
            governor.approve(id, vote, reason).await?;
        }
        let report = governor.execute(id, &by_dan, OnStale::Reject).await?;
        story.shows("new-login after two approvals", report.request())?;
    }

    story.chapter("The history of that piece of work")?;
    let work = governor.query().correlations([release]);
    let decisions = DecisionQuery::of(work).codes([
        "lifecycle.submitted",
        "approval.granted",
        "lifecycle.executed",
    ]);
    let page = governor
        .decisions(&decisions, &PageRequest::first(100)?)
        .await?;
    for view in page.items {
        let (flag, decision) = (&view.state_id, &view.decision);
        story.say(format_args!(
            "{flag}: {} by {}",
            decision.kind(),
            decision.actor()
        ))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let about = "Feature flags: two-person rule, change window, batches, history by correlation";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
