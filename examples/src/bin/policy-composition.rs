//! Policies put together: a gate everything has to pass, an emergency gate one of whose ways is
//! enough, a gate where the first opinion counts, and what happens when policies contradict.

use std::{collections::BTreeSet, process::ExitCode};

use async_trait::async_trait;
use examples::{People, Scene, Story};
use governance_core::{
    Actor, Applied, ApprovalRules, DecisionKind, GovernedState, Governor, GovernorError, Group,
    Intent, InvalidName, Mutation, MutationError, MutationRequest, Policy, PolicyAnswer,
    PolicyConflict, PolicyDecision, PolicyEvent, PolicyFault, PolicyFn, PolicySubject, PolicyTree,
    Requirement, Risk, RuleConflict, Selector, Severity, StateId, Submission, ValidationErrors,
    policy_fn,
};
use serde::{Deserialize, Serialize};

/// What runs in production. The state id is the name of the service.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Deployment {
    build: u32,
}

impl GovernedState for Deployment {
    const TYPE: &'static str = "deploy.deployment";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Deploy {
    build: u32,
    hotfix: bool,
}

impl Mutation for Deploy {
    type State = Deployment;
    const TYPE: &'static str = "deploy.deploy";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Ok(Intent::new("deployment.deploy", "deploy")?.risk(Risk::High))
    }

    fn validate(&self, _: &Deployment) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, _: Deployment) -> Result<Applied<Deployment>, MutationError> {
        Ok(Applied::new(Deployment { build: self.build }))
    }
}

/// Asks the build server, which is why it is a type and asynchronous: a program does I/O here. A
/// build it cannot find is a fault, and a fault denies.
#[derive(Debug)]
struct BuildIsGreen {
    green: BTreeSet<u32>,
    red: BTreeSet<u32>,
}

#[async_trait]
impl Policy for BuildIsGreen {
    fn name(&self) -> &str {
        "build-is-green"
    }

    async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
        let Some(deploy) = subject.mutation::<Deploy>() else {
            return Ok(PolicyDecision::abstain());
        };
        if self.green.contains(&deploy.build) {
            return Ok(PolicyDecision::allow().with_metadata("build", deploy.build));
        }
        if self.red.contains(&deploy.build) {
            let message = format!("the tests of build {} fail", deploy.build);
            return Ok(PolicyDecision::deny("build.red", message)?.severity(Severity::Critical));
        }
        Err(format!("the build server does not know build {}", deploy.build).into())
    }
}

/// So many of a group have to agree.
fn agreed_by(id: &str, seats: u16, group: &str) -> Result<PolicyDecision, PolicyFault> {
    let seats = Requirement::seats(id, seats, Selector::group(Group::new(group)?))?;
    Ok(PolicyDecision::require(ApprovalRules::new([seats])?))
}

fn is_hotfix(subject: &PolicySubject<'_>) -> bool {
    subject
        .mutation::<Deploy>()
        .is_some_and(|deploy| deploy.hotfix)
}

