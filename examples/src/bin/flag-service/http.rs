//! Calls over HTTP: who is calling, what is asked of the governor, and what is answered.

use std::time::Duration;

use axum::{
    Extension, Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use examples::{tell, words_of};
use governance_core::{
    Actor, Cursor, GovernorError, IdempotencyKey, MutationRequest, OnStale, PageRequest, Remedy,
    RequestId, StateId, Status, SubmitOptions,
};
use serde::Deserialize;
use serde_json::{Value, json};
use state_core::rate_limit::{Limit, Rule};
use state_tower::{RequestSession, RequestSessionError, SessionLayer};

use crate::{flag::SetFlag, service::Service};

/// Entries of one page of an inbox.
const PAGE: u16 = 20;

/// Why a call was not done.
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    words: String,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, words: &impl ToString) -> Self {
        let words = words.to_string();
        Self {
            status,
            code,
            words,
        }
    }
}

impl From<GovernorError> for Refusal {
    fn from(error: GovernorError) -> Self {
        let status = match (&error, error.remedy()) {
            (GovernorError::NotFound { .. }, _) => StatusCode::NOT_FOUND,
            (GovernorError::Unauthorized { .. } | GovernorError::ExecutorBarred { .. }, _) => {
                StatusCode::FORBIDDEN
            }
            (GovernorError::Request(_) | GovernorError::KeyReused { .. }, _) => {
                StatusCode::CONFLICT
            }
            (_, Remedy::TellCaller) => StatusCode::UNPROCESSABLE_ENTITY,
            (_, Remedy::TryLater | Remedy::RepeatOperation) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        if status.is_server_error() {
            // What is behind it is for the log.
            tell(format_args!("{error} ({})", error.code()));
            return Self::new(status, error.code(), &error.remedy());
        }
        Self::new(status, error.code(), &error)
    }
}

impl From<RequestSessionError> for Refusal {
    fn from(error: RequestSessionError) -> Self {
        tell(&error);
        let words = "sessions do not work now";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "session", &words)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = json!({ "code": self.code, "error": self.words });
        (self.status, Json(body)).into_response()
    }
}

/// Whatever a name, key or page that came from outside is refused with.
fn checked<T, E: Into<GovernorError>>(made: Result<T, E>) -> Result<T, Refusal> {
    made.map_err(|error| error.into().into())
}

async fn caller(session: &RequestSession) -> Result<Actor, Refusal> {
    let unknown = || Refusal::new(StatusCode::UNAUTHORIZED, "login", &"log in first");
    let name = session.user().await?.ok_or_else(unknown)?;
    checked(Actor::user(&name))
}

#[derive(Deserialize)]
struct Login {
    name: String,
    password: String,
}

/// Logs in. A program has a directory of people and hashes of their passwords here.
async fn log_in(
    Extension(password): Extension<Password>,
    Extension(session): Extension<RequestSession>,
    Json(login): Json<Login>,
) -> Result<StatusCode, Refusal> {
    let begun = session.begin_login().await?;
    if password.0 != login.password || checked(Actor::user(&login.name)).is_err() {
        return Ok(StatusCode::UNAUTHORIZED);
    }
    session.finish_login(begun, &login.name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Everybody's password.
#[derive(Clone)]
pub(crate) struct Password(pub(crate) String);

#[derive(Deserialize)]
struct Wish {
    percent: u8,
    reason: String,
}

/// Asks for a change; one that needs nobody's approval is made at once. A caller who got no answer
/// asks again with the same `Idempotency-Key`.
async fn submit(
    State(service): State<Service>,
    Extension(rule): Extension<Rule>,
    Extension(session): Extension<RequestSession>,
    Path((environment, name)): Path<(String, String)>,
    headers: HeaderMap,
    Json(wish): Json<Wish>,
) -> Result<Response, Refusal> {
    let by = caller(&session).await?;
    let checking = service.limiter.check(&rule, by.id().as_str(), 1).await;
    let decision = checking
        .map_err(|error| Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "limit", &error))?;
    if !decision.is_allowed() {
        let seconds = decision.retry_after.as_secs() + 1;
        let wait = [("retry-after", seconds.to_string())];
        let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "limit", &"too many wishes");
        return Ok((wait, refusal).into_response());
    }
    let flag = checked(StateId::new(format!("{environment}/{name}")))?;
    let mut options = SubmitOptions::new().reason(wish.reason);
    if let Some(key) = headers.get("idempotency-key") {
        let key = String::from_utf8_lossy(key.as_bytes());
        options = options.idempotency_key(checked(IdempotencyKey::new(key))?);
    }
    let change = SetFlag {
        percent: wish.percent,
    };
    let submitted = service.governor.submit_with(&by, &flag, change, options);
    let submission = submitted.await?;
    let request = if submission.is_approved() {
        let id = submission.id();
        let executing = service.governor.execute(&id, &by, OnStale::Revalidate);
        told(executing.await?.request())
    } else {
        told(submission.request())
    };
    Ok((StatusCode::ACCEPTED, Json(request)).into_response())
}

