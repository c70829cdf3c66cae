//! What an example needs of its provider.

use std::sync::Arc;

use governance_core::{Clock, RequestQuery};

/// What an example needs of its provider: by default a store nobody has used yet, with the limits
/// and the clock it comes with.
#[derive(Debug)]
#[must_use]
pub struct Needs {
    pub(super) name: &'static str,
    pub(super) clock: Option<Arc<dyn Clock>>,
    pub(super) document_limit: Option<usize>,
    pub(super) empty: Option<Empty>,
}

/// What must not be there yet, in words, and what to do about it.
#[derive(Debug, Clone)]
pub(super) struct Empty {
    pub(super) query: RequestQuery,
    pub(super) what: String,
    pub(super) remedy: String,
}

impl Needs {
    /// What the example of this name needs.
    pub fn of(name: &'static str) -> Self {
        let empty = Empty {
            query: RequestQuery::all_tenants(),
            what: "requests".to_owned(),
            remedy: "name another --key-prefix, or leave it out for a new one".to_owned(),
        };
        Self {
            name,
            clock: None,
            document_limit: None,
            empty: Some(empty),
        }
    }

    /// A clock of its own instead of the one of the provider, because the story moves time.
    pub fn clock(mut self, clock: impl Clock + 'static) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Room for requests and states of so many bytes, where the provider asks how much there is to
    /// be.
    pub const fn document_limit(mut self, bytes: usize) -> Self {
        self.document_limit = Some(bytes);
        self
    }

    /// No more than that these requests are not there yet. `what` they are and how to get around
    /// them is for whoever runs the example.
    pub fn without(
        mut self,
        query: RequestQuery,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        self.empty = Some(Empty {
            query,
            what: what.into(),
            remedy: remedy.into(),
        });
        self
    }

    /// Whatever is there may be there: the example goes on with it.
    pub fn with_what_is_there(mut self) -> Self {
        self.empty = None;
        self
    }
}
