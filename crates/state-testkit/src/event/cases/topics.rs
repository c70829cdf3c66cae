//! Events of a topic come to who listens.

use bytes::Bytes;
use state_core::{
    Capability, Classified as _, ErrorKind, Namespace,
    event::{Event, Signal, Start, State, SubscribeOptions},
};

use crate::event::{Bench, Recorder, bench::event};

/// Everything that is published comes, in order, once, to everybody.
pub async fn events_come_in_order_and_once(bench: &Bench) {
    let options = SubscribeOptions::default();
    let (one, two) = (
        bench.near(Bench::options()).0,
        bench.near(Bench::options()).0,
    );
    let (first, second) = (
        bench.listening(&one, options).await,
        bench.listening(&two, options).await,
    );
    let far = bench.far();
    let mut expected = vec!["resumed".to_owned()];
    for number in 0..300 {
        let kind = format!("event.{number}");
        far.publish(&Bench::topic(), &event(&kind)).await.unwrap();
        expected.push(kind);
    }
    for listening in [first, second] {
        listening.recorder.until_event("event.299").await;
        assert_eq!(listening.recorder.words(), expected);
        assert_eq!(listening.subscription.state(), State::Live);
        listening.subscription.close().await;
    }
}

/// One's own events are told to the others only, unless wanted.
pub async fn n_eb_2_who_publishes_is_not_told(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let others = bench.listening(&events, SubscribeOptions::default()).await;
    let all = bench
        .listening(&events, SubscribeOptions::default().own(true))
        .await;
    events
        .publish(&Bench::topic(), &event("mine"))
        .await
        .unwrap();
    bench
        .far()
        .publish(&Bench::topic(), &event("yours"))
        .await
        .unwrap();
    others.recorder.until_event("yours").await;
    all.recorder.until_event("yours").await;
    assert_eq!(others.recorder.words(), ["resumed", "yours"]);
    assert_eq!(all.recorder.words(), ["resumed", "mine", "yours"]);
}

/// Who is told can tell one event from another.
pub async fn n_eb_3_events_have_an_id_and_a_number(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    let payload = Bytes::from_static(&[0, 255]);
    let mut published = Vec::new();
    for kind in ["a", "b"] {
        let event = Event::new(kind, payload.clone()).unwrap();
        published.push(far.publish(&Bench::topic(), &event).await.unwrap());
    }
    listening.recorder.until_event("b").await;
    let told = listening.recorder.told();
    for (signal, (published, seq)) in told[1..].iter().zip(published.iter().zip(1..)) {
        let Signal::Event(received) = signal else {
            panic!("two events were published");
        };
        assert_eq!((received.id(), received.seq()), (published.id(), seq));
        assert_eq!(published.seq(), seq);
        assert_eq!(received.event().payload(), &payload);
    }
    assert!(published[0].id() < published[1].id());
    bench
        .until(|| listening.subscription.position() == published[1].id())
        .await;
}

/// A reader can go on where another one was.
pub async fn reading_starts_behind_an_event(bench: &Bench) {
    let far = bench.far();
    let mut published = Vec::new();
    for kind in ["a", "b", "c"] {
        published.push(
            far.publish(&Bench::topic(), &event(kind))
                .await
                .unwrap()
                .id(),
        );
    }
    let (events, _) = bench.near(Bench::options());
    let options = SubscribeOptions::default().start(Start::After(published[0]));
    let listening = bench.listening(&events, options).await;
    assert_eq!(listening.recorder.words(), ["b", "c", "resumed"]);
    let options = SubscribeOptions::default().start(Start::After(published[2]));
    let listening = bench.listening(&events, options).await;
    assert_eq!(listening.recorder.words(), ["resumed"]);
}

/// Publishing at the same time does not mix up the numbers.
pub async fn numbers_are_in_the_order_of_the_log(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    let mut publishing = tokio::task::JoinSet::new();
    for number in 0..50 {
        let far = far.clone();
        publishing.spawn(async move {
            let event = event(&format!("e{number}"));
            far.publish(&Bench::topic(), &event).await.unwrap()
        });
    }
    publishing.join_all().await;
    listening.recorder.until(|told| told.len() > 50).await;
    let told = listening.recorder.told();
    let numbers: Vec<u64> = told
        .iter()
        .filter_map(|signal| match signal {
            Signal::Event(received) => Some(received.seq()),
            _ => None,
        })
        .collect();
    assert_eq!(numbers, (1..=50).collect::<Vec<_>>());
}

