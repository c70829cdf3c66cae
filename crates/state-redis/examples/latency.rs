//! Measures the two numbers a cache stands for: a hit beside a bare `GET`, and how long an
//! invalidation takes to another process.
//!
//! `cargo run --release -p state-redis --example latency -- redis://127.0.0.1:6379`
#![allow(clippy::print_stdout, reason = "this is what it is for")]

use std::{error::Error, sync::Arc, time::Duration};

use bytes::Bytes;
use redis_client::{Client, Config, Operation, redis};
use state_core::{
    Namespace,
    cache::{Cache, SetOptions, Tags},
    event::{Event, Events, Handler, Signal, SubscribeOptions, async_trait},
};
use state_redis::{cache::RedisCacheStore, event::RedisEventStore};
use tokio::{sync::mpsc, time::Instant};

const ROUNDS: usize = 20_000;
const GET: Operation = Operation::read("get");

struct Told(mpsc::UnboundedSender<Option<Instant>>);

#[async_trait]
impl Handler for Told {
    async fn handle(&self, signal: &Signal) -> Result<(), Box<dyn Error + Send + Sync>> {
        let is_event = matches!(signal, Signal::Event(_));
        self.0.send(is_event.then(Instant::now))?;
        Ok(())
    }
}

fn quantile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    let at = (times.len() * percent / 100).min(times.len() - 1);
    times[at].as_secs_f64() * 1e6
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "redis://127.0.0.1:6379".to_owned());
    let config = || {
        Config::builder()
            .address(&url)
            .key_prefix("latency")
            .build()
    };
    let client = Client::connect(config()?).await?;
    let store = Arc::new(RedisCacheStore::new(client.clone()));
    let cache = Cache::builder(store, Namespace::new("latency")?).build()?;

    for size in [100, 10_000] {
        let value = Bytes::from(vec![7; size]);
        cache
            .set("k", value.clone(), &SetOptions::default())
            .await?;
        let tagged = SetOptions::default().tags(Tags::new(["a", "b"])?);
        cache.set("t", value.clone(), &tagged).await?;
        let key = client.key_prefix().tag("bare").finish()?;
        let mut set = redis::cmd("SET");
        set.arg(&key).arg(&value[..]).arg("PX").arg(600_000);
        client
            .query::<()>(Operation::write("set"), &key, &set)
            .await?;
        let (mut bare, mut hit, mut with_tags) = (Vec::new(), Vec::new(), Vec::new());
        // In turns, so that all of them meet the same weather.
        for _ in 0..ROUNDS {
            let start = Instant::now();
            let mut get = redis::cmd("GET");
            get.arg(&key);
            let found: Vec<u8> = client.query(GET, &key, &get).await?;
            bare.push(start.elapsed());
            assert_eq!(found.len(), size);
            let start = Instant::now();
            let found = cache.get("k", Tags::NONE).await?;
            hit.push(start.elapsed());
            assert!(found.is_hit());
            let start = Instant::now();
            let found = cache.get("t", &tagged.tags).await?;
            with_tags.push(start.elapsed());
            assert!(found.is_hit());
        }
        let (bare, hit, with_tags) = (
            quantile(&mut bare, 50),
            quantile(&mut hit, 50),
            quantile(&mut with_tags, 50),
        );
        println!(
            "{size} bytes, median: GET {bare:.1} us, hit {hit:.1} us ({:.2}x), with two tags \
             {with_tags:.1} us ({:.2}x)",
            hit / bare,
            with_tags / bare
        );
    }

    let other = Client::connect(config()?).await?;
    let events = |client: &Client| Events::builder(Arc::new(RedisEventStore::new(client.clone())));
    let (here, there) = (events(&client).build()?, events(&other).build()?);
    let topic = Namespace::new("latency")?;
    let (sender, mut told) = mpsc::unbounded_channel();
    let subscription = there.subscribe(&topic, SubscribeOptions::default(), Arc::new(Told(sender)));
    told.recv().await;
    let mut times = Vec::new();
    let event = Event::new("latency", Bytes::from_static(b"0123456789"))?;
    while times.len() < 2_000 {
        let start = Instant::now();
        here.publish(&topic, &event).await?;
        if let Some(Some(at)) = told.recv().await {
            times.push(at - start);
        }
    }
    println!(
        "an event to another process: median {:.0} us, p99 {:.0} us",
        quantile(&mut times, 50),
        quantile(&mut times, 99)
    );
    subscription.close().await;
    Ok(())
}
