//! Starts the service of flags on every backend and lets people use it.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use redis_harness::{Persistence, Server, poll_until, unique_prefix};
use serde_json::Value;

const SERVICE: &str = env!("CARGO_BIN_EXE_flag-service");
const SECRET: &str = "REDIS_SESSION_HASH_KEY";

struct Running {
    child: Child,
    address: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(SERVICE)
            .args(["--listen", "127.0.0.1:0", "--password", "sesame"])
            .args(arguments)
            .env(SECRET, "32 bytes or more, for tests alone")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let output = child.stdout.take().unwrap();
        BufReader::new(output).read_line(&mut line).unwrap();
        let address = line
            .trim()
            .strip_prefix("listening on ")
            .unwrap()
            .to_owned();
        let cookies = Mutex::default();
        Self {
            child,
            address,
            cookies,
        }
    }

    fn call(&self, who: &str, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let cookie = self
            .cookies
            .lock()
            .unwrap()
            .get(who)
            .cloned()
            .unwrap_or_default();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: service\r\nconnection: close\r\n{headers}\
             cookie: {cookie}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let set = head
            .lines()
            .find_map(|line| line.strip_prefix("set-cookie: "));
        if let Some(cookie) = set.and_then(|set| set.split(';').next()) {
            let mut cookies = self.cookies.lock().unwrap();
            cookies.insert(who.to_owned(), cookie.to_owned());
        }
        Answer {
            status: head[9..12].parse().unwrap(),
            head: head.to_owned(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }

    fn get(&self, who: &str, path: &str) -> Answer {
        self.call(who, "GET", path, "", "")
    }

    fn post(&self, who: &str, path: &str, body: &str) -> Answer {
        self.call(who, "POST", path, "", body)
    }

    fn log_in(&self, who: &str) {
        let login = format!(r#"{{"name":"{who}","password":"sesame"}}"#);
        assert_eq!(self.post(who, "/login", &login).status, 204);
    }

    /// Asks for a share; gives id and status of the request.
    fn wish(&self, who: &str, flag: &str, percent: u8) -> (String, String) {
        let wish = format!(r#"{{"percent":{percent},"reason":"we want it so"}}"#);
        let answer = self.post(who, &format!("/flags/{flag}/changes"), &wish);
        assert_eq!(answer.status, 202, "{}", answer.body);
        let text = |name: &str| answer.body[name].as_str().unwrap().to_owned();
        (text("id"), text("status"))
    }

    fn approve(&self, who: &str, id: &str) -> Answer {
        let opinion = r#"{"reason":"looks right"}"#;
        self.post(who, &format!("/changes/{id}/approve"), opinion)
    }

    fn inbox(&self, who: &str) -> Vec<String> {
        let mut ids = Vec::new();
        let mut next = Some("/inbox".to_owned());
        while let Some(page) = next {
            let answer = self.get(who, &page);
            assert_eq!(answer.status, 200, "{}", answer.body);
            let items = answer.body["items"].as_array().unwrap().iter();
            ids.extend(items.map(|item| item["id"].as_str().unwrap().to_owned()));
            next = answer.body["next"].as_str().map(str::to_owned);
        }
        ids
    }

    /// Waits until the service has heard of the change, as its cache follows the feed.
    async fn shows(&self, flag: &str, percent: u8) {
        let shown = || async move {
            let answer = self.get("nobody", &format!("/flags/{flag}"));
            (answer.body["percent"] == percent).then_some(())
        };
        poll_until("the cache has heard of the change", shown).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn logged_in(arguments: &[&str]) -> Running {
    let service = Running::start(arguments);
    for who in ["alice", "bob", "carol"] {
        service.log_in(who);
    }
    service
}

/// People change flags, some at one instance, some at the other.
async fn story(one: &Running, other: &Running) {
    // In dev nobody is asked. What was read before is not shown any more.
    assert_eq!(one.get("nobody", "/flags/dev/search").body["percent"], 0);
    assert_eq!(other.get("nobody", "/flags/dev/search").body["percent"], 0);
    let (_, status) = one.wish("alice", "dev/search", 10);
    assert_eq!(status, "executed");
    one.shows("dev/search", 10).await;
    other.shows("dev/search", 10).await;
    // Until both have followed the feed, one may forget what the other has just kept.
    let hit = || async {
        let again = one.get("nobody", "/flags/dev/search");
        again.head.contains("x-source: hit").then_some(())
    };
    poll_until("the cache has it", hit).await;

    // In production two release managers are, and not the one who asks.
    let (id, status) = one.wish("bob", "production/search", 50);
    assert_eq!(status, "pending");
    assert_eq!(
        other.approve("alice", &id).body["code"],
        "vote.not_eligible"
    );
    assert_eq!(other.approve("bob", &id).body["code"], "vote.self_approval");
    assert_eq!(other.inbox("carol"), std::slice::from_ref(&id));
    assert_eq!(one.inbox("alice"), [""; 0]);
    assert_eq!(other.approve("carol", &id).body["status"], "pending");
    let twice = one.approve("carol", &id);
    assert_eq!(
        (twice.status, &twice.body["code"]),
        (409, &"vote.already_voted".into())
    );
    let waits = one.get("nobody", &format!("/changes/{id}"));
    assert_eq!(waits.body["can_decide"], serde_json::json!(["dave"]));
    one.log_in("dave");
    assert_eq!(one.approve("dave", &id).body["status"], "executed");
    one.shows("production/search", 50).await;
    let told = one.get("nobody", &format!("/changes/{id}"));
    let decisions = told.body["decisions"].as_array().unwrap();
    assert_eq!(decisions.last().unwrap()["what"], "lifecycle.executed");

    // The same key is the same request; with something else it is refused.
    let path = "/flags/staging/search/changes";
    let (key, wish) = (
        "idempotency-key: deploy-7\r\n",
        r#"{"percent":5,"reason":"try it"}"#,
    );
    let first = one.call("alice", "POST", path, key, wish);
    let repeated = other.call("alice", "POST", path, key, wish);
    assert_eq!(first.body, repeated.body);
    let another = wish.replace('5', "6");
    let reused = one.call("alice", "POST", path, key, &another);
    assert_eq!(
        (reused.status, &reused.body["code"]),
        (409, &"governor.key_reused".into())
    );

    // An inbox of more than a page. Bob sees what others ask for.
    for n in 0..22 {
        one.wish(
            if n % 2 == 0 { "alice" } else { "carol" },
            &format!("staging/f{n}"),
            1,
        );
    }
    assert_eq!(other.inbox("bob").len(), 23);
    assert_eq!(other.inbox("carol").len(), 12);

    // What makes no sense, and whom nobody knows.
    for (who, path, body, status) in [
        (
            "nobody",
            "/flags/dev/search/changes",
            r#"{"percent":1,"reason":"why not"}"#,
            401,
        ),
        (
            "alice",
            "/flags/dev/search/changes",
            r#"{"percent":101,"reason":"all"}"#,
            422,
        ),
        (
            "alice",
            "/flags/dev/search/changes",
            r#"{"percent":"all"}"#,
            422,
        ),
        (
            "alice",
            "/flags/dev/search/changes",
            r#"{"percent":1,"reason":"."}"#,
            422,
        ),
        (
            "alice",
            "/changes/0190a0a0-0000-7000-8000-000000000000/approve",
            r#"{"reason":"fine"}"#,
            404,
        ),
    ] {
        let answer = one.post(who, path, body);
        assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
    }
    assert_eq!(one.get("bob", "/inbox/nonsense").status, 400);
}

#[tokio::test]
async fn on_memory() {
    let service = logged_in(&["--wishes-per-minute", "100"]);
    story(&service, &service).await;
}

#[tokio::test]
async fn on_redis_two_instances_are_one_service() {
    let server = Server::any().await;
    let prefix = unique_prefix("flag-service");
    let on_redis = [
        "--redis-url",
        server.url(),
        "--key-prefix",
        &prefix,
        "--wishes-per-minute",
        "100",
    ];
    let (one, other) = (Running::start(&on_redis), Running::start(&on_redis));
    for who in ["alice", "bob", "carol"] {
        one.log_in(who);
    }
    // A login is good for both.
    let known = one.cookies.lock().unwrap().clone();
    *other.cookies.lock().unwrap() = known;
    story(&one, &other).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_nobodys_fault_and_nothing_is_lost() {
    let mut server = Server::start(Persistence::AppendAlways).await;
    let service = logged_in(&["--redis-url", server.url()]);
    let (id, _) = service.wish("alice", "staging/search", 5);
    server.kill();
    let away = service.approve("bob", &id);
    assert_eq!(away.status, 503, "{}", away.body);
    assert_eq!(service.get("nobody", "/flags/staging/search").status, 503);
    server.restart().await;
    assert_eq!(service.approve("bob", &id).body["status"], "executed");
    service.shows("staging/search", 5).await;
}

#[test]
fn who_asks_too_often_waits() {
    let service = logged_in(&["--wishes-per-minute", "2"]);
    for percent in [1, 2] {
        service.wish("alice", "dev/search", percent);
    }
    let wish = r#"{"percent":3,"reason":"once more"}"#;
    let refused = service.post("alice", "/flags/dev/search/changes", wish);
    assert_eq!(refused.status, 429);
    assert!(refused.head.contains("retry-after: "), "{}", refused.head);
    service.wish("carol", "dev/search", 3);
}
