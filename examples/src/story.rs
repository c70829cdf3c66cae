//! Prints what happens.

use std::{
    fmt::{Debug, Display},
    io::{self, Write},
    sync::Arc,
};

use anyhow::bail;
use governance_core::{Explanation, GovernorError, MutationRequest, Submission, SubmissionOutcome};

use crate::report::{decision_line, explanation_lines, line_of};

/// Prints a story: chapters, and what happens in them.
#[derive(Debug, Default)]
pub struct Story {
    chapters: u32,
}

impl Story {
    /// Begins a chapter.
    ///
    /// # Errors
    ///
    /// When the story cannot be printed, like everything here.
    pub fn chapter(&mut self, title: impl Display) -> io::Result<()> {
        let gap = if self.chapters == 0 { "" } else { "\n" };
        self.chapters += 1;
        writeln!(io::stdout(), "{gap}{}. {title}", self.chapters)
    }

    /// Says what happens.
    ///
    /// # Errors
    ///
    /// When it cannot be printed.
    pub fn say(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(io::stdout(), "   {text}")
    }

    /// Says where a request stands.
    ///
    /// # Errors
    ///
    /// When it cannot be printed.
    pub fn shows(&mut self, what: impl Display, request: &MutationRequest) -> io::Result<()> {
        self.say(format_args!("{what}: {}", line_of(request)))
    }

    /// Lists requests: what each is for and where it stands.
    ///
    /// # Errors
    ///
    /// When they cannot be printed.
    pub fn lists<'a>(
        &mut self,
        requests: impl IntoIterator<Item = &'a Arc<MutationRequest>>,
    ) -> io::Result<()> {
        for request in requests {
            let scope = request.proposal().scope();
            let intent = request.proposal().intent();
            let what = intent.description().unwrap_or(intent.operation().as_str());
            self.shows(format_args!("- {}, {what}", scope.state_id), request)?;
        }
        Ok(())
    }

    /// Says what policies said to a submission.
    ///
    /// # Errors
    ///
    /// When it cannot be printed.
    pub fn submitted(&mut self, what: impl Display, submission: &Submission) -> io::Result<()> {
        let again = if submission.is_replayed() {
            " (the request of before)"
        } else {
            ""
        };
        self.shows(format_args!("{what}{again}"), submission.request())?;
        if let SubmissionOutcome::Denied { reasons } = submission.outcome() {
            for reason in reasons {
                self.say(format_args!("  denied: {reason}"))?;
            }
        }
        Ok(())
    }

    /// Says that something was refused, which it has to be for the story to go on: with this code
    /// and no other.
    ///
    /// # Errors
    ///
    /// When it was not refused, or for another reason; when it cannot be printed.
    pub fn refused<T: Debug>(
        &mut self,
        what: impl Display,
        code: &str,
        outcome: Result<T, GovernorError>,
    ) -> anyhow::Result<()> {
        match outcome {
            Err(error) if error.code() == code => {
                self.say(format_args!("{what}: refused, {code} ({error})"))?;
                Ok(())
            }
            Err(error) => {
                let text = format!("{what}: should be refused with {code}");
                Err(anyhow::Error::new(error).context(text))
            }
            Ok(done) => bail!("{what}: should be refused with {code}, but was done: {done:?}"),
        }
    }

    /// Tells the whole history of a request, after checking that it is what was recorded.
    ///
    /// # Errors
    ///
    /// When the history does not verify or cannot be printed.
    pub fn history(&mut self, request: &MutationRequest) -> anyhow::Result<()> {
        request.verify_history()?;
        for decision in request.decisions() {
            self.say(decision_line(decision))?;
        }
        Ok(())
    }

    /// Tells why a request waits and who can do something about it.
    ///
    /// # Errors
    ///
    /// When it cannot be printed.
    pub fn explains(&mut self, explanation: &Explanation) -> io::Result<()> {
        for line in explanation_lines(explanation) {
            self.say(line)?;
        }
        Ok(())
    }
}
