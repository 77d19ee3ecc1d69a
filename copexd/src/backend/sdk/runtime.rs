//! One supervised `copilot-runtime` (or `copilot --server`) process.
//!
//! Invariant: a runtime whose transport failed once is dead for good ([`Runtime::alive`]);
//! nobody gets a session of it again, and dropping it ends its whole process tree.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use github_copilot_sdk::Client;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use super::seam::Seam;
use super::session::SdkSession;
use super::{classify, demo};
use crate::backend::locate::{self, Located};
use crate::backend::process::{self, Owner, Program, Tree};
use crate::backend::spec::{RuntimeSpec, SessionSpec};
use crate::backend::upstream::Upstream;
use crate::backend::{Auth, Backend, Capabilities, Model, Opening, Session};
use crate::core::failure::{Failure, FailureClass};
use crate::runtime::clock;
use crate::runtime::tasks::Tasks;

/// How long a started program may take to shake hands (measured: 25 ms for the runtime,
/// 385 ms for `copilot --server`, more on a busy machine). The SDK itself waits for ever.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a call to the runtime may take. Opening a session of 800 turns takes 0.25 s;
/// one that starts MCP servers takes as long as they do.
pub const OPEN_TIMEOUT: Duration = Duration::from_secs(90);

/// How long a call that only asks something may take.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a runtime may take to leave once told (measured: 50 to 480 ms).
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the last words of a program that did not start may take to arrive.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// How long the CLI itself waits for the head of an answer, in milliseconds: longer than any
/// wait of ours, which are bounded by the policy. Its own ten minutes would ask the request
/// again while ours still waits for its turn.
const REQUEST_TIMEOUT_MS: &str = "86400000";

/// Lines of the program's own talk that are kept for error messages.
const KEPT_LINES: usize = 20;

type Talk = Arc<Mutex<VecDeque<String>>>;

/// How a runtime is started.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// Marks its processes.
    pub owner: &'a Owner,
    /// Where its watch runs.
    pub tasks: &'a Tasks,
    /// Sends its model requests.
    pub upstream: &'a Arc<Upstream>,
    /// How long it may take to shake hands; by default [`HANDSHAKE_TIMEOUT`].
    pub most: Duration,
}

/// A running process and the connection to it.
pub struct Runtime {
    client: Client,
    seam: Option<Arc<Seam>>,
    located: Located,
    demo: bool,
    pid: u32,
    mark: String,
    dead: CancellationToken,
    started_at: u64,
    heard: Heard,
}

/// When something was last heard of a runtime.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<AtomicU64>);

impl Heard {
    /// Something was heard now.
    pub(super) fn now(&self) {
        self.0.store(clock::now_ms(), Ordering::Relaxed);
    }
}

impl Runtime {
    /// Starts a process and shakes hands with it.
    ///
    /// # Errors
    /// `Unavailable`: the CLI is missing, too old, does not start, or is something else.
    pub async fn start(
        spec: &RuntimeSpec,
        how: Start<'_>,
        now_ms: u64,
    ) -> Result<Arc<Self>, Failure> {
        let Start { owner, tasks, upstream, most } = how;
        let located = locate::locate(spec, owner).await?;
        let mut env = process::child_env(&spec.env);
        env.push(("COPILOT_NATIVE_HTTP_TIMEOUT_MS", REQUEST_TIMEOUT_MS));
        env.extend(spec.secret_env.iter().map(|(name, secret)| (name.as_str(), secret.reveal())));
        let args = ["--server", "--stdio", "--no-auto-update"];
        let program = Program { path: &located.program, args: &args, env, cwd: Path::new("/") };
        let (mut child, tree) = process::start(&program, owner).map_err(|error| {
            let message = format!("cannot start {}: {error}", located.program.display());
            Failure::new(FailureClass::Unavailable, message)
        })?;
        let pid = child.id().unwrap_or(0);
        let mark = tree.mark().to_owned();
        let talk = Talk::default();
        let listening = child
            .stderr
            .take()
            .map(|stderr| tasks.spawn("runtime talk", listen(stderr, talk.clone(), pid)));
        let (Some(stdout), Some(stdin)) = (child.stdout.take(), child.stdin.take()) else {
            return Err(Failure::new(FailureClass::Unavailable, "the program has no streams"));
        };
        let met = match Client::from_streams(stdout, stdin, "/".into()) {
            Ok(client) => shake_hands(&client, &mut child, most).await.map(|()| client),
            // It was gone before we spoke.
            Err(error) => Err(no_answer(&mut child, &error).await),
        };
        let client = match met {
            Ok(client) => client,
            Err(wrong) => {
                // What it had to say may be on its way still.
                if let Some(listening) = listening {
                    let _ = tokio::time::timeout(LAST_WORDS, listening).await;
                }
                return Err(in_words(&wrong, &located, &talk));
            }
        };
        let dead = CancellationToken::new();
        let seam = if spec.demo {
            demo::install(&client, tasks).await?;
            None
        } else {
            let (upstream, dead) = (upstream.clone(), dead.clone());
            Some(Seam::install(&client, &spec.env, upstream, dead, tasks).await?)
        };
        tasks.spawn("runtime watch", watch(child, tree, dead.clone(), tasks.stopping()));
        tracing::info!(pid, program = %located.program.display(), "runtime started");
        let (demo, started_at, heard) = (spec.demo, now_ms, Heard::default());
        heard.now();
        Ok(Arc::new(Self { client, seam, located, demo, pid, mark, dead, started_at, heard }))
    }

