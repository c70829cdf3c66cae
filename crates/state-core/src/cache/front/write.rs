//! Storing, deleting, invalidating.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Cache, inner::Inner, retry::Pauses};
use crate::{
    cache::{CacheError, Consistency, Deleted, Draft, Invalidated, Invalidation, SetOptions, Tags},
    error::{BackendError, Classified},
};

/// An invalidation, and how far it got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) what: Invalidation,
    /// Whether the backend knows.
    pub(super) stored: bool,
}

/// Why an attempt failed.
pub(super) type AttemptError = Arc<dyn Classified + Send + Sync>;

/// How an invalidation went.
#[derive(Debug)]
pub(super) enum Enforced {
    /// What was there under each key, where that is known.
    Done(Option<Vec<bool>>),
    Queued,
    Shortened,
}

/// Attempts after the first.
const RETRIES: u32 = 3;
/// No attempt begins later than this after the first.
const LONGEST: Duration = Duration::from_secs(10);

impl Cache {
    /// Stores a value, whatever was there.
    ///
    /// # Errors
    ///
    /// When the key, the value or the time to live is refused, or the backend fails. When the
    /// others could not be told, as [`Consistency`] says; the value is stored then.
    ///
    /// # Cancel safety
    ///
    /// The value may have been stored, and the others may not have been told.
    ///
    /// # Round trips
    ///
    /// One, and one to tell the others where values are kept in processes.
    pub async fn set(
        &self,
        key: &str,
        value: Bytes,
        options: &SetOptions,
    ) -> Result<(), CacheError> {
        let started = self.inner.started();
        let result = self.inner.set(&[(key, Some(value))], options).await;
        self.inner.tell("set", started, &result, |()| "stored");
        result
    }

    /// Stores that there is no value, for the
    /// [`negative_ttl`](crate::cache::CacheOptions::negative_ttl) unless the options say how long.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    ///
    /// # Cancel safety
    ///
    /// As [`set`](Self::set).
    ///
    /// # Round trips
    ///
    /// As [`set`](Self::set).
    pub async fn set_negative(&self, key: &str, options: &SetOptions) -> Result<(), CacheError> {
        let started = self.inner.started();
        let result = self.inner.set(&[(key, None)], options).await;
        self.inner.tell("set", started, &result, |()| "negative");
        result
    }

    /// Removes a value. A load that is under way will not store what it loaded.
    ///
    /// # Errors
    ///
    /// When the key is too long, or the backend or the others cannot be told, as [`Consistency`]
    /// says.
    ///
    /// # Cancel safety
    ///
    /// The value may have been removed, and the others may not have been told.
    ///
    /// # Round trips
    ///
    /// As [`set`](Self::set).
    pub async fn delete(&self, key: &str) -> Result<Deleted, CacheError> {
        let started = self.inner.started();
        let result = self.inner.delete(&[key]).await;
        let result = result.map(|mut deleted| deleted.pop().unwrap_or(Deleted::Absent));
        self.inner
            .tell("delete", started, &result, |deleted| deleted.outcome());
        result
    }

    /// Ends every value that has one of the tags. It costs the same however many there are.
    ///
    /// # Errors
    ///
    /// When the backend or the others cannot be told, as [`Consistency`] says.
    ///
    /// # Cancel safety
    ///
    /// It may have been done, and the others may not have been told.
    ///
    /// # Round trips
    ///
    /// As [`set`](Self::set).
    pub async fn invalidate_tags(&self, tags: &Tags) -> Result<Invalidated, CacheError> {
        let started = self.inner.started();
        let what = Invalidation::Tags(tags.clone());
        let result = self.inner.invalidate(what).await;
        self.inner
            .tell("invalidate_tags", started, &result, |done| done.outcome());
        result
    }

    /// Ends every value of the namespace, of every version.
    ///
    /// # Errors
    ///
    /// When the backend or the others cannot be told, as [`Consistency`] says.
    ///
    /// # Cancel safety
    ///
    /// It may have been done, and the others may not have been told.
    ///
    /// # Round trips
    ///
    /// As [`set`](Self::set).
    pub async fn invalidate_namespace(&self) -> Result<Invalidated, CacheError> {
        let started = self.inner.started();
        let result = self.inner.invalidate(Invalidation::Namespace).await;
        self.inner
            .tell("invalidate_namespace", started, &result, |done| {
                done.outcome()
            });
        result
    }

    /// How many invalidations wait to be made again.
    #[must_use]
    pub fn queued_invalidations(&self) -> usize {
        self.inner.queued()
    }
}

impl Inner {
    /// Stores one batch of values.
    pub(super) async fn set(
        self: &Arc<Self>,
        items: &[(&str, Option<Bytes>)],
        options: &SetOptions,
    ) -> Result<(), CacheError> {
        let is_negative = items.iter().any(|(_, value)| value.is_none());
        let (default, stale) = if is_negative {
            (self.options.negative_ttl, Duration::ZERO)
        } else {
            (self.options.default_ttl, self.options.stale_window)
        };
        let lives = self.lives(options.checked_ttl(default)?, stale);
        let mut drafts = Vec::with_capacity(items.len());
        for (key, value) in items {
            Self::check_key(key)?;
            if let Some(value) = value {
                self.check_value(value)?;
            }
            let tags = options.tags.as_slice();
            let draft = Draft::new(value.as_ref(), tags, options.codec, Duration::ZERO);
            drafts.push((*key, draft));
        }
        let drafts: Vec<(&str, &Draft)> = drafts.iter().map(|(key, draft)| (*key, draft)).collect();
        let tags = options.tags.as_slice();
        let stored = self.store.set(&self.space, &drafts, tags, lives).await;
        // Even if it failed: it may have been done.
        let what = Invalidation::Keys(items.iter().map(|(key, _)| (*key).into()).collect());
        self.end_here(&what);
        stored?;
        self.enforce(Task { what, stored: true }).await?;
        Ok(())
    }

