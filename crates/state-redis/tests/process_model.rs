//! The same calls have the same answers in memory and on a server.

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use state_core::{
    Namespace, OperationId,
    lock::Fence,
    process::{
        Change, Claim, Claimed, Created, Deleted, Expect, Listing, NewProcess, Payload,
        ProcessOptions, ProcessStore, Save, Saved, Status, Version,
    },
};
use state_memory::{Faults, process::MemoryProcesses};
use state_redis::process::RedisProcesses;
use state_testkit::VirtualClock;

use crate::support::{client, server};

const IDS: [&str; 3] = ["a", "b:{c}", "active"];

/// Nothing ends by itself in a trace: the two would have to agree on when. The suite has cases for
/// that.
const LONG: Duration = Duration::from_secs(600);

#[derive(Debug, Clone)]
enum Step {
    Create(usize, Status, u8),
    Save {
        id: usize,
        status: Option<Status>,
        /// Based on which of the versions seen; none of them on any.
        version: Option<usize>,
        /// Under which of the fences seen.
        fence: Option<usize>,
        from: Vec<Status>,
        overrides: bool,
        operation: u8,
    },
    Get(usize),
    Delete(usize, Option<usize>),
    Claim(usize, u8, u8),
    Heartbeat(usize),
    Release(usize),
    Lists,
}

fn step() -> impl Strategy<Value = Step> {
    let (id, operation) = (|| 0..IDS.len(), || 0_u8..12);
    let seen = || prop::option::of(0..20_usize);
    let statuses = || prop::sample::select(Status::ALL.to_vec());
    let live = || prop::sample::select(Status::LIVE.to_vec());
    let from = prop_oneof![
        3 => Just(Status::LIVE.to_vec()),
        // The front never asks to go on from an end.
        1 => prop::sample::subsequence(Status::LIVE.to_vec(), 0..=Status::LIVE.len()),
    ];
    let save = (
        id(),
        prop::option::of(statuses()),
        seen(),
        seen(),
        from,
        prop::bool::weighted(0.15),
        operation(),
    );
    let save =
        save.prop_map(
            |(id, status, version, fence, from, overrides, operation)| Step::Save {
                id,
                status,
                version,
                fence,
                from,
                overrides,
                operation,
            },
        );
    prop_oneof![
        4 => (id(), live(), operation()).prop_map(|(id, status, op)| Step::Create(id, status, op)),
        8 => save,
        2 => id().prop_map(Step::Get),
        1 => (id(), seen()).prop_map(|(id, version)| Step::Delete(id, version)),
        4 => (id(), 0_u8..3, operation()).prop_map(|(id, worker, op)| Step::Claim(id, worker, op)),
        2 => (0..20_usize).prop_map(Step::Heartbeat),
        2 => (0..20_usize).prop_map(Step::Release),
        1 => Just(Step::Lists),
    ]
}

/// A store and what it gave. Versions and fences are times on each, so what is compared is which of
/// them it was.
struct Side {
    store: Arc<dyn ProcessStore>,
    versions: Vec<(usize, Version)>,
    fences: Vec<(usize, Fence)>,
    claims: Vec<(usize, Claim)>,
}

fn position<T: PartialEq>(seen: &mut Vec<T>, value: T) -> usize {
    seen.iter()
        .position(|one| *one == value)
        .unwrap_or_else(|| {
            seen.push(value);
            seen.len() - 1
        })
}

fn pick<T>(seen: &[T], at: usize) -> Option<&T> {
    (!seen.is_empty()).then(|| &seen[at % seen.len()])
}

impl Side {
    fn new(store: Arc<dyn ProcessStore>) -> Self {
        Self {
            store,
            versions: Vec::new(),
            fences: Vec::new(),
            claims: Vec::new(),
        }
    }

    fn version(&mut self, id: usize, version: Version) -> usize {
        position(&mut self.versions, (id, version))
    }

    fn fence(&mut self, id: usize, fence: Fence) -> usize {
        position(&mut self.fences, (id, fence))
    }

    fn expect(&self, at: Option<usize>) -> Expect {
        let version = at.and_then(|at| pick(&self.versions, at));
        version.map_or(Expect::Any, |(_, version)| Expect::Exact(*version))
    }

    async fn save(&mut self, id: usize, save: &Save<'_>) -> String {
        match self.store.save(IDS[id], save).await.expect("an answer") {
            Saved::Saved { version } => format!("saved {}", self.version(id, version)),
            Saved::AlreadyApplied { version } => format!("again {}", self.version(id, version)),
            Saved::Conflict { current, status } => {
                format!("conflict {} {status}", self.version(id, current))
            }
            Saved::Fenced { current } => format!("fenced {}", self.fence(id, current)),
            other => format!("{other:?}"),
        }
    }

