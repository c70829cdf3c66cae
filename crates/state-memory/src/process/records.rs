//! The records and every step on them.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use state_core::{
    BackendError, ErrorKind, OperationId, Timestamp,
    lock::{Fence, Released},
    process::{
        Beat, Change, Claim, Claimed, Created, Deleted, EventBatch, EventCursor, Expect,
        InvalidCursor, Listing, NewProcess, PageCursor, Payload, Process, ProcessEvent,
        ProcessEventKind, ProcessHeader, ProcessOptions, ProcessPage, Save, Saved, Version,
    },
};

use super::{MemoryProcesses, listing, log::Log};

/// How many operations a record remembers.
const REMEMBERED: usize = 4;

#[derive(Debug)]
struct Record {
    header: ProcessHeader,
    payload: Payload,
    operations: VecDeque<(OperationId, Version)>,
    claim: Option<OperationId>,
}

#[derive(Debug)]
pub(super) struct Records {
    options: ProcessOptions,
    now: Timestamp,
    records: HashMap<String, Record>,
    log: Log,
}

impl Records {
    pub(super) fn new(options: ProcessOptions) -> Self {
        Self {
            options,
            now: Timestamp::default(),
            records: HashMap::new(),
            log: Log::default(),
        }
    }

    /// Everything from now on is done at this time.
    pub(super) fn at(&mut self, now: Timestamp) {
        self.now = now;
        self.log.expire(now);
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn sweep(&mut self, now: Timestamp) {
        let retention = self.options.retention;
        self.records
            .retain(|_, record| !is_over(&record.header, retention, now));
    }

    pub(super) const fn events_seen(&self) -> u64 {
        self.log.last()
    }

    pub(super) fn events(
        &self,
        after: &EventCursor,
        most: usize,
    ) -> Result<EventBatch, InvalidCursor> {
        self.log.read(after, most)
    }

    fn found(&mut self, id: &str) -> Option<&mut Record> {
        let (retention, now) = (self.options.retention, self.now);
        if is_over(&self.records.get(id)?.header, retention, now) {
            self.records.remove(id);
        }
        self.records.get_mut(id)
    }

    pub(super) fn create(
        &mut self,
        new: &NewProcess,
        operation: OperationId,
    ) -> Result<Created, BackendError> {
        if let Some(record) = self.found(&new.id) {
            if let Some(version) = record.applied(operation) {
                return Ok(Created::AlreadyApplied { version });
            }
            let version = record.header.version;
            return Ok(Created::Exists { version });
        }
        self.make_room()?;
        let version = Version::new(self.now.as_micros());
        let header = ProcessHeader::new(&*new.id, &*new.kind, new.status, self.now, version);
        self.tell(&header, ProcessEventKind::Created);
        let record = Record {
            header,
            payload: new.payload.clone(),
            operations: VecDeque::from([(operation, version)]),
            claim: None,
        };
        self.records.insert(new.id.clone(), record);
        Ok(Created::Created { version })
    }

    pub(super) fn get(&mut self, id: &str) -> Option<Process> {
        let record = self.found(id)?;
        Some(Process {
            header: record.header.clone(),
            payload: record.payload.clone(),
        })
    }

    pub(super) fn save(&mut self, id: &str, save: &Save<'_>) -> Saved {
        let now = self.now;
        let Some(record) = self.found(id) else {
            return Saved::NotFound;
        };
        if let Some(version) = record.applied(save.operation) {
            return Saved::AlreadyApplied { version };
        }
        let header = &mut record.header;
        if let Expect::Exact(version) = save.expect
            && version != header.version
        {
            return Saved::Conflict {
                current: header.version,
                status: header.status,
            };
        }
        let is_fenced = match save.fence {
            _ if save.overrides_claim => false,
            None => header.owner.is_some(),
            Some(fence) => fence < header.fence,
        };
        if is_fenced {
            return Saved::Fenced {
                current: header.fence,
            };
        }
        // An end is the last status, whatever the caller allows: what has ended may only be noted on.
        let was_ended = header.status.is_ended();
        let leaves_an_end = was_ended && save.change.new_status().is_some();
        if leaves_an_end || !save.allowed_from.contains(&header.status) {
            return Saved::BadTransition {
                from: header.status,
            };
        }
        if save.overrides_claim {
            header.fence = next_fence(header.fence, now);
        }
        record.change(save.change, now);
        let version = record.header.version;
        record.operations.push_back((save.operation, version));
        if record.operations.len() > REMEMBERED {
            record.operations.pop_front();
        }
        let header = record.header.clone();
        let kind = if header.status.is_ended() && !was_ended {
            ProcessEventKind::Ended
        } else {
            ProcessEventKind::Saved
        };
        self.tell(&header, kind);
        Saved::Saved { version }
    }

    pub(super) fn delete(&mut self, id: &str, expect: Expect) -> Deleted {
        let Some(record) = self.found(id) else {
            return Deleted::NotFound;
        };
        let header = record.header.clone();
        if let Expect::Exact(version) = expect
            && version != header.version
        {
            let current = header.version;
            return Deleted::Conflict { current };
        }
        self.records.remove(id);
        self.tell(&header, ProcessEventKind::Deleted);
        Deleted::Deleted
    }

    pub(super) fn claim(
        &mut self,
        id: &str,
        worker: &str,
        lease: Duration,
        operation: OperationId,
    ) -> Claimed {
        let now = self.now;
        let Some(record) = self.found(id) else {
            return Claimed::NotFound;
        };
        let header = &mut record.header;
        if header.status.is_ended() {
            return Claimed::Ended {
                status: header.status,
            };
        }
        let is_same = record.claim == Some(operation) && header.owner.as_deref() == Some(worker);
        if !is_same {
            if let Some(until) = header.lease_until
                && until > now
            {
                let remaining = until.saturating_since(now);
                return Claimed::Busy { remaining };
            }
            header.fence = next_fence(header.fence, now);
            header.owner = Some(worker.to_owned());
            record.claim = Some(operation);
        }
        header.lease_until = Some(now.saturating_add(lease));
        let header = header.clone();
        if !is_same {
            self.tell(&header, ProcessEventKind::Claimed);
        }
        Claimed::Claimed(Claim {
            id: id.to_owned(),
            worker: worker.to_owned(),
            fence: header.fence,
            version: header.version,
            lease,
        })
    }

    pub(super) fn heartbeat(&mut self, claim: &Claim) -> Beat {
        let now = self.now;
        match self.found(&claim.id) {
            Some(record) if record.is_held_under(claim) => {
                record.header.lease_until = Some(now.saturating_add(claim.lease));
                Beat::Alive
            }
            _ => Beat::Lost,
        }
    }

    pub(super) fn release(&mut self, claim: &Claim) -> Released {
        let now = self.now;
        let Some(record) = self.found(&claim.id) else {
            return Released::Expired;
        };
        let lasts = record.header.lease_until.is_some_and(|until| until > now);
        if !record.is_held_under(claim) {
            return if lasts {
                Released::Stolen
            } else {
                Released::Expired
            };
        }
        record.header.owner = None;
        record.header.lease_until = None;
        record.claim = None;
        let header = record.header.clone();
        self.tell(&header, ProcessEventKind::Released);
        if lasts {
            Released::Released
        } else {
            Released::Expired
        }
    }

    pub(super) fn page(&self, listing: Listing<'_>, after: Option<&PageCursor>) -> ProcessPage {
        let retention = self.options.retention;
        let kept = self.records.values().map(|record| &record.header);
        let kept = kept.filter(|header| !is_over(header, retention, self.now));
        listing::page(kept, listing, after, self.options.page_size, self.now)
    }

    fn make_room(&mut self) -> Result<(), BackendError> {
        let len = self.records.len();
        if (len >= 1_024 && len.is_power_of_two()) || len >= MemoryProcesses::CAPACITY {
            self.sweep(self.now);
        }
        if self.records.len() < MemoryProcesses::CAPACITY {
            return Ok(());
        }
        let message = "as many processes are kept as there may be";
        Err(BackendError::new(
            ErrorKind::TooLarge,
            "process.create",
            message,
        ))
    }

    fn tell(&mut self, header: &ProcessHeader, kind: ProcessEventKind) {
        let event = ProcessEvent {
            id: header.id.clone(),
            kind,
            status: header.status,
            version: header.version,
            at: self.now,
        };
        self.log.push(event, &self.options);
    }
}

impl Record {
    fn applied(&self, operation: OperationId) -> Option<Version> {
        let mut remembered = self.operations.iter();
        let (_, version) = remembered.find(|(known, _)| *known == operation)?;
        Some(*version)
    }

