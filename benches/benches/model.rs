//! The model without a store: evaluation, digests, drafts.

use std::hint::black_box;

use benches::{Corpus, person};
use criterion::{Criterion, criterion_group, criterion_main};
use governance_core::{
    Act, Actor, Context, Group, Membership, MutationRequest, OperationId, Reason, Timestamp,
};

fn pending() -> std::sync::Arc<MutationRequest> {
    let corpus = Corpus::new(1_000).expect("a corpus");
    let mut requests = corpus.requests().map(|request| request.expect("a request"));
    requests
        .find(|request| request.awaits_approval())
        .expect("a pending request")
}

fn approvals(c: &mut Criterion) {
    let request = pending();
    let (actor, membership) = person().expect("a person");
    let now = request.updated_at();
    c.bench_function("model/evaluate", |b| {
        b.iter(|| black_box(&request).evaluate(now));
    });
    c.bench_function("model/can_decide", |b| {
        b.iter(|| black_box(&request).can_decide(&actor, &membership, now));
    });
    let from = request.round().rules().requirements()[0].selector();
    let group = from.leaves().find_map(|leaf| match leaf {
        governance_core::Selector::Group(group) => Some(Group::clone(group)),
        _ => None,
    });
    let reviewer = Membership::default().group(group.expect("a group may review"));
    let bob = Actor::user("bob").expect("an id");
    let reason = Reason::new("reads fine to me").expect("a reason");
    let act = Act::new(Context::of(&bob), now, OperationId::from_bytes([1; 16]));
    c.bench_function("model/vote", |b| {
        b.iter(|| {
            let mut draft = request.draft(act.clone());
            draft
                .approve(reviewer.clone(), reason.clone())
                .expect("approved");
            draft.finish()
        });
    });
}

fn digests(c: &mut Criterion) {
    let request = pending();
    let decision = &request.decisions()[0];
    c.bench_function("model/decision digest", |b| {
        b.iter(|| black_box(decision).compute_digest(request.id()));
    });
    c.bench_function("model/verify_history", |b| {
        b.iter(|| black_box(&request).verify_history().expect("whole"));
    });
    c.bench_function("model/encode", |b| {
        b.iter(|| rmp_serde::to_vec_named(&*request).expect("encodes"));
    });
    let stored = rmp_serde::to_vec_named(&*request).expect("encodes");
    c.bench_function("model/decode", |b| {
        b.iter(|| -> MutationRequest { rmp_serde::from_slice(&stored).expect("decodes") });
    });
    c.bench_function("model/due_at of a read request", |b| {
        let read: MutationRequest = rmp_serde::from_slice(&stored).expect("decodes");
        b.iter(|| -> Option<Timestamp> { black_box(&read).due_at() });
    });
}

criterion_group!(benches, approvals, digests);
criterion_main!(benches);
