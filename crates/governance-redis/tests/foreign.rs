//! A key that somebody else has made something of: the write is refused before it has begun.

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use governance_core::{
    Act, Commit, GovernedCommit, MutationRequest, RequestStore, StateVersion, StateWrite,
    StoreError,
};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, VirtualClock, actor, approve, complete, operation, scope,
};
use redis_client::redis;
use redis_harness::Persistence;

use crate::support::{
    open, options, server,
    snapshot::{put_back, snapshot},
};

/// The life of a request, step by step.
struct Life {
    created: Arc<MutationRequest>,
    approved: Arc<MutationRequest>,
    done: Arc<MutationRequest>,
}

const STEPS: [&str; 4] = ["create", "approve", "commit", "purge"];

impl Life {
    fn new() -> Self {
        let now = VirtualClock::START;
        let act = |who: &str, n| Act::new(&actor(who), now, operation(n));
        let created = RequestBuilder::new(&SeededIds::new(1), now)
            .key("once")
            .expires_in(Duration::from_secs(60))
            .asks(["bob"])
            .build();
        let approved = approve(&created, act("bob", 1), Default::default());
        let done = complete(
            &approved,
            act("deployer", 2),
            StateVersion::new(0),
            Vec::new(),
        );
        Self {
            created,
            approved,
            done,
        }
    }

    async fn step(&self, store: &RedisStore, step: &str) -> Result<(), StoreError> {
        match step {
            "create" => store.create(Arc::clone(&self.created)).await.map(drop),
            "approve" => {
                let (request, before) = (Arc::clone(&self.approved), self.created.revision());
                store.try_store(request, before).await.map(drop)
            }
            "commit" => {
                let commit = Commit::of(Arc::clone(&self.done), self.approved.revision());
                let state = StateWrite {
                    scope: scope("a"),
                    expected: StateVersion::new(0),
                    body: Some("value".into()),
                    operation: operation(3),
                };
                store.commit(&commit.with_state(state)).await.map(drop)
            }
            _ => store.purge(self.done.id(), self.done.revision()).await,
        }
    }
}

/// What kind of key it is: the part behind the hash tag, without the generation.
fn kind(key: &[u8]) -> String {
    let key = String::from_utf8_lossy(key);
    let (_, rest) = key.split_once("}:").expect("a tag");
    let kind = rest.split(':').next().unwrap_or_default();
    kind.trim_end_matches(|c: char| c.is_ascii_digit())
        .to_owned()
}

#[tokio::test]
async fn a_key_of_another_type_stops_a_write_before_it_begins() {
    let server = server(Persistence::None).await;
    let mut admin = server.connection().await;
    let options = options();
    open(server.url(), &options).await;
    let life = Life::new();
    let mut kinds = BTreeSet::new();
    for step in STEPS {
        let before = snapshot(&mut admin).await;
        let store = open(server.url(), &options).await;
        life.step(&store, step).await.expect(step);
        let after = snapshot(&mut admin).await;
        let keys = before.keys().chain(after.keys());
        let touched: BTreeSet<_> = keys
            .filter(|key| before.get(*key) != after.get(*key))
            .collect();
        assert!(!touched.is_empty(), "{step}");
        for key in touched {
            let name = String::from_utf8_lossy(key);
            put_back(&mut admin, &before).await;
            // Knows nothing of what was undone.
            let store = open(server.url(), &options).await;
            let mut foreign = redis::pipe();
            foreign.cmd("DEL").arg(key);
            foreign.cmd("RPUSH").arg(key).arg("of somebody else");
            foreign.exec_async(&mut admin).await.expect("a list");
            let spoiled = snapshot(&mut admin).await;
            let outcome = life.step(&store, step).await;
            assert!(outcome.is_err(), "{step} with {name}: {outcome:?}");
            assert_eq!(snapshot(&mut admin).await, spoiled, "{step} with {name}");
            kinds.insert(kind(key));
        }
        put_back(&mut admin, &after).await;
    }
    let kinds: Vec<_> = kinds.iter().map(String::as_str).collect();
    assert_eq!(
        kinds,
        ["b", "d", "e", "k", "n", "o", "q", "r", "s", "x", "y", "z"]
    );
}
