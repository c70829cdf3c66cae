//! Roles of an organisation: grant, revoke, protection of the last administrator, two people for
//! administrators, a migration on somebody's behalf.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    process::ExitCode,
};

use examples::{People, Scene, state_of};
use governance_core::{
    Actor, ActorId, Applied, ApprovalRules, Change, Context, GovernedState, Governor, Group,
    IdempotencyKey, Intent, InvalidName, Mutation, MutationError, OnStale, PolicyDecision,
    PolicyFault, PolicySubject, RejectionCause, RequestId, Requirement, Risk, Selector, StateId,
    Submission, SubmitOptions, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OrgRole {
    Admin,
    Editor,
    Viewer,
}

impl OrgRole {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Editor => "editor",
            Self::Viewer => "viewer",
        }
    }

    const fn risk(self) -> Risk {
        match self {
            Self::Admin => Risk::Critical,
            Self::Editor => Risk::Medium,
            Self::Viewer => Risk::Low,
        }
    }
}

/// Who holds which role in an organisation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Roles {
    holders: BTreeMap<OrgRole, BTreeSet<ActorId>>,
}

impl Roles {
    fn holds(&self, who: &ActorId, role: OrgRole) -> bool {
        self.holders
            .get(&role)
            .is_some_and(|holders| holders.contains(who))
    }

    fn is_last(&self, who: &ActorId, role: OrgRole) -> bool {
        self.holds(who, role)
            && self
                .holders
                .get(&role)
                .is_some_and(|holders| holders.len() == 1)
    }
}

impl GovernedState for Roles {
    const TYPE: &'static str = "iam.roles";

