//! Nothing is missing in silence.

use std::time::Duration;

use bytes::Bytes;
use state_core::event::{GapReason, Keep, Message, Origin, Signal, Start, State, SubscribeOptions};

use crate::event::{Bench, bench::event};

const KEEP: Keep = Keep {
    max_len: 1_000,
    retention: Duration::from_secs(600),
};

/// An interruption costs nothing as long as the log has it.
pub async fn n_eb_1_what_happened_while_the_line_was_cut_is_told(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    far.publish(&Bench::topic(), &event("before"))
        .await
        .unwrap();
    listening.recorder.until_event("before").await;
    bench.line.cut().await;
    bench
        .until(|| listening.subscription.state() == State::Interrupted)
        .await;
    assert!(!listening.subscription.is_live());
    for kind in ["while.1", "while.2"] {
        far.publish(&Bench::topic(), &event(kind)).await.unwrap();
    }
    bench.line.mend().await;
    bench.until(|| listening.subscription.is_live()).await;
    let expected = ["resumed", "before", "while.1", "while.2", "resumed"];
    assert_eq!(listening.recorder.words(), expected);
}

/// A cut of the log that reaches what was not read is a gap, told before what comes then.
pub async fn t_eb_2_a_log_cut_behind_the_reader_is_a_gap(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    far.publish(&Bench::topic(), &event("before"))
        .await
        .unwrap();
    listening.recorder.until_event("before").await;
    bench.line.cut().await;
    bench
        .until(|| listening.subscription.state() == State::Interrupted)
        .await;
    for kind in ["lost.1", "lost.2", "kept"] {
        far.publish(&Bench::topic(), &event(kind)).await.unwrap();
    }
    bench.line.trim(&Bench::topic(), 1).await;
    bench.line.mend().await;
    bench.until(|| listening.subscription.is_live()).await;
    let expected = ["resumed", "before", "gap:trimmed", "kept", "resumed"];
    assert_eq!(listening.recorder.words(), expected);
}

/// A log that begins anew is a gap, and is read from its beginning.
pub async fn t_eb_3_a_lost_log_is_a_gap(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    far.publish(&Bench::topic(), &event("before"))
        .await
        .unwrap();
    listening.recorder.until_event("before").await;
    bench.line.cut().await;
    bench
        .until(|| listening.subscription.state() == State::Interrupted)
        .await;
    bench.line.lose(&Bench::topic()).await;
    bench.line.mend().await;
    bench.until(|| listening.subscription.is_live()).await;
    listening.recorder.until_gap(GapReason::Lost).await;
    far.publish(&Bench::topic(), &event("after")).await.unwrap();
    listening.recorder.until_event("after").await;
    let expected = ["resumed", "before", "gap:lost", "resumed", "after"];
    assert_eq!(listening.recorder.words(), expected);
}

/// A handler that cannot follow is told so, and goes on with what is new.
pub async fn n_eb_5_a_handler_that_is_too_slow_is_told_of_a_gap(bench: &Bench) {
    let (events, _) = bench.near(Bench::options().queue(3));
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let far = bench.far();
    listening.recorder.go_on(false);
    far.publish(&Bench::topic(), &event("first")).await.unwrap();
    listening.recorder.until_event("first").await;
    for number in 0..8 {
        far.publish(&Bench::topic(), &event(&format!("e{number}")))
            .await
            .unwrap();
    }
    let last = far.publish(&Bench::topic(), &event("last")).await.unwrap();
    bench
        .until(|| listening.subscription.lag().queued > 0)
        .await;
    listening.recorder.go_on(true);
    listening.recorder.until_event("last").await;
    bench
        .until(|| listening.subscription.position() == last.id())
        .await;
    let words = listening.recorder.words();
    let gap = words
        .iter()
        .position(|word| word == "gap:overflow")
        .expect("there was no room");
    // What comes after the gap is complete.
    let tail: Vec<String> = (0..8).map(|number| format!("e{number}")).collect();
    let after = &words[gap + 1..words.len() - 1];
    assert!(
        tail.ends_with(after) || after.contains(&"gap:overflow".to_owned()),
        "{words:?}"
    );
}

