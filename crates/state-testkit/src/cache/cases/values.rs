//! Values go in and come out.

use std::time::Duration;

use bytes::Bytes;
use state_core::{
    Capability, Classified as _, ErrorKind,
    cache::{CacheError, Deleted, Lookup, MAX_KEY_BYTES, SetOptions, Tag, Tags},
};

use crate::cache::{Bench, text};

const SHORT: Duration = Duration::from_millis(1);

/// A value that was set is found.
pub async fn a_value_that_was_set_is_found(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let (other, _) = bench.cache(Bench::options());
    assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
    cache
        .set("k", text("v"), &SetOptions::default().codec(7))
        .await
        .unwrap();
    for cache in [&cache, &other] {
        let Lookup::Hit(hit) = cache.get("k", Tags::NONE).await.unwrap() else {
            panic!("it was set");
        };
        assert_eq!(
            (&hit.value()[..], hit.codec(), hit.is_stale()),
            (&b"v"[..], 7, false)
        );
        assert!(hit.age() < Duration::from_secs(60), "{:?}", hit.age());
    }
    cache
        .set("k", text("w"), &SetOptions::default())
        .await
        .unwrap();
    let found = other.get("k", Tags::NONE).await.unwrap();
    assert_eq!(found.into_value(), Some(text("w")));
}

/// Nothing is nothing, and an empty value is one.
pub async fn n_ca_2_an_empty_value_is_a_value(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    cache
        .set("k", Bytes::new(), &SetOptions::default())
        .await
        .unwrap();
    let found = cache.get("k", Tags::NONE).await.unwrap();
    assert!(found.is_hit());
    assert_eq!(found.into_value(), Some(Bytes::new()));
}

/// No two keys are made one.
pub async fn n_ca_3_keys_that_differ_are_different(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let keys = [
        "", "k", "K", " k", "k ", "k:1", "k/1", "k%3A1", "k*", "{k}", "\u{e9}", "e\u{301}", "k\n",
    ];
    for key in keys {
        cache
            .set(key, text(&format!("<{key}>")), &SetOptions::default())
            .await
            .unwrap();
    }
    for key in keys {
        let found = cache.get(key, Tags::NONE).await.unwrap().into_value();
        assert_eq!(found, Some(text(&format!("<{key}>"))), "{key:?}");
    }
}

/// Values are bytes, whatever they are.
pub async fn n_ca_4_any_bytes_come_back(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let value: Bytes = (0..=u8::MAX).cycle().take(10_000).collect();
    let tags = Tags::new(["a", "b"]).unwrap();
    cache
        .set(
            "k",
            value.clone(),
            &SetOptions::default().tags(tags.clone()),
        )
        .await
        .unwrap();
    assert_eq!(
        cache.get("k", &tags).await.unwrap().into_value(),
        Some(value)
    );
}

/// Fresh, then stale, then gone.
pub async fn a_value_whose_time_is_over_is_stale_and_then_gone(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options().stale_window(Duration::from_secs(600)));
    cache
        .set("k", text("v"), &SetOptions::default().ttl(SHORT))
        .await
        .unwrap();
    bench.pass(2 * SHORT).await;
    let Lookup::Hit(hit) = cache.get("k", Tags::NONE).await.unwrap() else {
        panic!("it is stale, not gone");
    };
    assert!(hit.is_stale() && hit.age() >= SHORT);
    let (cache, _) = bench.cache(Bench::options().stale_window(SHORT));
    cache
        .set("k", text("v"), &SetOptions::default().ttl(SHORT))
        .await
        .unwrap();
    bench.pass(4 * SHORT).await;
    assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
}

/// That there is no value is known for a while.
pub async fn that_there_is_no_value_is_remembered(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    cache
        .set_negative("k", &SetOptions::default())
        .await
        .unwrap();
    assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Negative);
    cache
        .set("k", text("v"), &SetOptions::default())
        .await
        .unwrap();
    assert!(cache.get("k", Tags::NONE).await.unwrap().is_hit());
    cache
        .set_negative("k", &SetOptions::default().ttl(SHORT))
        .await
        .unwrap();
    bench.pass(2 * SHORT).await;
    assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
}

