//! Reading everything back: what the store says, against what the input says.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write as _,
};

use anyhow::Context as _;
use governance_core::{
    DecisionKind, DecisionQuery, Digest, Governor, Lifecycle, MutationRequest, PageRequest,
    RejectionCause, Risk, StateId, Status, ids::DigestWriter,
};
use serde_json::Value;

use crate::{
    input::digest_of,
    mutation::{PolicyState, PutPolicy},
    schedule::Progress,
};

/// What the store holds, counted, and where it is not what it should be.
#[derive(Debug, Default)]
pub(crate) struct Audit {
    pub(crate) submitted: u64,
    pub(crate) approved_automatically: u64,
    pub(crate) approved_by_people: u64,
    pub(crate) rejected: u64,
    pub(crate) stale: u64,
    pub(crate) executed: u64,
    pub(crate) decisions: u64,
    pub(crate) states: u64,
    pub(crate) histories_verified: u64,
    pub(crate) risks: BTreeMap<&'static str, u64>,
    pub(crate) mismatches: u64,
    /// The first mismatches, in words.
    pub(crate) examples: Vec<String>,
    /// The digest of each request's decisions, by line and attempt.
    digests: BTreeMap<(u64, u64), Digest>,
    /// Lines that have an executed request.
    lines: BTreeSet<u64>,
    /// How often each state was changed.
    executions: BTreeMap<StateId, u64>,
}

/// Reads back every request, decision and state, page by page, and compares.
///
/// # Errors
///
/// When the store cannot be read. What is read and wrong is a mismatch, not an error.
pub(crate) async fn audit(governor: &Governor, progress: &Progress) -> anyhow::Result<Audit> {
    let mut audit = Audit::default();
    let recorded = audit.read_requests(governor).await?;
    audit.read_decisions(governor, recorded).await?;
    audit.read_states(governor, progress).await?;
    let executed = audit.executed;
    audit.check(executed == progress.changes, || {
        format!(
            "{} changes were carried out, the store has {executed}",
            progress.changes
        )
    });
    Ok(audit)
}

impl Audit {
    const PAGE: u16 = 500;
    const EXAMPLES: usize = 5;

    /// A digest of all decisions that depends on nothing but what was decided: not on times, ids,
    /// the provider, or what was done at the same time.
    pub(crate) fn decisions_digest(&self) -> Digest {
        let all: Vec<u8> = self
            .digests
            .values()
            .flat_map(Digest::as_bytes)
            .copied()
            .collect();
        Digest::of(all)
    }

    async fn read_requests(&mut self, governor: &Governor) -> anyhow::Result<u64> {
        let query = governor.query();
        let mut page = PageRequest::first(Self::PAGE)?;
        let mut recorded = 0;
        loop {
            let read = governor.requests(&query, &page).await?;
            for request in &read.items {
                recorded += count(request.decisions().len());
                self.examine(request)?;
            }
            for record in &read.undecodable {
                self.mismatch(|| format!("record {}: {}", record.id, record.problem));
            }
            match read.next {
                Some(cursor) => page = page.after(cursor),
                None => return Ok(recorded),
            }
        }
    }

    async fn read_decisions(&mut self, governor: &Governor, recorded: u64) -> anyhow::Result<()> {
        let query = DecisionQuery::of(governor.query());
        let mut page = PageRequest::first(Self::PAGE)?;
        loop {
            let read = governor.decisions(&query, &page).await?;
            self.decisions += count(read.items.len());
            match read.next {
                Some(cursor) => page = page.after(cursor),
                None => break,
            }
        }
        let listed = self.decisions;
        self.check(listed == recorded, || {
            format!("{listed} decisions are listed, the requests have {recorded}")
        });
        Ok(())
    }

    async fn read_states(
        &mut self,
        governor: &Governor,
        progress: &Progress,
    ) -> anyhow::Result<()> {
        for (id, expected) in &progress.expected {
            let (state, version) = governor.state::<PolicyState>(id).await?;
            let Some(PolicyState {
                version: Some(name),
                document: Some(document),
            }) = state
            else {
                self.mismatch(|| format!("{id} is not there"));
                continue;
            };
            self.states += 1;
            self.check(name == expected.version, || {
                format!("{id} is at {name}, the input ends at {}", expected.version)
            });
            self.check(digest_of(&document) == expected.document, || {
                format!("the document of {id} is not the last of the input")
            });
            let executed = self.executions.get(id).copied().unwrap_or(0);
            self.check(version.get() == executed, || {
                format!("{id} was changed {executed} times, its version is {version}")
            });
        }
        Ok(())
    }

