//! Lua scripts and calls of them.

use std::fmt;

use redis::{Arg, Cmd, RedisWrite, ToRedisArgs};

use crate::{
    access::Access, error::ClientError, key::common_slot, operation::Operation, signal::Signal,
};

/// A script, parsed once from its text.
///
/// The first line is `#!lua`, with `flags=no-writes` for a script that only reads; the second is a
/// comment with the name and the version, so that the server's slow log says which script it was:
///
/// ```lua
/// #!lua flags=no-writes
/// -- inbox.page 2
/// return redis.call('ZRANGE', KEYS[1], ARGV[1], ARGV[2])
/// ```
///
/// The text is constant; what changes from call to call goes into keys and arguments.
///
/// # Examples
///
/// ```
/// use redis_client::Script;
/// use std::sync::LazyLock;
///
/// static BUMP: LazyLock<Script> = LazyLock::new(|| {
///     Script::embedded("#!lua\n-- counter.bump 1\nreturn redis.call('INCRBY', KEYS[1], ARGV[1])")
/// });
/// assert_eq!((BUMP.name(), BUMP.version()), ("counter.bump", 1));
/// ```
pub struct Script {
    name: &'static str,
    version: u32,
    access: Access,
    text: &'static str,
    sha: String,
}

/// Why a text is not a [`Script`].
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScript {
    /// The first line is not `#!lua`, which is what makes the server check before it runs.
    #[error("the first line of a script is `#!lua`, with flags if it has any")]
    Shebang,
    /// The second line is not a comment with name and version.
    #[error("the second line of a script is `-- name version`")]
    Header,
}

impl Script {
    /// Most keys of a call. The server stands still for about a microsecond each.
    pub const MAX_KEYS: usize = 4_096;

    /// Reads a script.
    ///
    /// # Errors
    ///
    /// [`InvalidScript`] when one of the first two lines is not as it must be.
    pub fn parse(text: &'static str) -> Result<Self, InvalidScript> {
        let mut lines = text.lines();
        let shebang = lines.next().and_then(|line| line.strip_prefix("#!lua"));
        let flags = match shebang.ok_or(InvalidScript::Shebang)?.trim_end() {
            "" => "",
            rest => rest.strip_prefix(" flags=").ok_or(InvalidScript::Shebang)?,
        };
        let header = lines.next().and_then(|line| line.strip_prefix("-- "));
        let (name, version) = header
            .and_then(|header| header.trim_end().split_once(' '))
            .ok_or(InvalidScript::Header)?;
        let version = version.parse().map_err(|_| InvalidScript::Header)?;
        if !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidScript::Header);
        }
        let access = if flags.split(',').any(|flag| flag == "no-writes") {
            Access::Read
        } else {
            Access::Write
        };
        Ok(Self {
            name,
            version,
            access,
            text,
            sha: redis::Script::new(text).get_hash().to_owned(),
        })
    }

    /// Reads a script that is part of the program.
    ///
    /// # Panics
    ///
    /// If the text is not a script, which the first test that uses it shows.
    #[must_use]
    pub fn embedded(text: &'static str) -> Self {
        match Self::parse(text) {
            Ok(script) => script,
            Err(error) => panic!("{error}"),
        }
    }

    /// The name in the header.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The version in the header.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }

    /// Whether it may change data.
    #[must_use]
    pub const fn access(&self) -> Access {
        self.access
    }

    /// The text, as it is sent.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        self.text
    }

    /// The SHA-1 of the text in hexadecimal.
    #[must_use]
    pub fn sha(&self) -> &str {
        &self.sha
    }

    /// Starts a call.
    pub fn call(&self) -> ScriptCall<'_> {
        ScriptCall {
            script: self,
            keys: Cmd::new(),
            args: Cmd::new(),
        }
    }

    pub(crate) const fn operation(&self) -> Operation {
        match self.access {
            Access::Read => Operation::read(self.name),
            Access::Write => Operation::write(self.name),
        }
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("name", &self.name)
            .field("version", &self.version)
            .field("sha", &self.sha)
            .finish_non_exhaustive()
    }
}

/// A script with the keys and arguments of one call. `Debug` shows how many, not which.
#[derive(Clone)]
#[must_use = "a call does nothing before it is invoked"]
pub struct ScriptCall<'s> {
    script: &'s Script,
    /// No command, but the driver's way to have many values in one allocation.
    keys: Cmd,
    args: Cmd,
}

