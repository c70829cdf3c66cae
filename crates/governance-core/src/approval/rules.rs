//! All that a request needs to be approved.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{InvalidRequirement, Requirement};
use crate::ids::RequirementId;

/// How often one person may sit.
#[non_exhaustive]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Distinct {
    /// Once in each requirement.
    Requirement,
    /// Once in the whole request. The default.
    #[default]
    Request,
}

/// Whether the requester may approve.
#[non_exhaustive]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum SelfApproval {
    /// Yes.
    Allow,
    /// No, nor anybody who acts for the requester. The default.
    #[default]
    Forbid,
}

/// Who may execute what was approved.
#[non_exhaustive]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum ExecutorRule {
    /// Anybody who is authorized.
    #[default]
    Anyone,
    /// Anybody but the requester and those who act for the requester.
    NotRequester,
    /// Anybody but these and the approvers.
    NotRequesterOrApprover,
}

/// Requirements and the rules that hold for all of them. Empty rules are what an automatic
/// approval looks like. Cloning is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRules {
    requirements: Arc<[Requirement]>,
    #[serde(default)]
    distinct: Distinct,
    #[serde(default)]
    self_approval: SelfApproval,
    #[serde(default)]
    executor: ExecutorRule,
}

/// Rules that cannot be united.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleConflict {
    /// One requirement is not well formed.
    #[error("requirement {id}: {problem}")]
    Invalid {
        /// The requirement.
        id: RequirementId,
        /// What is wrong with it.
        #[source]
        problem: InvalidRequirement,
    },
    /// Two requirements of one id differ.
    #[error("two different requirements are called {id}")]
    Different {
        /// The id.
        id: RequirementId,
    },
    /// More requirements than a request may have.
    #[error(
        "{count} requirements asked for, at most {} are allowed",
        ApprovalRules::MAX_REQUIREMENTS
    )]
    TooMany {
        /// Requirements asked for.
        count: usize,
    },
}

impl RuleConflict {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Invalid { problem, .. } => problem.code(),
            Self::Different { .. } => "rules.different_requirements",
            Self::TooMany { .. } => "rules.too_many_requirements",
        }
    }
}

impl ApprovalRules {
    /// Most requirements of one request.
    pub const MAX_REQUIREMENTS: usize = 64;

    /// Rules with these requirements and the default, strict separation of duties.
    ///
    /// # Errors
    ///
    /// [`RuleConflict`] when a requirement is not well formed, two of one id differ, or there are
    /// too many.
    pub fn new(requirements: impl IntoIterator<Item = Requirement>) -> Result<Self, RuleConflict> {
        Ok(Self {
            requirements: ordered(requirements)?.into(),
            ..Self::default()
        })
    }

    /// Sets how often one person may sit.
    #[must_use]
    pub const fn distinct(mut self, distinct: Distinct) -> Self {
        self.distinct = distinct;
        self
    }

    /// Sets whether the requester may approve.
    #[must_use]
    pub const fn self_approval(mut self, rule: SelfApproval) -> Self {
        self.self_approval = rule;
        self
    }

    /// Sets who may execute.
    #[must_use]
    pub const fn executor(mut self, rule: ExecutorRule) -> Self {
        self.executor = rule;
        self
    }

    /// Both: all requirements, and of each other rule the stricter one. Rules that require nothing
    /// have no say in who may sit: they would forbid, by their defaults, what the others allow.
    ///
    /// # Errors
    ///
    /// [`RuleConflict`] when two requirements of one id differ or there are too many.
    pub fn unite(mut self, other: Self) -> Result<Self, RuleConflict> {
        if self.is_empty() {
            self.distinct = other.distinct;
            self.self_approval = other.self_approval;
        } else if !other.is_empty() {
            self.distinct = self.distinct.max(other.distinct);
            self.self_approval = self.self_approval.max(other.self_approval);
        }
        self.executor = self.executor.max(other.executor);
        self.requirements = if self.is_empty() && is_ordered(&other.requirements) {
            other.requirements
        } else {
            let all = self.requirements.iter().chain(&*other.requirements);
            ordered(all.cloned())?.into()
        };
        Ok(self)
    }

    /// The requirements, by stage and id.
    #[must_use]
    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    /// Whether nothing is required.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }

    /// How often one person may sit.
    #[must_use]
    pub const fn distinct_rule(&self) -> Distinct {
        self.distinct
    }

