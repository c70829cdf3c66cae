//! The rate limiter, against `INCR`, a script in the way of redis-cell, and `governor`.

use std::{num::NonZeroU32, sync::Arc, time::Duration};

use anyhow::Result;
use redis_client::redis;
use state_core::rate_limit::{Limit, LimiterOptions, RateLimitStore, RateLimiter, Rule};
use state_memory::rate_limit::MemoryRateLimits;
use state_redis::rate_limit::RedisRateLimits;

use super::{Bare, CALLS, Work, expect, together::Rivals};
use crate::{
    outcome::Outcome,
    redis::pairs::{alternate, timed},
};

const SUBJECTS: usize = 64;
/// So many a second that nothing is ever denied.
const PLENTY: u32 = 1_000_000;

/// The generic cell rate algorithm as redis-cell does it: one time per key, seconds as fractions.
const CELL: &str = "
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
local emission = tonumber(ARGV[1])
local tolerance = emission * tonumber(ARGV[2])
local tat = tonumber(redis.call('GET', KEYS[1]) or now)
if tat < now then tat = now end
local new = tat + emission * tonumber(ARGV[3])
local allow = new - tolerance
if now < allow then
  return {1, tostring(allow - now), tostring(tat - now)}
end
redis.call('SET', KEYS[1], string.format('%.6f', new), 'PX', math.ceil((new - now) * 1000))
return {0, '-1', tostring(new - now)}";

pub(super) async fn measure(bare: &Bare, outcome: &mut Outcome) -> Result<()> {
    let redis = Arc::new(RedisRateLimits::new(bare.client.clone()));
    let ours = limiter(redis)?;
    let rule = rule("bench")?;
    let plain = bare.key("counter");
    let measure = alternate(
        CALLS,
        async || timed(async { Ok(ours.check(&rule, "somebody", 1).await?) }).await,
        async || timed(bare.run("INCR", &[plain.as_bytes()])).await,
    )
    .await?;
    outcome.ratio("state.rate_limit.check_over_incr", &measure, 2.0);

    let cell = of_cell(bare, 1);
    let name = "state.rate_limit.throughput64_over_cell_script";
    let one = Rivals::new(one_limit(ours.clone())?, cell, 40);
    one.over_redis(name, bare, outcome).await?;
    // A request that is to pass under both of two limits, or under none.
    let name = "state.rate_limit.two_limits.throughput64_over_cell_script";
    let two = Rivals::new(two_limits(ours)?, of_cell(bare, 2), 40);
    two.over_redis(name, bare, outcome).await?;

    // Both by the processor's counter: the other unless told otherwise, ours where it is said.
    let twin = one_limit(limiter(Arc::new(MemoryRateLimits::by_cpu_clock()))?)?;
    let name = "state.rate_limit.memory.throughput64_over_governor";
    let twins = Rivals::new(twin, of_governor(), 200);
    twins.in_memory(name, outcome).await
}

fn limiter(store: Arc<dyn RateLimitStore>) -> Result<RateLimiter> {
    let options = LimiterOptions::default().timeout(Duration::from_secs(60));
    Ok(RateLimiter::new(store, options)?)
}

fn rule(name: &str) -> Result<Rule> {
    let limit = Limit::new(u64::from(PLENTY), Duration::from_secs(1))?;
    Ok(Rule::new(name, limit)?)
}

/// Checks of somebody under one limit.
fn one_limit(limiter: RateLimiter) -> Result<Work> {
    let shared = Arc::new((limiter, rule("bench")?));
    Ok(Arc::new(move |task, _| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (limiter, rule) = &*shared;
            let subject = (task % SUBJECTS).to_string();
            let decision = limiter.check(rule, &subject, 1).await?;
            expect(decision.is_allowed(), "there is room")
        })
    }))
}

/// Checks of somebody under two limits.
fn two_limits(limiter: RateLimiter) -> Result<Work> {
    let shared = Arc::new((limiter, [rule("bench")?, rule("other")?]));
    Ok(Arc::new(move |task, _| {
        let shared = Arc::clone(&shared);
        Box::pin(async move {
            let (limiter, [one, other]) = &*shared;
            let subject = (task % SUBJECTS).to_string();
            let rules = [(one, &*subject), (other, &*subject)];
            let decision = limiter.check_all(&subject, &rules, 1).await?;
            expect(decision.is_allowed(), "there is room")
        })
    }))
}

/// A call for every limit: what one has taken stays taken when another denies.
fn of_cell(bare: &Bare, limits: usize) -> Work {
    let script = Arc::new(redis::Script::new(CELL));
    let (connection, prefix) = (bare.connection.clone(), bare.key("cell"));
    Arc::new(move |task, _| {
        let (script, mut connection) = (Arc::clone(&script), connection.clone());
        let subject = format!("{prefix}:{}", task % SUBJECTS);
        Box::pin(async move {
            for limit in 0..limits {
                let mut call = script.key(format!("{subject}:{limit}"));
                call.arg(1.0 / f64::from(PLENTY)).arg(PLENTY).arg(1);
                let answer: (u8, String, String) = call.invoke_async(&mut connection).await?;
                expect(answer.0 == 0, "there is room")?;
            }
            Ok(())
        })
    })
}

fn of_governor() -> Work {
    let plenty = NonZeroU32::new(PLENTY).unwrap_or(NonZeroU32::MAX);
    let quota = governor::Quota::per_second(plenty);
    let limiter = Arc::new(governor::RateLimiter::keyed(quota));
    Arc::new(move |task, _| {
        let limiter = Arc::clone(&limiter);
        Box::pin(async move {
            let subject = (task % SUBJECTS).to_string();
            expect(limiter.check_key(&subject).is_ok(), "there is room")
        })
    })
}