type Judge = fn(&PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault>;

fn policy(name: &str, judge: Judge) -> PolicyFn<Judge> {
    policy_fn(name, judge)
}

/// Everything has to pass: one denial denies, and all that is required is required together.
fn release_gate() -> PolicyTree {
    let build = BuildIsGreen {
        green: [1, 2].into(),
        red: [3].into(),
    };
    PolicyTree::all_of(
        "release-gate",
        [
            build.into(),
            policy("review", |_| agreed_by("review", 1, "developers")).into(),
            policy("operations", |_| agreed_by("operations", 1, "operators")).into(),
        ],
    )
}

/// One way in is enough: somebody on call may go ahead, everybody else needs two operators.
fn emergency_gate() -> PolicyTree {
    let on_call = policy("on-call", |subject| {
        let on_call = Group::new("on-call")?;
        Ok(if subject.membership().groups.contains(&on_call) {
            PolicyDecision::allow()
        } else {
            PolicyDecision::deny("emergency.not_on_call", "only who is on call goes ahead")?
        })
    });
    let two = policy("two-operators", |_| {
        agreed_by("two-operators", 2, "operators")
    });
    PolicyTree::any_of("emergency-gate", [on_call.into(), two.into()])
}

/// The first with an opinion decides: a freeze stops all but hotfixes, a hotfix needs one operator,
/// and what is left needs a review.
fn deployment_gate() -> PolicyTree {
    let freeze = policy("freeze", |subject| {
        let frozen = subject.scope().state_id.as_str() == "checkout" && !is_hotfix(subject);
        Ok(if frozen {
            PolicyDecision::deny("freeze.active", "checkout is frozen until the sale is over")?
        } else {
            PolicyDecision::abstain()
        })
    });
    let hotfix = policy("hotfix", |subject| {
        if is_hotfix(subject) {
            agreed_by("hotfix", 1, "operators")
        } else {
            Ok(PolicyDecision::abstain())
        }
    });
    let otherwise = policy("otherwise", |_| agreed_by("review", 1, "developers"));
    PolicyTree::priority(
        "deployment-gate",
        [freeze.into(), hotfix.into(), otherwise.into()],
    )
}

/// Two teams that wrote different rules under one name.
fn clashing_rules() -> PolicyTree {
    let ours = policy("ours", |_| agreed_by("review", 1, "developers"));
    let theirs = policy("theirs", |_| agreed_by("review", 2, "developers"));
    PolicyTree::all_of("clashing-rules", [ours.into(), theirs.into()])
}

/// Two policies that classify one change differently.
fn clashing_data() -> PolicyTree {
    let says = |class: &'static str| {
        policy_fn(class, move |_| {
            Ok(PolicyDecision::allow().with_metadata("class", class))
        })
    };
    PolicyTree::all_of(
        "clashing-data",
        [says("routine").into(), says("sensitive").into()],
    )
}

/// What each policy said, as the history keeps it.
fn show(story: &mut Story, what: &str, request: &MutationRequest) -> anyhow::Result<()> {
    story.shows(what, request)?;
    for decision in request.decisions() {
        let DecisionKind::Policy(PolicyEvent::Evaluated { policies, .. }) = decision.kind() else {
            continue;
        };
        for record in policies {
            let answer = match record.answer {
                PolicyAnswer::Abstained => "abstains",
                PolicyAnswer::Allowed => "allows",
                PolicyAnswer::Required => "requires approval",
                PolicyAnswer::Denied => "denies",
                _ => "says something else",
            };
            let weight = if record.decisive {
                ", which counts"
            } else {
                ""
            };
            story.say(format_args!("  {} {answer}{weight}", record.policy))?;
            for reason in record.reasons.iter().filter(|_| record.decisive) {
                story.say(format_args!("    {reason}"))?;
            }
        }
    }
    let rules = request.round().rules();
    for requirement in rules.requirements() {
        let (seats, from) = (requirement.seat_count(), requirement.selector());
        story.say(format_args!("  asks for {seats} of {from}"))?;
    }
    Ok(())
}

/// A governor with one gate.
fn behind(scene: &Scene, gate: PolicyTree) -> anyhow::Result<Governor> {
    let people = People::new()
        .person("dev", &[], &["developers"])?
        .person("dee", &[], &["developers"])?
        .person("olga", &[], &["operators"])?
        .person("omar", &[], &["operators"])?
        .person("carl", &[], &["on-call"])?;
    Ok(scene
        .governor(people)
        .register::<Deploy>()
        .policy(gate)
        .build()?)
}

async fn ask(
    governor: &Governor,
    who: &str,
    service: &str,
    build: u32,
    hotfix: bool,
) -> anyhow::Result<Submission> {
    let (who, service) = (Actor::user(who)?, StateId::new(service)?);
    Ok(governor
        .submit(&who, &service, Deploy { build, hotfix })
        .await?)
}