    /// Whether an approval could leave too few people for another requirement: it takes a person
    /// away from later stages, or others the person speaks for.
    pub(crate) fn may_strand(&self, speaks_for_others: bool) -> bool {
        let stages = || self.stages().count() > 1;
        speaks_for_others || (self.distinct == Distinct::Request && stages())
    }

    /// Whether the requester may approve.
    #[must_use]
    pub const fn self_approval_rule(&self) -> SelfApproval {
        self.self_approval
    }

    /// Who may execute.
    #[must_use]
    pub const fn executor_rule(&self) -> ExecutorRule {
        self.executor
    }

    /// The stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = (u16, &[Requirement])> {
        self.requirements
            .chunk_by(|a, b| a.stage() == b.stage())
            .map(|group| (group[0].stage(), group))
    }

    /// Whether these rules ask for nothing that `granted` did not ask for: the same requirements
    /// or fewer, and no stricter separation.
    #[must_use]
    pub fn are_covered_by(&self, granted: &Self) -> bool {
        self.requirements
            .iter()
            .all(|r| granted.requirements.contains(r))
            && (self.is_empty()
                || (self.distinct <= granted.distinct
                    && self.self_approval <= granted.self_approval
                    && self.executor <= granted.executor))
    }
}

/// By stage and id, each once and well formed.
fn ordered(
    requirements: impl IntoIterator<Item = Requirement>,
) -> Result<Vec<Requirement>, RuleConflict> {
    let mut ordered: Vec<Requirement> = Vec::new();
    for requirement in requirements {
        requirement
            .check()
            .map_err(|problem| RuleConflict::Invalid {
                id: requirement.id().clone(),
                problem,
            })?;
        if let Some(known) = ordered.iter().find(|r| r.id() == requirement.id()) {
            if *known != requirement {
                return Err(RuleConflict::Different {
                    id: requirement.id().clone(),
                });
            }
            continue;
        }
        if ordered.len() == ApprovalRules::MAX_REQUIREMENTS {
            return Err(RuleConflict::TooMany {
                count: ApprovalRules::MAX_REQUIREMENTS + 1,
            });
        }
        let at = ordered.partition_point(|r| place(r) < place(&requirement));
        ordered.insert(at, requirement);
    }
    Ok(ordered)
}

/// Whether [`ordered`] would leave them as they are. Rules that were read from somewhere may have
/// come as anything.
fn is_ordered(requirements: &[Requirement]) -> bool {
    let is_known = |i: usize| {
        let id = requirements[i].id();
        requirements[..i].iter().any(|known| known.id() == id)
    };
    requirements.len() <= ApprovalRules::MAX_REQUIREMENTS
        && requirements.is_sorted_by_key(place)
        && (0..requirements.len()).all(|i| requirements[i].check().is_ok() && !is_known(i))
}

fn place(requirement: &Requirement) -> (u16, &RequirementId) {
    (requirement.stage(), requirement.id())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{approval::Selector, ids::Role};

    fn requirement(id: &str) -> Requirement {
        let from = Selector::role(Role::new("security").unwrap());
        Requirement::seats(id, 1, from).unwrap()
    }

    /// Rules as a program may have read them from somewhere.
    fn read(requirements: Vec<Requirement>) -> ApprovalRules {
        ApprovalRules {
            requirements: requirements.into(),
            ..ApprovalRules::default()
        }
    }

    #[test]
    fn rules_that_were_read_are_checked_and_ordered_when_they_are_united() {
        let (a, b) = (requirement("a"), requirement("b"));
        let made = ApprovalRules::new([a.clone(), b.clone()]).unwrap();
        for requirements in [
            vec![a.clone(), b.clone()],
            vec![b.clone(), a.clone()],
            vec![a.clone(), a.clone(), b.clone()],
        ] {
            let united = ApprovalRules::default().unite(read(requirements));
            assert_eq!(united.unwrap(), made);
        }
        let other = requirement("a").described("not the same");
        let conflict = ApprovalRules::default().unite(read(vec![a, other]));
        assert_eq!(conflict.unwrap_err().code(), "rules.different_requirements");
        let from = Selector::AnyOf(Vec::new());
        let text = serde_json::to_string(&read(vec![b])).unwrap();
        let nobody = serde_json::to_string(&from).unwrap();
        let text = text.replace(r#"{"role":"security"}"#, &nobody);
        let nobody: ApprovalRules = serde_json::from_str(&text).unwrap();
        let refused = ApprovalRules::default().unite(nobody).unwrap_err();
        assert_eq!(refused.code(), "requirement.bad_selector");
    }
}
