//! Cut connections and lost replies on every call of locks that changes something.

mod support;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use redis_harness::{Fault, FaultProxy, Server};
use state_core::{
    BackendError, Classified as _, ErrorKind,
    lock::{
        Acquired, Extended, Fence, GuardedSet, Hold, LockError, LockOptions, LockStore, Locks,
        Mode, Realm, Released, Target, Token,
    },
};
use state_redis::lock::{RedisLockOptions, RedisLocks};

use crate::support::{client, server};

const TTL: Duration = Duration::from_secs(60);

struct Rig {
    server: Server,
    proxy: FaultProxy,
    store: RedisLocks,
}

async fn rig() -> Rig {
    let server = server().await;
    let proxy = FaultProxy::start(server.port()).await;
    let client = client(&proxy.url()).await;
    let store = RedisLocks::new(client, RedisLockOptions::default()).expect("options");
    Rig {
        server,
        proxy,
        store,
    }
}

fn hold(mode: Mode, holder: u8) -> Hold {
    Hold {
        target: Target::one(Realm::Lock, mode, "a").expect("a name"),
        token: Token::from_bytes([holder; 16]),
        ttl: TTL,
    }
}

const MODES: [Mode; 4] = [
    Mode::Exclusive,
    Mode::Read,
    Mode::Write,
    Mode::Permit { of: 2 },
];

impl Rig {
    /// The fault meets the next call: the connections calls share are all there before.
    async fn next_call(&self, fault: Fault) {
        let target = hold(Mode::Exclusive, 1).target;
        for _ in 0..8 {
            let read = self.store.guarded_get(&target).await;
            read.expect("an answer");
        }
        self.proxy.once(fault);
    }
}

/// A call whose reply is lost says that nobody knows, and repeating it gives one effect.
async fn lost_reply<T>(rig: &Rig, call: impl AsyncFn() -> Result<T, BackendError>) -> T {
    rig.next_call(Fault::CutBeforeReply).await;
    let error = call().await.err().expect("the reply was lost");
    assert!(error.outcome_unknown(), "{error:?}");
    call().await.expect("an answer")
}

