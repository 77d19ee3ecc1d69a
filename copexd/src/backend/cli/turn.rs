//! One turn: a process from its start to the last of its tree.

use std::collections::VecDeque;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStdin};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::command::Files;
use super::history::History;
use super::lines::{self, Line};
use super::{classify, usage};
use crate::backend::process::{self, Tree};
use crate::backend::sdk::convert::Converter;
use crate::core::failure::{Failure, FailureClass};
use crate::core::redact::Redactor;
use crate::core::signal::Signal;

/// How long a process that was told to stop may take (measured: 20 to 60 ms).
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the rest of an ended process's output may take: a background command of the
/// agent may hold the stream open for as long as it likes.
const DRAIN: Duration = Duration::from_millis(500);

/// Bytes of one event. A prompt comes back twice in one, and a prompt has at most 16 MiB.
const MOST_LINE: usize = 64 * 1024 * 1024;

/// Lines of the process's own talk that are kept for error messages, and their bytes.
const KEPT_LINES: usize = 20;
const MOST_TALK: usize = 4 * 1024;

/// A started process and what is needed to follow it.
pub(super) struct Process {
    pub child: Child,
    pub tree: Tree,
    pub files: Files,
    pub history: History,
    /// Length of the transcript before the turn.
    pub from: u64,
    pub signals: mpsc::Sender<Signal>,
    /// Knows the session's secrets.
    pub redactor: Arc<Redactor>,
    /// Somebody wants the turn to stop.
    pub stop: CancellationToken,
    /// The daemon stops.
    pub daemon_stops: CancellationToken,
    /// To be fired when nothing of the turn is there any more.
    pub ended: CancellationToken,
    /// To be set when the process died midway.
    pub dead: Arc<AtomicBool>,
}

type Talk = Mutex<VecDeque<String>>;

/// Follows the process to its end. `accepted` is told the prompt's message id, or why the
/// prompt was not taken; whatever comes after are signals.
pub(super) async fn run(
    process: Process,
    prompt: String,
    accepted: oneshot::Sender<Result<String, Failure>>,
) {
    let Process { mut child, tree, files, history, from, signals, stop, .. } = process;
    // Fires even if this task is dropped midway; the tree ends with it.
    let ended = process.ended.drop_guard();
    let mut hearing = Hearing {
        converter: Converter::knowing(process.redactor.clone()),
        signals: signals.clone(),
        stop: stop.clone(),
        accepted: Some(accepted),
        failed: false,
        exit_code: None,
    };
    let talk = Talk::default();
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let status = {
        let follow = async {
            tokio::join!(feed(stdin, &prompt), hearing.listen(stdout, &files), keep(stderr, &talk));
        };
        let mut follow = std::pin::pin!(follow);
        let stopped = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            () = process.daemon_stops.cancelled() => None,
            () = &mut follow => Some(child.wait().await.ok()),
            status = child.wait() => {
                // What is not there by then is nothing of the turn's.
                let _ = tokio::time::timeout(DRAIN, &mut follow).await;
                Some(status.ok())
            }
        };
        match stopped {
            Some(status) => status,
            None => leave(&mut child, follow).await,
        }
    };
    tree.kill();
    // Reaped above, or killed just now.
    let _ = child.wait().await;
    let talk = talk.into_inner().unwrap_or_else(PoisonError::into_inner);
    let words: Vec<String> = talk.iter().map(|line| process.redactor.said(line)).collect();
    let stopped = stop.is_cancelled() || process.daemon_stops.is_cancelled();
    let Hearing { accepted, failed, exit_code, .. } = hearing;
    let costs = costs(&history, from, &files).await;
    drop((files, ended));
    let tell = async |signal: Signal| {
        // Nobody may be listening any more.
        let _ = if stopped {
            signals.try_send(signal).is_ok()
        } else {
            signals.send(signal).await.is_ok()
        };
    };
    for cost in costs {
        tell(Signal::Usage(cost)).await;
    }
    if let Some(accepted) = accepted {
        let cancelled = || Failure::new(FailureClass::Cancelled, "stopped before it began");
        let failure = if stopped { cancelled() } else { classify::before_prompt(status, &words) };
        // Whoever sent the prompt may be gone.
        let _ = accepted.send(Err(failure));
        if stopped {
            tell(Signal::Idle).await;
        }
        return;
    }
    match exit_code {
        _ if stopped || failed => tell(Signal::Idle).await,
        Some(0) => tell(Signal::Idle).await,
        Some(code) => {
            tell(Signal::Failed(classify::without_error(code, &words))).await;
            tell(Signal::Idle).await;
        }
        None => {
            process.dead.store(true, Ordering::Relaxed);
            tell(Signal::Closed(classify::midway(status, &words))).await;
        }
    }
}

