//! What must not happen: the defects approval systems of this kind have had, each tried here.
//!
//! Not tried here:
//!
//! | Defect | Why it is not here |
//! |---|---|
//! | lost votes, two ends of one request, one execution twice | in `concurrency.rs`, and in the conformance suite for every provider |
//! | what runs is not what was approved, an execution error recorded as a rejection, a decision stored apart from its state | in `defects/execution.rs`: D3, D9, D11, D12 |
//! | a bypass that leaves no request or is stopped by stages | there is no bypass; that no write is one is tested here |
//! | an executor that dies, a worker that lost its claim | an execution is one commit without a claim; who gives up waiting is D12 |
//! | changes that start at a time, and whose authority is gone by then | nothing starts by itself; who left meanwhile is tested here |
//! | network errors told as conflicts, poison records, an index that differs from the documents | tests of the provider on Redis |
//! | large lists, an archiver that is too slow | measured, not tested; there is no archiver |

use std::{collections::BTreeSet, time::Duration};

use governance_core::{
    Act, ApprovalRules, BallotOutcome, Context, Denial, Distinct, ExecutionOutcome, ExecutorRule,
    Judgement, Membership, MutationRequest, OnStale, OperationId, PageRequest, ReasonRule,
    RequestError, RequestId, Requirement, Selector, StateVersion, Status, StoreError,
    StoreErrorKind, SubmitOptions, TickOutcome, Timestamp, Verdict, Vote, approval,
};
use proptest::prelude::*;
use tests::fixtures::{
    Fault, FaultyStore, Quota, Raise, Shuffle, VirtualClock, World, actor, assert_same,
    assert_whole, by_risk, group, named, of_group, of_role, requiring, role, rules, state, user,
};

const MINUTE: Duration = Duration::from_secs(60);

fn world() -> World {
    World::new(by_risk(rules([of_group("security", 2, "security")])))
}

async fn approved(world: &World) -> RequestId {
    let id = world.raise(500).await;
    for voter in ["bob", "carol"] {
        world.approve(&id, voter).await.expect("an approval");
    }
    id
}

async fn code_of_approval(world: &World, id: &RequestId, by: Context) -> &'static str {
    let before = world.get(id).await;
    let done = world.governor.approve(id, by, "looks right").await;
    let code = done.expect_err("a refusal").code();
    let after = world.get(id).await;
    assert_same(&before, &after, "a vote that was refused");
    code
}

// ---- old approval, new content ----

/// Between any two steps the state moves: what was approved for one version is not executed on
/// another unless that is said.
#[tokio::test]
async fn an_old_approval_is_none_for_a_new_version() {
    for moved_before in ["first vote", "second vote", "execution"] {
        let world = world();
        let id = world.raise(500).await;
        let move_if = async |step| {
            if step == moved_before {
                world.put(&Quota::of(7)).await;
            }
        };
        move_if("first vote").await;
        world.approve(&id, "bob").await.unwrap();
        move_if("second vote").await;
        world.approve(&id, "carol").await.unwrap();
        move_if("execution").await;
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(
            report.outcome(),
            ExecutionOutcome::Rejected,
            "{moved_before}"
        );
        assert_eq!(world.quota().await, (Quota::of(7), StateVersion::new(1)));
    }
}

#[tokio::test]
async fn a_state_that_was_deleted_and_written_again_is_another_version() {
    let world = world();
    world.put(&Quota::of(7)).await;
    let id = approved(&world).await;
    world.put(&Quota::of(8)).await;
    world.put(&Quota::of(7)).await;
    let report = world.execute(&id, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Rejected);
}

#[tokio::test]
async fn a_vote_on_what_was_shown_before_a_renewal_is_refused() {
    let world = world();
    let id = approved(&world).await;
    let seen = *world.get(&id).await.round().subject();
    world.put(&Quota::of(7)).await;
    world.execute(&id, OnStale::RenewApproval).await.unwrap();
    let late = Context::of(&user("dave")).expecting(seen);
    assert_eq!(
        code_of_approval(&world, &id, late).await,
        "vote.subject_changed"
    );
    let now = *world.get(&id).await.round().subject();
    let fresh = Context::of(&user("dave")).expecting(now);
    world
        .governor
        .approve(&id, fresh, "looks right")
        .await
        .unwrap();
}

