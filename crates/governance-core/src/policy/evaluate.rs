//! Asks policies and comes to one answer.

use std::{
    borrow::Cow, collections::BTreeMap, future::poll_fn, pin::Pin, task::Poll, time::Duration,
};

use super::{
    Amendment, Policy, PolicyDecision, PolicySubject, PolicyTree, decision::Answer, tree::Node,
};
use crate::{
    approval::{ApprovalRules, RuleConflict},
    context::is_too_deep,
    decision::{DenialReason, PolicyAnswer, PolicyRecord},
    effects::Severity,
    ids::Label,
};

/// Policies that contradict each other in a way no rule settles. A denial comes first: where any
/// policy that counts denies, there is no conflict.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyConflict {
    /// Their requirements cannot be united.
    #[error("in {composition}: {conflict}")]
    Rules {
        /// Names from the outermost composition, joined by `/`.
        composition: String,
        /// Why not.
        #[source]
        conflict: RuleConflict,
    },
    /// They set one key of their data to different values.
    #[error("in {composition}: {first} and {second} set {key} to different values")]
    Metadata {
        /// Names from the outermost composition, joined by `/`.
        composition: String,
        /// The key.
        key: String,
        /// The policy that set it first.
        first: String,
        /// The policy that set it differently.
        second: String,
    },
}

impl PolicyConflict {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Rules { .. } => "policy.conflicting_rules",
            Self::Metadata { .. } => "policy.conflicting_metadata",
        }
    }
}

/// What policies come to together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub(crate) answer: PolicyAnswer,
    pub(crate) rules: ApprovalRules,
    pub(crate) amendments: Vec<(String, Amendment)>,
    pub(crate) records: Vec<PolicyRecord>,
    pub(crate) severity: Severity,
    pub(crate) faulted: bool,
}

impl Ruling {
    /// The common answer.
    #[must_use]
    pub const fn answer(&self) -> PolicyAnswer {
        self.answer
    }

    /// The approvals that are required.
    #[must_use]
    pub const fn rules(&self) -> &ApprovalRules {
        &self.rules
    }

    /// What each policy said, in the order they were asked.
    #[must_use]
    pub fn records(&self) -> &[PolicyRecord] {
        &self.records
    }

    /// The highest severity of those that decided.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.severity
    }

    /// Whether a policy that decided could not tell or took too long.
    #[must_use]
    pub const fn is_faulted(&self) -> bool {
        self.faulted
    }

    fn nothing() -> Self {
        Self {
            answer: PolicyAnswer::Abstained,
            rules: ApprovalRules::default(),
            amendments: Vec::new(),
            records: Vec::new(),
            severity: Severity::Info,
            faulted: false,
        }
    }

    /// No answer, and records of which none decided anything.
    fn undecided(mut records: Vec<PolicyRecord>) -> Self {
        for record in &mut records {
            record.decisive = false;
        }
        Self {
            records,
            ..Self::nothing()
        }
    }
}

/// A composition without an answer of its own, and what its parts said: they were asked, so their
/// records stay when something else settles it.
struct Conflicted {
    conflict: PolicyConflict,
    records: Vec<PolicyRecord>,
}

impl PolicyTree {
    /// Asks every policy, each for at most `deadline`, and comes to one answer. A policy that
    /// fails or takes longer denies.
    ///
    /// # Errors
    ///
    /// [`PolicyConflict`] when policies that do not deny contradict each other.
    ///
    /// # Cancel safety
    ///
    /// Reads only.
    pub async fn evaluate(
        &self,
        subject: &PolicySubject<'_>,
        deadline: Duration,
    ) -> Result<Ruling, PolicyConflict> {
        ask(&self.0, "", subject, deadline)
            .await
            .map_err(|conflicted| conflicted.conflict)
    }
}

async fn ask(
    node: &Node,
    path: &str,
    subject: &PolicySubject<'_>,
    deadline: Duration,
) -> Result<Ruling, Conflicted> {
    match node {
        Node::Policy(policy) => Ok(ask_one(&**policy, path, subject, deadline).await),
        Node::AllOf(name, parts) => {
            let path = path_of(name, path);
            let answers = ask_all(parts, &path, subject, deadline).await;
            all_of(&path, answers.settle(PolicyAnswer::Denied)?)
        }
        Node::AnyOf(name, parts) => {
            let path = path_of(name, path);
            let answers = ask_all(parts, &path, subject, deadline).await;
            any_of(&path, answers.settle(PolicyAnswer::Allowed)?)
        }
        Node::Priority(name, parts) => {
            ask_in_turn(parts, &path_of(name, path), subject, deadline).await
        }
    }
}

/// Asks a part of a composition.
async fn ask_part(
    part: &Node,
    path: &str,
    subject: &PolicySubject<'_>,
    deadline: Duration,
) -> Result<Ruling, Conflicted> {
    match part {
        Node::Policy(policy) => Ok(ask_one(&**policy, path, subject, deadline).await),
        Node::AllOf(..) | Node::AnyOf(..) | Node::Priority(..) => {
            ask_composition(part, path, subject, deadline).await
        }
    }
}

