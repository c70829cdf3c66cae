//! Every outcome that calls can have is counted once, under its own labels, on both backends.

use std::{collections::BTreeMap, error::Error, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use redis_harness::poll_until;
use state_core::{
    Namespace,
    cache::{LoadOptions, SetOptions, Tags},
    event::{Event, Handler, Signal, SubscribeOptions},
    lock::{Guard, LeaderOptions, Lock},
    process::{Change, Claimed, Created, Expect, NewProcess, Payload, Saved, Status, Version},
    session::{Created as Begun, Found, NewSession, Reason, Regenerated, Session},
};
use tokio::sync::Semaphore;

use crate::{All, Notes, SOON, all_on, counted, on_memory, rule, server, words};

/// Checks what was counted.
struct Told<'a>(&'a Notes);

impl Told<'_> {
    /// One call is counted once, as this.
    async fn is<T>(&self, expected: &str, call: impl Future<Output = T>) -> T {
        assert_eq!(self.left(), BTreeMap::new(), "before {expected}");
        let (told, result) = counted(self.0, call).await;
        assert_eq!(told, expected);
        result
    }

    /// So often was each of these counted, and nothing else, once it all has happened.
    async fn are(&self, expected: &[(&str, u64)]) {
        let expected: BTreeMap<_, _> = expected
            .iter()
            .map(|(told, count)| ((*told).to_owned(), *count))
            .collect();
        let all = expected.values().sum::<u64>();
        let mut told = BTreeMap::<String, u64>::new();
        let happens = async {
            while told.values().sum::<u64>() < all {
                tokio::task::yield_now().await;
                for (words, count) in self.left() {
                    *told.entry(words).or_default() += count;
                }
            }
        };
        // What does not happen is seen below.
        let _ = tokio::time::timeout(SOON, happens).await;
        assert_eq!(told, expected);
    }

    fn left(&self) -> BTreeMap<String, u64> {
        let counted = self.0.take("state.operations");
        let counted = counted.iter().map(|(key, count)| (words(key), *count));
        counted.collect()
    }
}

async fn of_cache(told: &Told<'_>, all: &All) {
    let (cache, tags, set) = (&all.cache, Tags::default(), SetOptions::default());
    let load = LoadOptions::default();
    let loader = async || Ok::<_, std::io::Error>(Some("v".into()));
    let _ = told.is("cache get miss", cache.get("a", &tags)).await;
    let stored = told.is("cache set stored", cache.set("a", "v".into(), &set));
    stored.await.unwrap();
    let _ = told.is("cache get hit", cache.get("a", &tags)).await;
    let stored = told.is("cache set negative", cache.set_negative("n", &set));
    stored.await.unwrap();
    let _ = told.is("cache get negative", cache.get("n", &tags)).await;
    let load_it = |key| cache.get_or_load(key, &load, move || async move { loader().await });
    // A load has steps of its own, which may end behind the call.
    load_it("l").await.unwrap();
    let steps = [("cache load loaded", 1), ("cache fill stored", 1)];
    let [loaded, filled] = steps;
    told.are(&[("cache get_or_load loaded", 1), loaded, filled])
        .await;
    let found = told.is("cache get_or_load hit", load_it("l")).await;
    found.unwrap();
    let fails = || async { Err::<Option<_>, _>(std::io::Error::other("no")) };
    let failed = cache.get_or_load("f", &load, fails).await;
    assert!(failed.is_err());
    told.are(&[
        ("cache get_or_load cache.loader", 1),
        ("cache load cache.loader", 1),
    ])
    .await;
    // Two at a time: one loads, and the other has what that one got.
    let gate = Arc::new(Semaphore::new(0));
    let slow = || {
        let gate = Arc::clone(&gate);
        cache.get_or_load("two", &load, move || async move {
            let _open = gate.acquire().await;
            Ok::<_, std::io::Error>(Some("v".into()))
        })
    };
    let open = async {
        poll_until("a load begins", || async {
            (cache.loads() > 0).then_some(())
        })
        .await;
        gate.add_permits(2);
    };
    let (one, other, ()) = tokio::join!(slow(), slow(), open);
    one.unwrap();
    other.unwrap();
    told.are(&[
        ("cache get_or_load loaded", 1),
        ("cache get_or_load coalesced", 1),
        loaded,
        filled,
    ])
    .await;
    let many = ["a", "b"];
    let found = cache.get_many(&many, &tags);
    told.is("cache get_many partial", found).await.unwrap();
    let items = many.map(|key| (key, "v".into()));
    let stored = cache.set_many(&items, &set);
    told.is("cache set_many stored", stored).await.unwrap();
    let found = cache.get_many(&many, &tags);
    told.is("cache get_many complete", found).await.unwrap();
    told.is("cache delete removed", cache.delete("a"))
        .await
        .unwrap();
    told.is("cache delete absent", cache.delete("a"))
        .await
        .unwrap();
    let done = cache.delete_many(&many);
    told.is("cache delete_many done", done).await.unwrap();
    let done = cache.invalidate_tags(&tags);
    told.is("cache invalidate_tags done", done).await.unwrap();
    let done = cache.invalidate_namespace();
    told.is("cache invalidate_namespace done", done)
        .await
        .unwrap();
    let large = cache.set("a", vec![0; (1 << 20) + 1].into(), &set);
    let large = told.is("cache set cache.value_too_large", large).await;
    assert!(large.is_err());
    let long = "k".repeat(10_000);
    let long = told.is("cache get cache.key_too_long", cache.get(&long, &tags));
    assert!(long.await.is_err());
}

