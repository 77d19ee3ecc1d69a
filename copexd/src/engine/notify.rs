//! The user's own command and desktop, told of what a person may want to know of runs.
//!
//! Invariant: it is told of what was committed, and after the commit; what a journal holds
//! from before the daemon's start is not told again. So each event is told once, and a crash
//! between commit and command loses those in between, and starts no storm.
//! Invariant: no run waits for it and none fails by it.

mod desktop;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use copex_proto::config::NotifyConfig;
use copex_proto::event::{Ask, Ending, EventBody};
use copex_proto::notify::{Notice, NoticeEvent};
use copex_proto::run::RunState;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::mpsc;

use super::events;
use super::gate::{self, Workplace};
use super::prepare::{self, Ambient};
use super::registry::Live;
use crate::backend::process::Owner;
use crate::core::redact::Redactor;
use crate::core::turn;
use crate::runtime::tasks::Tasks;
use crate::store::RunSummary;

/// How long the command may take. It sends a message; one that hangs must not keep the
/// places of others.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Commands at once. Each is a process of the user's; a fleet that ends at once must not
/// start fifty.
const AT_ONCE: usize = 4;

/// Notices that wait for a place, at most: ten minutes of a command that always hangs. What
/// comes then is lost, with a warning.
const MOST_WAITING: usize = 256;

/// How long notices that wait when the daemon stops may still take, all together: less than
/// its tasks have to end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Bytes of one text of a notice. A person reads it in a bubble on the screen.
const TEXT_BYTES: usize = 2 * 1024;

/// Choices of a question that are told.
const MOST_CHOICES: usize = 32;

/// Bytes of the command's output that a warning holds.
const OUTPUT_BYTES: usize = 512;

/// Tells the user's command, where there is one.
#[derive(Default)]
pub(super) struct Notifier {
    on: Vec<NoticeEvent>,
    /// Values of the daemon's environment that nobody is told.
    secrets: Vec<String>,
    queue: Option<mpsc::Sender<Notice>>,
}

impl Notifier {
    /// Starts the task that runs the command, if there is one.
    pub(super) fn new(config: &NotifyConfig, ambient: &Ambient, tasks: &Tasks) -> Self {
        if config.on.is_empty() || (config.command.is_none() && !config.desktop) {
            return Self::default();
        }
        let (sender, queue) = mpsc::channel(MOST_WAITING);
        let hook = Hook {
            command: config.command.clone(),
            desktop: config.desktop,
            env: ambient.env.clone(),
            folder: ambient.home.clone(),
            owner: ambient.owner.clone(),
        };
        let stopping = tasks.stopping();
        tasks.spawn("notify", async move { hook.work(queue, stopping.cancelled_owned()).await });
        let secrets = own_secrets(&ambient.env);
        Self { on: config.on.clone(), secrets, queue: Some(sender) }
    }

    /// What of a commit's events is to be told, as the run stands before it.
    pub(super) fn news(
        &self,
        live: &Live,
        placed: &[(Option<String>, EventBody)],
        at: u64,
    ) -> Vec<Notice> {
        let bodies = || placed.iter().map(|(_, body)| body);
        // Most commits are pieces of an answer.
        if self.queue.is_none() || !bodies().any(may_be_news) {
            return Vec::new();
        }
        let mut parked = live.parked();
        let summary = live.summary.borrow();
        let known = live.keys.known();
        let offered = known.values().map(|secret| secret.reveal().to_owned());
        let secrets: Vec<String> = self.secrets.iter().cloned().chain(offered).collect();
        let redactor = Redactor::new(secrets.iter().map(String::as_str));
        let mut news = Vec::new();
        for body in bodies() {
            let notice = notice(&summary, body, (at, parked), &redactor);
            news.extend(notice.filter(|notice| self.on.contains(&notice.event)));
            parked = matches!(body, EventBody::Parked { .. })
                || (parked && events::state_after(body).is_none());
        }
        news
    }

    /// Tells them, after they were committed. Never waits.
    pub(super) fn tell(&self, news: Vec<Notice>) {
        let Some(queue) = &self.queue else { return };
        for notice in news {
            if let Err(error) = queue.try_send(notice) {
                let notice = match &error {
                    mpsc::error::TrySendError::Full(notice)
                    | mpsc::error::TrySendError::Closed(notice) => notice,
                };
                let (run, event) = (notice.run, notice.event);
                tracing::warn!(%run, ?event, "nobody is notified: too many notices wait");
            }
        }
    }
}

/// Values of variables whose names say that they are secret.
fn own_secrets(env: &BTreeMap<String, String>) -> Vec<String> {
    const PARTS: [&str; 4] = ["TOKEN", "SECRET", "PASSWORD", "KEY"];
    let secret = |name: &str| PARTS.iter().any(|part| name.to_ascii_uppercase().contains(part));
    env.iter().filter(|(name, _)| secret(name)).map(|(_, value)| value.clone()).collect()
}

