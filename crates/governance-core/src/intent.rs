//! What a mutation intends, for policies, approvers and queries.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    context::{Metadata, metadata_footprint},
    ids::{InvalidName, Label},
};

/// How much harm a wrong change could do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// Routine.
    Low,
    /// Worth a second look.
    Medium,
    /// Could do damage.
    High,
    /// Could do damage that is hard to undo.
    Critical,
}

impl Risk {
    /// Every risk, lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl std::fmt::Display for Risk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

crate::ids::parse_by_name!(Risk, "a risk");

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlastScope {
    /// One object.
    Single,
    /// One module or team.
    Module,
    /// One system.
    System,
    /// Everything.
    Global,
}

impl BlastScope {
    /// Every scope, narrowest first.
    pub const ALL: [Self; 4] = [Self::Single, Self::Module, Self::System, Self::Global];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Module => "module",
            Self::System => "system",
            Self::Global => "global",
        }
    }
}

impl std::fmt::Display for BlastScope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

crate::ids::parse_by_name!(BlastScope, "how far a change reaches");

/// An estimate of what a change touches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlastRadius {
    scope: BlastScope,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    affected: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

impl BlastRadius {
    /// A radius of this scope.
    #[must_use]
    pub const fn new(scope: BlastScope) -> Self {
        Self {
            scope,
            affected: None,
            description: None,
        }
    }

    /// Adds how many objects are affected.
    #[must_use]
    pub const fn affecting(mut self, count: u64) -> Self {
        self.affected = Some(count);
        self
    }

    /// Adds words for people.
    #[must_use]
    pub fn described(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// How far it reaches.
    #[must_use]
    pub const fn scope(&self) -> BlastScope {
        self.scope
    }

    /// How many objects are affected, if known.
    #[must_use]
    pub const fn affected(&self) -> Option<u64> {
        self.affected
    }

    /// Words for people.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
}

/// What a mutation intends. Made by [`Mutation::intent`](crate::Mutation::intent) from the
/// mutation alone, so the same payload always says the same.
///
/// ```
/// use governance_core::{Intent, Risk};
///
/// let intent = Intent::new("quota.raise", "billing")?.risk(Risk::High).tag("emergency")?;
/// assert_eq!(intent.operation().as_str(), "quota.raise");
/// # Ok::<(), governance_core::InvalidName>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    operation: Label,
    category: Label,
    pub(crate) risk: Risk,
    reversible: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    blast_radius: Option<BlastRadius>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) tags: BTreeSet<Label>,
    #[serde(default, skip_serializing_if = "Metadata::is_empty")]
    metadata: Metadata,
}

impl Intent {
    /// An intent of low risk that can be undone.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when operation or category is not a valid label.
    pub fn new(operation: impl AsRef<str>, category: impl AsRef<str>) -> Result<Self, InvalidName> {
        Ok(Self {
            operation: Label::new(operation)?,
            category: Label::new(category)?,
            risk: Risk::Low,
            reversible: true,
            blast_radius: None,
            description: None,
            tags: BTreeSet::new(),
            metadata: Metadata::new(),
        })
    }

    /// Sets the risk.
    #[must_use]
    pub const fn risk(mut self, risk: Risk) -> Self {
        self.risk = risk;
        self
    }

    /// Says that the change cannot be undone.
    #[must_use]
    pub const fn irreversible(mut self) -> Self {
        self.reversible = false;
        self
    }

    /// Adds an estimate of what is touched.
    #[must_use]
    pub fn blast_radius(mut self, radius: BlastRadius) -> Self {
        self.blast_radius = Some(radius);
        self
    }

    /// Adds words for people.
    #[must_use]
    pub fn described(mut self, text: impl Into<String>) -> Self {
        self.description = Some(text.into());
        self
    }

    /// Adds a tag.
    ///
    /// # Errors
    ///
    /// [`InvalidName`] when the tag is not a valid label.
    pub fn tag(mut self, tag: impl AsRef<str>) -> Result<Self, InvalidName> {
        self.tags.insert(Label::new(tag)?);
        Ok(self)
    }

    /// Adds an entry of free data.
    #[must_use]
    pub fn with_metadata(
        mut self,
        key: impl Into<String>,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }

    /// Stable name of what is done, for example `quota.raise`. Policies match on it.
    #[must_use]
    pub const fn operation(&self) -> &Label {
        &self.operation
    }

    /// The area of the change, for example `billing`.
    #[must_use]
    pub const fn category(&self) -> &Label {
        &self.category
    }

    /// The risk.
    #[must_use]
    pub const fn risk_level(&self) -> Risk {
        self.risk
    }

    /// Whether the change can be undone.
    #[must_use]
    pub const fn is_reversible(&self) -> bool {
        self.reversible
    }

    /// What is touched, if estimated.
    #[must_use]
    pub const fn radius(&self) -> Option<&BlastRadius> {
        self.blast_radius.as_ref()
    }

    /// Words for people.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }

    /// The tags, sorted.
    #[must_use]
    pub const fn tags(&self) -> &BTreeSet<Label> {
        &self.tags
    }

    /// Free data.
    #[must_use]
    pub const fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    pub(crate) fn footprint(&self) -> usize {
        let text = |t: Option<&String>| t.map_or(0, |t| 16 + t.len());
        80 + self.operation.as_str().len()
            + self.category.as_str().len()
            + text(self.description.as_ref())
            + self
                .blast_radius
                .as_ref()
                .map_or(0, |r| 40 + text(r.description.as_ref()))
            + self
                .tags
                .iter()
                .map(|t| 3 + t.as_str().len())
                .sum::<usize>()
            + metadata_footprint(&self.metadata)
    }
}
