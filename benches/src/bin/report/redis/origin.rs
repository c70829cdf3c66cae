//! What the system this one follows does, with its keys and in its order of commands.

use std::{hint::black_box, time::Duration};

use anyhow::Result;
use governance_core::{MutationRequest, RequestId};
use redis_client::redis::{self, aio::MultiplexedConnection};

use super::{pairs::timed, place::Place, stock::Stock};

/// Its inbox: all ids there are, then all documents, then a filter.
pub(crate) struct Scan {
    connection: MultiplexedConnection,
    ids: String,
}

impl Scan {
    /// Documents of one answer. It asks for all of them at once, which takes the server longer.
    const AT_ONCE: usize = 10_000;

    /// Lists the requests of a store in a set, as it does. The documents are those of the store.
    pub(crate) async fn prepare(place: &Place, stock: &Stock, name: &str) -> Result<Self> {
        let mut connection = place.connection().await?;
        let ids = place.prefix(&format!("origin:{name}:requests:ids"));
        let total = stock.corpus.total() as u64;
        let mut number = 0;
        while number < total {
            let end = (number + Self::AT_ONCE as u64).min(total);
            let mut add = redis::cmd("SADD");
            add.arg(&ids);
            for number in number..end {
                add.arg(stock.key(stock.corpus.request(number)?.id()));
            }
            add.exec_async(&mut connection).await?;
            number = end;
        }
        Ok(Self { connection, ids })
    }

    /// Reads everything. Decoding and filtering it comes on top and is left out.
    pub(crate) async fn read(&mut self) -> Result<Duration> {
        let Self { connection, ids } = self;
        timed(async {
            let mut members = redis::cmd("SMEMBERS");
            let keys: Vec<Vec<u8>> = members.arg(&*ids).query_async(connection).await?;
            for keys in keys.chunks(Self::AT_ONCE) {
                let mut mget = redis::cmd("MGET");
                mget.arg(keys);
                let documents: Vec<Vec<u8>> = mget.query_async(connection).await?;
                black_box(documents);
            }
            Ok(())
        })
        .await
    }
}

/// Its conditional write: read and decode the document, which is JSON, watch the revision, replace
/// document and index entries in a transaction. Three round trips on a connection nobody else uses
/// meanwhile.
pub(crate) struct Watched {
    connection: MultiplexedConnection,
    base: String,
}

impl Watched {
    pub(crate) async fn connect(place: &Place) -> Result<Self> {
        Ok(Self {
            connection: place.connection().await?,
            base: place.prefix("origin:watched"),
        })
    }

    /// The index sets of a request that is pending, or has been approved.
    fn sets(&self, state: &str, is_pending: bool) -> Vec<String> {
        let base = &self.base;
        let mut sets = vec![
            format!("{base}:requests:ids"),
            format!("{base}:states:{state}:requests"),
        ];
        sets.extend(if is_pending {
            vec![
                format!("{base}:status:Pending:requests"),
                format!("{base}:pending:requests"),
                format!("{base}:pending:Approval:requests"),
            ]
        } else {
            vec![format!("{base}:status:Approved:requests")]
        });
        sets
    }

    fn keys(&self, id: &RequestId) -> (String, String) {
        let base = &self.base;
        (
            format!("{base}:requests:{id}:data"),
            format!("{base}:requests:{id}:revision"),
        )
    }

    pub(crate) async fn create(&mut self, request: &MutationRequest) -> Result<()> {
        let document = serde_json::to_vec(request)?;
        let (data, revision) = self.keys(request.id());
        let id = request.id().to_string();
        let mut create = redis::pipe();
        create
            .set(data, document)
            .ignore()
            .set(revision, 1)
            .ignore();
        for set in self.sets(request.proposal().scope().state_id.as_str(), true) {
            create.sadd(set, &id).ignore();
        }
        Ok(create.exec_async(&mut self.connection).await?)
    }

    /// Approves a request that is pending.
    pub(crate) async fn update(&mut self, request: &MutationRequest) -> Result<()> {
        let (data, revision) = self.keys(request.id());
        let id = request.id().to_string();
        let state = request.proposal().scope().state_id.as_str();
        let stored: Vec<u8> = redis::cmd("GET")
            .arg(&data)
            .query_async(&mut self.connection)
            .await?;
        black_box(serde_json::from_slice::<MutationRequest>(&stored)?);
        let document = serde_json::to_vec(request)?;
        let (stored,): (u64,) = redis::pipe()
            .cmd("WATCH")
            .arg(&revision)
            .ignore()
            .get(&revision)
            .query_async(&mut self.connection)
            .await?;
        let mut write = redis::pipe();
        write.atomic();
        write.set(&data, document).ignore();
        write.set(&revision, stored + 1).ignore();
        for set in self.sets(state, true) {
            write.srem(set, &id).ignore();
        }
        for set in self.sets(state, false) {
            write.sadd(set, &id).ignore();
        }
        let applied: Option<()> = write.query_async(&mut self.connection).await?;
        anyhow::ensure!(applied.is_some(), "nobody else writes here");
        Ok(())
    }
}
