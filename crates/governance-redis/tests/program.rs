//! The admin program: what it prints, and how it ends.

mod support;

use std::{
    collections::BTreeMap,
    process::{Command, Output, Stdio},
};

use governance_redis::{RedisStore, RedisStoreOptions};
use redis_client::{Config, redis};
use redis_harness::{Cluster, Options, Persistence, Sentinel, Server, poll_until, unique_prefix};
use serde_json::{Value, json};

use crate::support::{
    client,
    corpus::{Picture, populate},
    open, options, patient, server,
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_governance-redis-admin");

struct Ran {
    code: Option<i32>,
    out: String,
    errors: String,
}

impl Ran {
    fn json(&self) -> Value {
        assert_eq!(self.out.trim_end().lines().count(), 1, "{}", self.out);
        serde_json::from_str(&self.out).expect("one JSON object")
    }

    #[track_caller]
    fn is(&self, code: i32, out: &str, errors: &str) {
        assert_eq!(
            (self.code, self.out.trim_end(), self.errors.trim_end()),
            (Some(code), out, errors)
        );
    }
}

fn command(arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(PROGRAM);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("REDIS_") {
            command.env_remove(name);
        }
    }
    command
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    command
}

async fn run(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = command(arguments, environment);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let Output {
        status,
        stdout,
        stderr,
    } = output.expect("a thread").expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Ran {
        code: status.code(),
        out: text(stdout),
        errors: text(stderr),
    }
}

/// A store with a known name on a server.
async fn store(server: &Server, prefix: &str, partitions: u16) -> RedisStore {
    let options = options().key_prefix(prefix).partitions(partitions);
    open(server.url(), &options).await
}

async fn one_key(server: &Server, pattern: &str) -> String {
    let mut keys = redis::cmd("KEYS");
    keys.arg(pattern);
    let mut admin = server.connection().await;
    let mut found: Vec<String> = keys.query_async(&mut admin).await.expect("keys");
    found.pop().expect("a key")
}

async fn delete(server: &Server, key: &str) {
    let mut delete = redis::cmd("DEL");
    delete.arg(key);
    let mut admin = server.connection().await;
    delete.exec_async(&mut admin).await.expect("deleted");
}

#[tokio::test]
async fn verify_and_rebuild() {
    let server = server(Persistence::None).await;
    let prefix = unique_prefix("verify");
    let store = store(&server, &prefix, 2).await;
    populate(&store, 1, 20).await;
    let report = store.verify().await.unwrap();
    let (requests, entries) = (report.requests(), report.entries());
    let about = ["--url", server.url(), "--key-prefix", &prefix];
    let verify = async |more: &[&str]| run(&[&["verify"], more, &about[..]].concat(), &[]).await;
    let fine =
        format!("{requests} requests and {entries} index entries compared, nothing is wrong");
    verify(&[]).await.is(0, &fine, "");
    verify(&["--partitions", "2"]).await.is(0, &fine, "");
    let expected = json!({
        "ok": true, "requests": requests, "entries": entries, "count": 0, "findings": [],
    });
    assert_eq!(verify(&["--json"]).await.json(), expected);

    let inbox = one_key(&server, &format!("{prefix}:{{0*:q1:u:bob")).await;
    delete(&server, &inbox).await;
    let broken = verify(&[]).await;
    assert_eq!(broken.code, Some(1));
    let lines: Vec<&str> = broken.out.lines().collect();
    assert_eq!(lines[0], "KIND     PARTITION  SUBJECT");
    assert!(lines[1].starts_with("missing          0  "), "{}", lines[1]);
    assert!(lines[1].ends_with(" under open_actor=bob"), "{}", lines[1]);
    let findings = lines.len() - 3;
    assert_eq!(
        lines[lines.len() - 2..],
        [
            format!(
                "{requests} requests and {} index entries compared, {findings} findings",
                entries - findings as u64
            ),
            "run `rebuild` to repair what is missing, stray or outdated".to_owned(),
        ]
    );
    let broken = verify(&["--json"]).await;
    assert_eq!(broken.code, Some(1));
    let json = broken.json();
    assert_eq!(
        (&json["ok"], &json["count"]),
        (&json!(false), &json!(findings))
    );
    assert_eq!(json["findings"][0]["kind"], "missing");

    let rebuild = run(&[&["rebuild"], &about[..]].concat(), &[]).await;
    let text = format!("{requests} requests indexed, 0 changed, 0 unreadable");
    rebuild.is(0, &text, "");
    verify(&[]).await.is(0, &fine, "");
    let rebuild = run(&[&["rebuild", "--json"], &about[..]].concat(), &[]).await;
    let expected = json!({"ok": true, "requests": requests, "changed": 0, "unreadable": 0});
    assert_eq!((rebuild.code, rebuild.json()), (Some(0), expected));

    // What cannot be read cannot be repaired by it.
    let record = one_key(&server, &format!("{prefix}*:r:*")).await;
    let mut admin = server.connection().await;
    let mut length = redis::cmd("STRLEN");
    let length: u64 = length.arg(&record).query_async(&mut admin).await.unwrap();
    let mut set = redis::cmd("SETRANGE");
    // The end of a record is its document, whatever comes before.
    set.arg(&record).arg(length - 2).arg("!!");
    set.exec_async(&mut admin).await.unwrap();
    let rebuild = run(&[&["rebuild"], &about[..]].concat(), &[]).await;
    let text = format!("{requests} requests indexed, 0 changed, 1 unreadable");
    rebuild.is(1, &text, "");
    let broken = verify(&[]).await;
    assert_eq!(broken.code, Some(1));
    assert!(broken.out.contains("unreadable"), "{}", broken.out);
    assert!(!broken.out.contains("run `rebuild`"), "{}", broken.out);
}

