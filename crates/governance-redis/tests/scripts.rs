//! Every script under a checker: the keys it touches are those it declared, all of one slot.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    sync::Arc,
    time::Duration,
};

use governance_core::{
    Act, Commit, GovernedCommit, IdSource as _, IdempotencyKey, Label, Membership, Order,
    PageRequest, RequestQueries, RequestQuery, RequestStore, StateStore, StateVersion, StateWrite,
    Timestamp,
};
use governance_redis::RedisStore;
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, approve, cancel, complete, scope, supersede,
};
use redis_client::redis::{self, aio::MultiplexedConnection};
use redis_harness::{Command, Monitor, Persistence, Server};

use crate::support::{
    client,
    load::Life,
    open, options, server,
    snapshot::{put_back, snapshot},
};

/// Every script of the crate, by name.
fn scripts() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("lua");
    let files = fs::read_dir(folder).expect("the scripts");
    let files = files.map(|file| file.expect("a script").path());
    files
        .map(|path| {
            let name = path.file_stem().and_then(|name| name.to_str());
            let text = fs::read_to_string(&path).expect("a script");
            (name.expect("a name").to_owned(), text)
        })
        .collect()
}

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

#[tokio::test]
async fn scripts_touch_what_they_declare() {
    let server = server(Persistence::None).await;
    let options = options();
    let store = open(server.url(), &options).await;
    let monitor = Monitor::start(&server).await;

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
    let both = ["left", "right"].map(|tag| Label::new(tag).unwrap());
    let [left, right] = both;
    let query = RequestQuery::all_tenants()
        .tags_all([left])
        .tags_all([right]);
    let page = PageRequest::first(1).unwrap();
    assert!(
        store
            .requests(&query, &page)
            .await
            .unwrap()
            .items
            .is_empty()
    );
    let key = IdempotencyKey::new("once").unwrap();
    let found = store.find_by_key(&scope("a"), &key).await.unwrap();
    assert_eq!(found, None);
    let client = client(server.url()).await;
    let moved = RedisStore::migrate_partitions(client, options, 2, |_| {});
    moved.await.unwrap();
    let recording = monitor.finish(&server).await;
    for (name, text) in scripts() {
        // The first call sends the text, in whose second line it is named.
        let head = text.lines().nth(1).expect("a name");
        let sends =
            |command: &Command| command.words[0] == "EVAL" && command.words[1].contains(head);
        let is_sent = recording.commands().iter().any(sends);
        assert!(is_sent, "{name} was never called");
    }
    let seen = recording.check_scripts(|key| redis_client::slot(key));
    assert!(seen.calls >= 15, "{} calls", seen.calls);
    for command in [
        "SETRANGE", "SETBIT", "ZADD", "ZREM", "XADD", "APPEND", "HSET", "HDEL", "SADD", "DEL",
        "ZINTER",
    ] {
        assert!(seen.commands.contains(command), "{command} was never sent");
    }
}

#[tokio::test]
async fn the_server_looks_for_what_is_common_in_short_sets_only() {
    let server = server(Persistence::None).await;
    let mut connection = server.connection().await;
    for (key, ordinals) in [
        ("{t}a", vec![1, 2, 9, 70_000]),
        ("{t}b", vec![2, 5, 6, 7, 70_000]),
    ] {
        let mut add = redis::cmd("ZADD");
        add.arg(key);
        for ordinal in ordinals {
            add.arg(ordinal).arg(ordinal);
        }
        add.exec_async(&mut connection).await.unwrap();
    }
    let mut fence = redis::cmd("SET");
    fence
        .arg("{t}f")
        .arg("1:1:0:1")
        .exec_async(&mut connection)
        .await
        .unwrap();
    let mut list = redis::cmd("SADD");
    list.arg("{t}d")
        .arg("tag:c")
        .exec_async(&mut connection)
        .await
        .unwrap();

    let script = redis::Script::new(include_str!("../lua/common.lua"));
    let mut common = async |most: u32, names: [&str; 2]| -> Vec<redis::Value> {
        let mut call = script.key("{t}f");
        call.key("{t}n").key("{t}d").key("{t}a").key("{t}b");
        call.arg(most).arg(&names[..]);
        call.invoke_async(&mut connection).await.unwrap()
    };
    let text = |text: &str| redis::Value::BulkString(text.as_bytes().to_vec());
    let listed = |listed: [i64; 2]| redis::Value::Array(listed.map(redis::Value::Int).to_vec());
    let head = |names: [i64; 2]| vec![text("1:1:0:1"), redis::Value::Nil, listed(names)];
    let found = redis::Value::Array(vec![text("2"), text("70000")]);
    let whole = [head([0, 0]), vec![found]].concat();
    assert_eq!(
        common(4, ["tag:a", "tag:b"]).await,
        whole,
        "the shortest has four"
    );
    assert_eq!(
        common(3, ["tag:a", "tag:b"]).await,
        head([0, 0]),
        "too long"
    );
    assert_eq!(
        common(4, ["tag:a", "tag:c"]).await,
        head([0, 1]),
        "kept as bitmaps"
    );
}

