//! D28-D44.

use std::time::Duration;

use async_trait::async_trait;
use governance_core::{
    Access, AccessRequest, ApprovalEvent, ApprovalQuery, ApprovalRules, Authorizer, Context,
    DecisionKind, Denial, Distinct, ExecutionOutcome, ExpiryCause, GovernorError, Lifecycle,
    OnStale, Operation, PageRequest, PolicyDecision, PortError, Reachability, ReasonRule,
    Requirement, RequirementStatus, Role, Selector, SelfApproval, Status, SubmissionOutcome,
    policy_fn,
};
use tests::fixtures::{
    Quota, Raise, World, actor, assert_same, assert_whole, by_risk, codes, everyone, group, named,
    of_group, of_role, requirement_id, requiring, rules, state, user,
};

const MINUTE: Duration = Duration::from_secs(60);

async fn refused(
    world: &World,
    id: &governance_core::RequestId,
    by: impl Into<Context> + Send,
) -> &'static str {
    let done = world.governor.approve(id, by, "looks right").await;
    done.expect_err("a refusal").code()
}

#[tokio::test]
async fn d28_self_approval_is_refused_unless_a_policy_allows_it() {
    let strict = rules([named("owner", 1, &["alice", "bob"])]);
    let world = World::new(requiring(strict.clone()));
    let id = world.raise(500).await;
    assert_eq!(
        refused(&world, &id, &user("alice")).await,
        "vote.self_approval"
    );
    let world = World::new(requiring(strict.self_approval(SelfApproval::Allow)));
    let id = world.raise(500).await;
    assert_eq!(
        world.approve(&id, "alice").await.unwrap().status(),
        Status::Approved
    );
}

#[tokio::test]
async fn d28_one_policy_alone_cannot_allow_what_another_forbids() {
    let policy = |name: &str, id: &str, rule| {
        let asked = rules([named(id, 1, &["alice", "bob"])]).self_approval(rule);
        policy_fn(name, move |_| Ok(PolicyDecision::require(asked.clone())))
    };
    let strict = || policy("strict", "first", SelfApproval::Forbid);
    let lenient = || policy("lenient", "second", SelfApproval::Allow);
    for swapped in [false, true] {
        let world = World::with(|b| match swapped {
            false => b.policy(strict()).policy(lenient()),
            true => b.policy(lenient()).policy(strict()),
        });
        let (alice, team) = (user("alice"), state("team"));
        let submitted = world.governor.submit(&alice, &team, Raise { by: 1 });
        // Bob alone cannot fill both seats, and alice may fill neither.
        assert_eq!(
            submitted.await.unwrap_err().code(),
            "governor.unsatisfiable"
        );
    }
}

#[tokio::test]
async fn d29_a_policy_may_let_one_person_sit_in_two_requirements() {
    let both = [
        of_group("security", 1, "security"),
        of_role("lead", 1, "lead"),
    ];
    let world = World::new(requiring(rules(both).distinct(Distinct::Requirement)));
    let id = world.raise(500).await;
    assert_eq!(
        world.approve(&id, "dave").await.unwrap().status(),
        Status::Approved
    );
}

