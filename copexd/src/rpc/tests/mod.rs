//! The server over real sockets, with a small method set of its own.

mod codec;
mod contract;
mod drain;
mod framing;
mod leaving;
mod limits;
mod socket;
mod web;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jsonrpsee::core::SubscriptionError;
use jsonrpsee::{PendingSubscriptionSink, RpcModule};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Connections, Drained, Limits, Peer, SocketGuard};

/// A test that waits longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `event`, but not for ever.
async fn soon<T>(event: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, event).await.expect("it never happened")
}

/// What the test methods share with the tests.
#[derive(Debug)]
struct Stage {
    /// One permit for each `slow` that may end.
    gate: Semaphore,
    /// One permit for each `slow` that began.
    started: Semaphore,
    /// One permit for each `slow` that was dropped unfinished.
    dropped: Semaphore,
    /// One permit for each subscription that saw its client leave.
    left: Semaphore,
    /// One permit for each `closed` token of a peer that fired.
    closed: Semaphore,
}

impl Stage {
    fn new() -> Self {
        let none = || Semaphore::new(0);
        Self { gate: none(), started: none(), dropped: none(), left: none(), closed: none() }
    }
}

/// Takes one permit of `semaphore`, when there is one.
async fn taken(semaphore: &Semaphore) {
    soon(semaphore.acquire()).await.expect("never closed").forget();
}

struct Unfinished<'a>(&'a Semaphore);

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        self.0.add_permits(1);
    }
}

#[derive(serde::Deserialize)]
struct Add {
    left: i64,
    right: i64,
}

async fn slow(stage: &Stage) -> u32 {
    let unfinished = Unfinished(&stage.dropped);
    stage.started.add_permits(1);
    stage.gate.acquire().await.expect("never closed").forget();
    std::mem::forget(unfinished);
    1
}

async fn count(
    params: jsonrpsee::types::Params<'static>,
    pending: PendingSubscriptionSink,
    stage: Arc<Stage>,
) -> Result<(), SubscriptionError> {
    let (number, stay): (u32, bool) = params.parse()?;
    let sink = pending.accept().await?;
    for item in 1..=number {
        sink.send(serde_json::value::to_raw_value(&item)?).await?;
    }
    if stay {
        sink.closed().await;
        stage.left.add_permits(1);
    }
    Ok(())
}

fn methods(stage: Arc<Stage>) -> jsonrpsee::Methods {
    let mut module = RpcModule::from_arc(stage);
    module
        .register_method("echo", |params, _, _| params.parse::<Value>().unwrap_or(Value::Null))
        .unwrap();
    module
        .register_async_method("add", |params, _, _| async move {
            params.parse::<Add>().map(|add| add.left + add.right)
        })
        .unwrap();
    module.register_async_method("slow", |_, stage, _| async move { slow(&stage).await }).unwrap();
    module.register_method::<u32, _>("panic", |_, _, _| panic!("as the test asked")).unwrap();
    module
        .register_method("big", |params, _, _| "x".repeat(params.one::<usize>().unwrap_or(0)))
        .unwrap();
    module
        .register_method("who", |_, _, extensions| {
            let peer = extensions.get::<Peer>().expect("every call has a peer");
            let transport = format!("{:?}", peer.transport);
            json!({"uid": peer.uid, "pid": peer.pid, "connection": peer.connection,
                   "transport": transport})
        })
        .unwrap();
    module
        .register_async_method("watch_me", |_, stage, extensions| async move {
            let peer = extensions.get::<Peer>().expect("every call has a peer").clone();
            let watching = TaskTracker::new();
            watching.spawn(async move {
                peer.closed.cancelled().await;
                stage.closed.add_permits(1);
            });
            true
        })
        .unwrap();
    module
        .register_subscription("count", "counted", "uncount", |params, pending, stage, _| {
            count(params, pending, stage)
        })
        .unwrap();
    module.into()
}

/// A server in a folder of its own.
struct Server {
    stage: Arc<Stage>,
    stop: CancellationToken,
    connections: Connections,
    path: PathBuf,
    running: JoinHandle<Drained>,
    _guard: SocketGuard,
    _dir: tempfile::TempDir,
}

impl Server {
    fn start() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run").join("copexd.sock");
        let bound = super::bind(&path).unwrap();
        let listener = tokio::net::UnixListener::from_std(bound.listener).unwrap();
        let stage = Arc::new(Stage::new());
        let stop = CancellationToken::new();
        let connections = Connections::new(limits.connections);
        let tasks = TaskTracker::new();
        let running = tasks.spawn(super::serve(
            listener,
            methods(Arc::clone(&stage)),
            limits,
            connections.clone(),
            tasks.clone(),
            stop.clone(),
        ));
        Self { stage, stop, connections, path, running, _guard: bound.guard, _dir: dir }
    }

    async fn connect(&self) -> Client {
        Client::over(self.stream().await)
    }

    async fn stream(&self) -> UnixStream {
        soon(UnixStream::connect(&self.path)).await.unwrap()
    }

    /// Waits until nobody is connected.
    async fn deserted(&self) {
        soon(async {
            while self.connections.count() > 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Sockets of ours that the kernel still knows; accepted ones bear the listener's name.
    fn sockets(&self) -> usize {
        let table = std::fs::read_to_string("/proc/net/unix").unwrap();
        let name = self.path.to_str().unwrap();
        table.lines().filter(|line| line.ends_with(name)).count()
    }

    async fn stopped(self) -> Drained {
        self.stop.cancel();
        soon(self.running).await.unwrap()
    }
}

/// A client that speaks in bytes.
struct Client {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Client {
    fn over(stream: UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self { read: BufReader::new(read), write }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon(self.write.write_all(bytes.as_ref())).await.unwrap();
    }

    async fn say(&mut self, message: &Value) {
        self.send(format!("{message}\n")).await;
    }

    async fn frame(&mut self, message: &str) {
        self.send(format!("Content-Length: {}\r\n\r\n{message}", message.len())).await;
    }

    /// The next line; null when the server has closed.
    async fn hear(&mut self) -> Value {
        let mut line = String::new();
        soon(self.read.read_line(&mut line)).await.unwrap();
        serde_json::from_str(&line).unwrap_or(Value::Null)
    }

    async fn hear_frame(&mut self) -> Value {
        let mut header = String::new();
        soon(self.read.read_line(&mut header)).await.unwrap();
        let length = header.trim().strip_prefix("Content-Length: ").unwrap().parse().unwrap();
        soon(self.read.read_line(&mut header)).await.unwrap();
        let mut body = vec![0; length];
        soon(self.read.read_exact(&mut body)).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    async fn ask(&mut self, message: Value) -> Value {
        self.say(&message).await;
        self.hear().await
    }

    async fn call(&mut self, method: &str, params: Value) -> Value {
        self.ask(request(1, method, params)).await
    }

    /// Whether the server has closed.
    async fn is_over(&mut self) -> bool {
        let mut rest = Vec::new();
        // A reset says the same as an end.
        let _read = soon(self.read.read_to_end(&mut rest)).await;
        rest.is_empty()
    }
}

#[expect(clippy::needless_pass_by_value, reason = "callers pass `json!(…)`")]
fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn code(answer: &Value) -> i64 {
    answer["error"]["code"].as_i64().unwrap_or(0)
}
