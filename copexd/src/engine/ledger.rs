//! The ledger: what each run spent, by day and model.
//!
//! Invariant: a row is written in the same commit as the event of the usage in it, and holds
//! absolute sums. It belongs to one run, and only the run's own task writes it, so no two
//! writers meet and nothing is counted twice after a crash.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use copex_proto::error::ErrorInfo;
use copex_proto::id::RunId;
use copex_proto::spend::{SpendBy, SpendReport, SpendRow, Spending};
use serde::{Deserialize, Serialize};

use super::{Engine, events, store_error};
use crate::core::day::Day;
use crate::core::signal::CallUsage;
use crate::core::spend::Spent;
use crate::runtime::clock;
use crate::store::{Commit, Op, RawTree, Store, StoreError};

/// Days that rows are kept: a year and a month, so that a month can be compared with the
/// same one of last year. A row takes some 300 bytes.
pub(super) const KEPT_DAYS: u64 = 400;

/// Lines of one report. A person reads the first few; a program asks for less time.
const MOST_ROWS: usize = 1_000;

/// Rows removed with one commit.
const REMOVED_AT_ONCE: usize = 256;

/// Bytes of a model's name in a key. Names are shorter.
const MODEL_BYTES: usize = 200;

/// Runs that one run goes on from, at most looked at: a chain of more is a loop gone wild.
const MOST_RESUMED: usize = 100;

/// What one run spent on one day with one model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    /// The folder that holds `.git`, else the working folder.
    pub(super) repository: String,
    /// Summed over its calls.
    pub(super) usage: CallUsage,
    /// What counts against caps on cost.
    pub(super) cost: f64,
}

impl Row {
    /// Adds one call.
    pub(super) fn add(&mut self, call: &CallUsage) {
        self.usage.add(call);
        self.cost += Spent::by(call).cost;
    }

    fn spent(&self) -> Spent {
        Spent { cost: self.cost, ..Spent::by(&self.usage) }
    }
}

/// A row's key: day, run and model, so that a day and a run of a day are ranges.
pub(super) fn key(day: Day, run: RunId, model: &str) -> Vec<u8> {
    let mut end = model.len().min(MODEL_BYTES);
    while !model.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}/{run}/{}", day.compact(), &model[..end]).into_bytes()
}

/// The run and the model in a key.
fn parse_key(key: &[u8]) -> Option<(&str, &str)> {
    let (_, rest) = std::str::from_utf8(key).ok()?.split_once('/')?;
    rest.split_once('/')
}

/// Writes a row.
pub(super) fn put(key: &[u8], row: &Row) -> Op {
    let bytes = Bytes::from(serde_json::to_vec(row).unwrap_or_default());
    Op::PutRaw { tree: RawTree::Spend, key: key.to_vec(), bytes }
}

/// The row under a key; an empty one where there is none.
pub(super) fn get(store: &Store, key: &[u8]) -> Result<Row, StoreError> {
    let bytes = store.get_raw(RawTree::Spend, key)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
}

fn rows(store: &Store, prefix: &[u8]) -> Result<Vec<(Vec<u8>, Row)>, StoreError> {
    let read = |(key, bytes): (Vec<u8>, Bytes)| Some((key, serde_json::from_slice(&bytes).ok()?));
    Ok(store.scan_raw(RawTree::Spend, prefix)?.into_iter().filter_map(read).collect())
}

/// The repository of a working folder.
pub(super) fn repository(cwd: &str) -> String {
    let top = Path::new(cwd).ancestors().find(|folder| folder.join(".git").exists());
    top.map_or_else(|| cwd.to_owned(), |top| top.to_string_lossy().into_owned())
}

/// What a run spent so far, with the runs before it that it goes on from. One that ended well
/// is not gone on from: what follows it is new work.
pub(super) fn spent_before(store: &Store, run: RunId) -> Result<Spent, StoreError> {
    let mut spent = Spent::default();
    let mut next = Some(run);
    for _ in 0..MOST_RESUMED {
        let Some(run) = next else { break };
        let Some(summary) = store.get_run(run)? else { break };
        if summary.state == "done" {
            break;
        }
        let last = Day::of(summary.ended_at.unwrap_or_else(clock::now_ms));
        let mut day = Day::of(summary.accepted_at).max(last.before(KEPT_DAYS));
        while day <= last {
            let prefix = key(day, run, "");
            rows(store, &prefix)?.iter().for_each(|(_, row)| spent.add(row.spent()));
            day = day.next();
        }
        next = summary.resumed_from;
    }
    Ok(spent)
}

