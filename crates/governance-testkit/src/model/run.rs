//! A provider and the model, side by side.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use governance_core::{
    Act, ApprovalQuery, Commit, DecisionQuery, FeedSubject, MutationRequest, OperationId, Order,
    Provider, RequestError, RequestQuery, Revision, Scope, StateStore as _, StateWrite,
    StoreErrorKind, Timestamp,
};

use super::{
    ModelStore, Op,
    seen::{Ask, Seen, counts},
};
use crate::{
    fixtures::{VirtualClock, operation, reason},
    generate::{ActSpec, person, scope_of},
};

/// Where a provider answered something else than the model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Differs {
    /// The number of the operation, or how many there were if it showed at the end.
    pub turn: usize,
    /// What was asked.
    pub asked: String,
    /// What the model answered.
    pub model: String,
    /// What the provider answered.
    pub provider: String,
}

impl std::fmt::Display for Differs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            turn,
            asked,
            model,
            provider,
        } = self;
        write!(
            f,
            "turn {turn}: {asked}\n   model: {model}\nprovider: {provider}"
        )
    }
}

impl std::error::Error for Differs {}

/// What a run came to. A run in which next to nothing was stored or found proves next to nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Writes that were done.
    pub written: usize,
    /// Writes that were found done before.
    pub repeated: usize,
    /// Writes that met another revision or version.
    pub conflicts: usize,
    /// Calls that were refused for another reason.
    pub refused: usize,
    /// Items of listings.
    pub listed: usize,
}

impl Report {
    fn count(&mut self, seen: &Seen) {
        match seen {
            Seen::Done | Seen::Version(_) => self.written += 1,
            Seen::Before(_) => self.repeated += 1,
            Seen::Refused(StoreErrorKind::Conflict, ..) => self.conflicts += 1,
            Seen::Refused(..) | Seen::TooMany(_) | Seen::Endless => self.refused += 1,
            Seen::Request(found) => self.listed += usize::from(found.is_some()),
            Seen::Requests(found) => self.listed += found.len(),
            Seen::Approvals(found) => self.listed += found.len(),
            Seen::Decisions(found) => self.listed += found.len(),
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            written: self.written + other.written,
            repeated: self.repeated + other.repeated,
            conflicts: self.conflicts + other.conflicts,
            refused: self.refused + other.refused,
            listed: self.listed + other.listed,
        }
    }
}

/// Does the same to an empty provider and to the model, and compares every answer; at the end,
/// everything both hold: requests, listings in every order, states, and the feed of every state.
///
/// With the provider's clock at hand, time passes as the operations say. Without it the store's
/// own time is asked, and only what acts record moves.
///
/// # Errors
///
/// [`Differs`] with the first answer that is not the model's.
///
/// # Panics
///
/// When the provider cannot tell the time.
pub async fn run(
    provider: &Arc<dyn Provider>,
    clock: Option<&VirtualClock>,
    ops: &[Op],
) -> Result<Report, Differs> {
    let begin = provider.now().await.expect("the store tells the time");
    let mut twins = Twins {
        provider: Arc::clone(provider),
        model: ModelStore::new(Arc::clone(provider)),
        now: begin,
        forms: Vec::new(),
        scopes: BTreeMap::new(),
        operations: 0,
        report: Report::default(),
        turn: 0,
    };
    for op in ops {
        if let Op::Pass(seconds) = op {
            twins.now = twins
                .now
                .saturating_add(Duration::from_secs((*seconds).into()));
            if let Some(clock) = clock {
                clock.set(twins.now);
            }
        } else {
            twins.step(op).await?;
        }
        twins.turn += 1;
    }
    twins.compare_everything().await?;
    Ok(twins.report)
}

struct Twins {
    provider: Arc<dyn Provider>,
    model: ModelStore,
    now: Timestamp,
    /// Every form each request had, oldest first.
    forms: Vec<Vec<Arc<MutationRequest>>>,
    scopes: BTreeMap<Scope, ()>,
    operations: u64,
    report: Report,
    turn: usize,
}

impl Twins {
    fn operation(&mut self) -> OperationId {
        self.operations += 1;
        operation(self.operations)
    }

    /// The last form of a request, so many back, if there is any request.
    fn form(&self, which: usize, back: usize) -> Option<Arc<MutationRequest>> {
        let forms = self.forms.get(which.checked_rem(self.forms.len())?)?;
        forms.iter().rev().nth(back).cloned()
    }

    fn remember(&mut self, form: &Arc<MutationRequest>) {
        let id = form.id();
        let known = self.forms.iter_mut().find(|forms| forms[0].id() == id);
        match known {
            Some(forms) => forms.push(Arc::clone(form)),
            None => self.forms.push(vec![Arc::clone(form)]),
        }
    }

    /// Asks both, compares, and gives the answer.
    async fn ask(&mut self, ask: Ask) -> Result<Seen, Differs> {
        let model = ask.of(&self.model).await;
        let provider = ask.of(&*self.provider).await;
        self.report.count(&model);
        if model == provider {
            Ok(model)
        } else {
            Err(self.differs(&ask, &model, &provider))
        }
    }

