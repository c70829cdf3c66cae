//! A claim that is kept up in the background.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::watch, task::JoinHandle};

use crate::{
    clock::{Clock, Timestamp},
    lock::Released,
    process::{Beat, Claim, ProcessError, Processes},
};

/// A claim with its heartbeats. Dropping it ends them; the claim then runs out by itself.
#[derive(Debug)]
#[must_use = "dropping it ends the heartbeats"]
pub struct Kept {
    processes: Processes,
    claim: Claim,
    valid_until: Arc<AtomicU64>,
    lost: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Kept {
    pub(super) fn begin(processes: Processes, claim: Claim, asked: Timestamp) -> Self {
        let valid_until = asked.saturating_add(claim.lease).as_micros();
        let valid_until = Arc::new(AtomicU64::new(valid_until));
        let (tell, lost) = watch::channel(false);
        let task = tokio::spawn(beat(
            processes.clone(),
            claim.clone(),
            Arc::clone(&valid_until),
            tell,
        ));
        Self {
            processes,
            claim,
            valid_until,
            lost,
            task,
        }
    }

    /// The claim.
    #[must_use]
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Whether the claim certainly lasts, by the local clock.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        let until = Timestamp::from_micros(self.valid_until.load(Ordering::Acquire));
        !*self.lost.borrow() && self.processes.clock().now() < until
    }

    /// Returns when the claim is lost. Whatever is written under it from then on is refused once
    /// somebody else has claimed the process.
    ///
    /// # Cancel safety
    ///
    /// May be dropped and called again at any time.
    pub async fn lost(&self) {
        let mut lost = self.lost.clone();
        // The sender goes with the task, which ends when the claim is lost.
        drop(lost.wait_for(|lost| *lost).await);
    }

    /// Ends the heartbeats and gives the claim back.
    ///
    /// # Errors
    ///
    /// [`ProcessError::Backend`] when the backend does not answer; the claim runs out by itself.
    ///
    /// # Cancel safety
    ///
    /// The heartbeats have ended when the future is dropped; the claim may have been given back.
    pub async fn release(self) -> Result<Released, ProcessError> {
        self.task.abort();
        self.processes.release(&self.claim).await
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn beat(
    processes: Processes,
    claim: Claim,
    valid_until: Arc<AtomicU64>,
    tell: watch::Sender<bool>,
) {
    let clock = Arc::clone(processes.clock());
    let pause = processes.options().heartbeat;
    let until = || Timestamp::from_micros(valid_until.load(Ordering::Acquire));
    loop {
        let next = clock.now().saturating_add(pause).min(until());
        clock.sleep_until(next).await;
        let asked = clock.now();
        let beat = tokio::select! {
            biased;
            beat = processes.heartbeat(&claim) => beat,
            () = clock.sleep_until(until()) => break,
        };
        match beat {
            Ok(Beat::Alive) => {
                let until = asked.saturating_add(claim.lease);
                valid_until.store(until.as_micros(), Ordering::Release);
            }
            Ok(Beat::Lost) => break,
            Err(_) if clock.now() >= until() => break,
            Err(_) => clock.sleep_until(soon(&*clock, pause).min(until())).await,
        }
    }
    tell.send_replace(true);
}

fn soon(clock: &dyn Clock, pause: Duration) -> Timestamp {
    clock.now().saturating_add(pause / 4)
}
