//! Starts the service on every backend and calls it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use redis_harness::{Persistence, Server, poll_until, unique_prefix};

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
            .stderr(Stdio::piped())
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

    /// Sends a call that has a body of so many bytes, and what of it is given; returns when the
    /// service asks for the body.
    fn begin(&self, path: &str, length: usize, some: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        write!(
            stream,
            "PUT {path} HTTP/1.1\r\nhost: service\r\nconnection: close\r\n\
             expect: 100-continue\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n"
        )
        .expect("sent");
        let expected = b"HTTP/1.1 100 Continue\r\n\r\n";
        let mut answer = [0; 25];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, expected);
        stream.write_all(some.as_bytes()).expect("sent");
        stream
    }

    /// Tells it to stop, and waits until it takes no calls any more.
    #[cfg(unix)]
    async fn stop(&self) {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status();
        assert!(killed.expect("kill runs").success());
        let refuses = || async {
            let connected = TcpStream::connect(&self.address);
            connected.is_err().then_some(())
        };
        poll_until("calls are refused", refuses).await;
    }

    /// Waits for its end: the exit code, and what it wrote about errors.
    async fn end(mut self) -> (Option<i32>, String) {
        let mut has_ended = || {
            let status = self.child.try_wait().expect("its state");
            async move { status }
        };
        let status = poll_until("the service ends", &mut has_ended).await;
        let mut errors = String::new();
        let output = self.child.stderr.as_mut().expect("its errors");
        output.read_to_string(&mut errors).expect("text");
        (status.code(), errors)
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

/// What is unknown here is neither counted nor anybody's.
#[test]
fn unknown_paths_and_methods_are_not_counted() {
    let service = Running::start(&["--logins-per-minute", "2", "--password", "sesame"]);
    let jar = login(&service, "", ALICE);
    for (method, path, status) in [
        ("GET", "/nothing", 404),
        ("POST", "/login/", 404),
        ("GET", "/health", 404),
        ("GET", "/login", 405),
        ("DELETE", "/places/lisbon", 405),
        ("GET", "/health/live", 200),
    ] {
        let answer = service.call_with(&jar, method, path, "");
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(!answer.contains("ratelimit"), "{answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
    // The second login of two.
    let second = login(&service, &jar, ALICE);
    assert_ne!(jar, second);
    let third = service.call("POST", "/login", ALICE);
    assert!(third.starts_with("HTTP/1.1 429"), "{third}");
}

/// Broken calls are answered for what they are, and nothing of them is kept.
#[test]
fn broken_calls_are_the_callers_fault() {
    let service = Running::start(&["--password", "sesame"]);
    let long = format!("/places/{}", "a".repeat(257));
    let large = format!(r#"{{"name":"x","description":"{}"}}"#, "a".repeat(3 << 20));
    for (method, path, body, status) in [
        ("POST", "/login", r#"{"name":"#, 400),
        ("POST", "/login", r#"{"name":"alice"}"#, 422),
        ("POST", "/login", r#"{"name":"","password":"sesame"}"#, 401),
        ("PUT", "/places/x", "[1]", 422),
        ("PUT", "/places/x", "\0", 400),
        ("PUT", "/places/x", "", 400),
        ("GET", "/places/%ff", "", 400),
        ("PUT", long.as_str(), LISBON, 414),
        ("GET", long.as_str(), "", 414),
    ] {
        let answer = service.call(method, path, body);
        let is = format!("HTTP/1.1 {status} ");
        assert!(answer.starts_with(&is), "{method} {path}: {answer}");
    }
    // It says so before it has read the body.
    let mut stream = service.begin("/places/x", large.len(), "");
    let mut answer = String::new();
    let _ = stream.write_all(large.as_bytes());
    let _ = stream.read_to_string(&mut answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 413 "),
        "{answer}"
    );
    let kept = service.call("GET", "/places/x", "");
    assert!(kept.starts_with("HTTP/1.1 404 "), "{kept}");
    for cookie in [
        "id=",
        "id=x",
        "id",
        "=",
        ";;;",
        "id=\"a",
        &"id=a;".repeat(500),
    ] {
        let answer = service.call_with(cookie, "GET", "/me", "");
        assert!(answer.starts_with("HTTP/1.1 401 "), "{cookie}: {answer}");
    }
}

#[test]
fn without_encryption_the_cookie_is_sent_only_if_that_is_said() {
    let service = Running::start(&["--password", "sesame", "--plain-http"]);
    let answer = service.call("POST", "/login", ALICE);
    let mut lines = answer.lines();
    let set = lines.find_map(|line| line.strip_prefix("set-cookie: "));
    let (_, attributes) = set.and_then(|set| set.split_once("; ")).expect("a cookie");
    assert_eq!(attributes, "HttpOnly; SameSite=Lax; Path=/");
}

#[cfg(unix)]
#[tokio::test]
async fn a_call_that_is_under_way_is_answered_when_the_service_is_stopped() {
    let service = Running::start(&["--drain-seconds", "600"]);
    let (head, tail) = LISBON.split_at(10);
    let mut stream = service.begin("/places/lisbon", LISBON.len(), head);
    service.stop().await;
    stream.write_all(tail.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    assert_eq!(service.end().await, (Some(0), String::new()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_call_without_end_does_not_hold_the_service_up() {
    let service = Running::start(&["--drain-seconds", "0"]);
    let stream = service.begin("/places/lisbon", LISBON.len(), "{");
    service.stop().await;
    let (code, errors) = service.end().await;
    assert_eq!(code, Some(0), "{errors}");
    assert!(errors.contains("cut off"), "{errors}");
    drop(stream);
}

/// Redis goes away and comes back under a service that goes on.
#[tokio::test]
async fn redis_may_go_away_and_come_back() {
    let mut server = Server::start(Persistence::AppendAlways).await;
    let service = Running::start(&[
        "--backend",
        "redis",
        "--redis-url",
        server.url(),
        "--password",
        "sesame",
    ]);
    service.call("PUT", "/places/lisbon", LISBON);
    let jar = login(&service, "", ALICE);
    server.kill();
    let place = service.call("GET", "/places/lisbon", "");
    assert!(
        place.contains("x-source: uncached") && place.ends_with(LISBON),
        "{place}"
    );
    // Nobody is logged out: that is not known.
    for (method, path, body) in [
        ("GET", "/me", ""),
        ("POST", "/login", ALICE),
        ("POST", "/logout", ""),
    ] {
        let answer = service.call_with(&jar, method, path, body);
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(!answer.contains("set-cookie"), "{answer}");
    }
    let ready = |status: u16| {
        let answer = service.call("GET", "/health/ready", "");
        let is = answer.starts_with(&format!("HTTP/1.1 {status} "));
        async move { is.then_some(()) }
    };
    poll_until("it is not ready", || ready(503)).await;
    assert!(
        service
            .call("GET", "/health/live", "")
            .starts_with("HTTP/1.1 200 ")
    );
    server.restart().await;
    poll_until("it is ready", || ready(200)).await;
    let me = service.call_with(&jar, "GET", "/me", "");
    assert!(me.contains(r#""name":"alice""#), "{me}");
    let place = service.call("GET", "/places/lisbon", "");
    assert!(place.ends_with(LISBON), "{place}");
    #[cfg(unix)]
    {
        service.stop().await;
        let (code, errors) = service.end().await;
        assert_eq!(code, Some(0), "{errors}");
        assert_eq!(errors.lines().count(), 3, "{errors}");
        let id = jar.trim_start_matches("id=");
        assert!(
            !errors.contains(id) && !errors.contains("sesame"),
            "{errors}"
        );
    }
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
        (
            Some(secret),
            vec!["--backend", "redis", "--key-prefix", "mine"],
            "--key-prefix is for --redis-url",
        ),
        (None, vec!["--key-prefix", "mine"], "--key-prefix is for"),
        (None, vec!["--password", ""], "--password is empty"),
        (None, vec!["--calls-per-minute", "0"], "--calls-per-minute"),
        (
            None,
            vec!["--logins-per-minute", "18446744073709551615"],
            "--logins-per-minute",
        ),
        (None, vec!["--trust-proxy", "everybody"], "--trust-proxy"),
        (None, vec!["--listen", "192.0.2.1:1"], "cannot listen on"),
    ] {
        let mut command = Command::new(SERVICE);
        command.args(&arguments);
        if !arguments.contains(&"--listen") {
            command.args(["--listen", "127.0.0.1:0"]);
        }
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
