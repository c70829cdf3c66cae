//! The input: one change a line, read as a stream.

use std::{
    fmt,
    io::{self, BufRead, BufReader, Cursor, Read},
};

use flate2::bufread::MultiGzDecoder;
use governance_core::{Digest, Label, StateId, Timestamp};
use serde_json::{Map, Value};

use crate::document::Document;

/// One line of the input.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// Its number, from 1.
    pub(crate) line: u64,
    pub(crate) policy: StateId,
    pub(crate) from_version: Option<String>,
    pub(crate) to_version: String,
    pub(crate) observed_at: Option<String>,
    pub(crate) document: Value,
    /// Digest of the document, to know it again without keeping it.
    pub(crate) digest: Digest,
}

/// A line that cannot be carried out, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BadLine {
    pub(crate) line: u64,
    pub(crate) reason: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Reads changes line by line. Holds one line, and of that no more than it may have.
/// The first bad line is the last.
pub(crate) struct Changes {
    source: Box<dyn BufRead + Send>,
    compressed: bool,
    buffer: Vec<u8>,
    longest: usize,
    line: u64,
    over: bool,
}

impl Changes {
    /// Changes from a source, plain or compressed by gzip, as its first bytes say.
    ///
    /// # Errors
    ///
    /// When the first bytes cannot be read.
    pub(crate) fn new(mut source: impl Read + Send + 'static, longest: usize) -> io::Result<Self> {
        let mut magic = Vec::with_capacity(2);
        source.by_ref().take(2).read_to_end(&mut magic)?;
        let compressed = magic == [0x1f, 0x8b];
        let source = BufReader::with_capacity(64 << 10, Cursor::new(magic).chain(source));
        let source: Box<dyn BufRead + Send> = if compressed {
            Box::new(BufReader::with_capacity(
                64 << 10,
                MultiGzDecoder::new(source),
            ))
        } else {
            Box::new(source)
        };
        Ok(Self {
            source,
            compressed,
            buffer: Vec::new(),
            longest,
            line: 0,
            over: false,
        })
    }

    /// Reads the next line into the buffer, without its end. Says whether there was one.
    fn read_line(&mut self) -> Result<bool, String> {
        self.buffer.clear();
        loop {
            let available = match self.source.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if self.compressed => return Err(format!("broken gzip: {error}")),
                Err(error) => return Err(format!("cannot be read: {error}")),
            };
            if available.is_empty() {
                return Ok(!self.buffer.is_empty());
            }
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            if self.buffer.len() + part.len() > self.longest {
                return Err(format!("longer than {} bytes", self.longest));
            }
            self.buffer.extend_from_slice(part);
            let used = part.len() + usize::from(end.is_some());
            self.source.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}

impl Iterator for Changes {
    type Item = Result<Change, BadLine>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        self.line += 1;
        let line = self.line;
        let change = match self.read_line() {
            Ok(true) => parse(&self.buffer, line),
            Ok(false) => {
                self.over = true;
                return None;
            }
            Err(reason) => Err(reason),
        };
        self.over = change.is_err();
        Some(change.map_err(|reason| BadLine { line, reason }))
    }
}

fn parse(bytes: &[u8], line: u64) -> Result<Change, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| format!("invalid UTF-8 after {} bytes", error.valid_up_to()))?;
    let mut fields = match serde_json::from_str(text) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) => return Err("not a JSON object".to_owned()),
        Err(error) => return Err(broken_json(&error)),
    };
    let op = text_of(&mut fields, "op")?;
    if op != "put" {
        return Err(format!("unknown op {}, only put is known", quoted(&op)));
    }
    let policy = StateId::new(text_of(&mut fields, "policy")?)
        .map_err(|error| format!("field policy: {error}"))?;
    let from_version = match fields.get("from_version") {
        None => return Err(missing("from_version")),
        Some(Value::Null) => None,
        Some(_) => Some(version_of(&mut fields, "from_version")?),
    };
    let to_version = version_of(&mut fields, "to_version")?;
    let observed_at = match fields.get("observed_at") {
        None | Some(Value::Null) => None,
        Some(_) => {
            let text = text_of(&mut fields, "observed_at")?;
            let time: Timestamp = text
                .parse()
                .map_err(|error| format!("field observed_at: {error}"))?;
            Some(time.to_string())
        }
    };
    let document = fields
        .remove("document")
        .ok_or_else(|| missing("document"))?;
    Document::parse(&document).map_err(|error| format!("field document: {error}"))?;
    Ok(Change {
        line,
        policy,
        from_version,
        to_version,
        observed_at,
        digest: digest_of(&document),
        document,
    })
}

/// The digest of a document. Of two that are equal it is the same, wherever they come from.
pub(crate) fn digest_of(document: &Value) -> Digest {
    Digest::of(document.to_string())
}

