//! Looking at runs.

use copex_proto::error::ErrorInfo;
use copex_proto::event::EventBody;
use copex_proto::health::{ListResponse, RunFilter};
use copex_proto::id::RunId;
use copex_proto::run::{RunDetail, RunState, RunSummary};

use super::submit::state_name;
use super::watch::unknown_run;
use super::{Engine, key, prepare, store_error};
use crate::store::{self, RunQuery};

/// Runs that one `run.list` gives at most.
pub const MOST_LISTED: u32 = 500;

const STATES: [RunState; 9] = [
    RunState::Queued,
    RunState::Running,
    RunState::Asking,
    RunState::Parked,
    RunState::Done,
    RunState::Failed,
    RunState::Blocked,
    RunState::Exhausted,
    RunState::Cancelled,
];

impl Engine {
    /// One run as a list shows it.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows.
    pub fn summary(&self, run: RunId) -> Result<RunSummary, ErrorInfo> {
        Ok(self.wire(self.record(run)?))
    }

    pub(super) fn record(&self, run: RunId) -> Result<store::RunSummary, ErrorInfo> {
        if let Some(live) = self.inner.registry.get(run) {
            return Ok(live.summary.borrow().clone());
        }
        let found = self.inner.store.get_run(run).map_err(|error| store_error(&error))?;
        found.ok_or_else(|| unknown_run(run))
    }

    /// One run in full.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows.
    pub fn detail(&self, run: RunId) -> Result<RunDetail, ErrorInfo> {
        let record = self.record(run)?;
        let spec = self.inner.store.get_spec(run).map_err(|error| store_error(&error))?;
        let request = spec.and_then(|spec| serde_json::from_slice(&spec).ok()).unwrap_or_default();
        let asks = self.inner.store.asks_of(run).map_err(|error| store_error(&error))?;
        let waiting = asks.into_iter().filter(|ask| ask.closed_at.is_none()).map(|ask| ask.ask);
        let terminal = record.outcome.clone();
        let terminal = terminal.and_then(|body| serde_json::from_value::<EventBody>(body).ok());
        let outcome = terminal.as_ref().and_then(EventBody::outcome).cloned();
        let error = terminal.as_ref().and_then(EventBody::ending).map(|it| it.error.clone());
        let ended = record.ended_at.is_some();
        let usage = match &outcome {
            Some(outcome) => outcome.usage.clone(),
            None => self.usage_so_far(run)?,
        };
        Ok(RunDetail {
            summary: self.wire(record),
            secrets: key::names(&request),
            request,
            asks: if ended { Vec::new() } else { waiting.collect() },
            usage,
            outcome,
            error,
        })
    }

    fn usage_so_far(&self, run: RunId) -> Result<copex_proto::event::Usage, ErrorInfo> {
        let mut sum = copex_proto::event::Usage::default();
        let mut watcher = self.watch(run, 0)?;
        while let Some(events) = futures_util::FutureExt::now_or_never(watcher.next()) {
            let Some(events) = events? else { break };
            for (_, raw) in events {
                let event: Option<copex_proto::event::RunEvent> =
                    serde_json::from_str(raw.get()).ok();
                if let Some(EventBody::Usage(usage)) = event.map(|event| event.body) {
                    sum.add(&usage);
                }
            }
        }
        Ok(sum)
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn list(
        &self,
        filter: &RunFilter,
        cursor: Option<RunId>,
        limit: u32,
    ) -> Result<ListResponse, ErrorInfo> {
        let query = RunQuery {
            states: filter.states.iter().map(|state| state_name(*state).to_owned()).collect(),
            cwd: filter.cwd.clone(),
            before: cursor,
            limit: usize::try_from(limit.clamp(1, MOST_LISTED)).unwrap_or(50),
        };
        let page = self.inner.store.list_runs(&query).map_err(|error| store_error(&error))?;
        let runs = page.runs.into_iter().map(|record| {
            let live = self.inner.registry.get(record.run);
            let fresh = live.map(|live| live.summary.borrow().clone());
            self.wire(fresh.unwrap_or(record))
        });
        Ok(ListResponse { runs: runs.collect(), cursor: page.next })
    }

    pub(super) fn wire(&self, record: store::RunSummary) -> RunSummary {
        let known = STATES.into_iter().find(|state| state_name(*state) == record.state);
        let live = self.inner.registry.get(record.run);
        let last_seq = live.map_or(record.last_seq, |live| live.log.last());
        RunSummary {
            run: record.run,
            mode: prepare::mode_from(&record.mode),
            state: known.unwrap_or(RunState::Queued),
            title: record.title,
            cwd: record.cwd.unwrap_or_default(),
            model: record.model,
            session: record.session,
            last_seq,
            accepted_at: record.accepted_at,
            ended_at: record.ended_at,
            resumed_from: record.resumed_from,
            needs_key: record.needs_key,
        }
    }
}
