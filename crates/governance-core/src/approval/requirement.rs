//! One approval requirement.

use std::{collections::BTreeSet, time::Duration};

use serde::{Deserialize, Serialize};

use super::Selector;
use crate::{
    context::Reason,
    ids::{ActorId, InvalidName, RequirementId},
};

/// What a requirement asks of the reason of a vote, beyond what every [`Reason`] must be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonRule {
    #[serde(default)]
    min_chars: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
}

impl ReasonRule {
    /// Longest accepted pattern in bytes.
    pub const MAX_PATTERN_BYTES: usize = 512;

    /// At least this many characters, at most [`Reason::MAX_BYTES`].
    #[must_use]
    pub const fn min_chars(mut self, chars: u16) -> Self {
        self.min_chars = chars;
        self
    }

    /// The whole reason has to match this regular expression. Matching takes linear time.
    #[must_use]
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = Some(pattern.into());
        self
    }

    /// Whether the reason is good enough.
    #[must_use]
    pub fn accepts(&self, reason: &Reason) -> bool {
        reason.as_str().chars().count() >= usize::from(self.min_chars)
            && self
                .compile()
                .is_ok_and(|p| p.is_none_or(|p| p.is_match(reason.as_str())))
    }

    fn check(&self) -> Result<(), InvalidRequirement> {
        if usize::from(self.min_chars) > Reason::MAX_BYTES {
            return Err(InvalidRequirement::ReasonTooLong {
                chars: self.min_chars,
            });
        }
        self.compile().map(|_| ())
    }

    fn compile(&self) -> Result<Option<regex_lite::Regex>, InvalidRequirement> {
        self.pattern
            .as_deref()
            .map(|pattern| {
                if pattern.len() > Self::MAX_PATTERN_BYTES {
                    return Err(InvalidRequirement::BadPattern);
                }
                // Checked alone first: a stray parenthesis must not escape the anchors.
                regex_lite::Regex::new(pattern)
                    .and_then(|_| regex_lite::Regex::new(&format!("^(?:{pattern})$")))
                    .map_err(|_| InvalidRequirement::BadPattern)
            })
            .transpose()
    }
}

/// So many seats, to be filled by people a selector describes.
///
/// ```
/// use governance_core::{Group, Requirement, Selector};
///
/// let two = Requirement::seats("security", 2, Selector::group(Group::new("security")?))?;
/// assert_eq!(two.seat_count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    id: RequirementId,
    stage: u16,
    seats: u16,
    from: Selector,
    deny_threshold: u16,
    #[serde(default)]
    reason: ReasonRule,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_in: Option<Duration>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl Requirement {
    /// Most seats of one requirement.
    pub const MAX_SEATS: u16 = 128;

    /// `seats` different people described by the selector, in stage 1; one denial rejects.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the id is not a valid requirement id. Seats and selector are checked
    /// when the requirement is put into [`ApprovalRules`](super::ApprovalRules).
    pub fn seats(id: impl AsRef<str>, seats: u16, from: Selector) -> Result<Self, InvalidName> {
        Ok(Self {
            id: RequirementId::new(id)?,
            stage: 1,
            seats,
            from,
            deny_threshold: 1,
            reason: ReasonRule::default(),
            expires_in: None,
            description: None,
        })
    }

    /// Every one of these people. Naming somebody twice is naming them once.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the id is not a valid requirement id.
    pub fn everyone(
        id: impl AsRef<str>,
        people: impl IntoIterator<Item = ActorId>,
    ) -> Result<Self, InvalidName> {
        let people: BTreeSet<_> = people.into_iter().collect();
        let seats = u16::try_from(people.len()).unwrap_or(u16::MAX);
        Self::seats(
            id,
            seats,
            Selector::AnyOf(people.into_iter().map(Selector::Actor).collect()),
        )
    }

    /// Puts it in a stage. Stages open in ascending order, each when the one before is satisfied.
    #[must_use]
    pub const fn in_stage(mut self, stage: u16) -> Self {
        self.stage = stage;
        self
    }

    /// How many people have to deny before the request is rejected. Default 1.
    #[must_use]
    pub const fn denied_by(mut self, threshold: u16) -> Self {
        self.deny_threshold = threshold;
        self
    }

    /// What reasons of votes have to look like.
    #[must_use]
    pub fn with_reason_rule(mut self, rule: ReasonRule) -> Self {
        self.reason = rule;
        self
    }

    /// How long it may stay open, from the opening of its stage. A stage that has not opened does
    /// not expire.
    #[must_use]
    pub const fn expires_in(mut self, duration: Duration) -> Self {
        self.expires_in = Some(duration);
        self
    }

    /// Adds words for people.
    #[must_use]
    pub fn described(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// The id, unique within the request.
    #[must_use]
    pub const fn id(&self) -> &RequirementId {
        &self.id
    }

    /// The stage.
    #[must_use]
    pub const fn stage(&self) -> u16 {
        self.stage
    }

    /// How many seats it has.
    #[must_use]
    pub const fn seat_count(&self) -> u16 {
        self.seats
    }

    /// Who may fill them.
    #[must_use]
    pub const fn selector(&self) -> &Selector {
        &self.from
    }

    /// How many denials reject.
    #[must_use]
    pub const fn deny_threshold(&self) -> u16 {
        self.deny_threshold
    }

    /// What reasons have to look like.
    #[must_use]
    pub const fn reason_rule(&self) -> &ReasonRule {
        &self.reason
    }

    /// How long it may stay open.
    #[must_use]
    pub const fn lifetime(&self) -> Option<Duration> {
        self.expires_in
    }

    /// Words for people.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    pub(super) fn check(&self) -> Result<(), InvalidRequirement> {
        if self.stage == 0 {
            return Err(InvalidRequirement::StageZero);
        }
        if self.seats == 0 || self.seats > Self::MAX_SEATS {
            return Err(InvalidRequirement::SeatsOutOfRange { seats: self.seats });
        }
        if self.deny_threshold == 0 {
            return Err(InvalidRequirement::ThresholdZero);
        }
        if !self.from.is_well_formed() {
            return Err(InvalidRequirement::BadSelector);
        }
        // A selector of named people alone can be counted without a directory.
        let mut leaves = self.from.leaves();
        if leaves.all(|leaf| matches!(leaf, Selector::Actor(_)))
            && self.from.leaves().collect::<BTreeSet<_>>().len() < usize::from(self.seats)
        {
            return Err(InvalidRequirement::MoreSeatsThanPeople { seats: self.seats });
        }
        if self.expires_in.is_some_and(|d| d.is_zero()) {
            return Err(InvalidRequirement::NoTime);
        }
        self.reason.check()
    }

    pub(crate) fn footprint(&self) -> usize {
        let leaf = |s: &Selector| {
            12 + match s {
                Selector::Actor(id) => id.as_str().len(),
                Selector::Role(role) => role.as_str().len(),
                Selector::Group(group) => group.as_str().len(),
                Selector::AnyOf(_) | Selector::AllOf(_) => 0,
            }
        };
        110 + self.id.as_str().len()
            + self.from.leaves().map(leaf).sum::<usize>()
            + self.reason.pattern.as_ref().map_or(0, String::len)
            + self.description.as_ref().map_or(0, String::len)
    }
}

