//! Every key of the store: one table, and the only place that builds them.

use std::fmt::Write as _;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use governance_core::{Dimension, RequestId, Scope};
use redis_client::{Key, KeyPrefix, KeyTooLong, TaggedKeyBuilder};

use crate::index::{Class, IndexTerm};

/// One kind of key. [`KEYS`] is the list.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyPattern {
    /// How the key is spelled. `T` stands for `<prefix>:{<tag of the partition>}`.
    pub pattern: &'static str,
    /// The type, as the command `TYPE` names it.
    pub kind: &'static str,
    /// What is in it.
    pub content: &'static str,
    /// Who writes it.
    pub owner: &'static str,
    /// When it goes away. None has a time to live: a key that expired on its own would take
    /// governed data with it, or tear documents and indexes apart.
    pub lifetime: &'static str,
}

const fn key(
    pattern: &'static str,
    kind: &'static str,
    content: &'static str,
    owner: &'static str,
    lifetime: &'static str,
) -> KeyPattern {
    KeyPattern {
        pattern,
        kind,
        content,
        owner,
        lifetime,
    }
}

/// Every key the store uses.
pub const KEYS: [KeyPattern; 16] = [
    key(
        "<prefix>:layout",
        "string",
        "JSON: layout version, number of partitions and the hash tag of each; a migration that is under way",
        "the first process that opens the store; migrations",
        "as long as the store",
    ),
    key(
        "T:v",
        "string",
        "fence `layout:active:building:epoch`, and while a migration runs who may write; the first key of every script",
        "opening, rebuild, migrations",
        "as long as the store; under a former tag it stays and says where everything is now",
    ),
    key(
        "T:n",
        "string",
        "24 B: next ordinal, last stamp in µs, next journal entry; big endian",
        "apply",
        "as long as the store",
    ),
    key(
        "T:r:<id>",
        "string",
        "frame of a request: revision, ordinal, what it is indexed under, document; the id is base64url",
        "apply",
        "until the request is purged",
    ),
    key(
        "T:s:<tenant>:<type>:<state>",
        "string",
        "governed state with its slot, version and last operation",
        "apply",
        "as long as the store; a deleted state keeps its version",
    ),
    key(
        "T:o:<chunk>",
        "string",
        "24 B per ordinal: id table, request id and stamp by ordinal, zero when purged",
        "apply",
        "as long as the store",
    ),
    key(
        "T:y:<chunk>",
        "string",
        "16 B per write: journal, stamp, ordinal and decisions of every write, in the order of writing",
        "apply",
        "as long as the store",
    ),
    key(
        "T:b<g>:<dimension>:<value>:<chunk>",
        "string",
        "up to 8 KiB: bitmap of the requests with this value, of a dimension of few values or one that came often; bit = ordinal modulo 65 536",
        "apply",
        "until no request of the chunk has the value; generation `g` until a rebuild replaces it",
    ),
    key(
        "T:b<g>:live:<chunk>",
        "string",
        "up to 8 KiB: bitmap of the requests that exist",
        "apply",
        "as the other bitmaps",
    ),
    key(
        "T:z<g>:<dimension>:<value>",
        "zset",
        "requests with this value of a dimension of many values, unless they are in its bitmaps; score = member = ordinal",
        "apply",
        "until no request has the value",
    ),
    key(
        "T:q<g>:<u|r|g>:<name>",
        "zset",
        "inbox of an actor, a role or a group; score = ordinal, member = request id, stamp (7 B) and ordinal (5 B)",
        "apply",
        "until nothing is open for the name",
    ),
    key(
        "T:x<g>:due",
        "zset",
        "requests with a deadline; score = deadline in µs, member = ordinal and request id",
        "apply",
        "until nothing has a deadline",
    ),
    key(
        "T:d<g>",
        "set",
        "dictionary: the values that have bitmaps",
        "apply",
        "until a rebuild replaces the generation",
    ),
    key(
        "T:e",
        "stream",
        "change feed",
        "apply",
        "as long as the store; the oldest events go when there are too many",
    ),
    key(
        "T:k:<bucket>",
        "hash",
        "request id by the digest of scope and idempotency key",
        "apply",
        "an entry until its request is purged",
    ),
    key(
        "T:w",
        "string",
        "JSON: how far a migration has filled this partition",
        "migrations",
        "until the migration is done or undone",
    ),
];

/// The row of the table that a key of a partition belongs to, by what follows `T:` in it. None
/// where somebody else's key lies under the prefix.
pub(crate) fn row_of(rest: &str) -> Option<&'static KeyPattern> {
    let parts: Vec<&str> = rest.split(':').collect();
    KEYS.iter().find(|row| {
        let pattern = row.pattern.strip_prefix("T:");
        pattern.is_some_and(|pattern| {
            let pattern: Vec<&str> = pattern.split(':').collect();
            is_spelled(&pattern, &parts)
        })
    })
}

