//! One connection of our own framings: a reader, a writer, and a task per call.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use jsonrpsee::types::Id;
use jsonrpsee::{Extensions, MethodResponse, Methods};
use serde_json::value::RawValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::codec::{self, Decoder, Frame, Framing};
use super::hangup::hung_up;
use super::message::{self, Call, Message, Refused};
use super::peer::Peer;
use super::service::Service;
use super::{Limits, refusal};

/// Bytes asked for in one read: a burst of small calls, or a slice of a large one.
const READ_BYTES: usize = 16 * 1024;

/// A buffer that grew beyond this for one message is let go after it.
const BUFFER_KEPT: usize = 256 * 1024;

/// Messages that go out in one write.
const WRITE_MESSAGES: usize = 128;

/// What a connection needs to be served.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) methods: Methods,
    pub(super) limits: Limits,
    pub(super) peer: Peer,
    pub(super) framing: Framing,
    pub(super) tasks: TaskTracker,
    /// Answers what is in flight, ends the subscriptions, then closes.
    pub(super) stop: CancellationToken,
    /// Closes at once.
    pub(super) cut: CancellationToken,
}

/// Why reading ended.
enum End {
    /// The client has said all, but may still listen.
    HalfClosed,
    /// The client is gone, or cannot be understood any more.
    Over,
    /// The server stops.
    Stopping,
}

/// Serves one connection to its end. `start` are its bytes that were read already.
pub(super) async fn serve(stream: UnixStream, start: BytesMut, line: Line) {
    let Line { methods, limits, peer, framing, tasks, stop, cut } = line;
    let _closed = peer.closed.clone().drop_guard();
    let (mut read, write) = stream.into_split();
    let (out, queue) = mpsc::channel(limits.outgoing as usize);
    let close = CancellationToken::new();
    let writing = write_out(write, queue, framing, close.clone());
    let mut writer = AbortOnDropHandle::new(tasks.spawn(writing));
    let session = Arc::new(Session {
        service: Service::new(methods, peer.clone(), out.clone(), limits),
        out,
        running: Mutex::default(),
        closed: peer.closed,
        tasks,
    });
    let calls = Arc::new(Semaphore::new(limits.calls as usize));
    let mut reader = Reader {
        decoder: Decoder::new(framing, limits.request_bytes),
        buffer: start,
        session,
        calls: Arc::clone(&calls),
        limits,
    };
    let end = tokio::select! {
        biased;
        () = cut.cancelled() => End::Over,
        _ = &mut writer => return,
        () = stop.cancelled() => End::Stopping,
        end = reader.read_all(&mut read) => end,
    };
    // Whoever still owes this client something holds its own sender.
    drop(reader);
    let answered = async {
        match end {
            End::HalfClosed => stop.cancelled().await,
            End::Over | End::Stopping => {}
        }
        let _all = calls.acquire_many(limits.calls).await;
        close.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = cut.cancelled() => {}
        _ = &mut writer => return,
        () = hung_up(read.as_ref()) => {}
        () = answered => {}
    }
    writer.abort();
    let _ended = writer.await;
}

/// What the calls of a connection share.
struct Session {
    service: Service,
    out: mpsc::Sender<Box<RawValue>>,
    /// Calls that their client may still cancel, with a number each: an id may be reused.
    running: Mutex<Running>,
    closed: CancellationToken,
    tasks: TaskTracker,
}

#[derive(Default)]
struct Running {
    started: u64,
    calls: HashMap<Id<'static>, (u64, CancellationToken)>,
}

struct Reader {
    decoder: Decoder,
    buffer: BytesMut,
    session: Arc<Session>,
    calls: Arc<Semaphore>,
    limits: Limits,
}

impl Reader {
    async fn read_all(&mut self, read: &mut OwnedReadHalf) -> End {
        loop {
            while let Some(frame) = self.decoder.next(&mut self.buffer) {
                if let Some(end) = self.take(frame, read).await {
                    return end;
                }
            }
            if self.buffer.is_empty() && self.buffer.capacity() > BUFFER_KEPT {
                self.buffer = BytesMut::new();
            }
            self.buffer.reserve(READ_BYTES);
            match read.read_buf(&mut self.buffer).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(%error, "a client cannot be read");
                    return End::Over;
                }
            }
        }
        match self.decoder.last(&mut self.buffer) {
            Some(frame) => self.take(frame, read).await.unwrap_or(End::HalfClosed),
            None => End::HalfClosed,
        }
    }

    async fn take(&mut self, frame: Frame, read: &OwnedReadHalf) -> Option<End> {
        let bytes = match frame {
            Frame::Message(bytes) => bytes,
            Frame::TooLarge => {
                let error = refusal::too_large(self.limits.request_bytes);
                return self.session.refuse(Refused { id: Id::Null, error }).await;
            }
            Frame::Broken(why) => {
                let error = refusal::not_json(why);
                self.session.refuse(Refused { id: Id::Null, error }).await;
                return Some(End::Over);
            }
        };
        let message = match message::read(&bytes, self.limits.batch) {
            Ok(message) => message,
            Err(refused) => return self.session.refuse(refused).await,
        };
        if let Message::Single(call) = &message
            && self.session.is_cancel(call)
        {
            return self.session.cancel(call).await;
        }
        let permit = tokio::select! {
            biased;
            permit = Arc::clone(&self.calls).acquire_owned() => permit.ok()?,
            () = hung_up(read.as_ref()) => return Some(End::Over),
        };
        self.session.start(message, permit);
        None
    }
}

