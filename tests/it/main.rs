//! The whole product's tests, in one binary: it links once, and its tests run in parallel.
//!
//! For the integrator: `activation.rs` starts the real `copexd` under
//! `systemd-socket-activate`. Add `mod activation;` here once the daemon serves.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod activation;
mod cassettes;
mod chat;
mod cli_errors;
mod conformance;
mod council;
mod fake_copilot;
mod faults;
mod fleet;
mod given;
mod harness;
mod inbox;
mod mcp;
mod metrics;
mod model_server;
mod notify;
mod permissions;
mod plan;
mod pool;
mod product;
mod questions;
mod ralph;
mod recover;
mod resilience;
mod returning;
mod scripts;
mod sessions;
mod shell;
mod skills;
mod socket;
mod spend;
mod systemd;
mod tidy;
mod tools;
mod use_cli;