#[tokio::test]
async fn stats() {
    let server = server(Persistence::None).await;
    let prefix = unique_prefix("stats");
    let about = ["stats", "--url", server.url(), "--key-prefix", &prefix];
    store(&server, &prefix, 2).await;
    let empty = "\
PARTITION  REQUESTS  ORDINALS  WRITES  DUE  EVENTS  GENERATION
        0         0         0       0    0       0           1
        1         0         0       0    0       0           1
0 requests";
    run(&about, &[]).await.is(0, empty, "");
    let json = run(&[&about[..], &["--json"]].concat(), &[]).await.json();
    let row = |partition: u16| {
        json!({
            "partition": partition, "requests": 0, "ordinals": 0, "writes": 0, "due": 0,
            "events": 0, "generation": 1,
        })
    };
    let expected = json!({"ok": true, "requests": 0, "partitions": [row(0), row(1)]});
    assert_eq!(json, expected);
}

#[tokio::test]
async fn purge() {
    let server = server(Persistence::None).await;
    let prefix = unique_prefix("purge");
    let store = store(&server, &prefix, 1).await;
    // Their times are in the future, so nothing is old enough.
    populate(&store, 1, 30).await;
    let about = ["--url", server.url(), "--key-prefix", &prefix];
    let purge = async |more: &[&str]| run(&[&["purge"], more, &about[..]].concat(), &[]).await;
    purge(&["--older-than-days", "1"])
        .await
        .is(0, "0 requests purged", "");
    purge(&[
        "--keep",
        "canceled=30",
        "--keep",
        "executed=400",
        "--dry-run",
    ])
    .await
    .is(0, "0 requests would be purged", "");
    let json = purge(&["--older-than-days", "1", "--dry-run", "--json"]).await;
    let expected = json!({
        "ok": true, "dry_run": true, "purged": 0, "by_status": {}, "unreadable": 0, "more": false,
    });
    assert_eq!(json.json(), expected);
    // The clock of the documents is set back where the store's is not: as if they were old.
    let old = old_requests(&store).await;
    assert!(old > 3, "{old}");
    let would = format!("STATUS    REQUESTS\ncanceled  {old:>8}\n{old} requests would be purged");
    purge(&["--older-than-days", "20", "--dry-run"])
        .await
        .is(0, &would, "");
    purge(&["--status", "executed", "--older-than-days", "20"])
        .await
        .is(0, "0 requests purged", "");
    purge(&["--keep", "canceled=20", "--limit", "2"]).await.is(
        0,
        "STATUS    REQUESTS\ncanceled         2\n2 requests purged; there may be more",
        "",
    );
    let json = purge(&["--older-than-days", "20", "--json"]).await.json();
    assert_eq!(json["by_status"], json!({"canceled": old - 2}));
    assert!(store.verify().await.unwrap().is_clean());
    for (arguments, text) in [
        (
            &["--status", "pending", "--older-than-days", "1"][..],
            "not a final status; those are",
        ),
        (&["--keep", "canceled"], "not STATUS=DAYS"),
        (&["--keep", "canceled=x"], "not a number of days"),
        (&[], "--older-than-days <DAYS>"),
        (
            &["--older-than-days", "1", "--keep", "canceled=1"],
            "cannot be used with",
        ),
        (&["--older-than-days", "1", "--limit", "0"], "invalid value"),
    ] {
        let refused = purge(arguments).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
        assert!(refused.errors.contains(text), "{}", refused.errors);
    }
}

