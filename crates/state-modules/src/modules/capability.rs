//! One module for each capability.

use std::sync::Arc;

use redis_client::InstanceName;
use state_core::{
    MonotonicClock, Namespace, OsEntropy,
    cache::{Cache, CacheOptions, CacheStore},
    event::{EventOptions, EventStore, Events},
    lock::{LockOptions, LockStore, Locks},
    process::{ProcessOptions, ProcessStore, Processes},
    rate_limit::{LimiterOptions, RateLimitStore, RateLimiter},
    session::{SessionKeys, SessionOptions, SessionStore, Sessions},
};
use state_memory::{
    Faults, cache::MemoryCacheStore, event::MemoryEventStore, lock::MemoryLocks,
    process::MemoryProcesses, rate_limit::MemoryRateLimits, session::MemorySessions,
};
use state_redis::{
    cache::RedisCacheStore,
    event::RedisEventStore,
    lock::{RedisLockOptions, RedisLocks},
    process::RedisProcesses,
    rate_limit::RedisRateLimits,
    session::RedisSessions,
};

use super::instance::{Base, On, base, module_name};
use crate::{
    error::BoxError,
    health::{Health, InUse},
    module::{Module, Provided, Scope},
    token::{NamedTokens, Token},
};

/// How many values the twin of the cache keeps.
const MEMORY_CACHE: usize = 100_000;

/// A module that imports an instance, and exports what it builds on its base.
fn on_base<T, F>(tokens: &NamedTokens, token: &Token<T>, build: F) -> Module
where
    T: Send + Sync + 'static,
    F: Fn(&Base) -> Result<T, BoxError> + Send + Sync + 'static,
{
    let (instance, build) = (tokens.instance.clone(), Arc::new(build));
    module(&tokens.instance, token).provides(token, move |scope: Scope| {
        let (instance, build) = (instance.clone(), Arc::clone(&build));
        async move {
            let base = base(&scope, &instance).await?;
            Ok(Provided::new(build(&base)?))
        }
    })
}

fn module<T>(instance: &InstanceName, token: &Token<T>) -> Module {
    Module::new(token.name())
        .imports(module_name(instance))
        .exports(token)
}

/// Locks and leaders.
#[must_use]
pub fn locks(tokens: &NamedTokens, options: LockOptions) -> Module {
    locks_on(tokens, options, RedisLockOptions::default())
}

/// Locks and leaders, with the settings that only Redis has.
#[must_use]
pub fn locks_on(tokens: &NamedTokens, options: LockOptions, redis: RedisLockOptions) -> Module {
    on_base(tokens, &tokens.locks, move |base| {
        let store: Arc<dyn LockStore> = match &base.on {
            On::Redis(client) => Arc::new(RedisLocks::new((**client).clone(), redis)?),
            On::Memory(clock) => Arc::new(MemoryLocks::with(Arc::new(*clock), Faults::new())),
        };
        Ok(Locks::observed(
            store,
            options,
            Arc::new(MonotonicClock::new()),
            Arc::new(OsEntropy),
            Arc::clone(&base.observer),
        )?)
    })
}

/// Rate limits.
#[must_use]
pub fn rate_limit(tokens: &NamedTokens, options: LimiterOptions) -> Module {
    on_base(tokens, &tokens.rate_limit, move |base| {
        let store: Arc<dyn RateLimitStore> = match &base.on {
            On::Redis(client) => Arc::new(RedisRateLimits::new((**client).clone())),
            On::Memory(clock) => Arc::new(MemoryRateLimits::with(Arc::new(*clock), Faults::new())),
        };
        let clock = Arc::new(MonotonicClock::new());
        let observer = Arc::clone(&base.observer);
        Ok(RateLimiter::observed(store, options, clock, observer)?)
    })
}

