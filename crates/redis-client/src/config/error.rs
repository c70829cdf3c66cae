//! Everything wrong with a configuration, in one error.

use std::fmt;

use crate::{config::InvalidName, key::InvalidPrefix};

/// What is wrong with one setting.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It has no default.
    Missing,
    /// It is not valid Unicode.
    NotUnicode,
    /// It is not `true` or `false`.
    NotABoolean,
    /// It is not a whole number.
    NotANumber,
    /// It is not a number with a unit: `ms`, `s`, `m`, `h` or `d`.
    NotADuration,
    /// It is out of its bounds.
    OutOfBounds,
    /// It is not one of the accepted words.
    NotAChoice,
    /// It is not an address.
    NotAnAddress,
    /// Options after `?` or `#` in an address; there are settings for them.
    AddressOptions,
    /// The same thing is set in two places.
    SetTwice,
    /// It contradicts another setting.
    Contradiction,
    /// The file cannot be read.
    UnreadableFile,
    /// The file is not a PEM file of certificates.
    NotACertificate,
    /// It needs a feature this program was built without.
    FeatureMissing,
    /// The key prefix is refused.
    Prefix(InvalidPrefix),
    /// The name of the instance is refused.
    Name(InvalidName),
}

impl Problem {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Missing => "config.missing",
            Self::NotUnicode => "config.not_unicode",
            Self::NotABoolean => "config.not_a_boolean",
            Self::NotANumber => "config.not_a_number",
            Self::NotADuration => "config.not_a_duration",
            Self::OutOfBounds => "config.out_of_bounds",
            Self::NotAChoice => "config.not_a_choice",
            Self::NotAnAddress => "config.not_an_address",
            Self::AddressOptions => "config.address_options",
            Self::SetTwice => "config.set_twice",
            Self::Contradiction => "config.contradiction",
            Self::UnreadableFile => "config.unreadable_file",
            Self::NotACertificate => "config.not_a_certificate",
            Self::FeatureMissing => "config.feature_missing",
            Self::Prefix(problem) => problem.code(),
            Self::Name(problem) => problem.code(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "is required",
            Self::NotUnicode => "is not valid Unicode",
            Self::NotABoolean => "is not true or false",
            Self::NotANumber => "is not a whole number",
            Self::NotADuration => "is not a number with a unit (ms, s, m, h, d)",
            Self::OutOfBounds => "is out of bounds",
            Self::NotAChoice => "is not one of the accepted words",
            Self::NotAnAddress => {
                "is not an address: write host:port, redis://, rediss:// or unix://"
            }
            Self::AddressOptions => "has options after the address; use the settings instead",
            Self::SetTwice => "is set in two places",
            Self::Contradiction => "contradicts another setting",
            Self::UnreadableFile => "names a file that cannot be read",
            Self::NotACertificate => "names a file without PEM certificates",
            Self::FeatureMissing => {
                "needs the feature `tls` of redis-client, which this program was built without"
            }
            Self::Prefix(problem) => problem.text(),
            Self::Name(problem) => problem.text(),
        })
    }
}

/// One setting and what is wrong with it. The value is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    setting: &'static str,
    variable: String,
    problem: Problem,
}

impl ConfigProblem {
    pub(crate) const fn new(setting: &'static str, variable: String, problem: Problem) -> Self {
        Self {
            setting,
            variable,
            problem,
        }
    }

    /// The setting's name after `REDIS_`.
    #[must_use]
    pub const fn setting(&self) -> &'static str {
        self.setting
    }

    /// The environment variable of the setting for this instance.
    #[must_use]
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// What is wrong.
    #[must_use]
    pub const fn problem(&self) -> Problem {
        self.problem
    }

    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        self.problem.code()
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.variable, self.problem)
    }
}

/// A configuration that was refused, with everything that is wrong with it.
///
/// Names the variables, never their values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(Vec<ConfigProblem>);

impl ConfigError {
    pub(crate) const fn new(problems: Vec<ConfigProblem>) -> Self {
        Self(problems)
    }

    /// What is wrong, in the order of the settings. Never empty.
    #[must_use]
    pub fn problems(&self) -> &[ConfigProblem] {
        &self.0
    }

    /// Stable code of the first problem.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.0.first().map_or("config.invalid", ConfigProblem::code)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is invalid: ")?;
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}
