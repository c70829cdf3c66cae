//! The port on Redis.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use redis_client::{Client, Operation, Script, ScriptCall, redis};
use state_core::{
    BackendError, Classified as _, ErrorKind,
    lock::{
        Acquired, Extended, Fence, GuardedSet, GuardedValue, Hold, InvalidOption, LockStore, Mode,
        Released, Target, WRITER_CLAIM,
    },
};
use tokio::sync::Semaphore;

use super::{RedisLockOptions, keys::TargetKeys, reply::Tagged};
use crate::error::{backend, too_long};

macro_rules! script {
    ($name:ident, $file:literal) => {
        static $name: LazyLock<Script> =
            LazyLock::new(|| Script::embedded(include_str!(concat!("../../lua/", $file))));
    };
}

script!(ACQUIRE, "lock_acquire.lua");
script!(EXTEND, "lock_extend.lua");
script!(RELEASE, "lock_release.lua");
script!(SHARE_ACQUIRE, "share_acquire.lua");
script!(SHARE_EXTEND, "share_extend.lua");
script!(SHARE_RELEASE, "share_release.lua");
script!(GUARDED_SET, "guarded_set.lua");

/// How long a ring waits to be heard.
const RING: Duration = Duration::from_secs(2);
/// How long a wait sleeps when it cannot listen.
const POLL: Duration = Duration::from_millis(100);

/// Locks on a server or a cluster. A clone is a handle to the same.
///
/// Everything goes by the server's time. A grant that was acknowledged can be lost in a failover;
/// [`RedisLockOptions::replicas`] makes that less likely, and only the fence makes it harmless.
#[derive(Debug, Clone)]
pub struct RedisLocks {
    client: Client,
    options: RedisLockOptions,
    listeners: Arc<Semaphore>,
}

impl RedisLocks {
    /// Locks under the client's key prefix.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] when a setting cannot work.
    pub fn new(client: Client, options: RedisLockOptions) -> Result<Self, InvalidOption> {
        options.validate()?;
        Ok(Self {
            client,
            options,
            listeners: Arc::new(Semaphore::new(options.listeners)),
        })
    }

    fn keys<'a>(&'a self, target: &'a Target) -> TargetKeys<'a> {
        TargetKeys::new(self.client.key_prefix(), target)
    }

    async fn invoke(&self, call: &ScriptCall<'_>) -> Result<Tagged, BackendError> {
        self.client.invoke(call).await.map_err(backend)
    }

    fn fence_ttl(&self, ttl: Duration) -> u64 {
        millis(self.options.fence_ttl.max(ttl))
    }

    fn acquiring<'s>(&self, hold: &Hold, waits: bool) -> Result<ScriptCall<'s>, BackendError> {
        let keys = self.keys(&hold.target);
        let call = if let Some(mode) = letter(hold.target.mode()) {
            let keys = keys.shared().map_err(too_long("lock.acquire"))?;
            let claim = if waits { millis(WRITER_CLAIM) } else { 0 };
            SHARE_ACQUIRE
                .call()
                .keys([keys.holders, keys.fences, keys.last, keys.claim])
                .arg(mode)
                .arg(hold.token.to_hex())
                .arg(millis(hold.ttl))
                .arg(self.fence_ttl(hold.ttl))
                .arg(permits(hold.target.mode()))
                .arg(claim)
        } else {
            ACQUIRE
                .call()
                .keys(keys.locks_and_fences().map_err(too_long("lock.acquire"))?)
                .arg(hold.token.to_hex())
                .arg(millis(hold.ttl))
                .arg(self.fence_ttl(hold.ttl))
        };
        Ok(call)
    }

    /// Asks and waits for replicas; too few of them are as good as none.
    async fn acquire_replicated(
        &self,
        hold: &Hold,
        call: &ScriptCall<'_>,
    ) -> Result<Tagged, BackendError> {
        let key = self.keys(&hold.target).bell();
        let key = key.map_err(too_long("lock.acquire"))?;
        let mut connection = self.client.exclusive(&key).await.map_err(backend)?;
        let RedisLockOptions {
            replicas,
            replica_wait,
            ..
        } = self.options;
        let answer = connection
            .invoke_replicated::<Tagged>(call, replicas, replica_wait)
            .await
            .map_err(backend)?;
        if answer.replicas() < replicas
            && matches!(answer.answer().acquired(), Ok(Acquired::Granted { .. }))
        {
            return Err(BackendError::unavailable(
                "lock.acquire",
                "too few replicas confirmed the grant in time",
            )
            .outcome_is_unknown());
        }
        Ok(answer.into_answer())
    }
}

#[async_trait]
impl LockStore for RedisLocks {
    async fn acquire(&self, hold: &Hold, waits: bool) -> Result<Acquired, BackendError> {
        let call = self.acquiring(hold, waits)?;
        let answer = if self.options.replicas == 0 {
            self.invoke(&call).await?
        } else {
            self.acquire_replicated(hold, &call).await?
        };
        answer.acquired()
    }

