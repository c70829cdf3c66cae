//! Ways around the rules, tried by somebody who means it.

use governance_core::{
    Applied, ApprovalRules, Change, Context, DataContract, ExecutionOutcome, ExecutorRule,
    GovernedState, GovernorError, IdempotencyKey, Intent, InvalidName, Mutation, MutationError,
    MutationRequest, OnStale, PolicyDecision, PolicyTree, RequestId, SideEffect, Status,
    SubmitOptions, ValidationErrors, policy_fn,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tests::fixtures::{
    Quota, Raise, World, actor, assert_same, assert_whole, label, of_group, requiring, rules,
    service, state, user,
};

async fn submitted(
    world: &World,
    by: Context,
    options: SubmitOptions,
) -> Result<RequestId, GovernorError> {
    let (governor, team) = (&world.governor, state("team"));
    let submitted = governor.submit_with(by, &team, Raise { by: 500 }, options);
    submitted.await.map(|submission| submission.id())
}

async fn approve(world: &World, id: &RequestId, by: &str) -> Result<Status, GovernorError> {
    let vote = world.approve(id, by).await;
    vote.map(|request| request.status())
}

/// A policy that has nobody approve and wants two people all the same.
fn two_people() -> PolicyTree {
    let rules = ApprovalRules::default().executor(ExecutorRule::NotRequester);
    requiring(rules).into()
}

fn allows() -> PolicyTree {
    policy_fn("allows", |_| Ok(PolicyDecision::allow())).into()
}

#[tokio::test]
async fn who_may_execute_is_a_rule_where_nobody_has_to_approve_too() {
    let security = || requiring(rules([of_group("security", 1, "security")])).into();
    for (policy, approved) in [
        (two_people(), false),
        (PolicyTree::all_of("both", [two_people(), allows()]), false),
        (PolicyTree::all_of("both", [allows(), two_people()]), false),
        (PolicyTree::any_of("any", [two_people()]), false),
        (PolicyTree::all_of("both", [security(), two_people()]), true),
    ] {
        let world = World::new(policy);
        let id = world.raise(5).await;
        if approved {
            approve(&world, &id, "bob").await.unwrap();
        }
        let before = world.get(&id).await;
        assert_eq!(before.status(), Status::Approved);
        let alice = user("alice");
        let done = world.governor.execute(&id, &alice, OnStale::Reject).await;
        assert_eq!(done.unwrap_err().code(), "governor.executor_barred");
        let after = world.get(&id).await;
        assert_same(&before, &after, "a barred execution");
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed);
        assert_whole(report.request());
    }
}

#[tokio::test]
async fn of_several_ways_to_be_allowed_the_laxest_says_who_executes() {
    let world = World::new(PolicyTree::any_of("any", [two_people(), allows()]));
    let id = world.raise(5).await;
    let alice = user("alice");
    let done = world.governor.execute(&id, &alice, OnStale::Reject).await;
    assert_eq!(done.unwrap().outcome(), ExecutionOutcome::Executed);
}

/// Policies change their minds, and the state moves: the rule that holds is the latest.
#[tokio::test]
async fn who_may_execute_is_asked_again_under_the_rules_of_the_moment() {
    for on_stale in OnStale::ALL {
        let strict = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let told = std::sync::Arc::clone(&strict);
        let world = World::new(policy_fn("strict-by-now", move |_| {
            let rule = if told.load(std::sync::atomic::Ordering::Relaxed) {
                ExecutorRule::NotRequester
            } else {
                ExecutorRule::Anyone
            };
            Ok(PolicyDecision::require(
                ApprovalRules::default().executor(rule),
            ))
        }));
        let id = world.raise(5).await;
        if on_stale != OnStale::Reject {
            world.put(&Quota::of(1)).await;
        }
        strict.store(true, std::sync::atomic::Ordering::Relaxed);
        let before = world.get(&id).await;
        let alice = user("alice");
        let done = world.governor.execute(&id, &alice, on_stale).await;
        assert_eq!(
            done.unwrap_err().code(),
            "governor.executor_barred",
            "{on_stale:?}"
        );
        let after = world.get(&id).await;
        assert_same(&before, &after, "a barred execution");
        let report = world.execute(&id, on_stale).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed, "{on_stale:?}");
        assert_whole(report.request());
    }
}

