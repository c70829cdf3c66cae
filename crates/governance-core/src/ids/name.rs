//! Validated text identifiers.

use std::{borrow::Borrow, fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use smol_str::SmolStr;

/// A text identifier that was refused.
///
/// Carries what kind of identifier it was and why, never the rejected text itself, which may be
/// of any size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidName {
    what: &'static str,
    problem: NameProblem,
}

impl InvalidName {
    /// The kind of identifier, for example `state id`.
    #[must_use]
    pub const fn what(&self) -> &'static str {
        self.what
    }

    /// Stable code of the rule that was broken.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self.problem {
            NameProblem::Blank => "name.blank",
            NameProblem::TooLong { .. } => "name.too_long",
            NameProblem::Unprintable => "name.unprintable",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum NameProblem {
    #[error("is blank")]
    Blank,
    #[error("is {actual} bytes long, at most {limit} are allowed")]
    TooLong { actual: usize, limit: usize },
    #[error("has a control or invisible character, or a space at an end")]
    Unprintable,
}

/// Characters that do not show: two names that differ only in them look the same in an audit.
pub(crate) const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// Whether the text is what nearly all names are: letters, digits and signs that everybody sees.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn check(what: &'static str, text: &str, limit: usize) -> Result<(), InvalidName> {
    if is_plain(text) && text.len() <= limit {
        return Ok(());
    }
    let problem = if text.trim().is_empty() {
        NameProblem::Blank
    } else if text.len() > limit {
        NameProblem::TooLong {
            actual: text.len(),
            limit,
        }
    } else if text.trim().len() != text.len()
        || text.chars().any(|c| c.is_control() || is_invisible(c))
    {
        NameProblem::Unprintable
    } else {
        return Ok(());
    };
    Err(InvalidName { what, problem })
}

/// A name whose text others may keep without copying it.
pub(crate) trait Shared {
    fn shared(&self) -> SmolStr;
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $limit:literal) => {
        $(#[$doc])*
        ///
        #[doc = concat!("At most ", stringify!($limit), " bytes, not blank, no control or ")]
        /// invisible characters, no space at either end. Compared byte for byte. Cloning is cheap:
        /// most names are as short as to be kept in place, longer ones are shared.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(SmolStr);

        impl $name {
            /// Longest accepted text in bytes.
            pub const MAX_BYTES: usize = $limit;

            /// Checks the text and makes the identifier.
            ///
            /// # Errors
            ///
            /// [`InvalidName`] when the text is blank, too long or unprintable.
            pub fn new(text: impl AsRef<str>) -> Result<Self, InvalidName> {
                let text = text.as_ref();
                check($what, text, Self::MAX_BYTES)?;
                Ok(Self(text.into()))
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({:?})", stringify!($name), &*self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        // A name compares and hashes like its text.
        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl $crate::ids::Shared for $name {
            fn shared(&self) -> SmolStr {
                self.0.clone()
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<&str> for $name {
            type Error = InvalidName;

            fn try_from(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("the text of a ", $what))
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        $name::new(text).map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }
    };
}

name_type!(
    /// A tenant. Every request, state and query belongs to exactly one.
    TenantId, "tenant id", 128
);
name_type!(
    /// The id of one governed state, unique within its tenant and [`StateType`].
    StateId, "state id", 512
);
name_type!(
    /// The stable name of a kind of governed state.
    StateType, "state type", 128
);
name_type!(
    /// The stable name of a kind of mutation.
    MutationType, "mutation type", 128
);
name_type!(
    /// A person, service or system that acts.
    ActorId, "actor id", 256
);
name_type!(
    /// A role, as the directory names it.
    Role, "role", 128
);
name_type!(
    /// A group or team, as the directory names it.
    Group, "group", 128
);
name_type!(
    /// The id of one approval requirement, unique within its request.
    RequirementId, "requirement id", 128
);
name_type!(
    /// A caller's own key for a submission: the same key twice returns the first request.
    IdempotencyKey, "idempotency key", 256
);
name_type!(
    /// Ties together what belongs to one piece of work across systems.
    CorrelationId, "correlation id", 256
);
name_type!(
    /// A short name without an identity of its own: an operation, category, tag, code or policy.
    Label, "label", 128
);

impl Label {
    /// A label the library itself uses. Only for texts that are valid.
    pub(crate) fn literal(text: &'static str) -> Self {
        debug_assert!(check("label", text, Self::MAX_BYTES).is_ok(), "{text}");
        Self(text.into())
    }
}

impl Default for TenantId {
    /// The tenant of programs that have only one, named `default`.
    fn default() -> Self {
        Self("default".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_ordinary_text_and_keeps_it() {
        for text in ["alice", "arn:aws:iam::aws:policy/X", "größe", "a b", "{x}"] {
            assert_eq!(StateId::new(text).unwrap().as_str(), text);
        }
    }

    #[test]
    fn refuses_blank_long_and_invisible_text() {
        for (text, code) in [
            ("", "name.blank"),
            (" \t", "name.blank"),
            (" a", "name.unprintable"),
            ("a\u{200b}b", "name.unprintable"),
            ("a\nb", "name.unprintable"),
        ] {
            assert_eq!(ActorId::new(text).unwrap_err().code(), code, "{text:?}");
        }
        let long = "x".repeat(ActorId::MAX_BYTES + 1);
        assert_eq!(ActorId::new(&long).unwrap_err().code(), "name.too_long");
        assert!(ActorId::new(&long[1..]).is_ok());
    }

    #[test]
    fn a_stored_name_is_checked_again() {
        assert!(serde_json::from_str::<ActorId>("\"\"").is_err());
        let name: ActorId = serde_json::from_str("\"bob\"").unwrap();
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"bob\"");
    }
}