#[tokio::test]
async fn votes_of_an_earlier_round_do_not_count_in_the_next() {
    let world = world();
    let id = approved(&world).await;
    world.put(&Quota::of(7)).await;
    world.execute(&id, OnStale::RenewApproval).await.unwrap();
    let one = world.approve(&id, "bob").await.unwrap();
    assert_eq!(one.status(), Status::Pending);
    let error = world.execute(&id, OnStale::AnyVersion).await.unwrap_err();
    assert_eq!(error.code(), "request.not_allowed");
}

#[tokio::test]
async fn a_policy_that_asks_for_more_by_now_is_heard() {
    let strict = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let now = std::sync::Arc::clone(&strict);
    let policy = governance_core::policy_fn("stricter", move |_| {
        let seats = 1 + u16::from(now.load(std::sync::atomic::Ordering::SeqCst));
        let asked = rules([of_group("security", seats, "security")]);
        Ok(governance_core::PolicyDecision::require(asked))
    });
    let world = World::new(policy);
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    strict.store(true, std::sync::atomic::Ordering::SeqCst);
    for on_stale in OnStale::ALL {
        let run = world.dry_run(&id, on_stale).await.unwrap();
        assert_eq!(run.outcome(), ExecutionOutcome::AwaitingApproval);
    }
    let report = world.execute(&id, OnStale::AnyVersion).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::AwaitingApproval);
    assert_eq!(world.quota().await.1, StateVersion::ABSENT);
}

// ---- side doors ----

/// A record somebody wrote past the governor, approved by nobody.
#[tokio::test]
async fn a_record_that_was_approved_past_the_policies_is_asked_again() {
    let world = world();
    let model = world.get(&world.raise(500).await).await;
    let scope = model.proposal().scope().clone();
    let operation = OperationId::from_bytes([5; 16]);
    let act = Act::new(&user("mallory"), world.clock.read(), operation);
    let proposal = governance_core::Proposal::new(
        RequestId::new(world.clock.read(), scope.slot(), [9; 10]),
        scope,
        model.proposal().payload().clone(),
        model.proposal().intent().clone(),
        StateVersion::ABSENT,
        &act,
    );
    let judged = Judgement::allowed(vec![]);
    let forged = MutationRequest::submit(proposal, &judged, None, &act).unwrap();
    let id = *forged.id();
    world.governor.store().create(forged.into()).await.unwrap();
    for on_stale in OnStale::ALL {
        let run = world.dry_run(&id, on_stale).await.unwrap();
        assert_eq!(run.outcome(), ExecutionOutcome::AwaitingApproval);
        assert!(run.state().is_none());
    }
    let report = world.execute(&id, OnStale::AnyVersion).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::AwaitingApproval);
    assert_eq!(world.quota().await.1, StateVersion::ABSENT);
}

type Write = (&'static str, fn(&World, RequestId) -> Done<'_>);
type Done<'a> = std::pin::Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// Every public write that could move a request.
const WRITES: [Write; 14] = [
    ("approve by the requester", |w, id| {
        Box::pin(async move { w.approve(&id, "alice").await.is_ok() })
    }),
    ("approve by a stranger", |w, id| {
        Box::pin(async move { w.approve(&id, "mallory").await.is_ok() })
    }),
    ("one approval", |w, id| {
        Box::pin(async move { w.approve(&id, "bob").await.is_ok() })
    }),
    ("the same approval again", |w, id| {
        Box::pin(async move { w.approve(&id, "bob").await.is_ok() })
    }),
    ("withdraw", |w, id| {
        Box::pin(async move { w.withdraw(&id, "bob").await.is_ok() })
    }),
    ("cancel", |w, id| {
        Box::pin(async move { w.cancel(&id).await.is_ok() })
    }),
    ("supersede", |w, id| {
        Box::pin(async move {
            let other = w.raise(600).await;
            w.supersede(&other, &id).await.is_ok()
        })
    }),
    ("amend the reason", |w, id| {
        Box::pin(async move { w.amend_reason(&id, "because I say so").await.is_ok() })
    }),
    ("amend the deadline", |w, id| {
        Box::pin(async move { w.amend_deadline(&id, None).await.is_ok() })
    }),
    ("retry", |w, id| {
        Box::pin(async move { w.retry(&id).await.is_ok() })
    }),
    ("dry run", |w, id| {
        Box::pin(async move { w.dry_run(&id, OnStale::AnyVersion).await.is_ok() })
    }),
    ("execute", |w, id| {
        Box::pin(async move { w.execute(&id, OnStale::AnyVersion).await.is_ok() })
    }),
    ("execute and renew", |w, id| {
        Box::pin(async move { w.execute(&id, OnStale::RenewApproval).await.is_ok() })
    }),
    ("tick", |w, _| {
        Box::pin(async move { w.tick().await.items.is_empty() })
    }),
];

