//! Who waits for a release hears it.

use std::{collections::HashMap, sync::Arc};

use parking_lot::Mutex;
use state_core::lock::{Mode, Realm, Target};
use tokio::sync::Notify;

/// One bell for everything of a scope that is locked in the same manner.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Name(Realm, Manner, String);

/// Modes that know of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Manner {
    Exclusive,
    ReadWrite,
    Semaphore,
}

impl Manner {
    pub(super) const fn of(mode: Mode) -> Self {
        match mode {
            Mode::Exclusive => Self::Exclusive,
            Mode::Read | Mode::Write => Self::ReadWrite,
            Mode::Permit { .. } => Self::Semaphore,
        }
    }
}

/// The bells of targets that somebody waits for.
#[derive(Debug, Default)]
pub(super) struct Bells(Mutex<HashMap<Name, Arc<Notify>>>);

/// As many bells as this are swept for those nobody listens to.
const SWEEP: usize = 1_024;

impl Bells {
    pub(super) fn put_up(&self, target: &Target) {
        self.bell(target);
    }

    /// A ring that nobody hears now is heard by the next one to listen.
    pub(super) fn ring(&self, target: &Target) {
        if let Some(bell) = self.0.lock().get(&name(target)) {
            bell.notify_one();
        }
    }

    pub(super) async fn heard(&self, target: &Target) {
        let bell = self.bell(target);
        bell.notified().await;
    }

    fn bell(&self, target: &Target) -> Arc<Notify> {
        let mut bells = self.0.lock();
        if bells.len() >= SWEEP && bells.len().is_power_of_two() {
            bells.retain(|_, bell| Arc::strong_count(bell) > 1);
        }
        Arc::clone(bells.entry(name(target)).or_default())
    }
}

fn name(target: &Target) -> Name {
    let scope = target.scope().to_owned();
    Name(target.realm(), Manner::of(target.mode()), scope)
}
