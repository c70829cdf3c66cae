//! What is locked, and how.

use std::{fmt, sync::Arc};

/// Which family of names a target belongs to. Equal names in two realms are two locks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Realm {
    /// Locks of the application.
    Lock,
    /// Leadership.
    Leader,
}

impl Realm {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Leader => "leader",
        }
    }
}

/// How a target is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// By one holder.
    Exclusive,
    /// By any number of readers, while there is no writer.
    Read,
    /// By one writer, while there are no readers.
    Write,
    /// By as many holders as there are permits.
    Permit {
        /// How many permits there are.
        of: u32,
    },
}

/// What is locked, and how: checked names.
///
/// An exclusive lock, a lock for reading and writing, and a semaphore of the same name do not know
/// of each other. `Debug` does not show the names, which may come from users.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Target {
    realm: Realm,
    mode: Mode,
    scope: Arc<str>,
    names: Arc<[Arc<str>]>,
}

/// Why a target cannot be locked.
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    /// A name is empty or too long.
    #[error(
        "the name of a lock is 1 to {} bytes long, not {bytes}",
        Target::MAX_NAME_BYTES
    )]
    Name {
        /// How long it is.
        bytes: usize,
    },
    /// Nothing is named, or too much.
    #[error(
        "1 to {} names can be locked at a time, not {names}",
        Target::MAX_NAMES
    )]
    Names {
        /// How many there are.
        names: usize,
    },
    /// A semaphore without permits, or with too many.
    #[error("a semaphore has 1 to {} permits, not {permits}", Target::MAX_PERMITS)]
    Permits {
        /// How many were asked for.
        permits: u32,
    },
}

impl InvalidTarget {
    /// Stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Name { .. } => "lock.invalid_name",
            Self::Names { .. } => "lock.invalid_names",
            Self::Permits { .. } => "lock.invalid_permits",
        }
    }
}

impl Target {
    /// Longest name in bytes.
    pub const MAX_NAME_BYTES: usize = 512;
    /// Most names locked at a time.
    pub const MAX_NAMES: usize = 32;
    /// Most permits of a semaphore.
    pub const MAX_PERMITS: u32 = 1_024;

    /// One name by itself.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`].
    pub fn one(realm: Realm, mode: Mode, name: &str) -> Result<Self, InvalidTarget> {
        if let Mode::Permit { of } = mode
            && !(1..=Self::MAX_PERMITS).contains(&of)
        {
            return Err(InvalidTarget::Permits { permits: of });
        }
        Ok(Self {
            realm,
            mode,
            scope: checked(name)?,
            names: Arc::default(),
        })
    }

    /// Several names of one scope, all or none. The order and repetitions of the names do not
    /// matter.
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`].
    pub fn many<N: AsRef<str>>(
        scope: &str,
        names: impl IntoIterator<Item = N>,
    ) -> Result<Self, InvalidTarget> {
        let names: Result<Vec<_>, _> = names
            .into_iter()
            .take(Self::MAX_NAMES * 4)
            .map(|name| checked(name.as_ref()))
            .collect();
        let mut names = names?;
        names.sort_unstable();
        names.dedup();
        if !(1..=Self::MAX_NAMES).contains(&names.len()) {
            return Err(InvalidTarget::Names { names: names.len() });
        }
        Ok(Self {
            realm: Realm::Lock,
            mode: Mode::Exclusive,
            scope: checked(scope)?,
            names: names.into(),
        })
    }

    /// The family of names.
    #[must_use]
    pub const fn realm(&self) -> Realm {
        self.realm
    }

    /// How it is locked.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The name, or the scope of several.
    #[must_use]
    pub fn scope(&self) -> &str {
        &self.scope
    }

    /// The names within the scope, in order; none for a target with one name.
    #[must_use]
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }
}

fn checked(name: &str) -> Result<Arc<str>, InvalidTarget> {
    if (1..=Target::MAX_NAME_BYTES).contains(&name.len()) {
        Ok(name.into())
    } else {
        Err(InvalidTarget::Name { bytes: name.len() })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target")
            .field("realm", &self.realm)
            .field("mode", &self.mode)
            .field("names", &self.names.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_a_set() {
        let target = Target::many("s", ["b", "a", "b"]).unwrap();
        assert_eq!(target.names().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(target, Target::many("s", ["a", "b"]).unwrap());
    }

    #[test]
    fn bounds_are_checked() {
        let long = "x".repeat(Target::MAX_NAME_BYTES + 1);
        let one =
            |mode, name: &str| Target::one(Realm::Lock, mode, name).map_err(InvalidTarget::code);
        assert_eq!(one(Mode::Exclusive, ""), Err("lock.invalid_name"));
        assert_eq!(one(Mode::Exclusive, &long), Err("lock.invalid_name"));
        assert_eq!(
            one(Mode::Permit { of: 0 }, "x"),
            Err("lock.invalid_permits")
        );
        assert_eq!(
            one(Mode::Permit { of: 1_025 }, "x"),
            Err("lock.invalid_permits")
        );
        let none = Target::many("s", [""; 0]).map_err(InvalidTarget::code);
        assert_eq!(none, Err("lock.invalid_names"));
        let many = (0..33).map(|number| number.to_string());
        assert_eq!(
            Target::many("s", many).map_err(InvalidTarget::code),
            Err("lock.invalid_names")
        );
    }

    #[test]
    fn debug_shows_no_name() {
        let target = Target::many("hunter2", ["hunter2"]).unwrap();
        assert!(!format!("{target:?}").contains("hunter2"));
    }
}
