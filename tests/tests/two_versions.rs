//! An older and a newer version of a program on one store.

use std::collections::BTreeMap;

use governance_core::{
    Actor, Applied, GovernedState, Governor, Intent, InvalidName, Mutation, MutationError, OnStale,
    OperationId, PolicyDecision, Remedy, StateId, Status, ValidationErrors, policy_fn,
};
use governance_memory::MemoryStore;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Flag {
    on: bool,
    #[serde(default)]
    percent: u8,
}

impl GovernedState for Flag {
    const TYPE: &'static str = "flags.flag";

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

/// A version of the mutation: its fields, and what it makes of a flag.
macro_rules! version {
    ($name:ident { $($(#[$rule:meta])* $field:ident: $type:ty),* }, $of:ident => $flag:expr) => {
        #[derive(Debug, Serialize, Deserialize)]
        struct $name { $($(#[$rule])* $field: $type),* }

        impl Mutation for $name {
            type State = Flag;
            const TYPE: &'static str = "flags.switch";

            fn intent(&self) -> Result<Intent, InvalidName> {
                Intent::new("flag.switch", "flags")
            }

            fn validate(&self, _: &Flag) -> Result<(), ValidationErrors> {
                Ok(())
            }

            fn apply(self, _: Flag) -> Result<Applied<Flag>, MutationError> {
                let $of = self;
                Ok(Applied::new($flag))
            }
        }
    };
}

version!(Older { on: bool }, it => Flag { on: it.on, percent: 100 });
version!(
    Newer { on: bool, #[serde(default = "all")] percent: u8 },
    it => Flag { on: it.on, percent: it.percent }
);

const fn all() -> u8 {
    100
}

fn program<M: Mutation>(store: &MemoryStore) -> Governor {
    let fine = policy_fn("fine", |_| Ok(PolicyDecision::allow()));
    let builder = Governor::builder(store.clone()).register::<M>();
    builder.policy(fine).build().expect("a governor")
}

#[tokio::test]
async fn an_older_program_does_not_execute_what_it_would_leave_out() {
    let store = MemoryStore::new();
    let (older, newer) = (program::<Older>(&store), program::<Newer>(&store));
    let (alice, flag) = (
        Actor::user("alice").unwrap(),
        StateId::new("launch").unwrap(),
    );
    let change = Newer {
        on: true,
        percent: 5,
    };
    let id = newer.submit(&alice, &flag, change).await.unwrap().id();

    for _ in 0..2 {
        let refused = older
            .execute(&id, &alice, OnStale::Reject)
            .await
            .unwrap_err();
        assert_eq!(refused.code(), "governor.upgrade");
        assert_eq!(refused.remedy(), Remedy::Investigate);
        assert!(refused.to_string().contains("a field that is not known"));
        assert!(older.dry_run(&id, &alice, OnStale::Reject).await.is_err());
    }
    let request = older.get(&id).await.unwrap();
    assert_eq!(
        (request.status(), request.revision().get()),
        (Status::Approved, 1)
    );

    newer.execute(&id, &alice, OnStale::Reject).await.unwrap();
    let state = older.state::<Flag>(&flag).await.unwrap().0;
    assert_eq!(
        state,
        Some(Flag {
            on: true,
            percent: 5
        })
    );
}

#[tokio::test]
async fn a_newer_program_executes_what_an_older_one_submitted() {
    let store = MemoryStore::new();
    let (older, newer) = (program::<Older>(&store), program::<Newer>(&store));
    let (alice, flag) = (
        Actor::user("alice").unwrap(),
        StateId::new("launch").unwrap(),
    );
    let id = older
        .submit(&alice, &flag, Older { on: true })
        .await
        .unwrap()
        .id();
    newer.execute(&id, &alice, OnStale::Reject).await.unwrap();
    let state = newer.state::<Flag>(&flag).await.unwrap().0;
    assert_eq!(
        state,
        Some(Flag {
            on: true,
            percent: 100
        })
    );
}

/// Has keys that are no texts.
#[derive(Debug, Serialize, Deserialize)]
struct ByOperation {
    shares: BTreeMap<OperationId, u8>,
}

impl Mutation for ByOperation {
    type State = Flag;
    const TYPE: &'static str = "flags.share";

    fn intent(&self) -> Result<Intent, InvalidName> {
        Intent::new("flag.share", "flags")
    }

    fn validate(&self, _: &Flag) -> Result<(), ValidationErrors> {
        Ok(())
    }

    fn apply(self, _: Flag) -> Result<Applied<Flag>, MutationError> {
        let percent = self.shares.values().sum();
        Ok(Applied::new(Flag { on: true, percent }))
    }
}

#[tokio::test]
async fn keys_that_are_no_texts_are_executed_by_another_process() {
    let store = MemoryStore::new();
    let (alice, flag) = (
        Actor::user("alice").unwrap(),
        StateId::new("launch").unwrap(),
    );
    let ids = [[1; 16], [2; 16]].map(OperationId::from_bytes);
    let shares = BTreeMap::from([(ids[0], 3), (ids[1], 4)]);
    let submitted = program::<ByOperation>(&store)
        .submit(&alice, &flag, ByOperation { shares })
        .await
        .unwrap();
    let other = program::<ByOperation>(&store);
    let id = submitted.id();
    other.execute(&id, &alice, OnStale::Reject).await.unwrap();
    let state = other.state::<Flag>(&flag).await.unwrap().0.unwrap();
    assert_eq!(state.percent, 7);
}

version!(
    Forgetful { on: bool, #[serde(skip_deserializing)] note: String },
    it => Flag { on: it.on, percent: 100 }
);

#[tokio::test]
async fn what_a_type_does_not_read_back_is_refused_at_submission() {
    let store = MemoryStore::new();
    let (alice, flag) = (
        Actor::user("alice").unwrap(),
        StateId::new("launch").unwrap(),
    );
    let change = Forgetful {
        on: true,
        note: "for the launch".to_owned(),
    };
    let program = program::<Forgetful>(&store);
    let refused = program.submit(&alice, &flag, change).await.unwrap_err();
    assert_eq!(refused.remedy(), Remedy::MendProgram);
    assert!(
        refused
            .to_string()
            .contains("a field that its type writes and does not read"),
        "{refused}"
    );
}
