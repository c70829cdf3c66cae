//! How a record is read.

use redis_client::redis::{Cmd, Value, cmd, from_redis_value};
use state_core::{
    Timestamp,
    lock::Fence,
    process::{Payload, Process, ProcessHeader, Status, Version},
};

use redis_client::Key;

/// The fields of a header, in the order they are asked for.
const FIELDS: [&str; 12] = [
    "k", "s", "v", "c", "u", "e", "st", "pc", "er", "o", "l", "f",
];

/// Asks for a header.
pub(super) fn header_command(key: &Key) -> Cmd {
    let mut command = cmd("HMGET");
    command.arg(key).arg(&FIELDS);
    command
}

/// Asks for everything.
pub(super) fn record_command(key: &Key) -> Cmd {
    let mut command = header_command(key);
    command.arg("pf").arg("pd");
    command
}

/// A record that cannot be read.
#[derive(Debug)]
pub(super) struct Unreadable;

/// Reads a header; `None` when there is no record.
pub(super) fn header(id: &str, answer: Value) -> Result<Option<ProcessHeader>, Unreadable> {
    let fields: Vec<Option<Vec<u8>>> = from_redis_value(answer).map_err(|_| Unreadable)?;
    if fields.iter().all(Option::is_none) {
        return Ok(None);
    }
    read_header(id, &fields).map(Some)
}

/// Reads a process; `None` when there is no record.
pub(super) fn process(id: &str, answer: Value) -> Result<Option<Process>, Unreadable> {
    let mut fields: Vec<Option<Vec<u8>>> = from_redis_value(answer).map_err(|_| Unreadable)?;
    if fields.iter().all(Option::is_none) {
        return Ok(None);
    }
    let header = read_header(id, &fields)?;
    let bytes = fields.pop().flatten().ok_or(Unreadable)?;
    let format = fields.pop().flatten().ok_or(Unreadable)?;
    let format = String::from_utf8(format).map_err(|_| Unreadable)?;
    Ok(Some(Process {
        header,
        payload: Payload::new(format, bytes),
    }))
}

fn read_header(id: &str, fields: &[Option<Vec<u8>>]) -> Result<ProcessHeader, Unreadable> {
    let text = |name: &str| -> Result<Option<&str>, Unreadable> {
        let index = FIELDS.iter().position(|field| *field == name);
        let field = index
            .and_then(|index| fields.get(index))
            .ok_or(Unreadable)?;
        let text = field.as_deref().map(std::str::from_utf8);
        text.transpose().map_err(|_| Unreadable)
    };
    let there = |name: &str| text(name)?.ok_or(Unreadable);
    let number = |name: &str| -> Result<Option<u64>, Unreadable> {
        let number = text(name)?.map(str::parse);
        number.transpose().map_err(|_| Unreadable)
    };
    let time = |name: &str| Ok(number(name)?.map(Timestamp::from_micros));
    let owned = |name: &str| Ok(text(name)?.map(str::to_owned));

    let mut letters = there("s")?.chars();
    let (Some(letter), None) = (letters.next(), letters.next()) else {
        return Err(Unreadable);
    };
    let status = Status::from_letter(letter).ok_or(Unreadable)?;
    let created = time("c")?.ok_or(Unreadable)?;
    let version = Version::new(number("v")?.ok_or(Unreadable)?);
    let mut header = ProcessHeader::new(id, there("k")?, status, created, version);
    header.updated = time("u")?.ok_or(Unreadable)?;
    header.ended = time("e")?;
    header.step = owned("st")?;
    header.error = owned("er")?;
    header.owner = owned("o")?;
    header.lease_until = time("l")?;
    header.fence = Fence::new(number("f")?.unwrap_or_default());
    let percent = number("pc")?.unwrap_or_default();
    header.percent = u8::try_from(percent).map_err(|_| Unreadable)?;
    Ok(header)
}
