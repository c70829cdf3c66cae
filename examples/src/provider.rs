//! Which provider an example runs on.
//!
//! This is the one place that knows there are several: whatever an example does, it does with a
//! `dyn Provider`.

mod needs;
mod redis;

use std::{fmt, sync::Arc};

use clap::{Args, ValueEnum};
use governance_core::Provider;
use governance_memory::MemoryStore;

pub use self::needs::Needs;
use self::redis::RedisArgs;

/// The providers an example can run on.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ProviderChoice {
    /// In this process; gone when it ends.
    #[default]
    Memory,
    /// On a Redis server, which other processes may share.
    Redis,
}

impl ProviderChoice {
    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redis => "redis",
        }
    }
}

impl fmt::Display for ProviderChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The options that choose a provider and say how to reach it. Every example takes them, by
/// `#[command(flatten)]`.
///
/// ```
/// use clap::Parser;
/// use examples::provider::{ProviderArgs, ProviderChoice};
///
/// #[derive(Parser)]
/// struct Cli {
///     #[command(flatten)]
///     provider: ProviderArgs,
/// }
///
/// let cli = Cli::try_parse_from(["scenario", "--provider", "memory"])?;
/// assert_eq!(cli.provider.choice(), ProviderChoice::Memory);
/// # Ok::<(), clap::Error>(())
/// ```
#[derive(Debug, Clone, Default, Args)]
pub struct ProviderArgs {
    /// Where requests and states are kept
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    provider: ProviderChoice,
    #[command(flatten)]
    redis: RedisArgs,
}

impl ProviderArgs {
    /// What was chosen.
    #[must_use]
    pub const fn choice(&self) -> ProviderChoice {
        self.provider
    }

    /// The key prefix that was asked for.
    #[must_use]
    pub fn key_prefix(&self) -> Option<&str> {
        self.redis.key_prefix()
    }

    /// Connects to the provider.
    ///
    /// # Errors
    ///
    /// [`CannotOpen`] when the options contradict each other, the provider cannot be reached or set
    /// up, or has requests of before that would get in the way.
    pub async fn open(&self, needs: Needs) -> Result<Opened, CannotOpen> {
        let opened = match self.provider {
            ProviderChoice::Memory => {
                if let Some(option) = self.redis.given() {
                    return Err(CannotOpen(format!(
                        "{option} is for a Redis server: add --provider redis, or leave it out"
                    )));
                }
                let mut store = MemoryStore::builder();
                if let Some(clock) = needs.clock {
                    store = store.clock(clock);
                }
                Opened {
                    provider: Arc::new(store.build()),
                    notes: Vec::new(),
                    shared: None,
                }
            }
            // Boxed: connecting is deep, and an example holds this future only once.
            ProviderChoice::Redis => {
                let empty = needs.empty.clone();
                let opened = Box::pin(self.redis.open(needs)).await?;
                if let Some(empty) = &empty {
                    opened.check_empty(empty).await?;
                }
                opened
            }
        };
        Ok(opened)
    }
}

/// A provider that is there, and what to tell about it.
#[derive(Debug)]
pub struct Opened {
    provider: Arc<dyn Provider>,
    notes: Vec<String>,
    shared: Option<Shared>,
}

/// Where a provider that outlives the example keeps things.
#[derive(Debug)]
struct Shared {
    key_prefix: String,
    partitions: u16,
}

impl Opened {
    /// The provider.
    #[must_use]
    pub fn provider(&self) -> Arc<dyn Provider> {
        Arc::clone(&self.provider)
    }

    /// What whoever runs the example should know, a line each.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What every key starts with, if the provider has keys.
    #[must_use]
    pub fn key_prefix(&self) -> Option<&str> {
        self.shared
            .as_ref()
            .map(|shared| shared.key_prefix.as_str())
    }

    /// Into how many partitions the store is cut, if it is.
    #[must_use]
    pub fn partitions(&self) -> Option<u16> {
        self.shared.as_ref().map(|shared| shared.partitions)
    }

    /// An example tells its story from the beginning, so nothing of another run may be there.
    async fn check_empty(&self, empty: &needs::Empty) -> Result<(), CannotOpen> {
        let counted = self.provider.count(&empty.query).await;
        let found =
            counted.map_err(|error| CannotOpen(format!("the store cannot be read: {error}")))?;
        match self.key_prefix() {
            Some(prefix) if found.exact() != Some(0) => Err(CannotOpen(format!(
                "the key prefix {prefix} holds {} of before: {}",
                empty.what, empty.remedy
            ))),
            _ => Ok(()),
        }
    }
}

/// Why a provider was not opened, and what to do about it, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CannotOpen(String);

impl CannotOpen {
    /// For this reason.
    #[must_use]
    pub fn because(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for CannotOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CannotOpen {}
