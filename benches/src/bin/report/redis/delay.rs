//! A way to the server that is 0.5 ms long.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use crate::interleave::now;

/// Passes everything on a quarter of a millisecond later, both ways. What follows does not wait
/// for what goes before: pieces are under way at the same time.
///
/// In threads, as the timers of the runtime count milliseconds.
pub(crate) struct Delay {
    port: u16,
}

const ONE_WAY: Duration = Duration::from_micros(250);
/// Sleeping takes longer than asked for by about this.
const LATE: Duration = Duration::from_micros(60);

impl Delay {
    pub(crate) fn start(url: &str) -> Result<Self> {
        let target = url
            .strip_prefix("redis://")
            .context("not a plain address")?;
        let target = target.trim_end_matches('/').to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(&target)) else {
                    continue;
                };
                let _ = (client.set_nodelay(true), server.set_nodelay(true));
                if let (Ok(to_client), Ok(to_server)) = (client.try_clone(), server.try_clone()) {
                    pass(client, to_server);
                    pass(server, to_client);
                }
            }
        });
        Ok(Self { port })
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let (send, receive) = mpsc::channel::<(Instant, Vec<u8>)>();
    thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if send
                .send((now() + ONE_WAY, buffer[..length].to_vec()))
                .is_err()
            {
                return;
            }
        }
    });
    thread::spawn(move || {
        while let Ok((due, piece)) = receive.recv() {
            thread::sleep(due.saturating_duration_since(now()).saturating_sub(LATE));
            while now() < due {
                thread::yield_now();
            }
            if to.write_all(&piece).is_err() {
                return;
            }
        }
        // The end goes through like everything else; the other side may be gone already.
        let _ = to.shutdown(Shutdown::Write);
    });
}