async fn of_rate_limits(told: &Told<'_>, all: &All) {
    let (limiter, one, other) = (&all.limiter, rule(1), rule(2));
    let check = async |expected, rule, cost| {
        told.is(expected, limiter.check(rule, "a", cost))
            .await
            .unwrap();
    };
    check("rate_limit check allowed", &one, 1).await;
    check("rate_limit check denied", &one, 1).await;
    check("rate_limit check deny_cache", &one, 1).await;
    let refunded = limiter.refund(&one, "a", 1);
    told.is("rate_limit refund refunded", refunded)
        .await
        .unwrap();
    check("rate_limit check never", &other, 3).await;
    let reset = limiter.reset(&one, "a");
    told.is("rate_limit reset reset", reset).await.unwrap();
}

fn live(found: Found) -> Session {
    match found {
        Found::Live(session) => session,
        other => panic!("{other:?}"),
    }
}

fn made(made: Regenerated) -> (String, Session) {
    match made {
        Regenerated::Regenerated { id, session } => (id.expose().to_string(), session),
        other => panic!("{other:?}"),
    }
}

async fn of_sessions(told: &Told<'_>, all: &All) {
    let sessions = &all.sessions;
    let before = told.is("session begin_login begun", sessions.begin_login());
    let before = before.await.unwrap();
    let new = |user: &str| NewSession::new("d").user(user);
    let create = async || {
        let created = told.is("session create created", sessions.create(new("alice")));
        match created.await.unwrap() {
            Begun::Created { id, session } => (id.expose().to_string(), session),
            Begun::Revoked => panic!("revoked"),
        }
    };
    let large = sessions.create(NewSession::new(vec![0; 1_001]));
    let large = told.is("session create session.too_large", large).await;
    assert!(large.is_err());
    let odd = told.is("session create session.user", sessions.create(new("")));
    assert!(odd.await.is_err());
    let (cookie, session) = create().await;
    let load =
        async |expected, cookie: &str| told.is(expected, sessions.load(cookie)).await.unwrap();
    load("session load live", &cookie).await;
    load("session load gone", "nonsense").await;
    let save = async |expected, session: &Session| {
        told.is(expected, sessions.save(session, "e"))
            .await
            .unwrap()
    };
    save("session save saved", &session).await;
    save("session save conflict", &session).await;
    let large = told.is(
        "session save session.too_large",
        sessions.save(&session, vec![0; 1_001]),
    );
    assert!(large.await.is_err());

    let renew = async |expected, session: &Session, reason, user| {
        let made = sessions.regenerate(session, reason, user);
        told.is(expected, made).await.unwrap()
    };
    let (rotation, privilege) = (Reason::Rotation, Reason::PrivilegeChange);
    renew("session rotate conflict", &session, rotation, None).await;
    renew("session regenerate conflict", &session, privilege, None).await;
    let session = live(load("session load live", &cookie).await);
    let rotated = renew("session rotate regenerated", &session, rotation, None).await;
    let old = live(load("session load live_by_old_id", &cookie).await);
    renew("session rotate moved", &old, rotation, None).await;
    let (_, session) = made(rotated);
    let renewed = renew("session regenerate regenerated", &session, privilege, None).await;
    let (cookie, session) = made(renewed);

    let revoked = sessions.revoke_all("bob", None);
    told.is("session revoke_all revoked", revoked)
        .await
        .unwrap();
    let late = Some(("bob", before));
    renew("session regenerate revoked", &session, privilege, late).await;
    let late = sessions.create(new("bob").stamp(before));
    told.is("session create revoked", late).await.unwrap();
    let revoked = sessions.revoke_all("alice", None);
    told.is("session revoke_all revoked", revoked)
        .await
        .unwrap();
    load("session load revoked", &cookie).await;

    let (_, session) = create().await;
    let ended = sessions.delete(&session);
    told.is("session delete ended", ended).await.unwrap();
    let ended = sessions.delete(&session);
    told.is("session delete gone", ended).await.unwrap();
    save("session save lost", &session).await;
    renew("session rotate lost", &session, rotation, None).await;
    renew("session regenerate lost", &session, privilege, None).await;
    let (_, session) = create().await;
    let ended = sessions.revoke(&session.handle);
    told.is("session revoke ended", ended).await.unwrap();
    let ended = sessions.revoke(&session.handle);
    told.is("session revoke gone", ended).await.unwrap();
}

