//! Governed changes through the governor on memory, as a whole and step by step.

use std::hint::black_box;

use benches::{Bench, PolicyDocument, PutPolicy};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use governance_core::Digest;
use tokio::runtime::{Builder, Runtime};

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime on this thread")
}

fn steps(c: &mut Criterion) {
    let runtime = runtime();
    let bench = Bench::new().expect("a governor");
    let mut group = c.benchmark_group("change");
    group.bench_function("submit", |b| {
        b.iter_batched(
            || bench.put(),
            |put| runtime.block_on(bench.submit(put)).expect("submitted"),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("vote", |b| {
        b.iter_batched(
            || {
                runtime
                    .block_on(bench.submit(bench.put()))
                    .expect("submitted")
            },
            |id| runtime.block_on(bench.vote(&id)).expect("voted"),
            BatchSize::SmallInput,
        );
    });
    group.bench_function("execute", |b| {
        b.iter_batched(
            || {
                runtime.block_on(async {
                    let id = bench.submit(bench.put()).await.expect("submitted");
                    bench.vote(&id).await.expect("voted");
                    id
                })
            },
            |id| runtime.block_on(bench.execute(&id)).expect("executed"),
            BatchSize::PerIteration,
        );
    });
    group.bench_function("whole", |b| {
        b.iter_batched(
            || bench.put(),
            |put| runtime.block_on(bench.change(put)).expect("changed"),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

fn floor(c: &mut Criterion) {
    let state = PolicyDocument::sample();
    let mutation = PutPolicy::new(state.clone());
    c.bench_function("change/floor", |b| {
        b.iter(|| {
            let encoded = rmp_serde::to_vec_named(black_box(&mutation)).expect("encodes");
            (Digest::of(&encoded), black_box(&state).clone())
        });
    });
}

criterion_group!(benches, steps, floor);
criterion_main!(benches);
