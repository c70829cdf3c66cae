//! Conditions on requests and how they combine.

use std::{collections::BTreeSet, ops::Not, sync::Arc};

use serde::Serialize;
use serde_json::Value;

use super::bytes::of_condition;
use crate::{
    approval::Membership,
    context::{MAX_NESTING, is_too_deep},
    decision::DecisionCategory,
    effects::Severity,
    ids::{
        ActorId, CorrelationId, Label, MutationType, RequestId, StateId, StateType, StateVersion,
        Timestamp,
    },
    intent::{BlastScope, Risk},
    pending::PendingReason,
    status::Status,
};

/// One condition on a request.
///
/// A condition with a set means "one of these": an empty set matches nothing. To restrict nothing,
/// leave the condition out. Texts are compared byte for byte.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Condition {
    /// Its id.
    RequestIds(BTreeSet<RequestId>),
    /// The state it is about. State ids mean something within one tenant only.
    StateIds(BTreeSet<StateId>),
    /// The kind of state it is about.
    StateTypes(BTreeSet<StateType>),
    /// The kind of mutation.
    MutationTypes(BTreeSet<MutationType>),
    /// Who asked for it.
    Requesters(BTreeSet<ActorId>),
    /// The display name of who asked for it. A requester without one never matches.
    RequesterNames(BTreeSet<String>),
    /// The category of its intent.
    Categories(BTreeSet<Label>),
    /// The operation of its intent.
    Operations(BTreeSet<Label>),
    /// The risk of its intent.
    Risks(BTreeSet<Risk>),
    /// It has one of these tags. For all of them, ask for each.
    Tags(BTreeSet<Label>),
    /// How far it reaches, both ends included. A request without an estimate never matches.
    BlastScope {
        /// The narrowest.
        min: Option<BlastScope>,
        /// The widest.
        max: Option<BlastScope>,
    },
    /// Its intent has this entry of free data. Values compare by structure; `1` and `1.0` differ.
    IntentMetadata {
        /// The key.
        key: String,
        /// The value.
        value: Value,
    },
    /// It has this entry of its requester's data. Values compare by structure; `1` and `1.0`
    /// differ.
    RequestMetadata {
        /// The key.
        key: String,
        /// The value.
        value: Value,
    },
    /// Where it stands.
    Statuses(BTreeSet<Status>),
    /// It waits for one of these.
    PendingReasons(BTreeSet<PendingReason>),
    /// One of these voted on it, in any round, whether or not the vote was taken back.
    DecidedBy(BTreeSet<ActorId>),
    /// Its history has a decision of one of these families.
    DecisionCategories(BTreeSet<DecisionCategory>),
    /// Its history has a decision with one of these codes, written `category.code`.
    DecisionCodes(BTreeSet<String>),
    /// When it was submitted.
    Created(TimeRange),
    /// When it was last written.
    Updated(TimeRange),
    /// Its next deadline. A request without one never matches.
    Due(TimeRange),
    /// The piece of work it was submitted for.
    Correlations(BTreeSet<CorrelationId>),
    /// It is linked to one of these requests.
    LinkedTo(BTreeSet<RequestId>),
    /// The version of the state it made.
    ResultingVersions(BTreeSet<StateVersion>),
    /// One of its side effects is like this.
    SideEffect(SideEffectFilter),
    /// Its reason, operation, description or state id has this text in it, in upper or lower case.
    Text(String),
    /// A vote of this person, for or against, would be accepted now.
    DecidableBy(Arc<Person>),
}

impl Condition {
    /// How many values it compares with.
    fn values(&self) -> usize {
        match self {
            Self::RequestIds(set) | Self::LinkedTo(set) => set.len(),
            Self::StateIds(set) => set.len(),
            Self::StateTypes(set) => set.len(),
            Self::MutationTypes(set) => set.len(),
            Self::Requesters(set) | Self::DecidedBy(set) => set.len(),
            Self::RequesterNames(set) | Self::DecisionCodes(set) => set.len(),
            Self::Categories(set) | Self::Operations(set) | Self::Tags(set) => set.len(),
            Self::Risks(set) => set.len(),
            Self::Statuses(set) => set.len(),
            Self::PendingReasons(set) => set.len(),
            Self::DecisionCategories(set) => set.len(),
            Self::Correlations(set) => set.len(),
            Self::ResultingVersions(set) => set.len(),
            Self::SideEffect(effect) => effect.values(),
            Self::DecidableBy(person) => {
                let membership = &person.membership;
                1 + membership.roles.len() + membership.groups.len() + membership.acts_for.len()
            }
            Self::BlastScope { .. }
            | Self::IntentMetadata { .. }
            | Self::RequestMetadata { .. }
            | Self::Created(_)
            | Self::Updated(_)
            | Self::Due(_)
            | Self::Text(_) => 1,
        }
    }
}

