//! Reads of a store in memory with 10 000 pending requests.

use std::{hint::black_box, sync::Arc};

use benches::{Case, Corpus};
use criterion::{Criterion, criterion_group, criterion_main};
use governance_core::{PageRequest, RequestQueries as _, RequestStore as _};
use governance_memory::MemoryStore;
use tokio::runtime::{Builder, Runtime};

fn filled(runtime: &Runtime) -> MemoryStore {
    let store = MemoryStore::new();
    let corpus = Corpus::new(10_000).expect("a corpus");
    runtime.block_on(async {
        for request in corpus.requests() {
            let request = request.expect("a request");
            store.create(request).await.expect("stored");
        }
    });
    store
}

fn reads(c: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime on this thread");
    let store = filled(&runtime);
    let ids: Vec<_> = Corpus::new(10_000)
        .expect("a corpus")
        .requests()
        .map(|request| *request.expect("a request").id())
        .collect();
    let mut turn = ids.iter().cycle();
    c.bench_function("store/get", |b| {
        b.iter(|| {
            let id = turn.next().expect("a cycle does not end");
            runtime.block_on(store.get(id)).expect("read")
        });
    });
    let page = PageRequest::first(50).expect("a page");
    for case in Case::ALL {
        let query = case.query().expect("a query");
        c.bench_function(&format!("store/page/{}", case.as_str()), |b| {
            b.iter(|| {
                let page = store.requests(black_box(&query), &page);
                runtime.block_on(page).expect("read")
            });
        });
        c.bench_function(&format!("store/count/{}", case.as_str()), |b| {
            b.iter(|| runtime.block_on(store.count(&query)).expect("counted"));
        });
    }
}

fn writes(c: &mut Criterion) {
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime on this thread");
    let corpus = Corpus::new(10_000).expect("a corpus");
    let requests: Vec<_> = corpus
        .requests()
        .collect::<Result<_, _>>()
        .expect("requests");
    c.bench_function("store/create 10 000", |b| {
        b.iter(|| {
            let store = MemoryStore::new();
            runtime.block_on(async {
                for request in &requests {
                    store.create(Arc::clone(request)).await.expect("stored");
                }
            });
            store
        });
    });
}

criterion_group!(benches, reads, writes);
criterion_main!(benches);
