//! One server: commands, scripts, recovery, health, close.

mod common;

use std::{sync::Arc, time::Duration};

use common::{BUMP, GET, INCR, PEEK, TEAR, assert_hidden, config, connect, count, get, incr, key};
use redis_client::{
    AppendFsync, Client, ErrorKind, Operation, Outcome, Retry, Signal, Stage, State, Status,
    WarningKind, redis,
};
use redis_harness::{Options, Persistence, Server, poll_until};

#[tokio::test]
async fn round_trips() {
    let server = Server::any().await;
    let client = connect(config(server.url(), "round-trips")).await;
    let key = key(&client, "a", "counter");
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        1
    );
    assert_eq!(
        client
            .query::<Option<i64>>(GET, &key, &get(&key))
            .await
            .unwrap(),
        Some(1)
    );
    let time: (u64, u64) = client.query_any(GET, &redis::cmd("TIME")).await.unwrap();
    assert!(time.0 > 0);
    let mut pipeline = redis::pipe();
    pipeline.add_command(get(&key)).add_command(get(&key));
    let mut connection = client.connection(GET, &key);
    let both: (i64, i64) = pipeline.query_async(&mut connection).await.unwrap();
    assert_eq!(both, (1, 1));
    let refused = pipeline
        .query_async::<(i64, i64)>(&mut client.connection(INCR, &key))
        .await;
    assert!(
        refused.is_err(),
        "a pipeline that writes is not for shared connections"
    );
    client.close().await.unwrap();
}

#[tokio::test]
async fn resp2_works_too() {
    let server = Server::any().await;
    let builder = config(server.url(), "resp2").protocol(redis_client::Protocol::Resp2);
    let client = connect(builder).await;
    let key = key(&client, "a", "counter");
    assert_eq!(
        client
            .invoke::<i64>(&BUMP.call().key(&key).arg(2))
            .await
            .unwrap(),
        2
    );
    assert_ne!(client.health().await.status(), Status::Down);
}