    async fn get(&mut self, id: usize) -> String {
        let found = self.store.get(IDS[id]).await.expect("an answer");
        let Some(process) = found else {
            return "nothing".to_owned();
        };
        let header = process.header;
        let (version, fence) = (
            self.version(id, header.version),
            self.fence(id, header.fence),
        );
        format!(
            "{} {} {} {} {:?} {:?} {:?} {version} {fence} {} {} {:?}",
            header.id,
            header.kind,
            header.status,
            header.percent,
            header.step,
            header.error,
            header.owner,
            header.ended.is_some(),
            header.lease_until.is_some(),
            process.payload,
        )
    }

    async fn lists(&self) -> String {
        let mut told = String::new();
        for listing in [
            Listing::Active,
            Listing::Unclaimed,
            Listing::Orphans,
            Listing::ByKind("k"),
            Listing::Ended,
        ] {
            let page = self.store.list(listing, None).await.expect("a page");
            assert!(page.undecodable.is_empty() && page.next.is_none());
            let ids: BTreeSet<_> = page.items.into_iter().map(|item| item.id).collect();
            told += &format!("{ids:?} ");
        }
        told
    }

    async fn answer(&mut self, number: usize, step: &Step) -> String {
        let operation = |number: u8| OperationId::from_bytes([number; 16]);
        match step {
            Step::Create(id, status, number) => {
                let new = NewProcess::new(IDS[*id], "k").status(*status);
                let new = new.payload(Payload::new("raw", vec![*number]));
                let created = self.store.create(&new, operation(*number)).await;
                match created.expect("an answer") {
                    Created::Created { version } => {
                        format!("created {}", self.version(*id, version))
                    }
                    Created::Exists { version } => format!("exists {}", self.version(*id, version)),
                    Created::AlreadyApplied { version } => {
                        format!("again {}", self.version(*id, version))
                    }
                }
            }
            Step::Save {
                id,
                status,
                version,
                fence,
                from,
                overrides,
                operation: name,
            } => {
                let mut change = Change::new().step(number.to_string());
                if let Some(status) = status {
                    change = change.status(*status);
                } else {
                    change = change.percent(*name);
                }
                let fence = fence.and_then(|at| pick(&self.fences, at));
                let save = Save {
                    change: &change,
                    expect: self.expect(*version),
                    fence: fence.map(|(_, fence)| *fence),
                    allowed_from: from,
                    overrides_claim: *overrides,
                    operation: operation(*name),
                };
                self.save(*id, &save).await
            }
            Step::Get(id) => self.get(*id).await,
            Step::Delete(id, version) => {
                let deleted = self.store.delete(IDS[*id], self.expect(*version)).await;
                match deleted.expect("an answer") {
                    Deleted::Conflict { current } => {
                        format!("conflict {}", self.version(*id, current))
                    }
                    other => format!("{other:?}"),
                }
            }
            Step::Claim(id, worker, name) => {
                let worker = format!("w{worker}");
                let claimed = self.store.claim(IDS[*id], &worker, LONG, operation(*name));
                match claimed.await.expect("an answer") {
                    Claimed::Claimed(claim) => {
                        let told = (
                            self.version(*id, claim.version),
                            self.fence(*id, claim.fence),
                        );
                        self.claims.push((*id, claim));
                        format!("claimed {told:?}")
                    }
                    Claimed::Busy { remaining } => {
                        format!("busy {}", remaining > LONG / 2 && remaining <= LONG)
                    }
                    other => format!("{other:?}"),
                }
            }
            Step::Heartbeat(at) => match pick(&self.claims, *at) {
                Some((_, claim)) => format!("{:?}", self.store.heartbeat(claim).await),
                None => String::new(),
            },
            Step::Release(at) => match pick(&self.claims, *at) {
                Some((_, claim)) => format!("{:?}", self.store.release(claim).await),
                None => String::new(),
            },
            Step::Lists => self.lists().await,
        }
    }
}

#[test]
fn memory_and_redis_give_the_same_answers() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(server());
    let mut runner = TestRunner::new(Config {
        cases: 80,
        failure_persistence: None,
        ..Config::default()
    });
    let steps = prop::collection::vec(step(), 1..80);
    let options = ProcessOptions::default().retention(LONG);
    let result = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let client = client(server.url()).await;
            let namespace = Namespace::new("jobs").expect("a name");
            let redis = RedisProcesses::new(client, &namespace, 2, options).expect("options");
            let clock = VirtualClock::new();
            let memory = MemoryProcesses::with(options, Arc::new(clock.clone()), Faults::new());
            let memory = memory.expect("options");
            let (mut redis, mut memory) = (Side::new(Arc::new(redis)), Side::new(Arc::new(memory)));
            for (number, step) in steps.iter().enumerate() {
                // Longer than all versions of a step: a new life has versions of its own.
                clock.advance(Duration::from_millis(1));
                let expected = memory.answer(number, step).await;
                let found = redis.answer(number, step).await;
                prop_assert_eq!(found, expected, "{} {:?}", number, step);
            }
            for id in 0..IDS.len() {
                prop_assert_eq!(redis.get(id).await, memory.get(id).await);
            }
            prop_assert_eq!(redis.lists().await, memory.lists().await);
            Ok(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
