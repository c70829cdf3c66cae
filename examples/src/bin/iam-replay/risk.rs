//! What a new policy document grants over the old one, and how risky that is.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
};

use governance_core::Risk;

use crate::{
    document::{Conditions, Document, Effect, Statement, Which},
    glob::{covers, is_pattern},
};

/// Services whose rights lead to other rights.
const SENSITIVE: [&str; 4] = ["iam", "kms", "sts", "organizations"];

/// The gravest thing a new document does over the old one. Ordered, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Finding {
    /// Nothing is granted that was not granted before.
    NothingNew,
    /// A condition lets more pass than before.
    ConditionWidened,
    /// An action is granted on more than before.
    ResourceWidened,
    /// An action is granted that was not.
    ActionGranted,
    /// A statement says something this program does not know.
    NotUnderstood,
    /// Rights are granted by what they are not.
    AllButSome,
    /// A condition is gone.
    ConditionDropped,
    /// Rights are granted that lead to other rights.
    Sensitive,
    /// A whole service is granted, or everything.
    Everything,
}

impl Finding {
    /// How risky it is.
    pub(crate) const fn risk(self) -> Risk {
        match self {
            Self::NothingNew => Risk::Low,
            Self::ConditionWidened | Self::ResourceWidened | Self::ActionGranted => Risk::Medium,
            Self::NotUnderstood
            | Self::AllButSome
            | Self::ConditionDropped
            | Self::Sensitive
            | Self::Everything => Risk::High,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NothingNew => "grants nothing new",
            Self::ConditionWidened => "a condition lets more pass",
            Self::ResourceWidened => "grants actions on more resources",
            Self::ActionGranted => "grants new actions",
            Self::NotUnderstood => "has statements of an unknown kind",
            Self::AllButSome => "grants all actions but some",
            Self::ConditionDropped => "a condition is gone",
            Self::Sensitive => "grants rights over identities or keys",
            Self::Everything => "grants all actions of a service",
        })
    }
}

/// The gravest thing `new` does over `old`; without an old document everything is new.
///
/// A prohibition that is lifted or narrowed is a grant like any other. Errs on the safe side:
/// what cannot be shown to have been granted before by one old statement counts as new.
pub(crate) fn assess(old: Option<&Document<'_>>, new: &Document<'_>) -> Finding {
    let allowed = Coverage::of(old.into_iter().flat_map(|old| old.of(Effect::Allow)));
    let granted = new.of(Effect::Allow).map(|s| allowed.finding(s));
    let prohibited = Coverage::of(new.of(Effect::Deny));
    let lifted = old
        .into_iter()
        .flat_map(|old| old.of(Effect::Deny))
        .map(|s| prohibited.finding(s));
    granted.chain(lifted).max().unwrap_or(Finding::NothingNew)
}

/// What some statements cover, findable by action.
struct Coverage<'a> {
    statements: Vec<&'a Statement<'a>>,
    /// Which statements name an action, by action.
    exact: HashMap<&'a str, Vec<usize>>,
    /// Actions that are patterns, and the statement.
    patterns: Vec<(&'a str, usize)>,
}

impl<'a> Coverage<'a> {
    fn of(statements: impl Iterator<Item = &'a Statement<'a>>) -> Self {
        let mut coverage = Self {
            statements: statements.collect(),
            exact: HashMap::new(),
            patterns: Vec::new(),
        };
        for (at, statement) in coverage.statements.iter().enumerate() {
            // All but some actions, and statements of an unknown kind, cover only their like.
            let (Which::These(actions), true) = (&statement.actions, statement.other.is_empty())
            else {
                continue;
            };
            for action in actions {
                if is_pattern(action) {
                    coverage.patterns.push((action, at));
                } else {
                    coverage.exact.entry(action).or_default().push(at);
                }
            }
        }
        coverage
    }

