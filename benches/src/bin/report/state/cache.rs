//! The cache, against `GET` and `SET`, and against `cached` and `moka`.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use bytes::Bytes;
use cached::{AsyncRedisCache, ConcurrentCachedAsync as _};
use state_core::{
    Namespace,
    cache::{Cache, CacheOptions, SetOptions, Tags},
    event::Events,
};
use state_memory::cache::MemoryCacheStore;
use state_redis::{cache::RedisCacheStore, event::RedisEventStore};

use super::{BYTES, Bare, CALLS, DAY, Work, expect, some_bytes, together::Rivals};
use crate::{
    outcome::Outcome,
    redis::pairs::{alternate, timed},
};

/// Values there are.
const VALUES: usize = 64;

pub(super) async fn measure(bare: &Bare, outcome: &mut Outcome) -> Result<()> {
    let store = Arc::new(RedisCacheStore::new(bare.client.clone()));
    let cache = cache(store)?;
    let value = some_bytes();
    fill(&cache).await?;
    let (plain, none) = (bare.key("value"), Tags::default());
    bare.run("SET", &[plain.as_bytes(), &value]).await?;
    let measure = alternate(
        CALLS,
        async || timed(async { Ok(cache.get("7", &none).await?) }).await,
        async || timed(bare.run("GET", &[plain.as_bytes()])).await,
    )
    .await?;
    outcome.ratio("state.cache.hit_over_get", &measure, 1.3);
    let options = SetOptions::default();
    let measure = alternate(
        CALLS,
        async || {
            let value = Bytes::from(value.clone());
            timed(async { Ok(cache.set("7", value, &options).await?) }).await
        },
        async || timed(bare.run("SET", &[plain.as_bytes(), &value, b"PX", b"86400000"])).await,
    )
    .await?;
    outcome.compare("state.cache.set_over_set", &measure, None);

    let peer = of_cached(bare).await?;
    let name = "state.cache.throughput64_over_cached";
    let plain = Rivals::new(hits(cache), Arc::clone(&peer), 40);
    plain.over_redis(name, bare, outcome).await?;

    let (near, events) = two_levels(bare)?;
    near.get("0", &none).await?;
    while !near.uses_local() {
        tokio::task::yield_now().await;
    }
    let name = "state.cache.two_levels.throughput64_over_cached";
    let two_levels = Rivals::new(hits(near.clone()), peer, 40);
    two_levels.over_redis(name, bare, outcome).await?;
    near.close().await;
    drop(events);

    let twin = self::cache(Arc::new(MemoryCacheStore::default()))?;
    fill(&twin).await?;
    let name = "state.cache.memory.throughput64_over_moka";
    let twins = Rivals::new(hits(twin), of_moka().await, 200);
    twins.in_memory(name, outcome).await
}

/// The same values, kept in this process as well, which is told what others change.
fn two_levels(bare: &Bare) -> Result<(Cache, Events)> {
    let events = Events::builder(Arc::new(RedisEventStore::new(bare.client.clone()))).build()?;
    let store = Arc::new(RedisCacheStore::new(bare.client.clone()));
    let options = CacheOptions::default().default_ttl(DAY).l1_capacity(1_000);
    let cache = Cache::builder(store, Namespace::new("bench")?)
        .options(options)
        .bus(events.clone(), Namespace::new("bench")?)
        .build()?;
    Ok((cache, events))
}

fn cache(store: Arc<dyn state_core::cache::CacheStore>) -> Result<Cache> {
    // As the peers do it: a value is there until its time has come.
    let options = CacheOptions::default().default_ttl(DAY);
    let cache = Cache::builder(store, Namespace::new("bench")?).options(options);
    Ok(cache.build()?)
}

async fn fill(cache: &Cache) -> Result<()> {
    for number in 0..VALUES {
        let value = Bytes::from(some_bytes());
        let options = SetOptions::default();
        cache.set(&number.to_string(), value, &options).await?;
    }
    Ok(())
}

fn hits(cache: Cache) -> Work {
    Arc::new(move |task, _| {
        let cache = cache.clone();
        Box::pin(async move {
            let key = (task % VALUES).to_string();
            let found = cache.get(&key, &Tags::default()).await?;
            expect(found.is_hit(), "the cache has the value")
        })
    })
}

/// Texts, as `cached` writes bytes as lists of numbers.
async fn of_cached(bare: &Bare) -> Result<Work> {
    let peer: AsyncRedisCache<String, String> = AsyncRedisCache::builder("peer")
        .ttl(Duration::from_secs(86_400))
        .namespace(bare.key("cached"))
        .connection_string(&bare.url)
        .build()
        .await?;
    let peer = Arc::new(peer);
    for number in 0..VALUES {
        peer.async_cache_set(number.to_string(), "x".repeat(BYTES))
            .await?;
    }
    Ok(Arc::new(move |task, _| {
        let peer = Arc::clone(&peer);
        Box::pin(async move {
            let key = (task % VALUES).to_string();
            let found = peer.async_cache_get(&key).await?;
            expect(found.is_some(), "the peer has the value")
        })
    }))
}

async fn of_moka() -> Work {
    let peer: moka::future::Cache<String, Bytes> = moka::future::Cache::builder()
        .max_capacity(10_000)
        .time_to_live(DAY)
        .build();
    for number in 0..VALUES {
        peer.insert(number.to_string(), Bytes::from(some_bytes()))
            .await;
    }
    Arc::new(move |task, _| {
        let peer = peer.clone();
        Box::pin(async move {
            let key = (task % VALUES).to_string();
            let found = peer.get(&key).await;
            expect(found.is_some(), "the peer has the value")
        })
    })
}
