//! Attacks on what a submission hands on to the execution that follows.

use std::{
    collections::BTreeSet,
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::Poll,
};

use governance_core::{
    Act, Applied, Context, ExecutionOutcome, GovernorBuilder, Intent, InvalidName, Judgement,
    Mutation, MutationError, MutationRequest, OnStale, OperationId, PolicyDecision, PolicyTree,
    Proposal, RequestId, Risk, StateVersion, Status, StoreError, ValidationErrors, policy_fn,
};
use governance_testkit::faults::{Call, Fault, Faulty};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tests::fixtures::{Quota, Raise, World, assert_whole, by_risk, named, rules, state, user};

fn allows() -> PolicyTree {
    policy_fn("allows", |_| Ok(PolicyDecision::allow())).into()
}

// ---- records that somebody puts in the place of others ----

/// Submits, ends and purges a request, and so leaves its id, with what the submission decoded.
async fn purged(world: &World, by: u64) -> Arc<MutationRequest> {
    let id = world.raise(by).await;
    let request = world.get(&id).await;
    let ended = world.cancel(&id).await.expect("an end");
    let store = world.governor.store();
    store.purge(&id, ended.revision()).await.expect("no more");
    request
}

/// The same id and the same payload, approved for another intent.
fn intending(world: &World, model: &MutationRequest, intent: Intent) -> MutationRequest {
    let operation = OperationId::from_bytes([5; 16]);
    let act = Act::new(&user("mallory"), world.clock.read(), operation);
    let known = model.proposal();
    let (scope, payload) = (known.scope().clone(), known.payload().clone());
    let version = StateVersion::ABSENT;
    let proposal = Proposal::new(*model.id(), scope, payload, intent, version, &act);
    MutationRequest::submit(proposal, &Judgement::allowed(vec![]), None, &act).expect("a request")
}

#[tokio::test]
async fn a_mutation_that_was_kept_is_held_against_the_intent_that_is_stored() {
    let world = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
    for (operation, risk) in [
        ("quota.raise", Risk::Low),
        ("quota.raise", Risk::Medium),
        ("quota.lower", Risk::Critical),
    ] {
        let model = purged(&world, 500).await;
        let intent = Intent::new(operation, "billing").unwrap().risk(risk);
        let forged = intending(&world, &model, intent);
        let store = world.governor.store();
        store.create(Arc::new(forged)).await.unwrap();
        let done = world.execute(model.id(), OnStale::AnyVersion).await;
        let code = done.map(|done| done.outcome()).map_err(|e| e.code());
        assert_eq!(code, Err("governor.intent_changed"), "{operation} {risk:?}");
    }
    assert_eq!(world.quota().await.1, StateVersion::ABSENT);
}

#[tokio::test]
async fn a_record_of_the_same_id_runs_its_own_payload() {
    let world = World::new(allows());
    let (model, other) = (purged(&world, 5).await, purged(&world, 7).await);
    let mut json = serde_json::to_value(&*other).unwrap();
    // Whose id it takes, its history does not say.
    json["proposal"]["id"] = serde_json::to_value(model.id()).unwrap();
    let stolen: MutationRequest = serde_json::from_value(json).unwrap();
    let store = world.governor.store();
    store.create(Arc::new(stolen)).await.unwrap();
    let refused = world.execute(model.id(), OnStale::Reject).await;
    assert_eq!(refused.unwrap_err().code(), "history.digest");

    let (model, other) = (purged(&world, 5).await, world.raise(7).await);
    let other = world.get(&other).await;
    let operation = OperationId::from_bytes([5; 16]);
    let act = Act::new(&user("alice"), world.clock.read(), operation);
    let (scope, payload) = (other.proposal().scope(), other.proposal().payload());
    let (scope, payload) = (scope.clone(), payload.clone());
    let intent = other.proposal().intent().clone();
    let proposal = Proposal::new(
        *model.id(),
        scope,
        payload,
        intent,
        StateVersion::ABSENT,
        &act,
    );
    let judged = Judgement::allowed(vec![]);
    let again = MutationRequest::submit(proposal, &judged, None, &act).unwrap();
    store.create(Arc::new(again)).await.unwrap();
    let done = world.execute(model.id(), OnStale::Reject).await.unwrap();
    assert_eq!(done.outcome(), ExecutionOutcome::Executed);
    assert_eq!(world.quota().await.0, Quota::of(7));
}

