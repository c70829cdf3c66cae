//! What was invalidated is never a hit again.

use std::time::Duration;

use bytes::Bytes;
use state_core::{
    Namespace,
    cache::{
        Begin, Begun, Deleted, Draft, Fill, Filled, LeaseToken, Lives, LoadOptions, Lookup,
        SetOptions, Source, Tags, Target,
    },
};

use crate::cache::{Bench, Gate, Interleaving, interleave, text};

fn tags(names: &[&str]) -> Tags {
    Tags::new(names).unwrap()
}

/// Tags end what has them and nothing else.
pub async fn tags_end_what_has_them(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    for (key, names) in [
        ("a", &["x", "y"][..]),
        ("b", &["y"]),
        ("c", &["x"]),
        ("d", &[]),
    ] {
        let options = SetOptions::default().tags(tags(names));
        cache.set(key, text(key), &options).await.unwrap();
    }
    cache.invalidate_tags(&tags(&["y", "z"])).await.unwrap();
    let found = cache
        .get_many(&["a", "b", "c", "d"], &tags(&["x", "y"]))
        .await
        .unwrap();
    let hits: Vec<bool> = found.iter().map(Lookup::is_hit).collect();
    assert_eq!(hits, [false, false, true, true]);
    cache
        .set("a", text("new"), &SetOptions::default().tags(tags(&["y"])))
        .await
        .unwrap();
    assert!(cache.get("a", &tags(&["y"])).await.unwrap().is_hit());
}

/// A caller that does not know the tags of a value gets no ended one either.
pub async fn tags_that_were_not_named_count_too(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    cache
        .set(
            "k",
            text("v"),
            &SetOptions::default().tags(tags(&["x", "y"])),
        )
        .await
        .unwrap();
    for named in [
        tags(&[]),
        tags(&["x"]),
        tags(&["z"]),
        tags(&["x", "y", "z"]),
    ] {
        assert!(cache.get("k", &named).await.unwrap().is_hit(), "{named:?}");
    }
    cache.invalidate_tags(&tags(&["y"])).await.unwrap();
    for named in [
        tags(&[]),
        tags(&["x"]),
        tags(&["z"]),
        tags(&["x", "y", "z"]),
    ] {
        assert!(cache.get("k", &named).await.unwrap().is_miss(), "{named:?}");
    }
}

/// Ending a namespace reaches no other.
pub async fn n_ca_7_a_namespace_ends_alone(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let longer = Namespace::new("things2").unwrap();
    let (other, _) = bench.cache_of(longer, Bench::options());
    for cache in [&cache, &other] {
        cache
            .set("k", text("v"), &SetOptions::default().tags(tags(&["t"])))
            .await
            .unwrap();
    }
    cache.invalidate_namespace().await.unwrap();
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
    assert!(other.get("k", Tags::NONE).await.unwrap().is_hit());
    cache
        .set("k", text("v"), &SetOptions::default().tags(tags(&["t"])))
        .await
        .unwrap();
    other.invalidate_tags(&tags(&["t"])).await.unwrap();
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_hit());
    assert!(other.get("k", Tags::NONE).await.unwrap().is_miss());
}

/// A value without its epochs is none, and they do not come back.
pub async fn n_ca_9_lost_epochs_end_values(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let t = tags(&["t"]);
    let options = SetOptions::default().tags(t.clone());
    let millisecond = Duration::from_millis(1);
    for target in [Target::Namespace, Target::Tags(t.as_slice())] {
        cache.set("k", text("v"), &options).await.unwrap();
        assert!(cache.get("k", &t).await.unwrap().is_hit());
        let space = Bench::space();
        bench
            .store()
            .shorten(&space, target, millisecond)
            .await
            .unwrap();
        bench.pass(2 * millisecond).await;
        assert!(cache.get("k", &t).await.unwrap().is_miss(), "{target:?}");
        // New epochs for another value do not end its end.
        cache.set("l", text("v"), &options).await.unwrap();
        assert!(cache.get("k", &t).await.unwrap().is_miss(), "{target:?}");
    }
}

/// Nothing has to find the members of a tag: those stored while it ends are ended, or come after.
pub async fn n_ca_6_a_tag_reaches_what_is_stored_at_the_same_time(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let t = tags(&["t"]);
    for round in 0..bench.round_count() / 10 {
        let key = format!("k{round}");
        let options = SetOptions::default().tags(t.clone());
        let (set, invalidated) = tokio::join!(
            cache.set(&key, text("v"), &options),
            cache.invalidate_tags(&t)
        );
        set.unwrap();
        invalidated.unwrap();
        cache.invalidate_tags(&t).await.unwrap();
        assert!(cache.get(&key, &t).await.unwrap().is_miss());
    }
}

/// A load that began before an invalidation is not stored, however it was invalidated.
pub async fn n_ca_12_a_load_does_not_overwrite_an_invalidation(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (other, _) = bench.cache(Bench::options());
    for whole in [true, false] {
        let gate = Gate::closed();
        let options = LoadOptions::default().tags(tags(&["t"]));
        let load = cache.get_or_load("k", &options, gate.loader("old"));
        let invalidate = async {
            gate.came(1).await;
            if whole {
                other.invalidate_namespace().await.unwrap();
            } else {
                other.invalidate_tags(&tags(&["t"])).await.unwrap();
            }
            gate.let_in();
        };
        let (loaded, ()) = tokio::join!(load, invalidate);
        let loaded = loaded.unwrap();
        assert_eq!(loaded.source(), Source::Uncached);
        assert_eq!(loaded.into_value(), Some(text("old")));
        assert!(other.get("k", &tags(&["t"])).await.unwrap().is_miss());
        let loaded = other
            .get_or_load("k", &options, Gate::open().loader("new"))
            .await
            .unwrap();
        assert_eq!(loaded.into_value(), Some(text("new")));
        other.delete("k").await.unwrap();
    }
}