/// Ends the process: told first, so that it closes its transcript, then killed with its tree.
async fn leave(child: &mut Child, follow: impl Future<Output = ()>) -> Option<ExitStatus> {
    process::terminate_group(child);
    let gone = async {
        tokio::pin!(follow);
        tokio::select! {
            status = child.wait() => status.ok(),
            // Its output is at its end: so will it be.
            () = &mut follow => None,
        }
    };
    let status = tokio::time::timeout(LEAVE_TIMEOUT, gone).await;
    status.ok().flatten()
}

async fn costs(history: &History, from: u64, files: &Files) -> Vec<crate::core::signal::CallUsage> {
    let events = history.events(from).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the cost of a turn is not known");
        Vec::new()
    });
    let recorded = usage::recorded(&events);
    if recorded.is_empty() && from == 0 { usage::of_file(&files.usage()) } else { recorded }
}

/// Writes the prompt and closes the stream, whereupon the process begins.
async fn feed(stdin: Option<ChildStdin>, prompt: &str) {
    let Some(mut stdin) = stdin else { return };
    if let Err(error) = stdin.write_all(prompt.as_bytes()).await {
        // The process ended early, and says why by itself.
        tracing::debug!(%error, "a prompt was not read to its end");
    }
}

async fn keep(stderr: Option<impl AsyncRead + Unpin>, talk: &Talk) {
    let Some(stderr) = stderr else { return };
    let (mut reader, mut line) = (BufReader::new(stderr), Vec::new());
    while let Ok(true) = lines::next(&mut reader, &mut line, MOST_TALK).await {
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        tracing::debug!(line, "the Copilot CLI says");
        let mut kept = talk.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT_LINES && !line.is_empty() {
            kept.push_back(line);
        }
    }
}

/// What was heard of the turn.
struct Hearing {
    converter: Converter,
    signals: mpsc::Sender<Signal>,
    stop: CancellationToken,
    accepted: Option<oneshot::Sender<Result<String, Failure>>>,
    failed: bool,
    exit_code: Option<i64>,
}

impl Hearing {
    async fn listen(&mut self, stdout: Option<impl AsyncRead + Unpin>, files: &Files) {
        let Some(stdout) = stdout else { return };
        let (mut reader, mut line) = (BufReader::new(stdout), Vec::new());
        while let Ok(true) = lines::next(&mut reader, &mut line, MOST_LINE).await {
            match lines::parse(&line) {
                Line::Event(event) => {
                    if event.event_type == "user.message" && event.agent_id.is_none() {
                        files.forget_secrets();
                        let message = event.data["messageId"].as_str().unwrap_or_default();
                        if let Some(accepted) = self.accepted.take() {
                            // Whoever sent the prompt may be gone.
                            let _ = accepted.send(Ok(message.to_owned()));
                        }
                    }
                    for signal in self.converter.convert(&event) {
                        self.tell(signal).await;
                    }
                }
                Line::Result { exit_code } => self.exit_code = Some(exit_code),
                Line::Other => {
                    let line = String::from_utf8_lossy(&line[..line.len().min(MOST_TALK)]);
                    tracing::debug!(%line, "no event");
                }
            }
        }
    }

    async fn tell(&mut self, signal: Signal) {
        match signal {
            // The turn is over when its process is; and it cannot wait for anybody.
            Signal::Idle | Signal::Permission { .. } | Signal::Question { .. } => return,
            // A turn that is stopped has no other failure.
            Signal::Failed(_) if self.stop.is_cancelled() => return,
            Signal::Failed(_) => self.failed = true,
            _ => {}
        }
        if self.stop.is_cancelled() {
            // Nobody need listen any more, and the process must get rid of its words.
            let _ = self.signals.try_send(signal);
        } else if self.signals.send(signal).await.is_err() {
            self.stop.cancel();
        }
    }
}
