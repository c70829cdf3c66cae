//! Patterns with `*` and `?`, as policies write them.

/// Whether everything the pattern `narrow` matches is matched by `wide` too.
///
/// Errs on the safe side: where it cannot tell, it says no. A wildcard of `narrow` is only
/// covered by a `*` of `wide`, or by the same wildcard.
pub(crate) fn covers(wide: &str, narrow: &str) -> bool {
    let (wide, narrow) = (wide.as_bytes(), narrow.as_bytes());
    let (mut at, mut next) = (0, 0);
    // Where the last `*` of `wide` was, and how much of `narrow` it has taken.
    let mut star: Option<(usize, usize)> = None;
    while next < narrow.len() {
        match wide.get(at) {
            Some(b'*') => {
                star = Some((at, next));
                at += 1;
            }
            Some(b'?') if narrow[next] != b'*' => {
                at += 1;
                next += 1;
            }
            Some(byte) if *byte != b'?' && *byte == narrow[next] => {
                at += 1;
                next += 1;
            }
            _ => match star {
                Some((place, taken)) => {
                    star = Some((place, taken + 1));
                    at = place + 1;
                    next = taken + 1;
                }
                None => return false,
            },
        }
    }
    wide[at..].iter().all(|byte| *byte == b'*')
}

/// Whether the text has a wildcard.
pub(crate) fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wider_pattern_covers_a_narrower_one() {
        for (wide, narrow) in [
            ("*", ""),
            ("*", "s3:get*"),
            ("s3:*", "s3:get?"),
            ("s3:get*", "s3:getobject"),
            ("s3:*object", "s3:getobject"),
            ("a*b*c", "a-b-b-c"),
            ("a?c", "abc"),
            ("a?c", "a?c"),
            ("same", "same"),
        ] {
            assert!(covers(wide, narrow), "{wide} covers {narrow}");
        }
    }

    #[test]
    fn a_narrower_pattern_does_not_cover_a_wider_one() {
        for (wide, narrow) in [
            ("s3:get*", "s3:*"),
            ("a?c", "a*c"),
            ("a?c", "ac"),
            ("", "a"),
            ("s3:getobject", "s3:getobjects"),
            ("a*b*c", "a-c"),
        ] {
            assert!(!covers(wide, narrow), "{wide} does not cover {narrow}");
        }
    }
}
