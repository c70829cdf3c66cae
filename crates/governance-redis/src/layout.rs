//! The layout record and the fence: what every process has to agree on.

use std::{fmt, str::FromStr};

use governance_core::Slot;
use redis_client::{KeyPrefix, SLOTS, slot};
use serde::{Deserialize, Serialize};

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
}

/// Which version a record has, whatever else is in it.
#[derive(Deserialize)]
struct Version {
    layout: u32,
}

impl Layout {
    pub(crate) const HASH: &'static str = "sha256-14";

    pub(crate) fn new(prefix: &KeyPrefix, partitions: u16) -> Self {
        let start = slot(prefix.as_str());
        let width = SLOTS / partitions;
        let tags = (0..partitions).map(|p| tag(p, (start + p * width) % SLOTS));
        Self {
            layout: LAYOUT,
            partitions,
            hash: Self::HASH.to_owned(),
            tags: tags.collect(),
        }
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
fn tag(partition: u16, start: u16) -> String {
    let is_in = |tag: &str| (slot(tag) + SLOTS - start) % SLOTS < STRIPE;
    let plain = partition.to_string();
    if is_in(&plain) {
        return plain;
    }
    // One of 256 texts fits; running out of so many is as likely as not finding one at all.
    (0..100_000)
        .map(|suffix| format!("{partition}.{suffix}"))
        .find(|tag| is_in(tag))
        .unwrap_or(plain)
}

/// What every script compares: which generation of the index is in use, and which is being built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fence {
    pub(crate) active: u16,
    /// 0 if none is.
    pub(crate) building: u16,
    pub(crate) epoch: u64,
}

impl Fence {
    pub(crate) const FIRST: Self = Self {
        active: 1,
        building: 0,
        epoch: 1,
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
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            active,
            building,
            epoch,
        } = self;
        write!(f, "{LAYOUT}:{active}:{building}:{epoch}")
    }
}

/// A text that is no fence of this layout.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoFence;

impl FromStr for Fence {
    type Err = NoFence;

    fn from_str(text: &str) -> Result<Self, NoFence> {
        let mut parts = text.split(':');
        let mut part = || parts.next().ok_or(NoFence);
        if part()? != LAYOUT.to_string() {
            return Err(NoFence);
        }
        let fence = Self {
            active: part()?.parse().map_err(|_| NoFence)?,
            building: part()?.parse().map_err(|_| NoFence)?,
            epoch: part()?.parse().map_err(|_| NoFence)?,
        };
        if fence.active == 0 || parts.next().is_some() {
            Err(NoFence)
        } else {
            Ok(fence)
        }
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
        };
        assert_eq!(fence.to_string(), "1:3:4:9");
        assert_eq!("1:3:4:9".parse(), Ok(fence));
        assert_eq!(fence.generations().collect::<Vec<_>>(), [3, 4]);
        for text in ["", "2:3:4:9", "1:0:0:1", "1:3:4:9:1", "1:3:4"] {
            assert_eq!(text.parse::<Fence>(), Err(NoFence), "{text}");
        }
    }
}
