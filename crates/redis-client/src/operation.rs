//! What a caller does, named.

use crate::access::Access;

/// The name of an operation and whether it may change data.
///
/// The name is a constant of the program: it labels errors, spans and metrics, which must not carry
/// keys or values.
///
/// # Examples
///
/// ```
/// use redis_client::{Access, Operation};
///
/// const LOAD: Operation = Operation::read("load");
/// assert_eq!((LOAD.name(), LOAD.access()), ("load", Access::Read));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Operation {
    name: &'static str,
    access: Access,
}

impl Operation {
    /// An operation that changes nothing.
    #[must_use]
    pub const fn read(name: &'static str) -> Self {
        Self {
            name,
            access: Access::Read,
        }
    }

    /// An operation that may change data.
    #[must_use]
    pub const fn write(name: &'static str) -> Self {
        Self {
            name,
            access: Access::Write,
        }
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    /// Whether it may change data.
    #[must_use]
    pub const fn access(self) -> Access {
        self.access
    }
}
