//! The layer.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, request::Parts};
use state_core::rate_limit::{
    Charge, Decision, RateLimitError, RateLimitFields, RateLimiter, Rule,
};
use tower_layer::Layer;
use tower_service::Service;

use crate::problem::problem;

type Subject = dyn Fn(&Parts) -> Option<String> + Send + Sync;

/// Rules that no call could be counted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidRules;

impl InvalidRules {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        "rate_limit.invalid_rules"
    }
}

impl fmt::Display for InvalidRules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a layer has 1 to {} rules, each once", Charge::MAX_RULES)
    }
}

impl std::error::Error for InvalidRules {}

struct Settings {
    limiter: RateLimiter,
    rules: Vec<Rule>,
    subject: Box<Subject>,
}

/// Limits the calls of a service. A clone is a handle to the same.
#[derive(Clone)]
pub struct RateLimitLayer(Arc<Settings>);

impl RateLimitLayer {
    /// Limits calls by a rule. What the calls of one caller have in common is what the function
    /// makes of a request; calls that it makes nothing of are not limited. One that cannot be
    /// counted under what it makes, as that is empty or longer than 512 bytes, is refused with 400.
    #[must_use]
    pub fn new<F>(limiter: RateLimiter, rule: Rule, subject: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        Self::made(limiter, vec![rule], subject)
    }

    /// Limits calls by several rules at once: a call has to pass all of them, and takes from all or
    /// from none.
    ///
    /// # Errors
    ///
    /// [`InvalidRules`] for no rules, more than 16, and two that are counted as one.
    pub fn all<F>(limiter: RateLimiter, rules: Vec<Rule>, subject: F) -> Result<Self, InvalidRules>
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        let name = |rule: &Rule| (rule.name().to_owned(), rule.counted_by());
        let is_twice = |(index, rule): (usize, &Rule)| {
            let mut before = rules[..index].iter();
            before.any(|other| name(other) == name(rule))
        };
        let is_valid = (1..=Charge::MAX_RULES).contains(&rules.len())
            && !rules.iter().enumerate().any(is_twice);
        if !is_valid {
            return Err(InvalidRules);
        }
        Ok(Self::made(limiter, rules, subject))
    }

    fn made<F>(limiter: RateLimiter, rules: Vec<Rule>, subject: F) -> Self
    where
        F: Fn(&Parts) -> Option<String> + Send + Sync + 'static,
    {
        Self(Arc::new(Settings {
            limiter,
            rules,
            subject: Box::new(subject),
        }))
    }
}

impl fmt::Debug for RateLimitLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimitLayer")
            .field("rules", &self.0.rules)
            .finish_non_exhaustive()
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService {
            layer: self.clone(),
            inner,
        }
    }
}

/// A service whose calls are limited.
#[derive(Debug, Clone)]
pub struct RateLimitService<S> {
    layer: RateLimitLayer,
    inner: S,
}

impl<S, B, R> Service<Request<B>> for RateLimitService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: From<String> + Send,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // The one that is ready is the one to call.
        let spare = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, spare);
        let layer = self.layer.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let decision = match layer.0.decide(&parts).await {
                None => return inner.call(Request::from_parts(parts, body)).await,
                Some(Err(error)) => return Ok(uncounted(&error)),
                Some(Ok(decision)) => decision,
            };
            let rules: Vec<&Rule> = layer.0.rules.iter().collect();
            let fields = RateLimitFields::new(&rules, &decision);
            let mut response = if decision.is_allowed() {
                inner.call(Request::from_parts(parts, body)).await?
            } else {
                refusal(&decision)
            };
            put(&mut response, "ratelimit-policy", &fields.policy);
            put(&mut response, "ratelimit", &fields.state);
            if let Some(seconds) = &fields.retry_after {
                // Of an answer made here, which has none.
                put(&mut response, "retry-after", seconds);
            }
            Ok(response)
        })
    }
}

impl Settings {
    /// Nothing when there is nobody to count the call under.
    async fn decide(&self, parts: &Parts) -> Option<Result<Decision, RateLimitError>> {
        let subject = (self.subject)(parts)?;
        let rules: Vec<_> = self
            .rules
            .iter()
            .map(|rule| (rule, subject.as_str()))
            .collect();
        Some(self.limiter.check_all(&subject, &rules, 1).await)
    }
}

/// Adds to what layers further inside have said: the fields are lists.
fn put<R>(response: &mut Response<R>, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
}

/// What cannot be counted does not go on: else it would be a way around the limit.
fn uncounted<R: From<String>>(error: &RateLimitError) -> Response<R> {
    if let RateLimitError::Invalid { .. } = error {
        let detail = "What the call is counted under is empty or too long.";
        return problem(StatusCode::BAD_REQUEST, "Bad Request", detail);
    }
    let detail = "Calls cannot be counted now. Repeat it later.";
    problem(
        StatusCode::SERVICE_UNAVAILABLE,
        "Service Unavailable",
        detail,
    )
}

fn refusal<R: From<String>>(decision: &Decision) -> Response<R> {
    let detail = if decision.retry_after.is_zero() {
        "The call asks for more than is ever allowed at once."
    } else {
        "There were too many calls. Repeat it after the time in Retry-After."
    };
    problem(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests", detail)
}