    /// A new organisation has its founder.
    fn absent() -> Option<Self> {
        let founder = ActorId::new("root").ok()?;
        Some(Self {
            holders: BTreeMap::from([(OrgRole::Admin, BTreeSet::from([founder]))]),
        })
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (role, holders)) in self.holders.iter().enumerate() {
            let names: Vec<&str> = holders.iter().map(ActorId::as_str).collect();
            let gap = if i > 0 { "; " } else { "" };
            write!(f, "{gap}{}: {}", role.as_str(), names.join(", "))?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Grant {
    who: ActorId,
    role: OrgRole,
}

impl Mutation for Grant {
    type State = Roles;
    const TYPE: &'static str = "iam.grant";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let words = format!("grant {} to {}", self.role.as_str(), self.who);
        Ok(Intent::new("role.grant", "iam")?
            .risk(self.role.risk())
            .described(words))
    }

    fn validate(&self, roles: &Roles) -> Result<(), ValidationErrors> {
        let new = !roles.holds(&self.who, self.role);
        ValidationErrors::check(new, "who", "role.held", format!("{} has it", self.who))
    }

    fn apply(self, mut roles: Roles) -> Result<Applied<Roles>, MutationError> {
        let path = format!("{}/{}", self.role.as_str(), self.who);
        roles.holders.entry(self.role).or_default().insert(self.who);
        Ok(Applied::new(roles).change(Change::added(path, true)))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Revoke {
    who: ActorId,
    role: OrgRole,
}

impl Mutation for Revoke {
    type State = Roles;
    const TYPE: &'static str = "iam.revoke";

    fn intent(&self) -> Result<Intent, InvalidName> {
        let words = format!("revoke {} from {}", self.role.as_str(), self.who);
        Ok(Intent::new("role.revoke", "iam")?
            .risk(self.role.risk())
            .described(words))
    }

    /// Asked at submission and again on the state it is applied to, so two revocations that were
    /// each fine cannot remove the last administrator together.
    fn validate(&self, roles: &Roles) -> Result<(), ValidationErrors> {
        let held = roles.holds(&self.who, self.role);
        ValidationErrors::check(
            held,
            "who",
            "role.not_held",
            format!("{} has it not", self.who),
        )?;
        let last = self.role == OrgRole::Admin && roles.is_last(&self.who, self.role);
        let message = "an organisation without administrators cannot be mended";
        ValidationErrors::check(!last, "role", "admin.last", message)
    }

    fn apply(self, mut roles: Roles) -> Result<Applied<Roles>, MutationError> {
        if let Some(holders) = roles.holders.get_mut(&self.role) {
            holders.remove(&self.who);
        }
        let path = format!("{}/{}", self.role.as_str(), self.who);
        Ok(Applied::new(roles).change(Change::removed(path, true)))
    }
}

/// Viewers pass, editors need one of security, administrators two. Nobody grants a role to
/// themselves.
fn two_person_rule(subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
    if let Some(grant) = subject.mutation::<Grant>()
        && [Some(subject.requester().id()), subject.on_behalf_of()].contains(&Some(&grant.who))
    {
        return Ok(PolicyDecision::deny(
            "role.self_grant",
            "ask somebody to ask for you",
        )?);
    }
    let seats = match subject.intent().risk_level() {
        Risk::Low => return Ok(PolicyDecision::allow()),
        Risk::Medium => 1,
        Risk::High | Risk::Critical => 2,
    };
    let security = Selector::group(Group::new("security")?);
    let rules = ApprovalRules::new([Requirement::seats("security", seats, security)?])?;
    Ok(PolicyDecision::require(rules))
}

/// The people of the story, the organisation they work on, and the governor.
struct Cast {
    governor: Governor,
    acme: StateId,
    alice: Actor,
    sue: Actor,
    steve: Actor,
}

impl Cast {
    /// Asks for a grant. Whoever gets the role is a party and cannot approve it.
    async fn grant(&self, who: &str, role: OrgRole) -> anyhow::Result<Submission> {
        let who = ActorId::new(who)?;
        let options = SubmitOptions::new().party(who.clone());
        let grant = Grant { who, role };
        Ok(self
            .governor
            .submit_with(&self.alice, &self.acme, grant, options)
            .await?)
    }

    async fn revoke(&self, who: &str) -> anyhow::Result<Submission> {
        let revoke = Revoke {
            who: ActorId::new(who)?,
            role: OrgRole::Admin,
        };
        Ok(self
            .governor
            .submit(&self.alice, &self.acme, revoke)
            .await?)
    }

    async fn both_approve(&self, id: &RequestId) -> anyhow::Result<()> {
        self.governor
            .approve(id, &self.sue, "as discussed in the review")
            .await?;
        self.governor
            .approve(id, &self.steve, "as discussed in the review")
            .await?;
        Ok(())
    }

    async fn roles(&self) -> anyhow::Result<String> {
        Ok(state_of(self.governor.state::<Roles>(&self.acme).await?))
    }
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    let people = People::new()
        .person("sue", &[], &["security"])?
        .person("steve", &[], &["security"])?
        .person("sid", &[], &["security"])?;
    let cast = Cast {
        governor: scene
            .governor(people)
            .register::<Grant>()
            .register::<Revoke>()
            .policy(policy_fn("two-person-rule", two_person_rule))
            .build()?,
        acme: StateId::new("acme")?,
        alice: Actor::user("alice")?,
        sue: Actor::user("sue")?,
        steve: Actor::user("steve")?,
    };
    let (governor, alice) = (&cast.governor, &cast.alice);
    let story = &mut scene.story;

    story.chapter("A viewer passes, an administrator takes two of security")?;
    let viewer = cast.grant("vera", OrgRole::Viewer).await?;
    story.submitted("vera as viewer", &viewer)?;
    governor
        .execute(&viewer.id(), alice, OnStale::Reject)
        .await?;
    let admin = cast.grant("sid", OrgRole::Admin).await?;
    story.submitted("sid as administrator", &admin)?;
    let sid = Actor::user("sid")?;
    let vote = governor.approve(&admin.id(), &sid, "I deserve it").await;
    story.refused("sid, of security, approves", "vote.self_approval", vote)?;
    cast.both_approve(&admin.id()).await?;
    let report = governor
        .execute(&admin.id(), alice, OnStale::Reject)
        .await?;
    story.shows("sue and steve approve, alice executes", report.request())?;
    story.say(cast.roles().await?)?;

    story.chapter("Nobody helps themselves")?;
    let own = cast.grant("alice", OrgRole::Admin).await?;
    story.submitted("alice as administrator", &own)?;
    let grant = Grant {
        who: alice.id().clone(),
        role: OrgRole::Viewer,
    };
    let bot = Context::of(&Actor::service("bot")?).on_behalf_of(alice.id().clone());
    let detour = governor.submit(bot, &cast.acme, grant).await?;
    story.submitted("her bot asks on her behalf", &detour)?;

    story.chapter("The last administrator stays, even when two leave at the same time")?;
    let first = cast.revoke("root").await?;
    let second = cast.revoke("sid").await?;
    cast.both_approve(&first.id()).await?;
    cast.both_approve(&second.id()).await?;
    story.say("two revocations are approved, each leaves one administrator")?;
    let report = governor
        .execute(&first.id(), alice, OnStale::Revalidate)
        .await?;
    story.shows("root goes", report.request())?;
    let report = governor
        .execute(&second.id(), alice, OnStale::Revalidate)
        .await?;
    story.shows("sid would go", report.request())?;
    if let Some(RejectionCause::Invalid { violations }) = report.request().rejection() {
        story.say(format_args!("  {}", violations.join("; ")))?;
    }
    let last = Revoke {
        who: sid.id().clone(),
        role: OrgRole::Admin,
    };
    let last = governor.submit(alice, &cast.acme, last).await;
    story.refused("asked for afresh", "governor.invalid", last)?;
    story.say(cast.roles().await?)?;

    story.chapter("A migration, run twice, on behalf of alice")?;
    let sync = Context::of(&Actor::service("directory-sync")?).on_behalf_of(alice.id().clone());
    for run in ["first", "second"] {
        let (mut made, mut known) = (0, 0);
        for who in ["uma", "udo", "ulf"] {
            let grant = Grant {
                who: ActorId::new(who)?,
                role: OrgRole::Viewer,
            };
            let key = IdempotencyKey::new(format!("migration-1/{who}"))?;
            let options = SubmitOptions::new()
                .idempotency_key(key)
                .reason("migration 1");
            let submission = governor
                .submit_with(&sync, &cast.acme, grant, options)
                .await?;
            governor
                .execute(&submission.id(), &sync, OnStale::Reject)
                .await?;
            *if submission.is_replayed() {
                &mut known
            } else {
                &mut made
            } += 1;
        }
        story.say(format_args!(
            "{run} run: {made} made, {known} known already"
        ))?;
    }
    story.say(cast.roles().await?)?;
    Ok(())
}

fn main() -> ExitCode {
    let about = "Roles: grant, revoke, last-administrator protection, two-person rule, migration";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
