//! A cluster.

use std::ops::RangeInclusive;

use redis::{Cmd, aio::MultiplexedConnection};

use crate::{poll::poll_until, port::free_port, server::Server};

const SLOTS: usize = 16_384;

/// Primaries with their replicas, all slots served.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
    primaries: usize,
}

impl Cluster {
    /// Starts so many primaries with so many replicas each, and waits until every node sees the
    /// whole cluster and every replica follows.
    ///
    /// # Panics
    ///
    /// When it does not come up.
    pub async fn start(primaries: usize, replicas_each: usize) -> Self {
        let count = primaries * (1 + replicas_each);
        let mut starting = tokio::task::JoinSet::new();
        for _ in 0..count {
            starting.spawn(Self::node());
        }
        let cluster = Self {
            nodes: starting.join_all().await,
            primaries,
        };
        cluster.give_slots().await;
        cluster.meet(count).await;
        cluster.replicate().await;
        cluster.settle(count).await;
        cluster
    }

    async fn node() -> Server {
        Server::launch("", || {
            let text = format!(
                "--cluster-enabled|yes|--cluster-port|{}|--cluster-config-file|nodes.conf|\
                 --cluster-node-timeout|2000|--cluster-announce-ip|127.0.0.1|--save||--appendonly|no",
                free_port()
            );
            text.split('|').map(str::to_owned).collect()
        })
        .await
    }

    async fn give_slots(&self) {
        for (index, slots) in shares(self.primaries).enumerate() {
            let mut connection = self.nodes[index].connection().await;
            let mut command = cluster(&["ADDSLOTSRANGE"]);
            command.arg(*slots.start()).arg(*slots.end());
            run(&command, &mut connection).await;
            let mut command = cluster(&["SET-CONFIG-EPOCH"]);
            run(command.arg(index + 1), &mut connection).await;
        }
    }

    async fn meet(&self, count: usize) {
        let mut first = self.nodes[0].connection().await;
        for node in &self.nodes[1..] {
            let bus: Vec<String> = {
                let mut connection = node.connection().await;
                let mut command = redis::cmd("CONFIG");
                command.arg("GET").arg("cluster-port");
                query(&command, &mut connection).await
            };
            let mut command = cluster(&["MEET", "127.0.0.1"]);
            run(command.arg(node.port()).arg(&bus[1]), &mut first).await;
        }
        let known = format!("cluster_known_nodes:{count}");
        for node in &self.nodes {
            self.until(node, "nodes to meet", |info| info.contains(&known))
                .await;
        }
    }

    async fn replicate(&self) {
        for (index, node) in self.nodes.iter().enumerate().skip(self.primaries) {
            let primary = &self.nodes[index % self.primaries];
            let id: String = query(&cluster(&["MYID"]), &mut primary.connection().await).await;
            // The replica may not have heard of its primary's slots yet.
            poll_until("a replica to accept its primary", async || {
                let mut connection = node.connection().await;
                cluster(&["REPLICATE", &id])
                    .exec_async(&mut connection)
                    .await
                    .ok()
            })
            .await;
        }
    }

    async fn settle(&self, count: usize) {
        for node in &self.nodes {
            self.until(node, "the cluster to serve", |info| {
                info.contains("cluster_state:ok") && info.contains("cluster_slots_ok:16384")
            })
            .await;
            poll_until("every node to know every role", async || {
                let mut connection = node.connection().await;
                let rows: String = query(&cluster(&["NODES"]), &mut connection).await;
                let ready = rows.lines().count() == count
                    && rows.matches("slave").count() == count - self.primaries
                    && !rows.contains("handshake")
                    && !rows.contains("fail");
                ready.then_some(())
            })
            .await;
        }
        for node in &self.nodes[self.primaries..] {
            poll_until("a replica to follow", async || {
                let mut connection = node.connection().await;
                let mut command = redis::cmd("INFO");
                let info: String = query(command.arg("replication"), &mut connection).await;
                info.contains("master_link_status:up").then_some(())
            })
            .await;
        }
    }

    async fn until(&self, node: &Server, what: &str, holds: impl Fn(&str) -> bool + Send + Sync) {
        poll_until(what, async || {
            let mut connection = node.connection().await;
            let info: String = query(&cluster(&["INFO"]), &mut connection).await;
            holds(&info).then_some(())
        })
        .await;
    }

