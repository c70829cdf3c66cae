//! Who acts, why, and on whose behalf.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::ids::{
    ActorId, CorrelationId, Digest, InvalidName, OperationId, Timestamp, is_invisible,
};

/// Free data of a caller, kept in a space of its own: it never meets the facts the library
/// records. Values compare by structure; `1` and `1.0` are different values. Lists and objects in
/// each other may be nested 100 deep; a governor refuses what is deeper.
pub type Metadata = BTreeMap<String, serde_json::Value>;

/// What kind of actor acts.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    /// A person.
    User,
    /// A program with an identity of its own.
    Service,
    /// The system itself, for example a sweep.
    System,
}

/// The authenticated actor of an operation. The caller vouches for the identity; what the actor
/// may do is asked of the directory and the authorizer, never of the actor.
///
/// ```
/// use governance_core::Actor;
///
/// let alice = Actor::user("alice")?.named("Alice Example");
/// assert_eq!(alice.id().as_str(), "alice");
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Actor {
    id: ActorId,
    kind: ActorKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<Arc<str>>,
}

impl Actor {
    /// An actor of the given kind.
    #[must_use]
    pub const fn new(id: ActorId, kind: ActorKind) -> Self {
        Self {
            id,
            kind,
            name: None,
        }
    }

    /// A person.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the id is not a valid actor id.
    pub fn user(id: impl AsRef<str>) -> Result<Self, InvalidName> {
        Ok(Self::new(ActorId::new(id)?, ActorKind::User))
    }

    /// A program.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the id is not a valid actor id.
    pub fn service(id: impl AsRef<str>) -> Result<Self, InvalidName> {
        Ok(Self::new(ActorId::new(id)?, ActorKind::Service))
    }

    /// The system itself.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the id is not a valid actor id.
    pub fn system(id: impl AsRef<str>) -> Result<Self, InvalidName> {
        Ok(Self::new(ActorId::new(id)?, ActorKind::System))
    }

    /// Adds a name for display.
    #[must_use]
    pub fn named(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The id.
    #[must_use]
    pub const fn id(&self) -> &ActorId {
        &self.id
    }

    /// The kind.
    #[must_use]
    pub const fn kind(&self) -> ActorKind {
        self.kind
    }

    /// The display name, if one was given.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    pub(crate) fn footprint(&self) -> usize {
        48 + self.id.as_str().len() + self.name.as_ref().map_or(0, |name| name.len())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.as_deref().unwrap_or(self.id.as_str()).fmt(f)
    }
}

/// Why an operation was done, in words somebody can read years later.
///
/// Trimmed, at most [`Reason::MAX_BYTES`] long, and with at least [`Reason::MIN_ALPHANUMERIC`]
/// letters or digits, so `.` and blanks do not pass. Cloning is cheap.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Reason(Arc<str>);

impl Reason {
    /// Longest accepted text in bytes.
    pub const MAX_BYTES: usize = 4_096;
    /// Fewest letters and digits of an accepted text.
    pub const MIN_ALPHANUMERIC: usize = 2;

    /// Checks and trims the text.
    ///
    /// # Errors
    ///
    /// [`InvalidReason`] when the text says nothing, is too long or hides characters.
    pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidReason> {
        let text = text.as_ref();
        if text.len() > Self::MAX_BYTES {
            return Err(InvalidReason::TooLong {
                actual: text.len(),
                limit: Self::MAX_BYTES,
            });
        }
        let text = text.trim();
        if text.chars().filter(|c| c.is_alphanumeric()).count() < Self::MIN_ALPHANUMERIC {
            return Err(InvalidReason::Trivial);
        }
        let hidden = |c: char| is_invisible(c) || (c.is_control() && !matches!(c, '\n' | '\t'));
        if text.chars().any(hidden) {
            return Err(InvalidReason::Unprintable);
        }
        Ok(Self(text.into()))
    }

    /// A text that is known to be one.
    pub(crate) fn literal(text: &'static str) -> Self {
        Self(text.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A reason that was refused.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReason {
    /// It has next to no letters or digits.
    #[error(
        "a reason needs at least {} letters or digits",
        Reason::MIN_ALPHANUMERIC
    )]
    Trivial,
    /// It is too long.
    #[error("the reason is {actual} bytes long, at most {limit} are allowed")]
    TooLong {
        /// Length in bytes.
        actual: usize,
        /// Longest accepted length in bytes.
        limit: usize,
    },
    /// It has control or invisible characters.
    #[error("the reason has control or invisible characters")]
    Unprintable,
}

impl InvalidReason {
    /// Stable code of the rule that was broken.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Trivial => "reason.trivial",
            Self::TooLong { .. } => "reason.too_long",
            Self::Unprintable => "reason.unprintable",
        }
    }
}

/// What a caller says about one call: who acts and, optionally, under which operation id, for
/// which correlation, on whose behalf.
///
/// Anything that takes `impl Into<Context>` takes `&Actor` too. Times are not part of it: the
/// store's clock decides, so a back-dated call cannot exist.
///
/// ```
/// use governance_core::{Actor, Context, OperationId};
///
/// let bob = Actor::user("bob")?;
/// let call = Context::of(&bob).operation(OperationId::from_bytes([7; 16]));
/// assert_eq!(call.actor().id().as_str(), "bob");
/// assert_eq!(call.operation_id(), Some(OperationId::from_bytes([7; 16])));
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Context {
    pub(crate) actor: Actor,
    pub(crate) on_behalf_of: Option<ActorId>,
    pub(crate) correlation: Option<CorrelationId>,
    pub(crate) operation: Option<OperationId>,
    pub(crate) subject: Option<Digest>,
    pub(crate) metadata: Metadata,
}

