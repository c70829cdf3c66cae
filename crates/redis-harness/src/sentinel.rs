//! A primary, a replica and the sentinels that watch them.

use std::fs;

use crate::{
    directory::Directory,
    poll::poll_until,
    port::free_port,
    process::Process,
    server::{Persistence, Server, connect},
};

/// How many sentinels there are, and how many must agree.
const SENTINELS: usize = 3;
const QUORUM: usize = 2;

/// A primary with one replica, watched by three sentinels.
#[derive(Debug)]
pub struct Sentinel {
    servers: [Server; 2],
    sentinels: Vec<Watcher>,
}

#[derive(Debug)]
struct Watcher {
    process: Process,
    port: u16,
    /// Removed after the process has ended.
    _directory: Directory,
}

impl Sentinel {
    /// The name the sentinels know the master by.
    pub const MASTER: &'static str = "main";

    /// Starts everything and waits until the replica follows and the sentinels know each other.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn start() -> Self {
        let primary = Server::start(Persistence::None).await;
        let replica = Server::start(Persistence::None).await;
        let mut connection = replica.connection().await;
        let mut command = redis::cmd("REPLICAOF");
        command.arg("127.0.0.1").arg(primary.port());
        let followed = command.exec_async(&mut connection).await;
        assert!(followed.is_ok(), "the replica does not follow");
        poll_until("the replica to follow", async || {
            let mut command = redis::cmd("INFO");
            let mut connection = connection.clone();
            let info: String = command
                .arg("replication")
                .query_async(&mut connection)
                .await
                .ok()?;
            info.contains("master_link_status:up").then_some(())
        })
        .await;
        let mut sentinels = Vec::with_capacity(SENTINELS);
        for _ in 0..SENTINELS {
            sentinels.push(Watcher::start(primary.port()).await);
        }
        let group = Self {
            servers: [primary, replica],
            sentinels,
        };
        group.until_they_know_each_other().await;
        group
    }

    async fn until_they_know_each_other(&self) {
        for sentinel in &self.sentinels {
            poll_until("the sentinels to know each other", async || {
                let mut connection = connect(&sentinel.url()).await.ok()?;
                let mut command = redis::cmd("INFO");
                let info: String = command
                    .arg("sentinel")
                    .query_async(&mut connection)
                    .await
                    .ok()?;
                let known = format!("slaves=1,sentinels={SENTINELS}");
                (info.contains("status=ok") && info.contains(&known)).then_some(())
            })
            .await;
        }
    }

    /// The URLs of the sentinels.
    pub fn urls(&self) -> impl Iterator<Item = String> {
        self.sentinels.iter().map(Watcher::url)
    }

    /// The two servers, first the one that began as the primary.
    #[must_use]
    pub const fn servers(&self) -> &[Server; 2] {
        &self.servers
    }

    /// A server, to pause, kill or restart.
    pub fn server_mut(&mut self, index: usize) -> &mut Server {
        &mut self.servers[index]
    }

    /// The index of the server the sentinels name as master.
    pub async fn master(&self) -> usize {
        poll_until("the sentinels to name a master", async || {
            let mut connection = connect(&self.sentinels[0].url()).await.ok()?;
            let mut command = redis::cmd("SENTINEL");
            command.arg("get-master-addr-by-name").arg(Self::MASTER);
            let place: Option<(String, u16)> = command.query_async(&mut connection).await.ok()?;
            let (_, port) = place?;
            self.servers.iter().position(|server| server.port() == port)
        })
        .await
    }

    /// Waits until the replica has everything the master has.
    pub async fn until_replicated(&self) {
        let master = &self.servers[self.master().await];
        poll_until("the replica to have everything", async || {
            let mut connection = connect(master.url()).await.ok()?;
            let mut command = redis::cmd("WAIT");
            // On a connection without writes it waits for nothing, so there is one.
            redis::cmd("PUBLISH")
                .arg("redis-harness")
                .arg("")
                .exec_async(&mut connection)
                .await
                .ok()?;
            command.arg(1).arg(1_000);
            let replicas: u32 = command.query_async(&mut connection).await.ok()?;
            (replicas == 1).then_some(())
        })
        .await;
    }

    /// Makes the sentinels promote the other server, and the old master follow it.
    ///
    /// In between the old master still takes writes, which are lost.
    ///
    /// # Panics
    ///
    /// When they do not.
    pub async fn fail_over(&self) -> usize {
        let before = self.master().await;
        poll_until("the sentinels to begin", async || {
            let mut connection = connect(&self.sentinels[0].url()).await.ok()?;
            let mut command = redis::cmd("SENTINEL");
            command.arg("failover").arg(Self::MASTER);
            command.exec_async(&mut connection).await.ok()
        })
        .await;
        let after = poll_until("the sentinels to promote the other server", async || {
            let now = self.master().await;
            (now != before).then_some(now)
        })
        .await;
        // The sentinels would do this too, after ten seconds or so.
        let mut command = redis::cmd("REPLICAOF");
        command.arg("127.0.0.1").arg(self.servers[after].port());
        let mut connection = self.servers[before].connection().await;
        let followed = command.exec_async(&mut connection).await;
        assert!(followed.is_ok(), "the old master does not follow");
        after
    }

    /// Stops a sentinel.
    pub fn kill_sentinel(&mut self, index: usize) {
        self.sentinels[index].process.kill();
    }
}

impl Watcher {
    async fn start(master: u16) -> Self {
        const TRIES: usize = 10;
        for _ in 0..TRIES {
            let port = free_port();
            let directory = Directory::new();
            let name = Sentinel::MASTER;
            let text = format!(
                "port {port}\nbind 127.0.0.1\ndir {}\n\
                 sentinel monitor {name} 127.0.0.1 {master} {QUORUM}\n\
                 sentinel down-after-milliseconds {name} 1000\n\
                 sentinel failover-timeout {name} 5000\n",
                directory.path().display()
            );
            let file = directory.path().join("sentinel.conf");
            let written = fs::write(&file, text);
            assert!(written.is_ok(), "cannot write the sentinel's settings");
            let arguments = [file.display().to_string(), "--sentinel".to_owned()];
            let process = Process::spawn(directory.path(), &arguments);
            let mut watcher = Self {
                process,
                port,
                _directory: directory,
            };
            if watcher.becomes_ready().await {
                return watcher;
            }
        }
        panic!("a sentinel did not start in {TRIES} tries");
    }

    async fn becomes_ready(&mut self) -> bool {
        let url = self.url();
        let process = &mut self.process;
        poll_until("a sentinel to answer", || {
            let ended = process.has_ended();
            let url = url.clone();
            async move {
                if ended {
                    return Some(false);
                }
                connect(&url).await.is_ok().then_some(true)
            }
        })
        .await
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}