impl<'s> ScriptCall<'s> {
    /// Adds a key. All keys of a call share a hash slot, and a script touches no other.
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.keys.write_arg(key.as_ref());
        self
    }

    /// Adds keys.
    pub fn keys<K: AsRef<[u8]>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        for key in keys {
            self.keys.write_arg(key.as_ref());
        }
        self
    }

    /// Adds an argument, or several when the value is a list.
    ///
    /// Pass integers above 2^53 as text: Lua has no others than doubles.
    pub fn arg(mut self, arg: impl ToRedisArgs) -> Self {
        arg.write_redis_args(&mut self.args);
        self
    }

    /// The script.
    #[must_use]
    pub const fn script(&self) -> &'s Script {
        self.script
    }

    /// How many keys it has.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.keys.args_iter().len()
    }

    /// The slot of the keys, after all rules for them were checked.
    pub(crate) fn slot(&self) -> Result<Option<u16>, ClientError> {
        let refuse = |signal| Err(ClientError::new(signal, self.script.operation()));
        if self.key_count() > Script::MAX_KEYS {
            return refuse(Signal::TooManyKeys);
        }
        match common_slot(values(&self.keys)) {
            Err(_) => refuse(Signal::CrossSlot),
            Ok(None) if self.script.access == Access::Write => refuse(Signal::NoKeys),
            Ok(slot) => Ok(slot),
        }
    }

    pub(crate) fn by_sha(&self) -> Cmd {
        self.command("EVALSHA", &self.script.sha)
    }

    pub(crate) fn by_text(&self) -> Cmd {
        self.command("EVAL", self.script.text)
    }

    fn command(&self, name: &str, script: &str) -> Cmd {
        let all = || values(&self.keys).chain(values(&self.args));
        let bytes = all().map(<[u8]>::len).sum::<usize>() + name.len() + script.len() + 8;
        let mut command = Cmd::with_capacity(all().count() + 3, bytes);
        command.arg(name).arg(script).arg(self.key_count());
        for value in all() {
            command.write_arg(value);
        }
        command
    }
}

fn values(of: &Cmd) -> impl Iterator<Item = &[u8]> {
    of.args_iter().filter_map(|value| match value {
        Arg::Simple(bytes) => Some(bytes),
        // The place of a cursor: these scan nothing.
        _ => None,
    })
}

impl fmt::Debug for ScriptCall<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptCall")
            .field("script", &self.script)
            .field("keys", &self.key_count())
            .field("args", &self.args.args_iter().len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_read() {
        let script = Script::parse("#!lua\n-- a.b 12\nreturn 1").unwrap();
        assert_eq!((script.name(), script.version()), ("a.b", 12));
        assert_eq!(script.access(), Access::Write);
        assert_eq!(script.sha().len(), 40);
        let script = Script::parse("#!lua flags=no-writes,allow-stale\n-- r 1\nreturn 1").unwrap();
        assert_eq!(script.access(), Access::Read);
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, error) in [
            ("", InvalidScript::Shebang),
            ("return 1", InvalidScript::Shebang),
            ("#!luajit\n-- a 1\n", InvalidScript::Shebang),
            ("#!lua\nreturn 1", InvalidScript::Header),
            ("#!lua\n-- name", InvalidScript::Header),
            ("#!lua\n-- name x", InvalidScript::Header),
        ] {
            assert_eq!(Script::parse(text).unwrap_err(), error, "{text:?}");
        }
    }

    #[test]
    fn keys_of_a_call_share_a_slot() {
        let script = Script::embedded("#!lua\n-- w 1\nreturn 1");
        let slot = |call: ScriptCall<'_>| call.slot().map_err(|error| error.signal());
        assert_eq!(slot(script.call()), Err(Signal::NoKeys));
        assert_eq!(
            slot(script.call().key("{a}1").key("{b}1")),
            Err(Signal::CrossSlot)
        );
        assert_eq!(
            slot(script.call().keys(["{a}1", "{a}2"])),
            Ok(Some(crate::slot("a")))
        );
        assert_eq!(
            slot(script.call().keys(vec!["k"; Script::MAX_KEYS + 1])),
            Err(Signal::TooManyKeys)
        );
        let reads = Script::embedded("#!lua flags=no-writes\n-- r 1\nreturn 1");
        assert_eq!(slot(reads.call()), Ok(None));
    }

    #[test]
    fn debug_shows_no_argument() {
        let script = Script::embedded("#!lua\n-- w 1\nreturn 1");
        let call = script
            .call()
            .key("hunter2")
            .arg("hunter2")
            .arg(vec!["hunter2"]);
        assert!(!format!("{call:?}").contains("hunter2"));
    }
}
