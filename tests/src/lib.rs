//! The harness: everything a whole-product test needs, with real parts.
//!
//! - [`model`]: a scripted model on loopback that records what it was asked. It can play
//!   any OpenAI-compatible endpoint, and GitHub for a signed-in Copilot CLI.
//! - [`cli`]: the real Copilot CLI, installed and unpacked once for all tests.
//! - [`daemon`], [`ctl`], [`rpc`]: the real `copexd` and `copexctl` as processes, in
//!   folders of their own, and a small client for the socket.
//! - [`screen`]: a person in front of a terminal.
//! - [`tap`]: a watcher that keeps the bytes of what it saw.
//! - [`fake_copilot`]: a Copilot CLI that does what the real one will not do on demand.
//! - [`mod@bench`]: the numbers that copex holds itself to.
//! - [`terminal`]: what a terminal was told.
//! - [`tidy`]: the rules of the house that no compiler checks.
//!
//! Invariant: a test waits for something it was told (a datagram, a line, a request, an
//! exit), never for time to pass; every wait has a deadline and fails with what was seen.
//! What a test started ends with it, and nothing else does.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a harness fails its test by panicking with the reason"
)]

pub mod bench;
pub mod cli;
pub mod clock;
pub mod ctl;
pub mod daemon;
pub mod env;
pub mod fake_copilot;
pub mod kills;
pub mod model;
pub mod process;
pub mod rpc;
pub mod sandbox;
pub mod screen;
pub mod tap;
pub mod terminal;
pub mod tidy;
pub mod tool;
pub mod watch;
