//! Finding requests, approvals and decisions: filters, an inbox, pages with cursors, counts.

use std::{process::ExitCode, sync::Arc, time::Duration};

use examples::{People, Scene, Story};
use governance_core::{
    Actor, ActorId, Applied, ApprovalQuery, ApprovalRules, BlastRadius, BlastScope, Condition,
    Context, CorrelationId, Count, DecisionCategory, DecisionQuery, Filter, GovernedState,
    Governor, GovernorError, Group, Intent, InvalidName, Label, Mutation, MutationError,
    MutationRequest, OnStale, Order, PageRequest, PendingReason, PolicyDecision, PolicyFault,
    PolicySubject, Reason, RequestId, RequestQuery, Requirement, Risk, Selector, StateId, Status,
    SubmitOptions, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};

/// The setting of one service.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Setting {
    value: String,
}

impl GovernedState for Setting {
    const TYPE: &'static str = "config.setting";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// A change as its author classifies it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Configure {
    value: String,
    area: String,
    risk: Risk,
    reach: BlastScope,
    tags: Vec<String>,
    ticket: u32,
}

impl Mutation for Configure {
    type State = Setting;
    const TYPE: &'static str = "config.configure";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let intent = Intent::new("setting.configure", &self.area)?
            .risk(self.risk)
            .blast_radius(BlastRadius::new(self.reach))
            .described(self.value.as_str())
            .with_metadata("ticket", self.ticket);
        self.tags
            .iter()
            .try_fold(intent, |intent, tag| intent.tag(tag))
    }

    fn validate(&self, _: &Setting) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, _: Setting) -> Result<Applied<Setting>, MutationError> {
        Ok(Applied::new(Setting { value: self.value }))
    }
}

/// Low risk passes. Otherwise the operators agree, and above medium security does too.
fn by_risk(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    let seat = |id: &str| -> Result<Requirement, InvalidName> {
        Requirement::seats(id, 1, Selector::group(Group::new(id)?))
    };
    let rules = match subject.intent().risk_level() {
        Risk::Low => return Ok(PolicyDecision::allow()),
        Risk::Medium => ApprovalRules::new([seat("operations")?])?,
        Risk::High | Risk::Critical => {
            ApprovalRules::new([seat("operations")?, seat("security")?.in_stage(2)])?
        }
    };
    Ok(PolicyDecision::require(rules))
}

/// One change to be asked for: by whom, where, what.
type Wish = (&'static str, &'static str, Configure);

fn wishes() -> Vec<Wish> {
    let wish = |who, state, value: &str, area: &str, risk, reach, tags: &[&str], ticket| {
        let change = Configure {
            value: value.to_owned(),
            area: area.to_owned(),
            risk,
            reach,
            tags: tags.iter().map(|tag| (*tag).to_owned()).collect(),
            ticket,
        };
        (who, state, change)
    };
    use BlastScope::{Global, Module, Single, System};
    use Risk::{Critical, High, Low, Medium};
    vec![
        wish(
            "alice",
            "api",
            "timeout=5s",
            "network",
            Low,
            Single,
            &["routine"],
            101,
        ),
        wish(
            "alice",
            "api",
            "retries=3",
            "network",
            Medium,
            Module,
            &["routine"],
            102,
        ),
        wish(
            "bob",
            "api",
            "tls=1.3",
            "security",
            High,
            System,
            &["tls", "audit"],
            103,
        ),
        wish(
            "alice",
            "db",
            "pool=50",
            "capacity",
            Medium,
            Module,
            &["launch"],
            104,
        ),
        wish(
            "bob",
            "db",
            "encryption=on",
            "security",
            Critical,
            Global,
            &["audit"],
            105,
        ),
        wish(
            "oscar",
            "db",
            "backup=hourly",
            "capacity",
            Medium,
            System,
            &["launch"],
            106,
        ),
        wish(
            "alice",
            "cdn",
            "ttl=60s",
            "network",
            Low,
            Global,
            &["launch", "routine"],
            107,
        ),
        wish(
            "bob",
            "cdn",
            "waf=strict",
            "security",
            High,
            Global,
            &["tls"],
            108,
        ),
    ]
}

