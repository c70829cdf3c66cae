//! Looking keys up.

use std::time::Duration;

use super::{inner::Inner, load::Need};
use crate::{
    cache::{
        CacheError, Envelope, Epoch, Freshness, Hit, LoadOptions, Loaded, Lookup, OnError, Read,
        Source, Tag, Tags, is_early, judge,
        local::{Kept, Ticket},
        mark::Mark,
    },
    clock::Timestamp,
};

/// What a look found, for one who can load.
pub(super) enum Looked {
    Use(Loaded),
    Early(Loaded, Need),
    Load(Need),
}

/// What the backend has under a key.
pub(super) struct Seen {
    pub(super) found: Option<(Freshness, Envelope)>,
    /// Tells it from the next value, readable or not.
    pub(super) mark: Mark,
    pub(super) now: Timestamp,
}

impl Seen {
    fn lookup(self) -> Lookup {
        let Some((freshness, envelope)) = self.found else {
            return Lookup::Miss;
        };
        match (freshness, envelope.is_negative()) {
            (Freshness::Fresh, true) => Lookup::Negative,
            (Freshness::Fresh, false) => Lookup::Hit(hit(envelope, self.now, false)),
            (Freshness::Stale, false) => Lookup::Hit(hit(envelope, self.now, true)),
            (Freshness::Stale, true) | (Freshness::Invalid, _) => Lookup::Miss,
        }
    }
}

pub(super) fn hit(envelope: Envelope, now: Timestamp, stale: bool) -> Hit {
    Hit {
        codec: envelope.codec(),
        age: now.saturating_since(envelope.times().stored_at),
        value: envelope.into_payload(),
        stale,
    }
}

pub(super) fn loaded(envelope: &Envelope, source: Source) -> Loaded {
    let value = (!envelope.is_negative()).then(|| envelope.payload().clone());
    Loaded {
        value,
        codec: envelope.codec(),
        source,
    }
}

impl Kept {
    fn loaded(self, source: Source) -> Loaded {
        Loaded {
            value: self.value,
            codec: self.codec,
            source,
        }
    }

    fn lookup(self, now: Timestamp) -> Lookup {
        let Some(value) = self.value else {
            return Lookup::Negative;
        };
        Lookup::Hit(Hit {
            value,
            codec: self.codec,
            age: now.saturating_since(self.stored_at),
            stale: now >= self.fresh_until,
        })
    }
}

impl Inner {
    pub(super) async fn get(&self, key: &str, tags: &Tags) -> Result<Lookup, CacheError> {
        Self::check_key(key)?;
        if let Some(kept) = self.kept(key) {
            return Ok(kept.lookup(self.clock.now()));
        }
        match self.look(key, tags).await {
            Ok(seen) => Ok(seen.lookup()),
            Err(error) => match self.last_resort(key) {
                Some(kept) => {
                    self.observe("read", error_code(&error), None);
                    Ok(kept.lookup(self.clock.now()))
                }
                None => Err(error),
            },
        }
    }

    pub(super) async fn look_or_load(
        &self,
        key: &str,
        options: &LoadOptions,
    ) -> Result<Looked, CacheError> {
        Self::check_key(key)?;
        options.checked_ttl(self.options.default_ttl)?;
        if let Some(kept) = self.kept(key) {
            let early = self.is_early(self.clock.now(), kept.fresh_until, kept.cost);
            let need = Need::after(kept.mark);
            let loaded = kept.loaded(Source::Hit);
            return Ok(self.use_or_refresh(key, early, loaded, need));
        }
        let seen = match self.look(key, &options.tags).await {
            Ok(seen) => seen,
            Err(error) if self.options.on_error == OnError::Error => return Err(error),
            Err(error) => {
                self.observe("read", error_code(&error), None);
                return Ok(match self.last_resort(key) {
                    Some(kept) => Looked::Use(kept.loaded(Source::Stale)),
                    None => Looked::Load(Need::unreachable()),
                });
            }
        };
        let Some((freshness, envelope)) = seen.found else {
            return Ok(Looked::Load(Need::after(seen.mark)));
        };
        let need = Need::after(seen.mark);
        Ok(match freshness {
            Freshness::Fresh => {
                let times = envelope.times();
                let early = self.is_early(seen.now, times.fresh_until, envelope.cost());
                self.use_or_refresh(key, early, loaded(&envelope, Source::Hit), need)
            }
            Freshness::Stale if !envelope.is_negative() => {
                Looked::Load(need.or(loaded(&envelope, Source::Stale)))
            }
            Freshness::Stale | Freshness::Invalid => Looked::Load(need),
        })
    }

