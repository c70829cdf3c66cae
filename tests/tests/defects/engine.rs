//! D67-D73.

use std::sync::{Arc, Mutex};

use governance_core::{
    Amendment, DecisionCategory, DecisionKind, GovernorError, MutationRequest, OnStale, Policy,
    PolicyDecision, PolicyEvent, PolicyFault, PolicyPhase, PolicyRecord, PolicyTree, Risk,
    Severity, Status, Submission, SubmissionOutcome, SubmitOptions, TenantId, policy_fn,
};
use tests::fixtures::{
    Lower, Quota, Raise, World, actor, assert_whole, codes, label, named, rules, state, user,
};

fn allow(name: &str) -> impl Policy + use<> {
    policy_fn(name, |_| Ok(PolicyDecision::allow()))
}

fn deny(name: &str) -> impl Policy + use<> {
    policy_fn(name, |_| Ok(PolicyDecision::deny("no", "no")?))
}

fn require(name: &str, by: &'static str) -> impl Policy + use<> {
    let id = name.to_owned();
    policy_fn(name, move |_| {
        Ok(PolicyDecision::require(rules([named(&id, 1, &[by])])))
    })
}

async fn submit(world: &World, by: u64) -> Result<Submission, GovernorError> {
    let (alice, team) = (user("alice"), state("team"));
    world.governor.submit(&alice, &team, Raise { by }).await
}

/// What each policy said at submission.
fn records(request: &MutationRequest) -> Vec<PolicyRecord> {
    let decisions = request.decisions().iter();
    decisions
        .filter_map(|d| match d.kind() {
            DecisionKind::Policy(PolicyEvent::Evaluated { policies, .. }) => Some(policies.clone()),
            _ => None,
        })
        .next()
        .unwrap_or_default()
}

#[tokio::test]
async fn d67_policies_match_on_the_typed_mutation_before_and_at_execution() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    let world = World::new(policy_fn("watches", move |subject| {
        let by = subject.mutation::<Raise>().map(|raise| raise.by);
        let other = subject.mutation::<Lower>().is_some();
        let operation = subject.intent().operation().to_string();
        let note = (subject.phase(), by, other, operation);
        notes.lock().map_err(|_| "poisoned")?.push(note);
        Ok(PolicyDecision::allow())
    }));
    let id = world.raise(7).await;
    world.execute(&id, OnStale::Reject).await.unwrap();
    let seen = seen.lock().unwrap();
    let phases: Vec<_> = seen.iter().map(|(phase, ..)| *phase).collect();
    assert_eq!(phases, [PolicyPhase::Submission, PolicyPhase::Execution]);
    for (_, by, other, operation) in &*seen {
        assert_eq!(
            (*by, *other, operation.as_str()),
            (Some(7), false, "quota.raise")
        );
    }
}

#[tokio::test]
async fn d68_policies_are_fixed_when_the_governor_is_built() {
    let world = World::new(deny("no"));
    let elsewhere = world.governor.for_tenant(TenantId::new("acme").unwrap());
    let (alice, team) = (user("alice"), state("team"));
    for governor in [world.governor.clone(), elsewhere] {
        let submitted = governor.submit(&alice, &team, Raise { by: 1 }).await;
        let outcome = submitted.unwrap().outcome();
        assert!(matches!(outcome, SubmissionOutcome::Denied { .. }));
    }
    let nobody = governance_core::Governor::builder(governance_memory::MemoryStore::new());
    let without = nobody.register::<Raise>().build().unwrap_err();
    assert_eq!(without.code(), "build.no_policies");
}

