//! Events, against `XADD`.

use std::{error::Error, sync::Arc};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use state_core::{
    Namespace,
    event::{Event, Events, Handler, Signal, SubscribeOptions, async_trait},
};
use state_redis::event::RedisEventStore;
use tokio::sync::mpsc;

use super::{Bare, CALLS, some_bytes};
use crate::{
    interleave::{now, quantile},
    outcome::Outcome,
    redis::pairs::{alternate, timed},
};

pub(super) async fn measure(bare: &Bare, outcome: &mut Outcome) -> Result<()> {
    let store = Arc::new(RedisEventStore::new(bare.client.clone()));
    let events = Events::builder(store).build()?;
    let (topic, plain) = (Namespace::new("bench")?, bare.key("log"));
    let (event, data) = (
        Event::new("bench", Bytes::from(some_bytes()))?,
        some_bytes(),
    );
    let words: [&[u8]; 7] = [
        plain.as_bytes(),
        b"MAXLEN",
        b"~",
        b"10000",
        b"*",
        b"m",
        &data,
    ];
    let measure = alternate(
        CALLS,
        async || timed(async { Ok(events.publish(&topic, &event).await?) }).await,
        async || timed(bare.run("XADD", &words)).await,
    )
    .await?;
    outcome.compare("state.event.publish_over_xadd", &measure, None);
    propagation(bare, outcome).await
}

/// How long it takes until another process hears of an event, one event at a time.
async fn propagation(bare: &Bare, outcome: &mut Outcome) -> Result<()> {
    let events = || Events::builder(Arc::new(RedisEventStore::new(bare.client.clone()))).build();
    let (here, there, topic) = (events()?, events()?, Namespace::new("heard")?);
    let (told, mut tells) = mpsc::unbounded_channel();
    let subscription = there.subscribe(&topic, SubscribeOptions::default(), Arc::new(Heard(told)));
    // That it listens.
    tells.recv().await.context("the subscription lives")?;
    let event = Event::new("bench", Bytes::from(some_bytes()))?;
    let mut nanos = Vec::with_capacity(HEARD);
    for _ in 0..HEARD {
        let start = now();
        here.publish(&topic, &event).await?;
        tells.recv().await.context("the subscription lives")?;
        nanos.push(start.elapsed().as_nanos() as f64);
    }
    subscription.close().await;
    let (p50, p99) = (quantile(nanos.clone(), 0.5), quantile(nanos, 0.99));
    let detail = format!("p50 {:.0} us, from the call to the handler", p50 / 1e3);
    outcome.add(
        "state.event.propagation_p99_us",
        p99 / 1e3,
        Some(50_000.0),
        detail,
    );
    Ok(())
}

/// Events that are waited for.
const HEARD: usize = 2_000;

#[derive(Debug)]
struct Heard(mpsc::UnboundedSender<()>);

#[async_trait]
impl Handler for Heard {
    async fn handle(&self, _: &Signal) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.0.send(())?)
    }
}
