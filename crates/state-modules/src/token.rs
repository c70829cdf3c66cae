//! Names of what modules provide.

use std::{fmt, marker::PhantomData, sync::Arc};

use redis_client::{Client, InstanceName, InvalidName, KeyPrefix};
use state_core::{
    cache::Cache, event::Events, lock::Locks, process::Processes, rate_limit::RateLimiter,
    session::Sessions,
};

use crate::health::Health;

/// The name of something a module provides, and its type. Two tokens of one name are the same.
pub struct Token<T> {
    name: Arc<str>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Token<T> {
    /// A token with a name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            kind: PhantomData,
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<T> Clone for Token<T> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            kind: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Token<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.name)
    }
}

/// The tokens of one instance: one server or cluster, and what is kept on it.
///
/// ```
/// use state_modules::NamedTokens;
///
/// assert_eq!(NamedTokens::default().client.name(), "redis.client");
/// assert_eq!(NamedTokens::new("jobs")?.cache.name(), "redis.jobs.cache.store");
/// assert!(NamedTokens::new(" ").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[non_exhaustive]
#[derive(Debug, Clone)]
pub struct NamedTokens {
    /// The instance.
    pub instance: InstanceName,
    /// `redis.client`
    pub client: Token<Client>,
    /// `redis.key_prefix`
    pub key_prefix: Token<KeyPrefix>,
    /// `redis.cache.store`
    pub cache: Token<Cache>,
    /// `redis.session.store`
    pub session: Token<Sessions>,
    /// `redis.ratelimit.store`
    pub rate_limit: Token<RateLimiter>,
    /// `redis.process.store`
    pub process: Token<Processes>,
    /// `redis.lock.manager`
    pub locks: Token<Locks>,
    /// `redis.bus`
    pub events: Token<Events>,
    /// `redis.health`
    pub health: Token<Health>,
}

impl NamedTokens {
    /// The tokens of an instance; the empty name is the default one.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] for blanks, and for a name that cannot be part of a variable.
    pub fn new(name: &str) -> Result<Self, InvalidName> {
        if name.is_empty() {
            return Ok(Self::default());
        }
        Ok(Self::of(InstanceName::new(name)?))
    }

    /// The tokens of an instance.
    #[must_use]
    pub fn of(instance: InstanceName) -> Self {
        fn token<T>(instance: &InstanceName, export: &str) -> Token<T> {
            Token::new(&instance.token(export))
        }
        Self {
            client: token(&instance, "client"),
            key_prefix: token(&instance, "key_prefix"),
            cache: token(&instance, "cache.store"),
            session: token(&instance, "session.store"),
            rate_limit: token(&instance, "ratelimit.store"),
            process: token(&instance, "process.store"),
            locks: token(&instance, "lock.manager"),
            events: token(&instance, "bus"),
            health: token(&instance, "health"),
            instance,
        }
    }
}

impl Default for NamedTokens {
    fn default() -> Self {
        Self::of(InstanceName::default())
    }
}
