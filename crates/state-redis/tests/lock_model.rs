//! The same calls have the same answers in memory and on a server.

mod support;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use state_core::lock::{Acquired, Fence, GuardedSet, Hold, LockStore, Mode, Realm, Target, Token};
use state_memory::{Faults, lock::MemoryLocks};
use state_redis::lock::{RedisLockOptions, RedisLocks};
use state_testkit::VirtualClock;

use crate::support::{client, server};

/// Nothing ends by itself in a trace: the two would have to agree on when. The suite has cases for
/// that, and for writers that wait, whose claim ends by itself too.
const TTL: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy)]
enum Step {
    Acquire(usize, u8),
    Extend(usize, u8),
    Release(usize, u8),
    Set(usize, u8),
    Get(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (target, holder) = (|| 0..TARGETS, || 1_u8..5);
    prop_oneof![
        5 => (target(), holder()).prop_map(|(target, holder)| Step::Acquire(target, holder)),
        2 => (target(), holder()).prop_map(|(target, holder)| Step::Extend(target, holder)),
        4 => (target(), holder()).prop_map(|(target, holder)| Step::Release(target, holder)),
        1 => (0_usize..2, holder()).prop_map(|(target, fence)| Step::Set(target, fence)),
        1 => (0_usize..2).prop_map(Step::Get),
    ]
}

const TARGETS: usize = 10;

fn targets() -> [Target; TARGETS] {
    let one = |mode, name| Target::one(Realm::Lock, mode, name).expect("a name");
    let many = |names: &[&str]| Target::many("s", names).expect("names");
    [
        one(Mode::Exclusive, "a"),
        one(Mode::Exclusive, "b"),
        Target::one(Realm::Leader, Mode::Exclusive, "a").expect("a name"),
        many(&["x"]),
        many(&["x", "y"]),
        many(&["z", "y"]),
        one(Mode::Read, "a"),
        one(Mode::Write, "a"),
        one(Mode::Permit { of: 2 }, "a"),
        one(Mode::Permit { of: 3 }, "a"),
    ]
}

/// Which targets share names.
const OVERLAPPING: std::ops::RangeInclusive<usize> = 3..=5;

/// A token belongs to one acquisition. Only where targets share names it asks for several of them:
/// what that does is part of the contract.
fn token(target: usize, holder: u8) -> Token {
    let target = if OVERLAPPING.contains(&target) {
        *OVERLAPPING.start()
    } else {
        target
    };
    let target = u8::try_from(target).expect("a few targets");
    Token::from_bytes([target * 8 + holder; 16])
}

/// A store and the fences it gave. They are times on each, so what is compared is which of them it
/// was, and that a new one is larger than all before of the same target.
struct Side {
    store: Arc<dyn LockStore>,
    fences: BTreeMap<usize, Vec<Fence>>,
}

impl Side {
    fn new(store: Arc<dyn LockStore>) -> Self {
        let fences = BTreeMap::new();
        Self { store, fences }
    }

    fn which(&mut self, target: usize, fence: Fence) -> String {
        let fences = self.fences.entry(target).or_default();
        if let Some(at) = fences.iter().position(|seen| *seen == fence) {
            return format!("fence {at}");
        }
        let rises = fences.last().is_none_or(|last| *last < fence);
        fences.push(fence);
        format!("fence {} rises: {rises}", fences.len() - 1)
    }

    async fn answer(&mut self, step: Step) -> String {
        let hold = |target: usize, holder| Hold {
            target: targets()[target].clone(),
            token: token(target, holder),
            ttl: TTL,
        };
        match step {
            Step::Acquire(at, holder) => match self.store.acquire(&hold(at, holder), false).await {
                Ok(Acquired::Granted { fence }) => self.which(at, fence),
                Ok(Acquired::Held { remaining }) => {
                    format!("held: {}", remaining > TTL / 2 && remaining <= TTL)
                }
                Err(error) => error.to_string(),
            },
            Step::Extend(at, holder) => format!("{:?}", self.store.extend(&hold(at, holder)).await),
            Step::Release(at, holder) => {
                format!("{:?}", self.store.release(&hold(at, holder)).await)
            }
            Step::Set(at, fence) => {
                let (value, fence) = (Bytes::from(vec![fence]), Fence::new(u64::from(fence)));
                let targets = targets();
                let set = self.store.guarded_set(&targets[at], fence, value, TTL);
                match set.await {
                    Ok(GuardedSet::Fenced { current }) => format!("fenced by {current}"),
                    other => format!("{other:?}"),
                }
            }
            Step::Get(at) => {
                let found = self.store.guarded_get(&targets()[at]).await;
                let found = found.expect("an answer");
                format!("{:?}", found.map(|found| (found.fence, found.value)))
            }
        }
    }
}

#[test]
fn memory_and_redis_give_the_same_answers() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let server = runtime.block_on(server());
    let mut runner = TestRunner::new(Config {
        cases: 60,
        failure_persistence: None,
        ..Config::default()
    });
    let steps = prop::collection::vec(step(), 1..60);
    let result = runner.run(&steps, |steps| {
        runtime.block_on(async {
            let client = client(server.url()).await;
            let redis = RedisLocks::new(client, RedisLockOptions::default()).expect("options");
            let clock = VirtualClock::new();
            let memory = MemoryLocks::with(Arc::new(clock.clone()), Faults::new());
            let (mut redis, mut memory) = (Side::new(Arc::new(redis)), Side::new(Arc::new(memory)));
            for (number, step) in steps.iter().enumerate() {
                clock.advance(Duration::from_micros(100));
                let expected = memory.answer(*step).await;
                let found = redis.answer(*step).await;
                prop_assert_eq!(found, expected, "{} {:?}", number, step);
            }
            Ok(())
        })
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