#[tokio::test]
async fn an_edited_payload_is_found_where_the_original_was_kept_too() {
    let edits: [fn(&mut Value, &Value); 4] = [
        |json, other| json["body"] = other["body"].clone(),
        |json, other| json["digest"] = other["digest"].clone(),
        |json, other| *json = other.clone(),
        |json, _| json["schema"] = 2.into(),
    ];
    for edit in edits {
        let world = World::new(allows());
        let (model, other) = (purged(&world, 5).await, purged(&world, 7).await);
        let other = serde_json::to_value(other.proposal().payload()).unwrap();
        let mut json = serde_json::to_value(&*model).unwrap();
        edit(&mut json["proposal"]["payload"], &other);
        let edited: MutationRequest = serde_json::from_value(json).unwrap();
        let store = world.governor.store();
        store.create(Arc::new(edited)).await.unwrap();
        let refused = world.execute(model.id(), OnStale::Reject).await;
        assert_eq!(refused.unwrap_err().code(), "history.proposal");
        assert_eq!(world.quota().await.1, StateVersion::ABSENT);
    }
}

/// Is stored under the name of [`Raise`], and says of itself that it is harmless.
#[derive(Debug, Serialize, Deserialize)]
struct Harmless<const SCHEMA: u32> {
    by: u64,
}

impl<const SCHEMA: u32> Mutation for Harmless<SCHEMA> {
    type State = Quota;
    const TYPE: &'static str = Raise::TYPE;
    const SCHEMA: u32 = SCHEMA;

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("quota.raise", "billing")
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, quota: Quota) -> Result<Applied<Quota>, MutationError> {
        Ok(Applied::new(quota))
    }
}

#[tokio::test]
async fn a_type_under_the_name_of_another_is_judged_as_the_other() {
    let world = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
    let (alice, team) = (user("alice"), state("team"));
    let submit = world
        .governor
        .submit(&alice, &team, Harmless::<1> { by: 500 });
    let submitted = submit.await.unwrap();
    let intent = submitted.request().proposal().intent();
    assert_eq!(intent.risk_level(), Risk::High);
    assert_eq!(submitted.request().status(), Status::Pending);
    let submit = world
        .governor
        .submit(&alice, &team, Harmless::<2> { by: 500 });
    let refused = submit.await.unwrap_err();
    assert_eq!(refused.code(), "governor.upgrade");
}

// ---- states that move ----

/// Somebody else writes the quota right before the first commit.
#[derive(Debug)]
struct Faster {
    store: governance_memory::MemoryStore,
    done: AtomicBool,
}

#[governance_testkit::async_trait]
impl Fault for Faster {
    async fn before(&self, call: Call) -> Result<(), StoreError> {
        if call == Call::Commit && !self.done.swap(true, Ordering::SeqCst) {
            let world = World::on(|_| self.store.clone(), |b| b.policy(allows()));
            world.put(&Quota::of(100)).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn who_loses_a_race_runs_on_the_state_of_the_winner() {
    for (on_stale, limit) in [
        (OnStale::Reject, 100),
        (OnStale::RenewApproval, 105),
        (OnStale::Revalidate, 105),
        (OnStale::AnyVersion, 105),
    ] {
        let faster = |store: governance_memory::MemoryStore| {
            let done = AtomicBool::new(false);
            Faulty::with(store.clone(), Faster { store, done })
        };
        let world = World::on(faster, |b| b.policy(allows()));
        let id = world.raise(5).await;
        let report = world.execute(&id, on_stale).await.unwrap();
        assert_whole(report.request());
        let expected = match on_stale {
            OnStale::Reject => ExecutionOutcome::Rejected,
            _ => ExecutionOutcome::Executed,
        };
        assert_eq!(report.outcome(), expected, "{on_stale:?}");
        assert_eq!(world.quota().await.0, Quota::of(limit), "{on_stale:?}");
    }
}

#[tokio::test]
async fn a_state_that_has_moved_since_the_submission_is_decoded_anew_under_every_rule() {
    for on_stale in OnStale::ALL {
        let world = World::new(allows());
        let id = world.raise(5).await;
        world.put(&Quota::of(100)).await;
        world.execute(&id, on_stale).await.unwrap();
        let limit = if on_stale == OnStale::Reject {
            100
        } else {
            105
        };
        assert_eq!(world.quota().await.0, Quota::of(limit), "{on_stale:?}");
        // There and back again: the bytes are those of the submission, the version is not.
        let world = World::new(allows());
        world.put(&Quota::of(1)).await;
        let id = world.raise(5).await;
        world.put(&Quota::of(2)).await;
        world.put(&Quota::of(1)).await;
        let report = world.execute(&id, on_stale).await.unwrap();
        let stale = on_stale == OnStale::Reject;
        let version = StateVersion::new(if stale { 3 } else { 4 });
        let limit = if stale { 1 } else { 6 };
        assert_eq!(world.quota().await, (Quota::of(limit), version));
        assert_eq!(report.outcome() == ExecutionOutcome::Rejected, stale);
    }
}

/// Lets every call of the store wait once before it is made and once after.
#[derive(Debug)]
struct Waiting;

#[governance_testkit::async_trait]
impl Fault for Waiting {
    async fn before(&self, _: Call) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn after(&self, _: Call) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        Ok(())
    }
}

/// Whether it was done when it had been polled so often. If not, nobody waits for it any more.
async fn done_in(polls: usize, work: impl Future) -> bool {
    let mut work = pin!(work);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx)));
        if polled.await.is_ready() {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn who_gives_up_submitting_finds_one_request_that_can_be_executed() {
    let mut seen = BTreeSet::new();
    for polls in 0..1_000 {
        let world = World::on(|s| Faulty::with(s, Waiting), |b| b.policy(allows()));
        let (alice, team) = (user("alice"), state("team"));
        let submit = || {
            let operation = OperationId::from_bytes([7; 16]);
            let by = Context::of(&alice).operation(operation);
            world.governor.submit(by, &team, Raise { by: 5 })
        };
        let waited = done_in(polls, submit()).await;
        let again = submit().await.unwrap();
        let report = world.execute(&again.id(), OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed);
        assert_whole(report.request());
        assert_eq!(world.quota().await, (Quota::of(5), StateVersion::new(1)));
        seen.insert((again.is_replayed(), waited));
        if waited {
            break;
        }
    }
    // Given up before it was stored, given up afterwards, and not given up.
    let all = [(false, false), (true, false), (true, true)];
    assert_eq!(seen, BTreeSet::from(all));
}

#[tokio::test]
async fn a_failure_and_a_retry_lose_nothing_of_what_was_approved() {
    let world = World::new(allows());
    world.put(&Quota::of(1).frozen()).await;
    let id = world.raise(5).await;
    for _ in 0..2 {
        let failed = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(failed.outcome(), ExecutionOutcome::Failed);
        world.retry(&id).await.unwrap();
    }
    world.put(&Quota::of(1)).await;
    let done = world.execute(&id, OnStale::AnyVersion).await.unwrap();
    assert_eq!(done.outcome(), ExecutionOutcome::Executed);
    assert_eq!(world.quota().await.0, Quota::of(6));
}

// ---- types that misbehave ----

/// What a [`Fickle`] mutation becomes when it is decoded the next time, and what was told.
static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Is another one every time it is decoded.
#[derive(Debug, Serialize)]
struct Fickle {
    nth: u64,
}

impl<'de> Deserialize<'de> for Fickle {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        serde::de::IgnoredAny::deserialize(deserializer)?;
        let nth = NEXT.fetch_add(1, Ordering::SeqCst) as u64;
        Ok(Self { nth })
    }
}