    /// The gravest part of a statement that is not covered.
    fn finding(&self, statement: &Statement<'_>) -> Finding {
        if self.statements.iter().any(|s| **s == *statement) {
            return Finding::NothingNew;
        }
        if !statement.other.is_empty() {
            return Finding::NotUnderstood;
        }
        let Which::These(actions) = &statement.actions else {
            return Finding::AllButSome;
        };
        actions
            .iter()
            .map(|action| self.finding_of(action, statement))
            .max()
            .unwrap_or(Finding::NothingNew)
    }

    fn finding_of(&self, action: &str, statement: &Statement<'_>) -> Finding {
        let exact = self.exact.get(action).into_iter().flatten().copied();
        let wider = self
            .patterns
            .iter()
            .filter(|(pattern, _)| covers(pattern, action))
            .map(|(_, at)| *at);
        let candidates: BTreeSet<usize> = exact.chain(wider).collect();
        if candidates.is_empty() {
            return new_action(action);
        }
        let candidates: Vec<_> = candidates
            .into_iter()
            .map(|at| self.statements[at])
            .map(|s| (s, conditions(&s.conditions, &statement.conditions)))
            .collect();
        // Each resource may be covered by another statement; of those that cover one, the
        // closest counts.
        let closest = |covered: &dyn Fn(&Which<&str>) -> bool| {
            candidates
                .iter()
                .map(|(candidate, conditions)| {
                    if covered(&candidate.resources) {
                        *conditions
                    } else {
                        (*conditions).max(wider_resource(action))
                    }
                })
                .min()
                .unwrap_or(Finding::NothingNew)
        };
        match &statement.resources {
            Which::These(resources) => resources
                .iter()
                .map(|resource| closest(&|wide| covers_resource(wide, resource)))
                .max()
                .unwrap_or(Finding::NothingNew),
            Which::AllBut(excluded) => closest(&|wide| match wide {
                Which::These(wide) => wide.contains("*"),
                Which::AllBut(wide) => wide.is_subset(excluded),
            }),
        }
    }
}

fn covers_resource(wide: &Which<&str>, resource: &str) -> bool {
    match wide {
        Which::These(wide) => wide.iter().any(|wide| covers(wide, resource)),
        // Whether a pattern stays clear of what is excluded is not worth finding out.
        Which::AllBut(_) => false,
    }
}

/// What it means that an action is granted that was not.
fn new_action(action: &str) -> Finding {
    let (service, name) = action.split_once(':').unwrap_or((action, ""));
    if action == "*" || name == "*" {
        Finding::Everything
    } else if is_sensitive(service) {
        Finding::Sensitive
    } else {
        Finding::ActionGranted
    }
}

/// What it means that an action is granted on more than it was.
fn wider_resource(action: &str) -> Finding {
    let (service, _) = action.split_once(':').unwrap_or((action, ""));
    if is_sensitive(service) {
        Finding::Sensitive
    } else {
        Finding::ResourceWidened
    }
}

fn is_sensitive(service: &str) -> bool {
    SENSITIVE.iter().any(|name| covers(service, name))
}

/// How conditions that guard a grant now compare with those that guarded it before.
fn conditions(before: &Conditions, now: &Conditions) -> Finding {
    let one = |(what, old): (&(String, String), &BTreeSet<String>)| match now.get(what) {
        None => Finding::ConditionDropped,
        Some(new) if new == old => Finding::NothingNew,
        Some(new) if keeps_within(&what.0, old, new) => Finding::NothingNew,
        Some(_) => Finding::ConditionWidened,
    };
    before.iter().map(one).max().unwrap_or(Finding::NothingNew)
}

