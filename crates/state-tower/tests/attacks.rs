//! What a caller does who wants to get around the limit.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    convert::Infallible,
    future::{Ready, ready},
    net::IpAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderMap, Request, Response, StatusCode};
use state_core::rate_limit::{Algorithm, Limit, LimiterOptions, RateLimiter, Rule};
use state_memory::rate_limit::MemoryRateLimits;
use state_tower::{RateLimitLayer, TrustedProxies};
use tower_layer::Layer;
use tower_service::Service;

/// Answers, and counts on nothing.
#[derive(Debug, Clone)]
struct Hello;

impl Service<Request<String>> for Hello {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        ready(Ok(Response::new("hello".to_owned())))
    }
}

fn limiter() -> RateLimiter {
    let store = Arc::new(MemoryRateLimits::new());
    RateLimiter::new(store, LimiterOptions::default()).unwrap()
}

fn rule(name: &str, quantity: u64) -> Rule {
    let limit = Limit::new(quantity, Duration::from_secs(3_600)).unwrap();
    Rule::new(name, limit).unwrap()
}

/// Counted under what the caller says who it is.
fn by_key(rule: Rule) -> RateLimitLayer {
    RateLimitLayer::new(limiter(), rule, |parts| {
        let key = parts.headers.get("api-key")?;
        Some(String::from_utf8_lossy(key.as_bytes()).into_owned())
    })
}

async fn call<S>(mut service: S, key: &[u8]) -> Response<String>
where
    S: Service<Request<String>, Response = Response<String>, Error = Infallible>,
{
    let request = Request::builder().header("api-key", key);
    let request = request.body(String::new()).unwrap();
    service.call(request).await.unwrap()
}

/// A name that is too long to be counted under, or none, is no way around the limit.
#[tokio::test]
async fn who_cannot_be_counted_is_refused() {
    let service = by_key(rule("api", 1)).layer(Hello);
    for key in [&[b'a'; 513][..], &[b'a'; 8_000], b"", &[0xFF; 200]] {
        let answer = call(service.clone(), key).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let kind = &answer.headers()["content-type"];
        assert_eq!(kind, "application/problem+json");
        assert!(!answer.body().contains("aaa"), "{answer:?}");
    }
    assert_eq!(call(service.clone(), b"b").await.status(), StatusCode::OK);
    let second = call(service, b"b").await;
    assert_eq!(second.status(), StatusCode::TOO_MANY_REQUESTS);
}

/// Whatever a caller is named, nothing of it comes into the fields of an answer.
#[tokio::test]
async fn names_of_callers_are_in_no_field() {
    let service = by_key(rule("api", 1)).layer(Hello);
    let odd: &[u8] = "hunter2\t\"; x={\u{e9}}:*".as_bytes();
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let answer = call(service.clone(), odd).await;
        assert_eq!(answer.status(), status);
        assert!(!format!("{answer:?}").contains("hunter2"), "{answer:?}");
    }
    for name in [
        "a\"b",
        "a\r\nx: y",
        "",
        "A",
        "a b",
        "\u{e9}",
        &"a".repeat(65),
    ] {
        let limit = Limit::new(1, Duration::from_secs(1)).unwrap();
        assert!(Rule::new(name, limit).is_err(), "{name:?}");
    }
}

/// Rules that could only be refused call by call are refused where they are given.
#[test]
fn rules_that_cannot_work_are_refused_at_once() {
    let layer = |rules| RateLimitLayer::all(limiter(), rules, |_| None).map(drop);
    assert!(layer(vec![]).is_err());
    assert!(layer(vec![rule("a", 1), rule("a", 2)]).is_err());
    let many = |count: usize| (0..count).map(|n| rule(&format!("r{n}"), 1)).collect();
    assert!(layer(many(17)).is_err());
    assert!(layer(many(16)).is_ok());
    // Counted apart.
    let fixed = rule("a", 1).algorithm(Algorithm::FixedWindow);
    assert!(layer(vec![rule("a", 1), fixed]).is_ok());
}

/// Of two layers each tells its own: the fields are lists.
#[tokio::test]
async fn one_layer_does_not_hide_another() {
    let inner = by_key(rule("inner", 1)).layer(Hello);
    let service = by_key(rule("outer", 9)).layer(inner);
    for status in [StatusCode::OK, StatusCode::TOO_MANY_REQUESTS] {
        let answer = call(service.clone(), b"a").await;
        assert_eq!(answer.status(), status);
        for field in ["ratelimit", "ratelimit-policy"] {
            let told = answer.headers().get_all(field).iter();
            let told: Vec<_> = told.map(|value| value.to_str().unwrap()).collect();
            assert_eq!(told.len(), 2, "{field}: {told:?}");
            assert!(told[0].starts_with("\"inner\""), "{told:?}");
            assert!(told[1].starts_with("\"outer\""), "{told:?}");
        }
        let waits = answer.headers().get_all("retry-after").iter().count();
        assert_eq!(waits, usize::from(status != StatusCode::OK));
    }
}

/// A proxy is the same in every way its address can be written.
#[test]
fn proxies_are_known_however_they_are_written() {
    let peers = ["10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"];
    for network in [
        "10.0.0.0/8",
        "10.1.2.3",
        "::ffff:10.1.2.3",
        "::ffff:10.0.0.0/104",
        "::ffff:0:0/96",
    ] {
        let proxies = TrustedProxies::new([network]).unwrap();
        for peer in peers {
            let peer: IpAddr = peer.parse().unwrap();
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
            let subject = proxies.client(peer, &headers).subject();
            assert_eq!(subject, "198.51.100.7", "{network} {peer}");
        }
    }
    // And no other is.
    for network in ["::/0", "::ffff:11.0.0.0/104", "2001:db8::/32"] {
        let proxies = TrustedProxies::new([network]).unwrap();
        let peer: IpAddr = "10.1.2.3".parse().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", "198.51.100.7".parse().unwrap());
        let subject = proxies.client(peer, &headers).subject();
        assert_eq!(subject, "10.1.2.3", "{network}");
    }
}

/// Fields that are long, broken or everywhere decide nothing that the proxy did not say.
#[test]
fn forwarded_fields_cannot_be_abused() {
    let proxies = TrustedProxies::new(["10.0.0.0/8"]).unwrap();
    let peer: IpAddr = "10.1.2.3".parse().unwrap();
    let long = format!("{}203.0.113.9", "198.51.100.7, ".repeat(10_000));
    for (field, subject) in [
        (long.as_bytes(), "203.0.113.9"),
        (b"10.0.0.1, 203.0.113.9", "203.0.113.9"),
        (b"198.51.100.7, ", "10.1.2.3"),
        (b"198.51.100.7, unknown", "10.1.2.3"),
        (b"198.51.100.7, \xff", "10.1.2.3"),
        (b",,,,", "10.1.2.3"),
        (b"198.51.100.7, fe80::1%eth0", "10.1.2.3"),
        (b"[::ffff:203.0.113.9]:80", "203.0.113.9"),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(
            "x-forwarded-for",
            http::HeaderValue::from_bytes(field).unwrap(),
        );
        assert_eq!(proxies.client(peer, &headers).subject(), subject);
    }
}
