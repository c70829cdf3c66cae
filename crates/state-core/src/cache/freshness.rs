//! Whether a stored value may be used.

use crate::{
    cache::{Envelope, Epoch},
    clock::Timestamp,
};

/// What a stored value is worth.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// It can be used.
    Fresh,
    /// Its time is over, but nothing invalidated it.
    Stale,
    /// Something it depends on was invalidated, or is not known any more.
    Invalid,
}

/// Judges a value by the epochs there are now. `tag` gives the epoch of the tag at an index of the
/// envelope; one that is missing ends the value, so that losing an epoch cannot bring it back.
#[must_use]
pub fn judge(
    envelope: &Envelope,
    namespace: Option<Epoch>,
    tag: impl Fn(usize) -> Option<Epoch>,
    now: Timestamp,
) -> Freshness {
    let is_current = |stored: Epoch, current: Option<Epoch>| current == Some(stored);
    let valid = is_current(envelope.namespace(), namespace)
        && envelope
            .tags()
            .iter()
            .enumerate()
            .all(|(index, (_, epoch))| is_current(*epoch, tag(index)));
    if !valid {
        Freshness::Invalid
    } else if now < envelope.times().fresh_until {
        Freshness::Fresh
    } else {
        Freshness::Stale
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cache::{Draft, Epochs, Tags, Times};

    #[test]
    fn every_epoch_counts_and_a_missing_one_too() {
        let tags = Tags::new(["a", "b"]).unwrap();
        let epochs = Epochs {
            namespace: Epoch::new(1),
            tags: vec![Epoch::new(2), Epoch::new(3)],
        };
        let times = Times {
            stored_at: Timestamp::from_micros(10),
            fresh_until: Timestamp::from_micros(20),
        };
        let sealed = Draft::new(None, tags.as_slice(), 0, Duration::ZERO).seal(times, &epochs);
        let envelope = Envelope::open(sealed).unwrap();
        let at = |namespace: Option<u64>, tags: [Option<u64>; 2], now| {
            let tag = |index: usize| tags[index].map(Epoch::new);
            judge(
                &envelope,
                namespace.map(Epoch::new),
                tag,
                Timestamp::from_micros(now),
            )
        };
        let current = [Some(2), Some(3)];
        assert_eq!(at(Some(1), current, 19), Freshness::Fresh);
        assert_eq!(at(Some(1), current, 20), Freshness::Stale);
        for (namespace, tags) in [
            (None, current),
            (Some(2), current),
            (Some(0), current),
            (Some(1), [None, Some(3)]),
            (Some(1), [Some(2), Some(4)]),
        ] {
            assert_eq!(at(namespace, tags, 19), Freshness::Invalid);
            assert_eq!(at(namespace, tags, 20), Freshness::Invalid);
        }
    }
}
