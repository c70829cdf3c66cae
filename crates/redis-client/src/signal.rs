//! What can go wrong, and what each of it means.

use std::fmt;

use redis::{RedisError, ServerErrorKind};

use crate::{
    access::Access,
    error::{ClientError, ErrorKind, Outcome, Retry},
    operation::Operation,
};

macro_rules! signals {
    ($($(#[$doc:meta])* $name:ident $code:literal $kind:ident $effect:ident $text:literal,)+) => {
        /// What was observed when a command failed.
        ///
        /// Each signal has one meaning, in one table: its kind, whether the command may have been
        /// applied, and whether trying again can help.
        #[non_exhaustive]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Signal {
            $($(#[$doc])* $name,)+
        }

        impl Signal {
            /// Every signal.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The kind of failure.
            #[must_use]
            pub const fn kind(self) -> ErrorKind {
                match self { $(Self::$name => ErrorKind::$kind,)+ }
            }

            const fn effect(self) -> Effect {
                match self { $(Self::$name => Effect::$effect,)+ }
            }

            const fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

/// What a signal says about the command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// Not applied, and it will be the same next time.
    Refused,
    /// Not applied; it may work later.
    Later,
    /// It may have been applied.
    Unknown,
}

signals! {
    /// No connection became free within the pool's wait timeout. Nothing was sent.
    PoolExhausted "redis.pool_exhausted" Timeout Later "no connection became free in time",
    /// A connection could not be made within the dial timeout. Nothing was sent.
    ConnectTimeout "redis.connect_timeout" Timeout Later "a connection could not be made in time",
    /// A connection could not be made. Nothing was sent.
    ConnectFailed "redis.connect_failed" Unavailable Later "a connection could not be made",
    /// No sentinel knows a master of that name that takes writes. Nothing was sent.
    MasterUnknown "redis.master_unknown" Unavailable Later "no sentinel knows a master that serves",
    /// The cluster's slots could not be learnt, or nobody serves this one. Nothing was sent.
    SlotUnserved "redis.slot_unserved" Unavailable Later "no node is known to serve the slot",
    /// The login was refused.
    LoginFailed "redis.login_failed" Denied Refused "the login was refused",
    /// The user may not run this command or touch this key.
    NotPermitted "redis.not_permitted" Denied Refused "the user has no permission for this",
    /// The server has no database of the number that is set.
    DatabaseUnknown "redis.database_unknown" InvalidInput Refused "the server has no database of this number; set a lower one, and 0 for a cluster",
    /// The client is set to a cluster and the server is none.
    NotACluster "redis.not_a_cluster" InvalidInput Refused "the server is not part of a cluster; switch cluster mode off, or name nodes of a cluster",
    /// The client is set to Sentinel and the server is no sentinel.
    NotASentinel "redis.not_a_sentinel" InvalidInput Refused "the server is no sentinel; name sentinels, or leave the name of the master out",
    /// The server does not speak the protocol version asked for.
    ProtocolUnsupported "redis.protocol_unsupported" Unsupported Refused "the server does not speak this protocol version",
    /// The server does not know the command.
    CommandUnknown "redis.command_unknown" Unsupported Refused "the server does not know the command",
    /// The keys of one call lie in different hash slots.
    CrossSlot "redis.cross_slot" InvalidInput Refused "the keys lie in different hash slots",
    /// A script that writes was called without a key to say where.
    NoKeys "redis.no_keys" InvalidInput Refused "a script that writes needs at least one key",
    /// More keys than a script may have.
    TooManyKeys "redis.too_many_keys" InvalidInput Refused "more keys than a script may have",
    /// The key holds a value of another type.
    WrongType "redis.wrong_type" Unexpected Refused "a key holds a value of another type",
    /// The server does not have the script; it is sent with its text next.
    NoScript "redis.no_script" Unavailable Later "the server does not have the script",
    /// The server is loading its data.
    Loading "redis.loading" Unavailable Later "the server is loading its data",
    /// A slot is being moved and not all keys are on one side.
    TryAgain "redis.try_again" Unavailable Later "a slot is being moved",
    /// The slot is served by another node.
    Moved "redis.moved" Unavailable Later "the slot is served by another node",
    /// The key is already on the node the slot is moving to.
    Ask "redis.ask" Unavailable Later "the key is on the node the slot moves to",
    /// The cluster does not serve.
    ClusterDown "redis.cluster_down" Unavailable Later "the cluster does not serve",
    /// A replica lost its master and may not serve old data.
    MasterDown "redis.master_down" Unavailable Later "the replica lost its master",
    /// The server is a replica and takes no writes.
    ReadOnly "redis.read_only" Unavailable Later "the server is a read-only replica; connect to its master, or through Sentinel",
    /// Another script runs for too long.
    Busy "redis.busy" Unavailable Later "the server is busy with a script",
    /// An operator stopped the script before it wrote.
    ScriptKilled "redis.script_killed" Unavailable Later "the script was stopped before it wrote",
    /// Fewer replicas are connected than writes need.
    NoReplicas "redis.no_replicas" Unavailable Later "too few replicas are connected",
    /// The server stopped accepting writes because it cannot save its data.
    CannotPersist "redis.cannot_persist" Unavailable Later "the server cannot save its data and takes no writes",
    /// The server reached its memory limit.
    OutOfMemory "redis.out_of_memory" Unavailable Later "the server has no memory left",
    /// The server has as many clients as it takes.
    TooManyClients "redis.too_many_clients" Unavailable Later "the server takes no more clients",
    /// The server ended a blocking command because its role changed.
    Unblocked "redis.unblocked" Unavailable Later "the server ended the blocking command",
    /// No answer within the read or write timeout.
    ResponseTimeout "redis.response_timeout" Timeout Unknown "the server did not answer in time",
    /// The connection ended before the answer came.
    ConnectionLost "redis.connection_lost" Unavailable Unknown "the connection was lost",
    /// A script raised an error, perhaps after its first write.
    ScriptFailed "redis.script_failed" Unexpected Unknown "the script raised an error",
    /// The answer is not what the caller said it would be.
    ReplyUndecodable "redis.reply_undecodable" Unexpected Unknown "the answer could not be decoded",
    /// The server refused the command with an error of another kind.
    ServerError "redis.server_error" Unexpected Refused "the server refused the command",
    /// The driver refused to send the command.
    DriverRefused "redis.driver_refused" InvalidInput Refused "the driver refused the command",
    /// The client is closed.
    Closed "redis.closed" Closed Refused "the client is closed",
    /// A blocking read was asked to wait longer than a day.
    BlockTooLong "redis.block_too_long" InvalidInput Refused "a read may block for a day at most",
}

impl Signal {
    /// Whether and how a command that ended so may be tried again.
    #[must_use]
    pub const fn retry(self, access: Access) -> Retry {
        match (self.effect(), access) {
            (Effect::Refused, _) => Retry::Never,
            (Effect::Later, _) => Retry::Safe,
            // Asking again for what cannot be decoded gives the same answer.
            (Effect::Unknown, Access::Read) if matches!(self, Self::ReplyUndecodable) => {
                Retry::Never
            }
            (Effect::Unknown, Access::Read) => Retry::Safe,
            (Effect::Unknown, Access::Write) => Retry::SameOperation,
        }
    }

    /// What is known about the effect of a command that ended so.
    #[must_use]
    pub const fn outcome(self, access: Access) -> Outcome {
        match (self.effect(), access) {
            (Effect::Unknown, Access::Write) => Outcome::Unknown,
            _ => Outcome::NotApplied,
        }
    }

    /// Whether the client itself waits a little and tries again. The others that may pass need an
    /// operator, or time that the caller may want to spend otherwise.
    pub(crate) const fn passes_soon(self) -> bool {
        matches!(
            self,
            Self::ConnectFailed
                | Self::ConnectTimeout
                | Self::MasterUnknown
                | Self::SlotUnserved
                | Self::Loading
                | Self::TryAgain
                | Self::Moved
                | Self::Ask
                | Self::ClusterDown
                | Self::MasterDown
                | Self::ReadOnly
                | Self::Busy
                | Self::TooManyClients
        )
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// When an error came up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// While a connection was made: no command was sent.
    Connect,
    /// After the command was handed to the driver.
    Command,
}

/// Turns a driver error into ours. The only place that judges what a Redis error means.
pub(crate) fn classify(error: RedisError, phase: Phase, operation: Operation) -> ClientError {
    ClientError::new(signal_of(&error, phase), operation).with_source(error)
}

pub(crate) fn signal_of(error: &RedisError, phase: Phase) -> Signal {
    use redis::ErrorKind as Driver;
    let signal = match error.kind() {
        Driver::Server(kind) => of_server(kind, error.detail()),
        Driver::Extension => of_extension(error.code().unwrap_or_default(), error.detail()),
        Driver::AuthenticationFailed => Signal::LoginFailed,
        Driver::RESP3NotSupported => Signal::ProtocolUnsupported,
        Driver::MasterNameNotFoundBySentinel
        | Driver::NoValidReplicasFoundBySentinel
        | Driver::EmptySentinelList => Signal::MasterUnknown,
        Driver::ClusterConnectionNotFound => Signal::SlotUnserved,
        Driver::InvalidClientConfig | Driver::Client if phase == Phase::Command => {
            Signal::DriverRefused
        }
        Driver::Io if error.is_timeout() => Signal::ResponseTimeout,
        Driver::Io => Signal::ConnectionLost,
        _ => Signal::ReplyUndecodable,
    };
    match (phase, signal) {
        (Phase::Connect, Signal::ResponseTimeout) => Signal::ConnectTimeout,
        (
            Phase::Connect,
            Signal::ConnectionLost | Signal::ReplyUndecodable | Signal::ServerError,
        ) => Signal::ConnectFailed,
        (_, signal) => signal,
    }
}

fn of_server(kind: ServerErrorKind, detail: Option<&str>) -> Signal {
    let signal = match kind {
        ServerErrorKind::BusyLoading => Signal::Loading,
        ServerErrorKind::NoScript => Signal::NoScript,
        ServerErrorKind::Moved => Signal::Moved,
        ServerErrorKind::Ask => Signal::Ask,
        ServerErrorKind::TryAgain => Signal::TryAgain,
        ServerErrorKind::ClusterDown => Signal::ClusterDown,
        ServerErrorKind::MasterDown => Signal::MasterDown,
        ServerErrorKind::ReadOnly => Signal::ReadOnly,
        ServerErrorKind::CrossSlot => Signal::CrossSlot,
        ServerErrorKind::NoPerm => Signal::NotPermitted,
        _ => of_text(detail),
    };
    raised_in_script(signal, detail)
}

fn of_extension(code: &str, detail: Option<&str>) -> Signal {
    let signal = match code {
        "WRONGPASS" | "NOAUTH" => Signal::LoginFailed,
        "NOPROTO" => Signal::ProtocolUnsupported,
        "WRONGTYPE" => Signal::WrongType,
        "OOM" => Signal::OutOfMemory,
        "BUSY" => Signal::Busy,
        "NOREPLICAS" => Signal::NoReplicas,
        "MISCONF" | "IOERR" => Signal::CannotPersist,
        "UNBLOCKED" => Signal::Unblocked,
        _ => of_text(detail),
    };
    raised_in_script(signal, detail)
}

/// Plain `ERR`: the text says what it is.
fn of_text(detail: Option<&str>) -> Signal {
    let detail = detail.unwrap_or_default();
    let unknown = detail
        .strip_prefix("unknown command")
        .or_else(|| detail.strip_prefix("Unknown command"));
    if let Some(command) = unknown {
        let command = command.trim_start_matches([' ', '\'', '`']);
        let end = command.find(['\'', '`', ',', ' ']).unwrap_or(command.len());
        if command[..end].eq_ignore_ascii_case("SENTINEL") {
            Signal::NotASentinel
        } else {
            Signal::CommandUnknown
        }
    } else if detail.starts_with("max number of clients") {
        Signal::TooManyClients
    } else if detail.starts_with("DB index is out of range")
        || detail.starts_with("SELECT is not allowed in cluster mode")
    {
        Signal::DatabaseUnknown
    } else if detail.contains("cluster support disabled") {
        Signal::NotACluster
    } else if detail.contains("Script killed by user") {
        Signal::ScriptKilled
    } else if detail.contains("invalid password") || detail.contains("AUTH") {
        Signal::LoginFailed
    } else {
        Signal::ServerError
    }
}

/// A command that fails inside a script ends the script, and what it wrote before stays written.
///
/// The server marks such errors with the script they came from.
fn raised_in_script(signal: Signal, detail: Option<&str>) -> Signal {
    let marked = detail.is_some_and(|detail| {
        detail.contains("script: ") && detail.contains("on @") || detail.contains("user_script:")
    });
    match signal {
        Signal::ScriptKilled => signal,
        _ if marked => Signal::ScriptFailed,
        _ => signal,
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, io};

    use super::*;

    fn reply(line: &str) -> RedisError {
        redis::parse_redis_value(format!("-{line}\r\n").as_bytes())
            .unwrap()
            .extract_error()
            .unwrap_err()
    }

    fn io(kind: io::ErrorKind) -> RedisError {
        RedisError::from(io::Error::from(kind))
    }

    #[test]
    fn every_server_reply_has_its_meaning() {
        use Outcome::{NotApplied, Unknown};
        use Retry::{Never, Safe, SameOperation};
        let in_script = "script: 6f0a, on @user_script:2.";
        for (line, signal, retry, outcome) in [
            (
                "LOADING Redis is loading",
                Signal::Loading,
                Safe,
                NotApplied,
            ),
            ("TRYAGAIN Multiple keys", Signal::TryAgain, Safe, NotApplied),
            ("MASTERDOWN Link down", Signal::MasterDown, Safe, NotApplied),
            (
                "CLUSTERDOWN Hash slot not served",
                Signal::ClusterDown,
                Safe,
                NotApplied,
            ),
            (
                "READONLY You can't write",
                Signal::ReadOnly,
                Safe,
                NotApplied,
            ),
            ("MOVED 3999 127.0.0.1:6381", Signal::Moved, Safe, NotApplied),
            ("ASK 3999 127.0.0.1:6381", Signal::Ask, Safe, NotApplied),
            (
                "NOSCRIPT No matching script",
                Signal::NoScript,
                Safe,
                NotApplied,
            ),
            (
                "BUSY Redis is busy running a script",
                Signal::Busy,
                Safe,
                NotApplied,
            ),
            (
                "NOREPLICAS Not enough good replicas",
                Signal::NoReplicas,
                Safe,
                NotApplied,
            ),
            (
                "MISCONF Redis is configured to save",
                Signal::CannotPersist,
                Safe,
                NotApplied,
            ),
            (
                "OOM command not allowed",
                Signal::OutOfMemory,
                Safe,
                NotApplied,
            ),
            (
                "UNBLOCKED force unblock",
                Signal::Unblocked,
                Safe,
                NotApplied,
            ),
            (
                "ERR max number of clients reached",
                Signal::TooManyClients,
                Safe,
                NotApplied,
            ),
            (
                "ERR Error running script: Script killed by user with SCRIPT KILL",
                Signal::ScriptKilled,
                Safe,
                NotApplied,
            ),
            (
                "WRONGPASS invalid username-password pair",
                Signal::LoginFailed,
                Never,
                NotApplied,
            ),
            (
                "NOAUTH Authentication required.",
                Signal::LoginFailed,
                Never,
                NotApplied,
            ),
            (
                "NOPERM this user has no permissions",
                Signal::NotPermitted,
                Never,
                NotApplied,
            ),
            (
                "CROSSSLOT Keys in request don't hash",
                Signal::CrossSlot,
                Never,
                NotApplied,
            ),
            (
                "WRONGTYPE Operation against a key",
                Signal::WrongType,
                Never,
                NotApplied,
            ),
            (
                "ERR DB index is out of range",
                Signal::DatabaseUnknown,
                Never,
                NotApplied,
            ),
            (
                "ERR SELECT is not allowed in cluster mode",
                Signal::DatabaseUnknown,
                Never,
                NotApplied,
            ),
            (
                "ERR This instance has cluster support disabled",
                Signal::NotACluster,
                Never,
                NotApplied,
            ),
            (
                "NOPROTO unsupported protocol version",
                Signal::ProtocolUnsupported,
                Never,
                NotApplied,
            ),
            (
                "ERR unknown command 'FOO', with args",
                Signal::CommandUnknown,
                Never,
                NotApplied,
            ),
            (
                "ERR unknown command 'SENTINEL', with args beginning with: 'get-master-addr-by-name'",
                Signal::NotASentinel,
                Never,
                NotApplied,
            ),
            (
                "ERR unknown command `sentinel`, with args",
                Signal::NotASentinel,
                Never,
                NotApplied,
            ),
            (
                "ERR value is not an integer",
                Signal::ServerError,
                Never,
                NotApplied,
            ),
            ("WEIRD some module", Signal::ServerError, Never, NotApplied),
            (
                &format!("WRONGTYPE Operation against a key {in_script}"),
                Signal::ScriptFailed,
                SameOperation,
                Unknown,
            ),
            (
                &format!("OOM command not allowed {in_script}"),
                Signal::ScriptFailed,
                SameOperation,
                Unknown,
            ),
            (
                &format!("ERR something {in_script}"),
                Signal::ScriptFailed,
                SameOperation,
                Unknown,
            ),
            (
                "ERR user_script:2: attempt to index nil",
                Signal::ScriptFailed,
                SameOperation,
                Unknown,
            ),
        ] {
            let error = classify(reply(line), Phase::Command, Operation::write("test"));
            assert_eq!(error.signal(), signal, "{line}");
            assert_eq!((error.retry(), error.outcome()), (retry, outcome), "{line}");
            let read = classify(reply(line), Phase::Command, Operation::read("test"));
            assert_eq!(read.outcome(), NotApplied, "{line}");
            assert_ne!(read.retry(), SameOperation, "{line}");
        }
    }

    #[test]
    fn trouble_after_sending_is_unknown_for_a_write() {
        for (error, signal) in [
            (io(io::ErrorKind::TimedOut), Signal::ResponseTimeout),
            (io(io::ErrorKind::BrokenPipe), Signal::ConnectionLost),
            (io(io::ErrorKind::ConnectionReset), Signal::ConnectionLost),
            (io(io::ErrorKind::UnexpectedEof), Signal::ConnectionLost),
            (
                RedisError::from((redis::ErrorKind::UnexpectedReturnType, "not a number")),
                Signal::ReplyUndecodable,
            ),
            (
                RedisError::from((redis::ErrorKind::Parse, "bad")),
                Signal::ReplyUndecodable,
            ),
        ] {
            let write = classify(error.clone(), Phase::Command, Operation::write("test"));
            assert_eq!(write.signal(), signal);
            assert_eq!(write.outcome(), Outcome::Unknown);
            assert_eq!(write.retry(), Retry::SameOperation);
            let read = classify(error, Phase::Command, Operation::read("test"));
            assert_eq!(read.outcome(), Outcome::NotApplied);
        }
    }

    #[test]
    fn trouble_while_connecting_applied_nothing() {
        for (error, signal) in [
            (io(io::ErrorKind::TimedOut), Signal::ConnectTimeout),
            (io(io::ErrorKind::ConnectionRefused), Signal::ConnectFailed),
            (io(io::ErrorKind::UnexpectedEof), Signal::ConnectFailed),
            (
                RedisError::from((redis::ErrorKind::AuthenticationFailed, "no")),
                Signal::LoginFailed,
            ),
            (reply("WRONGPASS no"), Signal::LoginFailed),
            (reply("LOADING soon"), Signal::Loading),
            (
                reply("ERR max number of clients reached"),
                Signal::TooManyClients,
            ),
        ] {
            let error = classify(error, Phase::Connect, Operation::write("test"));
            assert_eq!(error.signal(), signal);
            assert_eq!(error.outcome(), Outcome::NotApplied);
        }
    }

    #[test]
    fn codes_are_unique() {
        let codes: HashSet<_> = Signal::ALL.iter().map(|signal| signal.code()).collect();
        assert_eq!(codes.len(), Signal::ALL.len());
        for signal in Signal::ALL {
            assert!(signal.code().starts_with("redis."));
            assert!(!signal.to_string().ends_with('.'));
        }
    }
}
