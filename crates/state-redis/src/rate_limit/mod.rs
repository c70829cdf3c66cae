//! Rate limits on Redis.

use std::{sync::LazyLock, time::Duration};

use async_trait::async_trait;
use redis_client::{Client, Key, Operation, Script, redis};
use state_core::{
    BackendError,
    rate_limit::{Algorithm, Answer, Charge, Count, RateLimitStore, Rule, Verdict},
};

use crate::{
    error::{backend, too_long},
    keys::{KeyPattern, KeyType},
};

static CHARGE: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../../lua/rate_charge.lua")));
static REFUND: LazyLock<Script> =
    LazyLock::new(|| Script::embedded(include_str!("../../lua/rate_refund.lua")));

const fn row(pattern: &'static str, kind: KeyType, lifetime: &'static str) -> KeyPattern {
    KeyPattern {
        owner: "rate_limit",
        pattern,
        kind,
        holds: "what a subject has had under a rule",
        lifetime: Some(lifetime),
    }
}

/// The keys of this module.
pub(crate) const KEYS: &[KeyPattern] = &[
    row(
        "rl:{<scope>}:g:<rule>:<subject>",
        KeyType::String,
        "until everything can be had again",
    ),
    row(
        "rl:{<scope>}:s:<rule>:<subject>",
        KeyType::Hash,
        "to the end of the next window",
    ),
    row(
        "rl:{<scope>}:f:<rule>:<subject>",
        KeyType::Hash,
        "to the end of the window",
    ),
];

/// Rate limits on a server or a cluster. A clone is a handle to the same.
///
/// The rules of one charge share a slot by their scope. A subject that is personal data should be
/// hashed by the caller: it is part of a key.
#[derive(Debug, Clone)]
pub struct RedisRateLimits(Client);

impl RedisRateLimits {
    /// Rate limits under the client's key prefix.
    #[must_use]
    pub const fn new(client: Client) -> Self {
        Self(client)
    }

    fn keys(&self, charge: &Charge<'_>, operation: &'static str) -> Result<Vec<Key>, BackendError> {
        let base = self.0.key_prefix().key().part("rl").tag(charge.scope);
        let keys = charge.rules.iter().map(|(rule, subject)| {
            let key = base.clone().part(letter(rule)).part(rule.name());
            key.part(subject).finish()
        });
        keys.collect::<Result<_, _>>().map_err(too_long(operation))
    }

    async fn take(&self, charge: &Charge<'_>) -> Result<Answer, BackendError> {
        const NAME: &str = "rate_limit.charge";
        let keys = self.keys(charge, NAME)?;
        let mut call = CHARGE.call().keys(keys).arg(charge.cost);
        for (rule, _) in charge.rules {
            call = call.arg(letter(rule)).arg(&[unit(rule), rule.most()]);
        }
        let reply: Vec<u64> = self.0.invoke(&call).await.map_err(backend)?;
        let (counts, rest) = reply.as_chunks::<4>();
        if counts.len() != charge.rules.len() || !rest.is_empty() {
            return Err(senseless(NAME));
        }
        let counts = counts.iter().map(|[verdict, remaining, retry, reset]| {
            let verdict = match verdict {
                0 => Verdict::Allowed,
                1 => Verdict::Denied,
                2 => Verdict::Never,
                _ => return Err(senseless(NAME)),
            };
            Ok(Count {
                verdict,
                remaining: *remaining,
                retry_after: Duration::from_micros(*retry),
                reset_after: Duration::from_micros(*reset),
            })
        });
        counts.collect()
    }
}

#[async_trait]
impl RateLimitStore for RedisRateLimits {
    async fn charge(&self, charge: &Charge<'_>) -> Result<Answer, BackendError> {
        self.take(charge).await
    }

    async fn refund(&self, charge: &Charge<'_>) -> Result<(), BackendError> {
        let keys = self.keys(charge, "rate_limit.refund")?;
        let mut call = REFUND.call().keys(keys).arg(charge.cost);
        for (rule, _) in charge.rules {
            call = call.arg(letter(rule)).arg(unit(rule));
        }
        let answer: redis::Value = self.0.invoke(&call).await.map_err(backend)?;
        drop(answer);
        Ok(())
    }

    async fn reset(&self, charge: &Charge<'_>) -> Result<(), BackendError> {
        const NAME: &str = "rate_limit.reset";
        let keys = self.keys(charge, NAME)?;
        let mut command = redis::cmd("DEL");
        command.arg(&keys);
        let removed: u64 = self
            .0
            .query(Operation::write(NAME), &keys[0], &command)
            .await
            .map_err(backend)?;
        let _ = removed;
        Ok(())
    }
}

fn senseless(operation: &'static str) -> BackendError {
    BackendError::unexpected(operation, "the server's answer makes no sense")
}

const fn letter(rule: &Rule) -> &'static str {
    match rule.counted_by() {
        Algorithm::Gcra => "g",
        Algorithm::SlidingWindow => "s",
        Algorithm::FixedWindow => "f",
    }
}

const fn unit(rule: &Rule) -> u64 {
    match rule.counted_by() {
        Algorithm::Gcra => rule.limit().emission(),
        Algorithm::SlidingWindow | Algorithm::FixedWindow => rule.limit().period_micros(),
    }
}
