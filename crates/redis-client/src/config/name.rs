//! Names of instances.

use std::fmt;

use crate::config::settings;

/// The name of one of several Redis clients in a program. The default one is nameless.
///
/// A name starts with `a`-`z` and goes on with those, digits, `-` and `_`. `-` and `_` are the same
/// in the names of environment variables, so names that differ only there are equal.
///
/// # Examples
///
/// ```
/// use redis_client::InstanceName;
///
/// let name = InstanceName::new("JOBS")?;
/// assert_eq!(name.as_str(), "jobs");
/// assert_eq!(name.variable("ADDR"), "REDIS_JOBS_ADDR");
/// assert_eq!(InstanceName::default().variable("ADDR"), "REDIS_ADDR");
/// assert!(InstanceName::new("pool").is_err(), "REDIS_POOL_SIZE would have two meanings");
/// # Ok::<(), redis_client::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InstanceName(String);

/// Why a name of an instance was refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing, or nothing but blanks. The nameless instance is the default one.
    #[error("the name of an instance {}", self.text())]
    Blank,
    /// A character a name may not have, or a name of more than 64.
    #[error("the name of an instance {}", self.text())]
    Character,
    /// Its first word already follows `REDIS_` in a variable of its own, or its last makes variables
    /// of the instance that is named by the rest: `REDIS_X_SENTINEL_PASSWORD` is of `x`.
    #[error("the name of an instance {}", self.text())]
    Reserved,
}

impl InvalidName {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Blank => "instance.blank",
            Self::Character => "instance.character",
            Self::Reserved => "instance.reserved",
        }
    }

    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Blank => "is blank",
            Self::Character => "has a character that is not allowed, or too many of them",
            Self::Reserved => "begins or ends with a word that settings begin with",
        }
    }
}

/// First words of settings that belong to the modules on top of this one.
const RESERVED_FOR_CAPABILITIES: [&str; 10] = [
    "backend",
    "bus",
    "cache",
    "leader",
    "limiter",
    "lock",
    "process",
    "ratelimit",
    "session",
    "test",
];

impl InstanceName {
    /// Folds case and `-`, and checks.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the text breaks a rule of the type.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if text.trim().is_empty() {
            return Err(InvalidName::Blank);
        }
        let name = text.to_ascii_lowercase().replace('-', "_");
        let mut bytes = name.bytes();
        let starts_well = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
        if name.len() > 64
            || !starts_well
            || !bytes.all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        {
            return Err(InvalidName::Character);
        }
        let first = name.split('_').next().unwrap_or_default();
        let mut ends = name.match_indices('_').map(|(at, _)| &name[at + 1..]);
        if settings::starts_with_word(first)
            || RESERVED_FOR_CAPABILITIES.contains(&first)
            || ends.any(settings::makes_another)
        {
            return Err(InvalidName::Reserved);
        }
        Ok(Self(name))
    }

    /// The name, empty for the default instance.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the nameless instance.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.0.is_empty()
    }

    /// The environment variable of a setting.
    #[must_use]
    pub fn variable(&self, setting: &str) -> String {
        if self.is_default() {
            format!("REDIS_{setting}")
        } else {
            format!("REDIS_{}_{setting}", self.0.to_ascii_uppercase())
        }
    }

    /// The stable token of something an instance exports: `redis.client` or `redis.x.client`.
    #[must_use]
    pub fn token(&self, export: &str) -> String {
        if self.is_default() {
            format!("redis.{export}")
        } else {
            format!("redis.{}.{export}", self.0)
        }
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(if self.is_default() {
            "default"
        } else {
            &self.0
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn n_cl_6_blank_odd_and_reserved_names_are_refused() {
        for (text, code) in [
            ("", "instance.blank"),
            ("  ", "instance.blank"),
            ("1a", "instance.character"),
            ("a b", "instance.character"),
            ("a.b", "instance.character"),
            ("addr", "instance.reserved"),
            ("Pool", "instance.reserved"),
            ("key-values", "instance.reserved"),
            ("session", "instance.reserved"),
            ("cache", "instance.reserved"),
            ("leader-two", "instance.reserved"),
            ("jobs-sentinel", "instance.reserved"),
        ] {
            assert_eq!(
                InstanceName::new(text).unwrap_err().code(),
                code,
                "{text:?}"
            );
        }
    }

    #[test]
    fn names_that_fold_alike_are_equal() {
        assert_eq!(InstanceName::new("my-cache"), InstanceName::new("My_Cache"));
    }

    proptest! {
        #[test]
        fn t_cl_2_variables_and_tokens_of_two_instances_never_meet(
            // The words of settings, and others, so that names can be made to look like them.
            one in name(), other in name(),
        ) {
            let mut seen = HashSet::new();
            let mut names = vec![InstanceName::default()];
            names.extend([one, other].iter().filter_map(|name| InstanceName::new(name).ok()));
            names.dedup();
            for name in &names {
                for setting in settings::SETTINGS {
                    let variable = name.variable(setting.name());
                    prop_assert!(seen.insert(variable.clone()), "{}: {:?}", variable, names);
                }
                for export in ["client", "key_prefix", "cache.store", "session.store"] {
                    prop_assert!(seen.insert(name.token(export)));
                }
            }
        }
    }

    fn name() -> impl Strategy<Value = String> {
        let words = settings::SETTINGS
            .iter()
            .flat_map(|setting| setting.name().split('_'));
        let mut words: Vec<String> = words.map(str::to_ascii_lowercase).collect();
        words.extend(["a", "b", "jobs"].map(str::to_owned));
        prop::collection::vec(prop::sample::select(words), 1..4).prop_map(|words| words.join("_"))
    }
}