/// Puts some canceled requests of long ago into a store, and tells how many.
async fn old_requests(store: &RedisStore) -> usize {
    use governance_core::{Act, Clock as _, IdSource as _, RequestStore as _, Timestamp};
    use governance_testkit::fixtures::{RequestBuilder, SeededIds, actor, cancel};
    let ids = SeededIds::new(77);
    let day = 24 * 60 * 60 * 1_000_000_i64;
    let now = store.now().await.expect("the time").as_micros();
    for _ in 0..5 {
        let at = Timestamp::from_micros(now - 30 * day);
        let request = RequestBuilder::new(&ids, at).build();
        store
            .create(std::sync::Arc::clone(&request))
            .await
            .expect("created");
        let act = Act::new(&actor("alice"), at, ids.operation_id());
        let canceled = cancel(&request, act);
        let stored = store.try_store(canceled, request.revision()).await;
        stored.expect("canceled");
    }
    5
}

#[tokio::test]
async fn migrate_partitions() {
    let server = server(Persistence::None).await;
    let prefix = unique_prefix("move");
    let first = store(&server, &prefix, 1).await;
    populate(&first, 1, 20).await;
    let before = Picture::of(&first, &[]).await;
    let requests = first.stats().await.unwrap().requests();
    let about = ["--url", server.url(), "--key-prefix", &prefix];
    let migrate = async |more: &[&str]| {
        let command = ["migrate-partitions"];
        run(&[&command, more, &about[..]].concat(), &[]).await
    };
    let moved = migrate(&["--from", "1", "--to", "2"]).await;
    assert_eq!(moved.code, Some(0), "{}", moved.errors);
    let lines: Vec<&str> = moved.out.lines().collect();
    assert_eq!(lines[0], "MOVED     COUNT");
    assert_eq!(lines[1], format!("requests  {requests:>5}"));
    assert_eq!(
        lines.last(),
        Some(&"the store has 2 partitions; open it with that number from now on")
    );
    assert_eq!(
        moved.errors,
        "locking writers out\nfilling 1 of 2\nfilling 2 of 2\ncomparing 1 of 2\n\
         comparing 2 of 2\ntaking the new partitions into use\n\
         removing what is not needed any more\n"
    );
    let again = migrate(&["--from", "1", "--to", "2", "--json"]).await;
    let expected = json!({"ok": true, "partitions": 2, "already": true, "undone": false});
    assert_eq!((again.code, again.json()), (Some(0), expected));
    let two = store(&server, &prefix, 2).await;
    assert_eq!(Picture::of(&two, &[]).await, before);

    let wrong = migrate(&["--from", "1", "--to", "8"]).await;
    wrong.is(2, "", "error: the store has 2 partitions, not 1");
    let wrong = migrate(&["--from", "2", "--to", "3"]).await;
    wrong.is(
        2,
        "",
        "error: 3 partitions asked for; a power of two from 1 to 256 is allowed",
    );
    let wrong = migrate(&["--from", "2", "--to", "4", "--undo", "--json"]).await;
    assert_eq!(wrong.code, Some(2));
    let expected = json!({"ok": false, "error": {
        "code": "migration.not_begun",
        "message": "no migration to 4 partitions is under way",
    }});
    assert_eq!(wrong.json(), expected);
    let wrong = run(
        &[&["verify", "--partitions", "4"], &about[..]].concat(),
        &[],
    )
    .await;
    assert_eq!(wrong.code, Some(2));
    let text = "error: the store under this key prefix has 2 partitions, 4 were asked for";
    assert!(wrong.errors.starts_with(text), "{}", wrong.errors);
    assert_eq!(wrong.errors.lines().count(), 1);
}