/// Whether an event is of a kind that may be told.
fn may_be_news(body: &EventBody) -> bool {
    matches!(body, EventBody::Ask(_) | EventBody::Warning { .. })
        || events::state_after(body).is_some()
}

/// What one event has to tell, if anything.
fn notice(
    summary: &RunSummary,
    body: &EventBody,
    (at, parked): (u64, bool),
    redactor: &Redactor,
) -> Option<Notice> {
    let run = summary.run;
    let clean = |text: &str| turn::clip(&redactor.text(text), TEXT_BYTES);
    let mut notice = Notice {
        event: NoticeEvent::Unknown,
        run,
        mode: prepare::mode_from(&summary.mode),
        title: clean(&summary.title),
        cwd: summary.cwd.clone().unwrap_or_default(),
        at,
        state: events::state_after(body).unwrap_or(RunState::Running),
        foreground: summary.foreground,
        next: format!("copexctl runs show {run}"),
        ask: None,
        reason: None,
        until: None,
        error: None,
        spend: body.outcome().map(|outcome| outcome.usage.clone()),
    };
    notice.event = match body {
        EventBody::Ask(ask) => {
            notice.next = format!("copexctl inbox show {}", ask.ask);
            notice.state = RunState::Asking;
            notice.ask = Some(shown(ask, clean));
            NoticeEvent::Ask
        }
        EventBody::Parked { reason, until, .. } => {
            notice.next = format!("copexctl runs resume --now {run}");
            notice.reason = Some(clean(reason));
            notice.until = *until;
            NoticeEvent::Parked
        }
        EventBody::State { state: RunState::Running } if parked => {
            notice.next = format!("copexctl runs attach {run}");
            NoticeEvent::Resumed
        }
        EventBody::Warning { code, message } if code == "spend" => {
            notice.reason = Some(clean(message));
            NoticeEvent::Budget
        }
        EventBody::Done(_) => NoticeEvent::Done,
        EventBody::Failed(ending) | EventBody::Blocked(ending) => {
            notice.error = Some(told(ending, clean));
            NoticeEvent::Failed
        }
        EventBody::Exhausted(ending) => {
            notice.error = Some(told(ending, clean));
            NoticeEvent::Budget
        }
        // Whoever cancelled it knows.
        _ => return None,
    };
    Some(notice)
}

fn shown(ask: &Ask, clean: impl Fn(&str) -> String) -> Ask {
    let choices = ask.choices.iter().take(MOST_CHOICES);
    Ask {
        title: clean(&ask.title),
        detail: clean(&ask.detail),
        choices: choices.map(|choice| clean(choice)).collect(),
        ..ask.clone()
    }
}

fn told(ending: &Ending, clean: impl Fn(&str) -> String) -> copex_proto::error::ErrorInfo {
    let mut error = ending.error.clone();
    error.message = clean(&error.message);
    error.hint = error.hint.as_deref().map(clean);
    error
}

/// The command and where it is run.
struct Hook {
    command: Option<String>,
    desktop: bool,
    env: BTreeMap<String, String>,
    folder: PathBuf,
    owner: Owner,
}

impl Hook {
    /// Runs the command for each notice, in order, some at once. When the daemon stops, what
    /// is there already gets a last moment.
    async fn work(self, mut queue: mpsc::Receiver<Notice>, stopping: impl Future<Output = ()>) {
        let mut running = FuturesUnordered::new();
        tokio::pin!(stopping);
        loop {
            tokio::select! {
                () = &mut stopping => break,
                Some(()) = running.next() => {}
                Some(notice) = queue.recv(), if running.len() < AT_ONCE => {
                    running.push(self.run(notice));
                }
            }
        }
        queue.close();
        let rest = async {
            loop {
                while running.len() < AT_ONCE
                    && let Ok(notice) = queue.try_recv()
                {
                    running.push(self.run(notice));
                }
                if running.next().await.is_none() {
                    return;
                }
            }
        };
        if tokio::time::timeout(LAST_WORDS, rest).await.is_err() {
            tracing::warn!("the daemon stops before everybody was notified");
        }
    }

