//! Errors in words, and where they are said.

use std::{
    fmt::Display,
    io::{self, Write as _},
};

use governance_core::{GovernorError, StoreError};

/// An error and its causes on one line, each thing said once, with the code of the library's error
/// if it is one.
#[must_use]
pub fn words_of(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let more = cause.to_string();
        if text.is_empty() {
            text = more;
        } else if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
    }
    let code = error.chain().find_map(|cause| {
        let governor = cause.downcast_ref().map(GovernorError::code);
        governor.or_else(|| cause.downcast_ref().map(StoreError::code))
    });
    match code {
        Some(code) if !text.contains(code) => format!("{text} ({code})"),
        _ => text,
    }
}

/// Says something beside the story or the service.
pub fn tell(line: impl Display) {
    // Nobody is left to tell if this cannot be written.
    let _ = writeln!(io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use governance_core::StoreErrorKind;

    use super::*;

    #[test]
    fn everything_is_said_once_and_the_code_at_the_end() {
        let store = StoreError::new(StoreErrorKind::Timeout, "load", "no answer")
            .caused_by(io::Error::other("no answer"));
        let error = Err::<(), _>(GovernorError::from(store)).context("line 3");
        assert_eq!(
            words_of(&error.unwrap_err()),
            "line 3: the store failed: load: no answer (store.timeout)"
        );
        assert_eq!(words_of(&anyhow::anyhow!("no luck")), "no luck");
    }
}
