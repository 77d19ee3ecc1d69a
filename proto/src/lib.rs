//! The wire contract between `copexd` and everything that talks to it.
//!
//! One JSON-RPC 2.0 method set ([`api`]), spoken on one Unix socket ([`socket`]) in
//! three framings: HTTP and WebSocket, newline-delimited JSON, and `Content-Length`
//! frames as in LSP. A client submits a [`run::RunRequest`] and reads numbered
//! [`event::RunEvent`]s: `seq` starts at 1, never goes back, never changes meaning,
//! and the last event of a run is the only terminal one. A client that was away
//! asks for `run.watch {run, after}` and misses nothing.
//!
//! Invariant: everything here is plain data. No IO, no clock, no async runtime; the
//! environment arrives as an argument ([`socket::locate`], [`config`]).
//!
//! Not here: what the daemon stores (its records are versioned apart from the wire)
//! and what it decides.

#[cfg(any(feature = "server", feature = "client"))]
#[allow(clippy::disallowed_methods, reason = "jsonrpsee's macro spawns subscription tasks")]
#[allow(clippy::too_many_arguments, reason = "a method has as many as its parameters have names")]
pub mod api;
pub mod ask;
pub mod breaker;
pub mod config;
pub mod council;
pub mod discover;
pub mod effort;
pub mod error;
pub mod event;
pub mod explain;
pub mod fleet;
pub mod health;
pub mod id;
pub mod mcp;
pub mod notify;
pub mod plan;
pub mod provider;
pub mod retry;
pub mod run;
pub mod secret;
pub mod session;
pub mod skill;
pub mod socket;
pub mod spend;

/// Version of this contract. A change that old clients cannot read raises it.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest client version that this daemon still serves.
pub const MIN_PROTOCOL_VERSION: u32 = 1;