#[tokio::test]
async fn the_owner_of_an_account_that_shares_in_a_change_does_not_approve_it() {
    let owned = || {
        let world = World::new(requiring(rules([of_group("security", 1, "security")])));
        world.directory.works_for("bobs-bot", "bob");
        world
    };
    let world = owned();
    let by = Context::of(&service("portal")).on_behalf_of(actor("bobs-bot"));
    let id = submitted(&world, by, SubmitOptions::new()).await.unwrap();
    let refused = approve(&world, &id, "bob").await.unwrap_err();
    assert_eq!(refused.code(), "vote.self_approval");

    let world = owned();
    let options = SubmitOptions::new().party(actor("bobs-bot"));
    let by = Context::of(&user("alice"));
    let id = submitted(&world, by, options).await.unwrap();
    let refused = approve(&world, &id, "bob").await.unwrap_err();
    assert_eq!(refused.code(), "vote.self_approval");
    assert_eq!(
        approve(&world, &id, "carol").await.unwrap(),
        Status::Approved
    );
}

#[tokio::test]
async fn a_key_does_not_turn_a_change_for_one_person_into_one_for_another() {
    let world = World::new(requiring(rules([of_group("security", 1, "security")])));
    let portal = |whom: &str| Context::of(&service("portal")).on_behalf_of(actor(whom));
    let options =
        || SubmitOptions::new().idempotency_key(IdempotencyKey::new("once").expect("a key"));
    let id = submitted(&world, portal("bob"), options()).await.unwrap();
    let again = submitted(&world, portal("bob"), options()).await.unwrap();
    assert_eq!(again, id);
    // Carol would think that this is hers, and could approve it.
    let carols = submitted(&world, portal("carol"), options()).await;
    assert_eq!(carols.unwrap_err().code(), "governor.key_reused");
}

/// Changes nothing, and tells of a change as deep as it is told.
#[derive(Debug, Serialize, Deserialize)]
struct Tell {
    intent: usize,
    change: usize,
    effect: usize,
}

impl Mutation for Tell {
    type State = Quota;
    const TYPE: &'static str = "tests.tell";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Ok(Intent::new("quota.tell", "billing")?.with_metadata("nested", nested(self.intent)))
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, quota: Quota) -> Result<Applied<Quota>, MutationError> {
        let change = Change::modified("limit", nested(self.change), Value::Null);
        let effect = SideEffect::new(label("mail"), "tell the team");
        let contract = DataContract {
            name: label("mail"),
            version: 1,
        };
        Ok(Applied::new(quota)
            .change(change)
            .side_effect(effect.with_data(contract, nested(self.effect))))
    }
}

#[tokio::test]
async fn mutations_and_policies_nest_no_deeper_either() {
    let deep = policy_fn("deep", |subject| {
        let data = subject.mutation::<Raise>().map_or(0, |raise| raise.by);
        let data = usize::try_from(data)?;
        Ok(PolicyDecision::allow().with_metadata("nested", nested(data)))
    });
    let world = World::with(|b| b.register::<Tell>().policy(deep));
    let (alice, team) = (user("alice"), state("team"));
    for depth in [100, 101, 2_000] {
        let fits = depth == 100;
        let tell = |[intent, change, effect]: [usize; 3]| Tell {
            intent,
            change,
            effect,
        };
        let submit = |tell| world.governor.submit(&alice, &team, tell);
        let done = submit(tell([depth, 0, 0])).await.map(drop);
        let code = done.map_err(|error| error.code());
        assert_eq!(
            code,
            if fits {
                Ok(())
            } else {
                Err("governor.too_deep")
            }
        );
        for tell in [tell([0, depth, 0]), tell([0, 0, depth])] {
            let id = submit(tell).await.unwrap().id();
            let before = world.get(&id).await;
            let done = world.execute(&id, OnStale::AnyVersion).await;
            let code = done.map(|report| report.outcome()).map_err(|e| e.code());
            if fits {
                assert_eq!(code, Ok(ExecutionOutcome::Executed));
                assert_whole(&*world.get(&id).await);
            } else {
                assert_eq!(code, Err("governor.too_deep"));
                assert_same(&before, &*world.get(&id).await, "a change that is too deep");
            }
        }
        let raise = Raise { by: depth as u64 };
        let judged = world.governor.submit(&alice, &team, raise).await.unwrap();
        assert_eq!(judged.is_approved(), fits, "{depth}");
        assert_whole(judged.request());
    }
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(Value::from("deep"), |inner, _| Value::from(vec![inner]))
}