    fn differs(
        &self,
        asked: &impl std::fmt::Debug,
        model: &impl std::fmt::Debug,
        provider: &impl std::fmt::Debug,
    ) -> Differs {
        Differs {
            turn: self.turn,
            asked: format!("{asked:?}"),
            model: format!("{model:?}"),
            provider: format!("{provider:?}"),
        }
    }

    /// Stores a form; if it is stored it is the request's next.
    async fn store(
        &mut self,
        form: Arc<MutationRequest>,
        expected: Revision,
    ) -> Result<(), Differs> {
        let ask = Ask::TryStore(Arc::clone(&form), expected);
        if self.ask(ask).await? == Seen::Done {
            self.remember(&form);
        }
        Ok(())
    }

    async fn act(&mut self, which: usize, back: usize, act: &ActSpec) -> Result<(), Differs> {
        let operation = self.operation();
        if let Some(form) = self.form(which, back)
            && let Ok(next) = act.take(&form, self.now, operation)
            && next.revision() > form.revision()
        {
            self.store(next, form.revision()).await?;
        }
        Ok(())
    }

    async fn step(&mut self, op: &Op) -> Result<(), Differs> {
        match op {
            Op::Create(spec) => {
                let (number, operation) = (self.forms.len() as u64, self.operation());
                let request = spec.submit(number, self.now, operation);
                let scope = request.proposal().scope().clone();
                self.scopes.insert(scope, ());
                if self.ask(Ask::Create(Arc::clone(&request))).await? == Seen::Done {
                    self.remember(&request);
                }
            }
            Op::CreateAgain(which) => {
                let forms = which.checked_rem(self.forms.len());
                if let Some(first) = forms.and_then(|i| self.forms[i].first().cloned()) {
                    // A purged request is made again, and its forms begin anew.
                    if self.ask(Ask::Create(Arc::clone(&first))).await? == Seen::Done {
                        self.remember(&first);
                    }
                }
            }
            Op::CreateTaken(which) => {
                if let Some(form) = self.form(*which, 0) {
                    let other = self.another(&form);
                    if self.ask(Ask::Create(Arc::clone(&other))).await? == Seen::Done {
                        self.remember(&other);
                    }
                }
            }
            Op::Act(which, act) => self.act(*which, 0, act).await?,
            Op::ActLate(which, act) => self.act(*which, 1, act).await?,
            Op::Repeat(which, back) => {
                if let Some(form) = self.form(*which, *back) {
                    let before = Revision::new(form.revision().get().saturating_sub(1));
                    self.store(form, before).await?;
                }
            }
            Op::Forge(which) => {
                if let Some(form) = self.form(*which, 0) {
                    let other = self.another(&form);
                    let operation = self.operation();
                    if let Ok(forged) = ActSpec::Cancel.take(&other, self.now, operation) {
                        self.store(forged, form.revision()).await?;
                    }
                }
            }
            Op::Purge { which, right } => {
                if let Some(form) = self.form(*which, 0) {
                    let revision = form.revision();
                    let expected = if *right { revision } else { revision.next() };
                    self.ask(Ask::Purge(form, expected)).await?;
                }
            }
            Op::Save {
                scope: (tenant, state, kind),
                right,
                delete,
                twice,
            } => {
                let scope = scope_of(*tenant, *state, *kind);
                let body = (!delete).then(|| Bytes::from(self.turn.to_be_bytes().to_vec()));
                let operation = self.operation();
                let write = self.state_write(scope, *right, body, operation).await;
                for _ in 0..=usize::from(*twice) {
                    self.ask(Ask::Save(write.clone())).await?;
                }
            }
            Op::Execute {
                which,
                right,
                twice,
            } => {
                let operation = self.operation();
                if let Some(form) = self.form(*which, 0)
                    && let Ok(done) = ActSpec::Complete.take(&form, self.now, operation)
                {
                    let scope = form.proposal().scope().clone();
                    let body = Some(Bytes::from_static(b"executed"));
                    let write = self.state_write(scope, *right, body, operation).await;
                    let commit = Commit::of(Arc::clone(&done), form.revision()).with_state(write);
                    for _ in 0..=usize::from(*twice) {
                        if self.ask(Ask::Commit(commit.clone())).await? == Seen::Done {
                            self.remember(&done);
                        }
                    }
                }
            }
            Op::Supersede { old, new, right } => self.supersede(*old, *new, *right).await?,
            Op::FindByKey(which) => {
                if let Some(form) = self.form(*which, 0) {
                    self.ask(Ask::FindByKey(form)).await?;
                }
            }
            Op::List(query, order, limit) => {
                let ask = Ask::List(query.clone(), *order, *limit);
                let seen = self.ask(ask).await?;
                if let (Seen::Requests(found), Order::Submission) = (seen, order) {
                    self.compare_count(query, found.len()).await?;
                }
            }
            Op::Approvals(query, order, limit) => {
                self.ask(Ask::Approvals(query.clone(), *order, *limit))
                    .await?;
            }
            Op::Decisions(query, order, limit) => {
                self.ask(Ask::Decisions(query.clone(), *order, *limit))
                    .await?;
            }
            // Time passes in `run`.
            Op::Pass(_) => {}
        }
        Ok(())
    }

