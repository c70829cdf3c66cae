//! Text of settings to values.

use std::time::Duration;

use crate::config::{Problem, Protocol, Recycle};

pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reads a duration: a whole number and a unit of `ms`, `s`, `m`, `h` or `d`. Every setting of this
/// workspace is read so.
///
/// # Errors
///
/// [`Problem`] when it is none, or too long.
pub fn duration(text: &str) -> Result<Duration, Problem> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| Problem::NotADuration)?;
    let millis = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(Problem::NotADuration),
    };
    let millis = number.checked_mul(millis).ok_or(Problem::OutOfBounds)?;
    Ok(Duration::from_millis(millis))
}

pub(super) fn boolean(text: &str) -> Result<bool, Problem> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        "false" | "0" | "no" | "off" => Ok(false),
        _ => Err(Problem::NotABoolean),
    }
}

pub(super) fn number(text: &str) -> Result<usize, Problem> {
    text.parse().map_err(|_| Problem::NotANumber)
}

pub(super) fn database(text: &str) -> Result<u32, Problem> {
    text.parse().map_err(|_| Problem::NotANumber)
}

pub(super) fn protocol(text: &str) -> Result<Protocol, Problem> {
    match text {
        "resp3" | "3" => Ok(Protocol::Resp3),
        "resp2" | "2" => Ok(Protocol::Resp2),
        _ => Err(Problem::NotAChoice),
    }
}

pub(super) fn recycle(text: &str) -> Result<Recycle, Problem> {
    match text {
        "always" => Ok(Recycle::Always),
        "never" => Ok(Recycle::Never),
        _ => {
            let idle = text.strip_prefix("idle:").ok_or(Problem::NotAChoice)?;
            duration(idle).map(Recycle::AfterIdle)
        }
    }
}

/// How ordinary commands get a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    /// Each checks one out of the pool.
    Pool,
    /// They share so many, or as many as is usual.
    Shared(Option<usize>),
}

pub(super) fn connection(text: &str) -> Result<Connection, Problem> {
    match text {
        "pool" => Ok(Connection::Pool),
        "shared" => Ok(Connection::Shared(None)),
        _ => {
            let count = text.strip_prefix("shared:").ok_or(Problem::NotAChoice)?;
            match number(count)? {
                0 => Err(Problem::OutOfBounds),
                count => Ok(Connection::Shared(Some(count))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        for (text, millis) in [
            ("250ms", 250),
            ("2s", 2_000),
            ("3 m", 180_000),
            ("1h", 3_600_000),
            ("1d", 86_400_000),
            ("0ms", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
        }
        for text in ["", "5", "-1s", "1.5s", "s", "1w", "1 s s"] {
            assert_eq!(duration(text), Err(Problem::NotADuration), "{text}");
        }
        assert_eq!(duration("18446744073709551615d"), Err(Problem::OutOfBounds));
    }

    #[test]
    fn recycle_policies() {
        assert_eq!(recycle("always"), Ok(Recycle::Always));
        assert_eq!(
            recycle("idle:5s"),
            Ok(Recycle::AfterIdle(Duration::from_secs(5)))
        );
        assert_eq!(recycle("idle:5"), Err(Problem::NotADuration));
        assert_eq!(recycle("sometimes"), Err(Problem::NotAChoice));
    }

    #[test]
    fn connections_are_pooled_or_shared() {
        for (text, expected) in [
            ("pool", Ok(Connection::Pool)),
            ("shared", Ok(Connection::Shared(None))),
            ("shared:3", Ok(Connection::Shared(Some(3)))),
            ("shared:0", Err(Problem::OutOfBounds)),
            ("shared:", Err(Problem::NotANumber)),
            ("2", Err(Problem::NotAChoice)),
        ] {
            assert_eq!(connection(text), expected, "{text}");
        }
    }
}
