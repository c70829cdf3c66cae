//! The layer around a service.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use state_core::{
    NoObserver,
    rate_limit::{Limit, LimiterOptions, OnError, RateLimiter, Rule},
};
use state_memory::{Fault, Faults, rate_limit::MemoryRateLimits};
use state_testkit::VirtualClock;
use state_tower::RateLimitLayer;
use tower_layer::Layer as _;
use tower_service::Service;

/// Answers with the body of the request.
#[derive(Debug, Clone)]
struct Echo;

impl Service<Request<String>> for Echo {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<String>) -> Self::Future {
        ready(Ok(Response::new(request.into_body())))
    }
}

struct Rig {
    clock: VirtualClock,
    faults: Faults,
    layer: RateLimitLayer,
}

fn rig(rules: &[(&str, u64, u64)], policy: OnError) -> Rig {
    let (clock, faults) = (VirtualClock::new(), Faults::new());
    let store = MemoryRateLimits::with(Arc::new(clock.clone()), faults.clone());
    let limiter = RateLimiter::observed(
        Arc::new(store),
        LimiterOptions::default().on_error(policy),
        Arc::new(clock.clone()),
        Arc::new(NoObserver),
    )
    .unwrap();
    let rules = rules.iter().map(|(name, quantity, seconds)| {
        Rule::new(
            name,
            Limit::new(*quantity, Duration::from_secs(*seconds)).unwrap(),
        )
        .unwrap()
    });
    let layer = RateLimitLayer::all(limiter, rules.collect(), |parts| {
        let caller = parts.headers.get("caller")?;
        caller.to_str().ok().map(str::to_owned)
    });
    Rig {
        clock,
        faults,
        layer: layer.unwrap(),
    }
}

async fn call(rig: &Rig, caller: Option<&str>) -> Response<String> {
    let mut request = Request::builder();
    if let Some(caller) = caller {
        request = request.header("caller", caller);
    }
    let mut service = rig.layer.layer(Echo);
    service
        .call(request.body("hello".to_owned()).unwrap())
        .await
        .unwrap()
}

fn field<'a>(response: &'a Response<String>, name: &str) -> &'a str {
    response
        .headers()
        .get(name)
        .map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn calls_are_counted_and_refused_with_the_time_to_come_back() {
    let rig = rig(&[("api", 2, 3)], OnError::Open);
    for remaining in [1, 0] {
        let response = call(&rig, Some("a")).await;
        assert_eq!(
            (response.status(), response.body().as_str()),
            (StatusCode::OK, "hello")
        );
        assert_eq!(field(&response, "ratelimit-policy"), r#""api";q=2;w=3"#);
        assert!(field(&response, "ratelimit").starts_with(&format!(r#""api";r={remaining};t="#)));
        assert_eq!(field(&response, "retry-after"), "");
    }
    let refused = call(&rig, Some("a")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(field(&refused, "content-type"), "application/problem+json");
    assert_eq!(field(&refused, "retry-after"), "2");
    assert!(refused.body().contains(r#""status":429"#));
    assert_eq!(call(&rig, Some("b")).await.status(), StatusCode::OK);
    rig.clock.advance(Duration::from_millis(1_500));
    assert_eq!(call(&rig, Some("a")).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn several_rules_hold_together() {
    let rig = rig(&[("second", 5, 1), ("day", 6, 86_400)], OnError::Open);
    for _ in 0..5 {
        assert_eq!(call(&rig, Some("a")).await.status(), StatusCode::OK);
    }
    let refused = call(&rig, Some("a")).await;
    assert!(
        field(&refused, "ratelimit").starts_with(r#""second""#),
        "{refused:?}"
    );
    rig.clock.advance(Duration::from_secs(1));
    assert_eq!(call(&rig, Some("a")).await.status(), StatusCode::OK);
    let refused = call(&rig, Some("a")).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(
        field(&refused, "ratelimit").starts_with(r#""day""#),
        "{refused:?}"
    );
}

#[tokio::test]
async fn calls_of_nobody_are_not_limited() {
    let rig = rig(&[("api", 1, 60)], OnError::Open);
    for _ in 0..3 {
        let response = call(&rig, None).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(field(&response, "ratelimit"), "");
    }
}

#[tokio::test]
async fn the_policy_of_the_limiter_answers_when_the_backend_is_away() {
    for (policy, status) in [
        (OnError::Open, StatusCode::OK),
        (
            OnError::Closed {
                retry_after: Duration::from_secs(7),
            },
            StatusCode::TOO_MANY_REQUESTS,
        ),
    ] {
        let rig = rig(&[("api", 1, 60)], policy);
        rig.faults.fail_next("rate_limit.charge", Fault::Before);
        let response = call(&rig, Some("a")).await;
        assert_eq!(response.status(), status);
    }
}