    /// Whether the process is there and its connection never failed.
    pub fn alive(&self) -> bool {
        !self.dead.is_cancelled()
    }

    /// Fires when the process is gone or its connection failed.
    pub fn death(&self) -> CancellationToken {
        self.dead.clone()
    }

    /// Marks the runtime as unusable after a transport failure.
    pub fn condemn(&self) {
        self.dead.cancel();
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What was started.
    pub fn located(&self) -> &Located {
        &self.located
    }

    /// When it was started, in Unix milliseconds.
    pub fn started_at(&self) -> u64 {
        self.started_at
    }

    /// What every process of its tree carries as [`process::MARKER`].
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// When something was last heard of it: an event, an answer. In Unix milliseconds.
    pub fn heard_at(&self) -> u64 {
        self.heard.0.load(Ordering::Relaxed)
    }

    pub(super) fn heard(&self) -> &Heard {
        &self.heard
    }

    /// Its resident memory in bytes, without the processes that it started.
    pub fn rss_bytes(&self) -> u64 {
        process::rss_bytes(self.pid)
    }

    /// Where its model requests pass, unless the demonstration model answers them.
    pub(super) fn seam(&self) -> Option<&Arc<Seam>> {
        self.seam.as_ref()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for a call to the runtime, but neither beyond `most` nor beyond its death.
    pub(super) async fn call<T>(
        &self,
        doing: &str,
        most: Duration,
        call: impl Future<Output = Result<T, github_copilot_sdk::Error>>,
    ) -> Result<T, Failure> {
        let died = || {
            let message = format!("{doing}: the Copilot runtime died");
            Failure::new(FailureClass::RuntimeDied, message)
        };
        tokio::select! {
            biased;
            result = tokio::time::timeout(most, call) => match result {
                Ok(Ok(value)) => {
                    self.heard.now();
                    Ok(value)
                }
                Ok(Err(error)) => {
                    let failure = classify::sdk_error(&error, doing);
                    if failure.class == FailureClass::RuntimeDied {
                        self.condemn();
                    }
                    Err(failure)
                }
                Err(_) => {
                    self.condemn();
                    let message = format!("{doing}: no answer for {} s", most.as_secs());
                    Err(Failure::new(FailureClass::RuntimeDied, message))
                }
            },
            () = self.dead.cancelled() => Err(died()),
        }
    }

    async fn require_sign_in(&self, spec: &SessionSpec) -> Result<(), Failure> {
        if self.demo || spec.provider.is_some() {
            return Ok(());
        }
        let auth = self.auth().await?;
        if auth.authenticated {
            return Ok(());
        }
        let message = "not signed in to GitHub Copilot, and no provider is set";
        Err(Failure::new(FailureClass::Auth, message).with_hint(classify::SIGN_IN))
    }

    /// Opens a session on this runtime.
    ///
    /// # Errors
    /// As [`Backend::open`].
    pub async fn open_session(
        self: &Arc<Self>,
        spec: &SessionSpec,
        opening: &Opening,
        tasks: &Tasks,
    ) -> Result<Arc<dyn Session>, Failure> {
        self.require_sign_in(spec).await?;
        Ok(Arc::new(SdkSession::open(self, spec, opening, tasks).await?))
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        // The watch ends the process in order, and its tree with it.
        self.dead.cancel();
        self.client.force_stop();
    }
}

/// A runtime together with what it needs to open sessions.
pub struct SdkBackend {
    /// The process.
    pub runtime: Arc<Runtime>,
    /// Where its pumps run.
    pub tasks: Tasks,
}

#[async_trait]
impl Backend for SdkBackend {
    fn name(&self) -> &'static str {
        self.runtime.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.runtime.capabilities()
    }

    async fn open(
        &self,
        spec: &SessionSpec,
        opening: &Opening,
    ) -> Result<Arc<dyn Session>, Failure> {
        self.runtime.open_session(spec, opening, &self.tasks).await
    }

    async fn models(&self) -> Result<Vec<Model>, Failure> {
        self.runtime.models().await
    }

    async fn catalogue(&self) -> Result<Vec<String>, Failure> {
        self.runtime.catalogue().await
    }

    async fn auth(&self) -> Result<Auth, Failure> {
        self.runtime.auth().await
    }
}

impl Runtime {
    /// Its name in events.
    pub fn name(&self) -> &'static str {
        if self.demo { "demo" } else { "sdk" }
    }

