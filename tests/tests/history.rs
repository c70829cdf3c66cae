//! Tampering: any edit of the serialized history is found by `verify_history`.

use std::{
    collections::BTreeSet,
    sync::{Arc, LazyLock},
    time::Duration,
};

use governance_core::{
    Act, ApprovalQuery, Context, CorrelationId, DecisionCategory, Denial, Failure, HistoryProblem,
    IdempotencyKey, Judgement, Membership, MutationRequest, OnStale, OperationId, Reason,
    RequestQuery, SubmitOptions, Timestamp, approval_views, matches, terms,
};
use proptest::prelude::*;
use serde_json::Value;
use tests::fixtures::{
    Quota, Raise, World, actor, assert_whole, by_risk, group, label, named, of_group, of_role,
    rules, service, state, user,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Requests with every kind of decision between them, as JSON.
static STORIES: LazyLock<Vec<(&'static str, Value)>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.expect("a runtime").block_on(stories())
});

fn world() -> World {
    World::new(by_risk(rules([
        of_group("security", 2, "security").denied_by(2),
        of_role("owner", 1, "owner").in_stage(2),
    ])))
}

async fn stories() -> Vec<(&'static str, Value)> {
    let mut stories = Vec::new();
    let mut keep = |name, request: &MutationRequest| {
        assert_whole(request);
        let json = serde_json::to_value(request).expect("a request as JSON");
        stories.push((name, json));
    };
    let options = || {
        SubmitOptions::new()
            .expires_in(HOUR)
            .reason("for the launch")
    };

    let world = world();
    let id = world.raise_with(500, options()).await;
    let vote = Context::of(&user("bob").named("Bob")).metadata("client", "web");
    let done = world.governor.approve(&id, vote, "looks right").await;
    keep("pending", &done.expect("a vote"));
    world.tick_over();
    world.withdraw(&id, "bob").await.expect("a withdrawal");
    let denial = Denial::because("too much").code("scope").expect("a code");
    let denied = world.governor.reject(&id, &user("bob"), denial).await;
    denied.expect("a denial");
    for voter in ["carol", "dave", "frank"] {
        world.tick_over();
        world.approve(&id, voter).await.expect("a vote");
    }
    keep("approved", &*world.get(&id).await);
    world.put(&Quota::of(3)).await;
    let renewed = world.execute(&id, OnStale::RenewApproval).await;
    keep("renewed", renewed.expect("a renewal").request());
    for voter in ["bob", "erin", "frank"] {
        world.approve(&id, voter).await.expect("a vote");
    }
    world.put(&Quota::of(4)).await;
    let executed = world.execute(&id, OnStale::AnyVersion).await;
    keep("executed", executed.expect("an execution").request());

    world.put(&Quota::of(4).frozen()).await;
    let id = world.raise(1).await;
    world
        .execute(&id, OnStale::Reject)
        .await
        .expect("a failure");
    keep("failed", &*world.get(&id).await);
    let retried = world.retry(&id).await;
    keep("retried", &retried.expect("a retry"));

    let (old, new) = (world.raise(501).await, world.raise(502).await);
    world.supersede(&old, &new).await.expect("a supersession");
    keep("superseded", &*world.get(&old).await);
    keep("superseding", &*world.get(&new).await);
    let amended = world.amend_reason(&new, "another one").await;
    amended.expect("an amendment");
    world.clock.advance(HOUR);
    let later = world.clock.read().saturating_add(HOUR);
    let amended = world.amend_deadline(&new, Some(later)).await;
    keep("amended", &amended.expect("an amendment"));
    world.clock.advance(HOUR);
    world.tick().await;
    keep("expired", &*world.get(&new).await);

    let strict = World::new(by_risk(rules([named("owner", 1, &["bob"])])));
    let id = strict.raise(500).await;
    keep(
        "rejected",
        &strict.deny(&id, "bob").await.expect("a denial"),
    );
    let full = full(&strict).await;
    keep("full", &full);
    stories
}

/// A request with everything a proposal can have, approved.
async fn full(world: &World) -> Arc<MutationRequest> {
    let key = IdempotencyKey::new("launch").expect("a key");
    let options = SubmitOptions::new()
        .idempotency_key(key)
        .party(actor("dave"));
    let correlation = CorrelationId::new("launch").expect("an id");
    let by = Context::of(&service("portal"))
        .on_behalf_of(actor("alice"))
        .correlation(correlation)
        .metadata("ticket", 4_711);
    let (governor, team) = (&world.governor, state("team"));
    let submit = governor.submit_with(by, &team, Raise { by: 500 }, options);
    let id = submit.await.expect("a submission").id();
    world.approve(&id, "bob").await.expect("a vote")
}

