//! Why a command could not do its work, and what to do about it, in one line.

use std::{error::Error, fmt};

use governance_core::StoreError;
use governance_redis::{MigrationError, OpenError};
use redis_client::{BuildError, ClientError, Signal};
use serde_json::{Value, json};

pub(crate) struct Failure {
    code: &'static str,
    text: String,
    hint: Option<&'static str>,
    also: String,
    exit_code: u8,
}

impl Failure {
    pub(crate) fn new(code: &'static str, text: impl Into<String>) -> Self {
        Self {
            code,
            text: text.into(),
            hint: None,
            also: String::new(),
            exit_code: 2,
        }
    }

    pub(crate) const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// From an error with its causes.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut failure = Self::new("admin.failed", one_line(error));
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(code) = code_of(error) {
                failure.code = code;
            }
            if let Some(error) = error.downcast_ref::<ClientError>() {
                failure.hint = hint_of(error.signal());
                failure.text = error.signal().to_string();
            }
            let differs = matches!(error.downcast_ref(), Some(MigrationError::Differs { .. }));
            let damaged = matches!(error.downcast_ref(), Some(OpenError::Damaged { .. }));
            if differs || damaged {
                failure.exit_code = 1;
            }
            cause = error.source();
        }
        failure
    }

    /// Adds what else there is to know.
    pub(crate) fn and(mut self, more: &str) -> Self {
        self.also = format!("; {more}");
        self
    }

    pub(crate) const fn exit_code(&self) -> u8 {
        self.exit_code
    }

    pub(crate) fn json(&self) -> Value {
        json!({"ok": false, "error": {"code": self.code, "message": self.to_string()}})
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if let Some(hint) = self.hint {
            write!(f, "; {hint}")?;
        }
        f.write_str(&self.also)
    }
}

/// The innermost code counts: it says most.
fn code_of(error: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(error) = error.downcast_ref::<MigrationError>() {
        return Some(error.code());
    }
    if let Some(error) = error.downcast_ref::<OpenError>() {
        return Some(error.code());
    }
    if let Some(error) = error.downcast_ref::<BuildError>() {
        return error.config_error().map(redis_client::ConfigError::code);
    }
    if let Some(error) = error.downcast_ref::<StoreError>() {
        return Some(error.code());
    }
    error.downcast_ref::<ClientError>().map(ClientError::code)
}

const fn hint_of(signal: Signal) -> Option<&'static str> {
    match signal {
        Signal::ConnectFailed | Signal::ConnectTimeout => {
            Some("check --url, and that the server runs and can be reached")
        }
        Signal::LoginFailed => {
            Some("set REDIS_PASSWORD or --password-file, and --username if there is one")
        }
        Signal::NotPermitted => {
            Some("use a user that may run all commands on the keys of the store")
        }
        Signal::MasterUnknown => Some("check --sentinel-master, and that --url names sentinels"),
        Signal::CommandUnknown => Some("the server is too old"),
        Signal::SlotUnserved | Signal::ClusterDown => {
            Some("check that --url names nodes of a cluster, and that the cluster is complete")
        }
        Signal::WrongType => {
            Some("something else writes under this key prefix; `verify` lists its keys as foreign")
        }
        Signal::ScriptFailed => Some(
            "something else writes under this key prefix, or the store is damaged; `verify` says \
             which",
        ),
        Signal::CrossSlot | Signal::Moved => Some("use --cluster if this is a cluster"),
        Signal::ReadOnly => Some("name the primary"),
        Signal::ResponseTimeout => {
            Some("try again, or set REDIS_READ_TIMEOUT and REDIS_WRITE_TIMEOUT")
        }
        _ => None,
    }
}

fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text.replace('\n', " ")
}

macro_rules! from {
    ($($error:ty),+) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::of(&error)
            }
        })+
    };
}

from!(
    BuildError,
    ClientError,
    MigrationError,
    OpenError,
    StoreError
);