impl Context {
    /// A call by this actor.
    #[must_use]
    pub fn of(actor: &Actor) -> Self {
        Self {
            actor: actor.clone(),
            on_behalf_of: None,
            correlation: None,
            operation: None,
            subject: None,
            metadata: Metadata::new(),
        }
    }

    /// The actor works for somebody else. Whoever that is counts as a party: neither of them can
    /// approve what the other asked for.
    #[must_use]
    pub fn on_behalf_of(mut self, principal: ActorId) -> Self {
        self.on_behalf_of = Some(principal);
        self
    }

    /// Ties the call to a piece of work.
    #[must_use]
    pub fn correlation(mut self, id: CorrelationId) -> Self {
        self.correlation = Some(id);
        self
    }

    /// Names the operation: repeating it under the same id returns the first outcome.
    #[must_use]
    pub const fn operation(mut self, id: OperationId) -> Self {
        self.operation = Some(id);
        self
    }

    /// The digest of what the caller saw. The call is refused if the request asks for another
    /// subject by now, for example after a renewed round.
    #[must_use]
    pub const fn expecting(mut self, subject: Digest) -> Self {
        self.subject = Some(subject);
        self
    }

    /// Adds an entry to the caller's own data, recorded with the decision.
    #[must_use]
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Who acts.
    #[must_use]
    pub const fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whom the actor works for, as the caller says.
    #[must_use]
    pub const fn principal(&self) -> Option<&ActorId> {
        self.on_behalf_of.as_ref()
    }

    /// The piece of work the call belongs to.
    #[must_use]
    pub const fn correlation_id(&self) -> Option<&CorrelationId> {
        self.correlation.as_ref()
    }

    /// The id the caller gave the operation.
    #[must_use]
    pub const fn operation_id(&self) -> Option<OperationId> {
        self.operation
    }

    /// The digest of what the caller saw.
    #[must_use]
    pub const fn expected_subject(&self) -> Option<&Digest> {
        self.subject.as_ref()
    }

    /// The caller's own data.
    #[must_use]
    pub const fn caller_data(&self) -> &Metadata {
        &self.metadata
    }
}

impl From<&Actor> for Context {
    fn from(actor: &Actor) -> Self {
        Self::of(actor)
    }
}

impl From<&Self> for Context {
    fn from(context: &Self) -> Self {
        context.clone()
    }
}

/// One act as it will be recorded: a [`Context`] with the store's time, the reason and the
/// operation id settled. All decisions of one write share one act.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    /// Store time.
    pub at: Timestamp,
    /// Operation id.
    pub operation: OperationId,
    /// Who, for whom, for which work.
    pub context: Context,
    /// Why.
    pub reason: Option<Reason>,
}

impl Act {
    /// An act of this context at a time, under an operation id the context may override.
    #[must_use]
    pub fn new(context: impl Into<Context>, at: Timestamp, operation: OperationId) -> Self {
        let context = context.into();
        Self {
            at,
            operation: context.operation.unwrap_or(operation),
            context,
            reason: None,
        }
    }

    /// Adds the reason.
    #[must_use]
    pub fn because(mut self, reason: Reason) -> Self {
        self.reason = Some(reason);
        self
    }
}

/// Approximate bytes of a metadata map in a stored document.
pub(crate) fn metadata_footprint(metadata: &Metadata) -> usize {
    metadata
        .iter()
        .map(|(key, value)| 5 + key.len() + value_footprint(value))
        .sum()
}

/// How deeply a value of free data may be nested: lists and objects in each other. What is nested
/// much deeper takes more stack than there is to be written, hashed or read, and JSON readers
/// stop at 128, what is around a value included.
pub(crate) const MAX_NESTING: usize = 100;

/// Whether a value is nested more deeply than free data may be. Looks no deeper than that.
pub(crate) fn is_too_deep(value: &serde_json::Value) -> bool {
    fn deeper(value: &serde_json::Value, left: usize) -> bool {
        let Some(left) = left.checked_sub(1) else {
            return value.is_array() || value.is_object();
        };
        match value {
            serde_json::Value::Array(items) => items.iter().any(|item| deeper(item, left)),
            serde_json::Value::Object(map) => map.values().any(|item| deeper(item, left)),
            _ => false,
        }
    }
    deeper(value, MAX_NESTING)
}

/// Approximate bytes of a value in a stored document.
pub(crate) fn value_footprint(value: &serde_json::Value) -> usize {
    match value {
        serde_json::Value::Null | serde_json::Value::Bool(_) => 1,
        serde_json::Value::Number(_) => 9,
        serde_json::Value::String(text) => 5 + text.len(),
        serde_json::Value::Array(items) => 5 + items.iter().map(value_footprint).sum::<usize>(),
        serde_json::Value::Object(map) => {
            5 + map
                .iter()
                .map(|(key, value)| 5 + key.len() + value_footprint(value))
                .sum::<usize>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trivial_reasons_do_not_pass() {
        for (text, code) in [
            ("", "reason.trivial"),
            (".", "reason.trivial"),
            ("  \n ", "reason.trivial"),
            ("\u{200b}\u{200b}\u{200b}", "reason.trivial"),
            ("ok\u{202e}", "reason.unprintable"),
        ] {
            assert_eq!(Reason::new(text).unwrap_err().code(), code, "{text:?}");
        }
        assert_eq!(
            Reason::new("x".repeat(1 << 20)).unwrap_err().code(),
            "reason.too_long"
        );
        assert_eq!(Reason::new("  fixes #12\n").unwrap().as_str(), "fixes #12");
    }
}