#[tokio::test]
async fn a_checkout_per_command_works_too() {
    let server = Server::start(Persistence::None).await;
    let client = connect(
        config(server.url(), "pooled")
            .shared_connections(0)
            .pool_size(2),
    )
    .await;
    let key = key(&client, "a", "counter");
    let tasks = (0..20).map(|_| {
        let (client, key) = (client.clone(), key.clone());
        tokio::spawn(async move { client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(count(&server, &key).await, 20);
    assert!(client.pool_status().open() <= 2);
}

#[tokio::test]
async fn callers_share_few_connections() {
    let server = Server::start(Persistence::None).await;
    let client = connect(config(server.url(), "shared").shared_connections(3)).await;
    let key = key(&client, "a", "counter");
    let tasks = (0..64).map(|_| {
        let (client, key) = (client.clone(), key.clone());
        tokio::spawn(async move { client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap() })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!(count(&server, &key).await, 64);
    assert_eq!(client.pool_status().open(), 3);
}

#[tokio::test]
async fn scripts_survive_a_flush_of_the_cache() {
    let server = Server::start(Persistence::None).await;
    let client = connect(config(server.url(), "noscript")).await;
    let key = key(&client, "a", "counter");
    for expected in 1..=5 {
        let mut flush = redis::cmd("SCRIPT");
        flush
            .arg("FLUSH")
            .exec_async(&mut server.connection().await)
            .await
            .unwrap();
        let bumped: i64 = client.invoke(&BUMP.call().key(&key).arg(1)).await.unwrap();
        assert_eq!(bumped, expected);
    }
    let peeked: Option<i64> = client.invoke(&PEEK.call().key(&key)).await.unwrap();
    assert_eq!(peeked, Some(5));
}

#[tokio::test]
async fn a_script_that_breaks_half_way_is_unknown() {
    let server = Server::any().await;
    let client = connect(config(server.url(), "tear")).await;
    let key = key(&client, "a", "torn");
    let error = client
        .invoke::<i64>(&TEAR.call().key(&key))
        .await
        .unwrap_err();
    assert_eq!(error.signal(), Signal::ScriptFailed);
    assert_eq!(
        (error.retry(), error.outcome()),
        (Retry::SameOperation, Outcome::Unknown)
    );
    let left: String = client.query(GET, &key, &get(&key)).await.unwrap();
    assert_eq!(left, "x", "which is why it is unknown");
}

#[tokio::test]
async fn n_cl_13_refusals_are_typed_and_not_temporary() {
    let server = Server::any().await;
    let client = connect(config(server.url(), "refusals")).await;
    let key = key(&client, "a", "text");
    let mut push = redis::cmd("RPUSH");
    push.arg(&key).arg("x");
    client
        .query::<()>(Operation::write("push"), &key, &push)
        .await
        .unwrap();
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::WrongType, Outcome::NotApplied)
    );
    assert_eq!(error.retry(), Retry::Never);
    let mut odd = redis::cmd("NOSUCHCOMMAND");
    odd.arg("hunter2");
    let error = client.query_any::<()>(GET, &odd).await.unwrap_err();
    assert_eq!(
        (error.signal(), error.kind()),
        (Signal::CommandUnknown, ErrorKind::Unsupported)
    );
    assert_eq!(error.retry(), Retry::Never);
    assert_hidden(&error, "hunter2");
    let other = client.key_prefix().tag("b").finish().unwrap();
    let error = client
        .invoke::<()>(&BUMP.call().key(&key).key(&other))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.kind()),
        (Signal::CrossSlot, ErrorKind::InvalidInput)
    );
    assert_eq!(error.retry(), Retry::Never);
    let mut bad = redis::cmd("LRANGE");
    bad.arg(&key).arg(0).arg(-1);
    let error = client.query::<i64>(GET, &key, &bad).await.unwrap_err();
    assert_eq!(error.signal(), Signal::ReplyUndecodable);
}

#[tokio::test]
async fn n_cl_13_a_wrong_password_is_denied_for_good_and_not_shown() {
    const SECRET: &str = "correct-horse";
    const WRONG: &str = "wrong-battery";
    let server = Server::start_with(Options::default().password(SECRET)).await;
    let address = format!("127.0.0.1:{}", server.port());
    let good = connect(
        config(&address, "login")
            .password(SECRET)
            .ping_on_build(true),
    )
    .await;
    good.close().await.unwrap();
    for builder in [
        config(&address, "login").password(WRONG),
        config(&format!("redis://:{WRONG}@{address}"), "login"),
        config(&address, "login")
            .password(WRONG)
            .protocol(redis_client::Protocol::Resp2),
        config(&address, "login").password(WRONG).username("nobody"),
        config(&address, "login"),
    ] {
        let config = builder.clone().ping_on_build(true).build().unwrap();
        assert!(!format!("{config:?}").contains(WRONG));
        let error = Client::connect(config).await.unwrap_err();
        assert_eq!(error.stage(), Stage::Ping);
        let cause = error.client_error().unwrap();
        assert_eq!(
            (cause.signal(), cause.kind()),
            (Signal::LoginFailed, ErrorKind::Denied)
        );
        assert_eq!(
            (cause.retry(), cause.outcome()),
            (Retry::Never, Outcome::NotApplied)
        );
        assert_hidden(&error, WRONG);
        let client = connect(builder).await;
        let report = client.health().await;
        assert_eq!(report.status(), Status::Down);
        let shown = format!("{report:?} {client:?}");
        assert!(!shown.contains(WRONG), "{shown}");
    }
}

#[tokio::test]
async fn killed_connections_are_replaced() {
    let server = Server::start(Persistence::None).await;
    let client = connect(config(server.url(), "killed")).await;
    let key = key(&client, "a", "counter");
    let mut unknown = 0;
    let mut applied = 0;
    for _ in 0..10 {
        for _ in 0..4 {
            match client.query::<i64>(INCR, &key, &incr(&key)).await {
                Ok(_) => applied += 1,
                Err(error) => {
                    assert_eq!(error.signal(), Signal::ConnectionLost);
                    assert_eq!(error.outcome(), Outcome::Unknown);
                    unknown += 1;
                }
            }
        }
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        kill.exec_async(&mut server.connection().await)
            .await
            .unwrap();
        // A read gets over it by itself.
        client.query::<i64>(GET, &key, &get(&key)).await.unwrap();
    }
    let counted = count(&server, &key).await;
    assert!(
        (applied..=applied + unknown).contains(&counted),
        "{applied} {counted} {unknown}"
    );
}

#[tokio::test]
async fn a_restarted_server_is_found_again() {
    let mut server = Server::start(Persistence::AppendAlways).await;
    let client =
        connect(config(server.url(), "restart").retry_timeout(redis_harness::PATIENCE)).await;
    let key = key(&client, "a", "counter");
    client
        .invoke::<i64>(&BUMP.call().key(&key).arg(3))
        .await
        .unwrap();
    server.restart().await;
    let read: i64 = client.query(GET, &key, &get(&key)).await.unwrap();
    assert_eq!(read, 3);
    let bumped = poll_until("the write to get through", async || {
        match client.invoke::<i64>(&BUMP.call().key(&key).arg(0)).await {
            Ok(value) => Some(value),
            Err(error) => {
                assert_eq!(error.outcome(), Outcome::Unknown, "{error:?}");
                None
            }
        }
    })
    .await;
    assert_eq!(bumped, 3);
}

#[tokio::test]
async fn n_cl_11_a_server_that_is_not_there_is_unavailable() {
    let mut server = Server::start(Persistence::None).await;
    server.kill();
    let client = connect(config(server.url(), "gone").retry_timeout(Duration::ZERO)).await;
    let key = key(&client, "a", "counter");
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(error.signal(), Signal::ConnectFailed);
    assert_eq!(
        (error.retry(), error.outcome()),
        (Retry::Safe, Outcome::NotApplied)
    );
    let report = client.health().await;
    assert_eq!(report.status(), Status::Down);
    assert!(report.has(WarningKind::Unreachable) && report.latency().is_none());
}

#[tokio::test]
async fn a_paused_server_times_out_and_the_write_is_unknown() {
    let mut server = Server::start(Persistence::None).await;
    let brief = Duration::from_millis(250);
    let builder = config(server.url(), "paused")
        .write_timeout(brief)
        .read_timeout(brief);
    let client = connect(builder.dial_timeout(brief).retry_timeout(brief)).await;
    let key = key(&client, "a", "counter");
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    server.pause();
    let write = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (write.signal(), write.kind()),
        (Signal::ResponseTimeout, ErrorKind::Timeout)
    );
    assert_eq!(
        (write.retry(), write.outcome()),
        (Retry::SameOperation, Outcome::Unknown)
    );
    let read = client
        .query::<i64>(GET, &key, &get(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (read.signal(), read.retry()),
        (Signal::ResponseTimeout, Retry::Safe)
    );
    assert_eq!(read.outcome(), Outcome::NotApplied);
    server.resume();
    poll_until("the write that timed out to be applied", async || {
        (count(&server, &key).await == 3).then_some(())
    })
    .await;
    let read = poll_until("the client to go on", async || {
        client.query::<i64>(GET, &key, &get(&key)).await.ok()
    });
    assert_eq!(read.await, 3);
}

#[tokio::test]
async fn n_cl_12_an_exhausted_pool_is_a_timeout_before_sending() {
    let server = Server::start(Persistence::None).await;
    let builder = config(server.url(), "exhausted")
        .pool_size(2)
        .shared_connections(1);
    let client = connect(builder.pool_wait_timeout(Duration::from_millis(20))).await;
    let key = key(&client, "a", "counter");
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    let held = client.exclusive(&key).await.unwrap();
    let error = client.exclusive(&key).await.unwrap_err();
    assert_eq!(
        (error.signal(), error.kind()),
        (Signal::PoolExhausted, ErrorKind::Timeout)
    );
    assert_eq!(
        (error.retry(), error.outcome()),
        (Retry::Safe, Outcome::NotApplied)
    );
    // Ordinary commands need no free connection.
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    drop(held);
    client.exclusive(&key).await.unwrap();
}

#[tokio::test]
async fn blocking_reads_outlast_the_read_timeout() {
    let server = Server::start(Persistence::None).await;
    let client =
        connect(config(server.url(), "blocking").read_timeout(Duration::from_millis(50))).await;
    let list = key(&client, "a", "list");
    let mut reader = client
        .blocking(&list, redis_harness::PATIENCE)
        .await
        .unwrap();
    let waiting = tokio::spawn({
        let mut pop = redis::cmd("BLPOP");
        pop.arg(&list).arg(0);
        async move {
            reader
                .query::<(String, String)>(Operation::write("pop"), &pop)
                .await
        }
    });
    let mut connection = server.connection().await;
    poll_until("the reader to block", async || {
        let mut connection = connection.clone();
        let mut info = redis::cmd("INFO");
        let info: String = info
            .arg("clients")
            .query_async(&mut connection)
            .await
            .unwrap();
        info.contains("blocked_clients:1").then_some(())
    })
    .await;
    let mut push = redis::cmd("RPUSH");
    push.arg(&list)
        .arg("x")
        .exec_async(&mut connection)
        .await
        .unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().1, "x");
    let error = client
        .blocking(&list, Duration::from_secs(90_000))
        .await
        .unwrap_err();
    assert_eq!(error.signal(), Signal::BlockTooLong);
}

#[tokio::test]
async fn a_dropped_command_does_not_poison_the_pool() {
    let server = Server::start(Persistence::None).await;
    let client = connect(
        config(server.url(), "dropped")
            .pool_size(2)
            .shared_connections(1),
    )
    .await;
    let list = key(&client, "a", "list");
    for _ in 0..5 {
        let mut reader = client
            .blocking(&list, Duration::from_secs(60))
            .await
            .unwrap();
        let mut pop = redis::cmd("BLPOP");
        pop.arg(&list).arg(0);
        let pop = reader.query::<redis::Value>(Operation::write("pop"), &pop);
        assert!(
            tokio::time::timeout(Duration::from_millis(5), pop)
                .await
                .is_err()
        );
    }
    let mut next = client.exclusive(&list).await.unwrap();
    let pong: String = next.query(GET, &redis::cmd("PING")).await.unwrap();
    assert_eq!(pong, "PONG");
}

#[tokio::test]
async fn closing_ends_everything_and_is_idempotent() {
    let server = Server::start(Persistence::None).await;
    let client = connect(config(server.url(), "close").client_name("closing-test")).await;
    let list = key(&client, "a", "list");
    let admin = server.connection().await;
    let named = async |admin: &mut redis::aio::MultiplexedConnection| -> usize {
        let mut list = redis::cmd("CLIENT");
        let rows: String = list.arg("LIST").query_async(admin).await.unwrap();
        rows.matches("name=closing-test").count()
    };
    client
        .query::<i64>(INCR, &list, &incr(&key(&client, "a", "n")))
        .await
        .unwrap();
    let mut reader = client
        .blocking(&list, Duration::from_secs(600))
        .await
        .unwrap();
    let waiting = tokio::spawn(async move {
        let mut read = redis::cmd("XREAD");
        read.arg("BLOCK").arg(0).arg("STREAMS").arg("a").arg("$");
        reader
            .query::<redis::Value>(Operation::read("follow"), &read)
            .await
    });
    poll_until("the reader to connect", async || {
        (named(&mut admin.clone()).await >= 2).then_some(())
    })
    .await;
    let step = client.clone();
    let used = key(&client, "a", "step");
    client
        .on_close("dependant", move || async move {
            step.query::<i64>(INCR, &used, &incr(&used)).await?;
            Ok(())
        })
        .unwrap();
    client.close().await.unwrap();
    assert_eq!(
        count(&server, &key(&client, "a", "step")).await,
        1,
        "steps can still use it"
    );
    assert_eq!(waiting.await.unwrap().unwrap_err().signal(), Signal::Closed);
    assert_eq!(client.state(), State::Closed);
    let error = client
        .query::<i64>(INCR, &list, &incr(&list))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Closed, Outcome::NotApplied)
    );
    assert!(client.exclusive(&list).await.is_err());
    assert!(client.on_close("late", || async { Ok(()) }).is_err());
    client.close().await.unwrap();
    poll_until("the server to see no connection", async || {
        (named(&mut admin.clone()).await == 0).then_some(())
    })
    .await;
    assert_eq!(client.health().await.status(), Status::Down);
}

