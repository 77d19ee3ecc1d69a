//! The whole product's tests, in one binary: it links once, and its tests run in parallel.

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and says what it skipped"
)]

mod activation;
mod aloud;
mod bell;
mod cassettes;
mod chat;
mod cli_errors;
mod completions;
mod conformance;
mod council;
mod fake_copilot;
mod faults;
mod fleet;
mod given;
mod harness;
mod inbox;
mod interactive;
mod keys;
mod mcp;
mod metrics;
mod model_server;
mod notify;
mod overview;
mod permissions;
mod plan;
mod pool;
mod product;
mod questions;
mod ralph;
mod recover;
mod render;
mod resilience;
mod returning;
mod scripts;
mod sessions;
mod setup;
mod shell;
mod sign_in;
mod skills;
mod socket;
mod spend;
mod steer;
mod systemd;
mod tidy;
mod tools;
mod tui;
mod use_cli;