/// Brings a request somewhere without the second approval it needs.
async fn unapproved(world: &World, status: Status) -> RequestId {
    let options = SubmitOptions::new().expires_in(MINUTE);
    let id = world.raise_with(500, options).await;
    match status {
        Status::Pending => {}
        Status::Rejected => drop(world.deny(&id, "bob").await.expect("a denial")),
        Status::Canceled => drop(world.cancel(&id).await.expect("a cancellation")),
        Status::Expired => {
            world.clock.advance(MINUTE);
            world.tick().await;
        }
        Status::Superseded => {
            let other = world.raise(501).await;
            world.supersede(&id, &other).await.expect("a supersession");
        }
        other => panic!("{other} needs an approval"),
    }
    id
}

#[tokio::test]
async fn no_write_and_no_two_writes_reach_execution_without_the_approvals() {
    for status in [
        Status::Pending,
        Status::Rejected,
        Status::Canceled,
        Status::Expired,
        Status::Superseded,
    ] {
        for (first_name, first) in WRITES {
            for (second_name, second) in WRITES {
                let world = world();
                let id = unapproved(&world, status).await;
                first(&world, id).await;
                second(&world, id).await;
                world.execute(&id, OnStale::AnyVersion).await.unwrap_err();
                let request = world.get(&id).await;
                assert!(
                    !matches!(request.status(), Status::Approved | Status::Executed),
                    "{status}: {first_name}, {second_name}"
                );
                assert_eq!(world.quota().await.1, StateVersion::ABSENT);
                assert_whole(&request);
            }
        }
    }
}

#[tokio::test]
async fn whatever_became_approved_has_a_policy_result_and_its_votes() {
    let world = world();
    let id = approved(&world).await;
    let executed = world.execute(&id, OnStale::Reject).await.unwrap();
    for request in [
        &**executed.request(),
        &*world.get(&world.raise(1).await).await,
    ] {
        let codes = tests::fixtures::codes(request);
        let at = |code: &str| codes.iter().position(|c| c == code);
        assert!(at("policy.evaluated") < at("lifecycle.approved"));
        assert_eq!(
            request.evaluate(request.updated_at()).outcome,
            BallotOutcome::Satisfied
        );
    }
}

// ---- quorums ----

#[tokio::test]
async fn a_quorum_nobody_could_fill_is_refused_at_submission() {
    let alone = named("owner", 1, &["alice"]);
    let too_many = of_group("security", 5, "security");
    let nobody = of_role("ghost", 1, "ghost");
    let both = [of_role("lead", 1, "lead"), named("dave", 1, &["dave"])];
    for asked in [
        rules([alone]),
        rules([too_many]),
        rules([nobody]),
        rules(both),
    ] {
        let world = World::new(requiring(asked));
        let (alice, team) = (user("alice"), state("team"));
        let submitted = world.governor.submit(&alice, &team, Raise { by: 1 }).await;
        assert_eq!(submitted.unwrap_err().code(), "governor.unsatisfiable");
    }
    let empty = ApprovalRules::new([of_group("none", 0, "security")]);
    assert_eq!(empty.unwrap_err().code(), "requirement.seats_out_of_range");
}

#[tokio::test]
async fn without_a_list_of_people_the_rules_still_have_to_be_met() {
    let world = World::new(requiring(rules([of_role("ghost", 1, "ghost")])));
    world.directory.unlist();
    let id = world.raise(1).await;
    assert_eq!(world.get(&id).await.status(), Status::Pending);
    let vote = Context::of(&user("bob"));
    assert_eq!(
        code_of_approval(&world, &id, vote).await,
        "vote.not_eligible"
    );
}

#[tokio::test]
async fn one_denial_or_one_late_stage_does_not_kill_what_can_still_be_approved() {
    let world = World::new(requiring(rules([
        of_group("security", 1, "security").denied_by(2),
        of_role("owner", 1, "owner").in_stage(2).expires_in(MINUTE),
    ])));
    let id = world.raise(500).await;
    world.deny(&id, "bob").await.unwrap();
    world.clock.advance(MINUTE * 2);
    assert!(world.tick().await.items.is_empty());
    world.approve(&id, "carol").await.unwrap();
    let approved = world.approve(&id, "frank").await.unwrap();
    assert_eq!(approved.status(), Status::Approved);
}