fn text_of(fields: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("field {name} is not a text")),
        None => Err(missing(name)),
    }
}

fn version_of(fields: &mut Map<String, Value>, name: &str) -> Result<String, String> {
    let text = text_of(fields, name)?;
    Label::new(&text).map_err(|error| format!("field {name}: {error}"))?;
    Ok(text)
}

fn missing(name: &str) -> String {
    format!("field {name} is missing")
}

/// The JSON of a line is one line, so only the column says something.
fn broken_json(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(&place).unwrap_or(&text);
    format!("broken JSON: {what} at column {}", error.column())
}

/// A text of the input, short and on one line.
fn quoted(text: &str) -> String {
    const MOST: usize = 40;
    let short: String = text.chars().take(MOST).collect();
    let more = if text.chars().nth(MOST).is_some() {
        "..."
    } else {
        ""
    };
    format!("{short:?}{more}")
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};
    use serde_json::json;

    use super::*;

    fn line(op: &str) -> String {
        json!({"seq": 0, "op": op, "policy": "Reader", "from_version": null, "to_version": "v1",
            "observed_at": "2020-01-02T03:04:05Z", "created_at": null,
            "document": {"Statement": []}})
        .to_string()
    }

    fn read(bytes: impl Into<Vec<u8>>) -> Vec<Result<Change, BadLine>> {
        Changes::new(Cursor::new(bytes.into()), 1_000)
            .unwrap()
            .collect()
    }

    fn reason(bytes: impl Into<Vec<u8>>) -> String {
        let mut read = read(bytes);
        read.pop().unwrap().unwrap_err().to_string()
    }

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_compressed_are_told_apart_by_their_bytes() {
        let text = format!("{}\n{}\r\n{}", line("put"), line("put"), line("put"));
        let plain = read(text.as_str());
        assert_eq!(plain.len(), 3);
        let change = plain[2].as_ref().unwrap();
        assert_eq!((change.line, change.policy.as_str()), (3, "Reader"));
        assert_eq!(read(gzip(&text)), plain);
        let (first, second) = text.split_at(50);
        assert_eq!(
            read([gzip(first), gzip(second)].concat()),
            plain,
            "two members"
        );
        assert!(read("").is_empty());
        assert!(read(gzip("")).is_empty());
    }

    #[test]
    fn what_cannot_be_read_names_line_and_reason() {
        let good = line("put") + "\n";
        let with = |name: &str, value: Option<Value>| {
            let mut fields: Map<String, Value> = serde_json::from_str(&good).unwrap();
            match value {
                Some(value) => fields.insert(name.to_owned(), value),
                None => fields.remove(name),
            };
            serde_json::to_string(&fields).unwrap()
        };
        for (bad, expected) in [
            (line("delete"), "unknown op \"delete\", only put is known"),
            (with("op", None), "field op is missing"),
            (with("document", None), "field document is missing"),
            (with("from_version", None), "field from_version is missing"),
            (
                with("to_version", Some(Value::Null)),
                "field to_version is not a text",
            ),
            (
                with("to_version", Some(json!(" "))),
                "field to_version: label is blank",
            ),
            (
                with("policy", Some(json!(""))),
                "field policy: state id is blank",
            ),
            (
                with("observed_at", Some(json!("today"))),
                "field observed_at: not an RFC 3339 time",
            ),
            (
                with("document", Some(json!({"Statement": 1}))),
                "field document: Statement is neither an object nor a list",
            ),
            ("[]".to_owned(), "not a JSON object"),
            (
                String::new() + "\n",
                "broken JSON: EOF while parsing a value at column 0",
            ),
            (
                "{\"op\" 1}".to_owned(),
                "broken JSON: expected `:` at column 7",
            ),
            ("x".repeat(1_001), "longer than 1000 bytes"),
        ] {
            assert_eq!(reason(good.clone() + &bad), format!("line 2: {expected}"));
        }
        let long = line(&"x\n".repeat(100));
        assert!(reason(long).contains("x\\nx"), "a reason stays on one line");
        assert_eq!(
            reason([good.as_bytes(), b"{\"\xff\"}"].concat()),
            "line 2: invalid UTF-8 after 2 bytes"
        );
    }

    #[test]
    fn broken_gzip_is_an_error_at_the_line_that_is_missing() {
        let whole = gzip(&(line("put") + "\n").repeat(3));
        let cut = read(&whole[..whole.len() - 4]);
        assert_eq!(cut.len(), 4, "three lines and what is wrong behind them");
        assert!(reason(&whole[..whole.len() - 4]).starts_with("line 4: broken gzip: "));
        assert!(reason(&whole[..2]).starts_with("line 1: broken gzip: "));
        let mut damaged = whole;
        let end = damaged.len() - 6;
        damaged[end] ^= 0xff;
        assert!(reason(damaged).contains("broken gzip: "));
    }
}
