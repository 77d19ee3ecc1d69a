//! At start: every run that has not ended goes on where its journal stops.

use std::collections::HashSet;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::RunId;
use copex_proto::run::{RunRequest, RunState};

use super::drive::{Begun, session_of};
use super::key::Keys;
use super::log::{self, RunLog};
use super::registry::Command;
use super::returning::Returning;
use super::{Engine, council, events, fleet, prepare, store_error};
use crate::core::machine::{Input, Lane, MAIN, Tail};
use crate::core::stored::Stored;
use crate::core::turn::has_effects;
use crate::pool::Queued;
use crate::store::{RunSummary, StoreError};

/// Events of a log that are read at once for its tail.
const PAGE: usize = 1_024;

/// An unfinished run, with its place in its session's queue.
struct Unfinished {
    summary: RunSummary,
    request: RunRequest,
    progress: Option<Stored>,
    place: Option<Queued>,
    /// Whether it goes on at once: not parked, and nobody is before it in its session.
    ready: bool,
}

impl Engine {
    /// Sets every unfinished run to work again: the most urgent first, and the oldest of
    /// equals. Returns how many. Few come back at once, see [`Returning`].
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn recover(&self) -> Result<u32, StoreError> {
        let mut sessions = HashSet::new();
        let mut unfinished = Vec::new();
        // In the order in which they were accepted: so they stand before their sessions.
        for summary in self.inner.store.unfinished_runs()? {
            let run = summary.run;
            match self.unfinished(summary, &mut sessions) {
                Ok(it) => unfinished.push(it),
                Err(error) => tracing::error!(%run, %error, "a run cannot go on"),
            }
        }
        unfinished.sort_by_key(|it| prepare::priority(&it.request));
        let mut count = 0;
        for it in unfinished {
            let run = it.summary.run;
            match self.recover_run(it) {
                Ok(()) => count += 1,
                Err(error) => tracing::error!(%run, %error, "a run cannot go on"),
            }
        }
        Ok(count)
    }

    fn unfinished(
        &self,
        summary: RunSummary,
        sessions: &mut HashSet<String>,
    ) -> Result<Unfinished, ErrorInfo> {
        let store = &self.inner.store;
        let failed = |error: StoreError| store_error(&error);
        let spec = store.get_spec(summary.run).map_err(failed)?.unwrap_or_default();
        let request: RunRequest = serde_json::from_slice(&spec).map_err(|error| {
            let message = format!("its request cannot be read: {error}");
            ErrorInfo::new(ErrorClass::Store, message)
        })?;
        let progress = store.checkpoint(summary.run).map_err(failed)?;
        let progress = progress.and_then(|bytes| Stored::read(&bytes));
        let parked = progress.as_ref().is_some_and(|progress| progress.turn().parked.is_some());
        // A parked run stands in no queue: others need not wait for hours.
        let session = session_of(&request, progress.as_ref()).filter(|_| !parked);
        let place = session.as_ref().map(|id| self.inner.pool.queue(id));
        let first = session.is_none_or(|id| sessions.insert(id));
        Ok(Unfinished { summary, request, progress, place, ready: first && !parked })
    }

    fn recover_run(&self, unfinished: Unfinished) -> Result<(), ErrorInfo> {
        let Unfinished { summary, request, progress, place, ready } = unfinished;
        let (store, run) = (&self.inner.store, summary.run);
        let failed = |error: StoreError| store_error(&error);
        let last = store.last_seq(run).map_err(failed)?;
        let log = std::sync::Arc::new(RunLog::new(run, store.clone(), last, false));
        let tail = self.tail(run, last, &request).map_err(failed)?;
        let (upstream, priority) = (self.inner.upstream.clone(), prepare::priority(&request));
        let returning = if ready {
            Returning::queue(upstream, priority, &self.inner.tasks)
        } else {
            Returning::later(upstream, priority)
        };
        let own_env = &self.inner.ambient.env;
        let has_key = summary
            .needs_key
            .as_ref()
            .is_some_and(|name| own_env.get(name).is_some_and(|key| !key.is_empty()));
        let (live, inbox) = self.inner.registry.add(log, summary, Keys::lost());
        if has_key {
            // The first command that it hears: nobody else knows of it yet.
            let _ = live.commands.try_send(Command::Wake);
        }
        tracing::info!(%run, last, "an unfinished run goes on");
        let first = Input::Recover(tail);
        self.spawn_begun(live, inbox, Begun { request, progress, first, place, returning });
        Ok(())
    }

    /// What clients saw last of a run's present turns.
    fn tail(&self, run: RunId, last: u64, request: &RunRequest) -> Result<Tail, StoreError> {
        let mut whole = Tail::default();
        let mut after = 0;
        while after < last {
            let page = log::read_store(&self.inner.store, run, after, PAGE)?;
            let Some((seq, _)) = page.last() else { break };
            after = *seq;
            for (_, raw) in page {
                let Ok(event) = serde_json::from_str::<RunEvent>(raw.get()) else { continue };
                if let Some(lane) = turned(request, &event.body) {
                    whole.lanes.remove(&lane);
                }
                let tail = match lane(request, event.path.as_deref()) {
                    MAIN => &mut whole,
                    lane => whole.lanes.entry(lane).or_default(),
                };
                add(tail, event.body);
            }
        }
        Ok(whole)
    }
}

/// The lane of an event: the number of a plan's step, a fleet's task, a council's member. A
/// loop's iterations are all in one.
fn lane(request: &RunRequest, path: Option<&str>) -> Lane {
    let part = path.map(|path| path.split('/').next().unwrap_or(path));
    let lane = match request {
        RunRequest::Plan(_) => part.and_then(|part| part.parse().ok()),
        RunRequest::Fleet(request) => part.and_then(|part| fleet::lane(request, part)),
        // Names of models may have a slash.
        RunRequest::Council(request) => path.and_then(|path| council::lane(request, path)),
        RunRequest::Chat(_) | RunRequest::Ralph(_) => None,
    };
    lane.unwrap_or(MAIN)
}

/// The lane in which another turn begins, told before its first attempt: what was seen there
/// is of turns that have ended.
fn turned(request: &RunRequest, body: &EventBody) -> Option<Lane> {
    match (request, body) {
        (RunRequest::Council(request), EventBody::Member { name, state, .. })
            if *state == RunState::Running =>
        {
            council::lane(request, name)
        }
        _ => None,
    }
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
            tail.effects += u32::from(has_effects(&tool.name));
            tail.open_tools.push((tool.call, tool.name));
        }
        EventBody::ToolEnd(tool) => tail.open_tools.retain(|(call, _)| *call != tool.call),
        _ => {}
    }
}
