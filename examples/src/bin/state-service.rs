//! A service on axum with a cache, rate limits and sessions. It starts on memory, and on Redis with
//! one option and a secret; several of them on one Redis share all three.
//!
//! ```console
//! cargo run -p examples --bin state-service -- --listen 127.0.0.1:8080 --password sesame
//! curl -iX PUT localhost:8080/places/lisbon --json '{"name":"Lisbon","description":"on a river"}'
//! curl -i localhost:8080/places/lisbon
//! curl -ic jar localhost:8080/login --json '{"name":"alice","password":"sesame"}'
//! curl -ib jar localhost:8080/me
//!
//! # Its cookie is for encrypted connections, or for localhost. To try it from elsewhere without:
//! cargo run -p examples --bin state-service -- --listen 0.0.0.0:8080 --password sesame --plain-http
//!
//! export REDIS_SESSION_HASH_KEY="$(openssl rand -base64 32)"
//! cargo run -p examples --bin state-service -- --backend redis --redis-url redis://localhost:6379 --password sesame
//! ```

use std::{
    collections::BTreeMap,
    future::{IntoFuture as _, pending},
    io::Write as _,
    net::SocketAddr,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use axum::{
    Extension, Json, Router,
    extract::{ConnectInfo, Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use clap::{Parser, ValueEnum};
use examples::{tell, words_of};
use redis_client::Status;
use serde::{Deserialize, Serialize};
use state_core::{
    Entropy as _, Namespace, OsEntropy,
    cache::{Cache, LoadOptions},
    rate_limit::{Limit, Rule},
    session::SessionKeys,
};
use state_modules::{Health, InUse, NamedTokens, Root, Settings, modules};
use state_tower::{
    RateLimitLayer, RequestSession, RequestSessionError, SessionCookie, SessionLayer,
    TrustedProxies,
};
use tokio::{net::TcpListener, sync::oneshot, time::sleep};

/// Bytes that an id of a place may have, so that it is a key of the cache in any case.
const LONGEST_ID: usize = 256;
/// What keys start with on a server that is named by `--redis-url`.
const KEY_PREFIX: &str = "state-service";

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Memory,
    Redis,
}

/// Serves descriptions of places from a slow database.
#[derive(Parser)]
struct Arguments {
    /// Where to listen; port 0 takes any.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// What cache, rate limits and sessions are kept on.
    #[arg(long, value_enum, default_value = "memory")]
    backend: Kind,
    /// The server, with `--backend redis`. Left out, `REDIS_ADDR` says it. All other `REDIS_*`
    /// variables hold either way, those of cache, sessions and limits too.
    #[arg(long)]
    redis_url: Option<String>,
    /// What every key starts with, with `--redis-url`: `state-service` if it is left out. Without
    /// `--redis-url` it is for `REDIS_KEY_PREFIX` to say.
    #[arg(long)]
    key_prefix: Option<String>,
    /// Calls a minute and caller.
    #[arg(long, default_value_t = 60)]
    calls_per_minute: u64,
    /// Logins a minute and caller, those that fail included.
    #[arg(long, default_value_t = 10)]
    logins_per_minute: u64,
    /// Everybody's password. Left out, nobody can log in.
    #[arg(long)]
    password: Option<String>,
    /// Sends the cookie of a login over connections that are not encrypted, too.
    #[arg(long)]
    plain_http: bool,
    /// Proxies whose `X-Forwarded-For` is believed.
    #[arg(long)]
    trust_proxy: Vec<String>,
    /// How long calls may go on that are under way when it is stopped.
    #[arg(long, default_value_t = 10)]
    drain_seconds: u64,
}

impl Arguments {
    /// Nothing that was asked for is left out silently.
    fn check(&self) -> anyhow::Result<()> {
        let is_redis = matches!(self.backend, Kind::Redis);
        anyhow::ensure!(
            is_redis || self.redis_url.is_none(),
            "--redis-url is for --backend redis"
        );
        anyhow::ensure!(
            self.redis_url.is_some() || self.key_prefix.is_none(),
            "--key-prefix is for --redis-url; without it REDIS_KEY_PREFIX says what keys start with"
        );
        anyhow::ensure!(
            self.password.as_deref() != Some(""),
            "--password is empty; left out, nobody can log in"
        );
        Ok(())
    }

    /// The variables of the environment say everything, but for what the options say.
    fn settings(&self, tokens: &NamedTokens) -> anyhow::Result<Settings> {
        let said = |variable: &str| {
            let kind = match self.backend {
                Kind::Memory => "memory",
                Kind::Redis => "redis",
            };
            let option = match (variable, &self.redis_url) {
                ("REDIS_BACKEND", _) => kind,
                ("REDIS_ADDR", Some(url)) => url,
                ("REDIS_KEY_PREFIX", Some(_)) => self.key_prefix.as_deref().unwrap_or(KEY_PREFIX),
                ("REDIS_PING_ON_BUILD", Some(_)) => "true",
                _ => return std::env::var(variable).ok(),
            };
            Some(option.to_owned())
        };
        Ok(Settings::read(tokens.instance.clone(), &said)?)
    }

    /// What ids of sessions are hashed with. On Redis every instance needs the same; in memory it
    /// is made up, as no session outlives the process.
    fn session_keys(&self) -> anyhow::Result<SessionKeys> {
        if let Kind::Redis = self.backend {
            anyhow::bail!("REDIS_SESSION_HASH_KEY is not set");
        }
        let mut secret = [0; SessionKeys::MIN_BYTES];
        OsEntropy.fill(&mut secret)?;
        Ok(SessionKeys::new(&secret)?)
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    name: String,
    description: String,
}

/// The slow database.
type Database = Arc<Mutex<BTreeMap<String, Place>>>;

#[derive(Clone)]
struct Service {
    cache: Cache,
    health: Health,
    database: Database,
    password: Option<Arc<str>>,
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
        tell(format_args!("error: {}", words_of(&self.0)));
        StatusCode::SERVICE_UNAVAILABLE.into_response()
    }
}

/// A place, from the cache if it is there. `X-Source` says where it came from.
async fn read(State(service): State<Service>, Path(id): Path<String>) -> Result<Response, Trouble> {
    if id.len() > LONGEST_ID {
        return Ok(StatusCode::URI_TOO_LONG.into_response());
    }
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
    if id.len() > LONGEST_ID {
        return Ok(StatusCode::URI_TOO_LONG);
    }
    service.put(&id, place);
    service.cache.delete(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

/// Logs in. A program has a directory of people and hashes of their passwords here, which take
/// time: that is what the login begins before.
async fn log_in(
    State(service): State<Service>,
    Extension(session): Extension<RequestSession>,
    Json(login): Json<Login>,
) -> Result<StatusCode, Trouble> {
    let begun = session.begin_login().await?;
    let is_right = service.password.as_deref() == Some(login.password.as_str());
    if !is_right || !(1..=64).contains(&login.name.len()) {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    match session.finish_login(begun, &login.name).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(RequestSessionError::Revoked) => Ok(StatusCode::UNAUTHORIZED),
        Err(error) => Err(error.into()),
    }
}

/// Who is logged in, and how often that was asked.
async fn me(Extension(session): Extension<RequestSession>) -> Result<Response, Trouble> {
    let Some(name) = session.user().await? else {
        return Ok(StatusCode::UNAUTHORIZED.into_response());
    };
    let asked = session.get::<u64>("asked").await?.unwrap_or_default() + 1;
    session.insert("asked", &asked).await?;
    Ok(Json(serde_json::json!({ "name": name, "asked": asked })).into_response())
}

async fn log_out(Extension(session): Extension<RequestSession>) -> Result<StatusCode, Trouble> {
    session.log_out().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Logs out everywhere: on every device, and where a login is under way.
async fn everywhere(Extension(session): Extension<RequestSession>) -> Result<StatusCode, Trouble> {
    Ok(if session.revoke_all().await? {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::UNAUTHORIZED
    })
}

async fn ready(State(service): State<Service>) -> Response {
    let readiness = service.health.readiness().await;
    let status = match readiness.status {
        Status::Down => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    };
    let told = serde_json::json!({
        "status": readiness.status.as_str(),
        "warnings": readiness.warnings,
    });
    (status, Json(told)).into_response()
}

fn root(arguments: &Arguments, tokens: &NamedTokens) -> anyhow::Result<Root> {
    let settings = arguments.settings(tokens)?;
    let keys = match settings.session_keys {
        Some(keys) => keys,
        None => arguments.session_keys()?,
    };
    let in_use = [
        InUse::from(&settings.cache),
        InUse::from(&settings.limiter),
        InUse::from(&settings.session),
    ];
    let (places, people) = (Namespace::new("places")?, Namespace::new("people")?);
    let root = Root::builder()
        .module(modules::instance(tokens, settings.backend))
        .module(modules::events(tokens, settings.events))
        .module(modules::cache(tokens, places, settings.cache))
        .module(modules::rate_limit(tokens, settings.limiter))
        .module(modules::session(tokens, people, keys, settings.session))
        .module(modules::health(tokens, in_use));
    Ok(root.build()?)
}

async fn router(
    arguments: &Arguments,
    tokens: &NamedTokens,
    root: &Root,
) -> anyhow::Result<Router> {
    let service = Service {
        cache: (*root.get(&tokens.cache).await?).clone(),
        health: (*root.get(&tokens.health).await?).clone(),
        database: Arc::default(),
        password: arguments.password.as_deref().map(Into::into),
    };
    let limiter = (*root.get(&tokens.rate_limit).await?).clone();
    let proxies = Arc::new(TrustedProxies::new(&arguments.trust_proxy).context("--trust-proxy")?);
    let limited = |name: &str, quantity: u64| -> anyhow::Result<_> {
        let limit = Limit::new(quantity, Duration::from_secs(60));
        let limit = limit.with_context(|| format!("--{name}-per-minute"))?;
        let (limiter, proxies) = (limiter.clone(), Arc::clone(&proxies));
        let rule = Rule::new(name, limit)?;
        Ok(RateLimitLayer::new(limiter, rule, move |call| {
            let peer = call.extensions.get::<ConnectInfo<SocketAddr>>()?;
            Some(proxies.client(peer.ip(), &call.headers).subject())
        }))
    };
    let (calls, logins) = (
        limited("calls", arguments.calls_per_minute)?,
        limited("logins", arguments.logins_per_minute)?,
    );
    let cookie = SessionCookie::new().secure(!arguments.plain_http);
    let sessions = (*root.get(&tokens.session).await?).clone();
    let sessions = SessionLayer::with_cookie(sessions, cookie)?;
    // Layers of routes: what is unknown here, path or method, is neither counted nor anybody's.
    Ok(Router::new()
        .route("/login", post(log_in).route_layer(logins))
        .route("/me", get(me))
        .route("/logout", post(log_out))
        .route("/everywhere", post(everywhere))
        .route_layer(sessions)
        .route("/places/{id}", get(read).put(write).route_layer(calls))
        .route("/health/live", get(|| async { StatusCode::OK }))
        .route("/health/ready", get(ready))
        .with_state(service))
}

/// Serves until it is stopped, and then until the calls that are under way have ended or their
/// time is up.
async fn listen(arguments: &Arguments, router: Router) -> anyhow::Result<()> {
    let listener = TcpListener::bind(arguments.listen).await;
    let listener = listener.with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let stop = examples::stop().context("signals cannot be waited for")?;
    writeln!(std::io::stdout(), "listening on {}", listener.local_addr()?)?;
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let (stopping, stopped) = oneshot::channel();
    let serving = axum::serve(listener, service).with_graceful_shutdown(async {
        stop.await;
        // Nobody waits for it if serving has ended already.
        let _ = stopping.send(());
    });
    let is_late = async {
        match stopped.await {
            Ok(()) => sleep(Duration::from_secs(arguments.drain_seconds)).await,
            Err(_) => pending().await,
        }
    };
    tokio::select! {
        served = serving.into_future() => Ok(served?),
        () = is_late => {
            tell("error: calls that were under way were cut off");
            Ok(())
        }
    }
}

async fn serve(arguments: Arguments) -> anyhow::Result<()> {
    arguments.check()?;
    let tokens = NamedTokens::default();
    let root = root(&arguments, &tokens)?;
    let served = match router(&arguments, &tokens, &root).await {
        Ok(router) => listen(&arguments, router).await,
        Err(error) => Err(error),
    };
    // What was opened is closed, whatever went wrong.
    let closed = root.close(Duration::from_secs(5)).await;
    served?;
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