async fn of_processes(told: &Told<'_>, all: &All) {
    let processes = &all.processes;
    let new = || NewProcess::new("p", "k");
    let found = told.is("process get absent", processes.get("p")).await;
    assert!(found.unwrap().is_none());
    let created = told
        .is("process create created", processes.create(new()))
        .await;
    let Created::Created { version } = created.unwrap() else {
        panic!("not created");
    };
    let taken = told.is("process create exists", processes.create(new()));
    taken.await.unwrap();
    told.is("process get found", processes.get("p"))
        .await
        .unwrap();
    let odd = processes.create(NewProcess::new("", "k"));
    let odd = told
        .is("process create process.invalid_argument", odd)
        .await;
    assert!(odd.is_err());
    let large = Payload::new("raw", vec![0; (1 << 20) + 1]);
    let large = processes.create(new().payload(large));
    let large = told.is("process create process.too_large", large).await;
    assert!(large.is_err());

    let save = async |expected, id: &str, change: Change, expect| {
        let saved = processes.save(id, change, expect, None);
        told.is(expected, saved).await.unwrap()
    };
    let one = || Change::new().percent(1);
    let any = Expect::Any;
    save("process save not_found", "q", one(), any).await;
    let old = Expect::Exact(Version::new(version.get()));
    save("process save saved", "p", one(), old).await;
    save("process save conflict", "p", one(), old).await;
    let completed = Change::new().status(Status::Completed);
    save("process save bad_transition", "p", completed, any).await;

    let claim = async |expected, id: &str, worker: &str| {
        told.is(expected, processes.claim(id, worker))
            .await
            .unwrap()
    };
    claim("process claim not_found", "q", "w").await;
    let Claimed::Claimed(held) = claim("process claim claimed", "p", "w").await else {
        panic!("not claimed");
    };
    claim("process claim busy", "p", "x").await;
    save("process save fenced", "p", one(), any).await;
    let mut foreign = held.clone();
    foreign.worker = "x".to_owned();
    let beat = async |expected, claim| {
        told.is(expected, processes.heartbeat(claim)).await.unwrap();
    };
    beat("process heartbeat alive", &held).await;
    beat("process heartbeat lost", &foreign).await;
    let release = async |expected, claim| {
        told.is(expected, processes.release(claim)).await.unwrap();
    };
    release("process release stolen", &foreign).await;
    release("process release released", &held).await;
    release("process release expired", &held).await;
    let cancelled = processes.cancel("p");
    let cancelled = told.is("process save saved", cancelled).await.unwrap();
    assert!(matches!(cancelled, Saved::Saved { .. }));
    claim("process claim ended", "p", "w").await;
    let delete = async |expected, expect| {
        told.is(expected, processes.delete("p", expect))
            .await
            .unwrap();
    };
    delete("process delete conflict", old).await;
    delete("process delete deleted", any).await;
    delete("process delete not_found", any).await;
}

async fn of_locks(told: &Told<'_>, all: &All) {
    let lock = || all.locks.lock("l").unwrap();
    let take = async |lock: Lock| -> Guard {
        let taken = told.is("lock acquire acquired", lock.acquire(SOON));
        taken.await.unwrap()
    };
    let guard = take(lock()).await;
    let held = told.is("lock acquire held", async { lock().try_acquire().await });
    assert!(held.await.unwrap().guard().is_none());
    let waited = async { lock().acquire(Duration::ZERO).await };
    assert!(told.is("lock acquire wait_timeout", waited).await.is_err());
    let extended = guard.extend(SOON);
    told.is("lock extend extended", extended).await.unwrap();
    told.is("lock release released", guard.release())
        .await
        .unwrap();

    drop(take(lock()).await);
    told.are(&[("lock drop released", 1)]).await;

    // Lifetimes that end: with another holder since, and without one.
    let short = || {
        lock()
            .ttl(Duration::from_millis(20))
            .unwrap()
            .without_renewal()
    };
    let first = take(short()).await;
    let second = take(lock()).await;
    told.is("lock extend lost", first.extend(SOON))
        .await
        .unwrap();
    told.is("lock release stolen", first.release())
        .await
        .unwrap();
    told.is("lock release released", second.release())
        .await
        .unwrap();
    let first = take(short()).await;
    let second = take(lock()).await;
    told.is("lock release released", second.release())
        .await
        .unwrap();
    told.is("lock release expired", first.release())
        .await
        .unwrap();

    let campaign = || all.locks.campaign("l", LeaderOptions::default()).unwrap();
    let first = campaign();
    told.are(&[("leader campaign elected", 1)]).await;
    let second = campaign();
    told.are(&[("leader campaign following", 1)]).await;
    first.resign().await;
    told.are(&[
        ("leader resign released", 1),
        ("leader campaign elected", 1),
    ])
    .await;
    told.is("leader resign released", second.resign()).await;
}

