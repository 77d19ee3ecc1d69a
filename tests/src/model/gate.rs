//! A gate in an answer: the model stops there until the test lets it through.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::clock::PATIENCE;
use crate::watch::Watched;

/// Held by a test; see [`super::Reply::wait`]. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    permits: Arc<Semaphore>,
    arrived: Arc<Watched<usize>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self { permits: Arc::new(Semaphore::new(0)), arrived: Arc::new(Watched::new(0)) }
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets one arrival through, present or future.
    pub fn release(&self) {
        self.permits.add_permits(1);
    }

    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.permits.close();
    }

    /// Waits until `count` answers have reached the gate.
    pub fn wait_reached(&self, count: usize) {
        self.wait_reached_for(count, PATIENCE);
    }

    /// As [`Gate::wait_reached`], with a patience of the caller's.
    pub fn wait_reached_for(&self, count: usize, patience: Duration) {
        let reached = self.arrived.wait(patience, |arrived| (*arrived >= count).then_some(()));
        assert!(
            reached.is_some(),
            "{} of {count} answers reached the gate in {patience:?}",
            self.arrived.lock()
        );
    }

    pub(super) async fn pass(&self) {
        self.arrived.change(|arrived| *arrived += 1);
        if let Ok(permit) = self.permits.acquire().await {
            permit.forget();
        }
    }
}
