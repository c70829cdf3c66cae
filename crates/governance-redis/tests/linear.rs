//! Many writers and readers of few requests, through several handles: what each of them saw fits
//! one order of all writes that agrees with real time, and with the reference model.

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use governance_core::{
    Act, Conflict, IdSource as _, MutationRequest, RequestStore, Retry, Revision, StoreErrorKind,
    Timestamp, Written,
};
use governance_redis::RedisStore;
use governance_testkit::{
    fixtures::{RequestBuilder, SeededIds, VirtualClock, actor, amend_deadline},
    model::ModelStore,
};
use redis_harness::{Fault, FaultProxy, Persistence};

use crate::support::{open, options, server};

const NOW: Timestamp = Timestamp::from_micros(1_900_000_000_000_000);

/// Asks again until there is an answer.
macro_rules! settle {
    ($ask:expr) => {
        loop {
            match $ask.await {
                Ok(answer) => break answer,
                Err(error) => assert_ne!(error.retry(), Retry::Never, "{error:?}"),
            }
        }
    };
}

/// One call and what came of it. Begin and end are numbers of a counter everybody shares.
#[derive(Debug, Clone)]
struct Call {
    begin: u64,
    end: u64,
    what: What,
}

#[derive(Debug, Clone)]
enum What {
    Read(Arc<MutationRequest>),
    Wrote(Arc<MutationRequest>),
    Refused {
        next: Arc<MutationRequest>,
        expected: Revision,
        actual: Revision,
    },
}

impl Call {
    /// The revision the call saw, or made.
    fn revision(&self) -> Revision {
        match &self.what {
            What::Read(request) | What::Wrote(request) => request.revision(),
            What::Refused { actual, .. } => *actual,
        }
    }

    fn is_write(&self) -> bool {
        matches!(self.what, What::Wrote(_))
    }
}

/// The calls of one request, in an order that is right if there is any: by the revision they saw,
/// and for each revision the write that made it first, then the others as they began.
fn ordered(calls: &[Call]) -> Vec<Call> {
    let mut calls = calls.to_vec();
    calls.sort_by_key(|call| (call.revision(), !call.is_write(), call.begin));
    calls
}

/// Whether one order explains what everybody saw.
async fn check(first: &Arc<MutationRequest>, calls: &[Call]) -> Result<(), String> {
    let order = ordered(calls);
    // Real time: nothing that was over when another began comes behind it.
    let mut latest_begin = 0;
    for call in &order {
        if call.end < latest_begin {
            return Err(format!("out of time: {call:?}"));
        }
        latest_begin = latest_begin.max(call.begin);
    }
    // The model, one call after the other.
    let model = ModelStore::new(VirtualClock::at(NOW));
    let created = model.create(Arc::clone(first)).await;
    created.map_err(|error| error.to_string())?;
    for call in &order {
        let stored = model.get(first.id()).await.map_err(|e| e.to_string())?;
        let stored = stored.ok_or("the model lost it")?;
        let fits = match &call.what {
            What::Read(request) => *request == stored,
            What::Wrote(next) => {
                let written = model.try_store(Arc::clone(next), stored.revision()).await;
                matches!(written, Ok(Written::Applied))
            }
            What::Refused {
                next,
                expected,
                actual,
            } => {
                let refused = model.try_store(Arc::clone(next), *expected).await;
                let conflict = Conflict::Request {
                    expected: *expected,
                    actual: *actual,
                };
                refused.is_err_and(|error| error.conflict_data() == Some(conflict))
            }
        };
        if !fits {
            return Err(format!("not as the model: {call:?}"));
        }
    }
    Ok(())
}

struct Worker {
    store: RedisStore,
    clock: Arc<AtomicU64>,
    ids: Arc<SeededIds>,
    random: u64,
    known: Vec<Arc<MutationRequest>>,
    seen: Vec<Vec<Call>>,
    /// Writes whose first answer was lost.
    repeated: Arc<AtomicU64>,
}

