//! Everything a caller sends is bounded, with a typed error.

use governance_core::{
    Context, Cursor, GovernorBuilder, GovernorError, Limits, OnStale, Order, PageError,
    PageRequest, PolicyDecision, RequestId, StateVersion, Status, SubmitOptions, TooLarge,
    policy_fn,
};
use governance_memory::MemoryStore;
use tests::fixtures::{
    Note, Raise, VirtualClock, World, actor, assert_same, by_risk, of_group, rules, state, user,
};

fn limited(limits: Limits) -> World {
    World::with(|b: GovernorBuilder| {
        let policy = by_risk(rules([of_group("security", 2, "security")]));
        b.policy(policy).limits(limits)
    })
}

fn too_large(error: GovernorError) -> TooLarge {
    match error {
        GovernorError::TooLarge(told) => told,
        other => panic!("{other}"),
    }
}

async fn note(world: &World, length: usize, ballast: usize) -> Result<RequestId, GovernorError> {
    let ballast = "b".repeat(ballast);
    let (alice, team) = (user("alice"), state("team"));
    let submitted = world
        .governor
        .submit(&alice, &team, Note { length, ballast });
    Ok(submitted.await?.id())
}

#[tokio::test]
async fn a_payload_over_the_limit_is_refused_before_anything_is_stored() {
    let world = limited(Limits::default().payload(1_000));
    note(&world, 1, 900).await.unwrap();
    let told = too_large(note(&world, 1, 1_000).await.unwrap_err());
    assert_eq!((told.what, told.limit), ("payload", 1_000));
    assert!(told.actual > 1_000);
    let all = world.governor.query();
    let counted = world.governor.count(&all).await.unwrap();
    assert_eq!(counted, governance_core::Count::Exact(1));
}

#[tokio::test]
async fn ten_megabytes_are_refused_by_default() {
    let world = limited(Limits::default());
    let told = too_large(note(&world, 1, 10 << 20).await.unwrap_err());
    assert_eq!((told.what, told.limit), ("payload", 1 << 20));
}

#[tokio::test]
async fn a_state_over_the_limit_is_refused_and_the_request_stays_approved() {
    let world = limited(Limits::default().state(1_000));
    let id = note(&world, 1_000, 0).await.unwrap();
    let before = world.get(&id).await;
    let told = too_large(world.execute(&id, OnStale::Reject).await.unwrap_err());
    assert_eq!(told.what, "state");
    let dry = too_large(world.dry_run(&id, OnStale::Reject).await.unwrap_err());
    assert_eq!(dry, told);
    let after = world.get(&id).await;
    assert_same(&before, &after, "a state that was too large");
    assert_eq!(world.quota().await.1, StateVersion::ABSENT);
}

#[tokio::test]
async fn metadata_of_every_call_is_bounded() {
    let world = limited(Limits::default().metadata(1_000));
    let id = world.raise(500).await;
    let before = world.get(&id).await;
    let large = |who: &str| Context::of(&user(who)).metadata("blob", "x".repeat(1_000));
    let governor = &world.governor;
    let team = state("team");
    let other = world.raise(501).await;
    for done in [
        governor
            .submit(large("alice"), &team, Raise { by: 1 })
            .await
            .map(drop),
        governor
            .approve(&id, large("bob"), "looks right")
            .await
            .map(drop),
        governor
            .reject(&id, large("bob"), "looks wrong")
            .await
            .map(drop),
        governor
            .withdraw(&id, large("bob"), "on second thought")
            .await
            .map(drop),
        governor
            .cancel(&id, large("alice"), "not needed")
            .await
            .map(drop),
        governor
            .supersede(&id, &other, large("alice"), "better")
            .await
            .map(drop),
        governor
            .amend_reason(&id, large("alice"), "another one")
            .await
            .map(drop),
        governor
            .amend_deadline(&id, large("alice"), None, "longer")
            .await
            .map(drop),
        governor.retry(&id, large("alice"), "again").await.map(drop),
        governor
            .execute(&id, large("eve"), OnStale::Reject)
            .await
            .map(drop),
        governor
            .dry_run(&id, large("eve"), OnStale::Reject)
            .await
            .map(drop),
    ] {
        assert_eq!(too_large(done.unwrap_err()).what, "metadata");
    }
    let after = world.get(&id).await;
    assert_same(&before, &after, "data that was too large");
}

#[tokio::test]
async fn keys_and_nested_values_of_metadata_count_too() {
    let world = limited(Limits::default().metadata(1_000));
    let nested = serde_json::json!([{"a": ["x".repeat(500), {"b": "y".repeat(500)}]}]);
    let calls = [
        Context::of(&user("alice")).metadata("k".repeat(1_000), 1),
        Context::of(&user("alice")).metadata("nested", nested),
        (0..200).fold(Context::of(&user("alice")), |c, i| {
            c.metadata(format!("k{i}"), i)
        }),
    ];
    for call in calls {
        let done = world
            .governor
            .submit(call, &state("team"), Raise { by: 1 })
            .await;
        assert_eq!(too_large(done.unwrap_err()).what, "metadata");
    }
}

