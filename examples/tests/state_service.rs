//! Starts the service on every backend and calls it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use redis_harness::{Persistence, Server, unique_prefix};

const SERVICE: &str = env!("CARGO_BIN_EXE_state-service");

struct Running {
    child: Child,
    address: String,
}

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(SERVICE)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
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

    /// Status line, headers and body of an answer.
    fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("a connection");
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nhost: service\r\nconnection: close\r\n\
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

#[test]
fn on_memory() {
    story(&Running::start(&["--calls-per-minute", "8"]));
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
    ];
    let (one, other) = (Running::start(&arguments), Running::start(&arguments));
    story(&one);
    // What the first has had is had for the second, too.
    let mut answers = (0..4).map(|_| other.call("GET", "/places/lisbon", ""));
    assert!(answers.any(|answer| answer.starts_with("HTTP/1.1 429")));
}

#[test]
fn what_cannot_work_is_said_in_one_line() {
    for (arguments, says) in [
        (
            vec!["--redis-url", "redis://x"],
            "--redis-url is for --backend redis",
        ),
        (
            vec!["--backend", "redis", "--redis-url", "redis://127.0.0.1:1"],
            "could not be built",
        ),
        (
            vec!["--backend", "redis", "--redis-url", "http://x"],
            "REDIS_ADDR",
        ),
        (vec!["--calls-per-minute", "0"], "more than zero"),
        (vec!["--trust-proxy", "everybody"], "network"),
    ] {
        let run = Command::new(SERVICE)
            .args(["--listen", "127.0.0.1:0"])
            .args(&arguments)
            .output()
            .expect("it starts");
        let errors = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {errors}");
        assert_eq!(errors.lines().count(), 1, "{errors}");
        assert!(errors.contains(says), "{arguments:?}: {errors}");
    }
}
