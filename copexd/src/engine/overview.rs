//! How all runs stand, told as it changes.
//!
//! Nothing is queued for whoever looks on: a bell rings, and then what was told is compared
//! with what is. So one that looks on costs the runs nothing, and one that reads slowly
//! is told less often and never wrongly.

use std::collections::BTreeMap;
use std::time::Duration;

use copex_proto::error::ErrorInfo;
use copex_proto::health::{RunFilter, RunsChanged};
use copex_proto::id::{AskId, RunId, SessionId};
use copex_proto::run::RunSummary;
use tokio::sync::watch;

use super::{Engine, MOST_LISTED};

/// Between two looks: faster than a person reads a list, and a burst is one look.
const PAUSE: Duration = Duration::from_millis(100);

/// New runs that are asked for at once.
const PAGE: u32 = 32;

/// What a list shows of a run and may change while it lives.
type Standing = (String, Option<String>, Option<SessionId>);

/// Follows all runs.
pub struct Overview {
    engine: Engine,
    bell: watch::Receiver<u64>,
    recent: u32,
    /// Runs that had not ended when they were told. At most as many as are at work.
    told: BTreeMap<RunId, Standing>,
    /// The newest run that was told; absent before the first look.
    newest: Option<RunId>,
    /// The questions that waited; absent before the first look.
    waiting: Option<Vec<AskId>>,
}

impl Engine {
    /// Follows all runs: at first those that have not ended and the `recent` newest.
    pub fn overview(&self, recent: u32) -> Overview {
        Overview {
            engine: self.clone(),
            bell: self.inner.registry.bell(),
            recent: recent.clamp(1, MOST_LISTED),
            told: BTreeMap::new(),
            newest: None,
            waiting: None,
        }
    }
}

impl Overview {
    /// What has changed since the last answer; nothing when the daemon leaves.
    ///
    /// Cancel safe: what was not given is told by the next call.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn next(&mut self) -> Result<Option<RunsChanged>, ErrorInfo> {
        let leaving = self.engine.inner.leaving.clone();
        loop {
            let first = self.waiting.is_none();
            if !first {
                let rung = async {
                    self.bell.changed().await.is_ok() && {
                        tokio::time::sleep(PAUSE).await;
                        true
                    }
                };
                let rung = tokio::select! {
                    rung = rung => rung,
                    () = leaving.cancelled() => false,
                };
                if !rung {
                    return Ok(None);
                }
            }
            // What comes from here on rings again.
            self.bell.mark_unchanged();
            let waiting = self.engine.waiting()?;
            let runs = self.look()?;
            if first || !runs.is_empty() || self.waiting.as_ref() != Some(&waiting) {
                let count = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
                self.waiting = Some(waiting);
                return Ok(Some(RunsChanged { runs, waiting: count }));
            }
        }
    }

    fn look(&mut self) -> Result<Vec<RunSummary>, ErrorInfo> {
        let engine = self.engine.clone();
        let mut found: BTreeMap<RunId, RunSummary> = BTreeMap::new();
        for run in self.fresh()? {
            found.insert(run.run, run);
        }
        let mut gone = std::mem::take(&mut self.told);
        for record in engine.inner.registry.summaries() {
            let standing = (record.state.clone(), record.model.clone(), record.session.clone());
            let run = record.run;
            let same = gone.remove(&run).is_some_and(|before| before == standing);
            self.told.insert(run, standing);
            if !same {
                found.insert(run, engine.wire(record));
            }
        }
        for run in gone.into_keys() {
            found.insert(run, engine.wire(engine.record(run)?));
        }
        for run in found.values() {
            if run.state.is_terminal() {
                self.told.remove(&run.run);
            }
        }
        self.newest = self.newest.max(found.keys().next_back().copied());
        Ok(found.into_values().rev().collect())
    }

    /// Runs that are newer than all that were told: one may begin and end between two looks.
    fn fresh(&self) -> Result<Vec<RunSummary>, ErrorInfo> {
        let list = |cursor, limit| self.engine.list(&RunFilter::default(), cursor, limit);
        let Some(newest) = self.newest else { return Ok(list(None, self.recent)?.runs) };
        let mut fresh = Vec::new();
        let mut cursor = None;
        loop {
            let page = list(cursor, PAGE)?;
            let before = fresh.len();
            fresh.extend(page.runs.into_iter().take_while(|run| run.run > newest));
            let whole = fresh.len() - before == PAGE as usize;
            cursor = page.cursor.filter(|_| whole && fresh.len() < MOST_LISTED as usize);
            if cursor.is_none() {
                return Ok(fresh);
            }
        }
    }
}
