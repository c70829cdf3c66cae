//! Locks, against `SET NX PX` and against `rslock`.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use rslock::LockManager;
use state_core::lock::{LockOptions, Locks};
use state_redis::lock::{RedisLockOptions, RedisLocks};

use super::{Bare, CALLS, Work, together::Rivals};
use crate::{
    interleave::now,
    outcome::Outcome,
    redis::pairs::{alternate, timed},
};

const TTL: Duration = Duration::from_secs(30);
/// Locks that 64 tasks want at the same time.
const WANTED: usize = 4;

pub(super) async fn measure(bare: &Bare, outcome: &mut Outcome) -> Result<()> {
    let store = RedisLocks::new(bare.client.clone(), RedisLockOptions::default())?;
    let locks = Locks::new(Arc::new(store), LockOptions::default())?;
    let lock = locks.lock("one")?.ttl(TTL)?.without_renewal();
    let plain = bare.key("lock");
    let words: [&[u8]; 5] = [
        plain.as_bytes(),
        b"0123456789abcdef01234567",
        b"NX",
        b"PX",
        b"30000",
    ];
    let measure = alternate(
        CALLS,
        async || {
            let start = now();
            let guard = lock.try_acquire().await?.guard();
            let took = start.elapsed();
            guard.context("nobody else has the lock")?.release().await?;
            Ok(took)
        },
        async || {
            let took = timed(bare.run("SET", &words)).await?;
            bare.run("DEL", &[plain.as_bytes()]).await?;
            Ok(took)
        },
    )
    .await?;
    outcome.ratio("state.lock.acquire_over_set_nx_px", &measure, 1.5);

    let name = "state.lock.free.throughput64_over_rslock";
    let free = Rivals::new(ours(&locks, usize::MAX), of_rslock(bare, usize::MAX), 20);
    free.over_redis(name, bare, outcome).await?;
    let name = "state.lock.wanted.throughput64_over_rslock";
    let mut wanted = Rivals::new(ours(&locks, WANTED), of_rslock(bare, WANTED), 4);
    wanted.rounds = 5;
    wanted.over_redis(name, bare, outcome).await
}

/// Takes a lock, one of so many, and gives it back.
fn ours(locks: &Locks, names: usize) -> Work {
    let locks = locks.clone();
    Arc::new(move |task, _| {
        let locks = locks.clone();
        Box::pin(async move {
            let lock = locks.lock(&format!("task-{}", task % names))?.ttl(TTL)?;
            let guard = lock.without_renewal().acquire(TTL).await?;
            tokio::task::yield_now().await;
            guard.release().await?;
            Ok(())
        })
    })
}

/// With its own settings: a lock that is held is tried again after up to 200 ms.
fn of_rslock(bare: &Bare, names: usize) -> Work {
    let manager = LockManager::new(vec![bare.url.clone()]);
    let prefix = bare.key("rslock");
    Arc::new(move |task, _| {
        let (manager, name) = (manager.clone(), format!("{prefix}:{}", task % names));
        Box::pin(async move {
            let lock = manager.acquire_no_guard(name.as_bytes(), TTL).await?;
            tokio::task::yield_now().await;
            manager.unlock(&lock).await;
            Ok(())
        })
    })
}