#[tokio::test]
async fn cancel_is_not_a_vote() {
    let world = world();
    let id = world.raise(500).await;
    let canceled = world.cancel(&id).await.unwrap();
    assert_eq!(canceled.status(), Status::Canceled);
    assert!(canceled.round().votes().is_empty());
    assert!(canceled.rejection().is_none());
}

#[tokio::test]
async fn what_has_ended_stands_in_nobodys_way() {
    for status in [
        Status::Rejected,
        Status::Canceled,
        Status::Expired,
        Status::Superseded,
    ] {
        let world = world();
        let ended = unapproved(&world, status).await;
        // The same change, asked for again at once.
        let id = approved(&world).await;
        assert_ne!(id, ended, "{status}");
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed, "{status}");
        assert_eq!(world.quota().await.0, Quota::of(500));
        assert_eq!(world.get(&ended).await.status(), status);
    }
}

// ---- one person ----

#[tokio::test]
async fn one_person_fills_one_seat_by_id_role_and_group_together() {
    let world = World::new(requiring(rules([
        named("named", 1, &["dave"]),
        of_role("lead", 1, "lead"),
        of_group("security", 1, "security"),
    ])));
    world.directory.grant("erin", "lead");
    let id = world.raise(500).await;
    let one = world.approve(&id, "dave").await.unwrap();
    assert_eq!(one.evaluate(one.updated_at()).filled_seats(), 1);
    let again = Context::of(&user("dave")).metadata("as", "lead");
    assert_eq!(
        code_of_approval(&world, &id, again).await,
        "vote.already_voted"
    );
    world.approve(&id, "erin").await.unwrap();
    let all = world.approve(&id, "bob").await.unwrap();
    assert_eq!(all.status(), Status::Approved);
}

#[tokio::test]
async fn only_the_policy_lets_one_person_sit_twice() {
    let both = || {
        [
            of_role("lead", 1, "lead"),
            of_group("security", 1, "security"),
        ]
    };
    let strict = World::new(requiring(rules(both())));
    let id = strict.raise(500).await;
    let one = strict.approve(&id, "dave").await.unwrap();
    assert_eq!(one.status(), Status::Pending);
    let relaxed = World::new(requiring(rules(both()).distinct(Distinct::Requirement)));
    let id = relaxed.raise(500).await;
    let one = relaxed.approve(&id, "dave").await.unwrap();
    assert_eq!(one.status(), Status::Approved);
}

#[tokio::test]
async fn a_person_and_their_service_accounts_are_one_voter() {
    for (first, second) in [("bob", "bot"), ("bot", "bob"), ("bot", "other-bot")] {
        let world = world();
        for bot in ["bot", "other-bot"] {
            world.directory.join(bot, "security");
            world.directory.works_for(bot, "bob");
        }
        let id = world.raise(500).await;
        world.approve(&id, first).await.unwrap();
        let vote = Context::of(&user(second));
        assert_eq!(
            code_of_approval(&world, &id, vote).await,
            "vote.same_person"
        );
        world.withdraw(&id, first).await.unwrap();
        world.approve(&id, second).await.unwrap();
        let approved = world.approve(&id, "carol").await.unwrap();
        assert_eq!(approved.status(), Status::Approved);
    }
}

// ---- self-approval by detour ----

async fn submitted(world: &World, by: Context, options: SubmitOptions) -> RequestId {
    let team = state("team");
    let done = world
        .governor
        .submit_with(by, &team, Raise { by: 500 }, options);
    done.await.expect("a submission").id()
}

#[tokio::test]
async fn whoever_it_was_asked_for_does_not_approve_it() {
    let world = world();
    let by = Context::of(&user("alice")).on_behalf_of(actor("bob"));
    let id = submitted(&world, by, SubmitOptions::new()).await;
    for party in ["alice", "bob"] {
        let vote = Context::of(&user(party));
        assert_eq!(
            code_of_approval(&world, &id, vote).await,
            "vote.self_approval"
        );
    }
}

