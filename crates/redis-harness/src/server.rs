//! One server.

use std::{env, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo,
    aio::MultiplexedConnection,
};

use crate::{
    URL_VARIABLE,
    container::Container,
    directory::Directory,
    poll::poll_until,
    port::free_port,
    process::{Process, log_tail, program},
};

/// What a server keeps over a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Persistence {
    /// Nothing.
    #[default]
    None,
    /// Snapshots.
    Snapshots,
    /// An append-only file, on disk once a second.
    AppendEverySecond,
    /// An append-only file, on disk before a write is acknowledged.
    AppendAlways,
}

impl Persistence {
    fn arguments(self) -> Vec<String> {
        let text = match self {
            Self::None => "--save||--appendonly|no",
            Self::Snapshots => "--save|3600 1|--appendonly|no",
            Self::AppendEverySecond => "--save||--appendonly|yes|--appendfsync|everysec",
            Self::AppendAlways => "--save||--appendonly|yes|--appendfsync|always",
        };
        text.split('|').map(str::to_owned).collect()
    }
}

/// How a server is started.
#[derive(Debug, Clone, Default)]
pub struct Options {
    persistence: Persistence,
    password: Option<String>,
    extra: Vec<String>,
}

impl Options {
    /// What it keeps over a restart.
    #[must_use]
    pub const fn persistence(mut self, persistence: Persistence) -> Self {
        self.persistence = persistence;
        self
    }

    /// The password of its default user.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.password = Some(password.to_owned());
        self
    }

    /// A setting of the server.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.extra.extend([format!("--{name}"), value.to_owned()]);
        self
    }
}

/// A server that is stopped when dropped, or one from outside that is left alone.
#[derive(Debug)]
pub struct Server {
    place: Place,
    url: String,
    port: u16,
}

#[derive(Debug)]
enum Place {
    Own(Box<Own>),
    Container(#[expect(dead_code, reason = "held to be stopped when dropped")] Container),
    Outside,
}

#[derive(Debug)]
struct Own {
    process: Process,
    directory: Directory,
    arguments: Vec<String>,
}

impl Server {
    /// Any server: from outside, own, or in a container.
    ///
    /// # Panics
    ///
    /// When there is none, with the line that installs one.
    pub async fn any() -> Self {
        match choose(env::var(URL_VARIABLE).ok(), program) {
            Choice::Outside(url) => return Self::outside(&url),
            Choice::Own => return Self::start(Persistence::None).await,
            Choice::Container => {}
        }
        let (container, port) = Container::start();
        let server = Self {
            place: Place::Container(container),
            url: format!("redis://127.0.0.1:{port}"),
            port,
        };
        poll_until("the server in the container", async || {
            server.is_ready().await.then_some(())
        })
        .await;
        server
    }

    fn outside(url: &str) -> Self {
        let info = url.into_connection_info();
        let port = match info.as_ref().map(redis::ConnectionInfo::addr) {
            Ok(ConnectionAddr::Tcp(_, port)) => *port,
            _ => panic!("{URL_VARIABLE} is not a redis:// URL"),
        };
        Self {
            place: Place::Outside,
            url: url.to_owned(),
            port,
        }
    }

    /// A server of one's own.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start(persistence: Persistence) -> Self {
        Self::start_with(Options::default().persistence(persistence)).await
    }

    /// A server of one's own, with options.
    ///
    /// # Panics
    ///
    /// When it does not start.
    pub async fn start_with(options: Options) -> Self {
        let mut arguments = options.persistence.arguments();
        let mut login = String::new();
        if let Some(password) = options.password {
            login = format!(":{password}@");
            arguments.extend([
                "--requirepass".to_owned(),
                password.clone(),
                "--masterauth".to_owned(),
                password,
            ]);
        }
        arguments.extend(options.extra);
        Self::launch(&login, || arguments.clone()).await
    }

    /// Starts until all ports were free long enough; arguments may name more of them, and are made
    /// anew each time.
    pub(crate) async fn launch(login: &str, arguments: impl Fn() -> Vec<String>) -> Self {
        const TRIES: usize = 10;
        let mut log = String::new();
        for _ in 0..TRIES {
            let port = free_port();
            let directory = Directory::new();
            let mut all = vec!["--port".to_owned(), port.to_string()];
            all.extend(["--bind".to_owned(), "127.0.0.1".to_owned()]);
            all.extend(["--dir".to_owned(), directory.path().display().to_string()]);
            // A replica is served at once, not after the usual wait for more of them.
            all.extend(["--repl-diskless-sync-delay".to_owned(), "0".to_owned()]);
            all.extend(arguments());
            let process = Process::spawn(directory.path(), &all);
            let mut server = Self {
                place: Place::Own(Box::new(Own {
                    process,
                    directory,
                    arguments: all,
                })),
                url: format!("redis://{login}127.0.0.1:{port}"),
                port,
            };
            if server.becomes_ready().await {
                return server;
            }
            if let Place::Own(own) = &server.place {
                log = log_tail(own.directory.path());
            }
        }
        panic!("the server did not start in {TRIES} tries:\n{log}");
    }

