//! Numbers of variable length.

/// Seven bits a byte, the low ones first; the highest bit says that more follow.
pub(crate) fn write_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

pub(crate) fn read_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_number_round_trips(number: u64, short in 0_u64..300) {
            for number in [number, short, u64::MAX] {
                let mut bytes = Vec::new();
                write_number(&mut bytes, number);
                let mut rest = bytes.as_slice();
                prop_assert_eq!(read_number(&mut rest), Some(number));
                prop_assert!(rest.is_empty());
            }
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(read_number(&mut &[0x80_u8][..]), None);
        assert_eq!(read_number(&mut &[0xff_u8; 10][..]), None);
    }
}
