//! Several keys at once.

use bytes::Bytes;

use super::{
    Cache,
    inner::Inner,
    read::{hit, judged},
};
use crate::cache::{
    CacheError, Deleted, Envelope, Freshness, Lookup, MAX_BATCH, SetOptions, Tag, Tags,
};

impl Cache {
    /// Looks keys up; the answers are in their order. The backend is asked, whatever this process
    /// keeps itself.
    ///
    /// # Errors
    ///
    /// When a key is too long or the backend fails.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    ///
    /// # Round trips
    ///
    /// One per 48 keys, and one more for those of them with tags that were not named.
    pub async fn get_many(&self, keys: &[&str], tags: &Tags) -> Result<Vec<Lookup>, CacheError> {
        let started = self.inner.started();
        let result = self.inner.get_many(keys, tags).await;
        self.inner.tell("get_many", started, &result, |found| {
            if found.iter().any(Lookup::is_miss) {
                "partial"
            } else {
                "complete"
            }
        });
        result
    }

    /// Stores values with the same options.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set). Nothing is sent when a key or value is refused; some of the values
    /// may be stored when the backend fails.
    ///
    /// # Cancel safety
    ///
    /// Some may have been stored.
    ///
    /// # Round trips
    ///
    /// One per 48 values, and one to tell the others where values are kept in processes.
    pub async fn set_many(
        &self,
        items: &[(&str, Bytes)],
        options: &SetOptions,
    ) -> Result<(), CacheError> {
        let started = self.inner.started();
        let result = self.set_batches(items, options).await;
        self.inner.tell("set_many", started, &result, |()| "stored");
        result
    }

    async fn set_batches(
        &self,
        items: &[(&str, Bytes)],
        options: &SetOptions,
    ) -> Result<(), CacheError> {
        for (key, value) in items {
            Inner::check_key(key)?;
            self.inner.check_value(value)?;
        }
        for batch in items.chunks(MAX_BATCH) {
            let batch: Vec<(&str, Option<Bytes>)> = batch
                .iter()
                .map(|(key, value)| (*key, Some(value.clone())))
                .collect();
            self.inner.set(&batch, options).await?;
        }
        Ok(())
    }

    /// Removes values; the answers are in the order of the keys.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete). Some may be removed when it fails.
    ///
    /// # Cancel safety
    ///
    /// Some may have been removed.
    ///
    /// # Round trips
    ///
    /// One per 48 keys, and one to tell the others where values are kept in processes.
    pub async fn delete_many(&self, keys: &[&str]) -> Result<Vec<Deleted>, CacheError> {
        let started = self.inner.started();
        let result = self.delete_batches(keys).await;
        self.inner.tell("delete_many", started, &result, |_| "done");
        result
    }

    async fn delete_batches(&self, keys: &[&str]) -> Result<Vec<Deleted>, CacheError> {
        let mut all = Vec::with_capacity(keys.len());
        for key in keys {
            Inner::check_key(key)?;
        }
        for batch in keys.chunks(MAX_BATCH) {
            all.extend(self.inner.delete(batch).await?);
        }
        Ok(all)
    }
}

impl Inner {
    async fn get_many(&self, keys: &[&str], tags: &Tags) -> Result<Vec<Lookup>, CacheError> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            Self::check_key(key)?;
        }
        for batch in keys.chunks(MAX_BATCH) {
            let mut read = self.store.read(&self.space, batch, tags.as_slice()).await?;
            let values = std::mem::take(&mut read.values);
            let opened: Vec<Option<Envelope>> = values
                .into_iter()
                .map(|raw| raw.and_then(|raw| self.open(raw)))
                .collect();
            let mut others: Vec<Tag> = opened
                .iter()
                .flatten()
                .flat_map(Envelope::tags)
                .map(|(tag, _)| tag)
                .filter(|tag| !tags.as_slice().contains(tag))
                .cloned()
                .collect();
            others.sort_unstable();
            others.dedup();
            let mut epochs = Vec::with_capacity(others.len());
            for some in others.chunks(MAX_BATCH) {
                epochs.extend(self.epochs_of(some.to_vec()).await?);
            }
            found.extend(opened.into_iter().map(|envelope| {
                let Some(envelope) = envelope else {
                    return Lookup::Miss;
                };
                let freshness = judged(&envelope, &read, tags, &epochs);
                match freshness {
                    Freshness::Fresh if envelope.is_negative() => Lookup::Negative,
                    Freshness::Stale if envelope.is_negative() => Lookup::Miss,
                    Freshness::Invalid => Lookup::Miss,
                    Freshness::Fresh => Lookup::Hit(hit(envelope, read.now, false)),
                    Freshness::Stale => Lookup::Hit(hit(envelope, read.now, true)),
                }
            }));
        }
        Ok(found)
    }
}
