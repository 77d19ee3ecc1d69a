//! The queue before a session: who was first in it speaks first.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use tokio::sync::{Mutex, OwnedMutexGuard};

/// The head of a session's queue. The next one comes when the last clone is dropped.
#[derive(Debug, Clone)]
pub struct Place {
    _guard: Arc<OwnedMutexGuard<()>>,
}

/// A place in the queue, perhaps not its head yet. Dropping every clone gives it up.
pub type Queued = Shared<BoxFuture<'static, Place>>;

impl Place {
    pub(super) fn new(guard: OwnedMutexGuard<()>) -> Self {
        Self { _guard: Arc::new(guard) }
    }

    /// The same place, for those who wait.
    pub fn queued(self) -> Queued {
        std::future::ready(self).boxed().shared()
    }
}

/// Takes a place at once: whoever calls this later stands behind.
pub(super) fn queue(lock: Arc<Mutex<()>>) -> Queued {
    let place = async move { Place::new(lock.lock_owned().await) };
    let queued = place.boxed().shared();
    // A future stands in the queue only once it was polled.
    let _ = queued.clone().now_or_never();
    queued
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_taken_in_the_order_of_the_calls_and_kept_by_every_clone() {
        let lock = Arc::new(Mutex::new(()));
        let (first, second, third) = (queue(lock.clone()), queue(lock.clone()), queue(lock));
        assert!(third.clone().now_or_never().is_none());
        let place = first.await;
        let kept = place.clone();
        drop(place);
        assert!(second.clone().now_or_never().is_none(), "a clone keeps the place");
        drop(kept);
        assert!(third.clone().now_or_never().is_none(), "the second is before the third");
        drop(second);
        assert!(third.now_or_never().is_some(), "a place that was given up is skipped");
    }
}