type Asked<'a> = Pin<Box<dyn Future<Output = Result<Ruling, Conflicted>> + Send + 'a>>;

/// A composition within another. Boxed, as one may be within the next, and so on.
fn ask_composition<'a>(
    node: &'a Node,
    path: &'a str,
    subject: &'a PolicySubject<'_>,
    deadline: Duration,
) -> Asked<'a> {
    Box::pin(ask(node, path, subject, deadline))
}

/// What is called by a name within what is at a path.
fn path_of<'a>(name: &'a str, path: &str) -> Cow<'a, str> {
    if path.is_empty() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned([path, "/", name].concat())
    }
}

/// What the parts of a composition said.
struct Answers {
    rulings: Vec<Ruling>,
    /// The first of those in conflict. Their rulings have no answer.
    unsettled: Option<PolicyConflict>,
}

impl Answers {
    /// The answers, conflicts among them settled. A conflict somewhere matters only if no part
    /// gives the answer that settles the composition whatever the others say; the parts of a
    /// conflict that does not matter stay in the record.
    fn settle(self, settles: PolicyAnswer) -> Result<Vec<Ruling>, Conflicted> {
        let settled = self.rulings.iter().any(|ruling| ruling.answer == settles);
        match self.unsettled {
            Some(conflict) if !settled => Err(Conflicted {
                conflict,
                records: self.rulings.into_iter().flat_map(|r| r.records).collect(),
            }),
            _ => Ok(self.rulings),
        }
    }
}

/// All answers.
async fn ask_all(
    parts: &[Node],
    path: &str,
    subject: &PolicySubject<'_>,
    deadline: Duration,
) -> Answers {
    let mut answers = Answers {
        rulings: Vec::with_capacity(parts.len()),
        unsettled: None,
    };
    for part in parts {
        let ruling = match ask_part(part, path, subject, deadline).await {
            Ok(ruling) => ruling,
            Err(Conflicted { conflict, records }) => {
                answers.unsettled.get_or_insert(conflict);
                Ruling::undecided(records)
            }
        };
        answers.rulings.push(ruling);
    }
    answers
}

/// The first answer that is one.
async fn ask_in_turn(
    parts: &[Node],
    path: &str,
    subject: &PolicySubject<'_>,
    deadline: Duration,
) -> Result<Ruling, Conflicted> {
    let mut asked = Ruling::nothing();
    for part in parts {
        let mut answer = match ask_part(part, path, subject, deadline).await {
            Ok(answer) => answer,
            Err(mut conflicted) => {
                asked.records.append(&mut conflicted.records);
                conflicted.records = asked.records;
                return Err(conflicted);
            }
        };
        let decisive = answer.answer != PolicyAnswer::Abstained;
        asked.records.append(&mut answer.records);
        if decisive {
            answer.records = asked.records;
            return Ok(answer);
        }
    }
    Ok(asked)
}

async fn ask_one(
    policy: &dyn Policy,
    path: &str,
    subject: &PolicySubject<'_>,
    deadline: Duration,
) -> Ruling {
    let path = path_of(policy.name(), path).into_owned();
    let fault = |code, message| {
        let reason = DenialReason {
            code: Label::literal(code),
            message,
        };
        PolicyDecision {
            answer: Answer::Deny(vec![reason]),
            severity: Severity::Error,
            amendments: Vec::new(),
            metadata: crate::context::Metadata::new(),
        }
    };
    let (decision, faulted) = match within(deadline, policy.evaluate(subject)).await {
        Ok(Ok(decision)) if decision.metadata.values().any(is_too_deep) => {
            let problem = "its data is nested too deeply";
            (fault("policy.fault", problem.to_owned()), true)
        }
        Ok(Ok(decision)) => (decision, false),
        Ok(Err(error)) => (fault("policy.fault", bounded(&error.to_string())), true),
        Err(Elapsed) => (
            fault("policy.timeout", format!("no answer within {deadline:?}")),
            true,
        ),
    };
    let (answer, reasons, rules) = match decision.answer {
        Answer::Abstain => (
            PolicyAnswer::Abstained,
            Vec::new(),
            ApprovalRules::default(),
        ),
        Answer::Allow => (PolicyAnswer::Allowed, Vec::new(), ApprovalRules::default()),
        Answer::Deny(reasons) => (PolicyAnswer::Denied, reasons, ApprovalRules::default()),
        // Nobody has to approve, but not everybody may execute.
        Answer::Require(rules) if rules.is_empty() => (PolicyAnswer::Allowed, Vec::new(), rules),
        Answer::Require(rules) => (PolicyAnswer::Required, Vec::new(), rules),
    };
    let amendments = decision
        .amendments
        .into_iter()
        .map(|a| (path.clone(), a))
        .collect();
    Ruling {
        answer,
        rules,
        amendments,
        severity: decision.severity,
        faulted,
        records: vec![PolicyRecord {
            policy: path,
            answer,
            severity: decision.severity,
            reasons,
            decisive: answer != PolicyAnswer::Abstained,
            metadata: decision.metadata,
        }],
    }
}

