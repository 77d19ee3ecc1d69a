//! Rounds, middle values and lines of the table.

use std::fmt;
use std::time::Duration;

use crate::clock;

const MEGA: u64 = 1_000_000;

/// A number with its unit.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// How long something takes; less is better.
    Time(Duration),
    /// How many a second; more is better.
    Rate(f64),
    /// How large something is; less is better.
    Bytes(u64),
    /// How many times as long as it must something takes; less is better.
    Ideal(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) if *time < Duration::from_millis(1) => {
                write!(f, "{:.1} µs", time.as_secs_f64() * 1e6)
            }
            Self::Time(time) => write!(f, "{:.1} ms", time.as_secs_f64() * 1e3),
            Self::Ideal(times) => write!(f, "{times:.2} × ideal"),
            Self::Rate(rate) => write!(f, "{rate:.0}/s"),
            Self::Bytes(bytes) => write!(f, "{}.{} MB", bytes / MEGA, bytes % MEGA * 10 / MEGA),
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) what: &'static str,
    pub(super) ours: Value,
    pub(super) target: &'static str,
    pub(super) rival: Option<(&'static str, Value)>,
}

impl Line {
    /// Rival's time over ours, or what is like that: how many times faster we are.
    fn ratio(&self) -> Option<f64> {
        match (self.ours, self.rival?.1) {
            (Value::Time(ours), Value::Time(theirs)) => {
                Some(theirs.as_secs_f64() / ours.as_secs_f64().max(1e-9))
            }
            (Value::Ideal(ours), Value::Ideal(theirs)) => Some(theirs / ours.max(1e-9)),
            (Value::Rate(ours), Value::Rate(theirs)) => Some(ours / theirs.max(1e-9)),
            _ => None,
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "| {} | {} | {} |", self.what, self.ours, self.target)?;
        match (self.rival, self.ratio()) {
            (Some((name, value)), Some(ratio)) => write!(f, " {name} | {value} | × {ratio:.2} |"),
            _ => write!(f, " | | |"),
        }
    }
}

/// The middle of `rounds` results of `measure`, after one that is not counted.
pub(super) fn middle(rounds: usize, mut measure: impl FnMut() -> Duration) -> Duration {
    let _warm_up = measure();
    let mut times: Vec<_> = (0..rounds).map(|_| measure()).collect();
    times.sort_unstable();
    times[times.len() / 2]
}

/// How long `work` takes.
pub(super) fn time(work: impl FnOnce()) -> Duration {
    let start = clock::now();
    work();
    clock::now() - start
}
