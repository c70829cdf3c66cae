//! Invalidations that have to be made again.

use std::{
    collections::VecDeque,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;

use super::{inner::Inner, write::Task};
use crate::cache::CacheError;

/// Pauses between attempts: they double up to a limit.
#[derive(Debug)]
pub(super) struct Pauses(Duration);

impl Pauses {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(5);

    pub(super) const fn new() -> Self {
        Self(Self::FIRST)
    }

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LONGEST);
        pause
    }
}

/// The queue of [`Consistency::Eventual`](crate::cache::Consistency).
#[derive(Debug)]
pub(super) struct Retries {
    queue: Mutex<Queue>,
    capacity: usize,
}

#[derive(Debug, Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// Whether a task is being done: it is not in the list then, as the same may have to be done
    /// again after it.
    busy: bool,
    working: bool,
}

impl Retries {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            queue: Mutex::default(),
            capacity,
        }
    }
}

impl Inner {
    /// Queues a task. One that is queued already counts once.
    pub(super) fn queue(self: &Arc<Self>, task: Task) -> Result<(), CacheError> {
        let mut queue = self.retries.queue.lock();
        if !queue.tasks.contains(&task) {
            if queue.tasks.len() + usize::from(queue.busy) >= self.retries.capacity {
                return Err(CacheError::QueueFull);
            }
            queue.tasks.push_back(task);
        }
        if !queue.working {
            queue.working = true;
            tokio::spawn(work(Arc::downgrade(self)));
        }
        Ok(())
    }

    /// How many invalidations wait to be made again.
    pub(super) fn queued(&self) -> usize {
        let queue = self.retries.queue.lock();
        queue.tasks.len() + usize::from(queue.busy)
    }

    /// Does the first task. None when there is none.
    async fn work_once(&self) -> Option<Result<(), ()>> {
        let mut task = {
            let mut queue = self.retries.queue.lock();
            let task = queue.tasks.pop_front();
            queue.working = task.is_some();
            queue.busy = task.is_some();
            task?
        };
        let (again, outcome) = match self.attempt(&mut task).await {
            Ok(_) => (false, "done"),
            Err(error) => (error.is_retryable(), error.code()),
        };
        self.observe("retry", outcome, None);
        let mut queue = self.retries.queue.lock();
        queue.busy = false;
        if again && !queue.tasks.contains(&task) {
            queue.tasks.push_front(task);
        }
        Some(if again { Err(()) } else { Ok(()) })
    }
}

/// Works on the queue until it is empty or the cache is gone.
async fn work(inner: Weak<Inner>) {
    let mut pauses = Pauses::new();
    loop {
        let Some(strong) = inner.upgrade() else {
            return;
        };
        match strong.work_once().await {
            None => return,
            Some(Ok(())) => pauses = Pauses::new(),
            Some(Err(())) => {
                let clock = Arc::clone(&strong.clock);
                drop(strong);
                let pause = pauses.next();
                clock.sleep_until(clock.now().saturating_add(pause)).await;
            }
        }
    }
}
