//! Quotas of customers: increase, decrease and reset under limits; an emergency batch with a short
//! deadline; a monthly batch that can be run again.

use std::{fmt, process::ExitCode};

use examples::{People, Scene, Story, fixed::hours, state_of};
use governance_core::{
    Actor, Amendment, Applied, ApprovalRules, Change, Context, CorrelationId, GovernedState,
    Governor, GovernorError, Group, IdempotencyKey, Intent, InvalidName, Label, Mutation,
    MutationError, OnStale, PolicyDecision, PolicyFault, PolicySubject, RequestId, Requirement,
    Risk, Selector, StateId, Submission, SubmitOptions, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};

/// What a customer may use, has used, and may at most be given.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Quota {
    limit: u64,
    used: u64,
    ceiling: u64,
}

impl GovernedState for Quota {
    const TYPE: &'static str = "billing.quota";

    /// The standard plan, some days into the month.
    fn absent() -> Option<Self> {
        Some(Self {
            limit: 1_000,
            used: 600,
            ceiling: 10_000,
        })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} used", self.used, self.limit)
    }
}

/// A change of a quota. One kind of mutation with three operations: each has a name of its own for
/// policies and queries.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum ChangeQuota {
    Increase { by: u64 },
    Decrease { by: u64 },
    ResetUsage,
}

impl ChangeQuota {
    const fn on(self, quota: Quota) -> Quota {
        match self {
            Self::Increase { by } => Quota {
                limit: quota.limit.saturating_add(by),
                ..quota
            },
            Self::Decrease { by } => Quota {
                limit: quota.limit.saturating_sub(by),
                ..quota
            },
            Self::ResetUsage => Quota { used: 0, ..quota },
        }
    }
}

impl Mutation for ChangeQuota {
    type State = Quota;
    const TYPE: &'static str = "billing.change_quota";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let (operation, risk, words) = match self {
            Self::Increase { by: by @ 5_000.. } => ("increase", Risk::High, format!("+{by}")),
            Self::Increase { by } => ("increase", Risk::Low, format!("+{by}")),
            Self::Decrease { by } => ("decrease", Risk::Low, format!("-{by}")),
            Self::ResetUsage => ("reset", Risk::Low, "reset".to_owned()),
        };
        let intent = Intent::new(format!("quota.{operation}"), "billing")?;
        Ok(intent.risk(risk).described(words))
    }

    fn validate(&self, quota: &Quota) -> Result<(), ValidationErrors> {
        let after = self.on(*quota);
        match self {
            Self::Increase { by: 0 } | Self::Decrease { by: 0 } => {
                Err(ValidationErrors::new("by", "quota.unchanged", "by nothing"))
            }
            Self::Increase { .. } => Ok(()),
            Self::Decrease { .. } => ValidationErrors::check(
                after.limit >= quota.used,
                "by",
                "quota.below_usage",
                format!("{} are used already", quota.used),
            ),
            Self::ResetUsage => {
                ValidationErrors::check(quota.used > 0, "used", "quota.unused", "nothing is used")
            }
        }
    }

    fn apply(self, quota: Quota) -> Result<Applied<Quota>, MutationError> {
        let after = self.on(quota);
        let change = match self {
            Self::ResetUsage => Change::modified("used", quota.used, after.used),
            Self::Increase { .. } | Self::Decrease { .. } => {
                Change::modified("limit", quota.limit, after.limit)
            }
        };
        Ok(Applied::new(after).change(change))
    }
}

/// Nobody gets more than the plan allows, however urgent it is.
fn plan_ceiling(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let (Some(change), Some(quota)) = (subject.mutation::<ChangeQuota>(), subject.state::<Quota>())
    else {
        return Ok(PolicyDecision::abstain());
    };
    let limit = change.on(*quota).limit;
    Ok(if limit > quota.ceiling {
        let message = format!("{limit} is over the plan's {}", quota.ceiling);
        PolicyDecision::deny("quota.above_plan", message)?
    } else {
        PolicyDecision::abstain()
    })
}

/// A large increase is finance's to approve. In an incident, with somebody on call asking, another
/// one on call will do, within two hours.
fn finance(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    if subject.intent().risk_level() < Risk::High {
        return Ok(PolicyDecision::allow());
    }
    let on_call = Group::new("on-call")?;
    // The incident is the caller's word; being on call is the directory's.
    let emergency = subject.metadata().contains_key("incident")
        && subject.membership().groups.contains(&on_call);
    let one_of = |id, group| -> Result<PolicyDecision, PolicyFault> {
        let seat = Requirement::seats(id, 1, Selector::group(group))?;
        Ok(PolicyDecision::require(ApprovalRules::new([seat])?))
    };
    if emergency {
        Ok(one_of("second-on-call", on_call)?
            .amend(Amendment::RaiseRisk(Risk::Critical))
            .amend(Amendment::AddTag(Label::new("emergency")?))
            .amend(Amendment::ExpireWithin(hours(2))))
    } else {
        one_of("finance", Group::new("finance")?)
    }
}

/// One piece of work on many customers.
struct Batch<'a> {
    by: &'a Actor,
    name: CorrelationId,
    change: ChangeQuota,
    incident: Option<&'a str>,
}

