//! The socket: who may speak, in which framing, and how much at once.
//!
//! One Unix socket serves every habit. The first bytes of a connection decide: `{`, `[` or
//! a blank is newline-delimited JSON ([`mod@line`]), `Content-` is the framing of LSP (the same
//! loop), an upper-case word is HTTP or WebSocket ([`http`], which is jsonrpsee's own
//! service). All of them end in the same [`jsonrpsee::Methods`].
//!
//! Rules that hold on our own framings:
//! - Calls of one connection run at the same time and are answered as they end; a batch
//!   runs in order and is answered as one. A subscription cannot start inside a batch.
//! - Every limit is answered in the protocol and the connection lives on.
//! - A client that half-closes still gets what it is owed; one that goes away has its calls
//!   dropped. Work that must outlive its client runs elsewhere.
//! - `$/cancelRequest {id}` and `cancel {id}` end a call with -32800.
//!
//! What HTTP and WebSocket cannot do, because jsonrpsee decides it on its own: an `id` that
//! is negative, fractional or a list makes the message a notification; a notification never
//! runs its method; a batch over the limit is -32010, which is also our store's number; a
//! message over the limit and a batch over it are refused without our error data; WebSocket
//! calls have no in-flight limit. Sizes, subscriptions and batches have the same bounds
//! there, and [`guard`] keeps panics, batches and error data the same.
//!
//! What no transport can do: a panic of a subscription's handler after it was accepted is
//! silent, so handlers end their stream with a last item or an error of their own.

mod codec;
mod connections;
mod guard;
mod hangup;
mod http;
mod limits;
mod line;
mod message;
pub mod methods;
mod peer;
mod refusal;
mod server;
mod service;
mod sniff;
mod stream;
#[cfg(test)]
mod tests;
mod uds;

pub use connections::Connections;
pub use limits::Limits;
pub use peer::{Peer, Transport};
pub use refusal::error_object;
pub use server::{Drained, serve};
pub use uds::{BindError, Bound, SocketGuard, adopt, bind, handed_in};