    /// Another request with the id and state of one.
    fn another(&mut self, form: &MutationRequest) -> Arc<MutationRequest> {
        use governance_core::{Context, Judgement, Proposal};
        let known = form.proposal();
        let act = Act::new(Context::of(&person(1)), self.now, self.operation());
        let proposal = Proposal::new(
            *known.id(),
            known.scope().clone(),
            known.payload().clone(),
            known.intent().clone(),
            known.submitted_version(),
            &act,
        );
        let judgement = Judgement::allowed(Vec::new());
        let other = MutationRequest::submit(proposal, &judgement, None, &act);
        Arc::new(other.expect("no deadline"))
    }

    async fn state_write(
        &mut self,
        scope: Scope,
        right: bool,
        body: Option<Bytes>,
        operation: OperationId,
    ) -> StateWrite {
        self.scopes.insert(scope.clone(), ());
        let current = self.model.read_data(|data| data.load(&scope).version);
        let expected = if right { current } else { current.next() };
        StateWrite {
            scope,
            expected,
            body,
            operation,
        }
    }

    async fn supersede(&mut self, old: usize, new: usize, right: bool) -> Result<(), Differs> {
        let (Some(old), Some(new)) = (self.form(old, 0), self.form(new, 0)) else {
            return Ok(());
        };
        let operation = self.operation();
        let act = Act::new(&person(5), self.now, operation);
        let Ok((closed, taken)) = superseding(&old, &new, &act) else {
            return Ok(());
        };
        let revision = new.revision();
        let expected = if right { revision } else { revision.next() };
        let commit =
            Commit::of(Arc::clone(&closed), old.revision()).and(Arc::clone(&taken), expected);
        if self.ask(Ask::Commit(commit)).await? == Seen::Done {
            self.remember(&closed);
            self.remember(&taken);
        }
        Ok(())
    }

    async fn compare_count(&self, query: &RequestQuery, number: usize) -> Result<(), Differs> {
        match self.provider.count(query).await {
            Ok(count) if counts(count, number) => Ok(()),
            other => Err(self.differs(&("count", query), &number, &other)),
        }
    }

    async fn compare_everything(&mut self) -> Result<(), Differs> {
        let everything = RequestQuery::all_tenants();
        for order in Order::ALL {
            self.ask(Ask::List(everything.clone(), order, 7)).await?;
            let approvals = ApprovalQuery::of(everything.clone());
            self.ask(Ask::Approvals(approvals, order, 7)).await?;
            let decisions = DecisionQuery::of(everything.clone());
            self.ask(Ask::Decisions(decisions, order, 7)).await?;
        }
        let number = self.model.read_data(|data| data.requests.len());
        self.compare_count(&everything, number).await?;
        for form in self.forms.clone() {
            self.ask(Ask::Get(Arc::clone(&form[0]))).await?;
            self.ask(Ask::FindByKey(Arc::clone(&form[0]))).await?;
        }
        for scope in self.scopes.keys() {
            let (model, provider) = (
                self.model.load(scope).await,
                self.provider.load(scope).await,
            );
            if model.as_ref().ok() != provider.as_ref().ok() {
                return Err(self.differs(&("load", scope), &model, &provider));
            }
        }
        self.compare_feeds().await
    }

    async fn compare_feeds(&self) -> Result<(), Differs> {
        let model = feed(&self.model).await;
        let provider = feed(&*self.provider).await;
        if model == provider {
            Ok(())
        } else {
            Err(self.differs(&"the feed of each state", &model, &provider))
        }
    }
}

/// Both sides of a superseding, if the requests allow it.
fn superseding(
    old: &MutationRequest,
    new: &MutationRequest,
    act: &Act,
) -> Result<(Arc<MutationRequest>, Arc<MutationRequest>), RequestError> {
    let why = || reason("a better one is there");
    let (mut closing, mut taking) = (old.draft(act.clone()), new.draft(act.clone()));
    closing.supersede(new, why())?;
    taking.take_place_of(*old.id(), why())?;
    Ok((Arc::new(closing.finish()), Arc::new(taking.finish())))
}

type Feeds = BTreeMap<Scope, Vec<FeedSubject>>;

/// The events of every state, in order.
async fn feed(store: &dyn Provider) -> Result<Feeds, StoreErrorKind> {
    let mut feeds = Feeds::new();
    let mut after = None;
    loop {
        let batch = store
            .read(after.as_ref(), 100)
            .await
            .map_err(|e| e.kind())?;
        if batch.events.is_empty() {
            return Ok(feeds);
        }
        for event in batch.events {
            feeds.entry(event.scope).or_default().push(event.subject);
        }
        after = Some(batch.next);
    }
}
