//! What a request waits for.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

/// What a pending request waits for.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PendingReason {
    /// Its approval requirements.
    Approval,
}

impl PendingReason {
    /// Every reason.
    pub const ALL: [Self; 1] = [Self::Approval];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for PendingReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

crate::ids::parse_by_name!(PendingReason, "a reason to wait");

/// What a request waits for: a set of [`PendingReason`]s, in their order.
///
/// ```
/// use governance_core::{PendingReason, PendingReasons};
///
/// let reasons = PendingReasons::from([PendingReason::Approval]);
/// assert!(reasons.contains(PendingReason::Approval));
/// assert!(reasons.iter().eq([PendingReason::Approval]));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PendingReasons(u8);

impl PendingReasons {
    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether this is one of them.
    #[must_use]
    pub const fn contains(&self, reason: PendingReason) -> bool {
        self.0 & reason.bit() != 0
    }

    /// The reasons.
    pub fn iter(&self) -> impl Iterator<Item = PendingReason> + use<> {
        let (all, these) = (PendingReason::ALL.into_iter(), *self);
        all.filter(move |reason| these.contains(*reason))
    }

    fn insert(&mut self, reason: PendingReason) {
        self.0 |= reason.bit();
    }
}

impl FromIterator<PendingReason> for PendingReasons {
    fn from_iter<I: IntoIterator<Item = PendingReason>>(reasons: I) -> Self {
        let mut all = Self::default();
        reasons.into_iter().for_each(|reason| all.insert(reason));
        all
    }
}

impl<const N: usize> From<[PendingReason; N]> for PendingReasons {
    fn from(reasons: [PendingReason; N]) -> Self {
        reasons.into_iter().collect()
    }
}

impl fmt::Debug for PendingReasons {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for PendingReasons {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not `collect_seq`: formats that want to know the length would refuse it.
        let mut list = serializer.serialize_seq(Some(self.len()))?;
        for reason in self.iter() {
            ser::SerializeSeq::serialize_element(&mut list, &reason)?;
        }
        ser::SerializeSeq::end(list)
    }
}

impl<'de> Deserialize<'de> for PendingReasons {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> de::Visitor<'de> for List {
            type Value = PendingReasons;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of what is waited for")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(
                self,
                mut list: A,
            ) -> Result<PendingReasons, A::Error> {
                let mut all = PendingReasons::default();
                while let Some(reason) = list.next_element()? {
                    all.insert(reason);
                }
                Ok(all)
            }
        }
        deserializer.deserialize_seq(List)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_bit_of_its_own() {
        let all: PendingReasons = PendingReason::ALL.into_iter().collect();
        assert_eq!(all.len(), PendingReason::ALL.len());
        assert!(all.iter().eq(PendingReason::ALL));
        assert!(PendingReasons::default().is_empty());
    }

    #[test]
    fn it_is_written_as_any_set_is() {
        for reasons in [&[][..], &PendingReason::ALL] {
            let set: BTreeSet<_> = reasons.iter().copied().collect();
            let ours: PendingReasons = set.iter().copied().collect();
            let packed = rmp_serde::to_vec_named(&set).unwrap();
            assert_eq!(rmp_serde::to_vec_named(&ours).unwrap(), packed);
            assert_eq!(
                rmp_serde::from_slice::<PendingReasons>(&packed).unwrap(),
                ours
            );
        }
        let read = |text| serde_json::from_str::<PendingReasons>(text);
        assert_eq!(read(r#"["approval","approval"]"#).unwrap().len(), 1);
        assert!(read(r#"["rain"]"#).is_err());
        assert!(read(r#""approval""#).is_err());
    }
}
