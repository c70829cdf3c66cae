//! The sessions and every step on them.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use state_core::{
    BackendError, ErrorKind, Timestamp,
    session::{
        Change, Listed, Moved, NewRecord, Record, SessionHash, SessionOptions, Standing, Stored,
        Target, Times, Written, standing,
    },
};

use super::MemorySessions;

struct Kept {
    record: Record,
    meta: String,
}

pub(super) struct Table {
    options: SessionOptions,
    sessions: HashMap<SessionHash, Kept>,
    /// Where sessions were moved to, and until when that is told.
    moved: HashMap<SessionHash, (SessionHash, Timestamp)>,
    /// When the sessions of a user were last revoked.
    cuts: HashMap<String, Timestamp>,
}

impl Table {
    pub(super) fn new(options: SessionOptions) -> Self {
        Self {
            options,
            sessions: HashMap::new(),
            moved: HashMap::new(),
            cuts: HashMap::new(),
        }
    }

    /// Everything from now on goes by these settings.
    pub(super) const fn set_options(&mut self, options: SessionOptions) {
        self.options = options;
    }

    pub(super) fn len(&self) -> usize {
        self.sessions.len() + self.moved.len() + self.cuts.len()
    }

    fn cut(&self, user: Option<&str>) -> Option<Timestamp> {
        self.cuts.get(user?).copied()
    }

    fn judge(&self, kept: &Kept, now: Timestamp) -> Standing {
        let record = &kept.record;
        let cut = self.cut(record.user.as_deref());
        standing(&self.options.lifetime, record.times, cut, now)
    }

    fn moved(&self, hash: &SessionHash, now: Timestamp) -> Option<SessionHash> {
        let (to, until) = self.moved.get(hash)?;
        (now < *until).then(|| to.clone())
    }

    fn is_taken(&self, hash: &SessionHash, now: Timestamp) -> bool {
        self.sessions.contains_key(hash) || self.moved(hash, now).is_some()
    }

    /// A session that is good; what is not is removed.
    fn live(&mut self, hash: &SessionHash, now: Timestamp) -> Target<&mut Kept> {
        let Some(kept) = self.sessions.get(hash) else {
            return self.moved(hash, now).map_or(Target::Gone, Target::Moved);
        };
        let target = match self.judge(kept, now) {
            Standing::Live { .. } => None,
            Standing::Revoked => Some(Target::Revoked),
            _ => Some(Target::Expired),
        };
        if let Some(target) = target {
            self.sessions.remove(hash);
            return target;
        }
        self.sessions
            .get_mut(hash)
            .map_or(Target::Gone, Target::Live)
    }

    pub(super) fn create(
        &mut self,
        new: &NewRecord,
        now: Timestamp,
    ) -> Result<Stored, BackendError> {
        if self.is_taken(&new.hash, now) {
            return Ok(Stored::Taken);
        }
        let cut = self.cut(new.user.as_deref());
        if let (Some(stamp), Some(cut)) = (new.stamp, cut)
            && stamp <= cut
        {
            return Ok(Stored::Revoked);
        }
        if let Some(user) = &new.user {
            if self.is_crowded(user, now, |handle| new.victims.contains(handle)) {
                return Ok(Stored::Crowded);
            }
            self.end_for_another(&new.victims);
        }
        self.make_room("session.create", now)?;
        let created = cut.map_or(now, |cut| now.max(after(cut)));
        let record = Record {
            version: 1,
            user: new.user.clone(),
            data: new.data.clone(),
            times: Times {
                created,
                seen: created,
                ends: created.saturating_add(self.options.lifetime.max_age),
            },
        };
        let meta = new.meta.clone();
        let kept = Kept {
            record: record.clone(),
            meta,
        };
        self.sessions.insert(new.hash.clone(), kept);
        Ok(Stored::Stored(record))
    }

    /// Whether a user has no room for one more session, those that end for it not counted.
    fn is_crowded(&self, user: &str, now: Timestamp, ends: impl Fn(&SessionHash) -> bool) -> bool {
        let most = self.options.max_per_user;
        if most == 0 {
            return false;
        }
        let listed = self.listed(user, now);
        let stay = listed.iter().filter(|listed| !ends(&listed.handle));
        stay.count() >= most
    }

    fn end_for_another(&mut self, victims: &[SessionHash]) {
        if self.options.max_per_user > 0 {
            for victim in victims {
                self.sessions.remove(victim);
            }
        }
    }

    pub(super) fn load(&mut self, hash: &SessionHash, now: Timestamp) -> Target<Record> {
        let lifetime = self.options.lifetime;
        match self.live(hash, now) {
            Target::Live(kept) => {
                let is_touched = standing(&lifetime, kept.record.times, None, now);
                if matches!(is_touched, Standing::Live { touch: true, .. }) {
                    kept.record.times.seen = now;
                }
                Target::Live(kept.record.clone())
            }
            target => dead(target),
        }
    }

    pub(super) fn save(
        &mut self,
        hash: &SessionHash,
        data: Bytes,
        version: u64,
        now: Timestamp,
    ) -> Target<Written> {
        match self.live(hash, now) {
            Target::Live(kept) if kept.record.version != version => {
                let current = kept.record.version;
                Target::Live(Written::Conflict { current })
            }
            Target::Live(kept) => {
                kept.record.data = data;
                kept.record.version += 1;
                kept.record.times.seen = now;
                let version = kept.record.version;
                Target::Live(Written::Written { version })
            }
            target => dead(target),
        }
    }

