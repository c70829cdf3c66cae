//! One at a time: locks, semaphores and leaders.
