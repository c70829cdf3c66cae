//! Every script under a checker: the keys it touches are those it declared, all of one slot.

mod support;

use std::{sync::Arc, time::Duration};

use governance_core::{
    Act, Commit, GovernedCommit, IdSource as _, Label, Membership, Order, PageRequest,
    RequestQueries, RequestQuery, RequestStore, StateStore, StateVersion, StateWrite, Timestamp,
};
use governance_testkit::fixtures::{
    RequestBuilder, SeededIds, actor, approve, cancel, complete, scope, supersede,
};
use redis_client::redis;
use redis_harness::{Monitor, Persistence};

use crate::support::{open, options, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

#[tokio::test]
async fn scripts_touch_what_they_declare() {
    let server = server(Persistence::None).await;
    let store = open(server.url(), &options()).await;
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
    let seen = monitor
        .finish(&server)
        .await
        .check_scripts(|key| redis_client::slot(key));
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
    for (name, text) in [
        ("apply", include_str!("../lua/apply.lua")),
        ("common", include_str!("../lua/common.lua")),
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
                let declared = key.starts_with("KEYS[")
                    || (name == "due_page" && key.starts_with("set,"))
                    || (name == "common" && key.starts_with("#KEYS - 3, unpack(KEYS, 4)"));
                assert!(declared, "{name}.lua:{}: {line}", number + 1);
            }
        }
    }
}