struct Elapsed;

/// The answer, if it comes in time. No timer is started for one that is there at once, as most are.
async fn within<T>(
    deadline: Duration,
    mut answer: Pin<Box<dyn Future<Output = T> + Send + '_>>,
) -> Result<T, Elapsed> {
    let at_once = poll_fn(|context| {
        Poll::Ready(match answer.as_mut().poll(context) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        })
    });
    match at_once.await {
        Some(answer) => Ok(answer),
        None => tokio::time::timeout(deadline, answer)
            .await
            .map_err(|_| Elapsed),
    }
}

/// Words of an error, as many as a history should keep.
fn bounded(text: &str) -> String {
    const MOST: usize = 512;
    let end = (0..=MOST.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text[..end.unwrap_or(0)].to_owned()
}

fn all_of(path: &str, answers: Vec<Ruling>) -> Result<Ruling, Conflicted> {
    let decides = [
        PolicyAnswer::Denied,
        PolicyAnswer::Required,
        PolicyAnswer::Allowed,
    ]
    .into_iter()
    .find(|answer| answers.iter().any(|ruling| ruling.answer == *answer));
    let Some(decides) = decides else {
        return unite(path, answers, |_| false);
    };
    // What is required is required of those that allow, too: they are all on one side.
    unite(path, answers, |answer| match decides {
        PolicyAnswer::Denied => answer == PolicyAnswer::Denied,
        PolicyAnswer::Required | PolicyAnswer::Allowed | PolicyAnswer::Abstained => {
            matches!(answer, PolicyAnswer::Required | PolicyAnswer::Allowed)
        }
    })
}

fn any_of(path: &str, mut answers: Vec<Ruling>) -> Result<Ruling, Conflicted> {
    let allowed = answers.iter().filter(|r| r.answer == PolicyAnswer::Allowed);
    // All that an allowance can ask for is who executes, and one without a condition is enough.
    if let Some(executor) = allowed.map(|r| r.rules.executor_rule()).min() {
        let mut united = unite(path, answers, |answer| answer == PolicyAnswer::Allowed)?;
        united.rules = ApprovalRules::default().executor(executor);
        return Ok(united);
    }
    if let Some(first) = answers
        .iter()
        .position(|r| r.answer == PolicyAnswer::Required)
    {
        for (i, ruling) in answers.iter_mut().enumerate() {
            if i != first && ruling.answer == PolicyAnswer::Required {
                // Asked, recorded, but not taken.
                ruling.answer = PolicyAnswer::Abstained;
            }
        }
        return unite(path, answers, |answer| answer == PolicyAnswer::Required);
    }
    unite(path, answers, |answer| answer == PolicyAnswer::Denied)
}

/// One ruling of those whose answer counts; the others stay in the record only.
fn unite(
    path: &str,
    answers: Vec<Ruling>,
    counts: impl Fn(PolicyAnswer) -> bool,
) -> Result<Ruling, Conflicted> {
    let mut united = Ruling::nothing();
    let mut conflict = None;
    for mut ruling in answers {
        if counts(ruling.answer) {
            united.answer = united.answer.max(ruling.answer);
            united.severity = united.severity.max(ruling.severity);
            united.faulted |= ruling.faulted;
            united.amendments.append(&mut ruling.amendments);
            match std::mem::take(&mut united.rules).unite(ruling.rules) {
                Ok(rules) => united.rules = rules,
                Err(clash) => {
                    conflict.get_or_insert(PolicyConflict::Rules {
                        composition: path.to_owned(),
                        conflict: clash,
                    });
                }
            }
        } else {
            ruling = Ruling::undecided(ruling.records);
        }
        if united.records.is_empty() {
            united.records = ruling.records;
        } else {
            united.records.append(&mut ruling.records);
        }
    }
    if conflict.is_none() && united.answer != PolicyAnswer::Denied {
        conflict = check_metadata(path, &united.records).err();
    }
    match conflict {
        None => Ok(united),
        Some(conflict) => Err(Conflicted {
            conflict,
            records: united.records,
        }),
    }
}

fn check_metadata(path: &str, records: &[PolicyRecord]) -> Result<(), PolicyConflict> {
    let mut known = BTreeMap::new();
    for record in records.iter().filter(|record| record.decisive) {
        for (key, value) in &record.metadata {
            let (first, before) = *known.entry(key).or_insert((&record.policy, value));
            if before != value {
                return Err(PolicyConflict::Metadata {
                    composition: path.to_owned(),
                    key: key.clone(),
                    first: first.clone(),
                    second: record.policy.clone(),
                });
            }
        }
    }
    Ok(())
}