impl Mutation for Fickle {
    type State = Quota;
    const TYPE: &'static str = "tests.fickle";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("quota.set", "billing")
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, _: Quota) -> Result<Applied<Quota>, MutationError> {
        Ok(Applied::new(Quota::of(self.nth)))
    }
}

#[tokio::test]
async fn what_runs_is_the_value_that_policies_judged_last() {
    let judged = Arc::new(Mutex::new(0));
    let told = Arc::clone(&judged);
    let policy = policy_fn("tells", move |subject| {
        *told.lock().unwrap() = subject.mutation::<Fickle>().map_or(0, |m| m.nth);
        Ok(PolicyDecision::allow())
    });
    let world = World::with(|b| b.register::<Fickle>().policy(policy));
    let (alice, team) = (user("alice"), state("team"));
    for kept in [true, false] {
        let submit = world.governor.submit(&alice, &team, Fickle { nth: 1_000 });
        let id = submit.await.unwrap().id();
        let at_submission = *judged.lock().unwrap();
        for _ in 0..if kept { 0 } else { 70 } {
            world.raise(1).await;
        }
        world.dry_run(&id, OnStale::AnyVersion).await.unwrap();
        world.execute(&id, OnStale::AnyVersion).await.unwrap();
        let at_execution = *judged.lock().unwrap();
        assert_eq!(world.quota().await.0.limit, at_execution);
        assert_eq!(at_submission == at_execution, kept);
    }
}

/// What the next [`Panics`] does instead of what it should.
static PANICS: Mutex<Option<&str>> = Mutex::new(None);

fn maybe_panic(here: &str) {
    let mut panics = PANICS.lock().expect("never poisoned");
    if *panics == Some(here) {
        *panics = None;
        // It is not poisoned.
        drop(panics);
        panic!("it panics in {here}");
    }
}

#[derive(Debug, Serialize)]
struct Panics {
    limit: u64,
}

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            limit: u64,
        }
        maybe_panic("deserialize");
        Fields::deserialize(deserializer).map(|Fields { limit }| Self { limit })
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        maybe_panic("drop");
    }
}

impl Mutation for Panics {
    type State = Quota;
    const TYPE: &'static str = "tests.panics";

    fn intent(&self) -> Result<Intent, InvalidName> {
        maybe_panic("intent");
        Intent::new("quota.set", "billing")
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        maybe_panic("validate");
        Ok(())
    }

