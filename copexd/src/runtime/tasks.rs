//! SEAM: the only place that spawns. Every task has a name, is tracked, and is told when
//! the daemon stops.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Spawns and tracks tasks. Clones share one tracker.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
}

impl Tasks {
    /// Runs a future as a task of its own.
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.tracker.spawn(future.instrument(tracing::debug_span!("task", name)))
    }

    /// Fires when the daemon stops.
    pub fn stopping(&self) -> CancellationToken {
        self.stopping.clone()
    }

    /// The tracker itself, for code that brings its own spawning.
    pub fn tracker(&self) -> TaskTracker {
        self.tracker.clone()
    }

    /// Tells every task to stop and waits for them, `most` long. Returns how many did not
    /// end in time.
    pub async fn stop(&self, most: Duration) -> usize {
        self.stopping.cancel();
        self.tracker.close();
        // What is left after that long is told to the log by the caller.
        let _ = tokio::time::timeout(most, self.tracker.wait()).await;
        self.tracker.len()
    }
}
