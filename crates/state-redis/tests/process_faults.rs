//! Cut connections and lost replies on every call of processes that changes something.

mod support;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use redis_client::redis;
use redis_harness::{Fault, FaultProxy, Server};
use state_core::{
    BackendError, Classified as _, ErrorKind, Namespace, OperationId,
    lock::Released,
    process::{
        Beat, Change, Claim, Claimed, Created, Deleted, Expect, Listing, NewProcess,
        ProcessOptions, ProcessStore, Processes, Save, Saved, Status,
    },
};
use state_redis::process::RedisProcesses;

use crate::support::{client, server};

struct Rig {
    server: Server,
    proxy: FaultProxy,
    store: RedisProcesses,
}

async fn rig() -> Rig {
    let server = server().await;
    let proxy = FaultProxy::start(server.port()).await;
    let client = client(&proxy.url()).await;
    let namespace = Namespace::new("jobs").expect("a name");
    let store = RedisProcesses::new(client, &namespace, 1, ProcessOptions::default());
    let rig = Rig {
        server,
        proxy,
        store: store.expect("valid options"),
    };
    // The server knows every script, so a lost reply is never that it does not.
    all_calls(&rig.store, "known").await;
    rig
}

fn operation(number: u8) -> OperationId {
    OperationId::from_bytes([number; 16])
}

async fn create(store: &RedisProcesses, id: &str) -> Result<Created, BackendError> {
    store.create(&NewProcess::new(id, "k"), operation(1)).await
}

async fn save(store: &RedisProcesses, id: &str, claim: &Claim) -> Result<Saved, BackendError> {
    let save = Save {
        change: &Change::new().percent(50),
        expect: Expect::Any,
        fence: Some(claim.fence),
        allowed_from: &Status::LIVE,
        overrides_claim: false,
        operation: operation(3),
    };
    store.save(id, &save).await
}

async fn claim(store: &RedisProcesses, id: &str) -> Result<Claimed, BackendError> {
    store
        .claim(id, "w", Duration::from_secs(60), operation(2))
        .await
}

async fn all_calls(store: &RedisProcesses, id: &str) {
    create(store, id).await.expect("an answer");
    let Claimed::Claimed(claimed) = claim(store, id).await.expect("an answer") else {
        panic!("not claimed");
    };
    save(store, id, &claimed).await.expect("an answer");
    store.heartbeat(&claimed).await.expect("an answer");
    store.release(&claimed).await.expect("an answer");
    store.delete(id, Expect::Any).await.expect("an answer");
}

impl Rig {
    /// The fault meets the next call: the connections calls share are all there before.
    async fn next_call(&self, fault: Fault) {
        for _ in 0..8 {
            self.store.get("none").await.expect("an answer");
        }
        self.proxy.once(fault);
    }

    /// The call fails, nobody knows whether it was done, and it is made again.
    async fn twice<T>(&self, fault: Fault, call: impl AsyncFn() -> Result<T, BackendError>) -> T {
        self.next_call(fault).await;
        let error = call().await.err().expect("the connection was cut");
        assert!(error.outcome_unknown() && error.is_retryable(), "{error:?}");
        call().await.expect("an answer")
    }
}

#[tokio::test]
async fn t_ps_4_lost_replies_of_every_call() {
    for fault in [Fault::CutBeforeReply, Fault::CutBeforeForward] {
        let rig = rig().await;
        let store = &rig.store;
        let was_done = fault == Fault::CutBeforeReply;
        let created = rig.twice(fault, async || create(store, "a").await).await;
        assert_eq!(matches!(created, Created::AlreadyApplied { .. }), was_done);
        let Claimed::Claimed(claimed) = rig.twice(fault, async || claim(store, "a").await).await
        else {
            panic!("not claimed");
        };
        let again = claim(store, "a").await.expect("an answer");
        assert_eq!(again, Claimed::Claimed(claimed.clone()));
        let saved = rig
            .twice(fault, async || save(store, "a", &claimed).await)
            .await;
        assert_eq!(matches!(saved, Saved::AlreadyApplied { .. }), was_done);
        let beat = rig
            .twice(fault, async || store.heartbeat(&claimed).await)
            .await;
        assert_eq!(beat, Beat::Alive);
        let released = rig
            .twice(fault, async || store.release(&claimed).await)
            .await;
        let first = if was_done {
            Released::Expired
        } else {
            Released::Released
        };
        assert_eq!(released, first);
        let deleted = rig
            .twice(fault, async || store.delete("a", Expect::Any).await)
            .await;
        let first = if was_done {
            Deleted::NotFound
        } else {
            Deleted::Deleted
        };
        assert_eq!(deleted, first);
    }
}

#[tokio::test]
async fn front_settles_lost_replies_by_itself() {
    let rig = rig().await;
    let processes = Processes::new(Arc::new(rig.store.clone()));
    rig.next_call(Fault::CutBeforeReply).await;
    let created = processes
        .create(NewProcess::new("a", "k"))
        .await
        .expect("an answer");
    let Created::Created { version } = created else {
        panic!("{created:?}");
    };
    rig.next_call(Fault::CutBeforeReply).await;
    let change = Change::new().percent(7);
    let saved = processes
        .save("a", change, Expect::Exact(version), None)
        .await;
    let Saved::Saved { version } = saved.expect("an answer") else {
        panic!("not saved");
    };
    let header = processes
        .get("a")
        .await
        .expect("an answer")
        .expect("a process")
        .header;
    assert_eq!((header.version, header.percent), (version, 7));
}

