//! On what state is kept.

use std::str::FromStr;

use redis_client::Config;

/// On what an instance is kept. It is said, not found out.
#[derive(Debug, Clone)]
pub enum Backend {
    /// On Redis.
    Redis(Box<Config>),
    /// In this process, for development and tests.
    Memory,
}

impl Backend {
    /// On Redis.
    #[must_use]
    pub fn redis(config: Config) -> Self {
        Self::Redis(Box::new(config))
    }

    /// `redis` or `memory`.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Redis(_) => "redis",
            Self::Memory => "memory",
        }
    }
}

/// A text that is no backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a backend is `redis` or `memory`")]
pub struct UnknownBackend;

/// The kind of a backend, before there is a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Redis,
    Memory,
}

impl FromStr for Kind {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        match text {
            "redis" => Ok(Self::Redis),
            "memory" => Ok(Self::Memory),
            _ => Err(UnknownBackend),
        }
    }
}
