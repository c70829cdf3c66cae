//! Which backend a program about caches runs on.

use std::{error::Error, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use redis_client::{Client, Config};
use state_core::{cache::CacheStore, event::EventStore};
use state_memory::{cache::MemoryCacheStore, event::MemoryEventStore};
use state_redis::{cache::RedisCacheStore, event::RedisEventStore};

/// The backends there are. Which one is used is said on the command line, never found out.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum BackendChoice {
    /// In this process; gone when it ends.
    #[default]
    Memory,
    /// On a Redis server.
    Redis,
}

/// The command line of these programs.
#[derive(Debug, Clone, Parser)]
pub struct BackendArgs {
    /// Where values and events are kept
    #[arg(long, value_enum, default_value_t, value_name = "NAME")]
    backend: BackendChoice,
    /// The server of the backend `redis`
    #[arg(long, default_value = "redis://127.0.0.1:6379", value_name = "URL")]
    redis_url: String,
    /// What every key on the server starts with
    #[arg(long, default_value = "examples", value_name = "PREFIX")]
    key_prefix: String,
}

/// The backend, as instances of a service open it.
#[derive(Debug)]
pub enum Backend {
    /// Shared by all instances, because they are in one process.
    Memory(MemoryCacheStore, MemoryEventStore),
    /// Each instance has a client of its own.
    Redis(Box<Config>),
}

/// The stores of one instance.
#[derive(Debug)]
pub struct Stores {
    /// Where values are.
    pub values: Arc<dyn CacheStore>,
    /// Where events are.
    pub events: Arc<dyn EventStore>,
    client: Option<Client>,
}

impl BackendArgs {
    /// The backend that was chosen.
    ///
    /// # Errors
    ///
    /// When the URL or the prefix cannot be used.
    pub fn backend(&self) -> anyhow::Result<Backend> {
        Ok(match self.backend {
            BackendChoice::Memory => {
                Backend::Memory(MemoryCacheStore::default(), MemoryEventStore::default())
            }
            BackendChoice::Redis => {
                let config = Config::builder()
                    .address(&self.redis_url)
                    .key_prefix(&self.key_prefix)
                    .ping_on_build(true)
                    .build()?;
                Backend::Redis(Box::new(config))
            }
        })
    }
}

impl Backend {
    /// Opens the stores of one more instance.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub async fn open(&self) -> anyhow::Result<Stores> {
        Ok(match self {
            Self::Memory(values, events) => Stores {
                values: Arc::new(values.clone()),
                events: Arc::new(events.clone()),
                client: None,
            },
            Self::Redis(config) => {
                let client = Client::connect(Config::clone(config)).await?;
                Stores {
                    values: Arc::new(RedisCacheStore::new(client.clone())),
                    events: Arc::new(RedisEventStore::new(client.clone())),
                    client: Some(client),
                }
            }
        })
    }
}

impl Stores {
    /// Closes the connections.
    ///
    /// # Errors
    ///
    /// When one of them does not close.
    pub async fn close(self) -> anyhow::Result<()> {
        match self.client {
            Some(client) => Ok(client.close().await?),
            None => Ok(()),
        }
    }
}

/// Runs a program: reads the command line and turns the outcome into an exit code: 0 when
/// everything went as told, 1 when it did not, 2 for a command line nobody can follow.
#[must_use]
pub fn run(program: impl AsyncFnOnce(Backend) -> anyhow::Result<()>) -> ExitCode {
    let arguments = match BackendArgs::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are errors to clap; printing them can only fail on a closed pipe.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let played = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("no runtime could be started")
        .and_then(|runtime| runtime.block_on(async { program(arguments.backend()?).await }));
    match played {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = |cause: &(dyn Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    error.chain().any(closed)
}

#[expect(clippy::print_stderr, reason = "this is where a program reports")]
fn report(error: &anyhow::Error) {
    eprintln!("error: {error:#}");
}