/// Whether an operator with these values lets nothing pass that it did not before.
fn keeps_within(operator: &str, old: &BTreeSet<String>, new: &BTreeSet<String>) -> bool {
    let base = operator.rsplit(':').next().unwrap_or(operator);
    let base = base.strip_suffix("ifexists").unwrap_or(base);
    match base {
        // One of the values has to match: fewer let less pass.
        "stringequals"
        | "stringequalsignorecase"
        | "stringlike"
        | "arnequals"
        | "arnlike"
        | "numericequals"
        | "ipaddress"
        | "dateequals"
        | "binaryequals" => new.is_subset(old),
        // None of them may match: more let less pass.
        "stringnotequals"
        | "stringnotequalsignorecase"
        | "stringnotlike"
        | "arnnotequals"
        | "arnnotlike"
        | "numericnotequals"
        | "notipaddress"
        | "datenotequals" => new.is_superset(old),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document(statements: &Value) -> Value {
        json!({"Version": "2012-10-17", "Statement": statements})
    }

    fn allow(action: &str) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": "*"})
    }

    fn change(old: &Value, new: &Value) -> Finding {
        let (old, new) = (document(old), document(new));
        let old = Document::parse(&old).unwrap();
        assess(Some(&old), &Document::parse(&new).unwrap())
    }

    fn first(new: &Value) -> Finding {
        let new = document(new);
        assess(None, &Document::parse(&new).unwrap())
    }

    #[test]
    fn everything_in_a_first_version_is_new() {
        for (action, finding) in [
            ("s3:GetObject", Finding::ActionGranted),
            ("s3:Get*", Finding::ActionGranted),
            ("s3:*", Finding::Everything),
            ("*", Finding::Everything),
            ("*:*", Finding::Everything),
            ("iam:PassRole", Finding::Sensitive),
            ("KMS:Decrypt", Finding::Sensitive),
            ("sts:AssumeRole", Finding::Sensitive),
            ("organizations:ListAccounts", Finding::Sensitive),
            ("k*:List", Finding::Sensitive),
            ("kmsx:List", Finding::ActionGranted),
        ] {
            assert_eq!(first(&allow(action)), finding, "{action}");
        }
        let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
        assert_eq!(first(&deny), Finding::NothingNew);
        assert_eq!(first(&json!([])), Finding::NothingNew);
    }

    #[test]
    fn narrowing_and_rewriting_grant_nothing() {
        let wide = json!([allow("s3:Get*"), allow("kms:Decrypt")]);
        let narrow = json!({"Sid": "New", "Effect": "Allow",
            "Action": ["s3:getObject", "KMS:decrypt"], "Resource": ["arn:a", "arn:b*"]});
        assert_eq!(change(&wide, &narrow), Finding::NothingNew);
        assert_eq!(change(&wide, &json!([])), Finding::NothingNew);
        assert_eq!(change(&wide, &wide), Finding::NothingNew);
        let deny = json!({"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"});
        assert_eq!(change(&wide, &json!([wide[0], deny])), Finding::NothingNew);
    }

    #[test]
    fn widening_needs_a_look() {
        let old = json!({"Effect": "Allow", "Action": "s3:Get", "Resource": "arn:a/*"});
        let new = json!({"Effect": "Allow", "Action": "s3:Get", "Resource": ["arn:a/x", "arn:b"]});
        assert_eq!(change(&old, &new), Finding::ResourceWidened);
        let new = json!([old, {"Effect": "Allow", "Action": "s3:Put", "Resource": "arn:a/*"}]);
        assert_eq!(change(&old, &new), Finding::ActionGranted);
        let listed = json!({"Effect": "Allow", "Action": ["s3:GetA", "s3:GetB"], "Resource": "*"});
        assert_eq!(change(&listed, &allow("s3:Get*")), Finding::ActionGranted);
    }

    #[test]
    fn sensitive_rights_on_more_are_sensitive() {
        let one = json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:role"});
        assert_eq!(change(&one, &allow("iam:PassRole")), Finding::Sensitive);
        assert_eq!(change(&allow("iam:PassRole"), &one), Finding::NothingNew);
    }

    fn guarded(condition: &Value) -> Value {
        json!({"Effect": "Allow", "Action": "s3:Get", "Resource": "*", "Condition": condition})
    }

    #[test]
    fn a_removed_condition_is_grave_and_a_wider_one_is_not_nothing() {
        let one = guarded(&json!({"StringEquals": {"aws:region": "a"}}));
        let two = guarded(&json!({"stringEquals": {"AWS:Region": ["a", "b"]}}));
        let both = guarded(&json!({"StringEquals": {"aws:region": "a"}, "Bool": {"mfa": true}}));
        assert_eq!(change(&one, &allow("s3:Get")), Finding::ConditionDropped);
        assert_eq!(change(&both, &one), Finding::ConditionDropped);
        assert_eq!(change(&one, &two), Finding::ConditionWidened);
        assert_eq!(change(&two, &one), Finding::NothingNew);
        assert_eq!(change(&one, &both), Finding::NothingNew);
        assert_eq!(change(&allow("s3:Get"), &one), Finding::NothingNew);
        let beside = json!([one, allow("s3:Get")]);
        assert_eq!(change(&beside, &allow("s3:Get")), Finding::NothingNew);
        let not = |values: Value| guarded(&json!({"StringNotEquals": {"k": values}}));
        let (few, many) = (not(json!(["a"])), not(json!(["a", "b"])));
        assert_eq!(change(&few, &many), Finding::NothingNew);
        assert_eq!(change(&many, &few), Finding::ConditionWidened);
        let bool = |value: &str| guarded(&json!({"Bool": {"k": value}}));
        let (on, off) = (bool("true"), bool("false"));
        assert_eq!(change(&on, &off), Finding::ConditionWidened);
    }

    #[test]
    fn granting_all_but_some_is_grave_unless_it_was_there() {
        let but = json!({"Effect": "Allow", "NotAction": ["iam:*"], "Resource": "*"});
        assert_eq!(first(&but), Finding::AllButSome);
        assert_eq!(change(&but, &json!([but])), Finding::NothingNew);
        assert_eq!(change(&but, &allow("s3:Get")), Finding::ActionGranted);
        let but = json!({"Effect": "Allow", "Action": "s3:Get", "NotResource": ["arn:a", "arn:b"]});
        let less = json!({"Effect": "Allow", "Action": "s3:Get", "NotResource": ["arn:a"]});
        assert_eq!(change(&allow("s3:Get"), &but), Finding::NothingNew);
        assert_eq!(change(&less, &but), Finding::NothingNew);
        assert_eq!(change(&but, &less), Finding::ResourceWidened);
    }

    #[test]
    fn a_lifted_prohibition_is_a_grant() {
        let deny = |action: &str| json!({"Effect": "Deny", "Action": action, "Resource": "*"});
        let old = json!([allow("s3:Get"), deny("s3:Put"), deny("iam:*")]);
        assert_eq!(
            change(&old, &json!([allow("s3:Get"), deny("iam:*")])),
            Finding::ActionGranted
        );
        assert_eq!(
            change(&old, &json!([allow("s3:Get"), deny("s3:*")])),
            Finding::Everything
        );
        let only_if = json!({"Effect": "Deny", "Action": "s3:Put", "Resource": "*",
            "Condition": {"Bool": {"mfa": "false"}}});
        assert_eq!(change(&deny("s3:Put"), &only_if), Finding::ConditionDropped);
    }

    #[test]
    fn what_is_not_understood_is_grave_unless_it_was_there() {
        let principal = json!({"Effect": "Allow", "Action": "s3:Get", "Resource": "*",
            "Principal": {"AWS": "*"}});
        assert_eq!(change(&allow("s3:Get"), &principal), Finding::NotUnderstood);
        assert_eq!(change(&principal, &principal), Finding::NothingNew);
        assert_eq!(change(&principal, &allow("s3:Get")), Finding::ActionGranted);
    }

    #[test]
    fn risks_follow_the_findings() {
        assert_eq!(Finding::NothingNew.risk(), Risk::Low);
        assert_eq!(Finding::ActionGranted.risk(), Risk::Medium);
        assert_eq!(Finding::NotUnderstood.risk(), Risk::High);
        assert_eq!(Finding::Everything.risk(), Risk::High);
    }
}