impl Worker {
    fn random(&mut self, below: usize) -> usize {
        // Knuth's generator; the high bits are the random ones.
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.random >> 33).unwrap_or(0) % below
    }

    fn tick(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    async fn work(mut self, calls: usize) -> Vec<Vec<Call>> {
        for _ in 0..calls {
            let which = self.random(self.known.len());
            let known = Arc::clone(&self.known[which]);
            let begin = self.tick();
            let what = if self.random(3) == 0 {
                let found = settle!(self.store.get(known.id()));
                What::Read(found.expect("a request"))
            } else {
                let to = NOW.saturating_add(Duration::from_secs(100 + begin));
                let act = Act::new(&actor("alice"), NOW, self.ids.operation_id());
                let next = amend_deadline(&known, act, Some(to));
                let expected = known.revision();
                let (mut tries, mut answer);
                tries = 0;
                loop {
                    tries += 1;
                    answer = self.store.try_store(Arc::clone(&next), expected).await;
                    // An answer that was lost is asked for again: the call lasts until it came.
                    match &answer {
                        Err(error) if error.retry() != Retry::Never => {}
                        _ => break,
                    }
                }
                match answer {
                    Ok(Written::Applied) => What::Wrote(next),
                    Ok(Written::AlreadyApplied(_)) if tries > 1 => {
                        self.repeated.fetch_add(1, Ordering::SeqCst);
                        What::Wrote(next)
                    }
                    Ok(other) => panic!("{other:?}"),
                    Err(error) => {
                        assert_eq!(error.kind(), StoreErrorKind::Conflict, "{error}");
                        let Some(Conflict::Request { expected, actual }) = error.conflict_data()
                        else {
                            panic!("{error:?}");
                        };
                        What::Refused {
                            next,
                            expected,
                            actual,
                        }
                    }
                }
            };
            let end = self.tick();
            match &what {
                What::Read(request) | What::Wrote(request) => {
                    self.known[which] = Arc::clone(request);
                }
                What::Refused { .. } => {}
            }
            self.seen[which].push(Call { begin, end, what });
            if matches!(self.seen[which].last(), Some(call) if matches!(call.what, What::Refused { .. }))
            {
                let begin = self.tick();
                let found = settle!(self.store.get(known.id()));
                let found = found.expect("a request");
                let end = self.tick();
                self.known[which] = Arc::clone(&found);
                let what = What::Read(found);
                self.seen[which].push(Call { begin, end, what });
            }
        }
        self.seen
    }
}

