//! Every setting: default, bounds, and what is said when it is wrong.

use std::{collections::BTreeMap, fs, time::Duration};

use redis_client::{
    Config, ConfigError, InstanceName, NotUnicode, Problem, Protocol, Recycle, SETTINGS, Topology,
};

const ADDR: (&str, &str) = ("ADDR", "localhost:6379");

fn read_as(name: InstanceName, values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let values: BTreeMap<_, _> = values
        .iter()
        .map(|(setting, value)| (name.variable(setting), (*value).to_owned()))
        .collect();
    Config::from_lookup(name, |variable| Ok(values.get(variable).cloned()))
}

fn read(values: &[(&str, &str)]) -> Result<Config, ConfigError> {
    read_as(InstanceName::default(), values)
}

fn with(setting: &str, value: &str) -> Result<Config, ConfigError> {
    read(&[ADDR, (setting, value)])
}

#[test]
fn only_the_address_is_required() {
    let error = read(&[]).unwrap_err();
    assert_eq!(error.code(), "config.missing");
    assert_eq!(
        error.to_string(),
        "the configuration is invalid: REDIS_ADDR is required"
    );
    let config = read(&[ADDR]).unwrap();
    let millis = Duration::from_millis;
    assert_eq!(config.topology(), &Topology::Standalone);
    assert_eq!(config.addresses()[0].to_string(), "localhost:6379");
    assert_eq!(config.database(), 0);
    assert!(!config.tls());
    assert_eq!(config.protocol(), Protocol::Resp3);
    assert_eq!(config.client_name(), "default");
    assert_eq!(config.dial_timeout(), millis(1_000));
    assert_eq!(config.read_timeout(), millis(500));
    assert_eq!(config.write_timeout(), millis(500));
    assert_eq!(config.retry_timeout(), millis(2_000));
    assert_eq!(config.pool_size(), 16);
    assert_eq!(config.pool_wait_timeout(), millis(1_000));
    assert_eq!(config.recycle(), Recycle::Always);
    assert_eq!(config.shared_connections(), 2);
    assert!(!config.ping_on_build());
    assert_eq!(config.ping_timeout(), millis(1_000));
    assert_eq!(config.close_timeout(), millis(5_000));
    assert_eq!(config.health_timeout(), millis(1_000));
    assert_eq!(config.health_cache_for(), millis(1_000));
    assert_eq!(config.health_slow(), millis(100));
    assert!(config.key_prefix().is_empty());
}

#[test]
fn every_setting_is_read() {
    let password = std::env::temp_dir().join(format!("redis-password-{}", std::process::id()));
    fs::write(&password, "from-file\n").unwrap();
    let config = read(&[
        ("ADDR", "a:1, b:2"),
        ("USERNAME", "alice"),
        ("PASSWORD_FILE", password.to_str().unwrap()),
        ("DB", "3"),
        ("TLS", "false"),
        ("SENTINEL_MASTER", "main"),
        ("SENTINEL_USERNAME", "watcher"),
        ("SENTINEL_PASSWORD", "hunter3"),
        ("PROTOCOL", "resp2"),
        ("CLIENT_NAME", "billing"),
        ("DIAL_TIMEOUT", "1m"),
        ("READ_TIMEOUT", "2s"),
        ("WRITE_TIMEOUT", "3s"),
        ("RETRY_TIMEOUT", "0ms"),
        ("POOL_SIZE", "5"),
        ("POOL_WAIT_TIMEOUT", "4s"),
        ("POOL_RECYCLE", "idle:5s"),
        ("CONNECTION", "pool"),
        ("PING_ON_BUILD", "true"),
        ("PING_TIMEOUT", "6s"),
        ("CLOSE_TIMEOUT", "7s"),
        ("HEALTH_TIMEOUT", "8s"),
        ("HEALTH_CACHE_FOR", "0ms"),
        ("HEALTH_SLOW", "9ms"),
        ("KEY_PREFIX", " app: "),
    ])
    .unwrap();
    fs::remove_file(password).unwrap();
    let seconds = Duration::from_secs;
    assert_eq!(config.topology().as_str(), "sentinel");
    assert_eq!(config.addresses().len(), 2);
    assert_eq!(config.database(), 3);
    assert_eq!(config.protocol(), Protocol::Resp2);
    assert_eq!(config.client_name(), "billing");
    assert_eq!(config.dial_timeout(), seconds(60));
    assert_eq!(config.read_timeout(), seconds(2));
    assert_eq!(config.write_timeout(), seconds(3));
    assert_eq!(config.retry_timeout(), seconds(0));
    assert_eq!(config.pool_size(), 5);
    assert_eq!(config.pool_wait_timeout(), seconds(4));
    assert_eq!(config.recycle(), Recycle::AfterIdle(seconds(5)));
    assert_eq!(config.shared_connections(), 0);
    assert!(config.ping_on_build());
    assert_eq!(config.ping_timeout(), seconds(6));
    assert_eq!(config.close_timeout(), seconds(7));
    assert_eq!(config.health_timeout(), seconds(8));
    assert_eq!(config.health_cache_for(), seconds(0));
    assert_eq!(config.health_slow(), Duration::from_millis(9));
    assert_eq!(config.key_prefix().as_str(), "app");
    let shown = format!("{config:?}");
    assert!(shown.contains("alice") && !shown.contains("from-file") && !shown.contains("hunter3"));
}