/// Where all the leaves of a value are, as JSON pointers.
fn leaves(value: &Value) -> Vec<String> {
    fn walk(value: &Value, at: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    walk(value, &format!("{at}/{key}"), found);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (i, value) in items.iter().enumerate() {
                    walk(value, &format!("{at}/{i}"), found);
                }
            }
            _ => found.push(at.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk(value, "", &mut found);
    found
}

/// Something else of the same kind, by a number.
fn changed(leaf: &Value, by: u64) -> Value {
    match leaf {
        Value::Bool(yes) => (!yes).into(),
        Value::Number(number) => number
            .as_u64()
            .map_or(Value::Null, |n| n.wrapping_add(1 + by % 1_000).into()),
        Value::String(text) => {
            // Mostly another text of the same shape: ids and digests have to stay readable.
            let mut chars: Vec<char> = text.chars().collect();
            let at = usize::try_from(by).unwrap_or(0) % chars.len().max(1);
            match chars.get_mut(at) {
                Some(c) => *c = if *c == 'a' { 'b' } else { 'a' },
                None => chars.push('a'),
            }
            chars.into_iter().collect::<String>().into()
        }
        Value::Null => true.into(),
        Value::Array(_) => serde_json::json!(["a"]),
        Value::Object(_) => serde_json::json!({"a": 1}),
    }
}

/// Takes out what is there.
fn remove(value: &mut Value, at: &str) {
    let (parent, key) = at.rsplit_once('/').expect("a pointer");
    match value.pointer_mut(parent) {
        Some(Value::Object(map)) => drop(map.remove(key)),
        Some(Value::Array(items)) => drop(items.remove(key.parse().expect("an index"))),
        _ => panic!("nothing at {parent}"),
    }
}

/// Whether somebody who reads this document would notice: it is no request, or not a whole one,
/// or it is the very same request after all.
fn noticed(original: &Value, edited: Value) -> bool {
    let Ok(request) = serde_json::from_value::<MutationRequest>(edited) else {
        return true;
    };
    let same = serde_json::to_value(&request).is_ok_and(|read| read == *original);
    same || request.verify_history().is_err()
}

/// Whether the head of a document cut off at this length would be where its last decision left
/// it: then it is a whole history of the same write, and nothing is there to notice.
fn matches_head(story: &Value, length: usize) -> bool {
    let head = |v: &Value, at: &str| (v["status"].clone(), v["revision"].clone(), v[at].clone());
    length
        .checked_sub(1)
        .is_some_and(|last| head(&story["decisions"][last], "at") == head(story, "updated_at"))
}

fn decisions(story: &Value) -> usize {
    story["decisions"].as_array().map_or(0, Vec::len)
}

fn with_decisions(story: &Value, edit: impl FnOnce(&mut Vec<Value>)) -> Value {
    let mut edited = story.clone();
    edit(edited["decisions"].as_array_mut().expect("decisions"));
    edited
}

#[test]
fn every_story_is_whole_and_comes_back_from_json() {
    for (name, story) in &*STORIES {
        let request: MutationRequest = serde_json::from_value(story.clone()).unwrap();
        request.verify_history().unwrap();
        assert_eq!(serde_json::to_value(&request).unwrap(), *story, "{name}");
    }
}

#[test]
fn the_stories_have_decisions_of_every_family() {
    let mut told = BTreeSet::new();
    for (_, story) in &*STORIES {
        let request: MutationRequest = serde_json::from_value(story.clone()).unwrap();
        told.extend(request.decisions().iter().map(|d| d.kind().category()));
    }
    assert!(told.into_iter().eq(DecisionCategory::ALL));
}

#[test]
fn every_leaf_of_every_decision_is_covered() {
    for (name, story) in &*STORIES {
        for leaf in leaves(&story["decisions"]) {
            for by in [0, 7] {
                let mut edited = story.clone();
                let at = edited.pointer_mut(&format!("/decisions{leaf}")).unwrap();
                *at = changed(at, by);
                assert!(noticed(story, edited), "{name}: {leaf}");
            }
        }
    }
}

#[test]
fn every_leaf_of_every_decision_that_is_left_out_is_missed() {
    for (name, story) in &*STORIES {
        for leaf in leaves(&story["decisions"]) {
            let mut edited = story.clone();
            remove(&mut edited, &format!("/decisions{leaf}"));
            assert!(noticed(story, edited), "{name}: {leaf}");
        }
    }
}

#[test]
fn every_decision_that_is_dropped_repeated_or_swapped_is_noticed() {
    for (name, story) in &*STORIES {
        let n = decisions(story);
        for i in 0..n {
            let dropped = with_decisions(story, |d| drop(d.remove(i)));
            let cut = i + 1 == n && matches_head(story, i);
            assert!(cut || noticed(story, dropped), "{name}: {i} dropped");
            for j in [0, i, i + 1, n] {
                let repeated = with_decisions(story, |d| d.insert(j, d[i].clone()));
                assert!(noticed(story, repeated), "{name}: {i} again at {j}");
            }
            for j in [0, i.saturating_sub(1)].into_iter().filter(|j| *j != i) {
                let swapped = with_decisions(story, |d| d.swap(i, j));
                assert!(noticed(story, swapped), "{name}: {i} and {j} swapped");
            }
        }
    }
}

#[test]
fn a_decision_of_another_request_is_noticed_at_the_same_place() {
    let stories = &*STORIES;
    for (name, story) in stories {
        for (other_name, other) in stories {
            if name == other_name || story["proposal"]["id"] == other["proposal"]["id"] {
                continue;
            }
            for i in 0..decisions(story).min(decisions(other)) {
                let moved = other["decisions"][i].clone();
                let edited = with_decisions(story, |d| d[i] = moved);
                assert!(noticed(story, edited), "{name}: {i} of {other_name}");
            }
        }
    }
}

/// A whole history of another moment is a whole history: this is what anchoring the last digest
/// somewhere else is for.
#[test]
fn decisions_cut_off_together_with_a_matching_head_are_not_noticed() {
    let of = |name| &STORIES.iter().find(|(n, _)| *n == name).unwrap().1;
    let (before, after) = (of("approved"), of("executed"));
    assert_eq!(before["proposal"]["id"], after["proposal"]["id"]);
    let cut: MutationRequest = serde_json::from_value(before.clone()).unwrap();
    cut.verify_history().unwrap();
    // Somebody who kept the last digest does notice.
    let whole: MutationRequest = serde_json::from_value(after.clone()).unwrap();
    let anchor = whole.decisions().last().map(|d| *d.digest());
    assert!(cut.decisions().iter().all(|d| Some(*d.digest()) != anchor));
    // And the head alone is not enough to cut.
    let edited = with_decisions(after, |d| drop(d.pop()));
    let edited: MutationRequest = serde_json::from_value(edited).unwrap();
    let problem = edited.verify_history().unwrap_err().problem();
    assert_eq!(problem, HistoryProblem::Head);
}

#[test]
fn a_story_has_everything_a_proposal_can_have() {
    let (_, story) = STORIES.iter().find(|(n, _)| *n == "full").unwrap();
    let proposal = story["proposal"].as_object().unwrap();
    assert_eq!(proposal.len(), 12, "a field that no story has");
}

/// Nothing beside the history is taken on trust either.
#[test]
fn every_leaf_beside_the_history_is_held_against_it() {
    for (name, story) in &*STORIES {
        for leaf in leaves(story) {
            if leaf.starts_with("/decisions") {
                continue;
            }
            let mut edited = story.clone();
            let at = edited.pointer_mut(&leaf).unwrap();
            *at = changed(at, 0);
            assert!(noticed(story, edited), "{name}: {leaf} changed");
            let mut edited = story.clone();
            remove(&mut edited, &leaf);
            assert!(noticed(story, edited), "{name}: {leaf} left out");
        }
    }
}

/// Whole branches too: the votes, the failure, the links.
#[test]
fn every_part_beside_the_history_that_is_left_out_is_missed() {
    for (name, story) in &*STORIES {
        for part in ["/reason", "/expires_at", "/pending", "/execution", "/links"] {
            let Some(there) = story.pointer(part) else {
                continue;
            };
            if leaves(there).len() <= 1 && there.as_object().is_some_and(|m| m.is_empty()) {
                continue;
            }
            let mut edited = story.clone();
            remove(&mut edited, part);
            assert!(noticed(story, edited), "{name}: {part}");
        }
        for part in ["/round/votes", "/round/stages", "/execution/failure"] {
            if story.pointer(part).is_some() {
                let mut edited = story.clone();
                remove(&mut edited, part);
                assert!(noticed(story, edited), "{name}: {part}");
            }
        }
    }
}

/// Values at the ends of what there is, of any kind.
fn extremes() -> Vec<Value> {
    let numbers = [
        0.into(),
        1.into(),
        (-1).into(),
        u16::MAX.into(),
        u32::MAX.into(),
        i64::MAX.into(),
        i64::MIN.into(),
        u64::MAX.into(),
    ];
    let others = [
        Value::Null,
        "".into(),
        "\u{10ffff}".into(),
        Value::from([0]),
    ];
    numbers.into_iter().chain(others).collect()
}

/// Everything that is done with a request, whatever comes of it.
fn use_all_of(request: &MutationRequest) {
    let now = request.updated_at();
    for at in [now, Timestamp::MAX, Timestamp::from_micros(i64::MIN)] {
        let _ = (request.evaluate(at), request.due_at(), request.footprint());
        let all = RequestQuery::all_tenants();
        for query in [all.clone().due_by(at), all.clone().text("a"), all.clone()] {
            let _ = matches(&query, request, at);
        }
        let _ = approval_views(&ApprovalQuery::of(all), request, at);
        let operation = OperationId::from_bytes([9; 16]);
        for who in ["alice", "bob", "frank"] {
            let draft = || request.draft(Act::new(&user(who), at, operation));
            let lead = || Membership::default().group(group("security"));
            let reason = || Reason::new("looks right").expect("a reason");
            let version = request.approved_version();
            let _ = draft().approve(lead(), reason());
            let _ = draft().approve_among(lead(), reason(), &[]);
            let _ = draft().deny(lead(), reason(), &Denial::because("no"));
            let _ = draft().withdraw(reason());
            let _ = draft().cancel(reason());
            let _ = draft().expire();
            let _ = draft().amend_deadline(Some(Timestamp::MAX), reason());
            let _ = draft().retry(reason());
            let _ = draft().reject_stale(version);
            let _ = draft().accept_any_version(version);
            let _ = draft().renew(version, &Judgement::allowed(Vec::new()));
            let _ = draft().complete(version, version.next(), Vec::new(), Vec::new());
            let failure = Failure {
                code: label("x"),
                message: String::new(),
                retryable: true,
            };
            let _ = draft().fail(failure);
            let _ = draft().reject_if_unreachable(&[]);
            let _ = request.can_decide(user(who).id(), &lead(), at);
        }
    }
    let _ = (
        terms(request),
        request.check_new(),
        request.check_extends(request),
    );
    let _ = (request.verify_history(), request.links().iter().count());
    let _ = (format!("{request:?}"), now.to_string());
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_single_edit_of_the_history_is_found(
        story in any::<prop::sample::Index>(),
        leaf in any::<prop::sample::Index>(),
        by in any::<u64>(),
    ) {
        let (name, story) = story.get(&STORIES);
        let leaves = leaves(&story["decisions"]);
        let leaf = leaf.get(&leaves);
        let mut edited = story.clone();
        let at = edited.pointer_mut(&format!("/decisions{leaf}")).unwrap();
        *at = changed(at, by);
        prop_assert!(noticed(story, edited), "{}: {}", name, leaf);
    }

    /// A store may give back anything. It is refused where it matters, and never the end of a
    /// process.
    #[test]
    fn nothing_panics_on_a_record_that_was_edited(
        story in any::<prop::sample::Index>(),
        leaf in any::<prop::sample::Index>(),
        extreme in any::<prop::sample::Index>(),
    ) {
        let (_, story) = story.get(&STORIES);
        let mut edited = story.clone();
        let leaves = leaves(story);
        let (leaf, extremes) = (leaf.get(&leaves), extremes());
        *edited.pointer_mut(leaf).unwrap() = extreme.get(&extremes).clone();
        if let Ok(request) = serde_json::from_value::<MutationRequest>(edited) {
            use_all_of(&request);
        }
    }

    #[test]
    fn any_other_order_of_the_history_is_found(
        story in any::<prop::sample::Index>(),
        order in any::<u64>(),
    ) {
        let (name, story) = story.get(&STORIES);
        let edited = with_decisions(story, |d| {
            tests::fixtures::Shuffle::seeded(order).shuffle(d);
        });
        prop_assert!(edited == *story || noticed(story, edited), "{}", name);
    }

    #[test]
    fn any_piece_cut_out_of_the_history_is_found(
        story in any::<prop::sample::Index>(),
        from in any::<prop::sample::Index>(),
        count in 1_usize..4,
    ) {
        let (name, story) = story.get(&STORIES);
        let n = decisions(story);
        let from = from.index(n);
        let edited = with_decisions(story, |d| drop(d.drain(from..(from + count).min(n))));
        prop_assume!(from + count < n || !matches_head(story, from));
        prop_assert!(noticed(story, edited), "{}", name);
    }
}
