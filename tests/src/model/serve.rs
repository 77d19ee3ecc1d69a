//! The server's loop: connections, routes, and a reply played step by step.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use nix::sys::socket::{setsockopt, sockopt};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::reply::{Cut, Reply, Step};
use super::request::RecordedRequest;
use super::{MODEL, Shared, github, serial};
use crate::clock;

type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A second handle on a connection, by which a script can break it off.
type Handle = Arc<Mutex<Option<TcpStream>>>;

/// Serves until `stopped`; connections end with it.
pub(super) fn run(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime for the model server");
    listener.set_nonblocking(true).expect("a listener that does not block");
    runtime.block_on(accept(listener, shared, stopped));
}

async fn accept(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    mut stopped: oneshot::Receiver<()>,
) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listening socket");
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => continue,
            },
        };
        connections.spawn(connection(stream, Arc::clone(&shared)));
    }
}

async fn connection(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    // Without it the last small chunk of an answer may wait 40 ms for an acknowledgement.
    let Ok(()) = stream.set_nodelay(true) else { return };
    let Ok(stream) = stream.into_std() else { return };
    let handle: Handle = Arc::new(Mutex::new(stream.try_clone().ok()));
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
    let service = service_fn(move |request| {
        let (shared, handle) = (Arc::clone(&shared), Arc::clone(&handle));
        async move { answer(request, shared, handle).await }
    });
    // An error here is a client that left or a script that cut the line: both wanted.
    let _ended = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    shared: Arc<Shared>,
    handle: Handle,
) -> io::Result<Response<Body>> {
    let request = record(request, &shared).await?;
    if request.is_completion() {
        let reply = choose(&request, &shared);
        return play(reply, &request, shared, handle).await;
    }
    let path = request.path.split('?').next().unwrap_or_default();
    if path == "/v1/models" {
        let models = json!({"object": "list", "data": [{"id": MODEL, "object": "model"}]});
        return Ok(whole(StatusCode::OK, &models));
    }
    let account = shared.account.lock().clone();
    match github::answer(&request, path, &account) {
        Some(value) => Ok(whole(StatusCode::OK, &value)),
        None => Ok(whole(StatusCode::NOT_FOUND, &json!({"message": "Not Found"}))),
    }
}

async fn record(request: Request<Incoming>, shared: &Shared) -> io::Result<RecordedRequest> {
    let arrived = clock::now();
    let (head, body) = request.into_parts();
    let bytes = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let body = match serde_json::from_slice(&bytes) {
        Ok(value) => value,
        Err(_) if bytes.is_empty() => Value::Null,
        Err(_) => Value::String(String::from_utf8_lossy(&bytes).into_owned()),
    };
    let headers: BTreeMap<_, _> = head
        .headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect();
    Ok(shared.log.change(|log| {
        let request = RecordedRequest {
            index: log.requests.len(),
            method: head.method.to_string(),
            path: head.uri.to_string(),
            headers,
            body,
        };
        log.requests.push(request.clone());
        log.arrived.push(arrived);
        log.first_byte.push(None);
        request
    }))
}

fn choose(request: &RecordedRequest, shared: &Shared) -> Reply {
    if let Some(reply) = shared.log.lock().queue.pop_front() {
        return reply;
    }
    match shared.responder.lock().as_ref() {
        Some(responder) => responder(request),
        None => Reply::text(format!("echo: {}", request.prompt())),
    }
}

async fn play(
    reply: Reply,
    request: &RecordedRequest,
    shared: Arc<Shared>,
    handle: Handle,
) -> io::Result<Response<Body>> {
    let mut player = Player {
        steps: reply.before_head.iter().cloned().collect(),
        template: Template::new(&reply, request),
        handle,
        ending: Ending { shared: Arc::clone(&shared), complete: false },
        index: request.index,
    };
    while player.next().await?.is_some() {}
    player.steps = reply.steps.iter().cloned().collect();
    let mut head = Response::builder().status(reply.status);
    if let Some(headers) = head.headers_mut() {
        for (name, value) in account_headers(request, &shared).iter().chain(&reply.headers) {
            let name: HeaderName = name.parse().expect("a header's name");
            headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
        }
    }
    let body = if let Some(body) = reply.body.clone() {
        player.ending.complete = true;
        player.mark_first_byte();
        Full::new(body).map_err(never).boxed_unsync()
    } else if request.wants_stream() {
        head = head.header("content-type", "text/event-stream");
        player.steps.extend(player.template.end(&reply).into_iter().map(Step::Raw));
        let frames = stream::try_unfold(player, |mut player| async move {
            let bytes = player.next().await?;
            player.ending.complete = bytes.is_none();
            Ok(bytes.map(|bytes| (Frame::data(bytes), player)))
        });
        StreamBody::new(frames).boxed_unsync()
    } else {
        while player.next().await?.is_some() {}
        player.ending.complete = true;
        let message = player.template.collected(&reply);
        head = head.header("content-type", "application/json");
        Full::new(Bytes::from(message.to_string())).map_err(never).boxed_unsync()
    };
    head.body(body).map_err(io::Error::other)
}