    /// Waits until it answers. `false` when it ended instead.
    async fn becomes_ready(&mut self) -> bool {
        let url = self.url.clone();
        let Place::Own(own) = &mut self.place else {
            return true;
        };
        let process = &mut own.process;
        poll_until("the server to answer", || {
            let ended = process.has_ended();
            let url = url.clone();
            async move {
                if ended {
                    return Some(false);
                }
                answers(&url).await.then_some(true)
            }
        })
        .await
    }

    async fn is_ready(&self) -> bool {
        answers(&self.url).await
    }

    /// The URL, with the password if there is one.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The process id of a server of one's own.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        match &self.place {
            Place::Own(own) => Some(own.process.id()),
            Place::Container(_) | Place::Outside => None,
        }
    }

    /// A connection of the driver, past whatever is tested.
    ///
    /// # Panics
    ///
    /// When the server cannot be reached.
    pub async fn connection(&self) -> MultiplexedConnection {
        let connection = connect(&self.url).await;
        connection.unwrap_or_else(|error| panic!("cannot connect to the server: {error}"))
    }

    fn own(&mut self) -> &mut Own {
        match &mut self.place {
            Place::Own(own) => own,
            Place::Container(_) | Place::Outside => panic!("this server is not ours to control"),
        }
    }

    /// Stops the process without ending it. Connections are still taken, nothing is answered.
    ///
    /// # Panics
    ///
    /// When the server is not one's own.
    pub fn pause(&mut self) {
        self.own().process.pause();
    }

    /// Lets a paused process go on.
    ///
    /// # Panics
    ///
    /// When the server is not one's own.
    pub fn resume(&mut self) {
        self.own().process.resume();
    }

    /// Ends the process at once, as a crash would.
    ///
    /// # Panics
    ///
    /// When the server is not one's own.
    pub fn kill(&mut self) {
        self.own().process.kill();
    }

    /// Kills it if it still runs, and starts it again on the same port and data.
    ///
    /// # Panics
    ///
    /// When the server is not one's own, or does not start.
    pub async fn restart(&mut self) {
        let own = self.own();
        own.process.kill();
        own.process = Process::spawn(own.directory.path(), &own.arguments);
        assert!(self.becomes_ready().await, "the server did not start again");
    }
}

/// Which server is taken when any will do.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Outside(String),
    Own,
    Container,
}

/// What was asked for goes first, then what is installed. An empty variable asks for nothing.
fn choose(url: Option<String>, program: impl Fn() -> Option<&'static str>) -> Choice {
    match url.filter(|url| !url.is_empty()) {
        Some(url) => Choice::Outside(url),
        None if program().is_some() => Choice::Own,
        None => Choice::Container,
    }
}

async fn answers(url: &str) -> bool {
    let Ok(mut connection) = connect(url).await else {
        return false;
    };
    redis::cmd("PING").exec_async(&mut connection).await.is_ok()
}

pub(crate) async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(5)))
        .set_response_timeout(Some(Duration::from_secs(10)));
    let info = url.into_connection_info()?;
    let login: RedisConnectionInfo = info.redis_settings().clone().set_skip_set_lib_name();
    let client = Client::open(info.set_redis_settings(login))?;
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_goes_before_what_is_installed() {
        let url = || Some("redis://example:1".to_owned());
        let (installed, nothing) = (|| Some("redis-server"), || None);
        let outside = Choice::Outside("redis://example:1".to_owned());
        assert_eq!(choose(url(), installed), outside);
        assert_eq!(choose(url(), nothing), outside);
        assert_eq!(choose(None, installed), Choice::Own);
        assert_eq!(choose(Some(String::new()), installed), Choice::Own);
        assert_eq!(choose(None, nothing), Choice::Container);
    }

    #[test]
    fn a_server_from_outside_is_left_alone() {
        let server = Server::outside("redis://127.0.0.1:6390");
        assert_eq!((server.port(), server.process_id()), (6390, None));
        assert_eq!(server.url(), "redis://127.0.0.1:6390");
    }

    #[test]
    #[should_panic(expected = "GOVERNANCE_TEST_REDIS_URL is not a redis:// URL")]
    fn a_variable_that_is_no_url_is_told() {
        Server::outside("localhost");
    }
}
