//! What caches do when answers are lost and when the server is away.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

mod support;

use std::{collections::HashMap, sync::Arc};

use redis_client::{Client, Config};
use redis_harness::{Fault, FaultProxy, Server};
use state_core::{
    Classified as _, ErrorKind, Namespace,
    cache::{
        Cache, CacheOptions, Deleted, Invalidated, LoadOptions, OnError, SetOptions, Source, Tags,
    },
};
use state_redis::cache::RedisCacheStore;
use state_testkit::cache::{Bench, Gate, text};

use crate::support::{client, server};

fn cache(client: &Client, options: CacheOptions) -> Cache {
    let store = Arc::new(RedisCacheStore::new(client.clone()));
    let builder = Cache::builder(store, Namespace::new("things").unwrap()).options(options);
    builder.build().unwrap()
}

fn tags(names: &[&str]) -> Tags {
    Tags::new(names).unwrap()
}

/// A client behind a proxy, and one past it with the same keys.
async fn behind_proxy(server: &Server) -> (FaultProxy, Client, Client) {
    let proxy = FaultProxy::start(server.port()).await;
    let direct = client(server.url()).await;
    let config = support::patient(Config::builder().address(proxy.url()))
        .key_prefix(direct.key_prefix().as_str())
        // One connection, so that the fault meets the command that is meant.
        .shared_connections(1)
        .build()
        .unwrap();
    (proxy, Client::connect(config).await.unwrap(), direct)
}

#[tokio::test]
async fn lost_answers_are_repeated_only_where_that_is_safe() {
    let server = server().await;
    let (proxy, client, direct) = behind_proxy(&server).await;
    let (near, far) = (
        cache(&client, Bench::options()),
        cache(&direct, Bench::options()),
    );
    let with = SetOptions::default().tags(tags(&["t"]));
    // So that the server has the scripts.
    near.get_or_load("x", &with, Gate::open().loader("v"))
        .await
        .unwrap();
    far.set("x", text("v"), &with).await.unwrap();
    far.delete("x").await.unwrap();
    far.invalidate_tags(&with.tags).await.unwrap();
    // So that the fault meets the command, not the making of a connection.
    let connected = async || drop(near.get("k", Tags::NONE).await.unwrap());

    connected().await;
    proxy.once(Fault::CutBeforeReply);
    let error = near.set("k", text("v"), &with).await.unwrap_err();
    assert!(error.outcome_unknown());
    assert!(
        far.get("k", &with.tags).await.unwrap().is_hit(),
        "it was done"
    );

    connected().await;
    proxy.once(Fault::CutBeforeReply);
    assert_eq!(near.delete("k").await.unwrap(), Deleted::Gone);
    assert!(far.get("k", &with.tags).await.unwrap().is_miss());

    far.set("k", text("v"), &with).await.unwrap();
    proxy.once(Fault::CutBeforeReply);
    assert_eq!(
        near.invalidate_tags(&with.tags).await.unwrap(),
        Invalidated::Done
    );
    assert!(far.get("k", &with.tags).await.unwrap().is_miss());

    // The answer of fill is lost: the caller has its value, and so has everybody else.
    let gate = Gate::closed();
    let load = near.get_or_load("f", &with, gate.loader("v"));
    let lose = async {
        gate.came(1).await;
        proxy.once(Fault::CutBeforeReply);
        gate.let_in();
    };
    let (loaded, ()) = tokio::join!(load, lose);
    assert_eq!(loaded.unwrap().source(), Source::Uncached);
    assert!(far.get("f", &with.tags).await.unwrap().is_hit());
    assert_eq!(proxy.cuts(), 4);
}

#[tokio::test]
async fn a_server_that_is_away_is_an_error_or_a_load() {
    let server = server().await;
    let (proxy, client, _) = behind_proxy(&server).await;
    let near = cache(&client, Bench::options());
    near.get("k", Tags::NONE).await.unwrap();
    proxy.set(Fault::Refuse);
    let error = near.get("k", Tags::NONE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let options = LoadOptions::default();
    let loaded = near
        .get_or_load("k", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Uncached);
    let strict = Bench::options().on_error(OnError::Error);
    let strict = cache(&client, strict);
    let error = strict
        .get_or_load("k", &options, Gate::open().loader("v"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    proxy.set(Fault::None);
    let loaded = near
        .get_or_load("k", &options, Gate::open().loader("v"))
        .await
        .unwrap();
    assert_eq!(loaded.source(), Source::Loaded);
}

#[tokio::test]
async fn nothing_secret_is_shown() {
    let server = server().await;
    let (proxy, client, _) = behind_proxy(&server).await;
    let near = cache(&client, Bench::options());
    proxy.set(Fault::Refuse);
    let mut shown = HashMap::new();
    let with = SetOptions::default().tags(tags(&["hunter2"]));
    let value = text("hunter2");
    shown.insert(
        "get",
        format!("{:?}", near.get("hunter2", &with.tags).await),
    );
    shown.insert(
        "set",
        format!("{:?}", near.set("hunter2", value.clone(), &with).await),
    );
    proxy.set(Fault::None);
    near.set("hunter2", value, &with).await.unwrap();
    let found = near.get("hunter2", &with.tags).await.unwrap();
    shown.insert("found", format!("{found:?} {with:?} {near:?}"));
    let long = "hunter2".repeat(1_000);
    let error = near.get(&long, Tags::NONE).await.unwrap_err();
    shown.insert("long", format!("{error} {error:?}"));
    for (what, text) in shown {
        assert!(!text.contains("hunter2"), "{what}: {text}");
    }
}