    fn apply(self, _: Quota) -> Result<Applied<Quota>, MutationError> {
        maybe_panic("apply");
        Ok(Applied::new(Quota::of(self.limit)))
    }
}

/// Whether it panicked.
async fn panicked<T>(work: impl Future<Output = T>) -> bool {
    let mut work = Box::pin(work);
    let polled = poll_fn(|cx| {
        let polled = std::panic::catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        match polled {
            Ok(polled) => polled.map(|_| false),
            Err(_) => Poll::Ready(true),
        }
    });
    polled.await
}

#[tokio::test]
async fn a_program_that_panics_loses_nothing() {
    let policy = policy_fn("panics", |_| {
        maybe_panic("policy");
        Ok(PolicyDecision::allow())
    });
    let world = World::with(|b| b.register::<Panics>().policy(policy));
    let governor = &world.governor;
    let (alice, team) = (user("alice"), state("team"));
    let submit = |limit| governor.submit(&alice, &team, Panics { limit });
    let mut version = StateVersion::ABSENT;
    for place in ["deserialize", "intent", "validate", "policy", "drop"] {
        *PANICS.lock().unwrap() = Some(place);
        assert!(panicked(submit(1)).await, "{place}");
    }
    // The value that makes room for another.
    for _ in 0..64 {
        submit(1).await.unwrap();
    }
    *PANICS.lock().unwrap() = Some("drop");
    assert!(panicked(world.raise(1)).await);
    for place in ["policy", "validate", "apply", "deserialize", "drop"] {
        let id = submit(7).await.unwrap().id();
        if place == "deserialize" {
            // Another process has nothing but what is stored.
            for _ in 0..70 {
                world.raise(1).await;
            }
        }
        *PANICS.lock().unwrap() = Some(place);
        assert!(
            panicked(world.execute(&id, OnStale::Reject)).await,
            "{place}"
        );
        let request = world.get(&id).await;
        assert_eq!(request.status(), Status::Approved, "{place}");
        assert_whole(&request);
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed, "{place}");
        version = version.next();
        assert_eq!(world.quota().await, (Quota::of(7), version), "{place}");
    }
}

/// How many [`Alive`] there are.
static ALIVE: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug, Serialize)]
struct Alive {
    text: String,
}

impl<'de> Deserialize<'de> for Alive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            text: String,
        }
        let Fields { text } = Fields::deserialize(deserializer)?;
        ALIVE.fetch_add(1, Ordering::SeqCst);
        Ok(Self { text })
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Mutation for Alive {
    type State = Quota;
    const TYPE: &'static str = "tests.alive";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("quota.set", "billing")
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, quota: Quota) -> Result<Applied<Quota>, MutationError> {
        Ok(Applied::new(quota))
    }
}

/// One that was not decoded is not counted.
fn alive(length: usize) -> Alive {
    ALIVE.fetch_add(1, Ordering::SeqCst);
    let text = "x".repeat(length);
    Alive { text }
}

#[tokio::test]
async fn few_values_are_kept_however_many_requests_wait_and_none_of_what_has_ended() {
    fn configured(builder: GovernorBuilder) -> GovernorBuilder {
        let denies_long = policy_fn("denies-long", |subject| {
            let long = subject.mutation::<Alive>().map_or(0, |m| m.text.len()) == 2_000;
            Ok(if long {
                PolicyDecision::deny("long", "it is long")?
            } else {
                PolicyDecision::allow()
            })
        });
        builder.register::<Alive>().policy(denies_long)
    }
    let world = World::with(configured);
    let kept = || ALIVE.load(Ordering::SeqCst);
    let (alice, team) = (user("alice"), state("team"));
    let submit = |length| world.governor.submit(&alice, &team, alive(length));
    submit(20_000).await.unwrap();
    assert_eq!(kept(), 0, "too long");
    submit(2_000).await.unwrap();
    assert_eq!(kept(), 0, "denied");
    let mut ids: Vec<RequestId> = Vec::new();
    for n in 1..=200 {
        ids.push(submit(10).await.unwrap().id());
        assert_eq!(kept(), n.min(64));
    }
    for tenant in ["a", "b"] {
        let tenant = governance_core::TenantId::new(tenant).unwrap();
        let other = world.governor.for_tenant(tenant);
        other.submit(&alice, &team, alive(10)).await.unwrap();
        assert_eq!(kept(), 64, "tenants share them");
    }
    let newest = ids.pop().unwrap();
    let refused = world.execute(&newest, OnStale::Reject).await;
    assert_eq!(refused.unwrap().outcome(), ExecutionOutcome::Executed);
    assert_eq!(kept(), 63, "it was run");
    drop(world);
    assert_eq!(kept(), 0);
}
