//! The table of settings: names, defaults and rules.

/// One setting that can come from the environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    name: &'static str,
    default: &'static str,
    rule: &'static str,
}

impl Setting {
    /// The name after `REDIS_`, or after `REDIS_<NAME>_` of a named instance.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The default as it would be written, or what happens without one.
    #[must_use]
    pub const fn default_value(&self) -> &'static str {
        self.default
    }

    /// What it does and what is accepted.
    #[must_use]
    pub const fn rule(&self) -> &'static str {
        self.rule
    }
}

pub(crate) fn starts_with_word(word: &str) -> bool {
    SETTINGS.iter().any(|setting| {
        let first = setting.name.split('_').next().unwrap_or_default();
        first.eq_ignore_ascii_case(word)
    })
}

/// Whether these words in front of a setting are another setting.
pub(crate) fn makes_another(words: &str) -> bool {
    SETTINGS.iter().any(|setting| {
        let name = format!("{}_{}", words.to_ascii_uppercase(), setting.name);
        SETTINGS.iter().any(|other| other.name == name)
    })
}

const fn setting(name: &'static str, default: &'static str, rule: &'static str) -> Setting {
    Setting {
        name,
        default,
        rule,
    }
}

/// Every setting, in the order of the documentation.
pub const SETTINGS: &[Setting] = &[
    setting(
        "ADDR",
        "required",
        "`host:port`, `redis://`, `rediss://` or `unix://`; several with commas for Sentinel and Cluster",
    ),
    setting(
        "USERNAME",
        "none",
        "user of the access list; needs a password",
    ),
    setting("PASSWORD", "none", "not together with one in the address"),
    setting(
        "PASSWORD_FILE",
        "none",
        "file with the password, its end trimmed; not together with the password",
    ),
    setting("DB", "0", "0 to 65535; 0 in a cluster"),
    setting(
        "TLS",
        "by address",
        "`true` or `false`; needs the feature `tls`",
    ),
    setting(
        "TLS_CA_FILE",
        "platform roots",
        "PEM file of the roots to trust",
    ),
    setting(
        "SENTINEL_MASTER",
        "none",
        "name of the master; the addresses are sentinels then",
    ),
    setting(
        "SENTINEL_USERNAME",
        "none",
        "user at the sentinels; needs a password there",
    ),
    setting("SENTINEL_PASSWORD", "none", "password at the sentinels"),
    setting("CLUSTER", "false", "the addresses are nodes of a cluster"),
    setting("PROTOCOL", "resp3", "`resp3` or `resp2`"),
    setting(
        "CLIENT_NAME",
        "instance name",
        "name of the connections on the server",
    ),
    setting(
        "DIAL_TIMEOUT",
        "1s",
        "making a connection, login included; 1ms to 1d",
    ),
    setting("READ_TIMEOUT", "500ms", "answer to a read; 1ms to 1d"),
    setting("WRITE_TIMEOUT", "500ms", "answer to a write; 1ms to 1d"),
    setting(
        "RETRY_TIMEOUT",
        "2s",
        "how long a command that was certainly not applied is tried again; 0ms to 1d",
    ),
    setting(
        "POOL_SIZE",
        "16",
        "connections to one server, shared ones included; 1 to 1024",
    ),
    setting(
        "POOL_WAIT_TIMEOUT",
        "1s",
        "wait for a free connection; 1ms to 1d",
    ),
    setting(
        "POOL_RECYCLE",
        "always",
        "`always`, `idle:<duration>` or `never`: when a used connection is checked before it is handed out",
    ),
    setting(
        "CONNECTION",
        "shared",
        "`shared`: ordinary commands share 2 connections, `shared:<number>` so many, 1 to 16 and less than the pool; `pool`: a checkout per command",
    ),
    setting(
        "PING_ON_BUILD",
        "false",
        "building the client fails when the server does not answer",
    ),
    setting("PING_TIMEOUT", "1s", "for that ping; 1ms to 1d"),
    setting(
        "CLOSE_TIMEOUT",
        "5s",
        "closing: dependants, then running commands; 1ms to 1d",
    ),
    setting("HEALTH_TIMEOUT", "1s", "a health report; 1ms to 1d"),
    setting(
        "HEALTH_CACHE_FOR",
        "1s",
        "how long a report is given out again; 0ms to 1d",
    ),
    setting(
        "HEALTH_SLOW",
        "100ms",
        "latency from which on a server is reported as slow; 1ms to 1d",
    ),
    setting(
        "KEY_PREFIX",
        "empty",
        "start of every key; no blanks, braces or glob characters",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_has_the_table() {
        let readme = include_str!("../../README.md");
        for setting in SETTINGS {
            let row = format!(
                "| `REDIS_{}` | {} | {} |",
                setting.name, setting.default, setting.rule
            );
            assert!(readme.contains(&row), "missing in README.md:\n{row}");
        }
        let rows = readme
            .lines()
            .filter(|line| line.starts_with("| `REDIS_"))
            .count();
        assert_eq!(rows, SETTINGS.len());
    }
}