/// A topic has its own events and its own numbers.
pub async fn topics_are_apart(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    let other = Namespace::new("news2").unwrap();
    assert_eq!(far.publish(&other, &event("other")).await.unwrap().seq(), 1);
    assert_eq!(
        far.publish(&Bench::topic(), &event("this"))
            .await
            .unwrap()
            .seq(),
        1
    );
    listening.recorder.until_event("this").await;
    assert_eq!(listening.recorder.words(), ["resumed", "this"]);
}

/// Bounds are errors, and use no number.
pub async fn what_is_too_large_is_refused(bench: &Bench) {
    let (events, _) = bench.near(Bench::options().max_message_bytes(128));
    let large = Event::new("e", Bytes::from(vec![0; 128])).unwrap();
    let error = events.publish(&Bench::topic(), &large).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.code()),
        (ErrorKind::TooLarge, "event.too_large")
    );
    let fits = Event::new("e", Bytes::from(vec![0; 128 - 27])).unwrap();
    assert_eq!(
        events.publish(&Bench::topic(), &fits).await.unwrap().seq(),
        1
    );
}

/// An error and a panic of the handler are counted, and reading goes on.
pub async fn a_handler_that_fails_is_told_the_next_thing(bench: &Bench) {
    let (events, told) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    for kind in ["fail", "panic", "fine"] {
        far.publish(&Bench::topic(), &event(kind)).await.unwrap();
    }
    listening.recorder.until_event("fine").await;
    listening.subscription.close().await;
    let outcomes: Vec<_> = told
        .take()
        .into_iter()
        .filter(|(_, operation, _)| *operation == "handle")
        .map(|(_, _, outcome)| outcome)
        .collect();
    assert_eq!(outcomes, ["handled", "failed", "panicked", "handled"]);
}

/// When closing returns, the handler is left alone.
pub async fn n_eb_4_nothing_is_told_after_the_end(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    listening.recorder.go_on(false);
    far.publish(&Bench::topic(), &event("a")).await.unwrap();
    far.publish(&Bench::topic(), &event("b")).await.unwrap();
    listening.recorder.until_event("a").await;
    let recorder: Recorder = listening.recorder.clone();
    let mut closing = Box::pin(listening.subscription.close());
    // What the handler is doing is waited for.
    tokio::select! {
        biased;
        () = &mut closing => panic!("the handler is still busy"),
        () = std::future::ready(()) => {}
    }
    recorder.go_on(true);
    closing.await;
    far.publish(&Bench::topic(), &event("c")).await.unwrap();
    let (events, _) = bench.near(Bench::options());
    let later = bench.listening(&events, SubscribeOptions::default()).await;
    far.publish(&Bench::topic(), &event("d")).await.unwrap();
    later.recorder.until_event("d").await;
    assert_eq!(recorder.words(), ["resumed", "a"]);
}

/// Observers hear of each thing once.
pub async fn each_outcome_is_told_once(bench: &Bench) {
    let (events, told) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    bench
        .until(|| listening.subscription.state() == State::Live)
        .await;
    let of = |expected: &[(&'static str, &'static str)]| {
        let mut told = told.take();
        told.sort_by_key(|(_, operation, _)| *operation);
        let expected: Vec<_> = expected
            .iter()
            .map(|(what, how)| (Capability::Event, *what, *how))
            .collect();
        assert_eq!(told, expected);
    };
    of(&[("handle", "handled"), ("resume", "resumed")]);
    events
        .publish(&Bench::topic(), &event("mine"))
        .await
        .unwrap();
    of(&[("publish", "published")]);
    let published = bench
        .far()
        .publish(&Bench::topic(), &event("yours"))
        .await
        .unwrap();
    bench
        .until(|| listening.subscription.position() == published.id())
        .await;
    of(&[("handle", "handled"), ("receive", "queued")]);
    assert_eq!(listening.subscription.lag().queued, 0);
}