/// What all runs of the day of `now_ms` cost.
pub(super) fn cost_of_day(store: &Store, now_ms: u64) -> Result<f64, StoreError> {
    let day = Day::of(now_ms).compact();
    Ok(rows(store, day.as_bytes())?.iter().map(|(_, row)| row.cost).sum())
}

/// Removes rows that are older than [`KEPT_DAYS`]. Returns how many. Blocks.
pub(super) fn retain(store: &Store, now_ms: u64) -> Result<usize, StoreError> {
    let oldest = Day::of(now_ms).before(KEPT_DAYS).compact();
    remove(store, RawTree::Spend, |key| key < oldest.as_bytes())
}

/// Removes the values of a tree whose keys are old. Blocks.
pub(super) fn remove(
    store: &Store,
    tree: RawTree,
    old: impl Fn(&[u8]) -> bool,
) -> Result<usize, StoreError> {
    let keys = store.scan_raw(tree, b"")?.into_iter().map(|(key, _)| key).filter(|key| old(key));
    let keys: Vec<_> = keys.collect();
    for some in keys.chunks(REMOVED_AT_ONCE) {
        let ops = some.iter().map(|key| Op::DeleteRaw { tree, key: key.clone() }).collect();
        let answer = store.enqueue(Commit::flushed(ops))?;
        // A writer that left has said why.
        answer.blocking_recv().unwrap_or(Ok(()))?;
    }
    Ok(keys.len())
}

#[derive(Default)]
struct Sum {
    usage: CallUsage,
    cost: f64,
}

impl Sum {
    fn add(&mut self, row: &Row) {
        self.usage.add(&row.usage);
        self.cost += row.cost;
    }

    fn spending(mut self, by: SpendBy) -> Spending {
        if by != SpendBy::Model {
            self.usage.model = None;
        }
        Spending { usage: events::wire_usage(&self.usage), cost: self.cost }
    }
}

impl Engine {
    /// The ledger since the day of `since`, summed by something.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn spend(&self, since: Option<u64>, by: SpendBy) -> Result<SpendReport, ErrorInfo> {
        let store = self.inner.store.clone();
        let now = clock::now_ms();
        let since = since.map(|since| Day::of(since.min(now)));
        let read = tokio::task::spawn_blocking(move || report(&store, since, by, now)).await;
        let report = read.unwrap_or_else(|_| Ok(SpendReport::default()));
        let mut report = report.map_err(|error| store_error(&error))?;
        report.max_cost_per_day = self.inner.accounts.day.spent(now).1;
        Ok(report)
    }
}

fn report(
    store: &Store,
    since: Option<Day>,
    by: SpendBy,
    now: u64,
) -> Result<SpendReport, StoreError> {
    let today = Day::of(now);
    let oldest = today.before(KEPT_DAYS);
    let first = since.unwrap_or(oldest).max(oldest);
    let mut groups: BTreeMap<String, Sum> = BTreeMap::new();
    let (mut total, mut of_today) = (Sum::default(), Sum::default());
    let mut day = first;
    // Day by day: asking for today alone costs today's rows.
    while day <= today {
        for (key, row) in rows(store, day.compact().as_bytes())? {
            let Some((run, model)) = parse_key(&key) else { continue };
            let name = match by {
                SpendBy::Run => run.to_owned(),
                SpendBy::Day => day.to_string(),
                SpendBy::Repository => row.repository.clone(),
                SpendBy::Model => model.to_owned(),
            };
            groups.entry(name).or_default().add(&row);
            total.add(&row);
            if day == today {
                of_today.add(&row);
            }
        }
        day = day.next();
    }
    let count = groups.len();
    // Days and runs sort by time; the newest are of interest.
    let newest_first = matches!(by, SpendBy::Run | SpendBy::Day);
    let mut named: Vec<_> = groups.into_iter().collect();
    if newest_first {
        named.reverse();
    } else {
        named.sort_by(|(_, one), (_, two)| {
            let weight = |sum: &Sum| (sum.cost, sum.usage.input_tokens + sum.usage.output_tokens);
            weight(two).partial_cmp(&weight(one)).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    named.truncate(MOST_ROWS);
    let line = |(name, sum): (String, Sum)| SpendRow { name, spending: sum.spending(by) };
    Ok(SpendReport {
        since: first.begin_ms(),
        by,
        left_out: (count - named.len()) as u64,
        rows: named.into_iter().map(line).collect(),
        total: total.spending(SpendBy::Day),
        today: of_today.spending(SpendBy::Day),
        max_cost_per_day: None,
    })
}

#[cfg(test)]
mod tests;