#[tokio::test]
async fn a_migration_that_is_killed_is_gone_on_with() {
    let server = server(Persistence::None).await;
    let prefix = unique_prefix("killed");
    let options = options().key_prefix(&prefix);
    let first = open(server.url(), &options).await;
    populate(&first, 1, 400).await;
    let before = Picture::of(&first, &[]).await;
    let client = client(server.url()).await;
    let about = [
        "migrate-partitions",
        "--from",
        "1",
        "--to",
        "16",
        "--url",
        server.url(),
        "--key-prefix",
        &prefix,
    ];
    // Killed as soon as it is seen to be under way, a little further each time.
    for filled in [0, 3, 9] {
        let mut program = command(&about, &[])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (client, options, prefix, server) = (&client, &options, &prefix, &server);
        poll_until("a migration that is under way", || {
            let over = program.try_wait().unwrap().is_some();
            async move {
                let layout = RedisStore::layout(client, options).await.unwrap();
                let moving = layout.is_some_and(|layout| layout.migrating_to == Some(16));
                let mut keys = redis::cmd("KEYS");
                keys.arg(format!("{prefix}*:w"));
                let mut admin = server.connection().await;
                let begun: Vec<String> = keys.query_async(&mut admin).await.unwrap();
                (over || (moving && begun.len() >= filled)).then_some(())
            }
        })
        .await;
        program.kill().unwrap();
        program.wait().unwrap();
        let verify = ["verify", "--url", server.url(), "--key-prefix", prefix];
        let refused = run(&verify, &[]).await;
        if refused.code == Some(2) {
            let text = "error: a migration of this store from 1 to 16 partitions is running or was \
                        broken off; wait for it, or run it again to finish it\n";
            assert_eq!(refused.errors, text);
        }
    }
    let moved = run(&about, &[]).await;
    assert_eq!(moved.code, Some(0), "{}", moved.errors);
    let sixteen = open(server.url(), &options.partitions(16)).await;
    assert_eq!(Picture::of(&sixteen, &[]).await, before);
    assert!(sixteen.verify().await.unwrap().is_clean());
}

