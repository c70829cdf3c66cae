//! A filled store, and how much room it takes.

use std::sync::Arc;

use anyhow::Result;
use benches::Corpus;
use governance_core::{MutationRequest, RequestStore as _};
use governance_memory::MemoryStore;
use tokio::runtime::Runtime;

use crate::outcome::Outcome;

/// A store with a corpus in it.
pub(crate) struct Stock {
    pub(crate) store: MemoryStore,
    pub(crate) requests: Vec<Arc<MutationRequest>>,
    documents: i64,
    beyond: i64,
}

impl Stock {
    pub(crate) fn fill(runtime: &Runtime, pending: usize) -> Result<Self> {
        let corpus = Corpus::new(pending)?;
        let mut made: Result<Vec<Arc<MutationRequest>>> = Ok(Vec::new());
        // The list of requests is not counted as documents: every element is one pointer.
        let room = Vec::with_capacity(corpus.total());
        let documents = allocation_counter::measure(|| {
            made = corpus.requests().try_fold(room, |mut requests, request| {
                requests.push(request?);
                Ok(requests)
            });
        });
        let requests = made?;
        let store = MemoryStore::new();
        let mut stored = Ok(());
        let beyond = allocation_counter::measure(|| {
            stored = runtime.block_on(async {
                for request in &requests {
                    store.create(Arc::clone(request)).await?;
                }
                anyhow::Ok(())
            });
        });
        stored?;
        Ok(Self {
            store,
            requests,
            documents: documents.bytes_current,
            beyond: beyond.bytes_current,
        })
    }

    /// Reports the room requests take.
    pub(crate) fn report(&self, outcome: &mut Outcome) {
        let each = |bytes: i64| bytes as f64 / self.requests.len() as f64;
        outcome.add(
            "memory.bytes_per_request_beyond_document",
            each(self.beyond),
            None,
            format!(
                "indexes, maps and feed; a document takes {:.0} bytes",
                each(self.documents)
            ),
        );
    }
}