/// A span of time, both ends included. An absent end is open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize)]
pub struct TimeRange {
    /// The earliest time.
    pub from: Option<Timestamp>,
    /// The latest time.
    pub to: Option<Timestamp>,
}

impl TimeRange {
    /// From this time on.
    #[must_use]
    pub const fn since(from: Timestamp) -> Self {
        Self {
            from: Some(from),
            to: None,
        }
    }

    /// Up to this time.
    #[must_use]
    pub const fn until(to: Timestamp) -> Self {
        Self {
            from: None,
            to: Some(to),
        }
    }

    /// From one time to another.
    #[must_use]
    pub const fn between(from: Timestamp, to: Timestamp) -> Self {
        Self {
            from: Some(from),
            to: Some(to),
        }
    }

    /// Whether the time is in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.to.is_none_or(|to| at <= to)
    }

    /// Whether no time is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.from.zip(self.to).is_some_and(|(from, to)| to < from)
    }
}

/// Conditions on one side effect; all of them have to hold for the same one.
#[non_exhaustive]
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SideEffectFilter {
    /// Its kind is one of these.
    pub kinds: Option<BTreeSet<Label>>,
    /// The form of its data has one of these names.
    pub contracts: Option<BTreeSet<Label>>,
    /// Its severity is one of these.
    pub severities: Option<BTreeSet<Severity>>,
    /// Whether somebody has to act on it.
    pub requires_action: Option<bool>,
}

impl SideEffectFilter {
    /// Any side effect at all.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// Its kind is one of these.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Label>) -> Self {
        self.kinds = Some(narrowed(self.kinds, kinds));
        self
    }

    /// The form of its data has one of these names.
    #[must_use]
    pub fn contracts(mut self, names: impl IntoIterator<Item = Label>) -> Self {
        self.contracts = Some(narrowed(self.contracts, names));
        self
    }

    /// Its severity is one of these.
    #[must_use]
    pub fn severities(mut self, severities: impl IntoIterator<Item = Severity>) -> Self {
        self.severities = Some(narrowed(self.severities, severities));
        self
    }

    /// Somebody has to act on it, or nobody has to.
    #[must_use]
    pub const fn requires_action(mut self, yes: bool) -> Self {
        self.requires_action = Some(yes);
        self
    }

    fn values(&self) -> usize {
        1 + self.kinds.as_ref().map_or(0, BTreeSet::len)
            + self.contracts.as_ref().map_or(0, BTreeSet::len)
            + self.severities.as_ref().map_or(0, BTreeSet::len)
    }
}

/// What is in the set already, if there is one, and in the new values.
fn narrowed<T: Ord>(
    known: Option<BTreeSet<T>>,
    values: impl IntoIterator<Item = T>,
) -> BTreeSet<T> {
    let mut values: BTreeSet<T> = values.into_iter().collect();
    if let Some(known) = known {
        values.retain(|value| known.contains(value));
    }
    values
}

/// Somebody, with roles and groups as the directory tells them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Person {
    /// Who.
    pub actor: ActorId,
    /// Roles, groups, and whom they act for.
    pub membership: Membership,
}

/// Conditions, combined.
///
/// ```
/// use governance_core::{Condition, Filter, Risk, Status};
///
/// let risky = Filter::from(Condition::Risks([Risk::High, Risk::Critical].into()));
/// let done = Filter::from(Condition::Statuses([Status::Executed].into()));
/// let filter = risky.and(!done);
/// filter.check()?;
/// # Ok::<(), governance_core::FilterError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Filter {
    /// The condition holds.
    Is(Condition),
    /// All of these hold. Empty: everything matches.
    All(Vec<Self>),
    /// One of these holds. Empty: nothing matches.
    Any(Vec<Self>),
    /// This does not hold.
    Not(Box<Self>),
}

impl Filter {
    /// Deepest nesting.
    pub const MAX_DEPTH: usize = 16;
    /// Most parts: conditions and combinations together.
    pub const MAX_PARTS: usize = 512;
    /// Most values of all conditions together.
    pub const MAX_VALUES: usize = 10_000;
    /// Most bytes of all texts to search for together.
    pub const MAX_TEXT_BYTES: usize = 1_024;
    /// Most bytes of all names, codes, keys and other texts together.
    pub const MAX_BYTES: usize = 1_048_576;