/// Asks for all of them; the launch is one piece of work, alice's things have a deadline.
async fn submit_all(governor: &Governor) -> anyhow::Result<Vec<RequestId>> {
    let launch = CorrelationId::new("launch-2026-03")?;
    let mut ids = Vec::new();
    for (who, state, change) in wishes() {
        let actor = Actor::user(who)?;
        let mut context =
            Context::of(&actor).metadata("channel", if who == "alice" { "portal" } else { "chat" });
        if change.tags.iter().any(|tag| tag == "launch") {
            context = context.correlation(launch.clone());
        }
        let mut options = SubmitOptions::new().reason(format!("ticket {}", change.ticket));
        if who == "alice" {
            options = options.expires_in(Duration::from_secs(60 * u64::from(200 - change.ticket)));
        }
        let state = StateId::new(state)?;
        ids.push(
            governor
                .submit_with(context, &state, change, options)
                .await?
                .id(),
        );
    }
    Ok(ids)
}

/// Lists what a query finds, on one page.
async fn list(
    story: &mut Story,
    governor: &Governor,
    what: &str,
    query: RequestQuery,
) -> anyhow::Result<()> {
    let page = governor.requests(&query, &PageRequest::first(50)?).await?;
    story.say(format_args!("{what}: {}", page.items.len()))?;
    story.lists(&page.items)?;
    Ok(())
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let people = People::new()
        .person("oscar", &[], &["operations"])?
        .person("otto", &[], &["operations"])?
        .person("sue", &[], &["security"])?;
    let governor = scene
        .governor(people)
        .register::<Configure>()
        .policy(policy_fn("by-risk", by_risk))
        .build()?;
    let story = &mut scene.story;
    let (oscar, otto, sue) = (
        ActorId::new("oscar")?,
        ActorId::new("otto")?,
        ActorId::new("sue")?,
    );
    let runner = Actor::service("runner")?;
    let ids = submit_all(&governor).await?;
    governor
        .approve(&ids[2], &Actor::user("otto")?, "tested in staging")
        .await?;
    governor
        .reject(&ids[1], &Actor::user("otto")?, "three is too many")
        .await?;
    governor.execute(&ids[0], &runner, OnStale::Reject).await?;
    let query = || governor.query();

    story.chapter("By where they stand, what they are about, and what they intend")?;
    let pending = query().pending_reasons([PendingReason::Approval]);
    list(story, &governor, "waiting for approval", pending).await?;
    list(
        story,
        &governor,
        "about cdn",
        query().states([StateId::new("cdn")?]),
    )
    .await?;
    let risky = query().risks([Risk::High, Risk::Critical]);
    list(story, &governor, "high risk or more", risky).await?;
    let security = query().categories([Label::new("security")?]).pending();
    list(story, &governor, "security, still pending", security).await?;

    story.chapter("By tags, metadata, reach and text")?;
    let either = query().tags_any([Label::new("tls")?, Label::new("launch")?]);
    list(story, &governor, "tagged tls or launch", either).await?;
    let both = query().tags_all([Label::new("launch")?, Label::new("routine")?]);
    list(story, &governor, "tagged launch and routine", both).await?;
    list(
        story,
        &governor,
        "ticket 105",
        query().intent_metadata("ticket", 105),
    )
    .await?;
    let chat = query()
        .request_metadata("channel", "chat")
        .risks([Risk::Medium]);
    list(story, &governor, "asked for in the chat, medium risk", chat).await?;
    let wide = query().blast_scope(Some(BlastScope::System), None);
    list(story, &governor, "reaching a system or further", wide).await?;
    list(
        story,
        &governor,
        "with pool in the text",
        query().text("POOL"),
    )
    .await?;
    let launch = query().correlations([CorrelationId::new("launch-2026-03")?]);
    list(story, &governor, "of the launch", launch).await?;

    story.chapter("Inboxes: what a person can decide now")?;
    for person in [&oscar, &otto, &sue] {
        let inbox = governor.decidable_by(person).await?;
        list(story, &governor, &format!("for {person}"), inbox).await?;
    }
    story
        .say("oscar can still deny what otto approved, but not decide what he asked for himself")?;
    let open = ApprovalQuery::of(query())
        .open()
        .groups([Group::new("security")?]);
    let page = governor.approvals(&open, &PageRequest::first(50)?).await?;
    for view in &page.items {
        let (requirement, state) = (&view.requirement, &view.state_id);
        story.say(format_args!(
            "open: {requirement} on {state}, {} seat",
            view.open_seats
        ))?;
    }

    story.chapter("Negation and combination")?;
    let routine = Filter::from(Condition::Tags([Label::new("routine")?].into()));
    let done = Filter::from(Condition::Statuses(
        [Status::Executed, Status::Rejected].into(),
    ));
    let rest = query().excluding(routine.clone()).excluding(done.clone());
    list(story, &governor, "neither routine nor done", rest).await?;
    let mixed = query().and(routine.and(!done));
    list(story, &governor, "routine and not done", mixed).await?;

    story.chapter("Pages: a limit, a stable order, a cursor")?;
    let mut page = PageRequest::first(3)?.order(Order::NewestFirst);
    let mut cursor = None;
    loop {
        let found = governor.requests(&query(), &page).await?;
        let described = |request: &Arc<MutationRequest>| {
            let intent = request.proposal().intent();
            intent.description().unwrap_or_default().to_owned()
        };
        let items: Vec<String> = found.items.iter().map(described).collect();
        story.say(format_args!("page: {}", items.join(", ")))?;
        match found.next {
            Some(next) => {
                cursor = Some(next.clone());
                page = page.after(next);
            }
            None => break,
        }
    }
    let due = PageRequest::first(3)?.order(Order::Deadline);
    let found = governor.requests(&query().pending(), &due).await?;
    story.say("by deadline, earliest first:")?;
    story.lists(&found.items)?;
    let none = PageRequest::first(0).map_err(GovernorError::from);
    story.refused("a page of nothing", "page.limit_out_of_range", none)?;
    if let Some(cursor) = cursor {
        let foreign = PageRequest::first(3)?
            .order(Order::NewestFirst)
            .after(cursor);
        let other = governor.requests(&query().pending(), &foreign).await;
        story.refused("the cursor of another query", "page.cursor_foreign", other)?;
    }

    story.chapter("Decisions, newest first")?;
    let votes = DecisionQuery::of(query()).categories([DecisionCategory::Approval]);
    let votes = votes.codes(["approval.granted", "approval.denied"]);
    let newest = PageRequest::first(50)?.order(Order::NewestFirst);
    for view in governor.decisions(&votes, &newest).await?.items {
        let decision = &view.decision;
        let (kind, who, state) = (decision.kind(), decision.actor(), &view.state_id);
        let reason = decision.reason().map_or("", Reason::as_str);
        story.say(format_args!("{kind} by {who} on {state}: {reason}"))?;
    }
    let outcomes = DecisionQuery::of(query()).recent_outcomes();
    for view in governor.decisions(&outcomes, &newest).await?.items {
        story.say(format_args!(
            "outcome on {}: {}",
            view.state_id,
            view.decision.kind()
        ))?;
    }

    story.chapter("Counts")?;
    for status in [
        Status::Pending,
        Status::Approved,
        Status::Executed,
        Status::Rejected,
    ] {
        let count = match governor.count(&query().statuses([status])).await? {
            Count::Exact(count) => count.to_string(),
            Count::AtLeast(count) => format!("at least {count}"),
            Count::Unknown => "unknown".to_owned(),
        };
        story.say(format_args!("{status}: {count}"))?;
    }
    Ok(())
}

fn main() -> ExitCode {
    let about = "Finding requests, approvals and decisions: filters, inboxes, pages, counts";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