fn account_headers(request: &RecordedRequest, shared: &Shared) -> Vec<(String, String)> {
    if request.is_signed_in() { shared.account.lock().quota_headers() } else { Vec::new() }
}

fn never(error: Infallible) -> io::Error {
    match error {}
}

fn whole(status: StatusCode, value: &Value) -> Response<Body> {
    let body = Full::new(Bytes::from(value.to_string())).map_err(never).boxed_unsync();
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(body).expect("a response of constant parts")
}

/// Counts an answer as completed or abandoned, whichever way it is dropped.
struct Ending {
    shared: Arc<Shared>,
    complete: bool,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let complete = self.complete;
        self.shared.log.change(|log| {
            if complete {
                log.completed += 1;
            } else {
                log.abandoned += 1;
            }
        });
    }
}

/// One answer on its way.
struct Player {
    steps: VecDeque<Step>,
    template: Template,
    handle: Handle,
    ending: Ending,
    index: usize,
}

impl Player {
    /// Performs steps up to the next bytes; `None` after the last step.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        while let Some(step) = self.steps.pop_front() {
            // The mark comes before the bytes, as late as the server can tell.
            let bytes = match step {
                Step::Delta(delta) => self.template.chunk(delta),
                Step::Raw(bytes) => bytes,
                Step::Wait(gate) => {
                    gate.pass().await;
                    continue;
                }
                Step::Pause(gap) => {
                    tokio::time::sleep(gap).await;
                    continue;
                }
                Step::Hang => std::future::pending().await,
                Step::Cut(cut) => return Err(self.cut(cut).await),
            };
            self.mark_first_byte();
            return Ok(Some(bytes));
        }
        Ok(None)
    }

    fn mark_first_byte(&self) {
        let now = clock::now();
        self.ending.shared.log.lock().first_byte[self.index].get_or_insert(now);
    }

    async fn cut(&self, cut: Cut) -> io::Error {
        // Gives hyper a turn to write out what was said before.
        tokio::task::yield_now().await;
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let (Some(handle), Cut::Reset) = (&handle, cut) {
            // Closing with a linger time of zero makes the kernel send a reset.
            let linger = nix::libc::linger { l_onoff: 1, l_linger: 0 };
            let _best_effort = setsockopt(handle, sockopt::Linger, &linger);
        }
        io::Error::other("cut by the script")
    }
}

/// Turns deltas into the chunks of one completion.
struct Template {
    id: String,
    model: String,
    signed_in: bool,
    said: Vec<Value>,
}

impl Template {
    fn new(reply: &Reply, request: &RecordedRequest) -> Self {
        let model = reply.model.clone().unwrap_or_else(|| request.model().to_owned());
        let id = format!("chatcmpl-{}", serial());
        Self { id, model, signed_in: request.is_signed_in(), said: Vec::new() }
    }

    fn chunk(&mut self, mut delta: Value) -> Bytes {
        if self.said.is_empty() {
            delta["role"] = json!("assistant");
        }
        self.said.push(delta.clone());
        self.event(&json!([{"index": 0, "delta": delta, "finish_reason": null}]), None)
    }

    fn end(&self, reply: &Reply) -> Vec<Bytes> {
        if !reply.ends {
            return Vec::new();
        }
        let finish = json!([{"index": 0, "delta": {}, "finish_reason": reply.finish_reason()}]);
        let mut usage = json!({"usage": reply.usage.to_json()});
        if self.signed_in {
            usage["copilot_usage"] = github::copilot_usage();
        }
        vec![
            self.event(&finish, None),
            self.event(&json!([]), Some(usage)),
            Bytes::from_static(b"data: [DONE]\n\n"),
        ]
    }

    fn event(&self, choices: &Value, more: Option<Value>) -> Bytes {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": 1,
            "model": self.model,
            "choices": choices,
        });
        if let (Some(Value::Object(more)), Some(chunk)) = (more, chunk.as_object_mut()) {
            chunk.extend(more);
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    }

    /// The whole completion, for clients that did not ask for a stream.
    fn collected(&self, reply: &Reply) -> Value {
        let join = |field: &str| {
            self.said.iter().filter_map(|delta| delta[field].as_str()).collect::<String>()
        };
        let calls: Vec<_> = self
            .said
            .iter()
            .filter_map(|delta| delta["tool_calls"].as_array())
            .flatten()
            .cloned()
            .collect();
        let mut message = json!({"role": "assistant", "content": join("content")});
        if !calls.is_empty() {
            message["tool_calls"] = Value::Array(calls);
        }
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": 1,
            "model": self.model,
            "choices": [
                {"index": 0, "message": message, "finish_reason": reply.finish_reason()}
            ],
            "usage": reply.usage.to_json(),
        })
    }
}
