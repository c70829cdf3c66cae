//! Settings of process state.

use std::time::Duration;

use crate::process::InvalidOption;

/// Settings of a store of processes. Every process that uses the store must have the same.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessOptions {
    /// How long an ended process is kept; 24 h unless set.
    pub retention: Duration,
    /// How long a claim lasts without a heartbeat; 30 s unless set.
    pub lease: Duration,
    /// How often a kept claim sends one; a third of the lease unless set.
    pub heartbeat: Duration,
    /// Largest payload; 1 MiB unless set.
    pub max_payload_bytes: usize,
    /// How many processes a page has; 100 unless set.
    pub page_size: usize,
    /// About how many events are kept; 10 000 unless set.
    pub events_kept: u64,
    /// How long events are kept after the last one; 7 days unless set.
    pub events_retention: Duration,
    /// How long a call goes on asking when replies are lost; 10 s unless set.
    pub deadline: Duration,
}

impl Default for ProcessOptions {
    fn default() -> Self {
        Self {
            retention: Duration::from_secs(24 * 60 * 60),
            lease: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            max_payload_bytes: 1024 * 1024,
            page_size: 100,
            events_kept: 10_000,
            events_retention: Duration::from_secs(7 * 24 * 60 * 60),
            deadline: Duration::from_secs(10),
        }
    }
}

impl ProcessOptions {
    /// The same with this retention.
    #[must_use]
    pub const fn retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// The same with this lease, kept by three heartbeats in it.
    #[must_use]
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self.heartbeat = lease / 3;
        self
    }

    /// The same with a heartbeat this often.
    #[must_use]
    pub const fn heartbeat(mut self, heartbeat: Duration) -> Self {
        self.heartbeat = heartbeat;
        self
    }

    /// The same with payloads up to this size.
    #[must_use]
    pub const fn max_payload_bytes(mut self, bytes: usize) -> Self {
        self.max_payload_bytes = bytes;
        self
    }

    /// The same with pages of this size.
    #[must_use]
    pub const fn page_size(mut self, items: usize) -> Self {
        self.page_size = items;
        self
    }

    /// The same with about so many events kept for so long.
    #[must_use]
    pub const fn events(mut self, kept: u64, retention: Duration) -> Self {
        self.events_kept = kept;
        self.events_retention = retention;
        self
    }

    /// The same with this deadline.
    #[must_use]
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Checks them.
    ///
    /// # Errors
    ///
    /// [`InvalidOption`] with the first that cannot work.
    pub fn validate(&self) -> Result<(), InvalidOption> {
        const YEAR: Duration = Duration::from_secs(366 * 24 * 60 * 60);
        let whole = |time: Duration| {
            time.subsec_nanos().is_multiple_of(1_000_000) && !time.is_zero() && time <= YEAR
        };
        let millis = "whole milliseconds, more than zero and at most one year";
        let rules = [
            ("retention", whole(self.retention), millis),
            ("lease", whole(self.lease), millis),
            (
                "heartbeat",
                !self.heartbeat.is_zero() && self.heartbeat <= self.lease / 2,
                "more than zero and at most half of the lease",
            ),
            (
                "max_payload_bytes",
                self.max_payload_bytes <= 64 * 1024 * 1024,
                "at most 64 MiB",
            ),
            (
                "page_size",
                (1..=1_000).contains(&self.page_size),
                "1 to 1000",
            ),
            (
                "events_kept",
                (1..=10_000_000).contains(&self.events_kept),
                "1 to 10 000 000",
            ),
            ("events_retention", whole(self.events_retention), millis),
            ("deadline", !self.deadline.is_zero(), "more than zero"),
        ];
        rules
            .into_iter()
            .find(|(_, holds, _)| !holds)
            .map_or(Ok(()), |(option, _, rule)| {
                Err(InvalidOption { option, rule })
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_checked() {
        let with = ProcessOptions::default();
        assert_eq!(with.validate(), Ok(()));
        let fault = |options: ProcessOptions| options.validate().unwrap_err().option;
        let zero = Duration::ZERO;
        assert_eq!(fault(with.retention(zero)), "retention");
        assert_eq!(fault(with.lease(zero)), "lease");
        assert_eq!(fault(with.heartbeat(with.lease)), "heartbeat");
        assert_eq!(
            fault(with.max_payload_bytes(usize::MAX)),
            "max_payload_bytes"
        );
        assert_eq!(fault(with.page_size(0)), "page_size");
        assert_eq!(fault(with.events(0, with.retention)), "events_kept");
        assert_eq!(fault(with.events(1, zero)), "events_retention");
        assert_eq!(fault(with.deadline(zero)), "deadline");
    }

    /// A fraction of a millisecond cannot be written as a lifetime: it is refused before anything
    /// is written, not told as a failure after.
    #[test]
    fn n_ps_16_fractions_of_milliseconds_are_refused_at_the_start() {
        let with = ProcessOptions::default();
        let fault = |options: ProcessOptions| options.validate().unwrap_err().option;
        for odd in [1_500, 1, 86_400_000_001] {
            let odd = Duration::from_micros(odd);
            assert_eq!(fault(with.retention(odd)), "retention");
            assert_eq!(fault(with.lease(odd)), "lease");
            assert_eq!(fault(with.events(1, odd)), "events_retention");
        }
    }
}
