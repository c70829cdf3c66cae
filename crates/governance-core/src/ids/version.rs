//! Counters that decide races.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! counter_type {
    ($(#[$doc:meta])* $name:ident, $(#[$start_doc:meta])* $start:ident = $value:literal) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            $(#[$start_doc])*
            pub const $start: Self = Self($value);

            /// From its number.
            #[must_use]
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// The one after this.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter_type!(
    /// How often a request was written. The first stored form has revision 1; every write that
    /// succeeds adds one, and a write made from another revision is refused.
    Revision,
    /// Revision of a request as it is created.
    FIRST = 1
);

counter_type!(
    /// The version of a governed state, counted by the store.
    ///
    /// [`StateVersion::ABSENT`] is the version of a state that was never written. Every write and
    /// every delete adds one, so a version never comes back: a state that was deleted and written
    /// again cannot be mistaken for the one that was approved.
    StateVersion,
    /// The version before the first write.
    ABSENT = 0
);