#[tokio::test]
async fn co_authors_and_beneficiaries_do_not_approve_it() {
    let world = world();
    let options = SubmitOptions::new()
        .party(actor("bob"))
        .party(actor("carol"));
    let id = submitted(&world, Context::of(&user("alice")), options).await;
    for party in ["alice", "bob", "carol"] {
        let vote = Context::of(&user(party));
        assert_eq!(
            code_of_approval(&world, &id, vote).await,
            "vote.self_approval"
        );
    }
    for other in ["dave", "erin"] {
        world.approve(&id, other).await.unwrap();
    }
    assert_eq!(world.get(&id).await.status(), Status::Approved);
}

#[tokio::test]
async fn nobody_approves_on_behalf_of_a_party() {
    let world = world();
    let id = world.raise(500).await;
    let vote = Context::of(&user("bob")).on_behalf_of(actor("alice"));
    assert_eq!(
        code_of_approval(&world, &id, vote).await,
        "vote.self_approval"
    );
}

#[tokio::test]
async fn a_service_account_of_the_requester_does_not_approve_it() {
    let world = world();
    world.directory.join("bot", "security");
    world.directory.works_for("bot", "alice");
    let id = world.raise(500).await;
    let vote = Context::of(&tests::fixtures::service("bot"));
    assert_eq!(
        code_of_approval(&world, &id, vote).await,
        "vote.self_approval"
    );
}

#[tokio::test]
async fn the_owner_of_the_service_account_that_asked_does_not_approve_it() {
    let world = world();
    world.directory.works_for("bot", "bob");
    world.directory.join("other-bot", "security");
    world.directory.works_for("other-bot", "bob");
    let by = Context::of(&tests::fixtures::service("bot"));
    let id = submitted(&world, by, SubmitOptions::new()).await;
    for party in ["bob", "other-bot"] {
        let vote = Context::of(&user(party));
        assert_eq!(
            code_of_approval(&world, &id, vote).await,
            "vote.self_approval"
        );
    }
}

#[tokio::test]
async fn whoever_is_a_party_fills_no_seat_at_execution_either() {
    let asked = rules([of_group("security", 1, "security")]);
    let strict = asked.executor(ExecutorRule::NotRequesterOrApprover);
    let world = World::new(requiring(strict));
    world.directory.works_for("bot", "alice");
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    let before = world.get(&id).await;
    let alices = Context::of(&user("eve")).on_behalf_of(actor("alice"));
    let callers = ["alice", "bob", "bot"].map(|who| Context::of(&user(who)));
    for caller in callers.into_iter().chain([alices]) {
        let done = world.governor.execute(&id, caller, OnStale::Reject).await;
        assert_eq!(done.unwrap_err().code(), "governor.executor_barred");
    }
    let after = world.get(&id).await;
    assert_same(&before, &after, "an execution that was refused");
    world.execute(&id, OnStale::Reject).await.unwrap();
}

#[tokio::test]
async fn who_left_the_group_since_does_not_get_in_and_who_voted_before_counts() {
    let world = world();
    let id = world.raise(500).await;
    world.approve(&id, "bob").await.unwrap();
    world.directory.leave("bob", "security");
    world.directory.leave("carol", "security");
    let vote = Context::of(&user("carol"));
    assert_eq!(
        code_of_approval(&world, &id, vote).await,
        "vote.not_eligible"
    );
    let approved = world.approve(&id, "dave").await.unwrap();
    assert_eq!(approved.status(), Status::Approved);
}

// ---- what callers claim ----

#[tokio::test]
async fn what_callers_write_about_roles_and_times_changes_nothing() {
    let world = World::new(requiring(rules([
        of_role("lead", 1, "lead").expires_in(MINUTE)
    ])));
    let id = world.raise(500).await;
    for (key, value) in [
        ("ActorRoles", "lead"),
        ("role", "lead"),
        ("membership", "{\"roles\":[\"lead\"]}"),
        ("evidence", "lead"),
    ] {
        let vote = Context::of(&user("mallory")).metadata(key, value);
        assert_eq!(
            code_of_approval(&world, &id, vote).await,
            "vote.not_eligible"
        );
    }
    world.clock.advance(MINUTE);
    let ten_years_ago = Context::of(&user("dave"))
        .metadata("timestamp", "2015-01-01T00:00:00Z")
        .metadata("at", 0);
    let done = world
        .governor
        .approve(&id, ten_years_ago, "looks right")
        .await;
    assert_eq!(done.unwrap_err().code(), "request.overdue");
}