#[tokio::test]
async fn what_cannot_run_says_in_one_line_what_to_do() {
    let open_server = server(Persistence::None).await;
    let prefix = unique_prefix("none");
    let none = run(
        &["stats", "--url", open_server.url(), "--key-prefix", &prefix],
        &[],
    )
    .await;
    let text = format!(
        "error: there is no store under the key prefix {prefix}; check --key-prefix, REDIS_KEY_PREFIX and --url"
    );
    none.is(2, "", &text);
    let mut exists = redis::cmd("DBSIZE");
    let mut admin = open_server.connection().await;
    let keys: u64 = exists.query_async(&mut admin).await.unwrap();
    assert_eq!(keys, 0, "nothing was set up");
    exists = redis::cmd("SET");
    exists.arg(format!("{prefix}:layout")).arg("hello");
    exists.exec_async(&mut admin).await.unwrap();
    let foreign = [
        "verify",
        "--url",
        open_server.url(),
        "--key-prefix",
        &prefix,
    ];
    let foreign = run(&foreign, &[]).await;
    assert_eq!(foreign.code, Some(2));
    assert!(foreign.errors.contains("layout"), "{}", foreign.errors);

    let nowhere = ["verify", "--url", "redis://127.0.0.1:1"];
    let fast = [("REDIS_RETRY_TIMEOUT", "0ms")];
    run(&nowhere, &fast).await.is(
        2,
        "",
        "error: a connection could not be made; check --url, and that the server runs and can be reached",
    );
    let json = run(&[&nowhere[..], &["--json"]].concat(), &fast).await;
    assert_eq!(json.json()["error"]["code"], "redis.connect_failed");
    run(&["verify"], &[]).await.is(
        2,
        "",
        "error: the configuration is invalid: REDIS_ADDR is required; give --url redis://host:port",
    );
    run(&["verify", "--url", "http://x"], &[]).await.is(
        2,
        "",
        "error: the configuration is invalid: REDIS_ADDR is not an address: write host:port, redis://, rediss:// or unix://",
    );
    for prefix in ["a{b}", "a b", "*"] {
        let refused = ["verify", "--url", open_server.url(), "--key-prefix", prefix];
        let refused = run(&refused, &[]).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
        assert!(
            refused.errors.starts_with("error: the key prefix"),
            "{}",
            refused.errors
        );
        assert_eq!(refused.errors.lines().count(), 1);
    }
    let several = "redis://127.0.0.1:1,redis://127.0.0.1:2";
    run(&["verify", "--url", several], &[]).await.is(
        2,
        "",
        "error: the configuration is invalid: REDIS_ADDR contradicts another setting; several \
         addresses need --cluster or --sentinel-master",
    );
    let server_only = [
        "verify",
        "--url",
        open_server.url(),
        "--sentinel-master",
        "m",
    ];
    run(&server_only, &fast).await.is(
        2,
        "",
        "error: the server is no sentinel; name sentinels, or leave the name of the master out",
    );
    for arguments in [
        &["explode"][..],
        &[],
        &["verify", "--cluster", "--sentinel-master", "m"],
    ] {
        let refused = run(arguments, &[]).await;
        assert_eq!((refused.code, refused.out.as_str()), (Some(2), ""));
        assert!(refused.errors.contains("--help"), "{}", refused.errors);
    }
}

#[tokio::test]
async fn a_store_that_is_damaged_is_told_by_its_key() {
    let server = server(Persistence::None).await;
    let prefix = unique_prefix("damaged");
    let store = store(&server, &prefix, 1).await;
    populate(&store, 1, 5).await;
    let mut admin = server.connection().await;
    let about = ["--url", server.url(), "--key-prefix", &prefix];
    // A stranger's list where the journal was: the rebuild cannot write, and says where to look.
    let journal = one_key(&server, &format!("{prefix}:*}}:y:0")).await;
    let feed = one_key(&server, &format!("{prefix}:*}}:e")).await;
    for key in [&journal, &feed] {
        delete(&server, key).await;
        let mut list = redis::cmd("RPUSH");
        let list = list.arg(key).arg("x");
        list.exec_async(&mut admin).await.unwrap();
    }
    let rebuild = run(&[&["rebuild"], &about[..]].concat(), &[]).await;
    rebuild.is(
        2,
        "",
        "error: the script raised an error; something else writes under this key prefix, or the \
         store is damaged; `verify` says which",
    );
    let verify = run(&[&["verify"], &about[..]].concat(), &[]).await;
    assert_eq!(verify.code, Some(1), "{}", verify.errors);
    for word in [
        "unlisted ",
        &format!("{journal} (list)"),
        "give that another key prefix",
        "restore a backup",
    ] {
        assert!(verify.out.contains(word), "{word}: {}", verify.out);
    }
    // The program says that the store stays locked.
    let moving = ["migrate-partitions", "--from", "1", "--to", "2"];
    let moved = run(&[&moving, &about[..]].concat(), &[]).await;
    assert_eq!(moved.code, Some(2));
    let locked = "; nothing can be written until this is run again, or with --undo\n";
    assert!(moved.errors.ends_with(locked), "{}", moved.errors);
    // One whose undoing was broken off cannot be run again, and is not said to be.
    let mut get = redis::cmd("GET");
    let layout = get.arg(format!("{prefix}:layout"));
    let layout: String = layout.query_async(&mut admin).await.unwrap();
    let mut layout: Value = serde_json::from_str(&layout).unwrap();
    layout["moving"]["undone"] = true.into();
    let mut set = redis::cmd("SET");
    let set = set.arg(format!("{prefix}:layout")).arg(layout.to_string());
    set.exec_async(&mut admin).await.unwrap();
    run(&[&moving, &about[..]].concat(), &[]).await.is(
        2,
        "",
        "error: the migration to 2 partitions is being undone; finish that first; run it with --undo",
    );
    let undo = run(&[&moving, &["--undo"][..], &about].concat(), &[]).await;
    assert_eq!(undo.code, Some(0), "{}", undo.errors);
    let twice = [&moving, &["--partitions", "2"][..], &about].concat();
    let twice = run(&twice, &[]).await;
    assert_eq!(
        twice.errors,
        "error: --partitions and --from say different things about the store; leave --partitions \
         out\n"
    );

    let fence = one_key(&server, &format!("{prefix}:*}}:v")).await;
    for value in ["junk", "1:0:0:1"] {
        let mut set = redis::cmd("SET");
        let set = set.arg(&fence).arg(value);
        set.exec_async(&mut admin).await.unwrap();
        let broken = run(&[&["verify"], &about[..]].concat(), &[]).await;
        broken.is(
            1,
            "",
            &format!(
                "error: what is stored under this key prefix makes no sense: the fence under \
                 `{fence}`; restore a backup"
            ),
        );
    }
}

