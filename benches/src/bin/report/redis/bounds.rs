//! What bounds the throughput of changes, whatever they do: a script that does nothing, and the
//! writes of a change without a script and without a condition.

use std::sync::{Arc, LazyLock};

use anyhow::Result;
use futures_util::future::BoxFuture;
use redis_client::{ClientError, Operation, Script, redis};

use super::{
    place::Place,
    stock::Stock,
    throughput::{EACH, by_all},
};

static NOTHING: LazyLock<Script> =
    LazyLock::new(|| Script::embedded("#!lua\n-- bench.nothing 1\nreturn 1"));

/// Not sent again after an error, so it may be called one that reads: pipelines must.
const TRANSACTION: Operation = Operation::read("transaction");

/// Calls a script that does nothing, with as many keys and bytes as a change has.
pub(super) async fn script_all(place: &Place, stock: &Stock, bytes: &Arc<[u8]>) -> Result<f64> {
    by_all(|task| {
        let (client, bytes) = (stock.client.clone(), Arc::clone(bytes));
        let key = place.prefix(&format!("{{nothing}}:{task}"));
        async move {
            for _ in 0..EACH {
                let keys = (0..11).map(|i| format!("{key}:category:of_some_length:{i}"));
                let call = NOTHING.call().keys(keys);
                let call = call.arg(&*bytes).arg(&[7_u8; 70][..]).arg(&[7_u8; 110][..]);
                let done: BoxFuture<'_, Result<u64, ClientError>> = Box::pin(client.invoke(&call));
                done.await?;
            }
            Ok(())
        }
    })
    .await
}

/// Writes what a change writes, as commands of a transaction: record, event, journal, three bits,
/// two members of sorted sets, counters. Nothing is compared, so it is no change.
pub(super) async fn transaction_all(
    place: &Place,
    stock: &Stock,
    bytes: &Arc<[u8]>,
) -> Result<f64> {
    let prefix = place.prefix("{plain}");
    by_all(|task| {
        let (client, bytes) = (stock.client.clone(), Arc::clone(bytes));
        let prefix = prefix.clone();
        async move {
            let mut connection = client.connection(TRANSACTION, &prefix);
            for i in 0..EACH {
                let number = task * EACH + i;
                let writes = writes(&prefix, number, &bytes);
                writes.exec_async(&mut connection).await?;
            }
            Ok(())
        }
    })
    .await
}

fn writes(prefix: &str, number: usize, bytes: &[u8]) -> redis::Pipeline {
    let key = |name: &str| format!("{prefix}:{name}");
    let mut writes = redis::pipe();
    writes.atomic();
    writes.set(key(&format!("record:{number}")), bytes).ignore();
    let event = writes.cmd("XADD").arg(key("events")).arg("MAXLEN").arg("~");
    event
        .arg(100_000)
        .arg("*")
        .arg("e")
        .arg(&[7_u8; 70][..])
        .ignore();
    let journal = writes.cmd("SETRANGE").arg(key("journal"));
    journal.arg(28 * number).arg(&[7_u8; 28][..]).ignore();
    for bits in 0..3 {
        writes
            .setbit(key(&format!("bits:{bits}")), number, true)
            .ignore();
    }
    let member = [&number.to_be_bytes()[..], &[7; 20]].concat();
    writes.zrem(key("before"), &member).ignore();
    writes.zadd(key("after"), &member, number).ignore();
    writes.hincr(key("counters"), "events", 1).ignore();
    writes
}
