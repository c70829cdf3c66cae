//! Starts the service on every backend and calls it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use redis_harness::{Persistence, Server, unique_prefix};

const SERVICE: &str = env!("CARGO_BIN_EXE_state-service");
const SECRET: &str = "REDIS_SESSION_HASH_KEY";

struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(SERVICE)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .env(SECRET, "32 bytes or more, for tests alone")
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let output = child.stdout.take().expect("its output");
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line).expect("a line");
        let address = line.trim().strip_prefix("listening on ");
        let address = address.expect("its address").to_owned();
        Self { child, address }
    }

    fn call(&self, method: &str, path: &str, body: &str) -> String {
        self.call_with("", method, path, body)
    }

    /// Status line, headers and body of an answer.
    fn call_with(&self, cookie: &str, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: service\r\nconnection: close\r\ncookie: {cookie}\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const LISBON: &str = r#"{"name":"Lisbon","description":"By the Tagus"}"#;
const CHANGED: &str = r#"{"name":"Lisbon","description":"By the sea"}"#;

/// One instance, from the first call to the last it may make.
fn story(service: &Running) {
    assert!(
        service
            .call("GET", "/health/live", "")
            .starts_with("HTTP/1.1 200")
    );
    assert!(
        service
            .call("GET", "/health/ready", "")
            .contains(r#""status":"up""#)
    );
    assert!(
        service
            .call("PUT", "/places/lisbon", LISBON)
            .starts_with("HTTP/1.1 204")
    );
    let first = service.call("GET", "/places/lisbon", "");
    assert!(
        first.contains("x-source: loaded") && first.ends_with(LISBON),
        "{first}"
    );
    assert!(
        first.contains(r#"ratelimit-policy: "calls";q=8;w=60"#),
        "{first}"
    );
    let second = service.call("GET", "/places/lisbon", "");
    assert!(
        second.contains("x-source: hit") && second.ends_with(LISBON),
        "{second}"
    );
    assert!(
        service
            .call("PUT", "/places/lisbon", CHANGED)
            .starts_with("HTTP/1.1 204")
    );
    let changed = service.call("GET", "/places/lisbon", "");
    assert!(
        changed.contains("x-source: loaded") && changed.ends_with(CHANGED),
        "{changed}"
    );
    assert!(
        service
            .call("GET", "/places/nowhere", "")
            .starts_with("HTTP/1.1 404")
    );
    let again = service.call("GET", "/places/nowhere", "");
    assert!(
        again.starts_with("HTTP/1.1 404") && again.contains("x-source: hit"),
        "{again}"
    );
    // The eighth, and one too many; a call may have come back on a slow machine.
    let mut answers = (0..4).map(|_| service.call("GET", "/places/lisbon", ""));
    let refused = answers.find(|answer| answer.starts_with("HTTP/1.1 429"));
    let refused = refused.expect("a refusal");
    assert!(refused.contains("retry-after: ") && refused.contains("application/problem+json"));
}

const ALICE: &str = r#"{"name":"alice","password":"sesame"}"#;
const BOB: &str = r#"{"name":"bob","password":"sesame"}"#;
const WRONG: &str = r#"{"name":"alice","password":"simsim"}"#;

/// Logs in; the cookie as it is sent from then on.
fn login(service: &Running, cookie: &str, who: &str) -> String {
    let answer = service.call_with(cookie, "POST", "/login", who);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    let mut lines = answer.lines();
    let set = lines.find_map(|line| line.strip_prefix("set-cookie: "));
    let (pair, attributes) = set.and_then(|set| set.split_once("; ")).expect("a cookie");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Secure; Path=/");
    pair.to_owned()
}

/// People who come and go, on two instances that share sessions, or on one.
fn people(one: &Running, other: &Running) {
    let me = |service: &Running, cookie: &str| service.call_with(cookie, "GET", "/me", "");
    let is_nobody = |answer: &str| {
        answer.starts_with("HTTP/1.1 401") && !answer.to_lowercase().contains("set-cookie")
    };
    assert!(is_nobody(&me(one, "")));
    assert!(is_nobody(&one.call("POST", "/login", WRONG)));
    assert!(is_nobody(&one.call("POST", "/everywhere", "")));
    let first = login(one, "", ALICE);
    for asked in 1..=2 {
        let answer = me(if asked == 1 { one } else { other }, &first);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(r#""name":"alice""#), "{answer}");
        assert!(answer.contains(&format!(r#""asked":{asked}"#)), "{answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
    // Another login has another id, and the one of before is over.
    let second = login(other, &first, ALICE);
    assert_ne!(first, second);
    assert!(is_nobody(&me(one, &first)));
    assert!(me(one, &second).contains(r#""asked":3"#));
    let out = one.call_with(&second, "POST", "/logout", "");
    assert!(out.starts_with("HTTP/1.1 204"), "{out}");
    assert!(
        out.contains("set-cookie: id=; ") && out.contains("Max-Age=0"),
        "{out}"
    );
    assert!(is_nobody(&me(other, &second)));
    // Everywhere, and everybody else stays.
    let devices = [login(one, "", ALICE), login(other, "", ALICE)];
    let bob = login(one, "", BOB);
    let out = other.call_with(&devices[1], "POST", "/everywhere", "");
    assert!(
        out.starts_with("HTTP/1.1 204") && out.contains("Max-Age=0"),
        "{out}"
    );
    for cookie in &devices {
        assert!(is_nobody(&me(one, cookie)));
    }
    assert!(me(other, &bob).contains(r#""name":"bob""#));
    // Guessing is limited.
    let mut answers = (0..9).map(|_| one.call("POST", "/login", WRONG));
    assert!(answers.any(|answer| answer.starts_with("HTTP/1.1 429")));
}

#[test]
fn on_memory() {
    let service = Running::start(&["--calls-per-minute", "8", "--password", "sesame"]);
    story(&service);
    people(&service, &service);
}

#[test]
fn without_a_password_nobody_can_log_in() {
    let service = Running::start(&[]);
    let answer = service.call("POST", "/login", r#"{"name":"alice","password":""}"#);
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test]
async fn on_redis_two_instances_share_what_they_keep() {
    let server = Server::start(Persistence::None).await;
    let prefix = unique_prefix("service");
    let arguments = [
        "--backend",
        "redis",
        "--redis-url",
        server.url(),
        "--key-prefix",
        &prefix,
        "--calls-per-minute",
        "8",
        "--password",
        "sesame",
    ];
    let (one, other) = (Running::start(&arguments), Running::start(&arguments));
    story(&one);
    // What the first has had is had for the second, too.
    let mut answers = (0..4).map(|_| other.call("GET", "/places/lisbon", ""));
    assert!(answers.any(|answer| answer.starts_with("HTTP/1.1 429")));
    people(&one, &other);
}

#[test]
fn what_cannot_work_is_said_in_one_line() {
    let secret = "32 bytes or more, for tests alone";
    let nowhere = vec!["--backend", "redis", "--redis-url", "redis://127.0.0.1:1"];
    for (secret, arguments, says) in [
        (
            Some(secret),
            vec!["--redis-url", "redis://x"],
            "--redis-url is for --backend redis",
        ),
        (Some(secret), nowhere.clone(), "could not be built"),
        (Some("short"), nowhere.clone(), SECRET),
        (None, nowhere, SECRET),
        (
            Some(secret),
            vec!["--backend", "redis", "--redis-url", "http://x"],
            "REDIS_ADDR",
        ),
        (None, vec!["--calls-per-minute", "0"], "more than zero"),
        (None, vec!["--trust-proxy", "everybody"], "network"),
    ] {
        let mut command = Command::new(SERVICE);
        command.args(["--listen", "127.0.0.1:0"]).args(&arguments);
        match secret {
            Some(secret) => command.env(SECRET, secret),
            None => command.env_remove(SECRET),
        };
        let run = command.output().expect("it starts");
        let errors = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(says), "{arguments:?}: {errors}");
    }
}