#[tokio::test]
async fn t_ps_3_n_ps_4_listings_equal_records_after_random_cuts() {
    let rig = rig().await;
    let store = &rig.store;
    for number in 0..60_u8 {
        let id = format!("p{}", number % 12);
        let fault = if number % 2 == 0 {
            Fault::CutBeforeReply
        } else {
            Fault::CutBeforeForward
        };
        // The fault meets whichever call comes first; what it answers does not matter here.
        let _ = create(store, &id).await;
        match number % 5 {
            0 => rig.proxy.once(fault),
            _ => rig.proxy.set(Fault::None),
        }
        let _ = claim(store, &id).await;
        let change = Change::new().status(match number % 3 {
            0 => Status::Running,
            1 => Status::Paused,
            _ => Status::Cancelled,
        });
        let save = Save {
            change: &change,
            expect: Expect::Any,
            fence: None,
            allowed_from: &Status::LIVE,
            overrides_claim: true,
            operation: operation(number),
        };
        let _ = store.save(&id, &save).await;
        if number % 7 == 0 {
            let _ = store.delete(&id, Expect::Any).await;
        }
    }
    rig.proxy.set(Fault::None);
    let mut live = BTreeSet::new();
    let mut ended = BTreeSet::new();
    for number in 0..12 {
        let id = format!("p{number}");
        let Some(process) = store.get(&id).await.expect("an answer") else {
            continue;
        };
        if process.header.status.is_ended() {
            ended.insert(id);
        } else {
            live.insert(id);
        }
    }
    for (listing, expected) in [
        (Listing::Active, &live),
        (Listing::ByKind("k"), &live),
        (Listing::Ended, &ended),
    ] {
        let page = store.list(listing, None).await.expect("a page");
        assert!(page.undecodable.is_empty());
        let listed: BTreeSet<_> = page.items.into_iter().map(|item| item.id).collect();
        assert_eq!(&listed, expected, "{listing:?}");
    }
}

/// A version is named in the call; what goes wrong is not therefore a conflict.
#[tokio::test]
async fn n_ps_15_failures_are_no_conflicts() {
    let mut rig = rig().await;
    let client = client(rig.server.url()).await;
    let namespace = Namespace::new("jobs").expect("a name");
    let store = RedisProcesses::new(client.clone(), &namespace, 1, ProcessOptions::default());
    let store = store.expect("valid options");
    let new = NewProcess::new("a", "k");
    let Ok(Created::Created { version }) = store.create(&new, operation(1)).await else {
        panic!("not created");
    };
    let save = async || {
        let save = Save {
            change: &Change::new().percent(50),
            expect: Expect::Exact(version),
            fence: None,
            allowed_from: &Status::LIVE,
            overrides_claim: false,
            operation: operation(2),
        };
        store.save("a", &save).await
    };
    let mut connection = rig.server.connection().await;
    let key = client.key_prefix().key().part("proc").tag("jobs/0");
    let key = key.part("doc").part("a").finish().expect("a key");
    // Of another type, not writable, and not there.
    redis::pipe()
        .rename(key.as_str(), "aside")
        .set(key.as_str(), "text")
        .exec_async(&mut connection)
        .await
        .expect("poisoned");
    let error = save().await.expect_err("no record");
    assert_ne!(error.kind(), ErrorKind::Conflict, "{error:?}");
    redis::pipe()
        .rename("aside", key.as_str())
        .cmd("CONFIG")
        .arg(&["SET", "maxmemory", "1"])
        .exec_async(&mut connection)
        .await
        .expect("full");
    let error = save().await.expect_err("no memory");
    assert_ne!(error.kind(), ErrorKind::Conflict, "{error:?}");
    redis::cmd("CONFIG")
        .arg(&["SET", "maxmemory", "0"])
        .exec_async(&mut connection)
        .await
        .expect("room");
    let saved = save().await.expect("an answer");
    assert!(matches!(saved, Saved::Saved { .. }), "{saved:?}");
    rig.server.kill();
    let error = save().await.expect_err("no server");
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
}

#[tokio::test]
async fn nothing_that_is_printed_names_a_process_or_its_content() {
    let mut rig = rig().await;
    let secret = "hunter2-hunter2";
    let new = NewProcess::new(secret, "k").payload(state_core::process::Payload::new("t", secret));
    let change = Change::new().step(secret).error(secret);
    let mut printed = format!("{new:?} {change:?}");
    let processes = Processes::new(Arc::new(rig.store.clone()));
    processes.create(new).await.expect("an answer");
    let kept = processes
        .claim_and_keep(secret, secret)
        .await
        .expect("an answer");
    let kept = kept.expect("a claim");
    let got = processes.get(secret).await.expect("an answer");
    let page = processes.list(Listing::Active, None).await.expect("a page");
    printed += &format!("{processes:?} {kept:?} {got:?} {page:?}");
    rig.server.kill();
    let error = rig.store.get(secret).await.expect_err("no server");
    printed += &format!("{error} {error:?}");
    let error = rig
        .store
        .delete(secret, Expect::Any)
        .await
        .expect_err("no server");
    printed += &format!("{error} {error:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
}
