//! Waiting without fixed sleeps.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep};

/// How long anything may take before a test gives up. Generous: a slow machine is not a failure.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks again until there is an answer, at most [`PATIENCE`].
///
/// # Panics
///
/// When there is none in time, with `what` was waited for.
pub async fn poll_until<T, F, R>(what: &str, mut ask: F) -> T
where
    F: FnMut() -> R,
    R: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain: {what}"
        );
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
