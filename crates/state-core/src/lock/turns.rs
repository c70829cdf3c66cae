//! Waiters of one process take turns, so that one of them at a time asks the backend.

use std::{
    collections::HashMap,
    sync::{Arc, Weak},
};

use parking_lot::Mutex;
use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::lock::Target;

/// Who waits for what in this process, first come first served.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Target, Weak<Turn<()>>>>);

/// As many entries as this are swept for those nobody uses.
const SWEEP: usize = 256;

impl Turns {
    /// Waits for the caller's turn.
    pub(super) async fn next(&self, target: &Target) -> OwnedMutexGuard<()> {
        self.turn(target).lock_owned().await
    }

    fn turn(&self, target: &Target) -> Arc<Turn<()>> {
        let mut turns = self.0.lock();
        if let Some(turn) = turns.get(target).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= SWEEP && turns.len().is_power_of_two() {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::default();
        turns.insert(target.clone(), Arc::downgrade(&turn));
        turn
    }
}
