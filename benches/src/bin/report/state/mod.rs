//! What applications keep beside governed state: every capability against the bare command it
//! cannot do without, and against what somebody would take instead.

mod cache;
mod event;
mod lock;
mod process;
mod rate_limit;
mod session;
mod together;
mod trips;

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use futures_util::future::BoxFuture;
use redis_client::{Client, Config, Operation, redis};

use crate::{outcome::Outcome, redis::place::Place};

/// Calls of a window.
const CALLS: usize = 100;
/// A value, a session or a payload has so many bytes.
const BYTES: usize = 1_024;
const DAY: Duration = Duration::from_secs(86_400);

const BARE: Operation = Operation::write("bare");

/// What of it is measured.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Measure only these capabilities.
    #[arg(long, value_delimiter = ',')]
    capabilities: Vec<Capability>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Capability {
    Cache,
    Session,
    RateLimit,
    Lock,
    Process,
    Event,
}

impl Capability {
    async fn measure(self, bare: &Bare, outcome: &mut Outcome) -> Result<()> {
        match self {
            Self::Cache => cache::measure(bare, outcome).await,
            Self::Session => session::measure(bare, outcome).await,
            Self::RateLimit => rate_limit::measure(bare, outcome).await,
            Self::Lock => lock::measure(bare, outcome).await,
            Self::Process => process::measure(bare, outcome).await,
            Self::Event => event::measure(bare, outcome).await,
        }
    }
}

pub(crate) fn measure(url: Option<&str>, choice: &Choice, outcome: &mut Outcome) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let place = Place::open(url).await?;
        let measured = measure_on(&Bare::connect(&place).await?, choice, outcome).await;
        place.clean().await?;
        measured
    })
}

async fn measure_on(bare: &Bare, choice: &Choice, outcome: &mut Outcome) -> Result<()> {
    for capability in Capability::value_variants() {
        if choice.capabilities.is_empty() || choice.capabilities.contains(capability) {
            capability.measure(bare, outcome).await?;
        }
    }
    Ok(())
}

/// The server, and the client of the capabilities used for single commands.
struct Bare {
    url: String,
    client: Client,
    connection: redis::aio::MultiplexedConnection,
}

impl Bare {
    async fn connect(place: &Place) -> Result<Self> {
        let config = Config::builder()
            .address(place.url())
            .key_prefix(place.prefix("state"))
            .read_timeout(Duration::from_secs(60))
            .write_timeout(Duration::from_secs(60))
            .build()?;
        Ok(Self {
            url: place.url().to_owned(),
            client: Client::connect(config).await?,
            connection: place.connection().await?,
        })
    }

    /// The name of a key of the bare commands.
    fn key(&self, name: impl std::fmt::Display) -> String {
        format!("{}:bare:{name}", self.client.key_prefix().as_str())
    }

    /// Runs one command as every capability does.
    fn run<'a>(
        &'a self,
        command: &'static str,
        words: &'a [&'a [u8]],
    ) -> BoxFuture<'a, Result<redis::Value>> {
        Box::pin(async move {
            let mut built = redis::cmd(command);
            built.arg(words);
            Ok(self.client.query(BARE, words[0], &built).await?)
        })
    }
}

/// So many bytes that are no text.
fn some_bytes() -> Vec<u8> {
    (0..BYTES).map(|i| (i * 7 % 251) as u8).collect()
}

/// A shared piece of work: which task does it for the how many-th time.
type Work = Arc<dyn Fn(usize, usize) -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Says that something is as the arm expects it.
fn expect(holds: bool, what: &'static str) -> Result<()> {
    ensure!(holds, "{what}");
    Ok(())
}
