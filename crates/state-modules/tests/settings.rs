//! Every variable of a capability: its default, its bounds, and that it is not there for nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use redis_client::{InstanceName, NotUnicode, SETTINGS};
use state_core::rate_limit::OnError;
use state_modules::{Environment, InvalidSettings, Settings};

/// A setting, its default, another value, and some out of its bounds.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static [&'static str],
);

/// Settings whose defaults can be written out.
const ROWS: &[Row] = &[
    ("CACHE_DEFAULT_TTL", "5m", "1m", &["0ms", "367d"]),
    ("CACHE_STALE_WINDOW", "30s", "0ms", &["367d"]),
    ("CACHE_NEGATIVE_TTL", "30s", "0ms", &["367d"]),
    ("CACHE_JITTER_PERCENT", "10", "3", &["101", "256"]),
    ("CACHE_BETA", "1.0", "0.5", &["-0.1", "100.1", "NaN", "inf"]),
    ("CACHE_LEASE_TTL", "10s", "20s", &["1ms", "61m"]),
    ("CACHE_LEASE_WAIT", "2s", "1s", &["61m"]),
    (
        "CACHE_MAX_VALUE_BYTES",
        "1048576",
        "10",
        &["0", "536870913"],
    ),
    ("CACHE_L1_CAPACITY", "0", "10", &["-1"]),
    ("CACHE_L1_TTL", "30s", "1s", &["0ms", "367d"]),
    ("CACHE_INVALIDATION", "strict", "eventual", &["Strict"]),
    ("CACHE_SHORT_TTL", "30s", "1s", &["0ms", "367d"]),
    ("CACHE_ON_ERROR", "load", "stale", &["open"]),
    ("SESSION_IDLE_TTL", "30m", "1m", &["0ms", "367d"]),
    ("SESSION_MAX_AGE", "24h", "1h", &["0ms", "367d"]),
    ("SESSION_TOUCH_PERCENT", "10", "7", &["101", "256"]),
    ("SESSION_MAX_BYTES", "65536", "7", &["16777217"]),
    ("SESSION_MAX_PER_USER", "0", "7", &["101"]),
    ("SESSION_REGENERATE_GRACE", "0s", "7s", &["61s"]),
    ("SESSION_ON_ERROR", "closed", "open_anonymous", &["open"]),
    ("RATELIMIT_TIMEOUT", "100ms", "1s", &["0ms"]),
    ("RATELIMIT_ON_ERROR", "open", "closed", &["deny"]),
    ("RATELIMIT_DENY_CACHE_SIZE", "10000", "0", &["-1"]),
    ("PROCESS_RETENTION", "24h", "1h", &["0ms", "367d"]),
    ("PROCESS_LEASE_TTL", "30s", "1m", &["0ms", "367d"]),
    ("PROCESS_HEARTBEAT", "10s", "1s", &["0ms", "16s"]),
    ("PROCESS_MAX_PAYLOAD_BYTES", "1048576", "7", &["67108865"]),
    ("PROCESS_PAGE_SIZE", "100", "7", &["0", "1001"]),
    ("PROCESS_SHARDS", "1", "7", &["0", "257"]),
    ("PROCESS_EVENTS_MAXLEN", "10000", "7", &["0", "10000001"]),
    ("PROCESS_EVENTS_RETENTION", "7d", "1h", &["0ms", "367d"]),
    ("LOCK_TTL", "30s", "1s", &["0ms", "25h"]),
    ("LOCK_WAIT", "0ms", "1s", &["1"]),
    ("LOCK_RETRY_MIN", "20ms", "1ms", &["0ms", "2s"]),
    ("LOCK_RETRY_MAX", "1s", "2s", &["25h"]),
    ("LOCK_FENCE_TTL", "7d", "1h", &["59s"]),
    ("LOCK_DRIFT_PERCENT", "1", "7", &["51", "256"]),
    ("LOCK_REPLICAS", "0", "1", &["-1"]),
    ("LEADER_TTL", "30s", "1m", &["0ms", "25h"]),
    ("LEADER_RENEW", "10s", "1s", &["0ms", "16s"]),
    ("BUS_MAXLEN", "10000", "7", &["0", "10000001"]),
    ("BUS_RETENTION", "24h", "1h", &["999ms", "367d"]),
    ("BUS_POLL_INTERVAL", "5s", "1s", &["9ms", "11m"]),
    ("BUS_QUEUE", "1024", "7", &["0", "1000001"]),
    (
        "BUS_MAX_MESSAGE_BYTES",
        "65536",
        "1000",
        &["127", "16777217"],
    ),
];