#[tokio::test]
async fn a_failed_build_leaves_nothing_open() {
    let mut server = Server::start(Persistence::None).await;
    let brief = Duration::from_millis(50);
    let builder = config(server.url(), "failed-build")
        .ping_on_build(true)
        .ping_timeout(brief);
    let config = builder.client_name("failed-build").build().unwrap();
    server.pause();
    let error = Client::connect(config).await.unwrap_err();
    assert_eq!(
        (error.stage(), error.code()),
        (Stage::Ping, "redis.response_timeout")
    );
    assert_eq!(error.token(), "redis.client");
    server.resume();
    poll_until("the server to see no connection", async || {
        let mut list = redis::cmd("CLIENT");
        list.arg("LIST");
        let rows: String = list
            .query_async(&mut server.connection().await)
            .await
            .unwrap();
        (!rows.contains("name=failed-build")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn t_cl_2_two_instances_keep_apart() {
    let server = Server::start(Persistence::None).await;
    let name = redis_client::InstanceName::new("other").unwrap();
    let one = connect(config(server.url(), "apart").database(1)).await;
    let two = connect(config(server.url(), "apart").database(2).named(name)).await;
    let shared = one.key_prefix().tag("a").finish().unwrap();
    one.query::<i64>(INCR, &shared, &incr(&shared))
        .await
        .unwrap();
    assert_eq!(
        two.query::<Option<i64>>(GET, &shared, &get(&shared))
            .await
            .unwrap(),
        None
    );
    one.close().await.unwrap();
    assert_eq!(
        two.query::<i64>(INCR, &shared, &incr(&shared))
            .await
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn health_says_what_the_server_is() {
    let options = Options::default()
        .persistence(Persistence::AppendAlways)
        .setting("maxmemory-policy", "allkeys-lru");
    let server = Server::start_with(options).await;
    let client =
        connect(config(server.url(), "health").health_cache_for(Duration::from_secs(60))).await;
    let report = client.health().await;
    assert_eq!(
        (report.topology(), report.servers().len()),
        ("standalone", 1)
    );
    assert!(report.latency().is_some() && report.has(WarningKind::Evicting));
    let facts = report.servers()[0].facts().unwrap();
    assert_eq!(facts.role(), Some(redis_client::Role::Master));
    assert!(facts.version() >= Some(redis_client::Version::OLDEST));
    assert_eq!(facts.persistence().append_only(), Some(true));
    assert_eq!(
        facts.persistence().append_fsync(),
        Some(AppendFsync::Always)
    );
    assert_eq!(facts.eviction_policy(), Some("allkeys-lru"));
    assert_eq!(facts.mode(), Some("standalone"));
    assert!(facts.zset_max_listpack_entries().is_some());
    assert!(
        Arc::ptr_eq(&report, &client.health().await),
        "a fresh report is given again"
    );
    assert_eq!(client.probe().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_user_who_may_not_ask_is_a_warning() {
    let server = Server::start(Persistence::None).await;
    let mut user = redis::cmd("ACL");
    user.arg("SETUSER")
        .arg("app")
        .arg("on")
        .arg(">pw")
        .arg("~*")
        .arg("+@all");
    user.arg("-info").arg("-config").arg("-client").arg("-incr");
    user.exec_async(&mut server.connection().await)
        .await
        .unwrap();
    let address = format!("127.0.0.1:{}", server.port());
    let client = connect(config(&address, "acl").username("app").password("pw")).await;
    let report = client.health().await;
    assert_eq!(report.status(), Status::Up, "{report:?}");
    assert!(report.has(WarningKind::FactsForbidden) && report.has(WarningKind::SettingsForbidden));
    let key = key(&client, "a", "n");
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.kind()),
        (Signal::NotPermitted, ErrorKind::Denied)
    );
}

#[tokio::test]
async fn a_replica_is_read_only_and_degraded() {
    let primary = Server::start(Persistence::None).await;
    let replica = Server::start(Persistence::None).await;
    let mut follow = redis::cmd("REPLICAOF");
    follow.arg("127.0.0.1").arg(primary.port());
    follow
        .exec_async(&mut replica.connection().await)
        .await
        .unwrap();
    let client = connect(config(replica.url(), "replica")).await;
    let key = key(&client, "a", "n");
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::ReadOnly, Outcome::NotApplied)
    );
    let report = client.health().await;
    assert_eq!(report.status(), Status::Degraded);
    assert!(report.has(WarningKind::NotAMaster));
    // The primary's script and the wait for its replica go out together.
    let client =
        connect(config(primary.url(), "replicated").write_timeout(redis_harness::PATIENCE)).await;
    let mut exclusive = client.exclusive(&key).await.unwrap();
    let call = BUMP.call().key(&key).arg(1);
    let replicated = poll_until("the replica to confirm", async || {
        let mut exclusive = client.exclusive(&key).await.unwrap();
        let answer = exclusive
            .invoke_replicated::<i64>(&call, 1, Duration::from_millis(100))
            .await;
        answer.ok().filter(|answer| answer.replicas() == 1)
    })
    .await;
    assert!(*replicated.answer() >= 1);
    let alone = exclusive
        .invoke_replicated::<i64>(&call, 9, Duration::from_millis(1))
        .await;
    assert!(
        alone.unwrap().replicas() <= 1,
        "too few replicas are no error"
    );
}

#[tokio::test]
async fn memory_and_script_trouble_is_typed() {
    let server = Server::start(Persistence::None).await;
    let client = connect(config(server.url(), "memory")).await;
    let key = key(&client, "a", "n");
    client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap();
    let mut limit = redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg(1);
    limit
        .exec_async(&mut server.connection().await)
        .await
        .unwrap();
    let error = client
        .query::<i64>(INCR, &key, &incr(&key))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::OutOfMemory, Outcome::NotApplied)
    );
    let error = client
        .invoke::<i64>(&BUMP.call().key(&key).arg(1))
        .await
        .unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::OutOfMemory, Outcome::NotApplied)
    );
    assert_eq!(
        client
            .invoke::<Option<i64>>(&PEEK.call().key(&key))
            .await
            .unwrap(),
        Some(1)
    );
    assert!(client.health().await.has(WarningKind::MemoryNearLimit));
}

