//! Following a run: replay from a number on, then live, to the end.

use std::sync::Arc;
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::health::EventsResponse;
use copex_proto::id::{RunId, Seq};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::log::{Encoded, RunLog, Visible};
use super::registry::{Command, Live};
use super::{Engine, store_error};

/// Events that one `run.events` gives at most.
pub const MOST_EVENTS: u32 = 4_096;

/// How long one `run.events` waits at most, in milliseconds.
pub const MOST_WAIT: u64 = 60_000;

/// Events taken from the log at once.
const BATCH: usize = 256;

/// How long a foreground run goes on without its client: time to reconnect.
const REATTACH: Duration = Duration::from_secs(5);

/// Follows one run.
pub struct Watcher {
    log: Arc<RunLog>,
    visible: watch::Receiver<Visible>,
    after: Seq,
    /// Counts it, for [`Engine::drained`].
    _watching: TaskTrackerToken,
}

impl Watcher {
    /// The next events, at least one; nothing once the terminal one was given.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next(&mut self) -> Result<Option<Vec<Encoded>>, ErrorInfo> {
        loop {
            let visible = *self.visible.borrow_and_update();
            if visible.last > self.after {
                let log = self.log.clone();
                let events = log.read(self.after, BATCH).map_err(|error| store_error(&error))?;
                if let Some((seq, _)) = events.last() {
                    self.after = *seq;
                    return Ok(Some(events));
                }
                let message = format!("the log ends before event {}", visible.last);
                return Err(ErrorInfo::new(ErrorClass::Store, message));
            }
            if visible.ended || self.visible.changed().await.is_err() {
                return Ok(None);
            }
        }
    }
}

impl Engine {
    /// Follows a run after event number `after`.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows, `Conflict` for a number the log never had.
    pub fn watch(&self, run: RunId, after: Seq) -> Result<Watcher, ErrorInfo> {
        let log = self.log_of(run)?;
        let visible = log.visible();
        let last = visible.borrow().last;
        if after > last {
            let message = format!("run {run} has {last} events; there is no event {after}");
            let hint = "the store may have been replaced: compare `epoch`, and watch from 0";
            return Err(ErrorInfo::new(ErrorClass::Conflict, message).with_hint(hint));
        }
        Ok(Watcher { log, visible, after, _watching: self.inner.watchers.token() })
    }

    fn log_of(&self, run: RunId) -> Result<Arc<RunLog>, ErrorInfo> {
        if let Some(live) = self.inner.registry.get(run) {
            return Ok(live.log.clone());
        }
        let store = &self.inner.store;
        let found = store.get_run(run).map_err(|error| store_error(&error))?;
        if found.is_none() {
            return Err(unknown_run(run));
        }
        // It may have begun or ended between the two looks.
        if let Some(live) = self.inner.registry.get(run) {
            return Ok(live.log.clone());
        }
        let last = store.last_seq(run).map_err(|error| store_error(&error))?;
        Ok(Arc::new(RunLog::new(run, store.clone(), last, true)))
    }

    /// One page of a run's events, waiting up to `wait` for the first.
    ///
    /// # Errors
    /// As [`Engine::watch`].
    pub async fn events(
        &self,
        run: RunId,
        after: Seq,
        limit: u32,
        wait: Duration,
    ) -> Result<EventsResponse, ErrorInfo> {
        let watcher = self.watch(run, after)?;
        let mut visible = watcher.visible.clone();
        let fresh = |visible: &Visible| visible.last > after || visible.ended;
        // Nothing within that time is an answer as well: an empty page.
        tokio::select! {
            _ = tokio::time::timeout(wait, visible.wait_for(fresh)) => {}
            () = self.inner.leaving.cancelled() => {}
        }
        let limit = usize::try_from(limit.clamp(1, MOST_EVENTS)).unwrap_or(BATCH);
        let raw = watcher.log.read(after, limit).map_err(|error| store_error(&error))?;
        let mut events = Vec::with_capacity(raw.len());
        for (_, raw) in &raw {
            let event = serde_json::from_str(raw.get());
            events.push(event.map_err(|e| ErrorInfo::new(ErrorClass::Store, e.to_string()))?);
        }
        let next_after = raw.last().map_or(after, |(seq, _)| *seq);
        let now = *visible.borrow();
        let ended = now.ended && next_after >= now.last;
        Ok(EventsResponse { events, next_after, ended, epoch: self.inner.store.epoch().to_owned() })
    }

    /// Notes that a connection follows a run. When the last one of a foreground run has
    /// closed and none came back in time, the run is cancelled.
    pub fn attach(&self, run: RunId, closed: CancellationToken) {
        let Some(live) = self.inner.registry.get(run) else { return };
        if !live.summary.borrow().foreground {
            return;
        }
        live.attached.send_modify(|count| *count += 1);
        let leaving = self.inner.leaving.clone();
        self.inner.tasks.spawn("attachment", async move {
            let mut visible = live.log.visible();
            tokio::select! {
                biased;
                // The run ended first, or it is the daemon that leaves.
                _ = visible.wait_for(|visible| visible.ended) => return,
                () = leaving.cancelled() => return,
                () = closed.cancelled() => {}
            }
            let mut attached = live.attached.subscribe();
            live.attached.send_modify(|count| *count -= 1);
            if *attached.borrow_and_update() > 0 {
                return;
            }
            tokio::select! {
                () = tokio::time::sleep(REATTACH) => abandon(&live).await,
                // Somebody came back; when they leave, their own five seconds count.
                _ = attached.changed() => {}
                () = leaving.cancelled() => {}
            }
        });
    }
}

async fn abandon(live: &Live) {
    tracing::info!(run = %live.summary.borrow().run, "the client left; the run is cancelled");
    // A run that ended meanwhile takes no commands.
    let _ = live.commands.send(Command::Cancel).await;
}

/// The error for a run nobody knows.
pub(super) fn unknown_run(run: RunId) -> ErrorInfo {
    let error = ErrorInfo::new(ErrorClass::NotFound, format!("there is no run {run}"));
    error.with_hint("`copexctl runs list` shows the runs")
}

#[cfg(test)]
mod tests;
