//! What is configured is what is used: the backend of a root is where its capabilities keep things.
#![allow(clippy::unwrap_used, reason = "what fails is a failing test")]

use std::time::Duration;

use redis_client::{Config, ConfigBuilder, redis};
use redis_harness::{Options, Persistence, Server, unique_prefix};
use state_core::{
    Namespace,
    process::{
        Change, Claimed, Created, Expect, Listing, NewProcess, ProcessOptions, Saved, Status,
    },
    rate_limit::{Limit, LimiterOptions, Rule, Source},
};
use state_modules::{Backend, NamedTokens, Root, modules};

const HOUR: Duration = Duration::from_secs(3_600);

async fn server() -> Server {
    Server::start_with(Options::default().persistence(Persistence::None)).await
}

fn root(tokens: &NamedTokens, backend: Backend) -> Root {
    Root::builder()
        .module(modules::instance(tokens, backend))
        .module(modules::rate_limit(tokens, LimiterOptions::default()))
        .module(modules::process(
            tokens,
            Namespace::new("app").unwrap(),
            2,
            ProcessOptions::default(),
        ))
        .build()
        .unwrap()
}

async fn keys(server: &Server, pattern: &str) -> Vec<String> {
    let mut connection = server.connection().await;
    let mut keys = redis::cmd("KEYS");
    keys.arg(pattern);
    keys.query_async(&mut connection).await.unwrap()
}

/// Two processes of a service count together when Redis is configured, and only then.
/// Waits long for answers: a busy machine is not a failure.
fn patient(url: &str) -> ConfigBuilder {
    let long = Duration::from_secs(10);
    let config = Config::builder().address(url);
    config.read_timeout(long).write_timeout(long)
}

#[tokio::test]
async fn n_rl_9_the_configured_backend_counts() {
    let server = server().await;
    let prefix = unique_prefix("roots");
    let redis = || {
        let config = patient(server.url()).key_prefix(&prefix);
        Backend::redis(config.build().unwrap())
    };
    let rule = Rule::new("r", Limit::new(1, HOUR).unwrap()).unwrap();
    for (backends, shared) in [
        ([redis(), redis()], true),
        ([Backend::Memory, Backend::Memory], false),
    ] {
        let before = keys(&server, "*").await;
        let mut allowed = 0;
        for backend in backends {
            let tokens = NamedTokens::default();
            let root = root(&tokens, backend);
            let limiter = root.get(&tokens.rate_limit).await.unwrap();
            let decision = limiter.check(&rule, "a", 1).await.unwrap();
            assert_eq!(decision.source, Source::Backend);
            allowed += u32::from(decision.is_allowed());
            root.close(HOUR).await.unwrap();
        }
        assert_eq!(allowed, if shared { 1 } else { 2 });
        let counters = keys(&server, &format!("{prefix}:rl:*")).await;
        assert_eq!(counters.len(), 1);
        assert_eq!(keys(&server, "*").await == before, !shared);
    }
}

/// The store of processes is reached through a root, on either backend, and does its work there.
#[tokio::test]
async fn n_ps_18_a_root_has_processes_that_work() {
    let server = server().await;
    let config = patient(server.url());
    let config = config.key_prefix(unique_prefix("roots")).build().unwrap();
    for backend in [Backend::Memory, Backend::redis(config)] {
        let tokens = NamedTokens::default();
        let root = root(&tokens, backend);
        let processes = root.get(&tokens.process).await.unwrap();
        let created = processes.create(NewProcess::new("p", "k")).await.unwrap();
        assert!(matches!(created, Created::Created { .. }));
        let claimed = processes.claim("p", "w").await.unwrap();
        let Claimed::Claimed(claim) = claimed else {
            panic!("{claimed:?}");
        };
        for status in [Status::Running, Status::Completed] {
            let change = Change::new().status(status);
            let saved = processes.save("p", change, Expect::Any, Some(claim.fence));
            assert!(matches!(saved.await.unwrap(), Saved::Saved { .. }));
        }
        let ended = processes.list(Listing::Ended, None).await.unwrap();
        assert_eq!(ended.items.len(), 1);
        root.close(HOUR).await.unwrap();
    }
    assert!(!keys(&server, "*:proc:*").await.is_empty());
}
