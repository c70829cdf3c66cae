//! Everything on a server, to be put back after something was done to it.

use std::collections::BTreeMap;

use redis_client::redis::{self, aio::MultiplexedConnection};

/// Every key with what is in it.
pub type Snapshot = BTreeMap<Vec<u8>, Vec<u8>>;

pub async fn snapshot(admin: &mut MultiplexedConnection) -> Snapshot {
    let mut all = redis::cmd("KEYS");
    all.arg("*");
    let keys: Vec<Vec<u8>> = all.query_async(admin).await.expect("keys");
    let mut dump = redis::pipe();
    for key in &keys {
        dump.cmd("DUMP").arg(key);
    }
    let dumps: Vec<Vec<u8>> = dump.query_async(admin).await.expect("dumps");
    keys.into_iter().zip(dumps).collect()
}

pub async fn put_back(admin: &mut MultiplexedConnection, snapshot: &Snapshot) {
    let mut restore = redis::pipe();
    restore.cmd("FLUSHALL");
    for (key, dump) in snapshot {
        restore.cmd("RESTORE").arg(key).arg(0).arg(dump);
    }
    restore.exec_async(admin).await.expect("restored");
}