    /// Tells whoever is to be told, once. A failure is told to the log and to nobody else.
    async fn run(&self, notice: Notice) {
        let command = async {
            if let Some(command) = &self.command {
                let mut input = serde_json::to_vec(&notice).unwrap_or_default();
                input.push(b'\n');
                let failed = self.tell((command, BTreeMap::new()), input).await;
                if let Some((code, output)) = failed {
                    let (run, event) = (notice.run, notice.event);
                    tracing::warn!(%run, ?event, ?code, output, "notify.command failed");
                }
            }
        };
        let desktop = async {
            if self.desktop {
                let told = (desktop::COMMAND, desktop::variables(&notice));
                if let Some((code, output)) = self.tell(told, Vec::new()).await {
                    let (run, event) = (notice.run, notice.event);
                    tracing::warn!(%run, ?event, ?code, output, "notify.desktop failed");
                }
            }
        };
        tokio::join!(command, desktop);
    }

    /// Runs a command; when it fails, its exit status and what it printed.
    async fn tell(
        &self,
        (command, more): (&str, BTreeMap<String, String>),
        input: Vec<u8>,
    ) -> Option<(Option<i32>, String)> {
        let mut env = self.env.clone();
        env.extend(more);
        let place = Workplace { folder: self.folder.clone(), env, owner: self.owner.clone() };
        let ended = gate::feed(place, command.to_owned(), TIMEOUT, input).await;
        let output = || turn::clip(ended.output.trim(), OUTPUT_BYTES);
        (ended.exit_code != Some(0)).then(|| (ended.exit_code, output()))
    }
}

#[cfg(test)]
mod tests {
    use copex_proto::error::{ErrorClass, ErrorInfo};
    use copex_proto::event::{AskKind, Outcome};
    use copex_proto::id::{AskId, RunId};

    use super::*;

    fn summary(state: &str) -> RunSummary {
        RunSummary {
            run: RunId::new(1, 1),
            mode: "ralph".to_owned(),
            state: state.to_owned(),
            title: "paint".to_owned(),
            cwd: Some("/somewhere".to_owned()),
            model: None,
            session: None,
            accepted_at: 1,
            begun_at: None,
            ended_at: None,
            last_seq: 1,
            resumed_from: None,
            key: None,
            foreground: false,
            needs_key: None,
            sign_in: None,
            outcome: None,
        }
    }

    fn heard(body: &EventBody, parked: bool) -> Option<Notice> {
        let redactor = Redactor::new(["the-secret-of-the-day"]);
        notice(&summary("running"), body, (5, parked), &redactor)
    }

    fn event(body: &EventBody, parked: bool) -> Option<NoticeEvent> {
        heard(body, parked).map(|notice| notice.event)
    }

    #[test]
    fn only_what_a_person_wants_to_know_is_told() {
        let ending =
            |class| Ending { error: ErrorInfo::new(class, "no"), outcome: Outcome::default() };
        let running = EventBody::State { state: RunState::Running };
        let warning =
            |code: &str| EventBody::Warning { code: code.to_owned(), message: "50 %".to_owned() };
        let parked =
            EventBody::Parked { reason: "limited".to_owned(), until: Some(9), needs_key: None };
        let table = [
            (parked, false, Some(NoticeEvent::Parked)),
            (running.clone(), true, Some(NoticeEvent::Resumed)),
            (running, false, None),
            (EventBody::State { state: RunState::Asking }, true, None),
            (warning("spend"), false, Some(NoticeEvent::Budget)),
            (warning("gates"), false, None),
            (EventBody::Done(Outcome::default()), false, Some(NoticeEvent::Done)),
            (EventBody::Failed(ending(ErrorClass::Server)), false, Some(NoticeEvent::Failed)),
            (EventBody::Blocked(ending(ErrorClass::Auth)), false, Some(NoticeEvent::Failed)),
            (EventBody::Exhausted(ending(ErrorClass::Limit)), false, Some(NoticeEvent::Budget)),
            (EventBody::Cancelled(ending(ErrorClass::Cancelled)), true, None),
            (EventBody::Message { text: "hi".to_owned() }, false, None),
        ];
        for (body, parked, expected) in table {
            assert_eq!(event(&body, parked), expected, "{body:?}");
        }
    }

    #[test]
    fn a_question_is_told_without_secrets_and_clipped() {
        let detail = format!("curl -H the-secret-of-the-day {}", "x".repeat(10_000));
        let ask = Ask {
            ask: AskId("q-1".to_owned()),
            kind: AskKind::Permission,
            title: "Run this command?".to_owned(),
            detail,
            choices: vec!["c".to_owned(); 100],
            always: None,
            expires_at: None,
        };
        let notice = heard(&EventBody::Ask(ask), false).unwrap();
        assert_eq!(
            (notice.state, notice.next.as_str()),
            (RunState::Asking, "copexctl inbox show q-1")
        );
        let ask = notice.ask.unwrap();
        assert!(ask.detail.starts_with("curl -H ") && !ask.detail.contains("secret-of"));
        assert!(ask.detail.len() < TEXT_BYTES + 100 && ask.choices.len() == MOST_CHOICES);
    }
}