#[test]
fn wrong_values_name_the_variable_and_not_the_value() {
    for (setting, value, problem) in [
        ("ADDR", "nowhere", Problem::NotAnAddress),
        ("ADDR", "a:1,b:2", Problem::Contradiction),
        ("ADDR", "redis://h:1?x=1", Problem::AddressOptions),
        ("PASSWORD_FILE", "/does/not/exist", Problem::UnreadableFile),
        ("DB", "one", Problem::NotANumber),
        ("DB", "-1", Problem::NotANumber),
        ("DB", "65536", Problem::OutOfBounds),
        ("TLS", "maybe", Problem::NotABoolean),
        ("TLS_CA_FILE", "/does/not/exist", Problem::UnreadableFile),
        ("TLS_CA_FILE", "/dev/null", Problem::Contradiction),
        ("SENTINEL_USERNAME", "u", Problem::Contradiction),
        ("SENTINEL_PASSWORD", "p", Problem::Contradiction),
        ("CLUSTER", "2", Problem::NotABoolean),
        ("PROTOCOL", "resp4", Problem::NotAChoice),
        ("CLIENT_NAME", "two words", Problem::NotAChoice),
        ("DIAL_TIMEOUT", "5", Problem::NotADuration),
        ("DIAL_TIMEOUT", "0ms", Problem::OutOfBounds),
        ("READ_TIMEOUT", "2d", Problem::OutOfBounds),
        ("WRITE_TIMEOUT", "-1s", Problem::NotADuration),
        ("RETRY_TIMEOUT", "25h", Problem::OutOfBounds),
        ("POOL_SIZE", "0", Problem::OutOfBounds),
        ("POOL_SIZE", "1025", Problem::OutOfBounds),
        ("POOL_SIZE", "many", Problem::NotANumber),
        ("POOL_WAIT_TIMEOUT", "0ms", Problem::OutOfBounds),
        ("POOL_RECYCLE", "idle:0ms", Problem::OutOfBounds),
        ("POOL_RECYCLE", "often", Problem::NotAChoice),
        ("CONNECTION", "pooled", Problem::NotAChoice),
        ("CONNECTION", "shared:0", Problem::OutOfBounds),
        ("CONNECTION", "shared:17", Problem::OutOfBounds),
        ("CONNECTION", "shared:16", Problem::Contradiction),
        ("CONNECTION", "shared:many", Problem::NotANumber),
        ("PING_ON_BUILD", "si", Problem::NotABoolean),
        ("PING_TIMEOUT", "0ms", Problem::OutOfBounds),
        ("CLOSE_TIMEOUT", "0ms", Problem::OutOfBounds),
        ("HEALTH_TIMEOUT", "0ms", Problem::OutOfBounds),
        ("HEALTH_CACHE_FOR", "x", Problem::NotADuration),
        ("HEALTH_SLOW", "0ms", Problem::OutOfBounds),
    ] {
        let error = with(setting, value).unwrap_err();
        let found = error.problems().iter().any(|found| {
            found.setting() == setting
                && found.variable() == format!("REDIS_{setting}")
                && found.problem() == problem
        });
        assert!(found, "{setting}={value}: {error}");
        if value.len() > 3 {
            assert!(!error.to_string().contains(value), "{error}");
        }
    }
    let prefix = with("KEY_PREFIX", "a{b").unwrap_err();
    assert_eq!(prefix.code(), "prefix.character");
}

