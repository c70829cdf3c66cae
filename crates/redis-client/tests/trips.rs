//! How often the client and the server take turns.
#![expect(clippy::unwrap_used, reason = "helpers of tests unwrap as tests do")]

mod common;

use std::sync::{Arc, Mutex};

use common::{GET, config, connect, get, key};
use redis_client::Recycle;
use redis_harness::{Persistence, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

/// Passes everything on, and counts how often the client speaks after the server did.
#[derive(Clone, Default)]
struct Turns(Arc<Mutex<(bool, u32)>>);

impl Turns {
    /// Starts to listen in front of a server.
    async fn before(&self, server: u16) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let turns = self.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = server.into_split();
                tokio::spawn(turns.clone().pass(from_client, to_server, true));
                tokio::spawn(turns.clone().pass(from_server, to_client, false));
            }
        });
        port
    }

    async fn pass(
        self,
        mut from: impl tokio::io::AsyncRead + Unpin,
        mut to: impl tokio::io::AsyncWrite + Unpin,
        by_client: bool,
    ) {
        let mut bytes = [0; 16 * 1024];
        while let Ok(read @ 1..) = from.read(&mut bytes).await {
            self.speaks(by_client);
            if to.write_all(&bytes[..read]).await.is_err() {
                break;
            }
        }
    }

    fn speaks(&self, by_client: bool) {
        let mut turns = self.0.lock().unwrap();
        if by_client && !turns.0 {
            turns.1 += 1;
        }
        turns.0 = by_client;
    }

    fn count(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

#[tokio::test]
async fn t_cl_4_a_shared_connection_takes_one_trip_and_a_checked_one_two() {
    let server = Server::start(Persistence::None).await;
    for (shared, recycle, trips) in [
        (1, Recycle::Always, 1),
        (0, Recycle::Always, 2),
        (0, Recycle::Never, 1),
    ] {
        let turns = Turns::default();
        let address = format!("127.0.0.1:{}", turns.before(server.port()).await);
        let builder = config(&address, "trips").shared_connections(shared);
        let client = connect(builder.recycle(recycle)).await;
        let key = key(&client, "a", "n");
        let command = get(&key);
        let read = async || -> Option<i64> { client.query(GET, &key, &command).await.unwrap() };
        read().await;
        let before = turns.count();
        for _ in 0..10 {
            read().await;
        }
        let taken = turns.count() - before;
        assert_eq!(taken, 10 * trips, "{shared} shared, {recycle:?}");
    }
}