/// Reads for ever.
static LOOP: std::sync::LazyLock<redis_client::Script> = std::sync::LazyLock::new(|| {
    redis_client::Script::embedded(
        "#!lua flags=no-writes\n-- test.loop 1\nwhile redis.call('EXISTS', KEYS[1]) do end",
    )
});

#[tokio::test]
async fn a_script_that_is_killed_is_typed_and_changed_nothing() {
    let options = Options::default().setting("busy-reply-threshold", "20");
    let server = Server::start_with(options).await;
    let builder = config(server.url(), "killed").read_timeout(redis_harness::PATIENCE);
    let client = connect(builder.retry_timeout(Duration::ZERO)).await;
    let key = key(&client, "a", "n");
    let admin = server.connection().await;
    let endless = tokio::spawn({
        let (client, key) = (client.clone(), key.clone());
        async move { client.invoke::<i64>(&LOOP.call().key(&key)).await }
    });
    poll_until("a script to kill", async || {
        let mut kill = redis::cmd("SCRIPT");
        kill.arg("KILL").exec_async(&mut admin.clone()).await.ok()
    })
    .await;
    let error = endless.await.unwrap().unwrap_err();
    assert_eq!(
        (error.signal(), error.outcome()),
        (Signal::ScriptKilled, Outcome::NotApplied)
    );
    assert_eq!(
        client.query::<i64>(INCR, &key, &incr(&key)).await.unwrap(),
        1
    );
}
