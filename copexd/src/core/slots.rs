//! What the pool decides: whom it lets go, what it keeps warm, when a runtime is replaced.
//!
//! A runtime is either serving or leaving ([`Occupancy`]). A leaving one takes nobody in,
//! ends what it has, and is over when its last session was given back; its successor works
//! beside it meanwhile, so nobody waits for a replacement.
//!
//! Not here: processes, sessions and pings themselves (`pool`, `backend`).

use std::collections::HashMap;

use super::latency::Latency;

/// Kinds of sessions that are remembered for their spares: the folders and models in use
/// today.
pub const MOST_KINDS: usize = 4;

/// Turns after which an idle session is closed, to be resumed when it is wanted. A turn
/// leaves 0.45 MB in the runtime and resuming costs 50 to 170 ms (measured): at 50 turns a
/// session has grown by what seven fresh ones weigh, and a turn pays 3 ms at most for it.
pub const MOST_TURNS: u32 = 50;

/// What the pool may keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Runtimes alive at once, as long as one of them is not at work.
    pub max_runtimes: usize,
    /// Idle sessions per runtime.
    pub max_sessions: usize,
    /// How long a session stays open without work, in milliseconds.
    pub idle_ms: u64,
    /// Spares of each of the last [`MOST_KINDS`] kinds.
    pub spares: usize,
    /// Resident memory of the runtime process at which it is replaced, in bytes.
    pub max_rss: u64,
    /// Age at which a runtime is replaced, in milliseconds.
    pub max_age_ms: u64,
}

/// Why a runtime left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It was old.
    Age,
    /// Its process had grown.
    Memory,
    /// It answered much slower than at first.
    Latency,
    /// It did not answer.
    Unresponsive,
    /// Its process or its connection ended.
    Died,
    /// Another environment needed its place.
    Place,
}

impl Reason {
    /// Its name for clients.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Memory => "memory",
            Self::Latency => "latency",
            Self::Unresponsive => "unresponsive",
            Self::Died => "died",
            Self::Place => "place",
        }
    }
}

/// Who is in a runtime, and whether it still takes anybody in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Occupancy {
    busy: u32,
    leaving: Option<Reason>,
}

impl Occupancy {
    /// Takes one more in. `false` when the runtime is leaving.
    pub fn enter(&mut self) -> bool {
        let open = self.leaving.is_none();
        self.busy += u32::from(open);
        open
    }

    /// One that was taken in is done.
    pub fn exit(&mut self) {
        self.busy = self.busy.saturating_sub(1);
    }

    /// Takes nobody in any more. `false` when that was so already; the first reason stays.
    pub fn leave(&mut self, reason: Reason) -> bool {
        let first = self.leaving.is_none();
        self.leaving.get_or_insert(reason);
        first
    }

    /// Why it is leaving, if it is.
    pub fn leaving(&self) -> Option<Reason> {
        self.leaving
    }

    /// How many it has.
    pub fn busy(&self) -> u32 {
        self.busy
    }

    /// Whether it may end: it is leaving and empty.
    pub fn over(&self) -> bool {
        self.leaving.is_some() && self.busy == 0
    }
}

/// A serving runtime as the decisions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serving {
    /// Sessions at work.
    pub busy: u32,
    /// When it was last wanted, in Unix milliseconds.
    pub used_at_ms: u64,
    /// When it was started, in Unix milliseconds.
    pub started_at_ms: u64,
    /// Resident memory of its process. Its tools do not count: a compiler that one of them
    /// runs says nothing of the runtime, and ends by itself.
    pub rss: u64,
    /// Its pings.
    pub latency: Latency,
}

/// Whether a runtime is to be replaced.
pub fn replace(runtime: &Serving, limits: &Limits, now_ms: u64) -> Option<Reason> {
    if runtime.rss >= limits.max_rss {
        return Some(Reason::Memory);
    }
    if now_ms.saturating_sub(runtime.started_at_ms) >= limits.max_age_ms {
        return Some(Reason::Age);
    }
    runtime.latency.drifted().then_some(Reason::Latency)
}

/// Which runtimes have to go so that at most `most` stay: the idle ones, those first that
/// were not wanted for longest. One at work stays, even beyond `most`: nobody is cut off for
/// room, and nobody waits for it.
pub fn surplus(runtimes: &[Serving], most: usize) -> Vec<usize> {
    let too_many = runtimes.len().saturating_sub(most);
    let mut idle: Vec<usize> = (0..runtimes.len()).filter(|at| runtimes[*at].busy == 0).collect();
    idle.sort_by_key(|at| runtimes[*at].used_at_ms);
    idle.truncate(too_many);
    idle
}

/// A session without work as the decisions see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idle {
    /// Tells its runtime from others.
    pub runtime: u32,
    /// Since when it has no work, in Unix milliseconds.
    pub since_ms: u64,
    /// Turns since it was opened.
    pub turns: u32,
}

/// Which idle sessions are closed: those idle for too long, those with too many turns, and
/// of each runtime those used longest ago beyond its share.
pub fn evict(sessions: &[Idle], limits: &Limits, now_ms: u64) -> Vec<usize> {
    let mut newest_first: Vec<usize> = (0..sessions.len()).collect();
    newest_first.sort_by_key(|at| std::cmp::Reverse(sessions[*at].since_ms));
    let mut kept: HashMap<u32, usize> = HashMap::new();
    let mut evicted = Vec::new();
    for at in newest_first {
        let session = &sessions[at];
        let kept = kept.entry(session.runtime).or_default();
        if session.turns >= MOST_TURNS
            || is_stale(session.since_ms, limits, now_ms)
            || *kept == limits.max_sessions
        {
            evicted.push(at);
        } else {
            *kept += 1;
        }
    }
    evicted
}

/// Whether what has had no work since then is closed for that.
pub fn is_stale(since_ms: u64, limits: &Limits, now_ms: u64) -> bool {
    now_ms.saturating_sub(since_ms) >= limits.idle_ms
}

/// The kinds of sessions used last, newest last, with what it takes to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kinds<T> {
    used: Vec<(String, T)>,
}

impl<T> Default for Kinds<T> {
    fn default() -> Self {
        Self { used: Vec::new() }
    }
}

impl<T> Kinds<T> {
    /// A session of this kind was used. Returns the kind that is forgotten for it, if one
    /// is: its spares are of no use any more.
    pub fn used(&mut self, key: &str, recipe: T) -> Option<String> {
        self.used.retain(|(known, _)| known != key);
        self.used.push((key.to_owned(), recipe));
        (self.used.len() > MOST_KINDS).then(|| self.used.remove(0).0)
    }

    /// What makes a session of this kind, while it is remembered.
    pub fn recipe(&self, key: &str) -> Option<&T> {
        self.used.iter().find(|(known, _)| known == key).map(|(_, recipe)| recipe)
    }
}

/// How many spares of a kind are to be opened, with `ready` there and `opening` on their way.
pub fn spares_wanted(limits: &Limits, ready: usize, opening: usize) -> usize {
    limits.spares.saturating_sub(ready + opening)
}

#[cfg(test)]
mod tests;