/// Sessions of a namespace, under the secrets that ids are hashed with.
#[must_use]
pub fn session(
    tokens: &NamedTokens,
    namespace: Namespace,
    keys: SessionKeys,
    options: SessionOptions,
) -> Module {
    on_base(tokens, &tokens.session, move |base| {
        let store: Arc<dyn SessionStore> = match &base.on {
            On::Redis(client) => {
                let client = (**client).clone();
                Arc::new(RedisSessions::new(client, &namespace, options)?)
            }
            On::Memory(clock) => {
                let clock = Arc::new(*clock);
                Arc::new(MemorySessions::with(options, clock, Faults::new())?)
            }
        };
        Ok(Sessions::observed(
            store,
            keys.clone(),
            Arc::new(MonotonicClock::new()),
            Arc::new(OsEntropy),
            Arc::clone(&base.observer),
        ))
    })
}

/// Process state of a namespace, cut into so many shards on Redis.
#[must_use]
pub fn process(
    tokens: &NamedTokens,
    namespace: Namespace,
    shards: u32,
    options: ProcessOptions,
) -> Module {
    on_base(tokens, &tokens.process, move |base| {
        let store: Arc<dyn ProcessStore> = match &base.on {
            On::Redis(client) => {
                let client = (**client).clone();
                Arc::new(RedisProcesses::new(client, &namespace, shards, options)?)
            }
            On::Memory(clock) => {
                let clock = Arc::new(*clock);
                Arc::new(MemoryProcesses::with(options, clock, Faults::new())?)
            }
        };
        Ok(Processes::observed(
            store,
            Arc::new(MonotonicClock::new()),
            Arc::new(OsEntropy),
            Arc::clone(&base.observer),
        ))
    })
}

/// Events.
#[must_use]
pub fn events(tokens: &NamedTokens, options: EventOptions) -> Module {
    on_base(tokens, &tokens.events, move |base| {
        let store: Arc<dyn EventStore> = match &base.on {
            On::Redis(client) => Arc::new(RedisEventStore::new((**client).clone())),
            On::Memory(clock) => Arc::new(MemoryEventStore::new(Arc::new(*clock))),
        };
        let observer = Arc::clone(&base.observer);
        let events = Events::builder(store).options(options).observer(observer);
        Ok(events.build()?)
    })
}

/// A cache. One that keeps values in the process too needs [`events`] of the same instance.
#[must_use]
pub fn cache(tokens: &NamedTokens, namespace: Namespace, options: CacheOptions) -> Module {
    let (instance, bus) = (tokens.instance.clone(), tokens.events.clone());
    let is_local = options.l1_capacity > 0;
    let mut made = module(&tokens.instance, &tokens.cache);
    if is_local {
        made = made.imports(tokens.events.name());
    }
    made.provides(&tokens.cache, move |scope: Scope| {
        let (instance, bus) = (instance.clone(), bus.clone());
        let namespace = namespace.clone();
        async move {
            let base = base(&scope, &instance).await?;
            let store: Arc<dyn CacheStore> = match &base.on {
                On::Redis(client) => Arc::new(RedisCacheStore::new((**client).clone())),
                On::Memory(clock) => {
                    Arc::new(MemoryCacheStore::new(Arc::new(*clock), MEMORY_CACHE))
                }
            };
            let mut builder = Cache::builder(store, namespace.clone())
                .options(options)
                .observer(Arc::clone(&base.observer));
            if is_local {
                let events = scope.get(&bus).await?;
                builder = builder.bus((*events).clone(), namespace);
            }
            let cache = builder.build()?;
            let closing = cache.clone();
            Ok(Provided::closed_by(cache, || async move {
                closing.close().await;
                Ok(())
            }))
        }
    })
}

/// The health of an instance, judged by the capabilities in use: `Capability::Lock` for one that
/// fails as it does unless set, `InUse::from(&options)` for one whose options say what it does
/// without Redis.
#[must_use]
pub fn health(tokens: &NamedTokens, in_use: impl IntoIterator<Item = impl Into<InUse>>) -> Module {
    let in_use: Vec<InUse> = in_use.into_iter().map(Into::into).collect();
    on_base(tokens, &tokens.health, move |base| {
        let client = match &base.on {
            On::Redis(client) => Some(Arc::clone(client)),
            On::Memory(_) => None,
        };
        Ok(Health::new(client, in_use.iter().copied()))
    })
}
