//! What a cache in this process holds.

use std::{hash::Hash, time::Duration};

use bytes::Bytes;
use hashbrown::Equivalent;
use state_core::{
    Namespace, Timestamp,
    cache::{BoundedMap, Epoch, Epochs, LeaseToken, Space, Tag},
};

/// Something that ends.
#[derive(Debug)]
struct Ending<T> {
    what: T,
    at: Timestamp,
}

/// A key of a cache.
type Place = (Space, Box<str>);

/// The same, to look it up. Hashes as what it stands for.
#[derive(Hash)]
struct At<'a>(&'a Space, &'a str);

impl Equivalent<Place> for At<'_> {
    fn equivalent(&self, (space, key): &Place) -> bool {
        self.0 == space && self.1 == &**key
    }
}

/// What has an epoch: a namespace, or a tag in it.
type Dated = (Namespace, Option<Tag>);

/// The same, to look it up.
#[derive(Hash)]
struct Of<'a>(&'a Namespace, Option<&'a Tag>);

impl Equivalent<Dated> for Of<'_> {
    fn equivalent(&self, (namespace, tag): &Dated) -> bool {
        self.0 == namespace && self.1 == tag.as_ref()
    }
}

impl Of<'_> {
    fn to_owned(&self) -> Dated {
        (self.0.clone(), self.1.cloned())
    }
}

#[derive(Debug)]
pub(super) struct Shelf {
    now: Timestamp,
    values: BoundedMap<Place, Ending<Bytes>>,
    leases: BoundedMap<Place, Ending<LeaseToken>>,
    /// Losing one is harmless: what depends on it is a miss then.
    epochs: BoundedMap<Dated, Ending<Epoch>>,
    sweep_at: Timestamp,
}

/// How often what has ended is removed.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// The lifetime a server would give: whole milliseconds, at least one.
pub(super) fn whole_millis(life: Duration) -> Duration {
    let millis = life.as_micros().div_ceil(1_000).max(1);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

fn place(space: &Space, key: &str) -> Place {
    (space.clone(), key.into())
}

fn live<K: Eq + Hash, T: Clone>(
    map: &mut BoundedMap<K, Ending<T>>,
    key: &(impl Hash + Equivalent<K>),
    now: Timestamp,
) -> Option<T> {
    let there = map.get(key)?;
    (now < there.at).then(|| there.what.clone())
}

impl Shelf {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            now: Timestamp::default(),
            values: BoundedMap::new(capacity),
            leases: BoundedMap::new(capacity),
            epochs: BoundedMap::new(capacity),
            sweep_at: Timestamp::default(),
        }
    }

    /// The time of the step.
    pub(super) const fn now(&self) -> Timestamp {
        self.now
    }

    /// Begins a step at a time, and removes what ended now and then.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.now = now;
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = now.saturating_add(SWEEP_EVERY);
        self.values.retain(|_, there| now < there.at);
        self.leases.retain(|_, there| now < there.at);
        self.epochs.retain(|_, there| now < there.at);
    }

    pub(super) fn count(&mut self, now: Timestamp) -> usize {
        self.sweep_at = now;
        self.sweep(now);
        self.values.len() + self.leases.len() + self.epochs.len()
    }

    pub(super) fn value(&mut self, space: &Space, key: &str) -> Option<Bytes> {
        live(&mut self.values, &At(space, key), self.now)
    }

    pub(super) fn put_value(&mut self, space: &Space, key: &str, what: Bytes, life: Duration) {
        let at = self.now.saturating_add(life);
        self.values.insert(place(space, key), Ending { what, at });
    }

    pub(super) fn drop_value(&mut self, space: &Space, key: &str) -> bool {
        let removed = self.values.remove(&At(space, key));
        removed.is_some_and(|there| self.now < there.at)
    }

    pub(super) fn shorten_value(&mut self, space: &Space, key: &str, life: Duration) {
        let at = self.now.saturating_add(life);
        if let Some(there) = self.values.peek_mut(&At(space, key)) {
            there.at = there.at.min(at);
        }
    }

    pub(super) fn lease(&mut self, space: &Space, key: &str) -> Option<LeaseToken> {
        live(&mut self.leases, &At(space, key), self.now)
    }

    pub(super) fn put_lease(&mut self, space: &Space, key: &str, what: LeaseToken, life: Duration) {
        let at = self.now.saturating_add(whole_millis(life));
        self.leases.insert(place(space, key), Ending { what, at });
    }

    pub(super) fn drop_lease(&mut self, space: &Space, key: &str) {
        self.leases.remove(&At(space, key));
    }

    pub(super) fn epoch(&mut self, space: &Space, tag: Option<&Tag>) -> Option<Epoch> {
        let key = Of(space.namespace(), tag);
        live(&mut self.epochs, &key, self.now)
    }

    /// The epochs of the namespace and of tags, made where there are none, for at least so long.
    pub(super) fn need_epochs(&mut self, space: &Space, tags: &[Tag], life: Duration) -> Epochs {
        let namespace = self.need_epoch(space, None, life);
        let tags = tags
            .iter()
            .map(|tag| self.need_epoch(space, Some(tag), life))
            .collect();
        Epochs { namespace, tags }
    }

    fn need_epoch(&mut self, space: &Space, tag: Option<&Tag>, life: Duration) -> Epoch {
        let key = Of(space.namespace(), tag);
        let until = self.now.saturating_add(whole_millis(life));
        let now = self.now;
        if let Some(there) = self.epochs.peek_mut(&key).filter(|there| now < there.at) {
            there.at = there.at.max(until);
            return there.what;
        }
        let what = Epoch::new(now.as_micros());
        self.epochs
            .insert(key.to_owned(), Ending { what, at: until });
        what
    }

    /// An epoch that is not there needs no move: nothing depends on it.
    pub(super) fn move_epoch(&mut self, space: &Space, tag: Option<&Tag>) {
        let key = Of(space.namespace(), tag);
        let now = self.now;
        if let Some(there) = self.epochs.peek_mut(&key).filter(|there| now < there.at) {
            there.what = there.what.next(now);
        }
    }

    pub(super) fn shorten_epoch(&mut self, space: &Space, tag: Option<&Tag>, life: Duration) {
        let key = Of(space.namespace(), tag);
        let at = self.now.saturating_add(whole_millis(life));
        if let Some(there) = self.epochs.peek_mut(&key) {
            there.at = there.at.min(at);
        }
    }

    pub(super) fn lose_epochs(&mut self) {
        self.epochs.clear();
    }
}