#[tokio::test]
async fn passwords_come_from_the_environment_or_a_file_and_are_never_shown() {
    const SECRET: &str = "open sesame";
    let server = Server::start_with(Options::default().password(SECRET)).await;
    let bare = format!("redis://127.0.0.1:{}", server.port());
    let prefix = unique_prefix("password");
    let config = Config::builder().address(&bare).password(SECRET).build();
    let client = redis_client::Client::connect(config.unwrap())
        .await
        .unwrap();
    RedisStore::connect(client, RedisStoreOptions::default().key_prefix(&prefix))
        .await
        .unwrap();
    let about = ["stats", "--url", &bare, "--key-prefix", &prefix];
    let file = std::env::temp_dir().join(format!("{}.password", prefix.replace(':', "-")));
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    let path = file.to_str().unwrap();
    let right = [
        run(&about, &[("REDIS_PASSWORD", SECRET)]).await,
        run(&about, &[("REDIS_PASSWORD_FILE", path)]).await,
        run(&[&about[..], &["--password-file", path]].concat(), &[]).await,
        // What is given wins over what is there anyway.
        run(
            &[&about[..], &["--password-file", path]].concat(),
            &[("REDIS_PASSWORD", "wrong")],
        )
        .await,
    ];
    for ran in right {
        assert_eq!(ran.code, Some(0), "{}", ran.errors);
        assert!(!ran.out.contains(SECRET));
    }
    let refused = "error: the login was refused; set REDIS_PASSWORD or --password-file, and \
                   --username if there is one";
    let wrong = [("REDIS_PASSWORD", "open barley")];
    for command in ["verify", "rebuild", "stats"] {
        let ran = run(&[&[command], &about[1..]].concat(), &wrong).await;
        ran.is(2, "", refused);
    }
    run(&about, &[]).await.is(2, "", refused);
    let json = run(&[&about[..], &["--json"]].concat(), &wrong).await;
    assert!(!json.out.contains("barley"));
    let gone = [&about[..], &["--password-file", "/nonexistent"]].concat();
    run(&gone, &[]).await.is(
        2,
        "",
        "error: the configuration is invalid: REDIS_PASSWORD_FILE names a file that cannot be read",
    );
    std::fs::remove_file(file).unwrap();
}

