//! What a submission decoded serves the execution that follows, and changes nothing about it.

use std::sync::atomic::{AtomicUsize, Ordering};

use governance_core::{
    Applied, ExecutionOutcome, Governor, Intent, InvalidName, Mutation, MutationError, OnStale,
    PolicyDecision, Risk, StateVersion, SubmitOptions, ValidationErrors, policy_fn,
};
use governance_memory::MemoryStore;
use serde::{Deserialize, Deserializer, Serialize};
use tests::fixtures::{Quota, World, state, user};

static DECODED: AtomicUsize = AtomicUsize::new(0);

/// Sets the limit. Counts how often it is decoded.
#[derive(Debug, Clone, Serialize)]
struct Counted {
    limit: u64,
}

impl<'de> Deserialize<'de> for Counted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            limit: u64,
        }
        DECODED.fetch_add(1, Ordering::SeqCst);
        Fields::deserialize(deserializer).map(|Fields { limit }| Self { limit })
    }
}

impl Mutation for Counted {
    type State = Quota;
    const TYPE: &'static str = "tests.counted";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Ok(Intent::new("quota.set", "billing")?.risk(Risk::Low))
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, _: Quota) -> Result<Applied<Quota>, MutationError> {
        Ok(Applied::new(Quota::of(self.limit)))
    }
}

fn governor(store: &MemoryStore) -> Governor {
    Governor::builder(store.clone())
        .register::<Counted>()
        .register::<Partial>()
        .policy(policy_fn("anything", |subject| {
            // A partial mutation is judged by what is stored of it.
            let hidden = subject.mutation::<Partial>().map_or(0, |m| m.hidden);
            Ok(if hidden == 0 {
                PolicyDecision::allow()
            } else {
                PolicyDecision::deny("hidden", "it hides something")?
            })
        }))
        .build()
        .expect("a governor")
}

#[tokio::test]
async fn a_change_is_decoded_once_here_and_once_more_elsewhere() {
    let store = MemoryStore::new();
    let (here, elsewhere) = (governor(&store), governor(&store));
    let (alice, team) = (user("alice"), state("team"));
    let decoded = || DECODED.load(Ordering::SeqCst);

    let submitted = here.submit(&alice, &team, Counted { limit: 7 }).await;
    let id = submitted.unwrap().id();
    assert_eq!(decoded(), 1, "read back");
    here.dry_run(&id, &alice, OnStale::Reject).await.unwrap();
    assert_eq!(
        decoded(),
        2,
        "a dry run leaves what is kept to the execution"
    );
    let report = here.execute(&id, &alice, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    assert_eq!(decoded(), 2, "what was read back was run");

    let submitted = here.submit(&alice, &team, Counted { limit: 8 }).await;
    let id = submitted.unwrap().id();
    assert_eq!(decoded(), 3);
    let report = elsewhere.execute(&id, &alice, OnStale::Reject).await;
    assert_eq!(report.unwrap().outcome(), ExecutionOutcome::Executed);
    assert_eq!(decoded(), 4, "another process knows what is stored");

    let (now, _) = here.state::<Quota>(&team).await.unwrap();
    assert_eq!(now, Some(Quota::of(8)));

    // The oldest are not kept for ever.
    let mut ids = Vec::new();
    for limit in 0..80 {
        let submitted = here.submit(&alice, &team, Counted { limit }).await;
        ids.push(submitted.unwrap().id());
    }
    assert_eq!(decoded(), 84);
    for id in [&ids[0], &ids[79]] {
        let report = here.execute(id, &alice, OnStale::AnyVersion).await;
        assert_eq!(report.unwrap().outcome(), ExecutionOutcome::Executed);
    }
    assert_eq!(decoded(), 85, "one was kept, the other decoded");
}

#[tokio::test]
async fn a_state_that_moved_since_the_submission_is_not_the_one_that_is_changed() {
    let world = World::new(policy_fn("anything", |_| Ok(PolicyDecision::allow())));
    let (first, second) = (world.raise(5).await, world.raise(6).await);
    for id in [first, second] {
        let report = world.execute(&id, OnStale::AnyVersion).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    }
    let now = world.governor.state::<Quota>(&state("team")).await;
    let (value, version) = now.unwrap();
    assert_eq!(version, StateVersion::new(2));
    assert_eq!(value, Some(Quota::of(11)));
}

/// Leaves a field out of its encoding.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Partial {
    limit: u64,
    #[serde(skip)]
    hidden: u64,
}

impl Mutation for Partial {
    type State = Quota;
    const TYPE: &'static str = "tests.partial";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Ok(Intent::new("quota.set", "billing")?.risk(Risk::Low))
    }

    fn validate(&self, _: &Quota) -> Result<(), ValidationErrors> {
        let seen = self.hidden == 0;
        ValidationErrors::check(seen, "hidden", "hidden", "it is not stored")
    }

    fn apply(self, _: Quota) -> Result<Applied<Quota>, MutationError> {
        Ok(Applied::new(Quota::of(self.limit + self.hidden)))
    }
}

#[tokio::test]
async fn what_a_mutation_leaves_out_of_its_encoding_is_neither_judged_nor_run() {
    let here = governor(&MemoryStore::new());
    let (alice, team) = (user("alice"), state("team"));
    let change = Partial {
        limit: 3,
        hidden: 100,
    };
    let options = SubmitOptions::new();
    let submitted = here.submit_with(&alice, &team, change, options).await;
    let submitted = submitted.unwrap();
    assert!(submitted.is_approved(), "{:?}", submitted.outcome());
    let id = submitted.id();
    let report = here.execute(&id, &alice, OnStale::Reject).await.unwrap();
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    let (now, _) = here.state::<Quota>(&team).await.unwrap();
    assert_eq!(now, Some(Quota::of(3)));
}