#[test]
fn scripts_build_no_keys() {
    for (name, text) in scripts() {
        let mut calls = 0;
        let code = |line: &&str| !line.trim_start().starts_with("--");
        for line in text.lines().filter(code) {
            for call in line.split("call(").skip(1) {
                calls += 1;
                let (command, rest) = call.split_once([',', ')']).expect("a command");
                let key = rest.trim_start();
                let declared = command == "'TIME'"
                    || key.starts_with("KEYS[")
                    || (name == "due_page" && key.starts_with("set,"))
                    || (name == "common" && key.starts_with("#KEYS - 3, unpack(KEYS, 4)"));
                assert!(declared, "{name}.lua: {line}");
            }
        }
        assert!(calls > 0, "{name}");
    }
}

/// What a server wrote down of an argument, as it was.
fn bytes_of(word: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = word.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (escaped, more) = rest.split_first().expect("an escape");
        rest = more;
        bytes.push(match escaped {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'a' => 7,
            b'b' => 8,
            b'x' => {
                let digits = std::str::from_utf8(&rest[..2]).expect("digits");
                rest = &rest[2..];
                u8::from_str_radix(digits, 16).expect("a byte")
            }
            other => *other,
        });
    }
    bytes
}

/// Everything that can be wrong with one argument of a call.
fn mangled(arguments: &[Vec<u8>], at: usize) -> Vec<Vec<Vec<u8>>> {
    let right = &arguments[at];
    let with = |argument: Vec<u8>| {
        let mut arguments = arguments.to_vec();
        arguments[at] = argument;
        arguments
    };
    let mut calls = vec![
        arguments[..at].to_vec(),
        with(Vec::new()),
        with(b"x".to_vec()),
        with(vec![0xff; right.len()]),
        with([right, &b"\xff"[..]].concat()),
    ];
    // Numbers and texts are packed: every byte of them has a meaning.
    if right.len() < 200 {
        for place in 0..right.len() {
            for byte in [0, 1, b'x', 0xff] {
                let mut argument = right.clone();
                argument[place] = byte;
                calls.push(with(argument));
            }
            calls.push(with(right[..place].to_vec()));
        }
    }
    calls
}

/// A digest of everything on a server, whatever order it is kept in.
async fn digest(admin: &mut MultiplexedConnection) -> String {
    let mut digest = redis::cmd("DEBUG");
    digest.arg("DIGEST");
    digest.query_async(admin).await.expect("a digest")
}

#[tokio::test]
async fn a_call_that_is_wrong_is_refused_before_it_writes() {
    let debugged = redis_harness::Options::default().setting("enable-debug-command", "yes");
    let server = Server::start_with(debugged).await;
    let mut admin = server.connection().await;
    let options = options();
    let store = open(server.url(), &options).await;
    let life = Life::new(&SeededIds::new(1), "once");
    let (mut tried, mut refused, mut answered) = (0, 0, BTreeSet::new());
    for step in ["save", "create", "vote", "commit", "purge"] {
        let before = snapshot(&mut admin).await;
        let monitor = Monitor::start(&server).await;
        match step {
            "save" => drop(store.save(&life.state).await.unwrap()),
            "create" => drop(store.create(Arc::clone(&life.created)).await.unwrap()),
            "vote" => {
                let (vote, first) = (Arc::clone(&life.approved), life.created.revision());
                store.try_store(vote, first).await.unwrap();
            }
            "commit" => drop(store.commit(&life.commit).await.unwrap()),
            _ => {
                let done = life.done();
                store.purge(done.id(), done.revision()).await.unwrap();
            }
        }
        let after = snapshot(&mut admin).await;
        let recording = monitor.finish(&server).await;
        let is_call = |command: &&Command| command.words[0].starts_with("EVAL");
        let call = recording.commands().iter().rfind(is_call).expect("a call");
        let count: usize = call.words[2].parse().unwrap();
        let keys: Vec<&String> = call.words[3..3 + count].iter().collect();
        let arguments: Vec<Vec<u8>> = call.words[3 + count..]
            .iter()
            .map(|w| bytes_of(w))
            .collect();
        put_back(&mut admin, &before).await;
        let whole = digest(&mut admin).await;
        for at in 0..arguments.len() {
            for arguments in mangled(&arguments, at) {
                put_back(&mut admin, &before).await;
                let mut again = redis::cmd("EVAL");
                again.arg(&scripts()["apply"]).arg(count).arg(&keys);
                again.arg(&arguments);
                let told: Result<Vec<redis::Value>, _> = again.query_async(&mut admin).await;
                tried += 1;
                let first = told.as_ref().ok().and_then(|told| told.first()).cloned();
                let word = first.and_then(|word| redis::from_redis_value::<String>(word).ok());
                if word.as_deref() == Some("OK") {
                    continue;
                }
                // Whatever else it says, it has done nothing.
                let same = digest(&mut admin).await == whole;
                assert!(same, "{step}: argument {at} of {arguments:?}: {told:?}");
                match word {
                    Some(word) => drop(answered.insert(word)),
                    None => refused += 1,
                }
            }
        }
        put_back(&mut admin, &after).await;
    }
    // The rest meets a conflict, or is something else that can be done.
    assert!(refused > 1_000, "{refused} of {tried}");
    for word in ["CONFLICT", "FENCED"] {
        assert!(answered.contains(word), "{answered:?}");
    }
}