#[tokio::test]
async fn caller_data_never_meets_the_recorded_facts() {
    let world = world();
    let id = world.raise(500).await;
    let keys = [
        "seq", "at", "actor", "kind", "status", "revision", "prev", "digest", "reason",
    ];
    let vote = keys.iter().fold(Context::of(&user("bob")), |c, key| {
        c.metadata(*key, "forged")
    });
    world
        .governor
        .approve(&id, vote, "looks right")
        .await
        .unwrap();
    let request = world.get(&id).await;
    let last = request.decisions().last().unwrap();
    assert_eq!(last.actor().id(), &actor("bob"));
    assert_eq!(last.reason().unwrap().as_str(), "looks right");
    assert_eq!(last.metadata().len(), keys.len());
    assert_whole(&request);
}

#[tokio::test]
async fn trivial_reasons_do_not_pass() {
    let world = world();
    let id = world.raise(500).await;
    let before = world.get(&id).await;
    let large = "x".repeat(1 << 20);
    for reason in [
        ".",
        "",
        "   ",
        "\u{200b}\u{200b}\u{200b}",
        "--",
        "ok\u{202e}",
        &large,
    ] {
        let bob = user("bob");
        let alice = user("alice");
        let governor = &world.governor;
        for done in [
            governor.approve(&id, &bob, reason).await.map(drop),
            governor.reject(&id, &bob, reason).await.map(drop),
            governor.withdraw(&id, &bob, reason).await.map(drop),
            governor.cancel(&id, &alice, reason).await.map(drop),
            governor.amend_reason(&id, &alice, reason).await.map(drop),
            governor
                .amend_deadline(&id, &alice, None, reason)
                .await
                .map(drop),
        ] {
            let code = done.unwrap_err().code();
            assert!(code.starts_with("reason."), "{code}");
        }
    }
    let after = world.get(&id).await;
    assert_same(&before, &after, "a trivial reason");
}

#[tokio::test]
async fn a_requirement_may_ask_more_of_a_reason() {
    let rule = ReasonRule::default()
        .min_chars(12)
        .pattern("TICKET-[0-9]+: .+");
    let asked = of_group("security", 1, "security").with_reason_rule(rule);
    let world = World::new(requiring(rules([asked])));
    for (reason, accepted) in [
        ("TICKET-1: ok", true),
        ("TICKET-1: k", false),
        ("see TICKET-12: fine", false),
        ("TICKET-12: fine\nnot", false),
        ("fine, no ticket at all", false),
    ] {
        let id = world.raise(500).await;
        match world.governor.approve(&id, &user("bob"), reason).await {
            Ok(_) => assert!(accepted, "{reason}"),
            Err(error) => {
                assert!(!accepted, "{reason}");
                assert_eq!(error.code(), "vote.reason_not_accepted");
            }
        }
    }
}

// ---- clocks ----

#[tokio::test]
async fn equal_and_reversed_store_times_decide_nothing() {
    for back in [Duration::ZERO, MINUTE, MINUTE * 60 * 24 * 365 * 10] {
        let world = world();
        let id = world.raise(500).await;
        let step_back = || {
            let to = world.clock.read().as_micros() - i64::try_from(back.as_micros()).unwrap();
            world.clock.set(Timestamp::from_micros(to));
        };
        step_back();
        world.approve(&id, "bob").await.unwrap();
        step_back();
        world.approve(&id, "carol").await.unwrap();
        step_back();
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed);
        assert!(report.request().updated_at() >= VirtualClock::START);
        assert_whole(report.request());
    }
}

#[tokio::test]
async fn a_tick_from_the_future_expires_nothing_that_is_not_due() {
    let world = world();
    let options = SubmitOptions::new().expires_in(MINUTE);
    let id = world.raise_with(500, options).await;
    let report = world.governor.tick(Timestamp::MAX).await.unwrap();
    assert!(report.items.is_empty());
    assert_eq!(world.get(&id).await.status(), Status::Pending);
}

// ---- sweeps ----

