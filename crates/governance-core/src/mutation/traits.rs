//! The mutation contract.

use std::fmt;

use serde::{Serialize, de::DeserializeOwned};

use super::GovernedState;
use crate::{
    effects::{Change, SideEffect},
    ids::{InvalidName, Label},
    intent::Intent,
    request::PayloadError,
};

/// One kind of change of one kind of state.
///
/// A mutation is data: it is stored with its request, and what runs is decoded from there.
/// [`Mutation::validate`] and [`Mutation::apply`] are pure. They are called more than once, on
/// different versions of the state, in any process; no I/O, no clock, no randomness.
///
/// What was decoded for a submission may be kept for its execution. So neither a mutation nor a
/// state holds anything that changes while it is only looked at, such as a cell or a lock: what a
/// policy or [`Mutation::validate`] left in there would be run.
///
/// ```
/// use governance_core::{
///     Applied, Change, GovernedState, Intent, InvalidName, Mutation, MutationError, Risk,
///     ValidationErrors,
/// };
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Default, Serialize, Deserialize)]
/// struct Quota {
///     limit: u64,
/// }
///
/// impl GovernedState for Quota {
///     const TYPE: &'static str = "billing.quota";
/// }
///
/// #[derive(Debug, Serialize, Deserialize)]
/// struct RaiseQuota {
///     by: u64,
/// }
///
/// impl Mutation for RaiseQuota {
///     type State = Quota;
///     const TYPE: &'static str = "billing.raise_quota";
///
///     fn intent(&self) -> Result<Intent, InvalidName> {
///         let risk = if self.by > 1_000 { Risk::High } else { Risk::Low };
///         Ok(Intent::new("quota.raise", "billing")?.risk(risk))
///     }
///
///     fn validate(&self, quota: &Quota) -> Result<(), ValidationErrors> {
///         ValidationErrors::check(quota.limit.checked_add(self.by).is_some(), "by", "overflow",
///             "the new limit does not fit")
///     }
///
///     fn apply(self, quota: Quota) -> Result<Applied<Quota>, MutationError> {
///         let limit = quota.limit.saturating_add(self.by);
///         Ok(Applied::new(Quota { limit }).change(Change::modified("limit", quota.limit, limit)))
///     }
/// }
/// ```
pub trait Mutation: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What it changes.
    type State: GovernedState;

    /// Stable name, part of the stored payload.
    const TYPE: &'static str;

    /// Version of the stored form. Raise it whenever a field is added, removed or means something
    /// else, and let [`Mutation::upgrade`] read old bodies. A program does not execute a body
    /// with fields it does not know ([`UpgradeError::UnknownField`]), nor one of a schema it does
    /// not know: what it leaves out was part of what was approved. Not noticed are fields inside of
    /// untagged and internally tagged enums and of flattened structs, and what `upgrade` leaves out
    /// of an old body, which is its own decision.
    const SCHEMA: u32 = 1;

    /// Reads a body of an earlier schema.
    /// [`Payload::decode_body`](crate::Payload::decode_body) reads one whose form is known:
    ///
    /// ```
    /// use governance_core::{Payload, UpgradeError};
    ///
    /// # #[derive(Debug, PartialEq)]
    /// struct RaiseQuota {
    ///     by: u64,
    /// }
    ///
    /// /// Schema 1 counted in hundreds.
    /// #[derive(serde::Serialize, serde::Deserialize)]
    /// struct RaiseQuotaV1 {
    ///     hundreds: u64,
    /// }
    ///
    /// fn upgrade(schema: u32, body: &[u8]) -> Result<RaiseQuota, UpgradeError> {
    ///     match schema {
    ///         1 => {
    ///             let old: RaiseQuotaV1 = Payload::decode_body(body)?;
    ///             Ok(RaiseQuota { by: old.hundreds * 100 })
    ///         }
    ///         _ => Err(UpgradeError::Unknown { schema }),
    ///     }
    /// }
    /// # let kind = governance_core::MutationType::new("billing.raise_quota")?;
    /// # let old = Payload::encode(kind, 1, &RaiseQuotaV1 { hundreds: 3 })?;
    /// # assert_eq!(upgrade(1, old.body())?, RaiseQuota { by: 300 });
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`UpgradeError`] for a schema this version of the code does not know; that is what the
    /// default always says.
    fn upgrade(schema: u32, body: &[u8]) -> Result<Self, UpgradeError> {
        let _ = body;
        Err(UpgradeError::Unknown { schema })
    }

    /// What it intends. Depends on the mutation alone, so everybody who reads the payload comes
    /// to the same.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] from a label made of the mutation's own data.
    fn intent(&self) -> Result<Intent, InvalidName>;

    /// Whether it makes sense on this state. Asked at submission and again before it is applied.
    ///
    /// # Errors
    ///
    /// [`ValidationErrors`] with everything that is wrong.
    fn validate(&self, state: &Self::State) -> Result<(), ValidationErrors>;

    /// The new state, what changed, and what has to happen elsewhere. A mutation that ends the
    /// state says so with [`Applied::deleted`].
    ///
    /// Both are given away: what is kept of them need not be cloned. It has to depend on them
    /// alone, as it may be asked again, about the same or another state, before one of its answers
    /// is stored.
    ///
    /// # Errors
    ///
    /// [`MutationError`]; the request is then failed, not rejected, and can be retried if the
    /// error says so.
    fn apply(self, state: Self::State) -> Result<Applied<Self::State>, MutationError>;
}

/// A stored body that cannot be read by this version of the code.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// The schema is not known.
    #[error("schema {schema} is not known; a newer program may have written it")]
    Unknown {
        /// The schema.
        schema: u32,
    },
    /// The body has a field that the mutation does not know. It would be left out of what runs,
    /// although it was part of what was approved.
    #[error("it has a field that is not known; a newer program may have written it")]
    UnknownField,
    /// The body is not what its schema says.
    #[error(transparent)]
    Payload(#[from] PayloadError),
}

