//! How the pool is doing, in numbers.

use super::Pool;
use super::counts::Tally;
use crate::backend::usage::{self, Usage};
use crate::core::failure::Failure;

/// How the pool is doing.
#[derive(Debug, Clone)]
pub struct PoolReport {
    /// Every runtime alive, oldest first.
    pub runtimes: Vec<RuntimeReport>,
    /// Why the last runtime could not be started, if that is how things stand.
    pub problem: Option<Failure>,
    /// What was done so far.
    pub tally: Tally,
    /// Open file descriptors of this process.
    pub open_files: u32,
}

/// How one runtime and its sessions are doing.
#[derive(Debug, Clone)]
pub struct RuntimeReport {
    /// The process.
    pub pid: u32,
    /// What it is.
    pub kind: &'static str,
    /// The CLI's version, where known.
    pub version: Option<String>,
    /// Sessions at work.
    pub busy: u32,
    /// Sessions open and idle.
    pub idle: u32,
    /// Sessions warm and unused.
    pub spare: u32,
    /// Resident memory of the process, in bytes.
    pub rss_bytes: u64,
    /// Since when, in Unix milliseconds.
    pub started_at: u64,
    /// Why it takes no sessions in any more, if that is so.
    pub leaving: Option<&'static str>,
    /// The process with everything that it started.
    pub tree: Usage,
    /// The medians of its first pings and of its latest ones, in microseconds.
    pub latency_us: Option<(u64, u64)>,
}

impl Pool {
    /// How the pool is doing. Reads a few files of every process of the machine.
    pub async fn report(&self) -> PoolReport {
        let alive = self.inner.runtimes.alive();
        let marks: Vec<String> = alive.iter().map(|it| it.runtime.mark().to_owned()).collect();
        let look = move || (usage::of_trees(&marks), usage::open_files());
        // Nothing in there panics; without numbers the rest is still worth telling.
        let (trees, open_files) = tokio::task::spawn_blocking(look).await.unwrap_or_default();
        let sessions = self.sessions();
        let describe = |(at, host): (usize, &std::sync::Arc<super::runtimes::Pooled>)| {
            let (runtime, latency) = (&host.runtime, host.latency());
            let (idle, spare) = sessions.count(host);
            RuntimeReport {
                pid: runtime.pid(),
                kind: runtime.located().kind,
                version: runtime.located().version.clone(),
                busy: host.runs(),
                idle,
                spare,
                rss_bytes: runtime.rss_bytes(),
                started_at: runtime.started_at(),
                leaving: host.leaving().map(crate::core::slots::Reason::as_str),
                tree: trees.get(at).copied().unwrap_or_default(),
                latency_us: latency.baseline_us().zip(latency.latest_us()),
            }
        };
        PoolReport {
            runtimes: alive.iter().enumerate().map(describe).collect(),
            problem: self.inner.runtimes.problem(),
            tally: self.inner.counts.tally(),
            open_files,
        }
    }
}
