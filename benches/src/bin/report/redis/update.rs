//! One change of a request, against `SET` of the same bytes.

use std::{collections::VecDeque, sync::Arc};

use anyhow::{Context as _, Result};
use benches::{Corpus, approver};
use futures_util::future::{BoxFuture, try_join_all};
use governance_core::{
    Act, Context, Membership, MutationRequest, OperationId, Reason, RequestStore as _, Revision,
    Timestamp,
};
use governance_redis::RedisStore;
use redis_client::{Client, ClientError, Operation, redis};

use super::{
    delay::Delay,
    pairs::{alternate, timed},
    place::Place,
    stock::Stock,
};
use crate::outcome::Outcome;

const SET: Operation = Operation::write("set");

/// Requests that are stored and pending, each with its approval that is not stored yet.
pub(crate) struct Changes<'a> {
    corpus: &'a Corpus,
    next: u64,
    voter: governance_core::Actor,
    membership: Membership,
}

/// A change to be stored.
pub(crate) type Change = (Arc<MutationRequest>, Revision);

impl<'a> Changes<'a> {
    /// `first` keeps what is created apart from what others create.
    pub(crate) fn new(stock: &'a Stock, first: u64) -> Result<Self> {
        let (voter, membership) = approver()?;
        Ok(Self {
            corpus: &stock.corpus,
            next: stock.corpus.total() as u64 + first,
            voter,
            membership,
        })
    }

    /// Makes requests and their approvals.
    pub(crate) fn make(&mut self, count: usize) -> Result<Vec<(Arc<MutationRequest>, Change)>> {
        let mut made = Vec::with_capacity(count);
        while made.len() < count {
            self.next += 1;
            if !Corpus::is_listed(self.next) {
                continue;
            }
            let request = Arc::new(self.corpus.request(self.next)?);
            let operation = OperationId::from_bytes(u128::from(self.next).to_be_bytes());
            let at = Timestamp::from_micros(1_790_000_000_000_000);
            let mut draft = request.draft(Act::new(Context::of(&self.voter), at, operation));
            draft.approve(self.membership.clone(), Reason::new("it is fine")?)?;
            let change = (Arc::new(draft.finish()), request.revision());
            made.push((request, change));
        }
        Ok(made)
    }

    /// Makes and creates requests, and returns their approvals.
    pub(crate) async fn ready(&mut self, store: &RedisStore, count: usize) -> Result<Vec<Change>> {
        let made = self.make(count)?;
        let creates = made
            .iter()
            .map(|(request, _)| store.create(Arc::clone(request)));
        try_join_all(creates).await?;
        Ok(made.into_iter().map(|(_, change)| change).collect())
    }
}

/// The bytes of an approved request as they are stored.
pub(crate) async fn stored_bytes(stock: &Stock, changes: &mut Changes<'_>) -> Result<Vec<u8>> {
    let (request, expected) = changes.ready(&stock.store, 1).await?.remove(0);
    stock
        .store
        .try_store(Arc::clone(&request), expected)
        .await?;
    let mut get = redis::cmd("GET");
    get.arg(stock.key(request.id()));
    let bytes: Option<Vec<u8>> = stock.query(&get).await?;
    bytes.context("what was just stored is not there")
}

/// Sets a key as somebody does who has nothing but a document.
pub(crate) async fn set(client: &Client, key: &str, bytes: &[u8]) -> Result<()> {
    let mut set = redis::cmd("SET");
    set.arg(key).arg(bytes);
    let done: BoxFuture<'_, Result<(), ClientError>> = Box::pin(client.query(SET, key, &set));
    Ok(done.await?)
}

pub(crate) async fn measure(place: &Place, stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let (store, client) = (stock.store.clone(), stock.client.clone());
    compare(place, stock, (store, client), 100, 0, ("", 2.5), outcome).await?;
    let delay = Delay::start(place.url())?;
    let far = stock.by(&delay.url()).await?;
    compare(place, stock, far, 20, 1 << 32, (".rtt_500us", 1.2), outcome).await
}

async fn compare(
    place: &Place,
    stock: &Stock,
    (store, client): (RedisStore, Client),
    calls: usize,
    first: u64,
    (name, target): (&str, f64),
    outcome: &mut Outcome,
) -> Result<()> {
    let mut changes = Changes::new(stock, first)?;
    let bytes = stored_bytes(stock, &mut changes).await?;
    let mut ready: VecDeque<Change> = VecDeque::new();
    let mut number = 0_u64;
    let measure = alternate(
        calls,
        async || {
            if ready.is_empty() {
                ready.extend(changes.ready(&store, calls).await?);
            }
            let (request, expected) = ready.pop_front().context("there are some")?;
            timed(async { Ok(store.try_store(request, expected).await?) }).await
        },
        async || {
            number += 1;
            let key = place.prefix(&format!("set:{}", number % 10_000));
            timed(set(&client, &key, &bytes)).await
        },
    )
    .await?;
    outcome.compare_with(
        format!("redis.update_over_set{name}"),
        &measure,
        Some(target),
        &format!("; {} bytes", bytes.len()),
    );
    Ok(())
}