/// Settings of the rule, which is there with a limit only.
const RULE: &[Row] = &[
    ("RATELIMIT_WINDOW", "1s", "1m", &["0ms", "367d"]),
    ("RATELIMIT_BURST", "7", "3", &["0", "18446744073709551615"]),
    ("RATELIMIT_ALGORITHM", "gcra", "sliding", &["bucket"]),
];

/// Settings that have no default to be written.
const OTHERS: &[&str] = &[
    "BACKEND",
    "RATELIMIT_LIMIT",
    "RATELIMIT_EXPECTED_NODES",
    "SESSION_HASH_KEY",
    "SESSION_HASH_KEY_PREVIOUS",
];

fn read(values: &[(&str, &str)]) -> Result<Settings, InvalidSettings> {
    let instance = InstanceName::default();
    let mut set = BTreeMap::from([("REDIS_BACKEND".to_owned(), "memory")]);
    set.extend(
        values
            .iter()
            .map(|(name, value)| (instance.variable(name), *value)),
    );
    let lookup = |variable: &str| set.get(variable).map(|value| (*value).to_owned());
    Settings::read(InstanceName::default(), &lookup)
}

fn check(row: &Row, given: &[(&str, &str)]) {
    let (setting, default, other, bad) = *row;
    let with = |value| {
        let mut values = given.to_vec();
        values.push((setting, value));
        read(&values)
    };
    let unset = format!("{:?}", read(given).unwrap());
    let set = |value| format!("{:?}", with(value).unwrap());
    assert_eq!(set(default), unset, "{setting} is not {default} unless set");
    assert_eq!(set("  "), unset, "a blank {setting} is unset");
    assert_ne!(set(other), unset, "{setting} has no effect");
    let variable = format!("REDIS_{setting}");
    for bad in bad
        .iter()
        .chain(&["hunter2", "-1s", "18446744073709551616d"])
    {
        let error = with(bad).unwrap_err();
        let named: Vec<_> = error.settings().iter().map(|s| &s.variable).collect();
        assert_eq!(named, [&variable], "{setting}={bad}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("hunter2"), "{shown}");
        // Durations are in the text of the rule, too.
        assert!(!shown.contains("18446744073709551616d"), "{shown}");
    }
}

#[test]
fn n_cl_8_every_variable_has_a_default_bounds_and_an_effect() {
    for row in ROWS {
        check(row, &[]);
    }
    for row in RULE {
        check(row, &[("RATELIMIT_LIMIT", "7")]);
    }
}

#[test]
fn n_cl_8_variables_without_a_default_have_bounds_and_an_effect() {
    let variables = |values: &[(&str, &str)]| -> Vec<String> {
        let error = read(values).unwrap_err();
        error
            .settings()
            .iter()
            .map(|s| s.variable.clone())
            .collect()
    };
    assert_eq!(variables(&[("BACKEND", "auto")])[0], "REDIS_BACKEND");
    assert_eq!(
        variables(&[("BACKEND", "redis")]),
        ["REDIS_ADDR"],
        "redis is the default and needs an address"
    );
    assert_eq!(read(&[]).unwrap().backend.as_str(), "memory");
    assert!(read(&[]).unwrap().rule.is_none());
    let rule = read(&[("RATELIMIT_LIMIT", "7")]).unwrap().rule.unwrap();
    assert_eq!(rule.limit().quantity(), 7);
    for bad in ["0", "seven", "18446744073709551615"] {
        assert_eq!(
            variables(&[("RATELIMIT_LIMIT", bad)]),
            ["REDIS_RATELIMIT_LIMIT"]
        );
    }
    // What belongs to the rule is checked without one, too.
    for (setting, bad) in [
        ("RATELIMIT_WINDOW", "x"),
        ("RATELIMIT_BURST", "x"),
        ("RATELIMIT_ALGORITHM", "x"),
    ] {
        assert_eq!(variables(&[(setting, bad)]), [format!("REDIS_{setting}")]);
    }
    let local = |nodes| {
        [
            ("RATELIMIT_ON_ERROR", "local"),
            ("RATELIMIT_EXPECTED_NODES", nodes),
        ]
    };
    let on_error = read(&local("3")).unwrap().limiter.on_error;
    assert_eq!(on_error, OnError::Local { nodes: 3 });
    for bad in ["", "0", "-1", "4294967296"] {
        let named = variables(&local(bad));
        assert!(
            named
                .iter()
                .all(|name| name == "REDIS_RATELIMIT_EXPECTED_NODES"),
            "{named:?}"
        );
    }
    let long = "0123456789 0123456789 0123456789 0123456789";
    let keys = |key, previous| {
        [
            ("SESSION_HASH_KEY", key),
            ("SESSION_HASH_KEY_PREVIOUS", previous),
        ]
    };
    assert!(read(&keys("", "")).unwrap().session_keys.is_none());
    assert!(read(&keys(long, long)).unwrap().session_keys.is_some());
    for (key, previous, named) in [
        ("short", "", "REDIS_SESSION_HASH_KEY"),
        ("", long, "REDIS_SESSION_HASH_KEY"),
        (long, "short", "REDIS_SESSION_HASH_KEY_PREVIOUS"),
    ] {
        let error = read(&keys(key, previous)).unwrap_err();
        assert_eq!(error.settings()[0].variable, named);
        let shown = format!("{error:?} {error}");
        assert!(!shown.contains("0123") && !shown.contains("\"short"));
    }
}

/// The variables that are asked for on a backend.
fn asked(backend: &str) -> Vec<String> {
    let asked = RefCell::new(Vec::new());
    let lookup = |variable: &str| {
        asked.borrow_mut().push(variable.to_owned());
        match variable {
            "REDIS_BACKEND" => Some(backend.to_owned()),
            "REDIS_ADDR" => Some("h:1".to_owned()),
            _ => None,
        }
    };
    Settings::read(InstanceName::default(), &lookup).unwrap();
    asked.into_inner()
}

/// Those that nothing but the instance's own client reads.
fn of_client() -> impl Iterator<Item = String> {
    SETTINGS.iter().map(|s| format!("REDIS_{}", s.name()))
}

#[test]
fn n_cl_8_no_variable_is_read_that_is_not_listed_and_the_other_way_round() {
    let rows = ROWS.iter().chain(RULE).map(|row| row.0);
    let listed: BTreeSet<_> = rows
        .chain(OTHERS.iter().copied())
        .map(|setting| format!("REDIS_{setting}"))
        .collect();
    assert_eq!(asked("memory").into_iter().collect::<BTreeSet<_>>(), listed);
    let with_client: BTreeSet<_> = listed.into_iter().chain(of_client()).collect();
    let on_redis: BTreeSet<_> = asked("redis").into_iter().collect();
    assert_eq!(on_redis, with_client);
}

#[test]
fn n_cl_9_there_is_one_place_to_say_where_the_server_is() {
    let asked = asked("redis");
    for one in of_client() {
        let times = asked.iter().filter(|variable| **variable == one).count();
        assert_eq!(times, 1, "{one}");
    }
    for word in ["ADDR", "URL", "HOST", "PORT", "DSN", "CONNECTION_STRING"] {
        let places: Vec<_> = asked
            .iter()
            .filter(|variable| variable.split('_').any(|part| part == word))
            .collect();
        let expected: &[&str] = if word == "ADDR" { &["REDIS_ADDR"] } else { &[] };
        assert_eq!(places, expected);
    }
}

#[test]
fn the_guide_lists_every_variable() {
    let guide = include_str!("../../../docs/redis-patterns.md");
    let mut told = BTreeSet::new();
    for row in guide.lines().filter(|line| line.starts_with("| `REDIS_")) {
        let cell = row.split('|').nth(1).unwrap_or_default();
        let mut names = cell.split(',').map(|name| name.trim().trim_matches('`'));
        let Some(first) = names.next() else { continue };
        let capability = first.splitn(3, '_').take(2).collect::<Vec<_>>().join("_");
        told.insert(first.to_owned());
        told.extend(names.map(|name| format!("{capability}{name}")));
    }
    let asked: BTreeSet<_> = asked("memory").into_iter().collect();
    assert_eq!(told, asked);
}

#[test]
fn what_is_no_text_is_told_and_not_taken_for_unset() {
    struct Odd;
    impl Environment for Odd {
        fn value(&self, variable: &str) -> Result<Option<String>, NotUnicode> {
            match variable {
                "REDIS_BACKEND" => Ok(Some("memory".to_owned())),
                "REDIS_SESSION_HASH_KEY" => Err(NotUnicode),
                _ => Ok(None),
            }
        }
    }
    let error = Settings::read(InstanceName::default(), &Odd).unwrap_err();
    assert_eq!(error.settings()[0].variable, "REDIS_SESSION_HASH_KEY");
}

#[test]
fn n_cl_5_two_instances_read_two_addresses() {
    let lookup = |variable: &str| match variable {
        "REDIS_ADDR" => Some("first:6379".to_owned()),
        "REDIS_DB" => Some("1".to_owned()),
        "REDIS_KEY_PREFIX" => Some("one".to_owned()),
        "REDIS_JOBS_ADDR" => Some("second:6380".to_owned()),
        "REDIS_JOBS_KEY_PREFIX" => Some("two".to_owned()),
        _ => None,
    };
    let at = |instance| {
        let settings = Settings::read(instance, &lookup).unwrap();
        match settings.backend {
            state_modules::Backend::Redis(config) => (
                config.addresses()[0].to_string(),
                config.database(),
                config.key_prefix().as_str().to_owned(),
            ),
            state_modules::Backend::Memory => unreachable!("the default is Redis"),
        }
    };
    assert_eq!(
        at(InstanceName::default()),
        ("first:6379".to_owned(), 1, "one".to_owned())
    );
    assert_eq!(
        at(InstanceName::new("jobs").unwrap()),
        ("second:6380".to_owned(), 0, "two".to_owned())
    );
}

#[test]
fn what_nobody_reads_is_found_and_what_somebody_reads_is_not() {
    let rows = ROWS.iter().chain(RULE).map(|row| row.0);
    let all = rows.chain(OTHERS.iter().copied());
    let client = SETTINGS.iter().map(|setting| setting.name());
    let all: Vec<_> = all.chain(client).collect();
    let jobs = InstanceName::new("jobs").unwrap();
    let both = [InstanceName::default(), jobs.clone()];
    let set = both
        .iter()
        .flat_map(|one| all.iter().map(|name| one.variable(name)));
    assert_eq!(Settings::unread(&both, set.clone()), [""; 0]);
    // Those of an instance that is not there are nobody's.
    let of_jobs: Vec<_> = all.iter().map(|name| jobs.variable(name)).collect();
    assert_eq!(Settings::unread(&both[..1], set), of_jobs);
    let misspelt = ["REDIS_LOCK_TLL", "REDIS_URL", "LOCK_TLL", "redis_lock_tll"];
    assert_eq!(
        Settings::unread(&both, misspelt),
        ["REDIS_LOCK_TLL", "REDIS_URL"]
    );
}
