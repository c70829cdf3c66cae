//! Feature flags as a service: what is changed in production waits for two release managers, in
//! staging for one. Governed change behind HTTP, with a cache in front of the flags, logins, and a
//! limit on wishes; in memory, or on a Redis server that several of them share.
//!
//! ```console
//! cargo run -p examples --bin flag-service -- --password sesame
//! curl -c alice localhost:8080/login --json '{"name":"alice","password":"sesame"}'
//! curl -c bob localhost:8080/login --json '{"name":"bob","password":"sesame"}'
//! curl -b alice localhost:8080/flags/staging/search/changes --json '{"percent":10,"reason":"try it"}'
//! curl -b bob localhost:8080/inbox
//! curl -b bob localhost:8080/changes/ID/approve --json '{"reason":"looks right"}'
//! curl -i localhost:8080/flags/staging/search
//!
//! export REDIS_SESSION_HASH_KEY="$(openssl rand -base64 32)"
//! cargo run -p examples --bin flag-service -- --password sesame --redis-url redis://localhost:6379
//! ```

mod flag;
mod http;
mod service;

use std::{io::Write as _, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Parser;
use examples::{People, tell, words_of};
use governance_core::Provider;
use governance_memory::MemoryStore;
use governance_redis::{RedisStore, RedisStoreOptions};
use state_core::{Entropy as _, Namespace, OsEntropy, session::SessionKeys};
use state_modules::{NamedTokens, Root, Settings, modules};
use state_tower::{SessionCookie, SessionLayer};
use tokio::{net::TcpListener, task::JoinSet};

use crate::{http::Password, service::Service};

/// Serves feature flags, and changes of them that people approve.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// A Redis server to keep everything on. Left out, it is kept in memory. All other `REDIS_*`
    /// variables hold, too.
    #[arg(long)]
    redis_url: Option<String>,
    /// What every key on Redis starts with.
    #[arg(long, default_value = "flag-service")]
    key_prefix: String,
    /// Everybody's password.
    #[arg(long)]
    password: String,
    /// Changes a minute that one person may ask for.
    #[arg(long, default_value_t = 10)]
    wishes_per_minute: u64,
}

impl Arguments {
    /// The variables of the environment say everything, but for what the options say.
    fn settings(&self, tokens: &NamedTokens) -> anyhow::Result<Settings> {
        let said = |variable: &str| match (variable, &self.redis_url) {
            ("REDIS_BACKEND", None) => Some("memory".to_owned()),
            ("REDIS_BACKEND", Some(_)) => Some("redis".to_owned()),
            ("REDIS_ADDR", Some(url)) => Some(url.clone()),
            ("REDIS_KEY_PREFIX", _) => Some(self.key_prefix.clone()),
            _ => std::env::var(variable).ok(),
        };
        Ok(Settings::read(tokens.instance.clone(), &said)?)
    }

    /// What ids of sessions are hashed with: a secret all processes share, or in memory any.
    fn session_keys(&self, set: Option<SessionKeys>) -> anyhow::Result<SessionKeys> {
        if let Some(keys) = set {
            return Ok(keys);
        }
        anyhow::ensure!(
            self.redis_url.is_none(),
            "REDIS_SESSION_HASH_KEY is not set"
        );
        let mut secret = [0; SessionKeys::MIN_BYTES];
        OsEntropy.fill(&mut secret)?;
        Ok(SessionKeys::new(&secret)?)
    }

    fn root(&self, tokens: &NamedTokens) -> anyhow::Result<Root> {
        let settings = self.settings(tokens)?;
        let keys = self.session_keys(settings.session_keys)?;
        let (flags, people) = (Namespace::new("flags")?, Namespace::new("people")?);
        let root = Root::builder()
            .module(modules::instance(tokens, settings.backend))
            .module(modules::events(tokens, settings.events))
            .module(modules::cache(tokens, flags, settings.cache))
            .module(modules::rate_limit(tokens, settings.limiter))
            .module(modules::session(tokens, people, keys, settings.session));
        Ok(root.build()?)
    }

    /// The store of the governor, on the client that everything else is on. With a large cache it
    /// would have a server of its own, one that never evicts.
    async fn store(&self, tokens: &NamedTokens, root: &Root) -> anyhow::Result<Arc<dyn Provider>> {
        if self.redis_url.is_none() {
            return Ok(Arc::new(MemoryStore::new()));
        }
        let client = root.get(&tokens.client).await?;
        let options = RedisStoreOptions::default();
        let store = RedisStore::connect((*client).clone(), options).await?;
        for warning in store.warnings() {
            tell(format_args!("warning: {warning}"));
        }
        Ok(Arc::new(store))
    }
}

fn people() -> anyhow::Result<People> {
    let manager = &["release-manager"][..];
    Ok(People::new()
        .person("alice", &[], &[])?
        .person("bob", manager, &[])?
        .person("carol", manager, &[])?
        .person("dave", manager, &[])?)
}

/// Serves until it is stopped. What runs beside the calls ends before what it runs on is closed.
async fn run(arguments: &Arguments, tokens: &NamedTokens, root: &Root) -> anyhow::Result<()> {
    let store = arguments.store(tokens, root).await?;
    let cache = (*root.get(&tokens.cache).await?).clone();
    let limiter = (*root.get(&tokens.rate_limit).await?).clone();
    let service = Service::new(store, people()?, cache, limiter)?;

    let sessions = (*root.get(&tokens.session).await?).clone();
    let sessions = SessionLayer::with_cookie(sessions, SessionCookie::new())?;
    let password = Password(arguments.password.clone());
    let wishes = arguments.wishes_per_minute;
    let router = http::router(service.clone(), sessions, password, wishes)?;

    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let stop = examples::stop().context("signals cannot be waited for")?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let place = service.begin().await?;
    let mut beside = JoinSet::new();
    beside.spawn(service.clone().follow(place));
    beside.spawn(service.tick());
    let served = axum::serve(listener, router)
        .with_graceful_shutdown(stop)
        .await;
    beside.shutdown().await;
    Ok(served?)
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let tokens = NamedTokens::default();
    let root = arguments.root(&tokens)?;
    let ran = run(&arguments, &tokens, &root).await;
    // What was opened is closed, whatever went wrong.
    let closed = root.close(Duration::from_secs(5)).await;
    ran?;
    Ok(closed?)
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(format_args!("error: {}", words_of(&error)));
            ExitCode::from(2)
        }
    }
}
