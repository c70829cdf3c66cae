//! Requests, histories and explanations in words.

use std::fmt::Display;

use governance_core::{
    ActorId, Decision, Explanation, MutationRequest, RequirementStatus, StateVersion, Status,
    governor::RequirementExplanation,
};

/// Where a request stands, in one line.
#[must_use]
pub fn line_of(request: &MutationRequest) -> String {
    let status = request.status();
    let revision = request.revision();
    let execution = request.execution();
    let mut line = format!("{status}, revision {revision}");
    if let (Some(before), Some(after)) = (execution.version_before(), execution.version_after()) {
        line.push_str(&format!(", version {before} -> {after}"));
    } else if let Some(cause) = request.rejection() {
        line.push_str(&format!(", because {}", cause.code()));
    } else if status == Status::Failed
        && let Some(failure) = execution.failure()
    {
        line.push_str(&format!(", because {}", failure.code));
    }
    line
}

/// A state and its version, in one line.
#[must_use]
pub fn state_of<S: Display>((state, version): (Option<S>, StateVersion)) -> String {
    match state {
        Some(state) => format!("{state} (version {version})"),
        None => format!("nothing (version {version})"),
    }
}

/// A decision, in one line.
pub(crate) fn decision_line(decision: &Decision) -> String {
    let (seq, at, actor) = (decision.seq(), decision.at(), decision.actor());
    let (kind, status) = (decision.kind(), decision.status());
    let mut line = format!("{seq:>2}  {at}  {kind} by {actor} -> {status}");
    if let Some(reason) = decision.reason() {
        line.push_str(&format!(" \"{reason}\""));
    }
    line
}

/// Why a request waits, in a few lines.
pub(crate) fn explanation_lines(explanation: &Explanation) -> Vec<String> {
    let mut lines = vec![format!("explain: {}", explanation.summary)];
    lines.extend(explanation.requirements.iter().map(requirement_line));
    for requirement in &explanation.requirements {
        if requirement.status != RequirementStatus::Open {
            continue;
        }
        if let Some(people) = requirement.can_decide.as_ref().filter(|p| !p.is_empty()) {
            lines.push(format!(
                "  can decide {}: {}",
                requirement.id,
                names(people)
            ));
        }
        for cannot in requirement.cannot_decide.iter().flatten() {
            lines.push(format!(
                "  cannot decide {}: {} ({})",
                requirement.id,
                cannot.actor,
                cannot.why.code()
            ));
        }
    }
    lines
}

fn requirement_line(requirement: &RequirementExplanation) -> String {
    let RequirementExplanation {
        id,
        stage,
        seats,
        filled,
        ..
    } = requirement;
    let status = match requirement.status {
        RequirementStatus::Open => "open",
        RequirementStatus::Satisfied => "satisfied",
        RequirementStatus::Waiting => "waiting for the stage before",
        _ => "closed",
    };
    let mut line = format!(
        "  stage {stage}, {id}: {status}, {} of {seats} seats filled",
        filled.len()
    );
    if !filled.is_empty() {
        line.push_str(&format!(" by {}", names(filled)));
    }
    line
}

/// Names, joined by commas.
fn names(people: &[ActorId]) -> String {
    let names: Vec<&str> = people.iter().map(ActorId::as_str).collect();
    names.join(", ")
}
