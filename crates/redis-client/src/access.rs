//! What a command does, as far as repeating it is concerned.

/// Whether a command may change data.
///
/// It decides which timeout applies, whether the client may send the command again, and whether a
/// lost reply leaves the outcome unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Access {
    /// Changes nothing: sent again after any trouble that may pass.
    Read,
    /// May change data: sent again only when it certainly was not applied.
    Write,
}

impl Access {
    /// Stable lower-case name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}