    fn is_held_under(&self, claim: &Claim) -> bool {
        self.header.owner.as_deref() == Some(&*claim.worker) && self.header.fence == claim.fence
    }

    fn change(&mut self, change: &Change, now: Timestamp) {
        if let Some(payload) = change.new_payload() {
            self.payload = payload.clone();
        }
        let header = &mut self.header;
        if let Some(step) = change.new_step() {
            header.step = Some(step.to_owned());
        }
        if let Some(error) = change.new_error() {
            header.error = Some(error.to_owned());
        }
        header.percent = change.new_percent().unwrap_or(header.percent);
        let was_ended = header.status.is_ended();
        header.status = change.new_status().unwrap_or(header.status);
        header.updated = now;
        header.version = Version::new(header.version.get() + 1);
        if header.status.is_ended() && !was_ended {
            header.ended = Some(now);
            header.owner = None;
            header.lease_until = None;
            self.claim = None;
        }
    }
}

fn next_fence(last: Fence, now: Timestamp) -> Fence {
    Fence::new((last.get() + 1).max(now.as_micros()))
}

fn is_over(header: &ProcessHeader, retention: Duration, now: Timestamp) -> bool {
    let end = header.ended.map(|ended| ended.saturating_add(retention));
    end.is_some_and(|end| end <= now)
}

#[cfg(test)]
mod tests {
    use state_core::process::Status;

    use super::*;

    #[test]
    fn status_of_a_record_ends_a_claim() {
        let mut records = Records::new(ProcessOptions::default());
        records.at(Timestamp::from_micros(1_000));
        let operation = |byte| OperationId::from_bytes([byte; 16]);
        records
            .create(&NewProcess::new("a", "k"), operation(1))
            .unwrap();
        records.claim("a", "w", Duration::from_secs(1), operation(2));
        let save = Save {
            change: &Change::new().status(Status::Cancelled),
            expect: Expect::Any,
            fence: None,
            allowed_from: &Status::LIVE,
            overrides_claim: true,
            operation: operation(3),
        };
        assert!(matches!(records.save("a", &save), Saved::Saved { .. }));
        let header = records.get("a").unwrap().header;
        assert_eq!((header.owner, header.lease_until), (None, None));
        assert!(header.ended.is_some());
    }
}