#[tokio::test]
async fn n_lk_1_held_and_unreachable_are_told_apart() {
    let mut rig = rig().await;
    let mine = hold(Mode::Exclusive, 1);
    rig.store.acquire(&mine, false).await.expect("an answer");
    let other = rig.store.acquire(&hold(Mode::Exclusive, 2), false).await;
    assert!(matches!(other, Ok(Acquired::Held { .. })));
    rig.server.kill();
    let error = rig
        .store
        .acquire(&mine, false)
        .await
        .expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn lost_replies_of_every_call() {
    let rig = rig().await;
    let store = &rig.store;
    for mode in MODES {
        // The server knows the scripts, so the lost reply is not that it does not.
        let known = hold(mode, 9);
        store.acquire(&known, false).await.expect("an answer");
        store.extend(&known).await.expect("an answer");
        store.release(&known).await.expect("an answer");
        let mine = hold(mode, 1);
        let granted = lost_reply(&rig, async || store.acquire(&mine, false).await).await;
        let Acquired::Granted { fence } = granted else {
            panic!("{granted:?}");
        };
        let again = store.acquire(&mine, false).await.expect("an answer");
        assert_eq!(again, Acquired::Granted { fence });
        let extended = lost_reply(&rig, async || store.extend(&mine).await).await;
        assert_eq!(extended, Extended::Extended);
        // The first release did it; the second finds nothing to give back.
        let released = lost_reply(&rig, async || store.release(&mine).await).await;
        assert_eq!(released, Released::Expired);
        let next = store
            .acquire(&hold(mode, 2), false)
            .await
            .expect("an answer");
        assert!(matches!(next, Acquired::Granted { .. }));
        store.release(&hold(mode, 2)).await.expect("an answer");
    }
    let target = hold(Mode::Exclusive, 1).target;
    let set = async || {
        let value = Bytes::from_static(b"v");
        store.guarded_set(&target, Fence::new(7), value, TTL).await
    };
    set().await.expect("an answer");
    assert_eq!(lost_reply(&rig, set).await, GuardedSet::Stored);
}

#[tokio::test]
async fn cuts_before_the_server_saw_anything_change_nothing() {
    let rig = rig().await;
    for mode in MODES {
        let mine = hold(mode, 1);
        rig.next_call(Fault::CutBeforeForward).await;
        let error = rig.store.acquire(&mine, false).await.expect_err("cut");
        // From here it looks the same as a lost reply, so nothing is claimed to be known.
        assert!(error.outcome_unknown() && error.is_retryable(), "{error:?}");
        let other = rig.store.acquire(&hold(mode, 2), false).await;
        assert!(matches!(other, Ok(Acquired::Granted { .. })), "{other:?}");
        rig.store.release(&hold(mode, 2)).await.expect("an answer");
    }
}

#[tokio::test]
async fn front_settles_a_lost_reply_by_itself() {
    let rig = rig().await;
    let locks = Locks::new(Arc::new(rig.store.clone()), LockOptions::default()).expect("options");
    let lock = locks.lock("a").expect("a lock");
    rig.next_call(Fault::CutBeforeReply).await;
    let guard = lock.acquire(TTL).await.expect("a guard");
    assert_eq!(rig.proxy.cuts(), 1);
    assert_eq!(
        guard.release().await.expect("an answer"),
        Released::Released
    );
}

#[tokio::test]
async fn waiting_ends_when_the_server_is_gone() {
    let mut rig = rig().await;
    let locks = Locks::new(Arc::new(rig.store.clone()), LockOptions::default()).expect("options");
    let lock = locks.lock("a").expect("a lock");
    let guard = lock.acquire(TTL).await.expect("a guard");
    let waits = tokio::spawn(async move { lock.acquire(Duration::from_secs(3_600)).await });
    // The waiter listens once its second call is there, or is just about to ask.
    tokio::task::yield_now().await;
    rig.server.kill();
    let error = waits.await.expect("no panic").expect_err("no server");
    assert!(matches!(error, LockError::Backend(_)), "{error:?}");
    drop(guard);
}

#[tokio::test]
async fn fences_rise_when_the_server_lost_everything() {
    let mut rig = rig().await;
    let mine = hold(Mode::Exclusive, 1);
    let fence = async |store: &RedisLocks, hold: &Hold| match store.acquire(hold, false).await {
        Ok(Acquired::Granted { fence }) => fence,
        other => panic!("{other:?}"),
    };
    let first = fence(&rig.store, &mine).await;
    let mut connection = rig.server.connection().await;
    let flush = redis_client::redis::cmd("FLUSHALL");
    flush.exec_async(&mut connection).await.expect("flushed");
    let second = fence(&rig.store, &hold(Mode::Exclusive, 2)).await;
    rig.server.restart().await;
    let third = fence(&rig.store, &hold(Mode::Exclusive, 3)).await;
    assert!(first < second && second < third, "{first} {second} {third}");
}

#[tokio::test]
async fn nothing_that_is_printed_names_a_lock_or_a_token() {
    let mut rig = rig().await;
    let secret = "hunter2-hunter2-hunter2";
    let locks = Locks::new(Arc::new(rig.store.clone()), LockOptions::default()).expect("options");
    let lock = locks.lock(secret).expect("a lock");
    let guard = lock.acquire(TTL).await.expect("a guard");
    let held = lock.try_acquire().await.expect("an answer");
    let mut printed = format!("{locks:?} {lock:?} {guard:?} {held:?} {:?}", rig.store);
    rig.server.kill();
    for error in [
        lock.try_acquire().await.map(drop).expect_err("no server"),
        lock.acquire(TTL).await.map(drop).expect_err("no server"),
        guard.extend(TTL).await.map(drop).expect_err("no server"),
        guard.release().await.map(drop).expect_err("no server"),
        locks
            .lock(&secret.repeat(99))
            .map(drop)
            .expect_err("too long"),
    ] {
        printed += &format!("{error} {error:?}");
    }
    assert!(!printed.contains("hunter2"), "{printed}");
}
