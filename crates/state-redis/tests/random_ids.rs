//! T-X-2: whatever random ids there were, the server is as empty as before once they are over.
//!
//! Some thousands of ids with lifetimes of a moment instead of a million with real ones: a key
//! without an end, or an index that keeps a member, shows in the number of keys at any size, and
//! the server removes what is over by itself, which is what is waited for. Caches: T-CA-6.

mod support;

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use parking_lot::Mutex;
use redis_client::redis;
use redis_harness::{Server, poll_until};
use state_core::{
    Namespace,
    event::{Event, EventOptions, Events},
    lock::{LockOptions, Locks},
    process::{Expect, NewProcess, ProcessOptions, Processes},
    rate_limit::{Algorithm, Charge, Limit, RateLimitStore as _, Rule},
    session::{NewSession, SessionKeys, SessionOptions, Sessions},
};
use state_redis::{
    event::RedisEventStore,
    lock::{RedisLockOptions, RedisLocks},
    process::RedisProcesses,
    rate_limit::RedisRateLimits,
    session::RedisSessions,
};

use crate::support::{client, server};

const IDS: usize = 2_000;
const SOON: Duration = Duration::from_millis(300);

async fn size(server: &Server) -> u64 {
    let mut connection = server.connection().await;
    let size = redis::cmd("DBSIZE").query_async(&mut connection).await;
    size.expect("a number")
}

/// Some keys were there, and after a while none is.
async fn is_empty_again(server: &Server, most: u64) {
    assert!(most > 10, "only {most} keys were ever there");
    poll_until("every key is over", async || {
        (size(server).await == 0).then_some(())
    })
    .await;
}

/// Does something for every id, and gives the most keys that were seen.
async fn for_every_id(server: &Server, each: impl AsyncFn(usize, &str)) -> u64 {
    assert_eq!(size(server).await, 0, "the server is new");
    let mut most = 0;
    for number in 0..IDS {
        // Spread over all there could be, and different in every run of a number.
        let id = format!(
            "{:016x}",
            (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15)
        );
        each(number, &id).await;
        if number % 100 == 99 {
            most = most.max(size(server).await);
        }
    }
    most
}

#[tokio::test]
async fn t_x_2_random_subjects_of_rate_limits_leave_nothing() {
    let server = server().await;
    let store = RedisRateLimits::new(client(server.url()).await);
    let limit = Limit::new(3, SOON).expect("a limit");
    let rules = [
        Algorithm::Gcra,
        Algorithm::SlidingWindow,
        Algorithm::FixedWindow,
    ]
    .map(|algorithm| Rule::new("r", limit).expect("a name").algorithm(algorithm));
    let most = for_every_id(&server, async |number, id| {
        let all: Vec<_> = rules.iter().map(|rule| (rule, id)).collect();
        let charge = Charge {
            scope: id,
            rules: &all,
            cost: 1 + number as u64 % 4,
        };
        store.charge(&charge).await.expect("an answer");
        if number % 3 == 0 {
            store.refund(&charge).await.expect("an answer");
        }
    });
    is_empty_again(&server, most.await).await;
}

#[tokio::test]
async fn t_x_2_random_sessions_and_users_leave_nothing() {
    let server = server().await;
    let options = SessionOptions::default().idle(SOON / 2).max_age(SOON);
    let namespace = Namespace::new("web").expect("a name");
    let store = RedisSessions::new(client(server.url()).await, &namespace, options);
    let keys = SessionKeys::new(b"a secret of 32 bytes or even more").expect("long enough");
    let sessions = Sessions::new(Arc::new(store.expect("options")), keys);
    let most = for_every_id(&server, async |number, id| {
        let mut new = NewSession::new(vec![7; 20]);
        if number % 4 != 0 {
            new = new.user(id);
        }
        sessions.create(new).await.expect("an answer");
        if number % 5 == 0 {
            sessions.revoke_all(id, None).await.expect("an answer");
        }
    });
    is_empty_again(&server, most.await).await;
}