/// A delete says whether there was something.
pub async fn delete_tells_what_was_there(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    assert_eq!(cache.delete("k").await.unwrap(), Deleted::Absent);
    cache
        .set("k", text("v"), &SetOptions::default())
        .await
        .unwrap();
    assert_eq!(cache.delete("k").await.unwrap(), Deleted::Removed);
    assert_eq!(cache.delete("k").await.unwrap(), Deleted::Absent);
    assert_eq!(cache.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
}

/// A program sees the values of its own version.
pub async fn versions_are_apart(bench: &Bench) {
    let (old, _) = bench.cache(Bench::options().version(1));
    let (new, _) = bench.cache(Bench::options().version(2));
    old.set("k", text("old"), &SetOptions::default())
        .await
        .unwrap();
    assert_eq!(new.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
    new.set("k", text("new"), &SetOptions::default())
        .await
        .unwrap();
    let found = old.get("k", Tags::NONE).await.unwrap();
    assert_eq!(found.into_value(), Some(text("old")));
    // A namespace ends with all its versions.
    new.invalidate_namespace().await.unwrap();
    assert_eq!(old.get("k", Tags::NONE).await.unwrap(), Lookup::Miss);
}

/// Batches of any size, answers in order.
pub async fn many_at_once(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options());
    let keys: Vec<String> = (0..110).map(|number| format!("k{number}")).collect();
    let tags = Tags::new(["t", "u"]).unwrap();
    let items: Vec<(&str, Bytes)> = keys
        .iter()
        .step_by(2)
        .map(|key| (key.as_str(), text(key)))
        .collect();
    cache
        .set_many(&items, &SetOptions::default().tags(tags.clone()))
        .await
        .unwrap();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for named in [&tags, Tags::NONE] {
        let found = cache.get_many(&keys, named).await.unwrap();
        for (index, (key, found)) in keys.iter().zip(found).enumerate() {
            let expected = index.is_multiple_of(2).then(|| text(key));
            assert_eq!(found.into_value(), expected, "{key}");
        }
    }
    let deleted = cache.delete_many(&keys[..50]).await.unwrap();
    for (index, deleted) in deleted.into_iter().enumerate() {
        let expected = if index.is_multiple_of(2) {
            Deleted::Removed
        } else {
            Deleted::Absent
        };
        assert_eq!(deleted, expected, "{index}");
    }
    cache
        .invalidate_tags(&Tags::new(["u"]).unwrap())
        .await
        .unwrap();
    let found = cache.get_many(&keys, Tags::NONE).await.unwrap();
    assert!(found.iter().all(Lookup::is_miss));
    assert!(cache.get_many(&[], Tags::NONE).await.unwrap().is_empty());
}

/// Bounds are errors, not cuts.
pub async fn what_is_too_large_is_refused(bench: &Bench) {
    let (cache, _) = bench.cache(Bench::options().max_value_bytes(4));
    let options = SetOptions::default();
    let error = cache.set("k", text("12345"), &options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(matches!(error, CacheError::ValueTooLarge { limit: 4 }));
    cache.set("k", text("1234"), &options).await.unwrap();
    // Every byte of it needs an escape.
    let longest = "%".repeat(MAX_KEY_BYTES);
    cache.set(&longest, text("v"), &options).await.unwrap();
    assert!(cache.get(&longest, Tags::NONE).await.unwrap().is_hit());
    let longer = "k".repeat(MAX_KEY_BYTES + 1);
    for error in [
        cache.get(&longer, Tags::NONE).await.unwrap_err(),
        cache.set(&longer, text("v"), &options).await.unwrap_err(),
        cache.delete(&longer).await.unwrap_err(),
        cache.get_many(&[&longer], Tags::NONE).await.unwrap_err(),
    ] {
        assert_eq!(error.code(), "cache.key_too_long");
    }
    assert!(Tags::new([""]).is_err() && Tags::new(["t".repeat(Tag::MAX_BYTES + 1)]).is_err());
    assert!(Tags::new((0..=Tags::MAX).map(|number| number.to_string())).is_err());
    let tags = (0..Tags::MAX).map(|number| format!("%{number:0>254}"));
    let tags = Tags::new(tags).unwrap();
    cache
        .set("t", text("v"), &SetOptions::default().tags(tags.clone()))
        .await
        .unwrap();
    assert!(cache.get("t", &tags).await.unwrap().is_hit());
    let error = cache
        .set("k", text("v"), &options.ttl(Duration::ZERO))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}

/// Observers hear of each operation once.
pub async fn n_ca_11_each_outcome_is_told_once(bench: &Bench) {
    let (cache, told) = bench.cache(Bench::options().stale_window(Duration::from_secs(600)));
    let only = |expected: (&'static str, &'static str)| {
        assert_eq!(told.take(), [(Capability::Cache, expected.0, expected.1)]);
    };
    cache.get("k", Tags::NONE).await.unwrap();
    only(("get", "miss"));
    cache
        .set("k", text("v"), &SetOptions::default())
        .await
        .unwrap();
    only(("set", "stored"));
    cache.get("k", Tags::NONE).await.unwrap();
    only(("get", "hit"));
    cache
        .get_or_load("k", &SetOptions::default(), || async {
            Ok::<_, String>(None)
        })
        .await
        .unwrap();
    only(("get_or_load", "hit"));
    cache.delete("k").await.unwrap();
    only(("delete", "removed"));
    cache.delete("k").await.unwrap();
    only(("delete", "absent"));
    cache
        .set_negative("k", &SetOptions::default())
        .await
        .unwrap();
    only(("set", "negative"));
    cache.get("k", Tags::NONE).await.unwrap();
    only(("get", "negative"));
    cache
        .set("k", text("v"), &SetOptions::default().ttl(SHORT))
        .await
        .unwrap();
    bench.pass(2 * SHORT).await;
    only(("set", "stored"));
    cache.get("k", Tags::NONE).await.unwrap();
    only(("get", "stale"));
    cache
        .invalidate_tags(&Tags::new(["t"]).unwrap())
        .await
        .unwrap();
    only(("invalidate_tags", "done"));
    cache.invalidate_namespace().await.unwrap();
    only(("invalidate_namespace", "done"));
    cache.get_many(&["k"], Tags::NONE).await.unwrap();
    only(("get_many", "partial"));
    cache
        .get(&"k".repeat(MAX_KEY_BYTES + 1), Tags::NONE)
        .await
        .unwrap_err();
    only(("get", "cache.key_too_long"));
    let options = SetOptions::default();
    cache
        .get_or_load("l", &options, || async { Ok::<_, String>(Some(text("v"))) })
        .await
        .unwrap();
    let expected = [
        ("load", "loaded"),
        ("fill", "stored"),
        ("get_or_load", "loaded"),
    ];
    assert_eq!(
        told.take(),
        expected.map(|(what, how)| (Capability::Cache, what, how))
    );
}