#[tokio::test]
async fn d69_all_are_asked_deny_wins_and_requirements_unite() {
    let amending = || {
        policy_fn("amends", |_| {
            Ok(PolicyDecision::allow().amend(Amendment::RaiseRisk(Risk::High)))
        })
    };
    let world = World::with(|b| b.policy(amending()).policy(allow("yes")).policy(deny("no")));
    let denied = submit(&world, 1).await.unwrap();
    assert!(matches!(denied.outcome(), SubmissionOutcome::Denied { .. }));
    assert_eq!(records(denied.request()).len(), 3);
    let world = World::with(|b| {
        b.policy(require("one", "bob"))
            .policy(amending())
            .policy(require("two", "carol"))
    });
    let pending = submit(&world, 1).await.unwrap();
    let request = pending.request();
    assert_eq!(request.round().rules().requirements().len(), 2);
    assert_eq!(request.proposal().intent().risk_level(), Risk::High);
}

#[tokio::test]
async fn d70_amendments_are_typed_and_recorded() {
    let world = World::new(policy_fn("amends", |_| {
        Ok(PolicyDecision::allow()
            .amend(Amendment::RaiseRisk(Risk::High))
            .amend(Amendment::RaiseRisk(Risk::Low))
            .amend(Amendment::AddTag(label("watched")))
            .amend(Amendment::ExpireWithin(std::time::Duration::from_secs(60))))
    }));
    let request = world.get(&world.raise(1).await).await;
    let intent = request.proposal().intent();
    assert_eq!(intent.risk_level(), Risk::High, "risk is never lowered");
    assert!(intent.tags().contains(&label("watched")));
    assert!(request.expires_at().is_some());
    let amended =
        |d: &&Arc<governance_core::Decision>| d.kind().category() == DecisionCategory::Amendment;
    let recorded: Vec<_> = request.decisions().iter().filter(amended).collect();
    let recorded: Vec<_> = recorded.iter().map(|d| d.kind().code()).collect();
    assert_eq!(recorded, ["risk", "tag", "deadline"]);
    assert_whole(&request);
    // Whoever approves later finds the state changed by the mutation alone.
    world.execute(request.id(), OnStale::Reject).await.unwrap();
    assert_eq!(world.quota().await.0, Quota::of(1));
}

#[tokio::test]
async fn d71_compositions_nest_and_keep_the_full_path_of_names() {
    let gate = PolicyTree::any_of(
        "gate",
        [
            PolicyTree::all_of("strict", [deny("freeze").into(), allow("hours").into()]),
            PolicyTree::priority("lenient", [allow("emergency").into(), deny("never").into()]),
        ],
    );
    let world = World::new(gate);
    let submission = submit(&world, 1).await.unwrap();
    assert_eq!(submission.outcome(), SubmissionOutcome::Approved);
    let asked = records(submission.request());
    let paths: Vec<_> = asked
        .iter()
        .map(|r| (r.policy.as_str(), r.decisive))
        .collect();
    assert_eq!(
        paths,
        [
            ("policies/gate/strict/freeze", false),
            ("policies/gate/strict/hours", false),
            ("policies/gate/lenient/emergency", true),
        ]
    );
}

fn noting(name: &'static str, value: serde_json::Value, yes: bool) -> PolicyTree {
    policy_fn(name, move |_| {
        let said = if yes {
            PolicyDecision::allow()
        } else {
            PolicyDecision::deny("no", "no")?
        };
        Ok(said.with_metadata("window", value.clone()))
    })
    .into()
}

#[tokio::test]
async fn d71_conflicts_compare_by_structure_and_a_denial_comes_first() {
    let json = || serde_json::json!({"from": 9, "to": [17, 18]});
    let both = |second: PolicyTree| {
        World::new(PolicyTree::all_of(
            "both",
            [noting("first", json(), true), second],
        ))
    };
    let same = both(noting("second", json(), true));
    assert!(submit(&same, 1).await.unwrap().is_approved());
    let other = both(noting("second", serde_json::json!(1), true));
    let error = submit(&other, 1).await.unwrap_err();
    assert_eq!(error.code(), "policy.conflicting_metadata");
    let denied = both(noting("second", serde_json::json!(1), false));
    let outcome = submit(&denied, 1).await.unwrap().outcome();
    assert!(matches!(outcome, SubmissionOutcome::Denied { .. }));
}

