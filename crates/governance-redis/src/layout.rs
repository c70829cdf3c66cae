//! The layout record and the fence: what every process has to agree on.

use std::{fmt, str::FromStr};

use governance_core::Slot;
use redis_client::{KeyPrefix, SLOTS, slot};
use serde::{Deserialize, Serialize};

use crate::error::PartitionsMoved;

/// The version of the layout of keys and values.
pub(crate) const LAYOUT: u32 = 1;

/// How many stripes the slots of a cluster are cut into.
const STRIPE: u16 = SLOTS / 256;

/// What is written once under `<prefix>:layout`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    pub(crate) layout: u32,
    pub(crate) partitions: u16,
    /// How a state finds its partition.
    pub(crate) hash: String,
    pub(crate) tags: Vec<String>,
    /// How often the store was cut anew. Feed tokens and cursors are of one of these.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) series: u32,
    /// The highest series that was ever begun; the tags of none are used twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(crate) last_series: u32,
    /// The move to another number of partitions that is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) moving: Option<Moving>,
    /// Tags the store had before, while there are keys to remove under them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former: Vec<String>,
}

/// A move to another number of partitions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Moving {
    pub(crate) partitions: u16,
    pub(crate) series: u32,
    pub(crate) tags: Vec<String>,
    /// Who does it. Whoever goes on with it writes another number here.
    pub(crate) owner: u64,
    /// Whether it is being undone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) undone: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
const fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Which version a record has, whatever else is in it.
#[derive(Deserialize)]
struct Version {
    layout: u32,
}

impl Layout {
    pub(crate) const HASH: &'static str = "sha256-14";

    pub(crate) fn new(prefix: &KeyPrefix, partitions: u16) -> Self {
        Self {
            layout: LAYOUT,
            partitions,
            hash: Self::HASH.to_owned(),
            tags: Self::tags_of(prefix, partitions, 0),
            series: 0,
            last_series: 0,
            moving: None,
            former: Vec::new(),
        }
    }

    /// The tags of a series. Those of two series have nothing in common.
    pub(crate) fn tags_of(prefix: &KeyPrefix, partitions: u16, series: u32) -> Vec<String> {
        let start = slot(prefix.as_str());
        let width = SLOTS / partitions;
        let plain = |p: u16| match series {
            0 => p.to_string(),
            _ => format!("{p}s{series}"),
        };
        (0..partitions)
            .map(|p| tag(plain(p), (start + p * width) % SLOTS))
            .collect()
    }

    /// Reads a record; for one of another version, gives the version.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Option<u32>> {
        let version: Version = serde_json::from_slice(bytes).map_err(|_| None)?;
        if version.layout != LAYOUT {
            return Err(Some(version.layout));
        }
        let layout: Self = serde_json::from_slice(bytes).map_err(|_| None)?;
        let whole = layout.tags.len() == usize::from(layout.partitions)
            && layout.partitions.is_power_of_two()
            && layout.hash == Self::HASH;
        if whole { Ok(layout) } else { Err(None) }
    }

    /// The partition of a slot.
    pub(crate) fn partition(slot: Slot, partitions: usize) -> usize {
        usize::from(slot.get()) % partitions
    }
}

/// A tag whose slot is in the stripe that begins at `start`, so partitions are spread over the
/// nodes of a cluster, and stores with other prefixes begin elsewhere.
fn tag(plain: String, start: u16) -> String {
    let is_in = |tag: &str| (slot(tag) + SLOTS - start) % SLOTS < STRIPE;
    if is_in(&plain) {
        return plain;
    }
    // One of 256 texts fits; running out of so many is as likely as not finding one at all.
    (0..100_000)
        .map(|suffix| format!("{plain}.{suffix}"))
        .find(|tag| is_in(tag))
        .unwrap_or(plain)
}

/// What every script compares: which generation of the index is in use, which is being built, and
/// who may write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) active: u16,
    /// 0 if none is.
    pub(crate) building: u16,
    pub(crate) epoch: u64,
    pub(crate) gate: Gate,
}

/// Who may write to a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Everybody.
    Open,
    /// Nobody: it is being copied into so many partitions. It may be read.
    Moving { to: u16 },
    /// Nobody: its requests and states are in so many other partitions now.
    Moved { to: u16 },
    /// Only the one who copies into it.
    Filling { owner: u64 },
}

impl Fence {
    pub(crate) const FIRST: Self = Self {
        active: 1,
        building: 0,
        epoch: 1,
        gate: Gate::Open,
    };

    /// The generations that writes maintain.
    pub(crate) fn generations(self) -> impl Iterator<Item = u16> + Clone {
        [self.active, self.building]
            .into_iter()
            .filter(|generation| *generation != 0)
    }

    /// How many there are.
    pub(crate) const fn count(self) -> usize {
        if self.building == 0 { 1 } else { 2 }
    }

    pub(crate) const fn with_gate(self, gate: Gate) -> Self {
        Self { gate, ..self }
    }

    /// Refuses what may not be written to.
    pub(crate) const fn for_writing(self) -> Result<Self, PartitionsMoved> {
        match self.gate {
            Gate::Moving { to } => Err(PartitionsMoved::UnderWay { to }),
            _ => self.for_reading(),
        }
    }