/// What cannot be encoded has no digest, and what has no digest can be changed.
#[tokio::test]
async fn values_nested_too_deeply_for_a_digest_are_refused() {
    for depth in [1, 100, 101, 500, 1_000, 1_016, 1_020, 1_100, 5_000] {
        let world = World::new(allows());
        let by = || Context::of(&user("alice")).metadata("nested", nested(depth));
        let id = match submitted(&world, by(), SubmitOptions::new()).await {
            Ok(id) => id,
            Err(error) => {
                assert!(depth > 100, "{depth}: {error}");
                assert_eq!(error.code(), "governor.too_deep", "{depth}");
                let id = world.raise(500).await;
                let canceled = world.governor.cancel(&id, by(), "not needed").await;
                assert_eq!(canceled.unwrap_err().code(), "governor.too_deep");
                continue;
            }
        };
        assert!(depth <= 100, "{depth}");
        let request = world.get(&id).await;
        assert_whole(&request);
        let document = serde_json::to_string(&*request).expect("a document");
        let read: MutationRequest = serde_json::from_str(&document).expect("the same");
        assert_eq!(read, *request);
        assert_whole(&read);
        let packed = rmp_serde::to_vec_named(&*request).expect("a document");
        let read: MutationRequest = rmp_serde::from_slice(&packed).expect("the same");
        assert_whole(&read);
    }
}

/// Written without a field that reading asks for: an easy mistake.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Lopsided {
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
}

impl GovernedState for Lopsided {
    const TYPE: &'static str = "tests.lopsided";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Write {
    note: String,
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "Option::deserialize"
    )]
    hint: Option<u8>,
}

impl Mutation for Write {
    type State = Lopsided;
    const TYPE: &'static str = "tests.write";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("lopsided.write", "tests")
    }

    fn validate(&self, _: &Lopsided) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, _: Lopsided) -> Result<Applied<Lopsided>, MutationError> {
        let note = self.note;
        Ok(Applied::new(Lopsided { note }))
    }
}

#[tokio::test]
async fn what_could_not_be_read_back_is_not_written() {
    let world = World::with(|b| b.register::<Write>().policy(allows()));
    let (alice, id) = (user("alice"), state("lopsided"));
    let write = |note: &str, hint| {
        let note = note.to_owned();
        let write = Write { note, hint };
        world.governor.submit(&alice, &id, write)
    };
    let refused = write("a", None).await.unwrap_err();
    assert_eq!(refused.code(), "payload.decode");
    let first = write("a", Some(1)).await.unwrap().id();
    world.execute(&first, OnStale::Reject).await.unwrap();
    let second = write("", Some(1)).await.unwrap().id();
    let report = world.execute(&second, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Failed);
    let execution = report.request().execution();
    assert_eq!(execution.failure().unwrap().code, label("state.unreadable"));
    let (kept, version) = world.governor.state::<Lopsided>(&id).await.unwrap();
    assert_eq!((kept.unwrap().note.as_str(), version.get()), ("a", 1));
}