/// Fails or panics when an event says so, and waits where one says so.
struct Moody(Arc<Semaphore>);

#[async_trait]
impl Handler for Moody {
    async fn handle(&self, signal: &Signal) -> Result<(), Box<dyn Error + Send + Sync>> {
        let Signal::Event(received) = signal else {
            return Ok(());
        };
        match received.event().kind() {
            "slow" => drop(self.0.acquire().await),
            "bad" => return Err("no".into()),
            "ugly" => panic!("on purpose"),
            _ => {}
        }
        Ok(())
    }
}

async fn of_events(told: &Told<'_>, all: &All) {
    let topic = Namespace::new("topic").unwrap();
    let event = |kind: &str| Event::new(kind, "x".into()).unwrap();
    let publish = async |kind: &str| all.events.publish(&topic, &event(kind)).await.unwrap();
    told.is("event publish published", publish("first")).await;
    let large = Event::new("large", vec![0; 1 << 17].into()).unwrap();
    let large = all.events.publish(&topic, &large);
    let large = told.is("event publish event.too_large", large).await;
    assert!(large.is_err());

    let gate = Arc::new(Semaphore::new(0));
    let handler = Arc::new(Moody(Arc::clone(&gate)));
    let options = SubscribeOptions::default().own(true).coalesce(true);
    let subscription = all.events.subscribe(&topic, options, handler);
    // It is told that it has begun.
    let begun = ("event resume resumed", 1);
    told.are(&[("event handle handled", 1), begun]).await;
    assert!(subscription.is_live());
    for (kind, outcome) in [
        ("good", "event handle handled"),
        ("bad", "event handle failed"),
        ("ugly", "event handle panicked"),
    ] {
        publish(kind).await;
        let published = ("event publish published", 1);
        told.are(&[published, ("event receive queued", 1), (outcome, 1)])
            .await;
    }
    // Behind one that takes its time, an event like one that waits is left out.
    publish("slow").await;
    told.are(&[("event publish published", 1), ("event receive queued", 1)])
        .await;
    publish("same").await;
    publish("same").await;
    told.are(&[
        ("event publish published", 2),
        ("event receive queued", 1),
        ("event receive coalesced", 1),
    ])
    .await;
    gate.add_permits(1);
    told.are(&[("event handle handled", 2)]).await;
    subscription.close().await;
    told.are(&[]).await;
}

async fn of_all(told: &Told<'_>, all: &All) {
    of_cache(told, all).await;
    of_rate_limits(told, all).await;
    of_sessions(told, all).await;
    of_processes(told, all).await;
    of_locks(told, all).await;
    of_events(told, all).await;
}

#[tokio::test]
async fn t_me_2_each_outcome_is_one_counter() {
    let all = on_memory().await;
    let notes = Notes::default();
    let _guard = metrics::set_default_local_recorder(&notes);
    of_all(&Told(&notes), &all).await;
}

#[tokio::test]
async fn t_me_2_each_outcome_is_one_counter_on_redis() {
    let mut server = server().await;
    let all = all_on(&server).await;
    let notes = Notes::default();
    let _guard = metrics::set_default_local_recorder(&notes);
    let told = Told(&notes);
    of_all(&told, &all).await;

    // Without a server, too.
    server.kill();
    let cookie = "A".repeat(43);
    let load = all.sessions.load(&cookie);
    assert!(
        told.is("session load backend.unavailable", load)
            .await
            .is_err()
    );
    let get = all.processes.get("p");
    assert!(
        told.is("process get backend.unavailable", get)
            .await
            .is_err()
    );
    let lock = all.locks.lock("gone").unwrap();
    let taken = told.is("lock acquire backend.unavailable", lock.try_acquire());
    assert!(taken.await.is_err());
    let topic = Namespace::new("topic").unwrap();
    let event = Event::new("late", "x".into()).unwrap();
    let published = all.events.publish(&topic, &event);
    let published = told
        .is("event publish backend.unavailable", published)
        .await;
    assert!(published.is_err());
    let rule = rule(1);
    let checked = all.limiter.reset(&rule, "a");
    let checked = told
        .is("rate_limit reset backend.unavailable", checked)
        .await;
    assert!(checked.is_err());
}
