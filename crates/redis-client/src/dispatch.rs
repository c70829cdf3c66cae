//! Sends commands: which way, how often, and what an answer means.

use std::time::Duration;

use redis::{Cmd, ErrorKind, FromRedisValue, Pipeline, RedisError, Value};
use tokio::time::Instant;

use crate::{
    access::Access,
    client::Client,
    config::Address,
    connect::{Detour, Job, Routes},
    error::ClientError,
    operation::Operation,
    signal::{Phase, Signal, classify, signal_of},
};

impl Client {
    pub(crate) async fn one(
        &self,
        operation: Operation,
        slot: Option<u16>,
        command: &Cmd,
    ) -> Result<Value, ClientError> {
        let mut answers = self.run(operation, slot, Job::Command(command)).await?;
        answers
            .pop()
            .ok_or_else(|| ClientError::new(Signal::ReplyUndecodable, operation))
    }

    pub(crate) async fn pipeline(
        &self,
        operation: Operation,
        slot: Option<u16>,
        pipeline: &Pipeline,
        offset: usize,
        count: usize,
    ) -> Result<Vec<Value>, ClientError> {
        let job = Job::Pipeline {
            pipeline,
            offset,
            count,
        };
        self.run(operation, slot, job).await
    }

    /// Runs a job and reports it.
    async fn run(
        &self,
        operation: Operation,
        slot: Option<u16>,
        job: Job<'_>,
    ) -> Result<Vec<Value>, ClientError> {
        let started = Instant::now();
        let mut attempts = 0;
        let work = self.attempt(operation, slot, job, started, &mut attempts);
        let result = crate::trace::command(self.instance(), operation, work).await;
        self.report(operation, started, attempts, result.as_ref().err());
        result
    }

    /// Tells the observer that a command ended.
    pub(crate) fn report(
        &self,
        operation: Operation,
        started: Instant,
        attempts: u32,
        error: Option<&ClientError>,
    ) {
        self.0.observer.command(&crate::CommandEvent {
            instance: self.instance(),
            operation: operation.name(),
            access: operation.access(),
            failure: error.map(ClientError::signal),
            attempts,
            duration: started.elapsed(),
        });
    }

    /// Sends a job until it has an answer, an error that matters, or no time left.
    async fn attempt(
        &self,
        operation: Operation,
        slot: Option<u16>,
        job: Job<'_>,
        started: Instant,
        attempts: &mut u32,
    ) -> Result<Vec<Value>, ClientError> {
        let _guard = self.enter(operation)?;
        let timeout = self.timeout(operation);
        let mut backoff = Backoff::default();
        let mut detours = 0;
        let mut ask_at: Option<Address> = None;
        let mut lost_once = false;
        loop {
            *attempts += 1;
            let asking = ask_at.is_some();
            let node = match ask_at.take() {
                Some(address) => self.0.routes.node_at(&address, operation),
                None => self.0.routes.node(slot, operation).await,
            };
            let error = match node {
                Err(error) => error,
                Ok(node) => {
                    let error = match node.lease(operation).await {
                        Ok(lease) => {
                            let answers = lease.send(job, asking, timeout).await;
                            match answers.and_then(|answers| checked(answers, job)) {
                                Ok(answers) => return Ok(answers),
                                Err(error) => classify(error, Phase::Command, operation),
                            }
                        }
                        Err(error) => error,
                    };
                    match self.0.routes.learn(&node, &error) {
                        Detour::AskAt(address) if detours < MAX_DETOURS => {
                            detours += 1;
                            ask_at = Some(address);
                            continue;
                        }
                        Detour::NewRoute if detours < MAX_DETOURS => {
                            detours += 1;
                            continue;
                        }
                        _ => error,
                    }
                }
            };
            let read = operation.access() == Access::Read;
            if read && error.signal() == Signal::ConnectionLost && !lost_once {
                lost_once = true;
                self.0
                    .observer
                    .retry(self.instance(), operation.name(), error.signal());
                continue;
            }
            self.pause_or_fail(error, started, &mut backoff).await?;
        }
    }

    /// Waits a little before the next try, or gives the error back when there is none.
    pub(crate) async fn pause_or_fail(
        &self,
        error: ClientError,
        started: Instant,
        backoff: &mut Backoff,
    ) -> Result<(), ClientError> {
        let signal = error.signal();
        // Without another server to turn to, a read-only one stays what it is.
        let hopeless = signal == Signal::ReadOnly
            && matches!(self.0.routes, Routes::One { watched: false, .. });
        if !signal.passes_soon() || hopeless {
            return Err(error);
        }
        let pause = backoff.next_pause();
        if started.elapsed() + pause > self.0.config.retry_timeout {
            return Err(error);
        }
        self.0
            .observer
            .retry(self.instance(), error.operation(), signal);
        crate::trace::retry(error.operation(), signal, pause);
        tokio::time::sleep(pause).await;
        Ok(())
    }
}

/// Redirections that are followed without a pause.
const MAX_DETOURS: u32 = 5;

/// Pauses that double, with jitter, so that callers do not come back all at once.
#[derive(Default)]
pub(crate) struct Backoff(u32);

impl Backoff {
    const FIRST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(200);

    fn next_pause(&mut self) -> Duration {
        let full = (Self::FIRST * (1 << self.0.min(6))).min(Self::LONGEST);
        self.0 += 1;
        full / 2 + full.mul_f64(jitter() / 2.0)
    }
}

/// A number from 0 to 1. Hash keys are random, which is random enough here.
fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let random = RandomState::new().hash_one(0_u8);
    f64::from((random >> 32) as u32) / f64::from(u32::MAX)
}

pub(crate) fn decode<T: FromRedisValue>(
    answer: Value,
    operation: Operation,
) -> Result<T, ClientError> {
    redis::from_redis_value(answer)
        .map_err(|error| classify(RedisError::from(error), Phase::Command, operation))
}

pub(crate) fn single(mut answers: Vec<Value>) -> Result<Value, RedisError> {
    let answer = answers.pop().ok_or_else(|| {
        RedisError::from((ErrorKind::UnexpectedReturnType, "the answer is missing"))
    })?;
    answer.extract_error()
}

/// Turns error answers into errors. In a pipeline only those that ask for another node or another
/// time: the rest belong to their commands.
fn checked(mut answers: Vec<Value>, job: Job<'_>) -> Result<Vec<Value>, RedisError> {
    match job {
        Job::Command(_) => single(answers).map(|answer| vec![answer]),
        Job::Pipeline { .. } => {
            let redirected = answers.iter().position(|answer| match answer {
                Value::ServerError(error) => {
                    let error = RedisError::from(error.clone());
                    signal_of(&error, Phase::Command).passes_soon()
                }
                _ => false,
            });
            match redirected {
                Some(index) => Err(answers
                    .swap_remove(index)
                    .extract_error()
                    .err()
                    .unwrap_or_else(|| RedisError::from((ErrorKind::Client, "not an error")))),
                None => Ok(answers),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..40).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] <= Duration::from_millis(5));
        assert!(pauses.iter().all(|pause| *pause <= Backoff::LONGEST));
        assert!(pauses[39] >= Backoff::LONGEST / 2);
    }
}