    pub(super) fn relocate(
        &mut self,
        (from, known): (&SessionHash, &Record),
        to: &SessionHash,
        change: Change<'_>,
        now: Timestamp,
    ) -> Result<Target<Moved>, BackendError> {
        let is_taken = self.is_taken(to, now);
        let (cut, grace) = match change {
            Change::User { user, .. } => (self.cut(Some(user)), Duration::ZERO),
            Change::Nothing { grace } => (None, grace),
        };
        if !grace.is_zero() {
            self.make_room("session.relocate", now)?;
        }
        let max_age = self.options.lifetime.max_age;
        let is_crowded = match change {
            Change::User { user, victims, .. } => self.is_crowded(user, now, |handle| {
                handle == from || victims.contains(handle)
            }),
            Change::Nothing { .. } => false,
        };
        let kept = match self.live(from, now) {
            Target::Live(kept) => kept,
            target => return Ok(dead(target)),
        };
        let current = kept.record.version;
        if current != known.version || kept.record.user != known.user {
            return Ok(Target::Live(Moved::Conflict { current }));
        }
        if is_taken {
            return Ok(Target::Live(Moved::Taken));
        }
        if let Change::User { user, stamp, .. } = change {
            if cut.is_some_and(|cut| stamp <= cut) {
                return Ok(Target::Live(Moved::Revoked));
            }
            if is_crowded {
                return Ok(Target::Live(Moved::Crowded));
            }
            let created = cut.map_or(now, |cut| now.max(after(cut)));
            kept.record.user = Some(user.to_owned());
            kept.record.times = Times {
                created,
                seen: created,
                ends: created.saturating_add(max_age),
            };
        }
        kept.record.version += 1;
        let Some(kept) = self.sessions.remove(from) else {
            return Ok(Target::Gone);
        };
        let record = kept.record.clone();
        self.sessions.insert(to.clone(), kept);
        if let Change::User { victims, .. } = change {
            self.end_for_another(victims);
        }
        if !grace.is_zero() {
            let until = now.saturating_add(grace);
            self.moved.insert(from.clone(), (to.clone(), until));
        }
        Ok(Target::Live(Moved::Moved(record)))
    }

    pub(super) fn delete(&mut self, hash: &SessionHash, now: Timestamp) -> Target<()> {
        let target = match self.live(hash, now) {
            Target::Live(_) => Target::Live(()),
            target => dead(target),
        };
        self.sessions.remove(hash);
        target
    }

    /// Describes sessions of a user. One whose time is over is removed, as by a load: settings that
    /// become longer again must not bring back what no listing shows.
    pub(super) fn list(&mut self, user: &str, now: Timestamp) -> Vec<Listed> {
        let lifetime = self.options.lifetime;
        self.sessions.retain(|_, kept| {
            let is_late = || {
                let judged = standing(&lifetime, kept.record.times, None, now);
                judged == Standing::Expired
            };
            kept.record.user.as_deref() != Some(user) || !is_late()
        });
        self.listed(user, now)
    }

    fn listed(&self, user: &str, now: Timestamp) -> Vec<Listed> {
        let mut listed: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, kept)| kept.record.user.as_deref() == Some(user))
            .filter(|(_, kept)| matches!(self.judge(kept, now), Standing::Live { .. }))
            .map(|(handle, kept)| Listed {
                handle: handle.clone(),
                created: kept.record.times.created,
                seen: kept.record.times.seen,
                meta: kept.meta.clone(),
            })
            .collect();
        listed.sort_unstable_by(|a, b| (a.created, &a.handle).cmp(&(b.created, &b.handle)));
        listed
    }

    pub(super) fn revoke_all(
        &mut self,
        user: &str,
        except: Option<&SessionHash>,
        now: Timestamp,
    ) -> Target<()> {
        if let Some(to) = except.and_then(|hash| self.moved(hash, now)) {
            return Target::Moved(to);
        }
        // Its begin is about to move, which would make one that is over good again.
        let stays = except
            .and_then(|hash| self.sessions.get(hash))
            .is_some_and(|kept| {
                kept.record.user.as_deref() == Some(user)
                    && matches!(self.judge(kept, now), Standing::Live { .. })
            });
        let cut = self.cuts.get(user).map_or(now, |cut| now.max(after(*cut)));
        self.cuts.insert(user.to_owned(), cut);
        let spared = except.filter(|_| stays);
        if let Some(kept) = spared.and_then(|hash| self.sessions.get_mut(hash)) {
            kept.record.times.created = after(cut);
        }
        Target::Live(())
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        let over: Vec<_> = self
            .sessions
            .iter()
            .filter(|(_, kept)| !matches!(self.judge(kept, now), Standing::Live { .. }))
            .map(|(hash, _)| hash.clone())
            .collect();
        for hash in over {
            self.sessions.remove(&hash);
        }
        self.moved.retain(|_, (_, until)| now < *until);
        let age = self.options.lifetime.max_age;
        self.cuts.retain(|_, cut| cut.saturating_add(age) > now);
    }

    fn make_room(&mut self, operation: &'static str, now: Timestamp) -> Result<(), BackendError> {
        let len = self.len();
        if (len >= 1_024 && len.is_power_of_two()) || len >= MemorySessions::CAPACITY {
            self.sweep(now);
        }
        if self.len() < MemorySessions::CAPACITY {
            return Ok(());
        }
        let message = "as many sessions are kept as there may be";
        Err(BackendError::new(ErrorKind::TooLarge, operation, message))
    }
}

/// What is said of a session that cannot be used here, whatever was asked.
fn dead<T, U>(target: Target<T>) -> Target<U> {
    match target {
        Target::Moved(to) => Target::Moved(to),
        Target::Expired => Target::Expired,
        Target::Revoked => Target::Revoked,
        Target::Live(_) | Target::Gone => Target::Gone,
    }
}

fn after(time: Timestamp) -> Timestamp {
    Timestamp::from_micros(time.as_micros() + 1)
}
