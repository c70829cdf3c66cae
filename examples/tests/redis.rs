//! The examples on Redis: every topology, and everything that can be wrong on the command line or
//! with the server.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests; the lint spares only test functions"
)]

mod support;

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Output, Stdio},
    time::Duration,
};

use governance_core::{PageRequest, RequestQueries as _, RequestQuery, Status};
use governance_redis::{Client, Config, RedisStore, RedisStoreOptions};
use redis_harness::{
    Cluster, Fault, FaultProxy, Options, Persistence, Sentinel, Server, poll_until, unique_prefix,
};
use serde_json::Value;
use support::{command, runtime, server, wait};

const REPLAY: &str = env!("CARGO_BIN_EXE_iam-replay");
/// A scenario that moves its clock.
const STORY: &str = env!("CARGO_BIN_EXE_request-lifecycle");
const SAMPLE: &str = include_str!("../data/iam-sample.jsonl");

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

fn run(program: &str, arguments: &[&str]) -> Output {
    command(program).args(arguments).output().unwrap()
}

fn on_redis(program: &str, arguments: &[&str]) -> Output {
    run(program, &[&["--provider", "redis"], arguments].concat())
}

/// The report of a replay of the sample that went well.
fn replay(arguments: &[&str]) -> Value {
    let output = run(REPLAY, &[&["--json"], arguments].concat());
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let line = text(&output.stdout).lines().last().unwrap();
    let report: Value = serde_json::from_str(line).unwrap();
    assert_eq!(report["mismatches"], 0, "{said}");
    assert_eq!(report["executed"], 40);
    report
}

/// The one line of an example that did not begin, without the name in front.
fn refused(arguments: &[&str]) -> String {
    let of = |program| {
        let output = command(program)
            .args(["--provider", "redis"])
            .args(arguments)
            // What is wrong here stays wrong, so there is no use in trying for long.
            .env("REDIS_RETRY_TIMEOUT", "10ms")
            .output()
            .unwrap();
        let said = text(&output.stderr).to_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        assert_eq!(said.lines().count(), 1, "{arguments:?}: {said}");
        said
    };
    let (replay, story) = (of(REPLAY), of(STORY));
    let said = replay.strip_prefix("iam-replay: ").unwrap();
    assert_eq!(Some(said), story.strip_prefix("error: "));
    said.trim_end().to_owned()
}

#[test]
fn every_topology_decides_as_memory_does() {
    let memory = replay(&[]);
    assert!(memory.get("partitions").is_none());
    let server = server();
    let cluster = wait(Cluster::start(3, 0));
    let nodes: Vec<&str> = cluster.urls().collect();
    let nodes = nodes.join(",");
    let sentinel = wait(Sentinel::start());
    let sentinels: Vec<String> = sentinel.urls().collect();
    let sentinels = sentinels.join(",");
    let told = run(STORY, &[]);
    for (place, partitions) in [
        (vec!["--redis-url", server.url()], 1),
        (vec!["--redis-url", server.url()], 16),
        (vec!["--redis-url", &nodes, "--cluster"], 8),
        (
            vec![
                "--redis-url",
                &sentinels,
                "--sentinel-master",
                Sentinel::MASTER,
            ],
            1,
        ),
    ] {
        let number = partitions.to_string();
        let parts = ["--provider", "redis", "--partitions", &number];
        let place = [&parts[..], &place].concat();
        let report = replay(&place);
        for field in [
            "decisions_digest",
            "decisions",
            "submitted",
            "refused_votes",
        ] {
            assert_eq!(report[field], memory[field], "{place:?}: {field}");
        }
        assert_eq!(report["provider"], "redis");
        assert_eq!(report["partitions"], partitions);
        let at_a_time = replay(&[&place[..], &["--concurrency", "4"]].concat());
        assert_eq!(at_a_time["decisions_digest"], memory["decisions_digest"]);
        assert_ne!(at_a_time["key_prefix"], report["key_prefix"]);

        let output = run(STORY, &place);
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), text(&told.stdout), "{place:?}");
    }
}

