//! Which provider an example runs on.

use std::{fmt, sync::Arc};

use clap::{Args, ValueEnum};
use governance_core::{Clock, Provider};
use governance_memory::{MemoryStore, SystemClock};

/// The providers an example can run on.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ProviderChoice {
    /// In this process; gone when it ends.
    #[default]
    Memory,
}

impl ProviderChoice {
    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Memory => "memory",
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
}

impl ProviderArgs {
    /// What was chosen.
    #[must_use]
    pub const fn choice(&self) -> ProviderChoice {
        self.provider
    }

    /// Connects to the provider.
    ///
    /// # Errors
    ///
    /// When the provider cannot be reached or set up.
    pub async fn open(&self) -> anyhow::Result<Arc<dyn Provider>> {
        self.open_on(SystemClock).await
    }

    /// Connects to the provider, on a clock of the caller's own where the provider has none.
    ///
    /// # Errors
    ///
    /// When the provider cannot be reached or set up.
    #[expect(
        clippy::unused_async,
        reason = "a provider in another process has to be connected to"
    )]
    pub async fn open_on(&self, clock: impl Clock + 'static) -> anyhow::Result<Arc<dyn Provider>> {
        match self.provider {
            ProviderChoice::Memory => Ok(Arc::new(MemoryStore::builder().clock(clock).build())),
        }
    }
}
