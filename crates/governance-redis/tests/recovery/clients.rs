//! Clients that are killed at every step of what they do.

use std::{
    env,
    pin::pin,
    process::{Child, Command, Stdio},
    time::Duration,
};

use governance_core::{
    Actor, Context, ExecutionOutcome, Governor, GovernorError, OnStale, PageRequest,
    RequestQueries as _, RequestQuery, Retry, Status, SubmitOptions,
};
use governance_redis::{RedisStore, RedisStoreOptions};
use governance_testkit::fixtures::{Add, Asks, Counter, actor, add, key, operation, state_id};
use redis_client::{Client, Config};
use redis_harness::{FaultProxy, Persistence, Side, poll_until, unique_prefix};

use crate::support::{load::decisions, open, options, server};

const URL: &str = "GOVERNANCE_TEST_CHILD_URL";
const PREFIX: &str = "GOVERNANCE_TEST_CHILD_PREFIX";
const CHILD: &str = "clients::the_work_of_a_client_can_be_done_again";

fn by(who: &str, number: u64) -> Context {
    let actor: Actor = actor(who);
    Context::of(&actor).operation(operation(number))
}

/// Two governed changes: one is approved and executed, one is given up. Every step has its
/// operation id, so it can be repeated from the beginning, by anybody.
async fn work(store: RedisStore) -> Result<(), GovernorError> {
    let governor = Governor::builder(store)
        .register::<Add>()
        .policy(Asks::everyone(["bob"]))
        .build()
        .expect("a governor");
    let hits = state_id("hits");
    let once = |text| SubmitOptions::new().idempotency_key(key(text));
    let submitted = governor
        .submit_with(&by("alice", 1), &hits, add(5), once("first"))
        .await?;
    let id = submitted.id();
    governor.approve(&id, &by("bob", 2), "it is fine").await?;
    let report = governor
        .execute(&id, &by("deployer", 3), OnStale::Reject)
        .await?;
    assert_eq!(report.outcome(), ExecutionOutcome::Executed);
    let second = governor
        .submit_with(&by("alice", 4), &hits, add(7), once("second"))
        .await?;
    governor
        .cancel(&second.id(), &by("alice", 5), "not needed")
        .await?;
    Ok(())
}

/// All of it happened, once.
async fn check(store: &RedisStore) -> usize {
    let page = PageRequest::first(10).expect("a page");
    let found = store.requests(&RequestQuery::all_tenants(), &page).await;
    let found = found.expect("a listing").items;
    let statuses: Vec<Status> = found.iter().map(|request| request.status()).collect();
    assert_eq!(statuses, [Status::Executed, Status::Canceled]);
    let governor = Governor::builder(store.clone()).register::<Add>();
    let governor = governor.policy(Asks::everyone(["bob"])).build();
    let state = governor.expect("a governor");
    let state = state.state::<Counter>(&state_id("hits")).await;
    let (counter, version) = state.expect("a state");
    assert_eq!(counter.map(|counter| counter.value), Some(5));
    assert_eq!(version.get(), 1);
    let report = store.verify().await.expect("a report");
    assert!(report.is_clean(), "{report:?}");
    let told: usize = found.iter().map(|request| request.decisions().len()).sum();
    assert_eq!(decisions(store).await.len(), told);
    told
}

async fn store_of(url: &str, prefix: &str) -> RedisStore {
    // A step that is held ends with the process, not with a timeout.
    let patient = Duration::from_secs(60);
    let config = Config::builder()
        .address(url)
        .shared_connections(1)
        .dial_timeout(patient)
        .read_timeout(patient)
        .write_timeout(patient);
    let client = Client::connect(config.build().expect("a configuration"))
        .await
        .expect("a client");
    let options: RedisStoreOptions = options().key_prefix(prefix);
    RedisStore::connect(client, options).await.expect("a store")
}

/// Run by itself it works on a server of its own; as a child of the test below, on that of its
/// parent.
#[tokio::test]
async fn the_work_of_a_client_can_be_done_again() {
    if let (Ok(url), Ok(prefix)) = (env::var(URL), env::var(PREFIX)) {
        let store = store_of(&url, &prefix).await;
        work(store).await.expect("work that is done");
        return;
    }
    let server = server(Persistence::None).await;
    let store = open(server.url(), &options()).await;
    work(store.clone()).await.expect("work that is done");
    let decisions = check(&store).await;
    work(store.clone()).await.expect("work that is repeated");
    assert_eq!(check(&store).await, decisions);
}

fn child(url: &str, prefix: &str) -> Child {
    let program = env::current_exe().expect("this program");
    Command::new(program)
        .args(["--exact", CHILD])
        .env(URL, url)
        .env(PREFIX, prefix)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_killed_at_any_step_leaves_nothing_half_done() {
    let server = server(Persistence::None).await;
    for side in [Side::BeforeForward, Side::BeforeReply] {
        let mut killed = 0;
        for step in 1.. {
            let proxy = FaultProxy::start(server.port()).await;
            proxy.hold_at(step, side);
            let prefix = unique_prefix("killed");
            let mut child = child(&proxy.url(), &prefix);
            let ended = tokio::select! {
                () = proxy.until_held() => None,
                ended = poll_until("a child to end or to be held", || {
                    std::future::ready(child.try_wait().expect("a child"))
                }) => Some(ended),
            };
            if ended.is_none() {
                child.kill().expect("a child to kill");
                child.wait().expect("a child to end");
                killed += 1;
            }
            let store = store_of(server.url(), &prefix).await;
            let report = store.verify().await.expect("a report");
            assert!(report.is_clean(), "step {step} {side:?}: {report:?}");
            work(store.clone()).await.expect("work that is repeated");
            check(&store).await;
            if let Some(ended) = ended {
                assert!(ended.success(), "there was no step {step} to be held at");
                break;
            }
        }
        // Opening the store takes some, and every one of the five acts at least one.
        assert!(killed > 10, "{killed} steps");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_at_any_step_loses_and_doubles_nothing() {
    let server = server(Persistence::None).await;
    for side in [Side::BeforeForward, Side::BeforeReply] {
        for step in 1.. {
            let proxy = FaultProxy::start(server.port()).await;
            let prefix = unique_prefix("cut");
            let store = store_of(&proxy.url(), &prefix).await;
            proxy.hold_at(step, side);
            let mut is_cut = false;
            loop {
                let mut run = pin!(work(store.clone()));
                let ended = tokio::select! {
                    ended = &mut run => ended,
                    () = proxy.until_held(), if !is_cut => {
                        is_cut = true;
                        proxy.let_go();
                        run.await
                    }
                };
                // The governor asks again itself; what was done by then is found.
                match ended {
                    Ok(()) => break,
                    Err(GovernorError::Unknown { .. }) => {}
                    Err(GovernorError::Store(error)) => {
                        assert_ne!(error.retry(), Retry::Never, "step {step}: {error:?}");
                    }
                    Err(error) => panic!("step {step} {side:?}: {error:?}"),
                }
            }
            proxy.let_go();
            check(&store).await;
            if !is_cut {
                assert!(step > 8, "{step} steps");
                break;
            }
        }
    }
}