    /// Matches everything.
    #[must_use]
    pub const fn everything() -> Self {
        Self::All(Vec::new())
    }

    /// Matches nothing.
    #[must_use]
    pub const fn nothing() -> Self {
        Self::Any(Vec::new())
    }

    /// Both this and the other hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::All(mut parts) => {
                parts.push(other);
                Self::All(parts)
            }
            first => Self::All(vec![first, other]),
        }
    }

    /// This or the other holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Any(mut parts) => {
                parts.push(other);
                Self::Any(parts)
            }
            first => Self::Any(vec![first, other]),
        }
    }

    /// Checks that nesting and size are within bounds.
    ///
    /// # Errors
    ///
    /// [`FilterError`] names the bound.
    pub fn check(&self) -> Result<(), FilterError> {
        let (mut parts, mut values) = (0_usize, 0_usize);
        let (mut text_bytes, mut bytes) = (0_usize, 0_usize);
        let mut open = vec![(self, 1)];
        while let Some((filter, depth)) = open.pop() {
            parts += 1;
            if parts > Self::MAX_PARTS {
                return Err(FilterError::TooManyParts);
            }
            if depth > Self::MAX_DEPTH {
                return Err(FilterError::TooDeep);
            }
            match filter {
                Self::Is(condition) => {
                    if let Condition::IntentMetadata { value, .. }
                    | Condition::RequestMetadata { value, .. } = condition
                        && is_too_deep(value)
                    {
                        return Err(FilterError::TooDeep);
                    }
                    values = values.saturating_add(condition.values());
                    if values > Self::MAX_VALUES {
                        return Err(FilterError::TooManyValues);
                    }
                    bytes = bytes.saturating_add(of_condition(condition));
                    if bytes > Self::MAX_BYTES {
                        return Err(FilterError::TooLarge { actual: bytes });
                    }
                    if let Condition::Text(text) = condition {
                        text_bytes = text_bytes.saturating_add(text.len());
                        if text_bytes > Self::MAX_TEXT_BYTES {
                            return Err(FilterError::TextTooLong { actual: text_bytes });
                        }
                    }
                }
                Self::All(inner) | Self::Any(inner) => {
                    open.extend(inner.iter().map(|part| (part, depth + 1)));
                }
                Self::Not(inner) => open.push((inner, depth + 1)),
            }
        }
        Ok(())
    }
}

impl From<Condition> for Filter {
    fn from(condition: Condition) -> Self {
        Self::Is(condition)
    }
}

impl Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            other => Self::Not(Box::new(other)),
        }
    }
}

/// A filter larger than filters may be.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// It is nested too deeply, or a value it compares with is nested deeper than free data may
    /// be.
    #[error(
        "the filter is nested deeper than {}, or a value in it than {MAX_NESTING}",
        Filter::MAX_DEPTH
    )]
    TooDeep,
    /// It has too many parts.
    #[error("the filter has more than {} parts", Filter::MAX_PARTS)]
    TooManyParts,
    /// Its conditions compare with too many values.
    #[error("the filter has more than {} values", Filter::MAX_VALUES)]
    TooManyValues,
    /// The texts to search for are too long, one or all of them together.
    #[error(
        "the texts to search for have at least {actual} bytes, at most {} are allowed",
        Filter::MAX_TEXT_BYTES
    )]
    TextTooLong {
        /// Length in bytes, up to the text that was too much.
        actual: usize,
    },
    /// Names, codes, keys and other texts are too long, one or all of them together.
    #[error(
        "the texts of the filter have at least {actual} bytes, at most {} are allowed",
        Filter::MAX_BYTES
    )]
    TooLarge {
        /// Length in bytes, up to the condition that was too much.
        actual: usize,
    },
}

