//! Every script under a checker: the keys it touches are those it declared, all of one slot.

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use governance_core::{
    Act, Commit, GovernedCommit, IdSource as _, Membership, Order, PageRequest, RequestQueries,
    RequestQuery, RequestStore, StateStore, StateVersion, StateWrite, Timestamp,
};
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, approve, cancel, complete, scope, supersede,
};
use redis_harness::Persistence;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::support::{open, options, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

/// The words of a line of `MONITOR`, and whether a script sent them.
fn parse(line: &str) -> Option<(bool, Vec<String>)> {
    let (head, rest) = line.split_once("] ")?;
    let mut words = Vec::new();
    let mut chars = rest.chars();
    while let Some(quote) = chars.next() {
        if quote != '"' {
            continue;
        }
        let mut word = String::new();
        while let Some(c) = chars.next() {
            match c {
                '"' => break,
                '\\' => {
                    word.push(c);
                    word.extend(chars.next());
                }
                c => word.push(c),
            }
        }
        words.push(word);
    }
    Some((head.ends_with("lua"), words))
}

/// Keys a command of a script touches. A command that is not known here fails the test.
fn keys(words: &[String]) -> Vec<&String> {
    match words[0].to_ascii_uppercase().as_str() {
        "TIME" => Vec::new(),
        "GET" | "SET" | "DEL" | "GETRANGE" | "SETRANGE" | "APPEND" | "XADD" | "SETBIT"
        | "BITPOS" | "ZADD" | "ZREM" | "ZCOUNT" | "ZRANGE" | "HGET" | "HSET" | "HDEL" | "SADD" => {
            assert!(words[0] != "DEL" || words.len() == 2);
            vec![&words[1]]
        }
        other => panic!("a script sent {other}, which this check does not know"),
    }
}

fn check(lines: &[String]) -> (usize, BTreeSet<String>) {
    let (mut declared, mut seen, mut commands) = (BTreeSet::new(), 0, BTreeSet::new());
    for (is_script, words) in lines.iter().filter_map(|line| parse(line)) {
        let command = words[0].to_ascii_uppercase();
        if !is_script {
            if command.starts_with("EVAL") {
                let count: usize = words[2].parse().expect("the number of keys");
                declared = words[3..3 + count]
                    .iter()
                    .cloned()
                    .collect::<BTreeSet<String>>();
                let slots: BTreeSet<u16> = declared.iter().map(redis_client::slot).collect();
                assert_eq!(
                    slots.len(),
                    1,
                    "the keys of a call are of one slot: {declared:?}"
                );
                seen += 1;
            }
            continue;
        }
        for key in keys(&words) {
            assert!(declared.contains(key), "{command} {key} was not declared");
        }
        commands.insert(command);
    }
    (seen, commands)
}

#[tokio::test]
async fn scripts_touch_what_they_declare() {
    let server = server(Persistence::None).await;
    let store = open(server.url(), &options()).await;
    let mut monitor = TcpStream::connect(("127.0.0.1", server.port()))
        .await
        .unwrap();
    monitor.write_all(b"MONITOR\r\n").await.unwrap();
    let mut lines = BufReader::new(monitor).lines();
    assert_eq!(lines.next_line().await.unwrap().as_deref(), Some("+OK"));

    let ids = SeededIds::new(1);
    let act = |who: &str| Act::new(&actor(who), NOW, ids.operation_id());
    let request = RequestBuilder::new(&ids, NOW).key("once").asks(["bob"]);
    let request = request.expires_in(Duration::from_secs(60)).build();
    store.create(Arc::clone(&request)).await.unwrap();
    store.create(Arc::clone(&request)).await.unwrap();
    let same_key = RequestBuilder::new(&ids, NOW).key("once").build();
    store.create(same_key).await.unwrap();
    let approved = approve(&request, act("bob"), Membership::default());
    store
        .try_store(Arc::clone(&approved), request.revision())
        .await
        .unwrap();
    let write = |expected| StateWrite {
        scope: scope("a"),
        expected: StateVersion::new(expected),
        body: Some("value".into()),
        operation: ids.operation_id(),
    };
    store.save(&write(0)).await.unwrap();
    store.save(&write(0)).await.unwrap_err();
    let done = complete(&approved, act("deployer"), StateVersion::new(1), Vec::new());
    let commit = Commit::of(Arc::clone(&done), approved.revision()).with_state(write(1));
    store.commit(&commit).await.unwrap();
    let (old, new) = (
        RequestBuilder::new(&ids, NOW).build(),
        RequestBuilder::new(&ids, NOW).build(),
    );
    for request in [&old, &new] {
        store.create(Arc::clone(request)).await.unwrap();
    }
    let (old_next, new_next) = supersede(&old, &new, &act("alice"));
    let commit = Commit::of(old_next, old.revision()).and(Arc::clone(&new_next), new.revision());
    store.commit(&commit).await.unwrap();
    let canceled = cancel(&new_next, act("alice"));
    store
        .try_store(Arc::clone(&canceled), new_next.revision())
        .await
        .unwrap();
    store.purge(done.id(), done.revision()).await.unwrap();
    store.rebuild().await.unwrap();
    let mut page = PageRequest::first(1).unwrap().order(Order::Deadline);
    while let Some(next) = store
        .requests(&RequestQuery::all_tenants(), &page)
        .await
        .unwrap()
        .next
    {
        page = page.after(next);
    }
    let mut admin = server.connection().await;
    redis_client::redis::cmd("ECHO")
        .arg("the end")
        .exec_async(&mut admin)
        .await
        .unwrap();

    let mut read = Vec::new();
    loop {
        let line = lines
            .next_line()
            .await
            .unwrap()
            .expect("the server goes on");
        let is_end = line.contains("the end");
        read.push(line);
        if is_end {
            break;
        }
    }
    let (calls, commands) = check(&read);
    assert!(calls >= 15, "{calls} calls");
    for command in [
        "SETRANGE", "SETBIT", "ZADD", "ZREM", "XADD", "APPEND", "HSET", "HDEL", "SADD", "DEL",
    ] {
        assert!(commands.contains(command), "{command} was never sent");
    }
}

#[test]
fn scripts_build_no_keys() {
    for (name, text) in [
        ("apply", include_str!("../lua/apply.lua")),
        ("due_page", include_str!("../lua/due_page.lua")),
        ("fence", include_str!("../lua/fence.lua")),
    ] {
        for (number, line) in text.lines().enumerate() {
            for call in line.split("call('").skip(1) {
                let (command, rest) = call.split_once('\'').expect("a command");
                if command == "TIME" {
                    continue;
                }
                let key = rest.trim_start_matches([',', ' ']);
                let declared =
                    key.starts_with("KEYS[") || (name == "due_page" && key.starts_with("set,"));
                assert!(declared, "{name}.lua:{}: {line}", number + 1);
            }
        }
    }
}