#[derive(Deserialize)]
struct Opinion {
    reason: String,
}

/// Approves, and executes what is approved by that, or was and is not executed yet. If the flag has
/// changed meanwhile people are asked again.
async fn approve(
    State(service): State<Service>,
    Extension(session): Extension<RequestSession>,
    Path(id): Path<RequestId>,
    Json(opinion): Json<Opinion>,
) -> Result<Json<Value>, Refusal> {
    let by = caller(&session).await?;
    if service.governor.get(&id).await?.status() != Status::Approved {
        let request = service.governor.approve(&id, &by, opinion.reason).await?;
        if request.status() != Status::Approved {
            return Ok(Json(told(&request)));
        }
    }
    let executing = service.governor.execute(&id, &by, OnStale::RenewApproval);
    Ok(Json(told(executing.await?.request())))
}

async fn reject(
    State(service): State<Service>,
    Extension(session): Extension<RequestSession>,
    Path(id): Path<RequestId>,
    Json(opinion): Json<Opinion>,
) -> Result<Json<Value>, Refusal> {
    let by = caller(&session).await?;
    let reason = opinion.reason.as_str();
    let request = service.governor.reject(&id, &by, reason).await?;
    Ok(Json(told(&request)))
}

/// What the caller can decide right now, a page at a time.
async fn inbox(
    State(service): State<Service>,
    Extension(session): Extension<RequestSession>,
    cursor: Option<Path<Cursor>>,
) -> Result<Json<Value>, Refusal> {
    let by = caller(&session).await?;
    let mut page = checked(PageRequest::first(PAGE))?;
    if let Some(Path(cursor)) = cursor {
        page = page.after(cursor);
    }
    let decidable = service.governor.decidable_by(by.id()).await?;
    let found = service.governor.requests(&decidable, &page).await?;
    let next = found.next.map(|cursor| format!("/inbox/{cursor}"));
    let items: Vec<_> = found.items.iter().map(|request| told(request)).collect();
    Ok(Json(json!({ "items": items, "next": next })))
}

/// Everything that was decided about a change, and why it still waits.
async fn history(
    State(service): State<Service>,
    Path(id): Path<RequestId>,
) -> Result<Json<Value>, Refusal> {
    let request = service.governor.get(&id).await?;
    let decisions = request.decisions().iter().map(|decision| {
        json!({
            "at": decision.at().to_string(),
            "what": decision.kind().to_string(),
            "by": decision.actor().id(),
            "why": decision.reason(),
        })
    });
    let decisions: Vec<_> = decisions.collect();
    let explanation = service.governor.explain(&id).await?;
    let mut told = told(&request);
    told["summary"] = json!(explanation.summary);
    told["can_decide"] = json!(explanation.can_decide());
    told["decisions"] = json!(decisions);
    Ok(Json(told))
}

fn told(request: &MutationRequest) -> Value {
    let proposal = request.proposal();
    json!({
        "id": request.id(),
        "flag": proposal.scope().state_id,
        "status": request.status(),
        "by": proposal.requester().id(),
        "wants": proposal.intent().description(),
        "until": request.due_at().map(|at| at.to_string()),
    })
}

/// A flag. `X-Source` says whether it came from the cache.
async fn flag(
    State(service): State<Service>,
    Path((environment, name)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let id = checked(StateId::new(format!("{environment}/{name}")))?;
    match service.flag(&id).await {
        Ok((flag, source)) => Ok(([("x-source", source.as_str())], Json(flag)).into_response()),
        Err(error) => {
            tell(words_of(&error));
            let words = "flags cannot be read now";
            Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "flag",
                &words,
            ))
        }
    }
}

pub(crate) fn router(
    service: Service,
    sessions: SessionLayer,
    password: Password,
    wishes_per_minute: u64,
) -> anyhow::Result<Router> {
    let limit = Limit::new(wishes_per_minute, Duration::from_secs(60))?;
    let rule = Rule::new("wishes", limit)?;
    Ok(Router::new()
        .route("/login", post(log_in))
        .route("/flags/{environment}/{name}/changes", post(submit))
        .route("/changes/{id}/approve", post(approve))
        .route("/changes/{id}/reject", post(reject))
        .route("/inbox", get(inbox))
        .route("/inbox/{cursor}", get(inbox))
        .route_layer(sessions)
        .route("/changes/{id}", get(history))
        .route("/flags/{environment}/{name}", get(flag))
        .layer(Extension(rule))
        .layer(Extension(password))
        .with_state(service))
}
