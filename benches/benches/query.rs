//! From a query to its plan, and from a request to its terms.

use std::hint::black_box;

use benches::{Case, Corpus};
use criterion::{Criterion, criterion_group, criterion_main};
use governance_core::{matches, plan, terms};

fn queries(c: &mut Criterion) {
    let corpus = Corpus::new(1_000).expect("a corpus");
    let request = corpus.requests().nth(1).expect("a request");
    let request = request.expect("a request");
    c.bench_function("query/terms", |b| b.iter(|| terms(black_box(&request))));
    for case in Case::ALL {
        let name = case.as_str();
        let query = case.query().expect("a query");
        c.bench_function(&format!("query/plan/{name}"), |b| {
            b.iter(|| plan(black_box(&query)));
        });
        c.bench_function(&format!("query/digest/{name}"), |b| {
            b.iter(|| black_box(&query).digest());
        });
        let now = request.updated_at();
        c.bench_function(&format!("query/matches/{name}"), |b| {
            b.iter(|| matches(black_box(&query), &request, now));
        });
    }
}

criterion_group!(benches, queries);
criterion_main!(benches);
