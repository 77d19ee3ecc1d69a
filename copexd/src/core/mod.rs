//! The decisions of copex, and nothing else: pure values in, pure values out.
//!
//! Invariant: no async, no IO, no clock and no randomness in here. Time and chance
//! are arguments ([`moment::Moment`]), so every rule can be tested as a table.
//!
//! Not here: wire types (translated at the two edges, `rpc/methods.rs` and
//! `engine/events.rs`), the store, processes.

pub mod admission;
pub mod approval;
pub mod backoff;
pub mod breaker;
pub mod budget;
pub mod cassette;
pub mod chat;
pub mod commits;
pub mod council;
pub mod day;
pub mod effort;
pub mod failure;
pub mod fallback;
pub mod fleet;
pub mod governor;
pub mod ids;
pub mod latency;
pub mod limits;
pub mod machine;
pub mod metrics;
pub mod moment;
pub mod pattern;
pub mod plan;
#[cfg(test)]
mod player;
pub mod policy;
pub mod ralph;
pub mod redact;
pub mod refusal;
pub mod signal;
pub mod skill;
pub mod slots;
pub mod spend;
pub mod stored;
pub mod target;
pub mod transcript;
pub mod turn;
pub mod worktrees;