    async fn extend(&self, hold: &Hold) -> Result<Extended, BackendError> {
        let keys = self.keys(&hold.target);
        let call = if let Some(mode) = letter(hold.target.mode()) {
            let keys = keys.shared().map_err(too_long("lock.extend"))?;
            SHARE_EXTEND
                .call()
                .keys([keys.holders, keys.fences, keys.last])
                .arg(mode)
        } else {
            let keys = keys.locks_and_fences().map_err(too_long("lock.extend"))?;
            EXTEND.call().keys(keys)
        };
        let call = call
            .arg(hold.token.to_hex())
            .arg(millis(hold.ttl))
            .arg(self.fence_ttl(hold.ttl));
        self.invoke(&call).await?.extended()
    }

    async fn release(&self, hold: &Hold) -> Result<Released, BackendError> {
        let keys = self.keys(&hold.target);
        let bell = keys.bell().map_err(too_long("lock.release"))?;
        let call = if let Some(mode) = letter(hold.target.mode()) {
            let keys = keys.shared().map_err(too_long("lock.release"))?;
            SHARE_RELEASE
                .call()
                .keys([bell, keys.holders, keys.fences, keys.claim])
                .arg(mode)
                .arg(hold.token.to_hex())
                .arg(millis(RING))
                .arg(permits(hold.target.mode()))
        } else {
            RELEASE
                .call()
                .key(bell)
                .keys(keys.locks().map_err(too_long("lock.release"))?)
                .arg(hold.token.to_hex())
                .arg(millis(RING))
        };
        self.invoke(&call).await?.released()
    }

    async fn wait(&self, target: &Target, at_most: Duration) -> Result<(), BackendError> {
        let Ok(_listener) = self.listeners.try_acquire() else {
            tokio::time::sleep(at_most.min(POLL)).await;
            return Ok(());
        };
        let bell = self.keys(target).bell().map_err(too_long("lock.wait"))?;
        let mut connection = match self.client.blocking(&bell, at_most).await.map_err(backend) {
            Ok(connection) => connection,
            Err(error) => return cannot_listen(error, at_most).await,
        };
        let mut listen = redis::cmd("BLPOP");
        // A block of 0 would have no end.
        let seconds = at_most.max(Duration::from_millis(1)).as_secs_f64();
        listen.arg(&bell).arg(seconds);
        let operation = Operation::write("lock.wait");
        let heard = connection.query::<redis::Value>(operation, &listen).await;
        match heard.map_err(backend) {
            Ok(_) => Ok(()),
            Err(error) => cannot_listen(error, at_most).await,
        }
    }

    async fn guarded_set(
        &self,
        target: &Target,
        fence: Fence,
        value: Bytes,
        ttl: Duration,
    ) -> Result<GuardedSet, BackendError> {
        let key = self.keys(target).guarded();
        let call = GUARDED_SET
            .call()
            .key(key.map_err(too_long("lock.guarded_set"))?)
            .arg(fence.get())
            .arg(&value[..])
            .arg(millis(ttl));
        self.invoke(&call).await?.guarded()
    }

    async fn guarded_get(&self, target: &Target) -> Result<Option<GuardedValue>, BackendError> {
        let key = self.keys(target).guarded();
        let key = key.map_err(too_long("lock.guarded_get"))?;
        let mut get = redis::cmd("GET");
        get.arg(&key);
        let operation = Operation::read("lock.guarded_get");
        let stored: Option<Vec<u8>> = self
            .client
            .query(operation, &key, &get)
            .await
            .map_err(backend)?;
        stored.map(read_guarded).transpose()
    }
}

fn read_guarded(stored: Vec<u8>) -> Result<GuardedValue, BackendError> {
    let stored = Bytes::from(stored);
    let space = stored.iter().position(|byte| *byte == b' ');
    let parsed = space.and_then(|space| {
        let fence = std::str::from_utf8(&stored[..space]).ok()?.parse().ok()?;
        Some(GuardedValue {
            fence: Fence::new(fence),
            value: stored.slice(space + 1..),
        })
    });
    parsed.ok_or_else(|| {
        let message = "the stored value cannot be read";
        BackendError::new(ErrorKind::Decode, "lock.guarded_get", message)
    })
}

/// Who cannot listen polls, unless the server is away.
async fn cannot_listen(error: BackendError, at_most: Duration) -> Result<(), BackendError> {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Closed => Err(error),
        _ => {
            tokio::time::sleep(at_most.min(POLL)).await;
            Ok(())
        }
    }
}

/// The letter of a mode that has several holders.
const fn letter(mode: Mode) -> Option<&'static str> {
    match mode {
        Mode::Exclusive => None,
        Mode::Read => Some("r"),
        Mode::Write => Some("w"),
        Mode::Permit { .. } => Some("p"),
    }
}

const fn permits(mode: Mode) -> u32 {
    match mode {
        Mode::Permit { of } => of,
        _ => 1,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