#[test]
fn the_server_of_the_environment_is_the_default() {
    let server = server();
    let output = command(STORY)
        .args(["--provider", "redis"])
        .env("REDIS_ADDR", server.url())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // What the environment says about another server does not matter.
    let output = command(STORY)
        .args(["--provider", "redis", "--redis-url", server.url()])
        .env("REDIS_ADDR", "nowhere:1")
        .env("REDIS_CLUSTER", "true")
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_second_run_under_the_same_key_prefix_is_refused() {
    let server = server();
    let prefix = unique_prefix("again");
    let place = ["--redis-url", server.url(), "--key-prefix", &prefix];
    let on = [&["--provider", "redis"], &place[..]].concat();
    let first = replay(&on);
    assert_eq!(first["key_prefix"], prefix.as_str());
    let said = on_redis(REPLAY, &place);
    assert_eq!(said.status.code(), Some(2));
    assert_eq!(
        text(&said.stderr),
        format!(
            "iam-replay: the key prefix {prefix} holds requests of the tenant iam-replay of \
             before: add --resume to go on with them, name another --key-prefix or --tenant, or \
             leave --key-prefix out for a new one\n"
        )
    );
    let other = replay(&[&on[..], &["--tenant", "another"]].concat());
    assert_eq!(other["decisions_digest"], first["decisions_digest"]);
    let said = on_redis(STORY, &place);
    assert_eq!(said.status.code(), Some(2));
    assert_eq!(
        text(&said.stderr),
        format!(
            "error: the key prefix {prefix} holds requests of before: name another --key-prefix, \
             or leave it out for a new one\n"
        )
    );
    assert!(said.stdout.is_empty());
    let cut = refused(&[&place[..], &["--partitions", "4"]].concat());
    assert_eq!(
        cut,
        format!(
            "the store under the key prefix {prefix} has 1 partitions, not 4: add --partitions 1, \
             or name another --key-prefix"
        )
    );
}

#[test]
fn going_on_needs_something_to_go_on_with() {
    let server = server();
    let output = on_redis(REPLAY, &["--redis-url", server.url(), "--resume"]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        text(&output.stderr),
        "iam-replay: --resume needs the --key-prefix of the replay to go on with\n"
    );
    // What was brought to its end is not done again.
    let prefix = unique_prefix("whole");
    let place = ["--provider", "redis", "--redis-url", server.url()];
    let place = [&place[..], &["--key-prefix", &prefix, "--resume"]].concat();
    let (first, again) = (replay(&place), replay(&place));
    for field in ["decisions_digest", "submitted", "decisions", "changes"] {
        assert_eq!(first[field], again[field], "{field}");
    }
}

#[test]
fn options_that_say_nothing_or_contradict_each_other_are_refused() {
    for (option, value) in [
        ("--redis-url", Some("redis://localhost")),
        ("--cluster", None),
        ("--sentinel-master", Some("main")),
        ("--key-prefix", Some("mine")),
        ("--partitions", Some("2")),
    ] {
        let mut arguments = vec!["--provider", "memory", option];
        arguments.extend(value);
        let output = run(STORY, &arguments);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            text(&output.stderr),
            format!(
                "error: {option} is for a Redis server: add --provider redis, or leave it out\n"
            )
        );
    }
    for (arguments, said) in [
        (&[][..], "no server is named: add --redis-url"),
        (&["--redis-url", " "], "no server is named: add --redis-url"),
        (
            &["--redis-url", "not an address"],
            "--redis-url is not an address: write redis://",
        ),
        (
            &["--redis-url", "redis://h?db=1"],
            "REDIS_ADDR has options after the address",
        ),
        (
            &["--redis-url", "a:1,b:1"],
            "--redis-url names several servers",
        ),
        (
            &["--redis-url", "a:1", "--cluster", "--sentinel-master", "m"],
            "--cluster and --sentinel-master exclude each other",
        ),
        (
            &["--redis-url", "a:1", "--partitions", "3"],
            "--partitions: 3 partitions asked for; a power of two",
        ),
        (
            &["--redis-url", "a:1", "--key-prefix", "a b"],
            "--key-prefix: the key prefix has a character that is not allowed",
        ),
        (
            &["--redis-url", "redis://a:1/3", "--cluster"],
            "a cluster has no databases but 0",
        ),
    ] {
        let line = refused(arguments);
        assert!(line.starts_with(said), "{arguments:?}: {line}");
    }
}