#[tokio::test]
async fn a_sweep_that_meets_one_conflict_does_the_other_999() {
    let faulty = |store| {
        FaultyStore::new(store, |request: &MutationRequest| {
            let by = request.proposal().intent().metadata().get("by").cloned();
            if request.status() != Status::Expired || by != Some(1_000.into()) {
                return None;
            }
            let (expected, actual) = (request.revision(), request.revision().next());
            let conflict = governance_core::Conflict::Request { expected, actual };
            Some(Fault::Refuse(StoreError::conflict("try_store", conflict)))
        })
    };
    let policy = by_risk(rules([of_group("security", 2, "security")]));
    let world = World::on(faulty, |b| b.policy(policy));
    let options = SubmitOptions::new().expires_in(MINUTE);
    let mut ids = Vec::new();
    // The one that conflicts comes first.
    for by in 1_000..2_000 {
        ids.push(world.raise_with(by, options.clone()).await);
    }
    world.clock.advance(MINUTE);
    let report = world.tick().await;
    assert_eq!(report.items.len(), 1_000);
    assert_eq!(report.expired(), 999);
    assert_eq!(report.items[0].id, ids[0]);
    assert!(matches!(report.items[0].outcome, TickOutcome::Skipped));
    let queue = world.governor.query().pending();
    let page = PageRequest::first(10).unwrap();
    let left = world.governor.requests(&queue, &page);
    assert_eq!(left.await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn a_sweep_of_more_than_its_limit_says_that_there_is_more() {
    let world = world();
    let options = SubmitOptions::new().expires_in(MINUTE);
    for by in 0..1_050 {
        world.raise_with(500 + by, options.clone()).await;
    }
    world.clock.advance(MINUTE);
    let first = world.tick().await;
    assert!(first.more);
    assert_eq!(first.expired(), governance_core::Governor::TICK_LIMIT);
    let second = world.tick().await;
    assert!(!second.more);
    assert_eq!(second.expired(), 50);
}

#[tokio::test]
async fn a_store_error_is_never_told_as_a_conflict_and_a_conflict_never_as_not_found() {
    for (kind, code) in [
        (StoreErrorKind::Unavailable, "store.unavailable"),
        (StoreErrorKind::Timeout, "store.timeout"),
        (StoreErrorKind::Denied, "store.denied"),
    ] {
        let faulty = move |store| {
            FaultyStore::new(store, move |request: &MutationRequest| {
                let voted = !request.round().votes().is_empty();
                voted.then(|| Fault::Refuse(StoreError::new(kind, "try_store", "not now")))
            })
        };
        let policy = by_risk(rules([of_group("security", 2, "security")]));
        let world = World::on(faulty, |b| b.policy(policy));
        let id = world.raise(500).await;
        assert_eq!(world.approve(&id, "bob").await.unwrap_err().code(), code);
    }
}

// ---- seats: the outcome depends on the set of votes, not on their order ----

/// Who is asked for what: two overlapping requirements and one of its own.
fn overlapping(distinct: Distinct) -> ApprovalRules {
    rules([
        of_group("security", 2, "security").denied_by(2),
        of_role("lead", 1, "lead").denied_by(2),
        named("named", 1, &["a", "b", "e"]).denied_by(2),
    ])
    .distinct(distinct)
}

/// Six people, each with other roles and groups.
fn person(i: usize) -> (&'static str, Membership) {
    let m = Membership::default;
    let (security, lead) = (
        |m: Membership| m.group(group("security")),
        |m: Membership| m.role(role("lead")),
    );
    [
        ("a", security(m())),
        ("b", lead(security(m()))),
        ("c", security(m())),
        ("d", lead(m())),
        ("e", m()),
        ("f", lead(security(m()))),
    ][i]
        .clone()
}

fn vote(i: usize, verdict: Verdict, at: i64) -> Vote {
    let (who, evidence) = person(i);
    Vote::new(
        actor(who),
        verdict,
        1,
        governance_core::Digest::of("subject"),
        evidence,
        governance_core::Reason::new("because").expect("a reason"),
        Timestamp::from_micros(at),
        OperationId::from_bytes([u8::try_from(i).unwrap_or(0); 16]),
    )
}

fn outcome(rules: &ApprovalRules, votes: &[Vote]) -> (BallotOutcome, Vec<(String, usize)>) {
    let openings = [approval::StageOpening {
        stage: 1,
        at: Timestamp::EPOCH,
    }];
    let ballot = approval::Ballot {
        rules,
        openings: &openings,
        votes,
        subject: &governance_core::Digest::of("subject"),
        parties: &approval::Parties::default(),
    };
    let evaluation = approval::evaluate(&ballot, Timestamp::EPOCH);
    let filled = evaluation
        .requirements()
        .map(|r| (r.id.to_string(), r.denied_by.len()))
        .collect();
    (evaluation.outcome, filled)
}

/// Every order of so many things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![vec![]];
    }
    let shorter = orders(n - 1);
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, n - 1);
        order
    };
    shorter
        .iter()
        .flat_map(|order| (0..n).map(move |at| insert(order, at)))
        .collect()
}

