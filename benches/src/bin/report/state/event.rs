//! Events, against `XADD`.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use state_core::{
    Namespace,
    event::{Event, Events},
};
use state_redis::event::RedisEventStore;

use super::{Bare, CALLS, some_bytes};
use crate::{
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
    Ok(())
}