/// A requirement nobody should be asked to fill.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequirement {
    /// Stages are counted from 1.
    #[error("stages are counted from 1")]
    StageZero,
    /// It has no seats or too many.
    #[error(
        "{seats} seats asked for, from 1 to {} are allowed",
        Requirement::MAX_SEATS
    )]
    SeatsOutOfRange {
        /// Seats asked for.
        seats: u16,
    },
    /// A threshold of zero denials would reject at once.
    #[error("the deny threshold is counted from 1")]
    ThresholdZero,
    /// The selector is empty somewhere, nested too deeply or too large.
    #[error("the selector has an empty part, is nested too deeply or has too many parts")]
    BadSelector,
    /// It names fewer people than it has seats.
    #[error("{seats} seats asked for, but fewer people are named")]
    MoreSeatsThanPeople {
        /// Seats asked for.
        seats: u16,
    },
    /// It would expire the moment it opens.
    #[error("a requirement needs time to be met")]
    NoTime,
    /// The pattern for reasons is not a regular expression, or too long.
    #[error("the pattern for reasons is not a regular expression or too long")]
    BadPattern,
    /// It asks for longer reasons than a reason can be.
    #[error(
        "reasons of {chars} characters asked for, but a reason has at most {} bytes",
        Reason::MAX_BYTES
    )]
    ReasonTooLong {
        /// Characters asked for.
        chars: u16,
    },
}

impl InvalidRequirement {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::StageZero => "requirement.stage_zero",
            Self::SeatsOutOfRange { .. } => "requirement.seats_out_of_range",
            Self::ThresholdZero => "requirement.threshold_zero",
            Self::BadSelector => "requirement.bad_selector",
            Self::MoreSeatsThanPeople { .. } => "requirement.more_seats_than_people",
            Self::NoTime => "requirement.no_time",
            Self::BadPattern => "requirement.bad_pattern",
            Self::ReasonTooLong { .. } => "requirement.reason_too_long",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ApprovalRules, Role};

    #[test]
    fn a_reason_nobody_could_write_is_not_asked_for() {
        let asking = |chars: usize| {
            let rule = ReasonRule::default().min_chars(u16::try_from(chars).unwrap());
            let from = Selector::role(Role::new("security").unwrap());
            let requirement = Requirement::seats("security", 1, from).unwrap();
            ApprovalRules::new([requirement.with_reason_rule(rule)])
        };
        assert!(asking(Reason::MAX_BYTES).is_ok());
        assert_eq!(
            asking(Reason::MAX_BYTES + 1).unwrap_err().code(),
            "requirement.reason_too_long"
        );
    }
}
