//! What to do about an error, for whoever passes it on.

use super::GovernorError;
use crate::{
    request::PayloadError,
    store::{StoreError, StoreErrorKind},
};

/// What is to be done about a [`GovernorError`]: what a program needs to choose a status, an alarm
/// or another try, without a list of all errors.
///
/// ```
/// use governance_core::{GovernorError, Remedy};
///
/// /// The status of an answer over HTTP.
/// fn status(error: &GovernorError) -> u16 {
///     match (error, error.remedy()) {
///         (GovernorError::NotFound { .. }, _) => 404,
///         (GovernorError::Unauthorized { .. } | GovernorError::ExecutorBarred { .. }, _) => 403,
///         (GovernorError::Request(_) | GovernorError::KeyReused { .. }, _) => 409,
///         (_, Remedy::TellCaller) => 422,
///         (_, Remedy::TryLater | Remedy::RepeatOperation) => 503,
///         _ => 500,
///     }
/// }
/// assert_eq!(status(&GovernorError::AllTenants), 500);
/// ```
#[non_exhaustive]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Remedy {
    /// The caller asked for what cannot be. Nothing was changed, but that what is overdue has
    /// expired; tell the caller.
    TellCaller,
    /// Policies or the set-up are wrong. Nothing was changed; mend the program.
    MendProgram,
    /// It may work later. Nothing was changed; try again then.
    TryLater,
    /// Whether something was changed is not known. Repeat the call under the operation id that
    /// the error names.
    RepeatOperation,
    /// What is stored is not what this program expects. Stop and look.
    Investigate,
}

impl Remedy {
    /// Every remedy.
    pub const ALL: [Self; 5] = [
        Self::TellCaller,
        Self::MendProgram,
        Self::TryLater,
        Self::RepeatOperation,
        Self::Investigate,
    ];

    /// The stable name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TellCaller => "tell_caller",
            Self::MendProgram => "mend_program",
            Self::TryLater => "try_later",
            Self::RepeatOperation => "repeat_operation",
            Self::Investigate => "investigate",
        }
    }

    const fn of_store(error: &StoreError) -> Self {
        match error.kind() {
            StoreErrorKind::InvalidInput
            | StoreErrorKind::TooLarge
            | StoreErrorKind::Expired
            | StoreErrorKind::NotFound => Self::TellCaller,
            StoreErrorKind::Unavailable
            | StoreErrorKind::Timeout
            | StoreErrorKind::Conflict
            | StoreErrorKind::AlreadyExists => Self::TryLater,
            StoreErrorKind::Denied => Self::MendProgram,
            StoreErrorKind::Corrupt | StoreErrorKind::Unexpected => Self::Investigate,
        }
    }
}

impl std::fmt::Display for Remedy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl GovernorError {
    /// What is to be done about it.
    #[must_use]
    pub const fn remedy(&self) -> Remedy {
        match self {
            Self::NotFound { .. }
            | Self::Unauthorized { .. }
            | Self::ExecutorBarred { .. }
            | Self::Request(_)
            | Self::Reason(_)
            | Self::Name(_)
            | Self::Invalid(_)
            | Self::TooLarge(_)
            | Self::TooDeep { .. }
            | Self::KeyReused { .. }
            | Self::OperationReused { .. }
            | Self::Page(_)
            | Self::Filter(_) => Remedy::TellCaller,
            Self::UnknownMutation { .. }
            | Self::Unsatisfiable { .. }
            | Self::PolicyConflict(_)
            | Self::OtherTenant { .. }
            | Self::AllTenants => Remedy::MendProgram,
            Self::PolicyDenied { .. }
            | Self::PolicyUnavailable { .. }
            | Self::Port(_)
            | Self::Contended { .. } => Remedy::TryLater,
            Self::Unknown { .. } => Remedy::RepeatOperation,
            // Its type is at fault: nothing of it is stored yet.
            Self::Payload {
                source: PayloadError::Encode(_) | PayloadError::UnreadField,
                ..
            } => Remedy::MendProgram,
            Self::Upgrade(_)
            | Self::Payload { .. }
            | Self::IntentChanged { .. }
            | Self::Tampered { .. } => Remedy::Investigate,
            Self::Store(error) => Remedy::of_store(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ids::OperationId, request::RequestError, store::WriteCertainty};

    fn failed(kind: StoreErrorKind) -> GovernorError {
        GovernorError::from(StoreError::new(kind, "load", "no answer"))
    }

    #[test]
    fn a_store_that_is_away_is_no_fault_of_the_caller() {
        for (kind, remedy) in [
            (StoreErrorKind::Unavailable, Remedy::TryLater),
            (StoreErrorKind::Timeout, Remedy::TryLater),
            (StoreErrorKind::Conflict, Remedy::TryLater),
            (StoreErrorKind::AlreadyExists, Remedy::TryLater),
            (StoreErrorKind::InvalidInput, Remedy::TellCaller),
            (StoreErrorKind::TooLarge, Remedy::TellCaller),
            (StoreErrorKind::Expired, Remedy::TellCaller),
            (StoreErrorKind::NotFound, Remedy::TellCaller),
            (StoreErrorKind::Denied, Remedy::MendProgram),
            (StoreErrorKind::Corrupt, Remedy::Investigate),
            (StoreErrorKind::Unexpected, Remedy::Investigate),
        ] {
            assert_eq!(failed(kind).remedy(), remedy, "{kind:?}");
        }
    }

    #[test]
    fn what_may_have_been_written_is_repeated_whatever_the_store_said() {
        let lost = StoreError::new(StoreErrorKind::Unavailable, "put", "the answer is lost")
            .with_outcome(WriteCertainty::Unknown);
        let error = GovernorError::of_write(lost, OperationId::random());
        assert_eq!(error.remedy(), Remedy::RepeatOperation);
    }

    #[test]
    fn refusals_are_for_the_caller_and_set_up_is_for_the_program() {
        let refused = GovernorError::from(RequestError::NotDue);
        assert_eq!(refused.remedy(), Remedy::TellCaller);
        let mutation = "flags.set".to_owned();
        let unknown = GovernorError::UnknownMutation { mutation };
        assert_eq!(unknown.remedy(), Remedy::MendProgram);
    }

    #[test]
    fn one_line_tells_what_the_store_said() {
        assert_eq!(
            failed(StoreErrorKind::Timeout).to_string(),
            "the store failed: load: no answer"
        );
    }
}