#[tokio::test]
async fn t_x_2_random_processes_leave_nothing() {
    let server = server().await;
    let options = ProcessOptions::default();
    let options = options.retention(SOON).events(100, SOON);
    let namespace = Namespace::new("jobs").expect("a name");
    let store = RedisProcesses::new(client(server.url()).await, &namespace, 3, options);
    let processes = Processes::new(Arc::new(store.expect("options")));
    let most = for_every_id(&server, async |number, id| {
        let new = NewProcess::new(id, format!("k{}", number % 7));
        processes.create(new).await.expect("an answer");
        if number % 3 == 0 {
            processes.claim(id, id).await.expect("an answer");
        }
        // Live ones have no end by intent, so each gets one.
        if number % 5 == 0 {
            processes.delete(id, Expect::Any).await.expect("an answer");
        } else {
            processes.cancel(id).await.expect("an answer");
        }
    });
    is_empty_again(&server, most.await).await;
}

#[tokio::test]
async fn t_x_2_random_topics_leave_nothing() {
    let server = server().await;
    let store = RedisEventStore::new(client(server.url()).await);
    // The least there may be.
    let options = EventOptions::default().retention(Duration::from_secs(1));
    let events = Events::builder(Arc::new(store)).options(options).build();
    let events = events.expect("options");
    let most = for_every_id(&server, async |_, id| {
        let topic = Namespace::new(id).expect("a topic");
        let event = Event::new("kind", Bytes::from_static(b"body")).expect("an event");
        events.publish(&topic, &event).await.expect("an answer");
    });
    is_empty_again(&server, most.await).await;
}

/// Fences outlive their locks by a minute at least. Rather than wait for that, their lifetimes are
/// read, and then shortened from outside; all other keys end by themselves first.
#[tokio::test]
async fn t_x_2_random_names_of_locks_leave_nothing() {
    let server = server().await;
    let fence_ttl = Duration::from_secs(60);
    let options = RedisLockOptions::default().fence_ttl(fence_ttl);
    let store = RedisLocks::new(client(server.url()).await, options).expect("options");
    let locks = Locks::new(Arc::new(store), LockOptions::default().ttl(SOON)).expect("options");
    let kept = Mutex::new(Vec::new());
    let most = for_every_id(&server, async |number, id| {
        let lock = match number % 5 {
            0 => locks.lock(id),
            1 => locks.read(id),
            2 => locks.write(id),
            3 => locks.semaphore(id, 2),
            _ => locks.many(id, ["a", "b"]),
        };
        let lock = lock.expect("a lock").without_renewal();
        let guard = lock.try_acquire().await.expect("an answer").guard();
        if number % 2 == 0 {
            let guard = guard.expect("a free lock");
            guard.release().await.expect("an answer");
        } else {
            // As if the process had ended: nobody gives it back before the test is over.
            kept.lock().extend(guard);
        }
    });
    let most = most.await;
    let mut connection = server.connection().await;
    let only_fences = poll_until("every lock is over", async || {
        let mut connection = server.connection().await;
        let keys: Vec<String> = redis::cmd("KEYS")
            .arg("*")
            .query_async(&mut connection)
            .await
            .expect("keys");
        let is_fence = |key: &String| {
            [":f", ":f:a", ":f:b", ":rw-last", ":s-last"]
                .iter()
                .any(|end| key.ends_with(end))
        };
        let fences = keys.iter().all(is_fence);
        fences.then_some(keys)
    });
    for key in only_fences.await {
        let left: i64 = redis::cmd("PTTL")
            .arg(&key)
            .query_async(&mut connection)
            .await
            .expect("a lifetime");
        // Over already on a machine that slept.
        assert!(left == -2 || (0..=60_000).contains(&left), "{key}: {left}");
        let mut end = redis::cmd("PEXPIRE");
        end.arg(&key).arg(1);
        end.exec_async(&mut connection).await.expect("shortened");
    }
    is_empty_again(&server, most).await;
}