impl FilterError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::TooDeep => "filter.too_deep",
            Self::TooManyParts => "filter.too_many_parts",
            Self::TooManyValues => "filter.too_many_values",
            Self::TextTooLong { .. } => "filter.text_too_long",
            Self::TooLarge { .. } => "filter.too_large",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_bounded() {
        let mut deep = Filter::everything();
        for _ in 1..Filter::MAX_DEPTH {
            deep = Filter::All(vec![deep]);
        }
        assert_eq!(deep.check(), Ok(()));
        let deep = Filter::Not(Box::new(deep));
        assert_eq!(deep.check().unwrap_err().code(), "filter.too_deep");

        let wide = Filter::Any(vec![Filter::nothing(); Filter::MAX_PARTS]);
        assert_eq!(wide.check().unwrap_err().code(), "filter.too_many_parts");

        let versions = (0..=Filter::MAX_VALUES as u64).map(StateVersion::new);
        let large = Filter::from(Condition::ResultingVersions(versions.collect()));
        assert_eq!(large.check().unwrap_err().code(), "filter.too_many_values");

        let text = "x".repeat(Filter::MAX_TEXT_BYTES + 1);
        let long = Filter::from(Condition::Text(text));
        assert_eq!(long.check().unwrap_err().code(), "filter.text_too_long");

        let half = Filter::from(Condition::Text("x".repeat(Filter::MAX_TEXT_BYTES / 2)));
        let both = half.clone().or(half);
        assert_eq!(both.check(), Ok(()));
        let more = both.and(Filter::from(Condition::Text("x".to_owned())));
        assert_eq!(more.check().unwrap_err().code(), "filter.text_too_long");
    }

    #[test]
    fn values_are_nested_no_deeper_than_free_data_may_be() {
        let key = || "key".to_owned();
        let nested = |depth| (0..depth).fold(Value::Null, |inner, _| Value::from(vec![inner]));
        for (depth, checked) in [
            (MAX_NESTING, Ok(())),
            (MAX_NESTING + 1, Err(FilterError::TooDeep)),
            (5_000, Err(FilterError::TooDeep)),
        ] {
            let value = || nested(depth);
            let (key, intent) = (
                key(),
                Condition::IntentMetadata {
                    key: key(),
                    value: value(),
                },
            );
            assert_eq!(Filter::from(intent).check(), checked);
            let request = Condition::RequestMetadata {
                key,
                value: value(),
            };
            assert_eq!(Filter::from(request).check(), checked);
        }
    }

    #[test]
    fn texts_of_every_kind_are_bounded() {
        let long = "x".repeat(Filter::MAX_BYTES + 1);
        let texts = || BTreeSet::from([long.clone()]);
        let value = || Value::from(vec![serde_json::json!({"a": long.as_str()})]);
        let (key, text) = ("key".to_owned(), Value::Null);
        for condition in [
            Condition::RequesterNames(texts()),
            Condition::DecisionCodes(texts()),
            Condition::IntentMetadata {
                key: long.clone(),
                value: text.clone(),
            },
            Condition::RequestMetadata {
                key: long.clone(),
                value: text,
            },
            Condition::IntentMetadata {
                key: key.clone(),
                value: value(),
            },
            Condition::RequestMetadata {
                key,
                value: value(),
            },
        ] {
            let error = Filter::from(condition).check().unwrap_err();
            assert_eq!(error.code(), "filter.too_large");
        }
        // Names have bounds of their own; many of them are bounded together.
        let name = |i: usize| format!("{i:0>width$}", width = ActorId::MAX_BYTES);
        let actors =
            |count| -> BTreeSet<_> { (0..count).map(|i| ActorId::new(name(i)).unwrap()).collect() };
        let most = Filter::MAX_BYTES / ActorId::MAX_BYTES;
        let filter = Filter::from(Condition::Requesters(actors(most)));
        assert_eq!(filter.check(), Ok(()));
        let both = filter.and(Filter::from(Condition::DecidedBy(actors(1))));
        let actual = Filter::MAX_BYTES + ActorId::MAX_BYTES;
        assert_eq!(both.check(), Err(FilterError::TooLarge { actual }));
    }

    #[test]
    fn ranges_include_both_ends() {
        let at = Timestamp::from_micros;
        let range = TimeRange::between(at(1), at(3));
        assert!(range.contains(at(1)) && range.contains(at(3)));
        assert!(!range.contains(at(0)) && !range.contains(at(4)));
        assert!(TimeRange::default().contains(at(i64::MIN)));
        assert!(TimeRange::between(at(3), at(2)).is_empty());
        assert!(!TimeRange::between(at(3), at(3)).is_empty());
    }

    #[test]
    fn saying_no_twice_is_saying_yes() {
        let filter = Filter::from(Condition::Risks([Risk::Low].into()));
        assert_eq!(!!filter.clone(), filter);
    }

    #[test]
    fn conditions_on_one_side_effect_only_narrow() {
        let filter = SideEffectFilter::any()
            .severities([Severity::Info, Severity::Error])
            .severities([Severity::Error, Severity::Critical]);
        assert_eq!(filter.severities, Some([Severity::Error].into()));
    }
}