#[tokio::test]
async fn help_says_what_everything_is_for() {
    let mut helps: BTreeMap<&str, String> = BTreeMap::new();
    for command in [
        "",
        "verify",
        "rebuild",
        "stats",
        "purge",
        "migrate-partitions",
    ] {
        let arguments = [command, "--help"];
        let arguments = &arguments[usize::from(command.is_empty())..];
        let ran = run(arguments, &[]).await;
        assert_eq!((ran.code, ran.errors.as_str()), (Some(0), ""));
        for option in [
            "--url",
            "--cluster",
            "--sentinel-master",
            "--key-prefix",
            "--json",
        ] {
            assert!(ran.out.contains(option), "{command}: {option}");
        }
        helps.insert(command, ran.out);
    }
    for command in ["verify", "rebuild", "stats", "purge", "migrate-partitions"] {
        assert!(helps[""].contains(command), "{command}");
    }
    assert!(
        helps[""].contains("Exit codes: 0 all is well; 1"),
        "{}",
        helps[""]
    );
    assert!(helps[""].contains("REDIS_PASSWORD"));
    for option in [
        "--dry-run",
        "--older-than-days",
        "--keep",
        "--limit",
        "--status",
    ] {
        assert!(helps["purge"].contains(option), "{option}");
    }
    for option in ["--from", "--to", "--undo"] {
        assert!(helps["migrate-partitions"].contains(option), "{option}");
    }
    assert!(helps["migrate-partitions"].contains("Nothing can be written meanwhile"));
}

#[tokio::test(flavor = "multi_thread")]
async fn clusters_and_sentinels() {
    let cluster = Cluster::start(3, 0).await;
    let urls: Vec<&str> = cluster.urls().collect();
    let urls = urls.join(",");
    let mut config = Config::builder().cluster();
    for url in cluster.urls() {
        config = config.address(url);
    }
    let client = redis_client::Client::connect(patient(config).build().unwrap())
        .await
        .unwrap();
    let prefix = unique_prefix("cluster");
    let options = options().key_prefix(&prefix).partitions(4);
    let store = RedisStore::connect(client, options).await.unwrap();
    populate(&store, 1, 30).await;
    let about = ["--cluster", "--url", &urls, "--key-prefix", &prefix];
    let moved = ["migrate-partitions", "--from", "4", "--to", "8"];
    for command in [
        &["verify"][..],
        &["rebuild"],
        &["stats"],
        &moved,
        &["verify"],
    ] {
        let ran = run(&[command, &about[..]].concat(), &[]).await;
        assert_eq!(ran.code, Some(0), "{command:?}: {}", ran.errors);
    }
    // One node of a cluster, taken for a server of its own.
    let alone = [
        "verify",
        "--url",
        cluster.nodes()[0].url(),
        "--key-prefix",
        &prefix,
    ];
    let alone = run(&alone, &[]).await;
    if alone.code == Some(2) {
        assert!(alone.errors.contains("--cluster"), "{}", alone.errors);
    }

    let sentinel = Sentinel::start().await;
    let urls: Vec<String> = sentinel.urls().collect();
    let urls = urls.join(",");
    let mut config = Config::builder().sentinel_master(Sentinel::MASTER);
    for url in sentinel.urls() {
        config = config.address(url);
    }
    let client = redis_client::Client::connect(patient(config).build().unwrap())
        .await
        .unwrap();
    let options = RedisStoreOptions::default().key_prefix(&prefix);
    RedisStore::connect(client, options).await.unwrap();
    let about = ["verify", "--url", &urls, "--key-prefix", &prefix];
    let about = [&about[..], &["--sentinel-master", Sentinel::MASTER]].concat();
    run(&about, &[]).await.is(
        0,
        "0 requests and 0 index entries compared, nothing is wrong",
        "",
    );
    let none = ["stats", "--url", &urls, "--sentinel-master", "nobody"];
    run(&none, &[("REDIS_RETRY_TIMEOUT", "0ms")]).await.is(
        2,
        "",
        "error: no sentinel knows a master that serves; check --sentinel-master, and that --url \
         names sentinels",
    );
}
