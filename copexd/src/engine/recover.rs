//! At start: every run that has not ended goes on where its journal stops.

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::RunId;
use copex_proto::run::{Mode, RunRequest};

use super::log::{self, RunLog};
use super::{Engine, events, store_error};
use crate::core::machine::{Input, Lane, MAIN, Tail};
use crate::core::stored::Stored;
use crate::store::{RunSummary, StoreError};

/// Events of a log that are read at once for its tail.
const PAGE: usize = 1_024;

impl Engine {
    /// Sets every unfinished run to work again, oldest first. Returns how many.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn recover(&self) -> Result<u32, StoreError> {
        let mut count = 0;
        for summary in self.inner.store.unfinished_runs()? {
            let run = summary.run;
            match self.recover_run(summary) {
                Ok(()) => count += 1,
                Err(error) => tracing::error!(%run, %error, "a run cannot go on"),
            }
        }
        Ok(count)
    }

    fn recover_run(&self, summary: RunSummary) -> Result<(), copex_proto::error::ErrorInfo> {
        let store = &self.inner.store;
        let failed = |error: StoreError| store_error(&error);
        let run = summary.run;
        let spec = store.get_spec(run).map_err(failed)?.unwrap_or_default();
        let request: RunRequest = serde_json::from_slice(&spec).map_err(|error| {
            let message = format!("its request cannot be read: {error}");
            copex_proto::error::ErrorInfo::new(copex_proto::error::ErrorClass::Store, message)
        })?;
        let progress = store.checkpoint(run).map_err(failed)?;
        let progress = progress.and_then(|bytes| Stored::read(&bytes));
        let last = store.last_seq(run).map_err(failed)?;
        let log = std::sync::Arc::new(RunLog::new(run, store.clone(), last, false));
        let tail = self.tail(run, last, request.mode()).map_err(failed)?;
        let (live, inbox) =
            self.inner.registry.add(log, summary, std::collections::BTreeMap::new());
        tracing::info!(%run, last, "an unfinished run goes on");
        self.spawn_run(live, inbox, request, progress, Input::Recover(tail));
        Ok(())
    }

    /// What clients saw last of a run's present turns.
    fn tail(&self, run: RunId, last: u64, mode: Mode) -> Result<Tail, StoreError> {
        let mut whole = Tail::default();
        let mut after = 0;
        while after < last {
            let page = log::read_store(&self.inner.store, run, after, PAGE)?;
            let Some((seq, _)) = page.last() else { break };
            after = *seq;
            for (_, raw) in page {
                let Ok(event) = serde_json::from_str::<RunEvent>(raw.get()) else { continue };
                let tail = match lane(mode, event.path.as_deref()) {
                    MAIN => &mut whole,
                    lane => whole.lanes.entry(lane).or_default(),
                };
                add(tail, event.body);
            }
        }
        Ok(whole)
    }
}

/// The lane of an event: the number of a plan's step. A loop's iterations are all in one.
fn lane(mode: Mode, path: Option<&str>) -> Lane {
    if mode != Mode::Plan {
        return MAIN;
    }
    let step = path.map(|path| path.split('/').next().unwrap_or(path));
    step.and_then(|step| step.parse().ok()).unwrap_or(MAIN)
}

/// Adds an event to what was seen of its lane.
fn add(tail: &mut Tail, body: EventBody) {
    match body {
        // What was before is of turns that have ended.
        EventBody::Iteration { number, .. } => {
            let lanes = std::mem::take(&mut tail.lanes);
            *tail = Tail { iteration: Some(number), lanes, ..Tail::default() };
        }
        EventBody::Attempt(attempt) if attempt.number == 1 => {
            let (iteration, lanes) = (tail.iteration, std::mem::take(&mut tail.lanes));
            *tail = Tail { iteration, lanes, ..Tail::default() };
        }
        EventBody::MessageDelta { .. } => tail.unconfirmed_text = true,
        EventBody::Message { text } => {
            tail.unconfirmed_text = false;
            tail.messages.push(text);
        }
        EventBody::Restarted { .. } => tail.unconfirmed_text = false,
        EventBody::Usage(usage) => tail.usage.add(&events::core_usage(usage)),
        EventBody::ToolStart(tool) => {
            tail.tools += 1;
            tail.open_tools.push((tool.call, tool.name));
        }
        EventBody::ToolEnd(tool) => tail.open_tools.retain(|(call, _)| *call != tool.call),
        _ => {}
    }
}
