//! How much one client, and all of them together, may take.

use std::time::Duration;

/// Bounds of the socket. [`Limits::default`] holds the numbers and their reasons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: u32,
    /// Bytes of one message from a client.
    pub request_bytes: u32,
    /// Bytes of one answer.
    pub response_bytes: u32,
    /// Subscriptions at once on one connection.
    pub subscriptions: u32,
    /// Entries of one batch.
    pub batch: u32,
    /// Calls at once on one connection; then reading stops.
    pub calls: u32,
    /// Messages that wait for one client to read them; then their senders wait.
    pub outgoing: u32,
    /// How long a connection may say nothing before its framing is known.
    pub sniff: Duration,
    /// How long calls in flight may take to be answered once the server stops.
    pub drain: Duration,
}

/// A shell loop of clients fits; a leak is caught long before the 1,024 file descriptors
/// that a process commonly gets, of which runtimes need six each.
pub(super) const CONNECTIONS: u32 = 256;

/// Prompts carry whole files and pictures in base 64; more than this is a mistake.
pub(super) const REQUEST_BYTES: u32 = 32 << 20;

/// `run.events` at its largest: 4,096 events of a few kilobytes.
pub(super) const RESPONSE_BYTES: u32 = 64 << 20;

/// A dashboard that watches every run at once; jsonrpsee's own default.
pub(super) const SUBSCRIPTIONS: u32 = 1024;

/// A batch runs in order, so a longer one would only hold its own answers back.
pub(super) const BATCH: u32 = 256;

/// Measured: 20,000 calls whose answers nobody reads stay at 31 MB with this bound.
pub(super) const CALLS: u32 = 256;

/// Measured: enough to stream 1.8 M messages/s, and a reader that stops costs 5 MB.
pub(super) const OUTGOING: u32 = 1024;

/// jsonrpsee gives up on a silent HTTP connection after the same time, and that is fixed.
pub(super) const SNIFF: Duration = Duration::from_secs(30);

/// Half of the service unit's `TimeoutStopSec=20`, so that the rest of the shutdown fits.
pub(super) const DRAIN: Duration = Duration::from_secs(10);

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: CONNECTIONS,
            request_bytes: REQUEST_BYTES,
            response_bytes: RESPONSE_BYTES,
            subscriptions: SUBSCRIPTIONS,
            batch: BATCH,
            calls: CALLS,
            outgoing: OUTGOING,
            sniff: SNIFF,
            drain: DRAIN,
        }
    }
}
