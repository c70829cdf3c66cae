//! Building a client, and what can go wrong at which stage.

use std::fmt;

use crate::{
    client::Client,
    config::{Config, ConfigError, InstanceName},
    error::ClientError,
};

/// How far building a client came.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Reading and checking the configuration.
    Config,
    /// Preparing the connections, which connects to nothing yet.
    Open,
    /// The ping that was asked for.
    Ping,
}

impl Stage {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Open => "open",
            Self::Ping => "ping",
        }
    }
}

/// A client that was not built. What was opened for it is closed.
#[derive(Debug, Clone)]
pub struct BuildError {
    instance: InstanceName,
    stage: Stage,
    cause: Cause,
}

#[derive(Debug, Clone)]
enum Cause {
    Config(ConfigError),
    Client(ClientError),
}

impl BuildError {
    pub(crate) const fn new(instance: InstanceName, stage: Stage, error: ClientError) -> Self {
        Self {
            instance,
            stage,
            cause: Cause::Client(error),
        }
    }

    /// The instance that was not built.
    #[must_use]
    pub const fn instance(&self) -> &InstanceName {
        &self.instance
    }

    /// The token of what was not built: `redis.client` or `redis.<name>.client`.
    #[must_use]
    pub fn token(&self) -> String {
        self.instance.token("client")
    }

    /// How far it came.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// What is wrong with the configuration, if it is that.
    #[must_use]
    pub const fn config_error(&self) -> Option<&ConfigError> {
        match &self.cause {
            Cause::Config(error) => Some(error),
            Cause::Client(_) => None,
        }
    }

    /// What is wrong with the servers or the way to them, if it is that.
    #[must_use]
    pub const fn client_error(&self) -> Option<&ClientError> {
        match &self.cause {
            Cause::Config(_) => None,
            Cause::Client(error) => Some(error),
        }
    }

    /// Stable code of the cause.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match &self.cause {
            Cause::Config(error) => error.code(),
            Cause::Client(error) => error.code(),
        }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the redis client ({}) was not built: {} failed",
            self.instance,
            self.stage.as_str()
        )
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(match &self.cause {
            Cause::Config(error) => error,
            Cause::Client(error) => error,
        })
    }
}

impl Client {
    /// Reads the default instance from the environment and connects it.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with the stage that failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn from_env() -> Result<Self, BuildError> {
        Self::build(InstanceName::default(), Config::from_env()).await
    }

    /// Reads a named instance from the environment and connects it.
    ///
    /// # Errors
    ///
    /// [`BuildError`] with the stage that failed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what was opened.
    pub async fn from_env_named(name: &str) -> Result<Self, BuildError> {
        // A name that is refused has no better name than none.
        let instance = InstanceName::new(name).unwrap_or_default();
        Self::build(instance, Config::from_env_named(name)).await
    }

    async fn build(
        instance: InstanceName,
        config: Result<Config, ConfigError>,
    ) -> Result<Self, BuildError> {
        match config {
            Ok(config) => Self::connect(config).await,
            Err(error) => Err(BuildError {
                instance,
                stage: Stage::Config,
                cause: Cause::Config(error),
            }),
        }
    }
}