#[test]
fn connections_are_pooled_or_shared() {
    for (value, expected) in [
        ("pool", 0),
        ("shared", 2),
        ("shared:1", 1),
        ("shared:15", 15),
        ("  ", 2),
    ] {
        let config = with("CONNECTION", value).unwrap();
        assert_eq!(config.shared_connections(), expected, "{value}");
    }
    // Nothing to share: said when it was asked for, and a checkout per command when it was not.
    let one = ("POOL_SIZE", "1");
    assert_eq!(read(&[ADDR, one]).unwrap().shared_connections(), 0);
    let error = read(&[ADDR, one, ("CONNECTION", "shared")]).unwrap_err();
    assert_eq!(error.problems()[0].variable(), "REDIS_CONNECTION");
    assert_eq!(error.problems()[0].problem(), Problem::Contradiction);
}

#[test]
fn everything_wrong_is_reported_at_once_in_order() {
    let error = read(&[
        ("HEALTH_SLOW", "x"),
        ("PASSWORD", "hunter2"),
        ("POOL_SIZE", "0"),
        ("KEY_PREFIX", "a b"),
        ("DB", "x"),
    ])
    .unwrap_err();
    let settings: Vec<_> = error
        .problems()
        .iter()
        .map(|found| found.setting())
        .collect();
    assert_eq!(
        settings,
        [
            "ADDR",
            "DB",
            "POOL_SIZE",
            "CONNECTION",
            "HEALTH_SLOW",
            "KEY_PREFIX"
        ]
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[test]
fn nothing_is_set_in_two_places() {
    for (address, setting, value) in [
        ("redis://:one@h:1", "PASSWORD", "two"),
        ("redis://bob:one@h:1", "USERNAME", "alice"),
        ("redis://h:1/2", "DB", "3"),
    ] {
        let error = read(&[("ADDR", address), (setting, value)]).unwrap_err();
        assert_eq!(error.problems()[0].problem(), Problem::SetTwice);
        assert_eq!(error.problems()[0].setting(), setting);
    }
    let file = std::env::temp_dir().join(format!("redis-twice-{}", std::process::id()));
    fs::write(&file, "two").unwrap();
    let error = read(&[
        ADDR,
        ("PASSWORD", "one"),
        ("PASSWORD_FILE", file.to_str().unwrap()),
    ]);
    fs::remove_file(file).unwrap();
    assert_eq!(error.unwrap_err().problems()[0].setting(), "PASSWORD_FILE");
    read(&[("ADDR", "redis://h:1/2"), ("DB", "2")]).unwrap();
}

#[test]
fn a_user_without_a_password_would_not_be_used() {
    let user = ("USERNAME", "alice");
    let watcher = ("SENTINEL_USERNAME", "watcher");
    for (values, variable) in [
        (&[ADDR, user][..], "REDIS_PASSWORD"),
        (&[("ADDR", "redis://alice@h:1")], "REDIS_PASSWORD"),
        (
            &[ADDR, ("SENTINEL_MASTER", "m"), watcher],
            "REDIS_SENTINEL_PASSWORD",
        ),
    ] {
        let error = read(values).unwrap_err();
        assert_eq!(error.code(), "config.missing");
        assert_eq!(error.problems().len(), 1, "{error}");
        assert_eq!(error.problems()[0].variable(), variable);
    }
    // A file that cannot be read is told, not the password that is missing for it.
    let file = ("PASSWORD_FILE", "/does/not/exist");
    let error = read(&[ADDR, user, file]).unwrap_err();
    assert_eq!(error.problems().len(), 1, "{error}");
}

#[test]
fn topologies_exclude_each_other() {
    let cluster = read(&[("ADDR", "a:1,b:2"), ("CLUSTER", "true")]).unwrap();
    assert_eq!(cluster.topology(), &Topology::Cluster);
    assert_eq!(cluster.addresses().len(), 2);
    for values in [
        &[ADDR, ("CLUSTER", "true"), ("SENTINEL_MASTER", "m")][..],
        &[ADDR, ("CLUSTER", "true"), ("DB", "1")],
        &[("ADDR", "unix:///run/r.sock"), ("CLUSTER", "true")],
        &[("ADDR", "unix:///run/r.sock"), ("SENTINEL_MASTER", "m")],
        &[("ADDR", "redis://a:1,rediss://b:1"), ("CLUSTER", "true")],
    ] {
        let error = read(values).unwrap_err();
        let all = error.problems();
        assert!(
            all.iter()
                .any(|found| found.problem() == Problem::Contradiction),
            "{error}"
        );
    }
}

#[test]
fn tls_needs_its_feature() {
    let result = read(&[("ADDR", "rediss://h:1")]);
    if cfg!(feature = "tls") {
        assert!(result.unwrap().tls());
    } else {
        assert_eq!(result.unwrap_err().code(), "config.feature_missing");
    }
    let error = read(&[("ADDR", "rediss://h:1"), ("TLS", "false")]).unwrap_err();
    assert!(
        error
            .problems()
            .iter()
            .any(|found| found.problem() == Problem::Contradiction)
    );
}

#[test]
fn n_cl_5_a_named_instance_has_its_own_variables() {
    let name = InstanceName::new("my-cache").unwrap();
    let config = read_as(name, &[ADDR, ("POOL_SIZE", "3")]).unwrap();
    assert_eq!((config.pool_size(), config.shared_connections()), (3, 1));
    assert_eq!(config.client_name(), "my_cache");
    let name = InstanceName::new("my-cache").unwrap();
    let error = read_as(name, &[]).unwrap_err();
    assert_eq!(error.problems()[0].variable(), "REDIS_MY_CACHE_ADDR");
    for name in ["", " ", "pool", "a b"] {
        assert!(
            Config::from_env_named(name)
                .unwrap_err()
                .code()
                .starts_with("instance.")
        );
    }
}

#[test]
fn blank_is_unset_and_odd_bytes_are_named() {
    let config = read(&[ADDR, ("PASSWORD", "  "), ("POOL_SIZE", "")]).unwrap();
    assert_eq!(config.pool_size(), 16);
    let error = Config::from_lookup(InstanceName::default(), |variable| match variable {
        "REDIS_PASSWORD" => Err(NotUnicode),
        "REDIS_ADDR" => Ok(Some("h:1".to_owned())),
        _ => Ok(None),
    });
    assert_eq!(
        error.unwrap_err().to_string(),
        "the configuration is invalid: REDIS_PASSWORD is not valid Unicode"
    );
}

#[test]
fn n_cl_8_no_setting_is_listed_and_not_asked_for() {
    let mut asked = Vec::new();
    let _ = Config::from_lookup(InstanceName::default(), |variable| {
        asked.push(variable.to_owned());
        Ok(None)
    });
    asked.sort();
    let mut listed: Vec<_> = SETTINGS
        .iter()
        .map(|s| format!("REDIS_{}", s.name()))
        .collect();
    listed.sort();
    assert_eq!(asked, listed);
}