#[tokio::test]
async fn d71_what_a_denial_settles_keeps_the_records_of_parts_that_conflict() {
    let clash = PolicyTree::all_of(
        "clash",
        [
            noting("first", serde_json::json!(1), true),
            noting("second", serde_json::json!(2), true),
        ],
    );
    let world = World::new(PolicyTree::all_of(
        "whole",
        [
            PolicyTree::priority("in-turn", [clash]),
            noting("third", serde_json::json!(3), false),
        ],
    ));
    let submission = submit(&world, 1).await.unwrap();
    let outcome = submission.outcome();
    assert!(matches!(outcome, SubmissionOutcome::Denied { .. }));
    let said: Vec<(String, bool)> = submission
        .request()
        .decisions()
        .iter()
        .flat_map(|decision| match decision.kind() {
            DecisionKind::Policy(PolicyEvent::Evaluated { policies, .. }) => policies.clone(),
            _ => Vec::new(),
        })
        .map(|record| (record.policy, record.decisive))
        .collect();
    let expected = [
        ("policies/whole/in-turn/clash/first", false),
        ("policies/whole/in-turn/clash/second", false),
        ("policies/whole/third", true),
    ];
    assert_eq!(said, expected.map(|(name, yes)| (name.to_owned(), yes)));
}

#[tokio::test]
async fn d72_every_outcome_is_recorded_as_it_was() {
    let world = World::new(allow("yes"));
    world.put(&Quota::of(1).frozen()).await;
    let id = world.raise(1).await;
    world.execute(&id, OnStale::Reject).await.unwrap();
    world.retry(&id).await.unwrap();
    world.put(&Quota::of(1)).await;
    let report = world.execute(&id, OnStale::AnyVersion).await.unwrap();
    let lifecycle: Vec<_> = codes(report.request())
        .into_iter()
        .filter(|c| c.starts_with("lifecycle."))
        .collect();
    assert_eq!(
        lifecycle,
        [
            "lifecycle.submitted",
            "lifecycle.approved",
            "lifecycle.failed",
            "lifecycle.retried",
            "lifecycle.executed",
        ]
    );
    assert_eq!(report.request().execution().attempts(), 2);
    assert!(report.request().execution().failure().is_none());
}

#[tokio::test]
async fn d72_a_policy_that_cannot_tell_denies_and_the_record_says_why() {
    let broken = policy_fn("broken", |_| -> Result<PolicyDecision, PolicyFault> {
        Err("the calendar is down".into())
    });
    let world = World::new(broken);
    let submission = submit(&world, 1).await.unwrap();
    assert_eq!(submission.request().status(), Status::Rejected);
    let said = &records(submission.request())[0];
    assert_eq!(said.severity, Severity::Error);
    assert_eq!(
        said.reasons[0].to_string(),
        "policy.fault: the calendar is down"
    );
}

#[tokio::test]
async fn d73_actor_and_time_are_given_per_call() {
    let world = World::new(allow("yes"));
    let mutation = Raise { by: 1 };
    let mut made = Vec::new();
    for who in ["alice", "bob"] {
        world.tick_over();
        let (who, team) = (user(who), state("team"));
        let options = SubmitOptions::new();
        let submitted = world
            .governor
            .submit_with(&who, &team, mutation.clone(), options);
        let submission = submitted.await.unwrap();
        made.push((Arc::clone(submission.request()), world.clock.read()));
    }
    for ((request, at), who) in made.iter().zip(["alice", "bob"]) {
        assert_eq!(request.proposal().requester().id(), &actor(who));
        assert_eq!(request.created_at(), *at);
        assert!(
            request
                .decisions()
                .iter()
                .all(|d| d.at() == *at && d.actor().id() == &actor(who))
        );
    }
    let payload = |i: usize| *made[i].0.proposal().payload().digest();
    assert_eq!(payload(0), payload(1));
}
