//! Who is at the other end of a connection.

use tokio_util::sync::CancellationToken;

/// How a connection speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Newline-delimited JSON.
    Ndjson,
    /// `Content-Length` frames, as in LSP.
    Lsp,
    /// One HTTP request per call.
    Http,
    /// WebSocket, upgraded from HTTP.
    WebSocket,
}

/// The client of a call. Every handler finds it in its request's extensions.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its user, as the kernel says. Always our own: others are turned away.
    pub uid: u32,
    /// Its process when it connected, as the kernel says, where it says.
    pub pid: Option<u32>,
    /// Its connection's number, from 1, never given twice while the daemon runs.
    pub connection: u64,
    /// How it speaks.
    pub transport: Transport,
    /// Cancelled when its connection has ended, for whatever reason.
    pub closed: CancellationToken,
}
