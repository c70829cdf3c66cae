//! What shared connections are worth: the same GET through connections that all callers share, and
//! through one taken from the pool for each command.
//!
//! Prints one line per way and number of callers: the median time of a GET, and how many a second.
//! All ways take turns in one run on one server; each figure is the median of its windows.

#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a program that measures time and prints what it measured"
)]

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use clap::Parser;
use redis_client::{Client, Config, KeyPrefix, Operation, Recycle, redis};
use redis_harness::{Persistence, Server};

#[derive(Parser)]
#[command(about = "Shared connections against one from the pool for each command")]
struct Options {
    /// Windows of each way.
    #[arg(long, default_value_t = 9)]
    windows: usize,
    /// Milliseconds of each window.
    #[arg(long, default_value_t = 400)]
    millis: u64,
    /// Bytes of the value.
    #[arg(long, default_value_t = 1_024)]
    bytes: usize,
}

const GET: Operation = Operation::read("get");

struct Way {
    name: &'static str,
    client: Client,
}

#[derive(Clone, Copy)]
struct Window {
    /// Microseconds.
    p50: f64,
    per_second: f64,
}

async fn ways(url: &str) -> anyhow::Result<Vec<Way>> {
    let mut ways = Vec::new();
    for (name, shared, pool, recycle) in [
        ("shared, 1 connection", 1, 16, Recycle::Always),
        ("shared, 2 connections", 2, 16, Recycle::Always),
        ("shared, 4 connections", 4, 16, Recycle::Always),
        ("pool of 16, checked", 0, 16, Recycle::Always),
        ("pool of 16, unchecked", 0, 16, Recycle::Never),
        ("pool of 64, unchecked", 0, 64, Recycle::Never),
    ] {
        let config = Config::builder()
            .address(url)
            .shared_connections(shared)
            .pool_size(pool)
            .recycle(recycle)
            .pool_wait_timeout(Duration::from_secs(30))
            .build()?;
        let client = Client::connect(config).await?;
        ways.push(Way { name, client });
    }
    Ok(ways)
}

/// So many callers, each with one GET at a time, for so long.
async fn window(client: &Client, callers: usize, time: Duration) -> anyhow::Result<Window> {
    let begin = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move {
                let key = KeyPrefix::default().key().part("value").finish()?;
                let mut get = redis::cmd("GET");
                get.arg(&key);
                let mut took = Vec::new();
                while begin.elapsed() < time {
                    let sent = Instant::now();
                    let value: Vec<u8> = client.query(GET, &key, &get).await?;
                    std::hint::black_box(value);
                    took.push(sent.elapsed());
                }
                anyhow::Ok(took)
            })
        })
        .collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await??);
    }
    let all = begin.elapsed();
    took.sort_unstable();
    let middle = took.get(took.len() / 2).context("no answer at all")?;
    #[expect(clippy::cast_precision_loss, reason = "a count of a second")]
    Ok(Window {
        p50: middle.as_secs_f64() * 1e6,
        per_second: took.len() as f64 / all.as_secs_f64(),
    })
}

fn median(numbers: impl Iterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.collect();
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let server = Server::start(Persistence::None).await;
    let ways = Arc::new(ways(server.url()).await?);
    let key = KeyPrefix::default().key().part("value").finish()?;
    let mut set = redis::cmd("SET");
    set.arg(&key).arg(vec![b'x'; options.bytes]);
    let write = Operation::write("set");
    let first = ways.first().context("no way")?;
    first.client.query::<()>(write, &key, &set).await?;

    let time = Duration::from_millis(options.millis);
    println!(
        "GET of {} bytes on loopback, median of {} windows of {} ms",
        options.bytes, options.windows, options.millis
    );
    println!("{:24} {:>7} {:>9} {:>12}", "", "callers", "p50 us", "GET/s");
    for callers in [1, 64] {
        let mut windows: Vec<Vec<Window>> = vec![Vec::new(); ways.len()];
        // The first round warms up.
        for round in 0..=options.windows {
            for (way, windows) in ways.iter().zip(&mut windows) {
                let measured = window(&way.client, callers, time).await?;
                if round > 0 {
                    windows.push(measured);
                }
            }
        }
        for (way, windows) in ways.iter().zip(&windows) {
            println!(
                "{:24} {callers:>7} {:>9.1} {:>12.0}",
                way.name,
                median(windows.iter().map(|window| window.p50)),
                median(windows.iter().map(|window| window.per_second)),
            );
        }
    }
    Ok(())
}
