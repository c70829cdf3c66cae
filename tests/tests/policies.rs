//! Policies that take their time, and compositions of many.

use std::{
    future::{pending, poll_fn},
    task::Poll,
    time::Duration,
};

use governance_core::{
    ExecutionOutcome, Governor, OnStale, Policy, PolicyDecision, PolicyFault, PolicyPhase,
    PolicySubject, PolicyTree, Status, policy_fn,
};
use governance_memory::MemoryStore;
use governance_testkit::async_trait;
use tests::fixtures::{Raise, World, assert_whole};

/// Answers when it has been asked so often, and in one phase never.
#[derive(Debug)]
struct Slow {
    polls: u32,
    never: Option<PolicyPhase>,
}

#[async_trait]
impl Policy for Slow {
    fn name(&self) -> &str {
        "slow"
    }

    async fn evaluate(&self, subject: &PolicySubject<'_>) -> Result<PolicyDecision, PolicyFault> {
        if self.never == Some(subject.phase()) {
            pending::<()>().await;
        }
        let mut left = self.polls;
        poll_fn(|context| match left.checked_sub(1) {
            None => Poll::Ready(()),
            Some(fewer) => {
                left = fewer;
                context.waker().wake_by_ref();
                Poll::Pending
            }
        })
        .await;
        Ok(PolicyDecision::allow())
    }
}

#[tokio::test]
async fn an_answer_is_heard_however_often_it_has_to_be_asked_for() {
    for polls in [0, 1, 2, 3, 1_000] {
        let world = World::new(Slow { polls, never: None });
        let id = world.raise(5).await;
        let report = world.execute(&id, OnStale::Reject).await.unwrap();
        assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    }
}

#[tokio::test]
async fn who_never_answers_denies_a_submission_and_puts_an_execution_off() {
    let slow = |never| {
        World::with(|b| {
            let never = Some(never);
            b.policy(Slow { polls: 0, never })
                .policy_deadline(Duration::from_millis(1))
        })
    };
    let world = slow(PolicyPhase::Submission);
    let id = world.raise(5).await;
    let request = world.get(&id).await;
    assert_eq!(request.status(), Status::Rejected);
    assert_whole(&request);
    let world = slow(PolicyPhase::Execution);
    let id = world.raise(5).await;
    for _ in 0..2 {
        let error = world.execute(&id, OnStale::Reject).await.unwrap_err();
        assert_eq!(error.code(), "governor.policy_unavailable");
        assert_eq!(world.get(&id).await.status(), Status::Approved);
    }
}

const COMPOSE: [fn(PolicyTree) -> PolicyTree; 3] = [
    |inner| PolicyTree::all_of("a", [inner]),
    |inner| PolicyTree::any_of("a", [inner]),
    |inner| PolicyTree::priority("a", [inner]),
];

fn deep(levels: usize, compose: fn(PolicyTree) -> PolicyTree) -> PolicyTree {
    let allows = policy_fn("allows", |_| Ok(PolicyDecision::allow()));
    (0..levels).fold(allows.into(), |tree, _| compose(tree))
}

/// Half of the stack that threads of a runtime have by default.
#[test]
fn compositions_as_deep_as_may_be_fit_on_a_small_stack() {
    for compose in COMPOSE {
        let asked = std::thread::Builder::new()
            .stack_size(1 << 20)
            .spawn(move || {
                let mut runtime = tokio::runtime::Builder::new_current_thread();
                let runtime = runtime.enable_time().build().expect("a runtime");
                runtime.block_on(async {
                    let world = World::new(deep(PolicyTree::MAX_LEVELS, compose));
                    let id = world.raise(5).await;
                    let done = world.execute(&id, OnStale::Reject).await;
                    done.expect("an execution").outcome()
                })
            });
        let outcome = asked.expect("a thread").join().expect("no panic");
        assert_eq!(outcome, ExecutionOutcome::Executed);
    }
}

#[test]
fn deeper_compositions_are_refused_when_the_governor_is_built() {
    for compose in COMPOSE {
        for levels in [PolicyTree::MAX_LEVELS + 1, 1_000] {
            let tree = deep(levels, compose);
            assert_eq!(tree.levels(), levels);
            let wide = PolicyTree::all_of("wide", [deep(0, compose), tree.clone()]);
            assert_eq!(wide.levels(), levels + 1);
            let built = Governor::builder(MemoryStore::new())
                .register::<Raise>()
                .policy(deep(1, compose))
                .policy(tree)
                .build();
            assert_eq!(built.map(drop).unwrap_err().code(), "build.too_deep");
        }
    }
}