    /// Deletes one batch of keys.
    pub(super) async fn delete(
        self: &Arc<Self>,
        keys: &[&str],
    ) -> Result<Vec<Deleted>, CacheError> {
        for key in keys {
            Self::check_key(key)?;
        }
        let what = Invalidation::Keys(keys.iter().map(|key| (*key).into()).collect());
        let all = |deleted| keys.iter().map(|_| deleted).collect();
        Ok(
            match self
                .enforce(Task {
                    what,
                    stored: false,
                })
                .await?
            {
                Enforced::Done(Some(removed)) => removed
                    .into_iter()
                    .map(|removed| {
                        if removed {
                            Deleted::Removed
                        } else {
                            Deleted::Absent
                        }
                    })
                    .collect(),
                Enforced::Done(None) => all(Deleted::Gone),
                Enforced::Queued => all(Deleted::Queued),
                Enforced::Shortened => all(Deleted::Shortened),
            },
        )
    }

    async fn invalidate(self: &Arc<Self>, what: Invalidation) -> Result<Invalidated, CacheError> {
        if matches!(&what, Invalidation::Tags(tags) if tags.is_empty()) {
            return Ok(Invalidated::Done);
        }
        Ok(
            match self
                .enforce(Task {
                    what,
                    stored: false,
                })
                .await?
            {
                Enforced::Done(_) => Invalidated::Done,
                Enforced::Queued => Invalidated::Queued,
                Enforced::Shortened => Invalidated::Shortened,
            },
        )
    }

    /// Makes an invalidation true, as the options say.
    async fn enforce(self: &Arc<Self>, mut task: Task) -> Result<Enforced, CacheError> {
        let mut pauses = Pauses::new();
        let give_up = self.clock.now().saturating_add(LONGEST);
        let (mut attempts, mut answer_lost) = (0, false);
        let error = loop {
            attempts += 1;
            let error = match self.attempt(&mut task).await {
                Ok(removed) => return Ok(Enforced::Done(removed.filter(|_| !answer_lost))),
                Err(error) => error,
            };
            self.observe("invalidate", error.code(), None);
            answer_lost |= error.outcome_unknown();
            if error.is_retryable() && self.options.consistency == Consistency::Eventual {
                self.queue(task)?;
                return Ok(Enforced::Queued);
            }
            let next = self.clock.now().saturating_add(pauses.next());
            if !error.is_retryable() || attempts > RETRIES || next > give_up {
                break error;
            }
            self.clock.sleep_until(next).await;
        };
        if self.options.consistency == Consistency::ShortTtl {
            match self.shorten(&task).await {
                Ok(()) => return Ok(Enforced::Shortened),
                Err(error) => self.observe("shorten", error.code(), None),
            }
        }
        Err(CacheError::Invalidation {
            cache: self.space.namespace().to_string(),
            subject: task.what.subject(),
            attempts,
            source: error,
        })
    }

    /// One attempt: the backend, this process, the others. Steps that are done are not done again.
    pub(super) async fn attempt(&self, task: &mut Task) -> Result<Option<Vec<bool>>, AttemptError> {
        let mut removed = None;
        if !task.stored {
            self.end_here(&task.what);
            let keys = task.what.keys();
            let done = match &task.what {
                Invalidation::Keys(_) => self.store.delete(&self.space, &keys).await.map(Some),
                Invalidation::Namespace | Invalidation::Tags(_) => {
                    let target = task.what.target(&keys);
                    self.store
                        .invalidate(&self.space, target)
                        .await
                        .map(|()| None)
                }
            };
            // Again, for what was read in between; and also when it failed, as it may be done.
            self.end_here(&task.what);
            removed = done.map_err(|error| Arc::new(error) as AttemptError)?;
            task.stored = true;
        }
        self.tell_others(&task.what).await?;
        Ok(removed)
    }

    /// Nothing of it is used in this process any more, and no load of it can be joined.
    pub(super) fn end_here(&self, what: &Invalidation) {
        match what {
            Invalidation::Keys(keys) => keys.iter().for_each(|key| self.flights.detach(key)),
            Invalidation::Namespace | Invalidation::Tags(_) => self.flights.detach_all(),
        }
        if let Some(local) = &self.local {
            local.end(what);
        }
    }

    async fn tell_others(&self, what: &Invalidation) -> Result<(), AttemptError> {
        let Some(bus) = &self.bus else {
            return Ok(());
        };
        let told = bus.tell(self.space.namespace(), what).await;
        told.map_err(|error| Arc::new(error) as AttemptError)
    }

    /// What is there of it ends soon. What other processes keep ends as soon by their options.
    async fn shorten(&self, task: &Task) -> Result<(), BackendError> {
        if task.stored {
            return Ok(());
        }
        let keys = task.what.keys();
        let target = task.what.target(&keys);
        self.store
            .shorten(&self.space, target, self.options.short_ttl)
            .await
    }
}
