//! How long the texts of a query are.
//!
//! Bounds on how many values a query has say nothing about how long they are, and a store hashes,
//! sends and compares every byte of them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    filter::Condition,
    listing::{ApprovalCondition, DecisionCondition},
};

/// Of a condition on requests. What has a fixed size, like an id or a time, counts nothing.
pub(super) fn of_condition(condition: &Condition) -> usize {
    match condition {
        Condition::StateIds(set) => of_all(set),
        Condition::StateTypes(set) => of_all(set),
        Condition::MutationTypes(set) => of_all(set),
        Condition::Requesters(set) | Condition::DecidedBy(set) => of_all(set),
        Condition::RequesterNames(set) | Condition::DecisionCodes(set) => of_all(set),
        Condition::Categories(set) | Condition::Operations(set) | Condition::Tags(set) => {
            of_all(set)
        }
        Condition::IntentMetadata { key, value } | Condition::RequestMetadata { key, value } => {
            key.len().saturating_add(of_value(value))
        }
        Condition::Correlations(set) => of_all(set),
        Condition::SideEffect(effect) => {
            effect.kinds.as_ref().map_or(0, of_all) + effect.contracts.as_ref().map_or(0, of_all)
        }
        Condition::Text(text) => text.len(),
        Condition::DecidableBy(person) => {
            let membership = &person.membership;
            person.actor.as_str().len()
                + of_all(&membership.roles)
                + of_all(&membership.groups)
                + of_all(&membership.acts_for)
        }
        Condition::RequestIds(_)
        | Condition::Risks(_)
        | Condition::BlastScope { .. }
        | Condition::Statuses(_)
        | Condition::PendingReasons(_)
        | Condition::DecisionCategories(_)
        | Condition::Created(_)
        | Condition::Updated(_)
        | Condition::Due(_)
        | Condition::LinkedTo(_)
        | Condition::ResultingVersions(_) => 0,
    }
}

/// Of a condition on requirements.
pub(super) fn of_approval(condition: &ApprovalCondition) -> usize {
    match condition {
        ApprovalCondition::Actors(set) => of_all(set),
        ApprovalCondition::Roles(set) => of_all(set),
        ApprovalCondition::Groups(set) => of_all(set),
        ApprovalCondition::Statuses(_) | ApprovalCondition::Stages(_) => 0,
    }
}

/// Of a condition on decisions.
pub(super) fn of_decision(condition: &DecisionCondition) -> usize {
    match condition {
        DecisionCondition::Codes(set) | DecisionCondition::Names(set) => of_all(set),
        DecisionCondition::Actors(set) => of_all(set),
        DecisionCondition::Categories(_)
        | DecisionCondition::At(_)
        | DecisionCondition::Statuses(_) => 0,
    }
}

fn of_all<T: AsRef<str>>(set: &BTreeSet<T>) -> usize {
    set.iter()
        .map(|text| text.as_ref().len())
        .fold(0, usize::saturating_add)
}

/// Of free data: its keys and texts, and a few bytes for each value so that many small ones are
/// not free. It may be nested deeply, so it is walked without recursion.
fn of_value(value: &Value) -> usize {
    const EACH: usize = 4;
    let (mut bytes, mut open) = (0_usize, vec![value]);
    while let Some(value) = open.pop() {
        bytes = bytes.saturating_add(match value {
            Value::String(text) => EACH + text.len(),
            Value::Array(items) => {
                open.extend(items);
                EACH
            }
            Value::Object(entries) => {
                open.extend(entries.values());
                EACH + entries.keys().map(String::len).sum::<usize>()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => EACH,
        });
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_texts_of_free_data_count_however_deep_they_are() {
        let flat = of_value(&serde_json::json!({"key": "text", "n": [1, null, true]}));
        assert_eq!(flat, "keytextn".len() + 6 * 4);
        let deep = (0..100).fold(Value::from("text"), |inner, _| Value::from(vec![inner]));
        assert_eq!(of_value(&deep), "text".len() + 101 * 4);
    }
}
