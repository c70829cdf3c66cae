//! What can go wrong when things are put together.

use std::error::Error;

/// The error of a provider.
pub type BoxError = Box<dyn Error + Send + Sync>;

/// Why modules do not fit together. Found before anything is built.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WiringError {
    /// Two modules have one name.
    #[error("there are two modules of the name {module}")]
    DuplicateModule {
        /// The name.
        module: String,
    },
    /// A token is provided twice.
    #[error("{token} is provided by {first} and by {second}")]
    DuplicateToken {
        /// The token.
        token: String,
        /// The module that was first.
        first: String,
        /// The module that was second.
        second: String,
    },
    /// A module imports one that is not there.
    #[error("{module} imports {import}, which is not there")]
    UnknownImport {
        /// The module.
        module: String,
        /// What it imports.
        import: String,
    },
    /// Modules import each other in a circle.
    #[error("modules import each other: {}", .circle.join(" -> "))]
    ImportCycle {
        /// The circle.
        circle: Vec<String>,
    },
    /// A module exports what it does not provide.
    #[error("{module} exports {token}, which it does not provide")]
    UnknownExport {
        /// The module.
        module: String,
        /// The token.
        token: String,
    },
}

impl WiringError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::DuplicateModule { .. } => "wiring.duplicate_module",
            Self::DuplicateToken { .. } => "wiring.duplicate_token",
            Self::UnknownImport { .. } => "wiring.unknown_import",
            Self::ImportCycle { .. } => "wiring.import_cycle",
            Self::UnknownExport { .. } => "wiring.unknown_export",
        }
    }
}

/// Why a token was not resolved.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing provides it.
    #[error("nothing provides {token}")]
    Unknown {
        /// The token.
        token: String,
    },
    /// It is provided, but not exported to whoever asks.
    #[error("{token} is not visible to {module}")]
    NotVisible {
        /// The token.
        token: String,
        /// Who asks.
        module: String,
    },
    /// It is provided as another type.
    #[error("{token} is a {provided}, not a {wanted}")]
    WrongType {
        /// The token.
        token: String,
        /// The type it is provided as.
        provided: &'static str,
        /// The type it was asked for as.
        wanted: &'static str,
    },
    /// Building it needs it.
    #[error("building needs itself: {}", .circle.join(" -> "))]
    Cycle {
        /// The circle of tokens.
        circle: Vec<String>,
    },
    /// It could not be built. It is tried again when it is asked for again.
    #[error("{token} could not be built")]
    Build {
        /// The token.
        token: String,
        /// Why.
        source: BoxError,
    },
    /// Everything is being closed.
    #[error("{token} was asked for after the end")]
    Closed {
        /// The token.
        token: String,
    },
}

impl ResolveError {
    /// Stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unknown { .. } => "resolve.unknown",
            Self::NotVisible { .. } => "resolve.not_visible",
            Self::WrongType { .. } => "resolve.wrong_type",
            Self::Cycle { .. } => "resolve.cycle",
            Self::Build { .. } => "resolve.build",
            Self::Closed { .. } => "resolve.closed",
        }
    }
}
