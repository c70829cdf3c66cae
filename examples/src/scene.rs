//! What every scenario starts from.

use std::sync::Arc;

use governance_core::{Directory, Governor, GovernorBuilder, Provider};

use crate::{
    Story,
    fixed::{CountingIds, VirtualClock},
};

/// What every scenario starts from: a store, a clock it can move, and somebody to tell the story
/// to.
#[derive(Debug)]
pub struct Scene {
    /// Prints what happens.
    pub story: Story,
    /// The clock of the store.
    pub clock: VirtualClock,
    store: Arc<dyn Provider>,
    ids: Arc<CountingIds>,
}

impl Scene {
    pub(crate) fn new(store: Arc<dyn Provider>, clock: VirtualClock) -> Self {
        Self {
            story: Story::default(),
            clock,
            store,
            ids: Arc::default(),
        }
    }

    /// Begins to put a governor together on the store of the scene, with ids that are the same in
    /// every run. What is left to say is what matters: mutations and policies.
    pub fn governor(&self, people: impl Directory + 'static) -> GovernorBuilder {
        Governor::builder(Arc::clone(&self.store))
            .directory(people)
            .ids(Arc::clone(&self.ids))
    }
}