    /// The URLs of all nodes.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().map(Server::url)
    }

    /// How many primaries it was started with.
    #[must_use]
    pub const fn primary_count(&self) -> usize {
        self.primaries
    }

    /// The nodes: the first primaries, then replicas. Roles change when nodes fail.
    #[must_use]
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// A node, to pause, kill or restart.
    pub fn node_mut(&mut self, index: usize) -> &mut Server {
        &mut self.nodes[index]
    }

    /// The index of the node that serves a slot, as the first living node sees it.
    ///
    /// # Panics
    ///
    /// When nobody does.
    pub async fn owner(&self, slot: u16) -> usize {
        poll_until("a slot to be served", async || {
            for (index, node) in self.nodes.iter().enumerate() {
                let Ok(mut connection) = crate::server::connect(node.url()).await else {
                    continue;
                };
                let Ok(rows) = cluster(&["NODES"])
                    .query_async::<String>(&mut connection)
                    .await
                else {
                    continue;
                };
                if serves(&rows, slot) {
                    return Some(index);
                }
            }
            None
        })
        .await
    }

    /// Begins to move a slot: its owner asks others to ask the target for keys it does not have.
    ///
    /// # Panics
    ///
    /// When a node refuses.
    pub async fn begin_move(&self, slot: u16, to: usize) -> usize {
        let from = self.owner(slot).await;
        let (mut source, mut target) = (
            self.nodes[from].connection().await,
            self.nodes[to].connection().await,
        );
        let source_id: String = query(&cluster(&["MYID"]), &mut source).await;
        let target_id: String = query(&cluster(&["MYID"]), &mut target).await;
        let mut command = cluster(&["SETSLOT"]);
        run(
            command.arg(slot).arg("IMPORTING").arg(&source_id),
            &mut target,
        )
        .await;
        let mut command = cluster(&["SETSLOT"]);
        run(
            command.arg(slot).arg("MIGRATING").arg(&target_id),
            &mut source,
        )
        .await;
        from
    }

    /// Moves one key of a slot that is being moved.
    ///
    /// # Panics
    ///
    /// When the node refuses.
    pub async fn move_key(&self, key: &str, from: usize, to: usize) {
        let mut source = self.nodes[from].connection().await;
        let mut command = redis::cmd("MIGRATE");
        command
            .arg("127.0.0.1")
            .arg(self.nodes[to].port())
            .arg(key)
            .arg(0)
            .arg(10_000);
        run(&command, &mut source).await;
    }

    /// Ends the move: the target serves the slot from now on.
    ///
    /// # Panics
    ///
    /// When a node refuses.
    pub async fn end_move(&self, slot: u16, from: usize, to: usize) {
        let mut target = self.nodes[to].connection().await;
        let id: String = query(&cluster(&["MYID"]), &mut target).await;
        for index in [to, from] {
            let mut connection = self.nodes[index].connection().await;
            let mut command = cluster(&["SETSLOT"]);
            run(command.arg(slot).arg("NODE").arg(&id), &mut connection).await;
        }
    }
}

/// Whether the node that answered, `myself`, serves the slot as a master.
fn serves(rows: &str, slot: u16) -> bool {
    let Some(row) = rows.lines().find(|row| row.contains("myself,master")) else {
        return false;
    };
    row.split(' ').skip(8).any(|range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        match (first.parse::<u16>(), last.parse::<u16>()) {
            (Ok(first), Ok(last)) => (first..=last).contains(&slot),
            _ => false,
        }
    })
}

fn shares(primaries: usize) -> impl Iterator<Item = RangeInclusive<usize>> {
    (0..primaries).map(move |index| {
        let first = index * SLOTS / primaries;
        let last = (index + 1) * SLOTS / primaries - 1;
        first..=last
    })
}

fn cluster(words: &[&str]) -> Cmd {
    let mut command = redis::cmd("CLUSTER");
    command.arg(words);
    command
}

async fn run(command: &Cmd, connection: &mut MultiplexedConnection) {
    query::<redis::Value>(command, connection).await;
}

async fn query<T: redis::FromRedisValue>(
    command: &Cmd,
    connection: &mut MultiplexedConnection,
) -> T {
    let answer = command.query_async(connection).await;
    answer.unwrap_or_else(|error| panic!("a node of the cluster refuses: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_slot_once() {
        let all: Vec<_> = shares(3).flatten().collect();
        assert_eq!(all, (0..SLOTS).collect::<Vec<_>>());
    }

    #[test]
    fn finds_the_slots_of_the_node_itself() {
        let rows = "a 1:1@2,h master - 0 0 1 connected 0-99\n\
                    b 1:2@3,h myself,master - 0 0 2 connected 100-200 300 [7->-a]\n";
        assert!(serves(rows, 150) && serves(rows, 300));
        assert!(!serves(rows, 50) && !serves(rows, 7));
    }
}