impl Batch<'_> {
    /// Asks for the change of one customer. The key makes running the batch again harmless.
    async fn submit(&self, to: &Governor, customer: &str) -> Result<Submission, GovernorError> {
        let mut context = Context::of(self.by).correlation(self.name.clone());
        if let Some(incident) = self.incident {
            context = context.metadata("incident", incident);
        }
        let key = IdempotencyKey::new(self.name.as_str())?;
        let options = SubmitOptions::new()
            .idempotency_key(key)
            .reason(self.name.as_str());
        to.submit_with(context, &StateId::new(customer)?, self.change, options)
            .await
    }

    /// Asks for all of them and executes what is approved. What fails for one customer is told and
    /// does not stop the others.
    async fn run(
        &self,
        story: &mut Story,
        governor: &Governor,
        customers: &[&str],
    ) -> anyhow::Result<Vec<RequestId>> {
        let mut ids = Vec::new();
        for customer in customers {
            match self.submit(governor, customer).await {
                Ok(submission) => {
                    story.submitted(customer, &submission)?;
                    ids.push(submission.id());
                    if submission.is_approved() {
                        let id = submission.id();
                        let report = governor.execute(&id, self.by, OnStale::Reject).await?;
                        story.shows(format_args!("{customer} executed"), report.request())?;
                    }
                }
                Err(error) => story.say(format_args!("{customer}: {} ({error})", error.code()))?,
            }
        }
        Ok(ids)
    }
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let people = People::new()
        .person("fay", &[], &["finance"])?
        .person("omar", &[], &["on-call"])?
        .person("olga", &[], &["on-call"])?;
    let governor = scene
        .governor(people)
        .register::<ChangeQuota>()
        .policy(policy_fn("plan-ceiling", plan_ceiling))
        .policy(policy_fn("finance", finance))
        .build()?;
    let Scene { story, clock, .. } = scene;
    let (sam, fay) = (Actor::user("sam")?, Actor::user("fay")?);
    let (omar, olga) = (Actor::user("omar")?, Actor::user("olga")?);
    let cycle = Actor::service("billing-cycle")?;
    let acme = StateId::new("acme")?;

    story.chapter("Within limits, policies decide alone")?;
    for change in [
        ChangeQuota::Increase { by: 500 },
        ChangeQuota::Decrease { by: 200 },
    ] {
        let submission = governor.submit(&sam, &acme, change).await?;
        let report = governor
            .execute(&submission.id(), &sam, OnStale::Reject)
            .await?;
        story.lists([report.request()])?;
    }
    story.say(format_args!(
        "acme: {}",
        state_of(governor.state::<Quota>(&acme).await?)
    ))?;

    story.chapter("What the limits forbid")?;
    let low = governor
        .submit(&sam, &acme, ChangeQuota::Decrease { by: 1_000 })
        .await;
    story.refused("below what is used", "governor.invalid", low)?;
    let high = governor
        .submit(&sam, &acme, ChangeQuota::Increase { by: 9_000 })
        .await?;
    story.submitted("above the plan", &high)?;

    story.chapter("A large increase is finance's to approve")?;
    let large = governor
        .submit(&sam, &acme, ChangeQuota::Increase { by: 5_000 })
        .await?;
    story.submitted("+5000 for acme", &large)?;
    let vote = governor.approve(&large.id(), &olga, "sure, why not").await;
    story.refused("olga, who is on call", "vote.not_eligible", vote)?;
    governor
        .approve(&large.id(), &fay, "contract 88 was signed")
        .await?;
    let report = governor.execute(&large.id(), &sam, OnStale::Reject).await?;
    story.shows("fay of finance approves, sam executes", report.request())?;

    story.chapter("An emergency batch: another one on call approves, within two hours")?;
    let batch = Batch {
        by: &omar,
        name: CorrelationId::new("incident-7")?,
        change: ChangeQuota::Increase { by: 5_000 },
        incident: Some("incident-7"),
    };
    let ids = batch
        .run(story, &governor, &["globex", "initech", "hooli"])
        .await?;
    let vote = governor.approve(&ids[0], &omar, "I said so").await;
    story.refused("omar approves his own", "vote.self_approval", vote)?;
    for id in &ids[..2] {
        governor.approve(id, &olga, "traffic is real").await?;
        let report = governor.execute(id, &omar, OnStale::Reject).await?;
        story.lists([report.request()])?;
    }
    clock.advance(hours(3));
    let tick = governor.tick(clock.time()).await?;
    story.say(format_args!("three hours later {} expires", tick.expired()))?;
    story.shows("hooli", &*governor.get(&ids[2]).await?)?;
    let tags = governor.get(&ids[0]).await?;
    let intent = tags.proposal().intent();
    let names: Vec<&str> = intent.tags().iter().map(Label::as_str).collect();
    story.say(format_args!(
        "risk {}, tags {}",
        intent.risk_level(),
        names.join(", ")
    ))?;

    story.chapter("The monthly batch: every customer is reset once, however often it runs")?;
    let customers = ["acme", "globex", "initech", "hooli"];
    let batch = Batch {
        by: &cycle,
        name: CorrelationId::new("reset-2026-03")?,
        change: ChangeQuota::ResetUsage,
        incident: None,
    };
    batch.run(story, &governor, &customers[..2]).await?;
    story.say("it was interrupted, and runs again:")?;
    batch.run(story, &governor, &customers).await?;
    let early = Batch {
        name: CorrelationId::new("reset-2026-04")?,
        ..batch
    };
    story.say("the next month's, by mistake:")?;
    early.run(story, &governor, &customers[..1]).await?;
    for customer in customers {
        let state = governor.state::<Quota>(&StateId::new(customer)?).await?;
        story.say(format_args!("{customer}: {}", state_of(state)))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let about = "Quotas of customers: limits, an emergency batch, a monthly batch";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