    /// As [`Backend::capabilities`].
    pub fn capabilities(&self) -> Capabilities {
        Capabilities { request_policy: !self.demo, ..Capabilities::ALL }
    }

    /// As [`Backend::models`].
    pub async fn models(&self) -> Result<Vec<Model>, Failure> {
        let list = self.client.list_models();
        let models = self.call("listing the models", CALL_TIMEOUT, list).await?;
        let convert = |model: &github_copilot_sdk::Model| {
            // The generated type changes with every SDK; its JSON does not.
            let json = serde_json::to_value(model).unwrap_or_default();
            let efforts = json["supportedReasoningEfforts"].as_array();
            let names = |list: &Vec<serde_json::Value>| {
                list.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
            };
            let limits = &json["capabilities"]["limits"];
            Model {
                id: model.id.clone(),
                name: Some(model.name.clone()),
                efforts: efforts.map(names),
                multiplier: json["billing"]["multiplier"].as_f64(),
                context_tokens: ["max_context_window_tokens", "maxContextWindowTokens"]
                    .iter()
                    .find_map(|name| limits[*name].as_u64()),
            }
        };
        Ok(models.iter().map(convert).collect())
    }

    /// As [`Backend::catalogue`].
    pub async fn catalogue(&self) -> Result<Vec<String>, Failure> {
        let rpc = self.client.rpc();
        let models = rpc.models();
        let list = models.get_built_in_catalog();
        let catalogue = self.call("reading the model catalogue", CALL_TIMEOUT, list).await?;
        Ok(catalogue.models.into_iter().map(|model| model.id).collect())
    }
}

/// A program that did not shake hands: what is wrong with it, what it said, the way out.
fn in_words(wrong: &str, located: &Located, talk: &Talk) -> Failure {
    let version = located.version.as_deref().unwrap_or("of unknown version");
    let lines = talk.lock().unwrap_or_else(PoisonError::into_inner);
    let said: Vec<&str> = lines.iter().map(String::as_str).collect();
    let said = if said.is_empty() { String::new() } else { format!(": {}", said.join(" | ")) };
    let message = format!("the Copilot CLI {version} at {} {wrong}{said}", located.cli.display());
    let hint = "check it with `copilot --version`; update it with \
                `npm i -g @github/copilot@latest`, or set cli_path";
    Failure::new(FailureClass::Unavailable, message).with_hint(hint)
}

fn ended(how: &str) -> String {
    format!("ended before it spoke the Copilot protocol ({how})")
}

/// What is wrong with a program whose connection failed.
async fn no_answer(child: &mut Child, error: &github_copilot_sdk::Error) -> String {
    // One that has just died has its reason on its error stream.
    match tokio::time::timeout(LEAVE_TIMEOUT, child.wait()).await {
        Ok(Ok(status)) => ended(&status.to_string()),
        _ => format!("does not speak the Copilot protocol ({error})"),
    }
}

async fn shake_hands(client: &Client, child: &mut Child, most: Duration) -> Result<(), String> {
    tokio::select! {
        result = tokio::time::timeout(most, client.verify_protocol_version()) => {
            match result {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    use github_copilot_sdk::{ErrorKind, ProtocolErrorKind};
                    let too_old = matches!(
                        error.kind(),
                        ErrorKind::Protocol(ProtocolErrorKind::VersionMismatch { .. })
                            | ErrorKind::Rpc { .. }
                    );
                    if too_old {
                        return Err(format!("is too old or too new for copex ({error})"));
                    }
                    Err(no_answer(child, &error).await)
                }
                Err(_) => {
                    let seconds = most.as_secs_f64();
                    Err(format!("did not answer the handshake within {seconds} s"))
                }
            }
        }
        status = child.wait() => {
            let how = status.map_or_else(|error| error.to_string(), |status| status.to_string());
            Err(ended(&how))
        }
    }
}

async fn listen(stderr: tokio::process::ChildStderr, talk: Talk, pid: u32) {
    let mut lines = BufReader::new(stderr).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        tracing::debug!(pid, line, "runtime says");
        let mut kept = talk.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == KEPT_LINES {
            kept.pop_front();
        }
        kept.push_back(line);
    }
}

/// Waits for the process to end, and ends with it what it started.
async fn watch(mut child: Child, tree: Tree, dead: CancellationToken, stopping: CancellationToken) {
    let pid = child.id();
    tokio::select! {
        status = child.wait() => {
            let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
            tracing::info!(pid, status, "runtime ended");
        }
        () = dead.cancelled() => reap(&mut child).await,
        () = stopping.cancelled() => reap(&mut child).await,
    }
    dead.cancel();
    tree.kill();
}

/// Ends the process: told first, so that it closes its transcripts, then killed.
async fn reap(child: &mut Child) {
    process::terminate(child);
    if tokio::time::timeout(LEAVE_TIMEOUT, child.wait()).await.is_err() {
        // It had its chance to leave by itself.
        let _ = child.kill().await;
    }
}
