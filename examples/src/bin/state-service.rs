//! A service on axum with a cache and a rate limit. It starts on memory, and on Redis with one
//! option; several of them on one Redis share both.
//!
//! ```console
//! cargo run -p examples --bin state-service -- --listen 127.0.0.1:8080
//! cargo run -p examples --bin state-service -- --backend redis --redis-url redis://localhost:6379
//! curl -i localhost:8080/places/lisbon
//! ```

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use redis_client::{Config, Status};
use serde::{Deserialize, Serialize};
use state_core::{
    Capability, Namespace,
    cache::{Cache, CacheOptions, LoadOptions},
    event::EventOptions,
    rate_limit::{Limit, LimiterOptions, Rule},
};
use state_modules::{Backend, Health, NamedTokens, Root, modules};
use state_tower::{RateLimitLayer, TrustedProxies};
use tokio::net::TcpListener;

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Memory,
    Redis,
}

/// Serves descriptions of places from a slow database.
#[derive(Debug, Parser)]
struct Arguments {
    /// Where to listen; port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// What cache and rate limit are kept on.
    #[arg(long, value_enum, default_value = "memory")]
    backend: Kind,
    /// The server, with `--backend redis`. Left out, the `REDIS_*` variables say it.
    #[arg(long)]
    redis_url: Option<String>,
    /// What every key starts with.
    #[arg(long, default_value = "state-service")]
    key_prefix: String,
    /// Calls a minute and caller.
    #[arg(long, default_value_t = 60)]
    calls_per_minute: u64,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[arg(long)]
    trust_proxy: Vec<String>,
}

impl Arguments {
    fn backend(&self) -> anyhow::Result<Backend> {
        if let Kind::Memory = self.backend {
            anyhow::ensure!(
                self.redis_url.is_none(),
                "--redis-url is for --backend redis"
            );
            return Ok(Backend::Memory);
        }
        let Some(url) = &self.redis_url else {
            return Ok(Backend::redis(Config::from_env()?));
        };
        let config = Config::builder().address(url).key_prefix(&self.key_prefix);
        Ok(Backend::redis(config.ping_on_build(true).build()?))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    name: String,
    description: String,
}

/// The slow database.
type Database = Arc<Mutex<BTreeMap<String, Place>>>;

#[derive(Debug, Clone)]
struct Service {
    cache: Cache,
    health: Health,
    database: Database,
}

impl Service {
    fn put(&self, id: &str, place: Place) {
        let mut database = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        database.insert(id.to_owned(), place);
    }
}

/// What goes wrong behind a call. Details are for the log, not for the caller.
struct Trouble(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        drop(self.0);
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

/// A place, from the cache if it is there. `X-Source` says where it came from.
async fn read(State(service): State<Service>, Path(id): Path<String>) -> Result<Response, Trouble> {
    let (database, wanted) = (Arc::clone(&service.database), id.clone());
    let load = move || async move {
        let database = database.lock().unwrap_or_else(PoisonError::into_inner);
        let found = database.get(&wanted).map(serde_json::to_vec).transpose();
        found.map(|found| found.map(Bytes::from))
    };
    let loaded = service
        .cache
        .get_or_load(&id, &LoadOptions::default(), load)
        .await?;
    let source = [("x-source", loaded.source().as_str())];
    let Some(value) = loaded.value() else {
        return Ok((StatusCode::NOT_FOUND, source).into_response());
    };
    let place: Place = serde_json::from_slice(value)?;
    Ok((source, Json(place)).into_response())
}

/// Changes a place, and ends what the cache has of it.
async fn write(
    State(service): State<Service>,
    Path(id): Path<String>,
    Json(place): Json<Place>,
) -> Result<StatusCode, Trouble> {
    service.put(&id, place);
    service.cache.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn ready(State(service): State<Service>) -> Response {
    let readiness = service.health.readiness().await;
    let status = match readiness.status {
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    let told = serde_json::json!({
        "status": format!("{:?}", readiness.status).to_lowercase(),
        "warnings": readiness.warnings,
    });
    (status, Json(told)).into_response()
}

async fn put_together(arguments: &Arguments) -> anyhow::Result<(Root, Router)> {
    let tokens = NamedTokens::default();
    let root = Root::builder()
        .module(modules::instance(&tokens, arguments.backend()?))
        .module(modules::events(&tokens, EventOptions::default()))
        .module(modules::cache(
            &tokens,
            Namespace::new("places")?,
            CacheOptions::default(),
        ))
        .module(modules::rate_limit(&tokens, LimiterOptions::default()))
        .module(modules::health(
            &tokens,
            vec![Capability::Cache, Capability::RateLimit],
        ))
        .build()?;
    let service = Service {
        cache: (*root.get(&tokens.cache).await?).clone(),
        health: (*root.get(&tokens.health).await?).clone(),
        database: Arc::default(),
    };
    let limit = Limit::new(arguments.calls_per_minute, Duration::from_secs(60))?;
    let limiter = (*root.get(&tokens.rate_limit).await?).clone();
    let proxies = TrustedProxies::new(&arguments.trust_proxy)?;
    let limited = RateLimitLayer::new(limiter, Rule::new("calls", limit)?, move |call| {
        let peer = call.extensions.get::<ConnectInfo<SocketAddr>>()?;
        Some(proxies.client(peer.ip(), &call.headers).subject())
    });
    let router = Router::new()
        .route("/places/{id}", get(read).put(write))
        .layer(limited)
        .route("/health/live", get(|| async { StatusCode::OK }))
        .route("/health/ready", get(ready))
        .with_state(service);
    Ok((root, router))
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let (root, router) = put_together(&arguments).await?;
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(async {
            // Without a signal to wait for, it serves until it is killed.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
        .await?;
    root.close(Duration::from_secs(5)).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads errors there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "error: {}", examples::words_of(&error));
            ExitCode::from(2)
        }
    }
}
