//! Reading one request, against `GET` of the same bytes.

use anyhow::{Context as _, Result};
use governance_core::RequestStore as _;
use redis_client::redis;

use super::{
    pairs::{alternate, timed},
    stock::Stock,
};
use crate::outcome::Outcome;

pub(crate) async fn measure(stock: &Stock, outcome: &mut Outcome) -> Result<()> {
    let total = stock.corpus.total() as u64;
    let ids = (1..total)
        .step_by(stock.corpus.total().div_ceil(20_000))
        .map(|number| Ok(*stock.corpus.request(number)?.id()));
    let ids: Vec<_> = ids.collect::<Result<_>>()?;
    // Apart from each other: what the store has read lately it does not decode again.
    let (mut at, mut other) = (0, ids.len() / 2);
    let next = |at: &mut usize| {
        *at = (*at + 1) % ids.len();
        ids[*at]
    };
    let measure = alternate(
        100,
        async || {
            let id = next(&mut at);
            timed(async { stock.store.get(&id).await?.context("a request is missing") }).await
        },
        async || {
            let id = next(&mut other);
            timed(async {
                let mut get = redis::cmd("GET");
                get.arg(stock.key(&id));
                let bytes: Option<Vec<u8>> = stock.query(&get).await?;
                bytes.context("a request is missing")
            })
            .await
        },
    )
    .await?;
    outcome.compare("redis.get_over_get", &measure, None);
    Ok(())
}