    fn examine(&mut self, request: &MutationRequest) -> anyhow::Result<()> {
        let id = request.id();
        self.submitted += 1;
        let risk = request.proposal().intent().risk_level();
        *self.risks.entry(risk.as_str()).or_default() += 1;
        match request.verify_history() {
            Ok(()) => self.histories_verified += 1,
            Err(error) => self.mismatch(|| format!("history of {id}: {error}")),
        }
        let was_approved = request
            .decisions()
            .iter()
            .any(|d| matches!(d.kind(), DecisionKind::Lifecycle(Lifecycle::Approved)));
        if was_approved {
            let automatic = request.round().rules().is_empty();
            self.check(automatic == (risk == Risk::Low), || {
                format!("{id} is of {risk} risk, approved automatically: {automatic}")
            });
            if automatic {
                self.approved_automatically += 1;
            } else {
                self.approved_by_people += 1;
            }
        }
        let line = match place(request) {
            Some(place) => {
                let digest = decided(request, place)?;
                let twice = self.digests.insert(place, digest).is_some();
                self.check(!twice, || {
                    format!("two requests of line {} attempt {}", place.0, place.1)
                });
                place.0
            }
            None => {
                self.mismatch(|| format!("{id} is not of this replay"));
                0
            }
        };
        match (request.status(), request.rejection()) {
            (Status::Executed, _) => self.examine_execution(request, line)?,
            (Status::Rejected, Some(RejectionCause::Stale { .. })) => self.stale += 1,
            (Status::Rejected, _) => self.rejected += 1,
            (status, _) => self.mismatch(|| format!("{id} is still {status}")),
        }
        Ok(())
    }

    /// What was executed names the versions before and after: the store's and the provider's.
    fn examine_execution(&mut self, request: &MutationRequest, line: u64) -> anyhow::Result<()> {
        let id = request.id();
        self.executed += 1;
        let twice = !self.lines.insert(line);
        self.check(!twice, || format!("line {line} was executed twice"));
        let state = request.proposal().scope().state_id.clone();
        *self.executions.entry(state).or_default() += 1;
        let execution = request.execution();
        let versions = execution.version_before().zip(execution.version_after());
        self.check(
            versions.is_some_and(|(before, after)| after == before.next()),
            || format!("{id} does not name the versions it was executed between"),
        );
        let put: PutPolicy = request.proposal().payload().decode().context("a payload")?;
        let names = execution.changes().iter().any(|change| {
            change.path() == "version"
                && change.before().and_then(Value::as_str) == put.from_version.as_deref()
                && change.after().and_then(Value::as_str) == Some(put.to_version.as_str())
        });
        self.check(names, || format!("{id} does not name the version it put"));
        Ok(())
    }

    fn check(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.mismatch(otherwise);
        }
    }

    fn mismatch(&mut self, words: impl FnOnce() -> String) {
        self.mismatches += 1;
        if self.examples.len() < Self::EXAMPLES {
            self.examples.push(words());
        }
    }
}

/// The line and attempt a request is of.
pub(crate) fn place(request: &MutationRequest) -> Option<(u64, u64)> {
    let metadata = request.proposal().metadata();
    let number = |name| metadata.get(name).and_then(Value::as_u64);
    number("line").zip(number("attempt"))
}