/// A jump of the numbers of one who publishes is a gap.
pub async fn a_number_that_did_not_come_is_a_gap(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    for (origin, seq) in [(1, 7), (1, 8), (2, 1), (1, 10), (2, 2)] {
        append(bench, origin, seq).await;
    }
    listening.recorder.until_event("2.2").await;
    let expected = ["resumed", "1.7", "1.8", "2.1", "gap:skipped", "1.10", "2.2"];
    assert_eq!(listening.recorder.words(), expected);
}

/// A message that was sent again, because its answer was lost, is one event.
pub async fn a_message_that_comes_twice_is_told_once(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    for (origin, seq) in [(1, 1), (1, 1), (1, 2), (1, 1), (1, 3)] {
        append(bench, origin, seq).await;
    }
    listening.recorder.until_event("1.3").await;
    assert_eq!(listening.recorder.words(), ["resumed", "1.1", "1.2", "1.3"]);
}

/// A message of another version is a gap, not a panic and not nothing.
pub async fn what_cannot_be_read_is_a_gap(bench: &Bench) {
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    let message = Bytes::from_static(b"\x02 of a later version");
    bench
        .far_store()
        .append(&Bench::topic(), &message, KEEP)
        .await
        .unwrap();
    append(bench, 1, 1).await;
    listening.recorder.until_event("1.1").await;
    assert_eq!(
        listening.recorder.words(),
        ["resumed", "gap:unreadable", "1.1"]
    );
}

/// Starting where nothing is any more is a gap.
pub async fn who_starts_behind_what_is_gone_is_told_of_a_gap(bench: &Bench) {
    let far = bench.far();
    let first = far
        .publish(&Bench::topic(), &event("a"))
        .await
        .unwrap()
        .id();
    for kind in ["b", "c"] {
        far.publish(&Bench::topic(), &event(kind)).await.unwrap();
    }
    bench.line.trim(&Bench::topic(), 1).await;
    let (events, _) = bench.near(Bench::options());
    let options = SubscribeOptions::default().start(Start::After(first));
    let listening = bench.listening(&events, options).await;
    assert_eq!(listening.recorder.words(), ["gap:trimmed", "c", "resumed"]);
    bench.line.lose(&Bench::topic()).await;
    let (events, _) = bench.near(Bench::options());
    let listening = bench.listening(&events, options).await;
    assert_eq!(
        listening.recorder.told(),
        [Signal::Gap(GapReason::Lost), Signal::Resumed]
    );
}

/// Who hears nothing for longer than the interval is not live; who hears that nothing happened is.
pub async fn n_eb_8_a_line_that_is_silent_is_not_live(bench: &Bench) {
    let interval = Duration::from_millis(40);
    let (events, _) = bench.near(Bench::options().poll_interval(interval));
    let listening = bench.listening(&events, SubscribeOptions::default()).await;
    bench.until(|| listening.subscription.is_live()).await;
    for _ in 0..5 {
        bench.pass(interval).await;
        bench.until(|| listening.subscription.is_live()).await;
    }
    assert_eq!(listening.recorder.words(), ["resumed"]);
    bench.line.cut().await;
    bench.until(|| !listening.subscription.is_live()).await;
    bench.line.mend().await;
    bench.until(|| listening.subscription.is_live()).await;
}

/// Appends a message of an origin, as its `Events` would.
async fn append(bench: &Bench, origin: u8, seq: u64) {
    let message = Message {
        origin: Origin::from_bytes([origin; 16]),
        seq,
        event: event(&format!("{origin}.{seq}")),
    };
    let message = message.encode();
    bench
        .far_store()
        .append(&Bench::topic(), &message, KEEP)
        .await
        .unwrap();
}
