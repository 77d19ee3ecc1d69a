//! The inbox: questions of all runs that only a person may answer.
//!
//! A question lies in the store from the commit that asks it to the one that closes it, so
//! this reads the store and nothing else; only whether its run is still at work is asked of
//! the registry.

use copex_proto::ask::{AskClosed, AskEntry, AskFilter, AskList};
use copex_proto::error::ErrorInfo;
use copex_proto::id::{AskId, RunId};

use super::{Engine, events, prepare, store_error};
use crate::core::machine::{Question, Resolution};
use crate::runtime::clock;
use crate::store::{AskRecord, Op, RunSummary, Store, StoreError};

/// Questions that one `ask.list` gives at most. A person reads a screen of them; more wait
/// for a script, which asks run by run.
pub const MOST_ASKS: u32 = 500;

/// How long a closed question is shown, in milliseconds: a day, as long as one waits by
/// default, so that who comes late still finds what became of it.
const RECENT_MS: u64 = 24 * 60 * 60 * 1_000;

impl Engine {
    /// Questions that wait, oldest first; with `filter.closed` those too that were closed
    /// lately, newest first.
    ///
    /// # Errors
    /// `NotFound` for a run nobody knows; when the store cannot be read.
    pub fn inbox(&self, filter: &AskFilter, limit: u32) -> Result<AskList, ErrorInfo> {
        let store = &self.inner.store;
        let failed = |error: StoreError| store_error(&error);
        let mut records = match filter.run {
            Some(run) => {
                let _known = self.summary(run)?;
                store.asks_of(run).map_err(failed)?
            }
            None if filter.closed => store.all_asks().map_err(failed)?,
            None => store.open_asks().map_err(failed)?,
        };
        let since = clock::now_ms().saturating_sub(RECENT_MS);
        records.retain(|record| match record.closed_at {
            // One whose run ended with it has no end of its own.
            None => self.inner.registry.get(record.run).is_some(),
            Some(at) => filter.closed && at >= since,
        });
        // None sorts first: what waits, then what was closed last.
        records.sort_by_key(|it| (it.closed_at.map(|at| u64::MAX - at), it.opened_at));
        let waiting = records.iter().filter(|record| record.closed_at.is_none()).count();
        let most = usize::try_from(limit.clamp(1, MOST_ASKS)).unwrap_or(usize::MAX);
        let more = records.len() > most;
        records.truncate(most);
        let asks = records.iter().filter_map(|record| self.entry(record).transpose());
        let asks = asks.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        Ok(AskList { asks, waiting: u32::try_from(waiting).unwrap_or(u32::MAX), more })
    }

    /// The questions that wait, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(super) fn waiting(&self) -> Result<Vec<AskId>, ErrorInfo> {
        let records = self.inner.store.open_asks().map_err(|error| store_error(&error))?;
        let waits = |record: &AskRecord| self.inner.registry.get(record.run).is_some();
        Ok(records.into_iter().filter(waits).map(|record| record.ask).collect())
    }

    /// One question with its run; none where either cannot be read any more.
    fn entry(&self, record: &AskRecord) -> Result<Option<AskEntry>, StoreError> {
        let Some(run) = self.inner.store.get_run(record.run)? else { return Ok(None) };
        let Ok(question) = serde_json::from_value::<Question>(record.question.clone()) else {
            return Ok(None);
        };
        let closed = record.closed_at.map(|at| closed(record, at));
        Ok(Some(wire(question, run, record.opened_at, closed)))
    }
}

fn wire(question: Question, run: RunSummary, asked_at: u64, closed: Option<AskClosed>) -> AskEntry {
    AskEntry {
        ask: events::wire_ask(question),
        run: run.run,
        mode: prepare::mode_from(&run.mode),
        run_title: run.title,
        cwd: run.cwd.unwrap_or_default(),
        asked_at,
        closed,
    }
}

fn closed(record: &AskRecord, at: u64) -> AskClosed {
    let resolution = record.answer.clone().and_then(|it| serde_json::from_value(it).ok());
    let (answer, by) = resolution.map(events::wire_resolution).unzip();
    AskClosed { at, answer, by }
}

/// A new question, for the commit that asks it.
pub(super) fn opened(run: RunId, question: &Question, now: u64) -> Op {
    Op::PutAsk(AskRecord {
        ask: AskId(question.ask.clone()),
        run,
        opened_at: now,
        due_at: Some(question.expires_at),
        closed_at: None,
        question: serde_json::to_value(question).unwrap_or_default(),
        answer: None,
    })
}

/// A question that was answered, for the commit that says so.
pub(super) fn answered(store: &Store, resolution: &Resolution, now: u64) -> Option<Op> {
    let known = store.ask(&AskId(resolution.ask.clone())).ok().flatten()?;
    let answer = serde_json::to_value(resolution).ok();
    Some(Op::PutAsk(AskRecord { closed_at: Some(now), answer, ..known }))
}

/// Closes what still waits when its run ends, in the operations of the commit that ends it:
/// nobody will hear an answer any more. What the same commit answers stays answered.
pub(super) fn drop_waiting(store: &Store, run: RunId, ops: &mut Vec<Op>, now: u64) {
    let mut known = Vec::new();
    for op in ops.iter_mut() {
        let Op::PutAsk(record) = op else { continue };
        record.closed_at = record.closed_at.or(Some(now));
        known.push(record.ask.clone());
    }
    let waiting = store.asks_of(run).unwrap_or_default().into_iter();
    let waiting = waiting.filter(|it| it.closed_at.is_none() && !known.contains(&it.ask));
    ops.extend(waiting.map(|it| Op::PutAsk(AskRecord { closed_at: Some(now), ..it })));
}
