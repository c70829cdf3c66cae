//! Locks, against `SET NX PX` and against `rslock`.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use rslock::LockManager;
use state_core::lock::{LockOptions, Locks};
use state_redis::lock::{RedisLockOptions, RedisLocks};

use super::{Bare, CALLS, Work, together, trips};
use crate::{
    interleave::now,
    outcome::Outcome,
    redis::pairs::{alternate, timed},
};

const TTL: Duration = Duration::from_secs(30);

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

    let ours: Work = Arc::new(move |task, _| {
        let locks = locks.clone();
        Box::pin(async move {
            let lock = locks
                .lock(&format!("task-{task}"))?
                .ttl(TTL)?
                .without_renewal();
            let guard = lock.try_acquire().await?.guard();
            guard.context("nobody else has the lock")?.release().await?;
            Ok(())
        })
    });
    let peer = of_rslock(bare);
    let more = trips::of_both(bare, &ours, &peer).await?;
    let name = "state.lock.throughput64_over_rslock";
    together::compare(name, 20, &ours, &peer, &more, outcome).await
}

fn of_rslock(bare: &Bare) -> Work {
    let manager = LockManager::new(vec![bare.url.clone()]);
    let prefix = bare.key("rslock");
    Arc::new(move |task, _| {
        let (manager, name) = (manager.clone(), format!("{prefix}:{task}"));
        Box::pin(async move {
            let lock = manager.acquire_no_guard(name.as_bytes(), TTL).await?;
            manager.unlock(&lock).await;
            Ok(())
        })
    })
}
