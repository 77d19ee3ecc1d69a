//! The accept loop: who is let in, and how everybody is sent home.

use std::os::fd::AsFd;
use std::time::Duration;

use jsonrpsee::server::stop_channel;
use jsonrpsee::types::Id;
use jsonrpsee::{MethodResponse, Methods};
use nix::sys::socket::{getsockopt, sockopt};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::codec::{self, Framing};
use super::connections::{Connections, Slot};
use super::http::{self, Http};
use super::line::{self, Line};
use super::peer::{Peer, Transport};
use super::sniff::{Habit, sniff};
use super::{Limits, refusal};

/// Pause after a failed accept. It fails when descriptors run out, and does so at once.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);

/// How the server ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their calls did not end in time.
    pub cut: u32,
}

/// What every connection gets a copy of.
#[derive(Clone)]
struct Shared {
    methods: Methods,
    limits: Limits,
    tasks: TaskTracker,
    stop: CancellationToken,
    http_stop: jsonrpsee::server::StopHandle,
    cut: CancellationToken,
}

/// Serves `methods` until `stop` is cancelled and every connection has ended.
///
/// A stopping server takes no new connection, answers the calls in flight (for at most
/// [`Limits::drain`]), ends the subscriptions and closes. Tasks run on `tasks`;
/// `connections` is the counter that the caller may show elsewhere.
pub async fn serve(
    listener: UnixListener,
    methods: Methods,
    limits: Limits,
    connections: Connections,
    tasks: TaskTracker,
    stop: CancellationToken,
) -> Drained {
    let (http_stop, http_stopper) = stop_channel();
    let cut = CancellationToken::new();
    let shared = Shared { methods, limits, tasks, stop, http_stop, cut };
    let open = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shared.stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                if let Some((stream, peer, slot)) = admit(stream, &connections) {
                    let connection = open.track_future(converse(stream, peer, shared.clone()));
                    shared.tasks.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                let stopped = shared.stop.cancelled();
                let _waited = tokio::time::timeout(ACCEPT_RETRY, stopped).await;
            }
        }
    }
    drop(listener);
    // Fails only when no HTTP connection is left to be told.
    let _told = http_stopper.stop();
    open.close();
    let in_time = tokio::time::timeout(limits.drain, open.wait()).await;
    let left = if in_time.is_ok() { 0 } else { connections.count() };
    if left > 0 {
        tracing::warn!(connections = left, "calls did not end in time; their connections are cut");
    }
    shared.cut.cancel();
    open.wait().await;
    Drained { cut: left }
}

/// Lets a client in, or turns it away.
fn admit(stream: UnixStream, connections: &Connections) -> Option<(UnixStream, Peer, Slot)> {
    let credentials = match stream.peer_cred() {
        Ok(credentials) => credentials,
        Err(error) => {
            tracing::warn!(%error, "a client without credentials was turned away");
            return None;
        }
    };
    let uid = credentials.uid();
    if !may_speak(uid, nix::unistd::geteuid().as_raw()) {
        tracing::warn!(uid, "a client of another user was turned away");
        return None;
    }
    let Some(slot) = connections.admit() else {
        let error = refusal::too_many_connections(connections.limit());
        say(&stream, &MethodResponse::error(Id::Null, error));
        return None;
    };
    let peer = Peer {
        uid,
        pid: credentials.pid().and_then(|pid| u32::try_from(pid).ok()),
        connection: slot.number(),
        transport: Transport::Ndjson,
        closed: CancellationToken::new(),
    };
    Some((stream, peer, slot))
}

/// Only the daemon's own user. Root can do all of this without us, and has no runs here.
pub(super) fn may_speak(peer: u32, own: u32) -> bool {
    peer == own
}

/// One line without waiting: a client that does not take it misses nothing it can use.
fn say(stream: &UnixStream, answer: &MethodResponse) {
    let mut line = Vec::new();
    codec::encode(Framing::Lines, answer.as_ref(), &mut line);
    if let Err(error) = stream.try_write(&line) {
        tracing::debug!(%error, "a refusal did not reach its client");
    }
}

/// One connection, from its first byte to its last.
async fn converse(mut stream: UnixStream, peer: Peer, shared: Shared) {
    let _closed = peer.closed.clone().drop_guard();
    let Shared { methods, limits, tasks, stop, http_stop, cut } = shared;
    let sniffed = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        sniffed = tokio::time::timeout(limits.sniff, sniff(&mut stream)) => sniffed,
    };
    let Ok(Ok(Some((habit, start)))) = sniffed else { return };
    match habit {
        Habit::Framed(framing) => {
            let transport = match framing {
                Framing::Lines => Transport::Ndjson,
                Framing::Headers => Transport::Lsp,
            };
            let peer = Peer { transport, ..peer };
            let line = Line { methods, limits, peer, framing, tasks, stop, cut };
            line::serve(stream, start, line).await;
        }
        Habit::Http => {
            let http = Http { methods, limits, peer, stop: http_stop, cut };
            http::serve(stream, start, http).await;
        }
        Habit::Unknown => {
            let why = "a connection starts with JSON, a Content-Length header, or HTTP";
            say(&stream, &MethodResponse::error(Id::Null, refusal::not_json(why)));
        }
    }
}

/// The process behind a connected socket, where the kernel says.
pub(super) fn process_behind(socket: &impl AsFd) -> Option<i32> {
    getsockopt(&socket.as_fd(), sockopt::PeerCredentials).ok().map(|peer| peer.pid())
}
