//! An answer that may be there already.

use std::{
    fmt,
    future::{Future, Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use crate::error::BackendError;

/// What a backend answers with: at once where it need not wait for anything, or later.
///
/// A backend in this process answers without a future on the heap, and whoever asks it sees that
/// there is nothing to wait for: no deadline is set up then.
///
/// ```
/// use state_core::Answering;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), state_core::BackendError> {
/// assert_eq!(Answering::now(Ok(1)).await?, 1);
/// assert_eq!(Answering::later(async { Ok(2) }).await?, 2);
/// # Ok(())
/// # }
/// ```
pub enum Answering<'a, T> {
    /// It is there.
    Now(Ready<Result<T, BackendError>>),
    /// It has to be waited for. Nothing is done before somebody does.
    Later(Pin<Box<dyn Future<Output = Result<T, BackendError>> + Send + 'a>>),
}

impl<'a, T> Answering<'a, T> {
    /// What is there.
    #[must_use]
    pub fn now(answer: Result<T, BackendError>) -> Self {
        Self::Now(ready(answer))
    }

    /// What has to be waited for.
    #[must_use]
    pub fn later(answer: impl Future<Output = Result<T, BackendError>> + Send + 'a) -> Self {
        Self::Later(Box::pin(answer))
    }
}

impl<T> Future for Answering<'_, T> {
    type Output = Result<T, BackendError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Now(answer) => Pin::new(answer).poll(context),
            Self::Later(answer) => answer.as_mut().poll(context),
        }
    }
}

/// Shows whether it is there, not what it is.
impl<T> fmt::Debug for Answering<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Now(_) => "Now",
            Self::Later(_) => "Later",
        })
    }
}