/// Why policies contradict each other. The types say what; the code is for logs and other programs.
fn report(conflict: &PolicyConflict) -> String {
    match conflict {
        PolicyConflict::Rules {
            composition,
            conflict: RuleConflict::Different { id },
        } => format!("in {composition}, two different requirements are called {id}"),
        PolicyConflict::Metadata {
            composition,
            key,
            first,
            second,
        } => {
            format!("in {composition}, {first} and {second} disagree about {key}")
        }
        other => other.to_string(),
    }
}

async fn scenario(scene: &mut Scene) -> anyhow::Result<()> {
    scene.story.chapter("AllOf: everything has to pass")?;
    let governor = behind(scene, release_gate())?;
    let story = &mut scene.story;
    let green = ask(&governor, "ann", "search", 1, false).await?;
    show(story, "build 1", green.request())?;
    let red = ask(&governor, "ann", "search", 3, false).await?;
    show(story, "build 3", red.request())?;
    let unknown = ask(&governor, "ann", "search", 99, false).await?;
    show(story, "build 99", unknown.request())?;

    scene.story.chapter("AnyOf: one way in is enough")?;
    let governor = behind(scene, emergency_gate())?;
    let story = &mut scene.story;
    let carl = ask(&governor, "carl", "search", 1, true).await?;
    show(story, "carl, who is on call", carl.request())?;
    let ann = ask(&governor, "ann", "search", 1, true).await?;
    show(story, "ann, who is not", ann.request())?;

    scene.story.chapter("Priority: the first opinion counts")?;
    let governor = behind(scene, deployment_gate())?;
    let story = &mut scene.story;
    let frozen = ask(&governor, "ann", "checkout", 1, false).await?;
    show(story, "checkout", frozen.request())?;
    let hotfix = ask(&governor, "ann", "checkout", 1, true).await?;
    show(story, "checkout, a hotfix", hotfix.request())?;
    let other = ask(&governor, "ann", "search", 1, false).await?;
    show(story, "search", other.request())?;

    scene
        .story
        .chapter("Gates within gates: a name is a path")?;
    let both = PolicyTree::all_of("production", [release_gate(), deployment_gate()]);
    let governor = behind(scene, both)?;
    let story = &mut scene.story;
    let nested = ask(&governor, "ann", "checkout", 2, true).await?;
    show(story, "checkout, a hotfix", nested.request())?;

    scene
        .story
        .chapter("Contradictions are reported, not settled by chance")?;
    for (gate, code) in [
        (clashing_rules(), "policy.conflicting_rules"),
        (clashing_data(), "policy.conflicting_metadata"),
    ] {
        let governor = behind(scene, gate)?;
        let (ann, search) = (Actor::user("ann")?, StateId::new("search")?);
        let deploy = Deploy {
            build: 1,
            hotfix: false,
        };
        match governor.submit(&ann, &search, deploy).await {
            Err(GovernorError::PolicyConflict(conflict)) => {
                anyhow::ensure!(conflict.code() == code, "another conflict: {conflict}");
                scene
                    .story
                    .say(format_args!("{code}: {}", report(&conflict)))?;
            }
            other => anyhow::bail!("should be a conflict: {other:?}"),
        }
    }
    let no = policy("no", |_| {
        Ok(PolicyDecision::deny("never", "not on my watch")?)
    });
    let denied = PolicyTree::all_of("denied-anyway", [clashing_data(), no.into()]);
    let governor = behind(scene, denied)?;
    let submission = ask(&governor, "ann", "search", 1, false).await?;
    show(
        &mut scene.story,
        "a denial needs no agreement of the others",
        submission.request(),
    )
}

fn main() -> ExitCode {
    let about = "Policies put together: AllOf, AnyOf and Priority gates, and conflicts";
    examples::run(env!("CARGO_BIN_NAME"), about, scenario)
}