impl Session {
    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a message in a task of its own, until it is answered, cancelled, or its client
    /// is gone.
    fn start(self: &Arc<Self>, message: Message, permit: OwnedSemaphorePermit) {
        let session = Arc::clone(self);
        // Registered here and not in the task: the cancel may be the very next frame.
        let ticket = match &message {
            Message::Single(call) => self.register(call),
            Message::Batch(_) => None,
        };
        self.tasks.spawn(async move {
            let response = tokio::select! {
                biased;
                () = session.closed.cancelled() => None,
                refused = cancelled(ticket.as_ref()) => Some(refused),
                response = session.run(message) => response,
            };
            if let Some(ticket) = ticket {
                session.forget(&ticket);
            }
            if let Some(response) = response {
                session.answer(response).await;
            }
            drop(permit);
        });
    }

    async fn run(&self, message: Message) -> Option<MethodResponse> {
        match message {
            Message::Single(call) => self.service.call(call).await,
            Message::Batch(batch) => self.service.batch(batch).await,
        }
    }

    async fn answer(&self, response: MethodResponse) {
        let success = response.is_success();
        let (json, sent, _): (_, _, Extensions) = response.into_parts();
        if self.out.send(json).await.is_ok()
            && let Some(sent) = sent
        {
            sent.notify(success);
        }
    }

    async fn refuse(&self, refused: Refused) -> Option<End> {
        self.answer(MethodResponse::error(refused.id, refused.error)).await;
        None
    }

    /// Whether this call cancels another. A method of the same name would come first.
    fn is_cancel(&self, call: &Call) -> bool {
        matches!(call.method.as_str(), "$/cancelRequest" | "cancel")
            && !self.service.knows(&call.method)
    }

    /// Cancels the call named; says whether there was one, if it was asked as a call.
    async fn cancel(&self, call: &Call) -> Option<End> {
        #[derive(serde::Deserialize)]
        struct Which<'a> {
            #[serde(borrow)]
            id: Id<'a>,
        }
        let params = call.params.as_deref();
        let which = params.and_then(|text| serde_json::from_slice::<Which<'_>>(text).ok());
        let which = which.map(|which| which.id.into_owned());
        let found = which.and_then(|id| self.running().calls.remove(&id));
        if let Some((_, token)) = &found {
            token.cancel();
        }
        if let Some(id) = call.id.clone() {
            let known = jsonrpsee::ResponsePayload::success(found.is_some());
            self.answer(MethodResponse::response(id, known, usize::MAX)).await;
        }
        None
    }

    /// Makes a call known to `cancel`. Not subscriptions: those are ended by their own
    /// unsubscribe, and one that is cancelled half-way would be answered twice.
    fn register(&self, call: &Call) -> Option<Ticket> {
        let id = call.id.clone().filter(|_| !self.service.is_subscription(&call.method))?;
        let token = CancellationToken::new();
        let mut running = self.running();
        running.started += 1;
        let number = running.started;
        running.calls.insert(id.clone(), (number, token.clone()));
        Some(Ticket { id, number, token })
    }

    fn forget(&self, ticket: &Ticket) {
        let mut running = self.running();
        if running.calls.get(&ticket.id).is_some_and(|(number, _)| *number == ticket.number) {
            running.calls.remove(&ticket.id);
        }
    }
}

/// A call that may be cancelled.
struct Ticket {
    id: Id<'static>,
    number: u64,
    token: CancellationToken,
}

/// Ends with the answer to a cancelled call, when it is cancelled.
async fn cancelled(ticket: Option<&Ticket>) -> MethodResponse {
    let Some(ticket) = ticket else { return std::future::pending().await };
    ticket.token.cancelled().await;
    MethodResponse::error(ticket.id.clone(), refusal::cancelled())
}

/// Writes what the queue holds, many messages at once, until nobody can add to it, the
/// client takes no more, or `close` fires; then what is queued still goes out.
async fn write_out(
    mut write: OwnedWriteHalf,
    mut queue: mpsc::Receiver<Box<RawValue>>,
    framing: Framing,
    close: CancellationToken,
) {
    let mut messages = Vec::with_capacity(WRITE_MESSAGES);
    let mut bytes = Vec::new();
    loop {
        tokio::select! {
            biased;
            () = close.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
            count = queue.recv_many(&mut messages, WRITE_MESSAGES) => {
                if count == 0 {
                    return;
                }
            }
        }
        for message in messages.drain(..) {
            codec::encode(framing, message.get(), &mut bytes);
            if bytes.len() > BUFFER_KEPT && flush(&mut write, &mut bytes).await.is_err() {
                return;
            }
        }
        if flush(&mut write, &mut bytes).await.is_err() {
            return;
        }
    }
}

async fn flush(write: &mut OwnedWriteHalf, bytes: &mut Vec<u8>) -> std::io::Result<()> {
    let written = write.write_all(bytes).await;
    bytes.clear();
    bytes.shrink_to(BUFFER_KEPT);
    written
}