#[tokio::test]
async fn d29_voters_are_distinct_and_targets_counted_once() {
    let world = World::new(requiring(rules([of_group("security", 2, "security")])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    assert_eq!(
        refused(&world, &id, &user("bob")).await,
        "vote.already_voted"
    );
    assert_eq!(world.get(&id).await.round().votes().len(), 1);
    let twice = everyone("both", &["bob", "carol", "bob"]);
    assert_eq!(twice.seat_count(), 2);
    let short = ApprovalRules::new([named("two", 2, &["bob", "bob"])]).unwrap_err();
    assert_eq!(short.code(), "requirement.more_seats_than_people");
}

#[tokio::test]
async fn d30_roles_and_groups_come_from_the_directory_alone() {
    let asked = rules([
        of_role("lead", 1, "lead"),
        of_group("security", 1, "security"),
    ]);
    let world = World::new(requiring(asked));
    let id = world.raise(500).await;
    let forged = Context::of(&user("mallory"))
        .metadata("ActorRoles", vec!["lead"])
        .metadata("roles", vec!["lead"])
        .metadata("groups", vec!["security"]);
    assert_eq!(refused(&world, &id, forged).await, "vote.not_eligible");
    world.directory.grant("mallory", "lead");
    world.approve(&id, "mallory").await.unwrap();
    let request = world.get(&id).await;
    let evidence = request.round().votes()[0].evidence();
    assert!(evidence.roles.contains(&Role::new("lead").unwrap()));
}

/// Refuses one operation and writes nothing down.
#[derive(Debug)]
struct Never(Operation);

#[async_trait]
impl Authorizer for Never {
    async fn authorize(&self, access: &AccessRequest<'_>) -> Result<Access, PortError> {
        Ok(if access.operation == self.0 {
            let reason = "never".to_owned();
            Access::Refused { reason }
        } else {
            Access::Granted
        })
    }
}

async fn ask(world: &World, operation: Operation) -> Result<(), GovernorError> {
    let (id, other) = (world.raise(500).await, world.raise(501).await);
    match operation {
        Operation::Submit => unreachable!("asked by the caller"),
        Operation::Approve => world.approve(&id, "bob").await.map(drop),
        Operation::Deny => world.deny(&id, "bob").await.map(drop),
        Operation::Withdraw => world.withdraw(&id, "bob").await.map(drop),
        Operation::Cancel => world.cancel(&id).await.map(drop),
        Operation::Supersede => world.supersede(&id, &other).await.map(drop),
        Operation::Amend => world.amend_reason(&id, "another one").await.map(drop),
        Operation::Execute => world.execute(&id, OnStale::Reject).await.map(drop),
        Operation::Retry => world.retry(&id).await.map(drop),
        Operation::DryRun => world.dry_run(&id, OnStale::Reject).await.map(drop),
        Operation::Tick => world.governor.tick(world.clock.read()).await.map(drop),
        other => panic!("no test asks for {other}"),
    }
}

#[tokio::test]
async fn d31_every_operation_passes_the_authorizer() {
    for operation in Operation::ALL {
        let world = World::with(|b| {
            b.policy(requiring(rules([named("owner", 1, &["bob"])])))
                .authorizer(Never(operation))
        });
        let error = if operation == Operation::Submit {
            let (alice, team) = (user("alice"), state("team"));
            let submitted = world.governor.submit(&alice, &team, Raise { by: 1 }).await;
            submitted.map(drop).unwrap_err()
        } else {
            ask(&world, operation).await.unwrap_err()
        };
        assert!(
            matches!(&error, GovernorError::Unauthorized { operation: told, .. } if *told == operation),
            "{operation}: {error}"
        );
    }
}

#[tokio::test]
async fn d31_strangers_do_not_cancel_supersede_amend_or_sweep() {
    let world = World::new(requiring(rules([named("owner", 1, &["bob"])])));
    let (id, other) = (world.raise(500).await, world.raise(501).await);
    let before = world.get(&id).await;
    let eve = user("eve");
    let governor = &world.governor;
    for done in [
        governor.cancel(&id, &eve, "not needed").await.map(drop),
        governor
            .supersede(&id, &other, &eve, "better")
            .await
            .map(drop),
        governor
            .amend_reason(&id, &eve, "another one")
            .await
            .map(drop),
        governor
            .amend_deadline(&id, &eve, None, "longer")
            .await
            .map(drop),
    ] {
        assert_eq!(done.unwrap_err().code(), "governor.unauthorized");
    }
    let after = world.get(&id).await;
    assert_same(&before, &after, "a stranger");
}

#[tokio::test]
async fn d32_the_store_clock_decides_and_an_act_has_one_time() {
    let asked = rules([of_group("security", 1, "security").expires_in(MINUTE)]);
    let world = World::new(requiring(asked));
    let id = world.raise(500).await;
    world.clock.advance(MINUTE);
    let backdated = Context::of(&user("bob")).metadata("timestamp", "1999-01-01T00:00:00Z");
    assert_eq!(refused(&world, &id, backdated).await, "request.overdue");
    let id = world.raise(500).await;
    world.clock.advance(MINUTE / 2);
    let approved = world.approve(&id, "bob").await.unwrap();
    let revision = approved.revision();
    let mut last = approved
        .decisions()
        .iter()
        .filter(|d| d.revision() == revision);
    assert!(last.all(|d| d.at() == world.clock.read()));
    assert_eq!(approved.round().votes()[0].at(), world.clock.read());
}

#[tokio::test]
async fn d33_renewed_approval_begins_afresh_and_is_no_dead_end() {
    let world = World::new(requiring(rules([named("owner", 1, &["bob", "carol"])])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    world.put(&Quota::of(3)).await;
    let renewed = world.execute(&id, OnStale::RenewApproval).await.unwrap();
    assert_eq!(renewed.outcome(), ExecutionOutcome::AwaitingApproval);
    let request = renewed.request();
    assert_eq!(
        (request.round().number(), request.round().votes().len()),
        (2, 0)
    );
    let granted = codes(request)
        .iter()
        .filter(|c| *c == "approval.granted")
        .count();
    assert_eq!(granted, 1, "the old vote stays in the history");
    world.approve(&id, "bob").await.unwrap();
    let executed = world.execute(&id, OnStale::Reject).await.unwrap();
    assert_eq!(executed.outcome(), ExecutionOutcome::Executed);
    assert_whole(executed.request());
    assert_eq!(world.quota().await.0.limit, 503);
}

#[tokio::test]
async fn d33_renewal_without_requirements_needs_nobody() {
    let world = World::new(requiring(rules([])));
    let id = world.raise(500).await;
    world.put(&Quota::of(3)).await;
    let report = world.execute(&id, OnStale::RenewApproval).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    assert_whole(report.request());
}

#[tokio::test]
async fn d34_several_approvers_mean_all_of_them() {
    let world = World::new(requiring(rules([everyone("both", &["bob", "carol"])])));
    let id = world.raise(500).await;
    assert_eq!(
        world.approve(&id, "bob").await.unwrap().status(),
        Status::Pending
    );
    assert_eq!(
        world.approve(&id, "carol").await.unwrap().status(),
        Status::Approved
    );
    let world = World::new(requiring(rules([named("either", 1, &["bob", "carol"])])));
    let id = world.raise(500).await;
    assert_eq!(
        world.approve(&id, "carol").await.unwrap().status(),
        Status::Approved
    );
}

#[tokio::test]
async fn d35_every_requirement_has_to_be_met() {
    let asked = rules([of_role("lead", 1, "lead"), of_role("owner", 1, "owner")]);
    let world = World::new(requiring(asked));
    let id = world.raise(500).await;
    let half = world.approve(&id, "dave").await.unwrap();
    assert_eq!(half.status(), Status::Pending);
    let error = world.execute(&id, OnStale::Reject).await.unwrap_err();
    assert_eq!(error.code(), "request.not_allowed");
    assert_eq!(
        world.approve(&id, "frank").await.unwrap().status(),
        Status::Approved
    );
}

#[tokio::test]
async fn d36_a_quorum_belongs_to_its_requirement_and_two_of_one_name_are_a_conflict() {
    let policy = |seats| {
        policy_fn(format!("wants-{seats}"), move |_| {
            Ok(PolicyDecision::require(rules([of_group(
                "security", seats, "security",
            )])))
        })
    };
    let world = World::with(|b| b.policy(policy(1)).policy(policy(2)));
    let (alice, team) = (user("alice"), state("team"));
    let submitted = world.governor.submit(&alice, &team, Raise { by: 1 }).await;
    assert_eq!(submitted.unwrap_err().code(), "policy.conflicting_rules");
    let world = World::with(|b| b.policy(policy(2)).policy(policy(2)));
    let id = world.raise(1).await;
    assert_eq!(world.get(&id).await.round().rules().requirements().len(), 1);
}

#[tokio::test]
async fn d37_denials_below_the_threshold_do_not_reject_while_the_quorum_is_reachable() {
    let asked = rules([of_group("security", 2, "security").denied_by(3)]);
    let world = World::new(requiring(asked));
    let id = world.raise(500).await;
    world.deny(&id, "bob").await.unwrap();
    let pending = world.deny(&id, "carol").await.unwrap();
    assert_eq!(pending.status(), Status::Pending);
    world.approve(&id, "dave").await.unwrap();
    let approved = world.approve(&id, "erin").await.unwrap();
    assert_eq!(approved.status(), Status::Approved);
}

#[tokio::test]
async fn d37_a_denial_that_makes_the_quorum_unreachable_rejects() {
    let asked = rules([of_group("security", 3, "security").denied_by(3)]);
    let world = World::new(requiring(asked));
    let id = world.raise(500).await;
    assert_eq!(
        world.deny(&id, "bob").await.unwrap().status(),
        Status::Pending
    );
    let rejected = world.deny(&id, "carol").await.unwrap();
    assert_eq!(rejected.rejection().unwrap().code(), "quorum_unreachable");
}

#[tokio::test]
async fn d37_at_the_threshold_it_rejects_with_the_voters_code() {
    let asked = rules([of_group("security", 2, "security").denied_by(2)]);
    let world = World::new(requiring(asked));
    let id = world.raise(500).await;
    world.deny(&id, "bob").await.unwrap();
    let denial = Denial::because("grants too much")
        .code("scope.too_wide")
        .unwrap();
    let rejected = world
        .governor
        .reject(&id, &user("carol"), denial)
        .await
        .unwrap();
    assert_eq!(rejected.rejection().unwrap().code(), "approval_denied");
    let told = rejected.decisions().iter().any(|d| {
        matches!(d.kind(), DecisionKind::Approval(ApprovalEvent::Denied { code: Some(code), .. })
            if code.as_str() == "scope.too_wide")
    });
    assert!(told);
}

#[tokio::test]
async fn d38_stages_that_are_not_open_do_not_expire_and_met_requirements_neither() {
    let asked = rules([
        of_group("security", 1, "security").expires_in(MINUTE * 10),
        of_role("owner", 1, "owner").in_stage(2).expires_in(MINUTE),
    ]);
    let world = World::new(requiring(asked));
    let id = world.raise(500).await;
    world.clock.advance(MINUTE * 5);
    assert!(world.tick().await.items.is_empty());
    world.approve(&id, "bob").await.unwrap();
    world.clock.advance(MINUTE / 2);
    // Stage 1 is met; its deadline is no matter any more.
    assert!(world.tick().await.items.is_empty());
    world.clock.advance(MINUTE / 2);
    assert_eq!(world.tick().await.expired(), 1);
    let request = world.get(&id).await;
    let Some(DecisionKind::Lifecycle(Lifecycle::Expired {
        cause: ExpiryCause::RequirementDeadline { requirement, .. },
    })) = request.decisions().last().map(|d| d.kind())
    else {
        panic!("{:?}", codes(&request));
    };
    assert_eq!(*requirement, requirement_id("owner"));
}

#[tokio::test]
async fn d39_a_met_requirement_is_recorded_with_those_who_fill_it() {
    for seats in [1, 2] {
        let asked = rules([named("owner", seats, &["bob", "carol"])]);
        let world = World::new(requiring(asked));
        let id = world.raise(500).await;
        for voter in ["bob", "carol"].into_iter().take(usize::from(seats)) {
            world.approve(&id, voter).await.unwrap();
        }
        let request = world.get(&id).await;
        let met: Vec<_> = request
            .decisions()
            .iter()
            .filter_map(|d| match d.kind() {
                DecisionKind::Approval(ApprovalEvent::Satisfied { by, .. }) => Some(by.len()),
                _ => None,
            })
            .collect();
        assert_eq!(met, [usize::from(seats)]);
        // Nobody has a vote they did not cast.
        assert_eq!(request.round().votes().len(), usize::from(seats));
    }
}

#[tokio::test]
async fn d40_open_requirements_are_closed_with_their_request() {
    let world = World::new(requiring(rules([
        of_group("security", 1, "security"),
        of_role("owner", 1, "owner").in_stage(2),
    ])));
    let id = world.raise(500).await;
    let page = PageRequest::first(10).unwrap();
    let open = ApprovalQuery::of(world.governor.query()).open();
    let listed = world.governor.approvals(&open, &page).await.unwrap().items;
    assert_eq!(listed.len(), 1);
    world.cancel(&id).await.unwrap();
    let listed = world.governor.approvals(&open, &page).await.unwrap().items;
    assert!(listed.is_empty());
    let all = ApprovalQuery::of(world.governor.query());
    let listed = world.governor.approvals(&all, &page).await.unwrap().items;
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|v| v.status == RequirementStatus::Closed));
}

#[tokio::test]
async fn d41_the_callers_data_has_a_space_of_its_own() {
    let world = World::new(requiring(rules([named("owner", 1, &["bob"])])));
    let id = world.raise(500).await;
    let vote = Context::of(&user("bob"))
        .metadata("seq", 99)
        .metadata("status", "executed")
        .metadata("actor", "mallory")
        .metadata("ApprovalId", "other")
        .metadata("digest", "0".repeat(64));
    let approved = world
        .governor
        .approve(&id, vote, "looks right")
        .await
        .unwrap();
    assert_eq!(approved.status(), Status::Approved);
    let granted = approved
        .decisions()
        .iter()
        .find(|d| d.kind().code() == "granted")
        .unwrap();
    assert_eq!(granted.actor().id(), &actor("bob"));
    assert_eq!(granted.metadata()["actor"], "mallory");
    assert_eq!(granted.status(), Status::Pending);
    assert_whole(&approved);
}

#[test]
fn d42_requirements_that_make_no_sense_are_errors() {
    let good = || of_group("security", 1, "security");
    let code = |requirement: Requirement| ApprovalRules::new([requirement]).unwrap_err().code();
    assert_eq!(code(good().in_stage(0)), "requirement.stage_zero");
    assert_eq!(
        code(of_group("security", 0, "security")),
        "requirement.seats_out_of_range"
    );
    assert_eq!(
        code(of_group("security", 129, "security")),
        "requirement.seats_out_of_range"
    );
    assert_eq!(code(good().denied_by(0)), "requirement.threshold_zero");
    assert_eq!(
        code(good().expires_in(Duration::ZERO)),
        "requirement.no_time"
    );
    assert_eq!(
        code(everyone("nobody", &[])),
        "requirement.seats_out_of_range"
    );
    let nobody = Requirement::seats("nobody", 1, Selector::AnyOf(vec![])).unwrap();
    assert_eq!(code(nobody), "requirement.bad_selector");
    let pattern = ReasonRule::default().pattern("(");
    assert_eq!(
        code(good().with_reason_rule(pattern)),
        "requirement.bad_pattern"
    );
    assert_eq!(
        Denial::because("no").code(" ").unwrap_err().code(),
        "name.blank"
    );
    assert!(Requirement::seats("", 1, Selector::group(group("security"))).is_err());
}

#[tokio::test]
async fn d43_one_call_yields_allowed_denied_or_pending_with_all_requirements() {
    let asked = rules([
        of_role("lead", 1, "lead"),
        of_role("owner", 1, "owner").in_stage(2),
    ]);
    let world = World::with(|b| {
        b.policy(by_risk(asked))
            .policy(policy_fn("no-gifts", |subject| {
                if subject
                    .mutation::<Raise>()
                    .is_some_and(|raise| raise.by > 1_000_000)
                {
                    return Ok(PolicyDecision::deny("gift", "that is a gift")?);
                }
                Ok(PolicyDecision::abstain())
            }))
    });
    let submit = async |by| {
        let (alice, team) = (user("alice"), state("team"));
        let submitted = world.governor.submit(&alice, &team, Raise { by }).await;
        submitted.expect("a submission")
    };
    assert_eq!(submit(1).await.outcome(), SubmissionOutcome::Approved);
    let pending = submit(500).await;
    assert_eq!(pending.outcome(), SubmissionOutcome::Pending);
    assert_eq!(pending.request().round().rules().requirements().len(), 2);
    let denied = submit(2_000_000).await;
    assert!(matches!(denied.outcome(), SubmissionOutcome::Denied { .. }));
    assert_eq!(denied.request().status(), Status::Rejected);
}

#[tokio::test]
async fn d44_granted_approvals_are_evidence_for_the_policy_that_asked() {
    let world = World::new(requiring(rules([named("owner", 1, &["bob"])])));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
}

#[tokio::test]
async fn d44_only_what_is_not_met_blocks() {
    let world = World::new(policy_fn("asks-more-later", |subject| {
        let first = named("owner", 1, &["bob"]);
        let asked = match subject.granted() {
            Some(round) if round.number() == 1 => vec![first, named("second", 1, &["carol"])],
            Some(round) => round.rules().requirements().to_vec(),
            None => vec![first],
        };
        Ok(PolicyDecision::require(rules(asked)))
    }));
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::AwaitingApproval);
    world.approve(&id, "bob").await.unwrap();
    world.approve(&id, "carol").await.unwrap();
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    assert_whole(report.request());
}

/// Stage 1 asks for bob or carol, stage 2 for these.
fn second_opinion(second: Requirement) -> ApprovalRules {
    rules([named("first", 1, &["bob", "carol"]), second.in_stage(2)])
}

#[tokio::test]
async fn an_approval_that_strands_a_later_stage_is_refused_and_another_way_is_left() {
    let world = World::new(requiring(second_opinion(named("second", 1, &["bob"]))));
    let id = world.raise(500).await;
    let before = world.get(&id).await;
    let explained = world.governor.explain(&id).await.unwrap();
    assert_eq!(explained.reachability, Some(Reachability::Reachable));
    assert_eq!(explained.can_decide(), [&actor("carol")]);
    let cannot = explained.requirements[0].cannot_decide.as_ref().unwrap();
    assert_eq!(cannot[0].actor, actor("bob"));
    assert_eq!(cannot[0].why.code(), "vote.would_strand");

    let error = world.approve(&id, "bob").await.unwrap_err();
    assert_eq!(error.code(), "vote.would_strand");
    let words = error.to_string();
    assert!(words.contains("second") && words.contains("bob"), "{words}");
    let after = world.get(&id).await;
    assert_same(&before, &after, "a vote that was refused");

    world.approve(&id, "carol").await.unwrap();
    let approved = world.approve(&id, "bob").await.unwrap();
    assert_eq!(approved.status(), Status::Approved);
    assert_whole(&approved);
}

#[tokio::test]
async fn an_approval_strands_nobody_where_somebody_else_or_the_same_person_may_sit_later() {
    for rules in [
        second_opinion(named("second", 1, &["bob", "dora"])),
        second_opinion(named("second", 1, &["bob"])).distinct(Distinct::Requirement),
    ] {
        let world = World::new(requiring(rules));
        let id = world.raise(500).await;
        world.approve(&id, "bob").await.unwrap();
    }
}

#[tokio::test]
async fn what_nobody_can_list_is_accepted_and_explained_as_unknown() {
    let world = World::new(requiring(second_opinion(named("second", 1, &["bob"]))));
    world.directory.unlist();
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let explained = world.governor.explain(&id).await.unwrap();
    assert_eq!(explained.reachability, Some(Reachability::Unknown));
    assert!(explained.summary.contains("reachability unknown"));
}

#[tokio::test]
async fn what_nobody_can_reach_is_said_and_no_vote_is_refused_for_it() {
    let world = World::new(requiring(second_opinion(of_group("second", 1, "late"))));
    world.directory.join("dora", "late");
    let id = world.raise(500).await;
    world.directory.leave("dora", "late");
    let explained = world.governor.explain(&id).await.unwrap();
    let Some(Reachability::Unreachable { shortages }) = &explained.reachability else {
        panic!("{:?}", explained.reachability);
    };
    assert_eq!(shortages[0].requirement, requirement_id("second"));
    assert_eq!((shortages[0].seats, shortages[0].fillable), (1, 0));
    assert!(explained.summary.contains("unreachable"));
    world.approve(&id, "bob").await.unwrap();
    // Nothing is concluded from it for good: people come back.
    world.directory.join("dora", "late");
    let approved = world.approve(&id, "dora").await.unwrap();
    assert_eq!(approved.status(), Status::Approved);
}
