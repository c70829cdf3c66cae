//! Who holds what.

use std::{collections::HashMap, time::Duration};

use state_core::{
    BackendError, ErrorKind, Timestamp,
    lock::{
        Acquired, Extended, Fence, GuardedSet, GuardedValue, Hold, Mode, Realm, Released, Target,
        Token, WRITER_CLAIM,
    },
};

use super::{MemoryLocks, bells::Manner};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Name {
    realm: Realm,
    manner: Manner,
    scope: String,
    name: Option<String>,
}

#[derive(Debug)]
struct Holder {
    token: Token,
    mode: Mode,
    fence: Fence,
    until: Timestamp,
}

#[derive(Debug, Default)]
struct Entry {
    holders: Vec<Holder>,
    /// A writer that waits, and until when it keeps readers out.
    claim: Option<(Token, Timestamp)>,
}

impl Entry {
    fn prune(&mut self, now: Timestamp) {
        self.holders.retain(|holder| holder.until > now);
        self.claim = self.claim.filter(|(_, until)| *until > now);
    }

    fn is_idle(&self) -> bool {
        self.holders.is_empty() && self.claim.is_none()
    }

    /// Until when others are in the way of one who is not a holder yet.
    fn blocked_until(&self, token: Token, mode: Mode) -> Option<Timestamp> {
        if self.holders.iter().any(|holder| holder.token == token) {
            return None;
        }
        let others = || self.holders.iter();
        match mode {
            Mode::Exclusive | Mode::Write => others().map(|holder| holder.until).max(),
            Mode::Read => {
                let writers = others().filter(|holder| holder.mode == Mode::Write);
                let claims = self.claim.iter().filter(|(by, _)| *by != token);
                writers
                    .map(|holder| holder.until)
                    .chain(claims.map(|(_, until)| *until))
                    .max()
            }
            Mode::Permit { of } => {
                let taken = others().count();
                let is_full = taken >= usize::try_from(of).unwrap_or(usize::MAX);
                is_full.then(|| others().map(|holder| holder.until).min())?
            }
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    entries: HashMap<Name, Entry>,
    guarded: HashMap<Name, (GuardedValue, Timestamp)>,
    last_fence: u64,
}

impl Table {
    pub(super) fn len(&self) -> usize {
        self.entries.len() + self.guarded.len()
    }

    pub(super) fn acquire(
        &mut self,
        hold: &Hold,
        waits: bool,
        now: Timestamp,
    ) -> Result<Acquired, BackendError> {
        let (token, mode) = (hold.token, hold.target.mode());
        let names = names(&hold.target);
        let mut blocked = None;
        let mut fences = Vec::with_capacity(names.len());
        for name in &names {
            let Some(entry) = self.entries.get_mut(name) else {
                continue;
            };
            entry.prune(now);
            blocked = blocked.max(entry.blocked_until(token, mode));
            let mine = entry.holders.iter().find(|holder| holder.token == token);
            fences.extend(mine.map(|holder| holder.fence));
        }
        if let Some(until) = blocked {
            if waits && mode == Mode::Write {
                let until = now.saturating_add(WRITER_CLAIM);
                for name in &names {
                    if let Some(entry) = self.entries.get_mut(name) {
                        entry.claim = entry
                            .claim
                            .filter(|(by, _)| *by != token)
                            .or(Some((token, until)));
                    }
                }
            }
            let remaining = until.saturating_since(now);
            return Ok(Acquired::Held { remaining });
        }
        let until = now.saturating_add(hold.ttl);
        // Names that were taken one after the other have no fence in common, so they get a new one.
        let is_one = fences.windows(2).all(|pair| pair[0] == pair[1]);
        let fence = match fences.first() {
            Some(fence) if is_one && fences.len() == names.len() => *fence,
            _ => {
                self.make_room(names.len(), now)?;
                self.last_fence = (self.last_fence + 1).max(now.as_micros());
                Fence::new(self.last_fence)
            }
        };
        for name in names {
            let entry = self.entries.entry(name).or_default();
            entry.holders.retain(|holder| holder.token != token);
            entry.claim = entry.claim.filter(|(by, _)| *by != token);
            entry.holders.push(Holder {
                token,
                mode,
                fence,
                until,
            });
        }
        Ok(Acquired::Granted { fence })
    }

    pub(super) fn extend(&mut self, hold: &Hold, now: Timestamp) -> Extended {
        let names = names(&hold.target);
        let until = now.saturating_add(hold.ttl);
        if !names.iter().all(|name| self.is_held(name, hold.token, now)) {
            return Extended::Lost;
        }
        for name in &names {
            let holders = self.entries.get_mut(name).map(|entry| &mut entry.holders);
            for holder in holders.into_iter().flatten() {
                if holder.token == hold.token {
                    holder.until = until;
                }
            }
        }
        Extended::Extended
    }

    pub(super) fn release(&mut self, hold: &Hold, now: Timestamp) -> Released {
        let (mut expired, mut stolen) = (false, false);
        for name in names(&hold.target) {
            let Some(entry) = self.entries.get_mut(&name) else {
                expired = true;
                continue;
            };
            entry.prune(now);
            let before = entry.holders.len();
            entry.holders.retain(|holder| holder.token != hold.token);
            if entry.holders.len() == before {
                let taken = entry.blocked_until(hold.token, hold.target.mode());
                stolen |= taken.is_some();
                expired |= taken.is_none();
            }
            entry.claim = entry.claim.filter(|(by, _)| *by != hold.token);
            if entry.is_idle() {
                self.entries.remove(&name);
            }
        }
        match (stolen, expired) {
            (true, _) => Released::Stolen,
            (false, true) => Released::Expired,
            (false, false) => Released::Released,
        }
    }

    pub(super) fn guarded_set(
        &mut self,
        target: &Target,
        value: GuardedValue,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<GuardedSet, BackendError> {
        let name = name(target, None);
        if let Some((stored, until)) = self.guarded.get(&name) {
            if *until > now && stored.fence > value.fence {
                let current = stored.fence;
                return Ok(GuardedSet::Fenced { current });
            }
        } else {
            self.make_room(1, now)?;
        }
        self.guarded.insert(name, (value, now.saturating_add(ttl)));
        Ok(GuardedSet::Stored)
    }

    pub(super) fn guarded_get(&self, target: &Target, now: Timestamp) -> Option<GuardedValue> {
        let (value, until) = self.guarded.get(&name(target, None))?;
        (*until > now).then(|| value.clone())
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.entries.retain(|_, entry| {
            entry.prune(now);
            !entry.is_idle()
        });
        self.guarded.retain(|_, (_, until)| *until > now);
    }

    fn is_held(&self, name: &Name, token: Token, now: Timestamp) -> bool {
        self.entries.get(name).is_some_and(|entry| {
            let mut holders = entry.holders.iter();
            holders.any(|holder| holder.token == token && holder.until > now)
        })
    }

    fn make_room(&mut self, more: usize, now: Timestamp) -> Result<(), BackendError> {
        let len = self.len();
        if (len >= 1_024 && len.is_power_of_two()) || len + more > MemoryLocks::CAPACITY {
            self.sweep(now);
        }
        if self.len() + more > MemoryLocks::CAPACITY {
            let message = "as many locks are held as there may be";
            return Err(BackendError::new(
                ErrorKind::TooLarge,
                "lock.acquire",
                message,
            ));
        }
        Ok(())
    }
}

fn names(target: &Target) -> Vec<Name> {
    if target.names().len() == 0 {
        return vec![name(target, None)];
    }
    target
        .names()
        .map(|part| name(target, Some(part)))
        .collect()
}

fn name(target: &Target, part: Option<&str>) -> Name {
    Name {
        realm: target.realm(),
        manner: Manner::of(target.mode()),
        scope: target.scope().to_owned(),
        name: part.map(str::to_owned),
    }
}