impl UpgradeError {
    /// Stable code, for a body that cannot be read that of what is wrong with it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "upgrade.unknown_schema",
            Self::UnknownField => "upgrade.unknown_field",
            Self::Payload(error) => error.code(),
        }
    }
}

/// What a mutation did.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied<S> {
    pub(crate) state: Option<S>,
    pub(crate) changes: Vec<Change>,
    pub(crate) side_effects: Vec<SideEffect>,
}

impl<S> Applied<S> {
    /// The new state.
    #[must_use]
    pub const fn new(state: S) -> Self {
        Self {
            state: Some(state),
            changes: Vec::new(),
            side_effects: Vec::new(),
        }
    }

    /// The state ends: afterwards there is none. Its version moves on as with any other change, so
    /// whatever was approved for the state that ended is stale, and a state that begins again
    /// never has a version that was used before.
    #[must_use]
    pub const fn deleted() -> Self {
        Self {
            state: None,
            changes: Vec::new(),
            side_effects: Vec::new(),
        }
    }

    /// Adds a change.
    #[must_use]
    pub fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    /// Adds changes.
    #[must_use]
    pub fn changes(mut self, changes: impl IntoIterator<Item = Change>) -> Self {
        self.changes.extend(changes);
        self
    }

    /// Adds a side effect.
    #[must_use]
    pub fn side_effect(mut self, effect: SideEffect) -> Self {
        self.side_effects.push(effect);
        self
    }

    /// The new state; none where the state ends.
    #[must_use]
    pub const fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// The new state alone; none where the state ends.
    #[must_use]
    pub fn into_state(self) -> Option<S> {
        self.state
    }

    /// What changed, in the order it was added.
    #[must_use]
    pub fn change_list(&self) -> &[Change] {
        &self.changes
    }

    /// What has to happen elsewhere, in the order it was added.
    #[must_use]
    pub fn side_effects(&self) -> &[SideEffect] {
        &self.side_effects
    }
}

/// A mutation that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct MutationError {
    pub(crate) code: Label,
    pub(crate) message: String,
    pub(crate) retryable: bool,
}

impl MutationError {
    /// An error that trying again does not help.
    #[must_use]
    pub fn new(code: Label, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            retryable: false,
        }
    }

    /// Says that trying again may help.
    #[must_use]
    pub const fn retryable(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Stable code, as the mutation chose it.
    #[must_use]
    pub const fn code(&self) -> &Label {
        &self.code
    }

    /// Words for people.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether trying again may help.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        self.retryable
    }
}

/// A label that is not valid is a mistake in the mutation; trying again does not help. With this,
/// `Label::new("stock.short")?` works where a mutation is applied.
impl From<InvalidName> for MutationError {
    fn from(invalid: InvalidName) -> Self {
        Self::new(Label::literal("mutation.invalid_name"), invalid.to_string())
    }
}

/// One thing that is wrong with a mutation on a state.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Violation {
    /// Where in the mutation or state.
    pub path: String,
    /// Stable code.
    pub code: String,
    /// Words for people.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}): {}", self.path, self.code, self.message)
    }
}

/// Everything that is wrong with a mutation on a state. Never empty.
///
/// As JSON it is the list of its violations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[serde(transparent)]
#[error("{}", Listed(.0))]
pub struct ValidationErrors(Vec<Violation>);

struct Listed<'a>(&'a [Violation]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, violation) in self.0.iter().enumerate() {
            write!(f, "{}{violation}", if i > 0 { "; " } else { "" })?;
        }
        Ok(())
    }
}

impl ValidationErrors {
    /// One violation.
    #[must_use]
    pub fn new(
        path: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self(vec![Violation {
            path: path.into(),
            code: code.into(),
            message: message.into(),
        }])
    }

    /// Nothing if the condition holds, one violation if not.
    ///
    /// # Errors
    ///
    /// The violation.
    pub fn check(
        holds: bool,
        path: impl Into<String>,
        code: impl Into<String>,
        message: impl Into<String>,
    ) -> Result<(), Self> {
        if holds {
            Ok(())
        } else {
            Err(Self::new(path, code, message))
        }
    }

    /// Nothing if every check holds, everything that is wrong if not: `?` after each check would
    /// tell the first only.
    ///
    /// ```
    /// use governance_core::ValidationErrors;
    ///
    /// let (name, percent) = ("", 120);
    /// let wrong = ValidationErrors::all([
    ///     ValidationErrors::check(!name.is_empty(), "name", "empty", "give it a name"),
    ///     ValidationErrors::check(percent <= 100, "percent", "range", "at most 100"),
    /// ]);
    /// let wrong = wrong.unwrap_err();
    /// assert_eq!(wrong.violations().len(), 2);
    ///
    /// let told = serde_json::to_value(&wrong)?;
    /// assert_eq!(told[1]["path"], "percent");
    /// assert_eq!(told[1]["code"], "range");
    /// assert_eq!(told[1]["message"], "at most 100");
    /// assert!(ValidationErrors::all([Ok(()), Ok(())]).is_ok());
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The violations of all checks, in their order.
    pub fn all(checks: impl IntoIterator<Item = Result<(), Self>>) -> Result<(), Self> {
        let wrong = checks.into_iter().filter_map(Result::err);
        wrong.reduce(Self::and).map_or(Ok(()), Err)
    }

    /// Adds what else is wrong.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Stable code. Each violation has one of its own beside it.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        "mutation.violations"
    }

    /// What is wrong.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0
    }
}
