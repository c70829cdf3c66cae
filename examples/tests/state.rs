//! Runs the programs about caches on every backend and checks what they tell.

use std::process::{Command, Output};

use redis_harness::{Persistence, Server, unique_prefix};

const TILES: &str = env!("CARGO_BIN_EXE_tile-cache");
const METADATA: &str = env!("CARGO_BIN_EXE_metadata-cache");

fn story(output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    assert_eq!(errors, "");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Checks that a program tells the same on every backend, and these facts in this order.
async fn tells(program: &str, facts: &[&str]) {
    let memory = Command::new(program).args(["--backend", "memory"]).output();
    let memory = story(&memory.expect("it starts"));
    let mut lines = memory.lines().map(str::trim_start);
    for fact in facts {
        assert!(
            lines.any(|line| line.starts_with(fact)),
            "it does not tell: {fact}\n{memory}"
        );
    }
    let server = Server::start(Persistence::None).await;
    let prefix = unique_prefix("examples");
    let arguments = [
        "--backend",
        "redis",
        "--redis-url",
        server.url(),
        "--key-prefix",
        &prefix,
    ];
    // Twice: what the first run leaves behind does not change the second.
    for _ in 0..2 {
        let redis = Command::new(program).args(arguments).output();
        assert_eq!(story(&redis.expect("it starts")), memory);
    }
}

#[tokio::test]
async fn tiles() {
    let facts = [
        "1. Forty people",
        "40 answers, 1 drawing",
        "hit: 4118 bytes",
        "12/2046/1361: miss",
        "12/2047/1361: hit",
        "loaded: nothing there: true",
        "hit: nothing there: true",
        "loaded: 1 drawing",
    ];
    tells(TILES, &facts).await;
}

#[tokio::test]
async fn metadata() {
    let facts = [
        "200 answers, 1 read of the database",
        "kept here: 1 and 1",
        "the first: \"Roads and paths\", revision 2",
        "the second: \"Roads and paths\", revision 2",
        "1 read of the database",
        "3 answers, 3 reads of the database",
        "the second: \"Roads, paths and stairs\", revision 3",
    ];
    tells(METADATA, &facts).await;
}

#[test]
fn a_server_that_is_not_there_is_an_error() {
    for program in [TILES, METADATA] {
        let arguments = ["--backend", "redis", "--redis-url", "redis://127.0.0.1:1"];
        let output = Command::new(program)
            .args(arguments)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("error: "));
        let output = Command::new(program)
            .arg("--help")
            .output()
            .expect("it starts");
        assert!(output.status.success());
        assert!(String::from_utf8_lossy(&output.stdout).contains("--backend <NAME>"));
    }
}
