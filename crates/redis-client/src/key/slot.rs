//! The hash slot of a key.

use std::ops::Range;

/// How many hash slots a cluster has.
pub const SLOTS: u16 = 16_384;

/// The hash slot of a key: CRC16 of its hash tag, or of the whole key when it has none.
///
/// # Examples
///
/// ```
/// use redis_client::slot;
///
/// assert_eq!(slot("foo"), 12_182);
/// assert_eq!(slot("app:{user}:a"), slot("{user}"));
/// ```
#[must_use]
pub fn slot(key: impl AsRef<[u8]>) -> u16 {
    let key = key.as_ref();
    let tag = tag_of(key).map_or(key, |range| &key[range]);
    crc16(tag) % SLOTS
}

/// The text between the first `{` and the next `}`, unless it is empty.
fn tag_of(key: &[u8]) -> Option<Range<usize>> {
    let open = key.iter().position(|&byte| byte == b'{')? + 1;
    let len = key[open..].iter().position(|&byte| byte == b'}')?;
    (len > 0).then_some(open..open + len)
}

/// The slot all keys share. `Err` when they do not, `Ok(None)` when there is no key.
pub(crate) fn common_slot<'a>(
    keys: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Option<u16>, CrossSlot> {
    let mut common = None;
    for key in keys {
        let this = slot(key);
        if *common.get_or_insert(this) != this {
            return Err(CrossSlot);
        }
    }
    Ok(common)
}

/// The keys lie in different slots.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CrossSlot;

/// CRC16 of the XMODEM family, as the cluster specification has it.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, &byte| {
        let index = usize::from((crc >> 8) as u8 ^ byte);
        (crc << 8) ^ TABLE[index]
    })
}

const TABLE: [u16; 256] = {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        for (key, expected) in [
            ("", 0),
            ("foo", 12_182),
            ("bar", 5_061),
            ("hello", 866),
            ("123456789", 12_739),
            ("user1000", 3_443),
            ("{user1000}.following", 3_443),
            ("{user1000}.followers", 3_443),
            ("a{foo}b", 12_182),
            ("{{foo}}zap", slot("{foo")),
            ("foo{bar}{zap}", 5_061),
        ] {
            assert_eq!(slot(key), expected, "{key}");
        }
        assert_ne!(slot("foo{}{bar}"), slot("bar"), "an empty tag is no tag");
        assert_ne!(slot("foo{bar"), slot("bar"), "an open brace is no tag");
    }

    #[test]
    fn keys_share_a_slot_or_not() {
        let none: [&[u8]; 0] = [];
        assert_eq!(common_slot(none), Ok(None));
        assert_eq!(common_slot([&b"{a}1"[..], b"{a}2"]), Ok(Some(slot("a"))));
        assert_eq!(common_slot([&b"{a}1"[..], b"{b}1"]), Err(CrossSlot));
    }
}
