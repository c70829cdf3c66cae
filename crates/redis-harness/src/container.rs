//! A server in a container, where none is installed.

use std::process::{Command, Stdio};

use crate::process::INSTALL;

/// A container, removed when dropped.
#[derive(Debug)]
pub(crate) struct Container {
    runtime: &'static str,
    id: String,
}

const IMAGE: &str = "docker.io/library/redis:7";

impl Container {
    /// Starts a server and says on which loopback port it listens.
    pub(crate) fn start() -> (Self, u16) {
        let started = ["docker", "podman"].into_iter().find_map(|runtime| {
            let publish = "127.0.0.1::6379";
            let id = run(
                runtime,
                &["run", "--rm", "--detach", "--publish", publish, IMAGE],
            )?;
            Some(Self { runtime, id })
        });
        let container = started.unwrap_or_else(|| panic!("{INSTALL}"));
        let port = run(container.runtime, &["port", &container.id, "6379/tcp"])
            .and_then(|places| places.lines().next()?.rsplit_once(':')?.1.parse().ok());
        match port {
            Some(port) => (container, port),
            None => panic!("the container does not say its port"),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = run(self.runtime, &["rm", "--force", &self.id]);
    }
}

/// The output of a command that worked.
fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program)
        .args(arguments)
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
