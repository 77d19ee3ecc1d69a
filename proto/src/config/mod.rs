//! The configuration file: its keys, what they mean, and where each value came from.
//!
//! [`key::KEYS`] is the one list of keys; parsing, `config check`, `config show` and the
//! documentation read it. A [`layer::Layer`] is what one source says (a file, the
//! environment, the flags); [`merge::Merged`] puts layers over each other and remembers
//! who won; [`client::ClientConfig`] and [`daemon::DaemonConfig`] are typed and valid.
//!
//! Pure: texts and values come in as arguments, nothing is read here.

pub mod client;
pub mod daemon;
pub mod doc;
pub mod key;
pub mod layer;
pub mod merge;
pub mod problem;
pub mod ui;
mod value;

pub use client::ClientConfig;
pub use daemon::{DaemonConfig, NotifyConfig, PoolConfig};
pub use layer::{Layer, Origin, Place};
pub use merge::Merged;
pub use problem::{Problem, Severity};
pub use ui::{Background, Density, Theme, Ui};

/// The candidate most like `name`, if any is near enough to be what was meant.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    /// Below this Jaro-Winkler likeness a suggestion confuses more than it helps.
    const LIKE_ENOUGH: f64 = 0.75;
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests;