#[tokio::test]
async fn a_display_name_is_bounded_like_other_data_of_the_call() {
    let world = limited(Limits::default().metadata(1_000));
    let id = world.raise(500).await;
    let before = world.get(&id).await;
    let alice = user("alice").named("A".repeat(2_000));
    // A cancellation ends the request, so the limit of documents would let it through.
    let done = world.governor.cancel(&id, &alice, "not needed").await;
    assert_eq!(too_large(done.unwrap_err()).what, "metadata");
    let after = world.get(&id).await;
    assert_same(&before, &after, "a name that was too long");
}

#[tokio::test]
async fn a_document_over_the_limit_is_refused_but_can_always_be_ended() {
    let world = limited(Limits::default().document(4_000));
    let id = world.raise(500).await;
    let refused = loop {
        let reason = format!("{}: {}", world.get(&id).await.revision(), "r".repeat(400));
        match world.amend_reason(&id, &reason).await {
            Ok(amended) => assert!(amended.footprint() <= 4_000),
            Err(error) => break too_large(error),
        }
    };
    assert_eq!((refused.what, refused.limit), ("document", 4_000));
    assert_eq!(world.cancel(&id).await.unwrap().status(), Status::Canceled);
}

#[tokio::test]
async fn parties_count_towards_the_document() {
    let limits = Limits::default().document(4_000);
    let denying = World::with(|b| {
        let no = policy_fn("no", |_| Ok(PolicyDecision::deny("no", "no")?));
        b.policy(no).limits(limits)
    });
    for world in [limited(limits), denying] {
        too_many_parties(&world).await;
    }
}

async fn too_many_parties(world: &World) {
    let many = (0..1_000).fold(SubmitOptions::new(), |options, i| {
        options.party(actor(&format!("party-{i}")))
    });
    let (alice, team) = (user("alice"), state("team"));
    let raise = Raise { by: 500 };
    let submitted = world.governor.submit_with(&alice, &team, raise, many);
    let error = submitted.await.expect_err("a refusal");
    assert_eq!(too_large(error).what, "document");
}

#[tokio::test]
async fn the_store_has_a_limit_of_its_own() {
    let clock = VirtualClock::default();
    let store = MemoryStore::builder()
        .clock(clock)
        .document_limit(2_600)
        .build();
    let policy = by_risk(rules([]));
    let world = World::on(|_| store, |b| b.policy(policy));
    let error = note(&world, 1, 3_000).await.unwrap_err();
    assert_eq!(error.code(), "store.too_large");
    let id = note(&world, 3_000, 0).await.unwrap();
    let error = world.execute(&id, OnStale::Reject).await.unwrap_err();
    assert_eq!(error.code(), "store.too_large");
    assert_eq!(world.get(&id).await.status(), Status::Approved);
}

// ---- pages ----

#[test]
fn pages_of_none_or_too_many_are_errors() {
    for limit in [0, 1_001, u16::MAX] {
        assert_eq!(
            PageRequest::first(limit),
            Err(PageError::LimitOutOfRange { limit })
        );
    }
    for limit in [1, 1_000] {
        assert_eq!(PageRequest::first(limit).unwrap().limit(), limit);
    }
}

#[tokio::test]
async fn the_feed_has_the_same_limits() {
    let world = limited(Limits::default());
    for limit in [0, 1_001] {
        let error = world.governor.store().read(None, limit).await.unwrap_err();
        assert_eq!(error.code(), "store.invalid_input");
    }
}

#[tokio::test]
async fn cursors_that_are_foreign_or_made_up_are_errors() {
    let world = limited(Limits::default());
    for by in 0..3 {
        world.raise(500 + by).await;
    }
    let (query, one) = (world.governor.query(), PageRequest::first(1).unwrap());
    let other = world.governor.query().pending();
    let first = world.governor.requests(&other, &one).await.unwrap();
    let foreign = first.next.unwrap();
    let text = foreign.to_string();
    assert_eq!(text.parse::<Cursor>(), Ok(foreign.clone()));
    let cases = [
        (foreign, PageError::CursorForeign),
        (
            Cursor::new(Order::Submission, query.digest(), b""),
            PageError::CursorMalformed,
        ),
        (
            Cursor::new(Order::Submission, query.digest(), &[0xff; 64]),
            PageError::CursorMalformed,
        ),
    ];
    for (cursor, expected) in cases {
        let page = one.clone().after(cursor);
        let error = world.governor.requests(&query, &page).await.unwrap_err();
        assert_eq!(error.code(), expected.code());
        assert!(matches!(error, GovernorError::Page(problem) if problem == expected));
    }
    for text in ["", "AAAA", "%%%", &"A".repeat(5_000)] {
        assert_eq!(text.parse::<Cursor>(), Err(PageError::CursorMalformed));
    }
}