/// Cuts connections one after the other, before the server sees what is sent or instead of its
/// answer.
async fn cut(proxies: Vec<FaultProxy>, stop: Arc<AtomicBool>) -> u32 {
    let faults = [Fault::CutBeforeForward, Fault::CutBeforeReply];
    let turns = faults.iter().cycle().zip(proxies.iter().cycle());
    for (fault, proxy) in turns {
        let before = proxy.cuts();
        proxy.once(*fault);
        while proxy.cuts() == before && !stop.load(Ordering::Acquire) {
            tokio::task::yield_now().await;
        }
        if stop.load(Ordering::Acquire) {
            proxy.set(Fault::None);
            break;
        }
    }
    proxies.iter().map(FaultProxy::cuts).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_order_explains_what_everybody_saw() {
    explained(false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_order_explains_it_while_connections_are_cut() {
    explained(true).await;
}

async fn explained(cuts: bool) {
    let server = server(Persistence::None).await;
    for partitions in [1, 4] {
        let options = options().partitions(partitions);
        let (mut handles, mut proxies) = (Vec::new(), Vec::new());
        for cache in [0, 1 << 20, 1 << 20] {
            let proxy = FaultProxy::start(server.port()).await;
            let url = if cuts { &proxy.url() } else { server.url() };
            handles.push(open(url, &options.clone().cache_bytes(cache)).await);
            proxies.push(proxy);
        }
        let (stop, repeated) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let ids = Arc::new(SeededIds::new(1));
        let mut requests = Vec::new();
        for i in 0..3 {
            let request = RequestBuilder::new(&ids, NOW)
                .state(&format!("state-{i}"))
                .expires_in(Duration::from_secs(60))
                .asks(["bob"])
                .build();
            handles[0]
                .create(Arc::clone(&request))
                .await
                .expect("an answer");
            requests.push(request);
        }
        let clock = Arc::new(AtomicU64::new(1));
        let workers: Vec<_> = (0..9_u64)
            .map(|seed| {
                let worker = Worker {
                    store: handles[usize::try_from(seed % 3).expect("an answer")].clone(),
                    clock: Arc::clone(&clock),
                    ids: Arc::clone(&ids),
                    random: seed,
                    known: requests.clone(),
                    seen: vec![Vec::new(); requests.len()],
                    repeated: Arc::clone(&repeated),
                };
                tokio::spawn(worker.work(60))
            })
            .collect();
        let cutting = cuts.then(|| tokio::spawn(cut(proxies, Arc::clone(&stop))));
        // The index is built anew meanwhile, which nobody may notice.
        let other = open(server.url(), &options).await;
        other.rebuild().await.expect("an answer");
        let mut seen: Vec<Vec<Call>> = vec![Vec::new(); requests.len()];
        for worker in workers {
            for (all, calls) in seen.iter_mut().zip(worker.await.expect("an answer")) {
                all.extend(calls);
            }
        }
        stop.store(true, Ordering::Release);
        if let Some(cutting) = cutting {
            let (cuts, repeated) = (
                cutting.await.expect("an answer"),
                repeated.load(Ordering::Acquire),
            );
            assert!(
                cuts > 20 && repeated > 0,
                "{cuts} cuts, {repeated} repeated"
            );
        }
        for (request, calls) in requests.iter().zip(&seen) {
            check(request, calls).await.expect("an answer");
            let writes = calls.iter().filter(|call| call.is_write()).count();
            let refused = calls
                .iter()
                .filter(|call| matches!(call.what, What::Refused { .. }))
                .count();
            assert!(writes > 10 && refused > 0, "{writes} {refused}");
            let stored = other
                .get(request.id())
                .await
                .expect("an answer")
                .expect("an answer");
            assert_eq!(
                stored.revision().get(),
                writes as u64 + request.revision().get()
            );
        }
        // Also for a handle that has not heard of the new index yet.
        if cuts {
            // Their ways to the server are gone.
            handles.clear();
        }
        handles.push(other);
        for handle in &handles {
            let report = handle.verify().await.expect("an answer");
            assert!(report.is_clean(), "{report:?}");
        }
    }
}

#[tokio::test]
async fn the_check_finds_what_it_is_for() {
    let ids = SeededIds::new(1);
    let first = RequestBuilder::new(&ids, NOW)
        .expires_in(Duration::from_secs(60))
        .asks(["bob"])
        .build();
    let next = |request: &Arc<MutationRequest>, seconds| {
        let act = Act::new(&actor("alice"), NOW, ids.operation_id());
        let to = NOW.saturating_add(Duration::from_secs(seconds));
        amend_deadline(request, act, Some(to))
    };
    let (a, b) = (next(&first, 100), next(&first, 200));
    let call = |begin, end, what| Call { begin, end, what };
    let wrote = |begin, end, request: &Arc<MutationRequest>| {
        call(begin, end, What::Wrote(Arc::clone(request)))
    };
    let read = |begin, end, request: &Arc<MutationRequest>| {
        call(begin, end, What::Read(Arc::clone(request)))
    };
    let refused = |begin, end, actual: &Arc<MutationRequest>| {
        let what = What::Refused {
            next: Arc::clone(&b),
            expected: first.revision(),
            actual: actual.revision(),
        };
        call(begin, end, what)
    };
    let fine = [
        wrote(1, 4, &a),
        read(2, 3, &first),
        read(2, 6, &a),
        refused(5, 7, &a),
    ];
    check(&first, &fine).await.unwrap();
    // Two writes of one revision, a read of before, one of what is not there yet, and a refusal
    // that no write explains.
    for wrong in [
        &[wrote(1, 2, &a), wrote(3, 4, &b)][..],
        &[wrote(1, 2, &a), read(3, 4, &first)],
        &[read(1, 2, &a), wrote(3, 4, &a)],
        &[refused(1, 2, &a), wrote(3, 4, &a)],
        &[read(1, 2, &b), wrote(1, 2, &a)],
    ] {
        assert!(check(&first, wrong).await.is_err(), "{wrong:?}");
    }
}