fn is_spelled(pattern: &[&str], parts: &[&str]) -> bool {
    let Some((wanted, pattern)) = pattern.split_first() else {
        return parts.is_empty();
    };
    let Some((part, parts)) = parts.split_first() else {
        return false;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match *wanted {
        "<chunk>" => number(part) && is_spelled(pattern, parts),
        "<u|r|g>" => matches!(*part, "u" | "r" | "g") && is_spelled(pattern, parts),
        "<id>" => {
            URL_SAFE_NO_PAD.decode(part).is_ok_and(|id| id.len() == 16)
                && is_spelled(pattern, parts)
        }
        "<bucket>" => part.len() == 4 && hexadecimal(part) && is_spelled(pattern, parts),
        wanted if wanted.starts_with('<') => match (part.is_empty(), parts.split_first()) {
            (false, _) => is_spelled(pattern, parts),
            // A long name: an empty part and its digest.
            (true, Some((digest, parts))) => {
                digest.len() == 64 && hexadecimal(digest) && is_spelled(pattern, parts)
            }
            (true, None) => false,
        },
        wanted => {
            let spelled = match wanted.strip_suffix("<g>") {
                Some(letter) => part.strip_prefix(letter).is_some_and(number),
                None => *part == wanted,
            };
            spelled && is_spelled(pattern, parts)
        }
    }
}

fn hexadecimal(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The table of keys as a section of documentation, in Markdown.
#[must_use]
pub fn keys_markdown() -> String {
    let mut page = String::from(
        "`T` is `<prefix>:{<tag>}`. The tag is the partition's and stands in the layout record, so \
         everything of one partition shares a hash slot. `g` is the generation of the index. Names \
         are percent-encoded; a name of more than 128 bytes is replaced by an empty part and its \
         SHA-256. No key has a time to live.\n\n\
         | Key | Type | Content | Written by | Lifetime |\n|---|---|---|---|---|\n",
    );
    for key in &KEYS {
        let KeyPattern {
            pattern,
            kind,
            content,
            owner,
            lifetime,
        } = key;
        let pattern = pattern.replace('|', "\\|");
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "| `{pattern}` | {kind} | {content} | {owner} | {lifetime} |"
        );
    }
    page
}

/// Ordinals are cut into chunks of so many.
pub(crate) const CHUNK: u64 = 1 << 16;
/// The journal is cut into chunks of so many entries.
pub(crate) const JOURNAL_CHUNK: u64 = 1 << 14;
/// Longer names are replaced by their digest.
const LONGEST_NAME: usize = 128;

/// Builds the keys of one partition.
#[derive(Debug, Clone)]
pub(crate) struct PartitionKeys {
    base: TaggedKeyBuilder,
    /// What keys of requests begin with: a page makes many of them.
    requests: TaggedKeyBuilder,
    /// Every key of the partition goes where this one does.
    pub(crate) fence: Key,
    pub(crate) counters: Key,
    pub(crate) feed: Key,
    /// How far a move into this partition has come.
    pub(crate) progress: Key,
}

impl PartitionKeys {
    pub(crate) fn new(prefix: &KeyPrefix, tag: &str) -> Self {
        let base = prefix.tag(tag);
        let fixed = |name| done(base.clone().part(name));
        Self {
            fence: fixed("v"),
            counters: fixed("n"),
            feed: fixed("e"),
            progress: fixed("w"),
            requests: base.clone().part("r"),
            base,
        }
    }

    /// What every key of the partition begins with.
    pub(crate) fn start(&self) -> &str {
        let fence = self.fence.as_str();
        fence.strip_suffix('v').unwrap_or(fence)
    }

    fn part(&self, part: impl AsRef<[u8]>) -> TaggedKeyBuilder {
        self.base.clone().part(part)
    }

    pub(crate) fn request(&self, id: &RequestId) -> Key {
        short(self.requests.with(id_text(id)))
    }

    pub(crate) fn state(&self, scope: &Scope) -> Key {
        let key = name(self.part("s"), scope.tenant.as_str());
        let key = name(key, scope.state_type.as_str());
        done(name(key, scope.state_id.as_str()))
    }

    pub(crate) fn ids(&self, chunk: u64) -> Key {
        done(self.part("o").part(chunk.to_string()))
    }

    pub(crate) fn journal(&self, chunk: u64) -> Key {
        done(self.part("y").part(chunk.to_string()))
    }

    pub(crate) fn live(&self, generation: u16, chunk: u64) -> Key {
        let key = self.part(format!("b{generation}")).part("live");
        done(key.part(chunk.to_string()))
    }

    /// The key of a term; of its chunk, if it is a bitmap.
    pub(crate) fn term(&self, generation: u16, term: &IndexTerm, chunk: u64) -> Key {
        match term.class() {
            Class::Bitmap => {
                let key = self.part(format!("b{generation}")).part(term.dimension());
                done(name(key, term.value()).part(chunk.to_string()))
            }
            Class::Ordinals => {
                let key = self.part(format!("z{generation}")).part(term.dimension());
                done(name(key, term.value()))
            }
            Class::Inbox => {
                let key = self
                    .part(format!("q{generation}"))
                    .part(inbox(term.dimension()));
                done(name(key, term.value()))
            }
        }
    }

    pub(crate) fn due(&self, generation: u16) -> Key {
        done(self.part(format!("x{generation}")).part("due"))
    }

    pub(crate) fn dictionary(&self, generation: u16) -> Key {
        done(self.part(format!("d{generation}")))
    }

    /// The bucket of an idempotency key's digest.
    pub(crate) fn bucket(&self, digest: &[u8; 16]) -> Key {
        done(
            self.part("k")
                .part(format!("{:02x}{:02x}", digest[0], digest[1])),
        )
    }
}

/// Length of the short text of an id.
const ID_TEXT: usize = 22;

/// The short text of an id in a key.
fn id_text(id: &RequestId) -> [u8; ID_TEXT] {
    let mut text = [0; ID_TEXT];
    // 16 bytes are always as long in this text.
    let written = URL_SAFE_NO_PAD.encode_slice(id.as_bytes(), &mut text);
    debug_assert_eq!(written, Ok(ID_TEXT));
    text
}

/// The request whose record lies under a key of a partition, by what follows `T:` in it.
pub(crate) fn request_of(rest: &[u8]) -> Option<RequestId> {
    let id = URL_SAFE_NO_PAD.decode(rest.strip_prefix(b"r:")?).ok()?;
    RequestId::from_bytes(id.try_into().ok()?).ok()
}

fn inbox(dimension: &str) -> &str {
    if dimension == Dimension::OpenActor.as_str() {
        "u"
    } else if dimension == Dimension::OpenRole.as_str() {
        "r"
    } else if dimension == Dimension::OpenGroup.as_str() {
        "g"
    } else {
        dimension
    }
}

/// Adds a name. A long one becomes an empty part, which no name is, and its digest.
fn name(key: TaggedKeyBuilder, name: &str) -> TaggedKeyBuilder {
    if name.len() <= LONGEST_NAME {
        key.part(name)
    } else {
        let digest = governance_core::Digest::of(name);
        key.part("").part(digest.to_string())
    }
}

fn done(key: TaggedKeyBuilder) -> Key {
    short(key.finish())
}

fn short(key: Result<Key, KeyTooLong>) -> Key {
    key.expect("a prefix of 256 bytes and names of 128 bytes make short keys")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use governance_core::{StateId, StateType, TenantId};
    use proptest::prelude::*;

    use super::*;

    fn keys() -> PartitionKeys {
        PartitionKeys::new(&KeyPrefix::new("app:governance").unwrap(), "0")
    }

    fn scope(tenant: &str, kind: &str, state: &str) -> Scope {
        Scope {
            tenant: TenantId::new(tenant).unwrap(),
            state_type: StateType::new(kind).unwrap(),
            state_id: StateId::new(state).unwrap(),
        }
    }

    const BEGIN: &str = "<!-- begin: governance-redis, generated -->\n";
    const END: &str = "<!-- end: governance-redis -->\n";

    #[test]
    fn the_page_is_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/redis-keys.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (section, after) = rest.split_once(END).unwrap();
        let wanted = format!("\n{}\n", keys_markdown());
        if std::env::var_os("GOVERNANCE_BLESS").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
            return;
        }
        assert!(
            section == wanted,
            "docs/redis-keys.md is not what the table says; renew it with:\n\
             GOVERNANCE_BLESS=1 cargo test -p governance-redis --lib the_page_is_the_table"
        );
    }

    #[test]
    fn keys_look_as_the_table_says() {
        let keys = keys();
        let id = RequestId::new(
            governance_core::Timestamp::EPOCH,
            scope("t", "k", "s").slot(),
            [7; 10],
        );
        let term = |dimension, value: &str| IndexTerm::of(dimension, value);
        let text = |key: Key| key.as_str().to_owned();
        assert_eq!(text(keys.fence.clone()), "app:governance:{0}:v");
        assert_eq!(
            text(keys.request(&id)).len(),
            "app:governance:{0}:r:".len() + 22
        );
        assert_eq!(
            text(keys.state(&scope("t", "k", "a/b"))),
            "app:governance:{0}:s:t:k:a%2Fb"
        );
        let status = term(Dimension::Status, "pending");
        assert_eq!(
            text(keys.term(2, &status, 5)),
            "app:governance:{0}:b2:status:pending:5"
        );
        let tag = term(Dimension::Tag, "x");
        assert_eq!(text(keys.term(1, &tag, 5)), "app:governance:{0}:z1:tag:x");
        let role = term(Dimension::OpenRole, "sre");
        assert_eq!(text(keys.term(1, &role, 5)), "app:governance:{0}:q1:r:sre");
        assert_eq!(text(keys.bucket(&[0xab; 16])), "app:governance:{0}:k:abab");
    }

    #[test]
    fn the_longest_names_fit() {
        let prefix = KeyPrefix::new(&"p".repeat(KeyPrefix::MAX_BYTES)).unwrap();
        let keys = PartitionKeys::new(&prefix, "255.16383");
        let long = |n: usize| "ü".repeat(n / 2);
        let state = keys.state(&scope(&long(128), &long(128), &long(512)));
        assert!(state.as_str().len() < Key::MAX_BYTES);
        assert_eq!(state.slot(), keys.fence.slot());
    }

    #[test]
    fn no_two_things_share_a_key() {
        let keys = keys();
        let long = "x".repeat(200);
        let digest = governance_core::Digest::of(&long).to_string();
        let mut seen = HashSet::new();
        for dimension in Dimension::ALL {
            for value in ["a", "live", "due", long.as_str(), digest.as_str(), "a:0"] {
                let key = keys.term(1, &IndexTerm::of(dimension, value), 0);
                assert!(seen.insert(key.clone()), "{key:?}");
            }
        }
        for key in [
            keys.live(1, 0),
            keys.due(1),
            keys.dictionary(1),
            keys.ids(0),
            keys.journal(0),
        ] {
            assert!(seen.insert(key.clone()), "{key:?}");
        }
    }

    proptest! {
        #[test]
        fn states_have_keys_of_their_own(
            a in ["[ab:%]{1,3}", "[ab:%]{1,3}", "[ab:%]{1,3}"],
            b in ["[ab:%]{1,3}", "[ab:%]{1,3}", "[ab:%]{1,3}"],
        ) {
            let of = |parts: &[String; 3]| keys().state(&scope(&parts[0], &parts[1], &parts[2]));
            prop_assert_eq!(a == b, of(&a) == of(&b));
        }
    }

    #[test]
    fn every_key_belongs_to_a_row_and_nothing_else_does() {
        let keys = keys();
        let id = RequestId::new(
            governance_core::Timestamp::EPOCH,
            scope("t", "k", "s").slot(),
            [7; 10],
        );
        let long = "x".repeat(200);
        let mut made = vec![
            (keys.fence.clone(), "T:v"),
            (keys.counters.clone(), "T:n"),
            (keys.feed.clone(), "T:e"),
            (keys.progress.clone(), "T:w"),
            (keys.request(&id), "T:r:<id>"),
            (keys.ids(7), "T:o:<chunk>"),
            (keys.journal(7), "T:y:<chunk>"),
            (keys.live(3, 7), "T:b<g>:live:<chunk>"),
            (keys.due(3), "T:x<g>:due"),
            (keys.dictionary(12), "T:d<g>"),
            (keys.bucket(&[0xab; 16]), "T:k:<bucket>"),
        ];
        for (tenant, kind, state) in [("t", "k", "a/b"), ("t", "k", &long)] {
            let key = keys.state(&scope(tenant, kind, state));
            made.push((key, "T:s:<tenant>:<type>:<state>"));
        }
        for dimension in Dimension::ALL {
            for value in ["a", "live", "due", long.as_str()] {
                let term = IndexTerm::of(dimension, value);
                let pattern = match term.class() {
                    Class::Bitmap => "T:b<g>:<dimension>:<value>:<chunk>",
                    Class::Ordinals => "T:z<g>:<dimension>:<value>",
                    Class::Inbox => "T:q<g>:<u|r|g>:<name>",
                };
                made.push((keys.term(4, &term, 9), pattern));
            }
        }
        for (key, pattern) in made {
            let rest = key.as_str().strip_prefix(keys.start()).unwrap();
            assert_eq!(row_of(rest).map(|row| row.pattern), Some(pattern), "{rest}");
        }
        for foreign in [
            "",
            "f",
            "v:1",
            "r",
            "r:abc",
            "r:",
            "k:xyz!",
            "o:",
            "o:x",
            "b:live:0",
            "b1:live",
            "b1:live:x",
            "bx:live:0",
            "z1:tag",
            "z1:tag:a:b",
            "z1:tag:",
            "q1:x:a",
            "x1:other",
            "d",
            "d1x",
            "s:t:k",
            "s:t:k:a:b",
            "z1:tag::abc",
            "w:0",
            "layout",
        ] {
            assert_eq!(row_of(foreign), None, "{foreign:?}");
        }
    }
}
