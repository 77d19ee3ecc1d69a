//! A scripted model on loopback.
//!
//! One server plays any OpenAI-compatible endpoint (`/v1/chat/completions`, `/v1/models`)
//! and, for tests of the signed-in path, GitHub itself ([`github`]). What it answers comes
//! from a queue ([`ModelServer::push`]), else from a responder closure, else it echoes the
//! user's words. Every request is recorded before it is answered.
//!
//! Invariant: the server never retries, never guesses and never waits by itself; it does
//! what the script says, and says what it was asked.

pub mod gate;
pub mod github;
pub mod reply;
pub mod request;
mod serve;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

pub use self::gate::Gate;
pub use self::github::Account;
pub use self::reply::{Cut, Reply, Usage};
pub use self::request::RecordedRequest;

use crate::clock::PATIENCE;
use crate::watch::Watched;

/// The model's name where a test does not care.
pub const MODEL: &str = "scripted-1";

/// The provider key of the tests: long, since the CLI redacts it from ordinary text.
pub const API_KEY: &str = "test-key-0123456789abcdef";

type Responder = Box<dyn Fn(&RecordedRequest) -> Reply + Send + Sync>;

/// What the server shares between its thread and the test.
#[derive(Default)]
struct Shared {
    log: Watched<Log>,
    responder: Watched<Option<Responder>>,
    account: Watched<Account>,
}

#[derive(Default)]
struct Log {
    requests: Vec<RecordedRequest>,
    arrived: Vec<Instant>,
    first_byte: Vec<Option<Instant>>,
    queue: VecDeque<Reply>,
    abandoned: usize,
    completed: usize,
}

/// A running server. It ends, with its connections, when it is dropped.
pub struct ModelServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ModelServer {
    /// Starts a server on a free port; it accepts connections when this returns.
    pub fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port on loopback");
        let address = listener.local_addr().expect("the port's address");
        let shared = Arc::new(Shared::default());
        let (stop, stopped) = oneshot::channel();
        let served = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("model-server".to_owned())
            .spawn(move || serve::run(listener, served, stopped))
            .expect("a thread for the model server");
        Self { address, shared, stop: Some(stop), thread: Some(thread) }
    }

    /// Starts a server that answers each model request with `responder`.
    pub fn with(responder: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static) -> Self {
        let server = Self::start();
        server.respond(responder);
        server
    }

    /// Answers with `responder` from now on, once the queue is empty.
    pub fn respond(&self, responder: impl Fn(&RecordedRequest) -> Reply + Send + Sync + 'static) {
        *self.shared.responder.lock() = Some(Box::new(responder));
    }

    /// Queues an answer; queued answers are given first, in order.
    pub fn push(&self, reply: Reply) -> &Self {
        self.shared.log.lock().queue.push_back(reply);
        self
    }

    /// The account that the signed-in endpoints speak of.
    pub fn set_account(&self, account: Account) {
        *self.shared.account.lock() = account;
    }

    /// Where it listens, for example `http://127.0.0.1:40000`.
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The provider's base URL.
    pub fn base_url(&self) -> String {
        format!("{}/v1", self.origin())
    }

    /// The environment of a Copilot CLI that asks this server and nobody else.
    pub fn provider_env(&self) -> Vec<(String, String)> {
        vec![
            ("COPILOT_OFFLINE".to_owned(), "true".to_owned()),
            ("COPILOT_PROVIDER_BASE_URL".to_owned(), self.base_url()),
            ("COPILOT_PROVIDER_API_KEY".to_owned(), API_KEY.to_owned()),
            ("COPILOT_MODEL".to_owned(), MODEL.to_owned()),
        ]
    }

    /// The environment of a Copilot CLI that believes this server to be GitHub.
    pub fn signed_in_env(&self) -> Vec<(String, String)> {
        vec![
            ("COPILOT_DEBUG_GITHUB_API_URL".to_owned(), self.origin()),
            ("COPILOT_API_URL".to_owned(), self.origin()),
            ("COPILOT_GITHUB_TOKEN".to_owned(), format!("gho_{}", "t".repeat(36))),
        ]
    }

    /// The requests to the model so far, in order of arrival.
    pub fn requests(&self) -> Vec<RecordedRequest> {
        let log = self.shared.log.lock();
        log.requests.iter().filter(|request| request.is_completion()).cloned().collect()
    }

    /// Every request so far, of any path.
    pub fn all_requests(&self) -> Vec<RecordedRequest> {
        self.shared.log.lock().requests.clone()
    }

    /// What the user had said when model request `index` came, without context blocks.
    pub fn user_messages(&self, index: usize) -> Vec<String> {
        let requests = self.requests();
        let count = requests.len();
        let request = requests.get(index);
        request.unwrap_or_else(|| panic!("only {count} model requests so far")).user_messages()
    }

    /// The model that the newest request asked for.
    pub fn last_model(&self) -> Option<String> {
        self.requests().last().map(|request| request.model().to_owned())
    }

    /// Waits until `count` model requests have come, and returns them.
    pub fn wait_for_requests(&self, count: usize) -> Vec<RecordedRequest> {
        self.wait_for_requests_within(count, PATIENCE)
    }

    /// As [`ModelServer::wait_for_requests`], with a patience of the caller's.
    pub fn wait_for_requests_within(
        &self,
        count: usize,
        patience: Duration,
    ) -> Vec<RecordedRequest> {
        let found =
            self.shared.log.wait(patience, |log| (log.completions() >= count).then_some(()));
        let requests = self.requests();
        assert!(
            found.is_some(),
            "{} of {count} model requests came in {patience:?}",
            requests.len()
        );
        requests
    }

    /// The same for async tests: the waiting is done on a thread that may block.
    pub async fn requests_after(&self, count: usize) -> Vec<RecordedRequest> {
        let shared = Arc::clone(&self.shared);
        let wait =
            move || shared.log.wait(PATIENCE, |log| (log.completions() >= count).then_some(()));
        let found = tokio::task::spawn_blocking(wait).await.expect("the wait does not panic");
        assert!(found.is_some(), "{count} model requests did not come in {PATIENCE:?}");
        self.requests()
    }

    /// Waits until clients have left `count` answers before their end (an abort, a kill, a
    /// watchdog), or a script has cut them.
    pub fn wait_for_abandoned(&self, count: usize) {
        let log = &self.shared.log;
        let found = log.wait(PATIENCE, |log| (log.abandoned >= count).then_some(()));
        assert!(found.is_some(), "{} of {count} answers were abandoned", log.lock().abandoned);
    }

    /// Waits until `count` answers were sent to their end.
    pub fn wait_for_completed(&self, count: usize) {
        let log = &self.shared.log;
        let found = log.wait(PATIENCE, |log| (log.completed >= count).then_some(()));
        assert!(found.is_some(), "{} of {count} answers were completed", log.lock().completed);
    }

    /// How many queued answers nobody has asked for yet.
    pub fn queued(&self) -> usize {
        self.shared.log.lock().queue.len()
    }

    /// When request `index` (of all) arrived and when its answer's first byte left: for the
    /// bench, which takes the model's own time out of its numbers.
    pub fn times(&self, index: usize) -> Option<(Instant, Instant)> {
        let log = self.shared.log.lock();
        Some((*log.arrived.get(index)?, (*log.first_byte.get(index)?)?))
    }
}

impl Log {
    fn completions(&self) -> usize {
        self.requests.iter().filter(|request| request.is_completion()).count()
    }
}

impl Drop for ModelServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.expect("the model server ran without a panic");
            }
        }
    }
}

/// A number that is different each time, for ids in answers.
fn serial() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