    /// Refuses what may not be read any more.
    pub(crate) const fn for_reading(self) -> Result<Self, PartitionsMoved> {
        match self.gate {
            Gate::Moved { to } => Err(PartitionsMoved::Done { to }),
            _ => Ok(self),
        }
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            active,
            building,
            epoch,
            gate,
        } = self;
        write!(f, "{LAYOUT}:{active}:{building}:{epoch}")?;
        match gate {
            Gate::Open => Ok(()),
            Gate::Moving { to } => write!(f, ":moving:{to}"),
            Gate::Moved { to } => write!(f, ":moved:{to}"),
            Gate::Filling { owner } => write!(f, ":filling:{owner}"),
        }
    }
}

/// A text that is no fence of this layout.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoFence;

impl FromStr for Fence {
    type Err = NoFence;

    fn from_str(text: &str) -> Result<Self, NoFence> {
        fn number<T: FromStr>(text: &str) -> Result<T, NoFence> {
            text.parse().map_err(|_| NoFence)
        }
        let parts: Vec<&str> = text.split(':').collect();
        let (head, gate) = parts.split_at_checked(4).ok_or(NoFence)?;
        if head[0] != LAYOUT.to_string() {
            return Err(NoFence);
        }
        let gate = match gate {
            [] => Gate::Open,
            ["moving", to] => Gate::Moving { to: number(to)? },
            ["moved", to] => Gate::Moved { to: number(to)? },
            ["filling", owner] => Gate::Filling {
                owner: number(owner)?,
            },
            _ => return Err(NoFence),
        };
        let fence = Self {
            active: number(head[1])?,
            building: number(head[2])?,
            epoch: number(head[3])?,
            gate,
        };
        if fence.active == 0 {
            return Err(NoFence);
        }
        Ok(fence)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_spread_and_prefixes_begin_elsewhere() {
        let prefix = |text| KeyPrefix::new(text).unwrap();
        for partitions in [1, 2, 16, 256] {
            let layout = Layout::new(&prefix("governance"), partitions);
            let mut slots: Vec<u16> = layout.tags.iter().map(slot).collect();
            slots.sort_unstable();
            let widest = slots
                .windows(2)
                .map(|pair| pair[1] - pair[0])
                .max()
                .unwrap_or(0);
            assert!(
                widest <= SLOTS / partitions + STRIPE,
                "{partitions}: {widest}"
            );
            slots.dedup();
            assert_eq!(slots.len(), usize::from(partitions));
            assert_eq!(
                Layout::read(&serde_json::to_vec(&layout).unwrap()),
                Ok(layout)
            );
        }
        let other = Layout::new(&prefix("app:governance"), 1);
        assert_ne!(Layout::new(&prefix("governance"), 1).tags, other.tags);
    }

    #[test]
    fn tags_of_the_first_release_stay() {
        let layout = Layout::new(&KeyPrefix::new("governance").unwrap(), 4);
        assert_eq!(layout.tags.len(), 4);
        assert!(layout.tags.iter().all(|tag| !tag.contains(['{', '}', ':'])));
    }

    #[test]
    fn no_two_series_share_a_tag() {
        let prefix = KeyPrefix::new("governance").unwrap();
        let mut seen = std::collections::HashSet::new();
        for (series, partitions) in [(0, 1), (1, 16), (2, 4), (3, 1), (11, 16)] {
            for tag in Layout::tags_of(&prefix, partitions, series) {
                assert!(!tag.contains(['{', '}', ':']), "{tag}");
                assert!(seen.insert(tag.clone()), "{tag}");
            }
        }
    }

    #[test]
    fn a_record_of_the_first_release_is_read() {
        let text = br#"{"layout":1,"partitions":1,"hash":"sha256-14","tags":["0.17"]}"#;
        let layout = Layout::read(text).unwrap();
        assert_eq!((layout.series, layout.moving.clone()), (0, None));
        assert_eq!(serde_json::to_vec(&layout).unwrap(), text);
    }

    #[test]
    fn other_records_are_refused_with_their_version() {
        assert_eq!(Layout::read(b"nonsense"), Err(None));
        assert_eq!(Layout::read(br#"{"layout":9,"more":true}"#), Err(Some(9)));
        let broken = br#"{"layout":1,"partitions":2,"hash":"sha256-14","tags":["0"]}"#;
        assert_eq!(Layout::read(broken), Err(None));
    }

    #[test]
    fn a_fence_round_trips() {
        let fence = Fence {
            active: 3,
            building: 4,
            epoch: 9,
            gate: Gate::Open,
        };
        assert_eq!(fence.to_string(), "1:3:4:9");
        assert_eq!("1:3:4:9".parse(), Ok(fence));
        assert_eq!(fence.generations().collect::<Vec<_>>(), [3, 4]);
        for (gate, text) in [
            (Gate::Moving { to: 16 }, "1:3:4:9:moving:16"),
            (Gate::Moved { to: 4 }, "1:3:4:9:moved:4"),
            (Gate::Filling { owner: 7 }, "1:3:4:9:filling:7"),
        ] {
            let fence = fence.with_gate(gate);
            assert_eq!(fence.to_string(), text);
            assert_eq!(text.parse(), Ok(fence));
        }
        let broken = ["1:3:4:9:moving", "1:3:4:9:moving:x", "1:3:4:9:moved:4:4"];
        let wrong = ["", "2:3:4:9", "1:0:0:1", "1:3:4:9:1", "1:3:4"];
        for text in broken.into_iter().chain(wrong) {
            assert_eq!(text.parse::<Fence>(), Err(NoFence), "{text}");
        }
    }
}
