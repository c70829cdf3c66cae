//! Futures that are dropped or left in the middle.

use std::{
    pin::{Pin, pin},
    task::Poll,
};

/// Polls a future so often at most, then drops it where it stands.
pub async fn polls<F: Future>(future: F, left: usize) -> Option<F::Output> {
    some_polls(pin!(future), left).await
}

/// Polls a future so often at most, then leaves it where it stands.
pub async fn some_polls<F: Future>(mut future: Pin<&mut F>, mut left: usize) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.as_mut().poll(context).map(Some)
    })
    .await
}