#[test]
fn a_server_that_cannot_be_used_is_told_with_what_to_do() {
    let mut gone = wait(Server::start(Persistence::None));
    gone.kill();
    let locked = wait(Server::start_with(Options::default().password("secret")));
    let no_login = format!("redis://127.0.0.1:{}", locked.port());
    let wrong_login = format!("redis://:hunter2@127.0.0.1:{}", locked.port());
    let one = server();
    let no_database = format!("{}/999", one.url());
    let cluster = wait(Cluster::start(3, 0));
    let node = cluster.nodes()[0].url();
    for (arguments, said, code) in [
        (
            &["--redis-url", gone.url()][..],
            "no server answers at",
            "redis.connect_failed",
        ),
        (
            &["--redis-url", &no_login],
            "refuses the login: put the password",
            "redis.login_failed",
        ),
        (
            &["--redis-url", &wrong_login],
            "refuses the login: put the password",
            "redis.login_failed",
        ),
        (
            &["--redis-url", &no_database],
            "has no database of this number",
            "redis.database_unknown",
        ),
        (
            &["--redis-url", one.url(), "--cluster"],
            "leave --cluster out",
            "redis.not_a_cluster",
        ),
        (
            &["--redis-url", one.url(), "--sentinel-master", "main"],
            "no sentinel at",
            "redis.",
        ),
        (
            &["--redis-url", node, "--partitions", "16"],
            "is a node of a cluster: add --cluster",
            "redis.moved",
        ),
    ] {
        let line = refused(arguments);
        assert!(line.contains(said), "{arguments:?}: {line}");
        assert!(line.contains(&format!("({code}")), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
}

/// How many requests under a key prefix are executed.
async fn executed(url: &str, prefix: &str) -> usize {
    let long = Duration::from_secs(10);
    let config = Config::builder().address(url).read_timeout(long);
    let config = config.write_timeout(long).build().unwrap();
    let client = Client::connect(config).await.unwrap();
    let options = RedisStoreOptions::default().key_prefix(prefix);
    let store = RedisStore::connect(client, options).await.unwrap();
    let query = RequestQuery::all_tenants().statuses([Status::Executed]);
    let page = PageRequest::first(500).unwrap();
    store.requests(&query, &page).await.unwrap().items.len()
}

#[test]
fn a_server_that_is_killed_on_the_way_is_told_and_what_was_done_stays() {
    let mut server = wait(Server::start(Persistence::AppendAlways));
    let url = server.url().to_owned();
    let prefix = unique_prefix("killed");
    let mut child = command(REPLAY)
        .args(["--provider", "redis", "--redis-url", &url])
        .args(["--key-prefix", &prefix, "--input", "/dev/stdin", "--json"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let (before, after) = SAMPLE.split_at(SAMPLE.match_indices('\n').nth(4).unwrap().0 + 1);
    input.write_all(before.as_bytes()).unwrap();
    input.flush().unwrap();
    wait(poll_until("five changes", async || {
        (executed(&url, &prefix).await == 5).then_some(())
    }));
    server.kill();
    // It may be gone already.
    let _ = input.write_all(after.as_bytes());
    drop(input);
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let last = said.lines().last().unwrap();
    // The fifth was done; whether it was also told so before the server went is a matter of luck.
    let told = |line, code, done| {
        let stay = format!(
            "({code}); {done} changes were carried out before that and stay: go on by adding \
             --key-prefix {prefix} --resume"
        );
        last.starts_with(&format!("iam-replay: line {line}: ")) && last.ends_with(&stay)
    };
    assert!(
        told(6, "store.unavailable", 5)
            || told(5, "governor.unknown", 4)
            || told(5, "store.unavailable", 4),
        "{said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    assert_eq!(text(&output.stdout), "");

    wait(server.restart());
    assert_eq!(wait(executed(&url, &prefix)), 5);
    let place = ["--redis-url", &url, "--key-prefix", &prefix, "--resume"];
    let resumed = replay(&[&["--provider", "redis"], &place[..]].concat());
    let memory = replay(&[]);
    assert_eq!(resumed["decisions_digest"], memory["decisions_digest"]);
    assert_eq!(resumed["changes"], 40);
}

#[test]
fn a_story_that_loses_its_server_says_so_and_ends() {
    let server = server();
    let runtime = runtime();
    let proxy = runtime.block_on(FaultProxy::start(server.port()));
    // Slow enough that the story is not over when its first line is read.
    proxy.set(Fault::Delay(Duration::from_millis(50)));
    let mut child = command(STORY)
        .args(["--provider", "redis", "--redis-url", &proxy.url()])
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = told.next().unwrap().unwrap();
    assert!(first.starts_with("1. A routine change"), "{first}");
    proxy.set(Fault::Refuse);
    let rest: Vec<String> = told.map(Result::unwrap).collect();
    let output = child.wait_with_output().unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}{rest:?}");
    let last = said.lines().last().unwrap();
    assert!(last.starts_with("error: "), "{said}");
    // A write that was under way may have taken effect.
    let codes = ["(store.unavailable)", "(governor.unknown)"];
    assert!(codes.iter().any(|code| last.ends_with(code)), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
