//! A value that one thread changes and others wait for.
//!
//! The tests' only way to wait: the waiter sleeps on a condition, is woken by the change
//! and gives up at a deadline. Waiting has no lost wake-ups, since the condition is
//! looked at under the lock.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Deadline;

/// A watched value.
#[derive(Debug, Default)]
pub struct Watched<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Watched<T> {
    /// Starts with `value`.
    pub fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// Looks at the value, or changes it without waking anybody.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value and wakes everybody who waits.
    pub fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `pick` finds what it looks for; `None` after `patience`.
    pub fn wait<R>(
        &self,
        patience: Duration,
        mut pick: impl FnMut(&mut T) -> Option<R>,
    ) -> Option<R> {
        let deadline = Deadline::after(patience);
        let mut value = self.lock();
        loop {
            if let Some(found) = pick(&mut value) {
                return Some(found);
            }
            let left = deadline.left()?;
            value =
                self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