#[test]
fn all_orders_of_up_to_six_votes_come_to_one_outcome() {
    let everybody = orders(6);
    assert_eq!(everybody.len(), 720);
    for distinct in [Distinct::Request, Distinct::Requirement] {
        let rules = overlapping(distinct);
        for set in 0_u32..64 {
            let present: Vec<usize> = (0..6).filter(|i| set & (1 << i) != 0).collect();
            let at = |i: usize| i64::try_from(i).unwrap_or(0);
            let votes: Vec<Vote> = present
                .iter()
                .map(|i| vote(*i, Verdict::Approve, at(*i)))
                .collect();
            let expected = outcome(&rules, &votes);
            for order in orders(present.len()) {
                let votes: Vec<Vote> = order.iter().map(|i| votes[*i].clone()).collect();
                assert_eq!(
                    outcome(&rules, &votes),
                    expected,
                    "{present:?} as {order:?}"
                );
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Approvals and denials, at any times, equal ones too.
    #[test]
    fn any_order_of_any_votes_comes_to_one_outcome(
        verdicts in prop::collection::vec(prop::option::of((any::<bool>(), 0_i64..3)), 6),
        seed in any::<u64>(),
        per_requirement in any::<bool>(),
    ) {
        let distinct = if per_requirement { Distinct::Requirement } else { Distinct::Request };
        let rules = overlapping(distinct);
        let mut votes: Vec<Vote> = verdicts
            .iter()
            .enumerate()
            .filter_map(|(i, cast)| cast.map(|(yes, at)| {
                vote(i, if yes { Verdict::Approve } else { Verdict::Deny }, at)
            }))
            .collect();
        let expected = outcome(&rules, &votes);
        Shuffle::seeded(seed).shuffle(&mut votes);
        prop_assert_eq!(outcome(&rules, &votes), expected);
    }

    /// One approval more never turns what was satisfied into something else.
    #[test]
    fn an_approval_more_never_undoes(set in 0_u32..64, more in 0_usize..6) {
        let rules = overlapping(Distinct::Request);
        let cast = |set: u32| -> Vec<Vote> {
            let present = (0..6).filter(|i| set & (1 << i) != 0);
            present.map(|i| vote(i, Verdict::Approve, 1)).collect()
        };
        if outcome(&rules, &cast(set)).0 == BallotOutcome::Satisfied {
            prop_assert_eq!(outcome(&rules, &cast(set | (1 << more))).0, BallotOutcome::Satisfied);
        }
    }
}

/// The same through the governor: everybody who votes in any order ends in the same status.
#[tokio::test]
async fn everybody_may_vote_in_any_order() {
    let mut ends = BTreeSet::new();
    for order in orders(4) {
        let world = World::new(requiring(rules([
            named("first", 1, &["p0", "p1"]),
            named("second", 1, &["p1", "p2"]),
            named("third", 2, &["p0", "p2", "p3"]),
        ])));
        let id = world.raise(500).await;
        for i in order {
            world.approve(&id, &format!("p{i}")).await.unwrap();
        }
        let request = world.get(&id).await;
        ends.insert(request.status());
        assert_whole(&request);
    }
    assert_eq!(ends, [Status::Approved].into());
}

#[tokio::test]
async fn a_rejection_is_final_whoever_approves_afterwards() {
    let world = world();
    let id = world.raise(500).await;
    let denial = Denial::because("not like this");
    world
        .governor
        .reject(&id, &user("bob"), denial)
        .await
        .unwrap();
    let vote = Context::of(&user("carol"));
    assert_eq!(
        code_of_approval(&world, &id, vote).await,
        "request.takes_no_votes"
    );
    let draft = world.get(&id).await;
    let act = Act::new(
        &user("carol"),
        world.clock.read(),
        OperationId::from_bytes([1; 16]),
    );
    let status = Status::Rejected;
    assert_eq!(
        draft.draft(act).check_executable(),
        Err(RequestError::NotAllowed {
            status,
            step: governance_core::Step::Complete
        })
    );
    let nobody = Requirement::seats("nobody", 1, Selector::AllOf(vec![])).unwrap();
    assert!(ApprovalRules::new([nobody]).is_err());
}
