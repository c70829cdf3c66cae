//! One server process.

use std::{
    env, fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::LazyLock,
};

/// A server process, killed and awaited when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    stopped: bool,
    watchdog: Option<Child>,
}

/// Names the program to start, where it is not the one on `PATH`.
const PROGRAM_VARIABLE: &str = "GOVERNANCE_TEST_REDIS_SERVER";

/// The server program, or `None` when none is installed.
///
/// # Panics
///
/// When the one that was asked for does not run: tests on another would tell nothing about it.
pub(crate) fn program() -> Option<&'static str> {
    static FOUND: LazyLock<Option<String>> =
        LazyLock::new(|| choose(env::var(PROGRAM_VARIABLE).ok(), runs));
    FOUND.as_deref()
}

fn choose(wanted: Option<String>, runs: impl Fn(&str) -> bool) -> Option<String> {
    if let Some(program) = wanted.filter(|program| !program.is_empty()) {
        assert!(
            runs(&program),
            "{PROGRAM_VARIABLE} names what does not run: {program}"
        );
        return Some(program);
    }
    let mut known = ["redis-server", "valkey-server"].into_iter();
    known.find(|program| runs(program)).map(str::to_owned)
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// What to do when there is no server.
pub(crate) const INSTALL: &str = "no redis-server on PATH and no container runtime; \
    install one with: apt-get install -y redis-server (or: brew install redis)";

impl Process {
    /// Starts a server with these arguments in this directory; its output goes to `log` there.
    pub(crate) fn spawn(directory: &Path, arguments: &[String]) -> Self {
        let program = program().unwrap_or_else(|| panic!("{INSTALL}"));
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(directory.join("log"));
        let log = log.unwrap_or_else(|error| panic!("cannot write the server's log: {error}"));
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(Stdio::null());
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("{program} does not start: {error}"));
        Self {
            watchdog: watchdog(child.id(), directory),
            child,
            stopped: false,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Ends it at once, as a crash would.
    pub(crate) fn kill(&mut self) {
        if self.stopped {
            self.resume();
        }
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(mut watchdog) = self.watchdog.take() {
            let _ = watchdog.kill();
            let _ = watchdog.wait();
        }
    }

    /// Stops it without ending it: the system still takes connections for it.
    pub(crate) fn pause(&mut self) {
        self.signal("-STOP");
        self.stopped = true;
    }

    /// Lets it go on.
    pub(crate) fn resume(&mut self) {
        self.signal("-CONT");
        self.stopped = false;
    }

    fn signal(&self, signal: &str) {
        let mut command = Command::new("kill");
        command.arg(signal).arg(self.id().to_string());
        let sent = command.status().is_ok_and(|status| status.success());
        assert!(sent, "cannot send {signal} to the server");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ends a server and removes its directory when this process has ended without doing so: killed, or
/// with servers in statics, which are never dropped.
///
/// It waits for the end of its input, which this process holds open and nobody else has.
fn watchdog(server: u32, directory: &Path) -> Option<Child> {
    let script = "read -r _; kill -9 \"$1\"; rm -rf \"$2\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, "watchdog"])
        .arg(server.to_string())
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Without one nothing is wrong, as long as everything is dropped.
    command.spawn().ok()
}

/// The end of a server's log, for messages.
pub(crate) fn log_tail(directory: &Path) -> String {
    let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(10)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::choose;

    #[test]
    fn program_is_the_one_asked_for_or_the_first_that_runs() {
        let wanted = Some("/opt/valkey-server".to_owned());
        assert_eq!(
            choose(wanted, |_| true).as_deref(),
            Some("/opt/valkey-server")
        );
        assert_eq!(choose(None, |_| true).as_deref(), Some("redis-server"));
        assert_eq!(
            choose(Some(String::new()), |_| true).as_deref(),
            Some("redis-server")
        );
        let valkey = |program: &str| program == "valkey-server";
        assert_eq!(choose(None, valkey).as_deref(), Some("valkey-server"));
        assert_eq!(choose(None, |_| false), None);
    }

    #[test]
    #[should_panic(expected = "GOVERNANCE_TEST_REDIS_SERVER names what does not run: /no/such")]
    fn program_that_does_not_run_is_told() {
        choose(Some("/no/such".to_owned()), |_| false);
    }
}