    fn use_or_refresh(&self, key: &str, early: bool, loaded: Loaded, need: Need) -> Looked {
        if early && !self.is_cooling(key) {
            Looked::Early(loaded.clone(), need.or(loaded))
        } else {
            Looked::Use(loaded)
        }
    }

    fn is_early(&self, now: Timestamp, fresh_until: Timestamp, cost: Duration) -> bool {
        is_early(
            now,
            fresh_until,
            cost,
            self.options.beta,
            self.chance.unit(),
        )
    }

    /// What this process kept, whatever its age, for one who asked for that.
    fn last_resort(&self, key: &str) -> Option<Kept> {
        if self.options.on_error != OnError::Stale {
            return None;
        }
        self.local.as_ref()?.find(key)
    }

    /// Reads a key and judges what is there.
    pub(super) async fn look(&self, key: &str, tags: &Tags) -> Result<Seen, CacheError> {
        let ticket = self
            .usable_local()
            .map(|local| (local.ticket(key), self.clock.now()));
        let mut read = self
            .store
            .read(&self.space, &[key], tags.as_slice())
            .await?;
        let raw = read.values.pop().flatten();
        let mark = raw.as_deref().map_or(Mark::NONE, Mark::of);
        let Some(envelope) = raw.and_then(|raw| self.open(raw)) else {
            return Ok(Seen {
                found: None,
                mark,
                now: read.now,
            });
        };
        let others = self.other_epochs(&envelope, tags).await?;
        let freshness = judged(&envelope, &read, tags, &others);
        if freshness == Freshness::Fresh
            && let Some((ticket, before)) = ticket
        {
            self.keep(key, ticket, &envelope, mark, before, read.now);
        }
        Ok(Seen {
            found: Some((freshness, envelope)),
            mark,
            now: read.now,
        })
    }

    pub(super) fn open(&self, raw: bytes::Bytes) -> Option<Envelope> {
        let opened = Envelope::open(raw).ok();
        if opened.is_none() {
            self.observe("decode", "undecodable", None);
        }
        opened
    }

    /// The epochs of tags that the caller did not name. Tags that are current later were so when
    /// the value was read: no epoch comes back.
    async fn other_epochs(
        &self,
        envelope: &Envelope,
        named: &Tags,
    ) -> Result<Vec<(Tag, Option<Epoch>)>, CacheError> {
        let unnamed = envelope.tags().iter().map(|(tag, _)| tag);
        let unnamed = unnamed.filter(|tag| !named.as_slice().contains(tag));
        let others: Vec<Tag> = unnamed.cloned().collect();
        self.epochs_of(others).await
    }

    pub(super) async fn epochs_of(
        &self,
        tags: Vec<Tag>,
    ) -> Result<Vec<(Tag, Option<Epoch>)>, CacheError> {
        if tags.is_empty() {
            return Ok(Vec::new());
        }
        let read = self.store.read(&self.space, &[], &tags).await?;
        Ok(tags.into_iter().zip(read.tags).collect())
    }

    /// Keeps what was read, for no longer than it has left.
    fn keep(
        &self,
        key: &str,
        ticket: Ticket,
        envelope: &Envelope,
        mark: Mark,
        before: Timestamp,
        now: Timestamp,
    ) {
        let Some(local) = self.usable_local() else {
            return;
        };
        let times = envelope.times();
        // Counted from before the read, so that it ends here no later than there.
        let fresh_until = before.saturating_add(times.fresh_until.saturating_since(now));
        let kept = Kept {
            value: (!envelope.is_negative()).then(|| envelope.payload().clone()),
            codec: envelope.codec(),
            cost: envelope.cost(),
            stored_at: before.saturating_sub(now.saturating_since(times.stored_at)),
            fresh_until,
            keep_until: fresh_until.min(before.saturating_add(self.options.local_life())),
            mark,
            tags: envelope.tags().iter().map(|(tag, _)| tag.clone()).collect(),
        };
        local.keep(key, ticket, kept);
    }
}

/// Judges a value by the epochs that were read with it and those that were read for it.
pub(super) fn judged(
    envelope: &Envelope,
    read: &Read,
    named: &Tags,
    others: &[(Tag, Option<Epoch>)],
) -> Freshness {
    let epoch = |index: usize| {
        let (tag, _) = envelope.tags().get(index)?;
        match named.as_slice().iter().position(|named| named == tag) {
            Some(at) => read.tags.get(at).copied().flatten(),
            None => others.iter().find(|(other, _)| other == tag)?.1,
        }
    };
    judge(envelope, read.namespace, epoch, read.now)
}

fn error_code(error: &CacheError) -> &'static str {
    use crate::error::Classified as _;
    error.code()
}