/// A value that was set while it was loaded stays.
pub async fn n_ca_12_a_load_does_not_overwrite_a_set(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (other, _) = bench.cache(Bench::options());
    let gate = Gate::closed();
    let options = LoadOptions::default();
    let load = cache.get_or_load("k", &options, gate.loader("old"));
    let set = async {
        gate.came(1).await;
        other.set("k", text("new"), &options).await.unwrap();
        gate.let_in();
    };
    let (loaded, ()) = tokio::join!(load, set);
    assert_eq!(loaded.unwrap().source(), Source::Uncached);
    let found = cache.get("k", Tags::NONE).await.unwrap();
    assert_eq!(found.into_value(), Some(text("new")));
}

/// A key that was deleted while it was loaded is not there after it.
pub async fn n_ca_12_a_load_does_not_bring_back_what_was_deleted(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (other, _) = bench.cache(Bench::options());
    let gate = Gate::closed();
    let options = LoadOptions::default();
    let load = cache.get_or_load("k", &options, gate.loader("old"));
    let delete = async {
        gate.came(1).await;
        assert_eq!(other.delete("k").await.unwrap(), Deleted::Absent);
        gate.let_in();
    };
    let (loaded, ()) = tokio::join!(load, delete);
    assert_eq!(loaded.unwrap().source(), Source::Uncached);
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_miss());
}

/// Whoever asks after an invalidation gets what was loaded after it, whoever invalidated.
pub async fn who_comes_after_an_invalidation_joins_no_older_load(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (other, _) = bench.cache(Bench::options());
    for (round, who) in [&cache, &other].into_iter().enumerate() {
        let key = format!("k{round}");
        let (old, new) = (Gate::closed(), Gate::open());
        let options = LoadOptions::default().tags(tags(&["t"]));
        let first = cache.get_or_load(&key, &options, old.loader("old"));
        let then = async {
            old.came(1).await;
            who.invalidate_tags(&tags(&["t"])).await.unwrap();
            let late = cache.get_or_load(&key, &options, new.loader("new"));
            let release = async {
                tokio::task::yield_now().await;
                old.let_in();
            };
            bench.drive(async { tokio::join!(late, release).0 }).await
        };
        let (first, late) = tokio::join!(first, then);
        assert_eq!(first.unwrap().into_value(), Some(text("old")));
        assert_eq!(late.unwrap().into_value(), Some(text("new")), "{round}");
    }
}

/// A lease that is over fills nothing, and one given back is free.
pub async fn n_ca_12_an_old_lease_fills_nothing(bench: &Bench) {
    let (store, space) = (bench.store(), Bench::space());
    let (first, second) = (
        LeaseToken::from_bytes([1; 16]),
        LeaseToken::from_bytes([2; 16]),
    );
    let begin = |token, lease| Begin {
        token,
        lease,
        seen: &[],
        tags: &[],
        epochs: Duration::from_secs(60),
    };
    let (short, long) = (Duration::from_millis(1), Duration::from_secs(60));
    let Begun::Won(epochs) = store
        .begin(&space, "k", &begin(first, short))
        .await
        .unwrap()
    else {
        panic!("nobody has it");
    };
    bench.pass(2 * short).await;
    let begun = store
        .begin(&space, "k", &begin(second, long))
        .await
        .unwrap();
    assert!(matches!(begun, Begun::Won(_)));
    assert_eq!(
        store.begin(&space, "k", &begin(first, long)).await.unwrap(),
        Begun::Held
    );
    // Asking again under the same token is the same attempt.
    assert_eq!(
        store
            .begin(&space, "k", &begin(second, long))
            .await
            .unwrap(),
        begun
    );
    let draft = Draft::new(Some(&Bytes::from_static(b"v")), &[], 0, Duration::ZERO);
    let fill = |token| Fill {
        token,
        epochs: &epochs,
        tags: &[],
        draft: &draft,
        lives: Lives {
            fresh: long,
            stored: long,
        },
    };
    assert_eq!(
        store.fill(&space, "k", &fill(first)).await.unwrap(),
        Filled::Lost
    );
    store.abandon(&space, "k", first).await.unwrap();
    assert_eq!(
        store.fill(&space, "k", &fill(second)).await.unwrap(),
        Filled::Stored
    );
    assert_eq!(
        store.fill(&space, "k", &fill(second)).await.unwrap(),
        Filled::Lost
    );
    let begun = store.begin(&space, "k", &begin(first, long)).await.unwrap();
    assert_eq!(begun, Begun::Changed, "there is a value by now");
    let begun = store.begin(&space, "l", &begin(first, long)).await.unwrap();
    assert!(matches!(begun, Begun::Won(_)));
    store.abandon(&space, "l", first).await.unwrap();
    let begun = store
        .begin(&space, "l", &begin(second, long))
        .await
        .unwrap();
    assert!(matches!(begun, Begun::Won(_)), "it was given back");
}

/// No order of steps of loaders, writers and lost epochs makes an ended value a hit.
pub async fn t_ca_3_random_interleavings(bench: &Bench) {
    let mut all = 0;
    for seed in 0..bench.round_count() {
        let Interleaving { hits, stale } = interleave(bench, seed).await;
        assert_eq!(stale, 0, "seed {seed}: {stale} of {hits} hits were over");
        all += u64::from(hits);
    }
    assert!(
        all > bench.round_count(),
        "only {all} hits: this shows nothing"
    );
}