/// The digest of what was decided about a request.
fn decided(request: &MutationRequest, (line, attempt): (u64, u64)) -> anyhow::Result<Digest> {
    let mut writer = DigestWriter::default();
    for decision in request.decisions() {
        let facts = (
            (line, attempt),
            decision.seq(),
            decision.actor().id().as_str(),
            decision.kind().to_string(),
            decision.status().as_str(),
            decision.revision().get(),
            decision.reason().map(governance_core::Reason::as_str),
        );
        serde_json::to_writer(&mut writer, &facts)?;
        writer.write_all(b"\n")?;
    }
    Ok(writer.finish())
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use governance_core::{Actor, Context, OnStale, OperationId, Provider, StateWrite, TenantId};
    use governance_memory::MemoryStore;
    use serde_json::json;

    use super::*;
    use crate::{
        input::Changes,
        org::Organisation,
        replay::Replay,
        schedule::{self, Expected},
    };

    const POLICY: &str = "Reader";

    fn line(from: Option<&str>, to: &str, action: &str) -> String {
        let document = json!({"Statement":
            {"Effect": "Allow", "Action": action, "Resource": "*"}});
        let line = json!({"op": "put", "policy": POLICY, "from_version": from, "to_version": to,
            "document": document});
        format!("{line}\n")
    }

    fn changes() -> Changes {
        let input = line(None, "v1", "s3:*") + &line(Some("v1"), "v2", "s3:Get");
        Changes::new(std::io::Cursor::new(input), 10_000).unwrap()
    }

    fn replay_on(provider: &Arc<dyn Provider>) -> Replay {
        Replay::new(Arc::clone(provider), TenantId::default(), 3, 10_000).unwrap()
    }

    async fn carried_out(replay: Replay) -> (Arc<Replay>, Progress) {
        let replay = Arc::new(replay);
        let (sender, receiver) = tokio::sync::mpsc::channel(4);
        for change in changes() {
            sender.send(change).await.unwrap();
        }
        drop(sender);
        let progress = schedule::run(&replay, receiver, 2, |_| {}).await.unwrap();
        (replay, progress)
    }

    async fn replayed() -> (Arc<Replay>, Progress) {
        let provider: Arc<dyn Provider> = Arc::new(MemoryStore::new());
        carried_out(replay_on(&provider)).await
    }

    async fn audited(replay: &Replay, progress: &Progress) -> Audit {
        audit(replay.governor(), progress).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_replayed_matches() {
        let (replay, progress) = replayed().await;
        let audit = audited(&replay, &progress).await;
        assert_eq!(audit.examples, [""; 0]);
        assert_eq!((audit.mismatches, audit.executed, audit.states), (0, 2, 1));
    }

    #[tokio::test]
    async fn what_was_interrupted_anywhere_ends_as_if_it_had_not_been() {
        let (replay, progress) = replayed().await;
        let whole = audited(&replay, &progress).await;
        for votes in 0..3 {
            let provider: Arc<dyn Provider> = Arc::new(MemoryStore::new());
            let interrupted = replay_on(&provider);
            let change = changes().next().unwrap().unwrap();
            interrupted.begin(&change, votes).await.unwrap();
            drop(interrupted);
            let mut resumed = replay_on(&provider);
            resumed.resume().await.unwrap();
            let (replay, progress) = carried_out(resumed).await;
            let audit = audited(&replay, &progress).await;
            assert_eq!(audit.examples, [""; 0]);
            assert_eq!(audit.decisions_digest(), whole.decisions_digest());
        }
    }

    #[tokio::test]
    async fn a_state_that_is_not_the_last_of_the_input_is_a_mismatch() {
        let (replay, mut progress) = replayed().await;
        let id = StateId::new(POLICY).unwrap();
        progress.expected.get_mut(&id).unwrap().document = Digest::ZERO;
        assert_eq!(audited(&replay, &progress).await.mismatches, 1);
        progress.expected.get_mut(&id).unwrap().version = "v9".to_owned();
        assert_eq!(audited(&replay, &progress).await.mismatches, 2);
        let missing = Expected {
            version: "v1".to_owned(),
            document: Digest::ZERO,
        };
        progress
            .expected
            .insert(StateId::new("Other").unwrap(), missing);
        assert_eq!(audited(&replay, &progress).await.mismatches, 3);
        progress.changes += 1;
        assert_eq!(audited(&replay, &progress).await.mismatches, 4);
    }

    #[tokio::test]
    async fn a_state_written_past_the_governor_is_a_mismatch() {
        let (replay, progress) = replayed().await;
        let governor = replay.governor();
        let scope = governor
            .scope::<PolicyState>(&StateId::new(POLICY).unwrap())
            .unwrap();
        let found = governor.store().load(&scope).await.unwrap();
        let write = StateWrite {
            scope,
            expected: found.version,
            body: found.body,
            operation: OperationId::from_bytes([1; 16]),
        };
        governor.store().save(&write).await.unwrap();
        let audit = audited(&replay, &progress).await;
        assert_eq!(audit.mismatches, 1);
        assert_eq!(
            audit.examples,
            ["Reader was changed 2 times, its version is 3"]
        );
    }

    #[tokio::test]
    async fn requests_that_became_stale_are_counted_and_do_not_change_the_state() {
        let (replay, mut progress) = replayed().await;
        let governor = replay.governor();
        let organisation = Organisation::new().unwrap();
        let owner = organisation.owner_of(POLICY, 1).unwrap();
        let id = StateId::new(POLICY).unwrap();
        let deployer = Actor::service("deployer").unwrap();
        let mut submitted = Vec::new();
        for (attempt, to) in [(1, "v3"), (2, "v4")] {
            let mutation = PutPolicy {
                policy: POLICY.to_owned(),
                from_version: Some("v2".to_owned()),
                to_version: to.to_owned(),
                document: json!({"Statement": []}),
                risk: Risk::Low,
            };
            let context = Context::of(owner)
                .metadata("line", 3)
                .metadata("attempt", attempt);
            submitted.push(governor.submit(context, &id, mutation).await.unwrap().id());
        }
        for request in &submitted {
            governor
                .execute(request, &deployer, OnStale::Reject)
                .await
                .unwrap();
        }
        progress.changes += 1;
        progress.expected.insert(
            id,
            Expected {
                version: "v3".to_owned(),
                document: digest_of(&json!({"Statement": []})),
            },
        );
        let audit = audited(&replay, &progress).await;
        assert_eq!(audit.examples, [""; 0]);
        assert_eq!((audit.stale, audit.executed, audit.rejected), (1, 3, 0));
    }
}
