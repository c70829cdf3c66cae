//! Many changes at a time, those of one policy in order.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::Arc,
};

use governance_core::{Digest, StateId};
use tokio::{
    sync::mpsc,
    task::{JoinError, JoinSet},
};

use crate::{
    conduct::Refusals,
    input::{BadLine, Change},
    replay::{Replay, Trouble},
};

/// What a state has to be at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) version: String,
    pub(crate) document: Digest,
}

/// What became of the input.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// How many changes were carried out.
    pub(crate) changes: u64,
    /// The last change of each policy that was carried out, as the input has it.
    pub(crate) expected: BTreeMap<StateId, Expected>,
    /// Votes that were refused, by the code of the error.
    pub(crate) refusals: Refusals,
    /// The first bad line. What is before it was carried out.
    pub(crate) stopped: Option<BadLine>,
    /// The first thing that failed and that no line is to blame for. What was under way at that
    /// time came to its end, one way or the other; nothing was begun any more.
    pub(crate) broken: Option<anyhow::Error>,
}

/// Changes that wait for their turn.
#[derive(Debug, Default)]
struct Queues {
    /// By policy, in the order of the input. A policy is in here while a change of it waits or is
    /// under way.
    waiting: HashMap<StateId, VecDeque<Change>>,
    /// The policies of which none is under way, by the line of their first change.
    ready: BTreeMap<u64, StateId>,
    len: usize,
}

impl Queues {
    fn push(&mut self, change: Change) {
        self.len += 1;
        let line = change.line;
        if let Some(queue) = self.waiting.get_mut(&change.policy) {
            queue.push_back(change);
        } else {
            let policy = change.policy.clone();
            self.ready.insert(line, policy.clone());
            self.waiting.insert(policy, VecDeque::from([change]));
        }
    }

    /// The first line in the input that may run. Its policy is under way until it is released.
    fn start(&mut self) -> Option<Change> {
        let (_, policy) = self.ready.pop_first()?;
        let change = self.waiting.get_mut(&policy)?.pop_front()?;
        self.len -= 1;
        Some(change)
    }

    /// A change of this policy is done; the next may run.
    fn release(&mut self, policy: &StateId) {
        match self.waiting.get(policy).and_then(VecDeque::front) {
            Some(next) => {
                self.ready.insert(next.line, policy.clone());
            }
            None => {
                self.waiting.remove(policy);
            }
        }
    }

    /// Drops what is behind a line.
    fn cut(&mut self, line: u64) {
        for queue in self.waiting.values_mut() {
            queue.retain(|change| change.line < line);
        }
        self.ready.retain(|first, _| *first < line);
        self.len = self.waiting.values().map(VecDeque::len).sum();
    }
}

/// Carries out what the input has, changes of different policies at the same time, no more than
/// `concurrency` of them. Always starts the first line that may run, so that with one at a time
/// nothing overtakes. Ends at the first bad line, when everything before it is done, and at the
/// first failure, when everything under way has ended.
///
/// How much is read ahead is bounded: the input waits while enough changes wait here.
///
/// # Errors
///
/// When a task does not end.
pub(crate) async fn run(
    replay: &Arc<Replay>,
    mut input: mpsc::Receiver<Result<Change, BadLine>>,
    concurrency: usize,
    mut done: impl FnMut(u64),
) -> anyhow::Result<Progress> {
    let read_ahead = concurrency.saturating_mul(4).max(16);
    let mut progress = Progress::default();
    let mut queues = Queues::default();
    let mut under_way = JoinSet::new();
    let mut more = true;
    loop {
        while under_way.len() < concurrency
            && let Some(change) = queues.start()
        {
            let replay = Arc::clone(replay);
            under_way.spawn(async move {
                let result = replay.carry_out(&change).await;
                (change, result)
            });
        }
        if under_way.is_empty() && !more {
            return Ok(progress);
        }
        tokio::select! {
            line = input.recv(), if more && queues.len < read_ahead => match line {
                Some(Ok(change)) => queues.push(change),
                Some(Err(bad)) => {
                    progress.stop(bad);
                    more = false;
                }
                None => more = false,
            },
            Some(finished) = under_way.join_next() => {
                let policy = match progress.record(finished)? {
                    Finished::Done { policy } => policy,
                    Finished::Stopped { policy, line } => {
                        queues.cut(line);
                        input.close();
                        more = false;
                        policy
                    }
                };
                queues.release(&policy);
                done(progress.changes);
            }
        }
    }
}

/// What follows from a change that is no longer under way.
enum Finished {
    Done { policy: StateId },
    Stopped { policy: StateId, line: u64 },
}

impl Progress {
    fn record(
        &mut self,
        finished: Result<(Change, Result<Refusals, Trouble>), JoinError>,
    ) -> anyhow::Result<Finished> {
        let (change, result) = finished?;
        match result {
            Ok(refusals) => {
                self.changes += 1;
                for (code, count) in refusals {
                    *self.refusals.entry(code).or_default() += count;
                }
                let expected = Expected {
                    version: change.to_version,
                    document: change.digest,
                };
                self.expected.insert(change.policy.clone(), expected);
                Ok(Finished::Done {
                    policy: change.policy,
                })
            }
            Err(Trouble::BadLine(bad)) => {
                self.stop(bad);
                Ok(Finished::Stopped {
                    policy: change.policy,
                    line: change.line,
                })
            }
            Err(Trouble::Broken(error)) => {
                let line = change.line;
                self.broken
                    .get_or_insert_with(|| error.context(format!("line {line}")));
                Ok(Finished::Stopped {
                    policy: change.policy,
                    line: 0,
                })
            }
        }
    }

    fn stop(&mut self, bad: BadLine) {
        self.stopped = Some(match self.stopped.take() {
            Some(first) => first.min(bad),
            None => bad,
        });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn change(line: u64, policy: &str) -> Change {
        Change {
            line,
            policy: StateId::new(policy).unwrap(),
            from_version: None,
            to_version: "v1".to_owned(),
            observed_at: None,
            document: Value::Null,
            digest: Digest::ZERO,
        }
    }

    fn queues() -> Queues {
        let mut queues = Queues::default();
        for (line, policy) in [(1, "a"), (2, "a"), (3, "b"), (4, "a"), (5, "b")] {
            queues.push(change(line, policy));
        }
        queues
    }

    #[test]
    fn of_one_policy_one_is_under_way() {
        let mut queues = queues();
        assert_eq!(queues.start().unwrap().line, 1);
        assert_eq!(queues.start().unwrap().line, 3);
        assert_eq!(queues.start(), None);
        queues.release(&StateId::new("b").unwrap());
        assert_eq!(queues.start().unwrap().line, 5);
        assert_eq!(queues.len, 2);
    }

    #[test]
    fn one_at_a_time_they_run_in_the_order_of_the_input() {
        let mut queues = queues();
        for line in 1..=5 {
            let change = queues.start().unwrap();
            assert_eq!(change.line, line);
            queues.release(&change.policy);
        }
        assert_eq!(queues.len, 0);
        assert!(queues.waiting.is_empty() && queues.ready.is_empty());
    }

    #[test]
    fn behind_a_bad_line_nothing_starts() {
        let mut queues = queues();
        let first = queues.start().unwrap();
        queues.cut(3);
        assert_eq!(queues.start(), None);
        queues.release(&first.policy);
        assert_eq!(queues.start().unwrap().line, 2);
        queues.release(&first.policy);
        assert_eq!(queues.start(), None);
        assert_eq!(queues.len, 0);
    }
}
