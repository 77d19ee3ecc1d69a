//! A conversation as a person has it: turn after turn in one session, by prompts, slash
//! commands, and words to an agent at work.
//!
//! Everything that lasts is the daemon's: each turn is a run of its own that goes on when its
//! client dies, and a prompt that waits for its turn is submitted as soon as its session is
//! known. What is here can be lost.
//!
//! Not here: drawing and keys, but for the terminal that types (`editor`, `composer`, `lines`).

mod ahead;
pub(crate) mod complete;
pub(crate) mod composer;
pub(crate) mod editor;
mod history;
pub(crate) mod lines;
mod menu;
pub(crate) mod paste;
mod raw;
pub(crate) mod secret;
pub(crate) mod slash;

use std::collections::VecDeque;

use copex_proto::event::{Answer, Ask, EventBody, RunEvent};
use copex_proto::health::{ListResponse, RunFilter, SubmitResponse};
use copex_proto::id::{AskId, RunId};
use copex_proto::run::{
    ChatRequest, Mode, RunOptions, RunRequest, RunState, RunSummary, SessionChoice,
};
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::ChatFlags;
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::follow::{Call, Source};
use crate::render::brief;
use crate::render::expand::Recent;
use crate::render::printer;
use crate::render::styled::Line;
use crate::request;
use crate::settings::Settings;

/// Runs that are looked through for the last of a folder.
const PAGE: u32 = 200;

/// Prompts that wait, at most: who has more to say writes a plan.
const MOST_QUEUED: usize = 32;

/// What comes after the turn under way.
#[derive(Debug, Clone)]
pub(crate) enum Next {
    /// A prompt. Submitted under the key already, perhaps.
    Prompt {
        /// What is said.
        text: String,
        /// The request, once it was made.
        request: Option<Box<RawValue>>,
        /// Finds the run again.
        key: String,
    },
    /// A run that is there.
    Run {
        /// Which.
        run: RunId,
        /// What it is about.
        title: String,
    },
    /// A line that is no prompt.
    Line(String),
}

impl Next {
    fn run(run: &RunSummary) -> Self {
        Self::Run { run: run.run, title: run.title.clone() }
    }
}

/// A conversation.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The environment and the folders.
    pub(crate) ctx: Context,
    /// The flags that hold now.
    pub(crate) flags: ChatFlags,
    /// The settings that hold with them.
    pub(crate) settings: Settings,
    /// Where the next turn speaks.
    pub(crate) session: SessionChoice,
    /// The run under way, or the last.
    pub(crate) run: Option<RunId>,
    /// What comes next.
    pub(crate) next: VecDeque<Next>,
    /// The last tool calls.
    pub(crate) tools: Recent,
    /// What is asked in the turn under way and has a pattern.
    asked: Vec<(AskId, String)>,
    /// Patterns that were allowed for always, in this conversation.
    always: Vec<String>,
}

impl Conversation {
    /// A new one with these flags.
    pub(crate) fn new(ctx: Context, flags: ChatFlags, settings: Settings) -> Self {
        let session = SessionChoice::New;
        let (next, tools) = (VecDeque::new(), Recent::default());
        let (asked, always) = (Vec::new(), Vec::new());
        Self { ctx, flags, settings, session, run: None, next, tools, asked, always }
    }

    /// The folder, as the daemon names it.
    pub(crate) fn folder(&self) -> String {
        self.settings.cwd.display().to_string()
    }

    /// The session's id, once known.
    pub(crate) fn session_id(&self) -> Option<&str> {
        match &self.session {
            SessionChoice::Resume(id) => Some(id),
            SessionChoice::New | SessionChoice::Continue => None,
        }
    }

    /// The model and the effort of the next turn, for people.
    pub(crate) fn model(&self) -> String {
        let config = &self.settings.config;
        let model = config.model.as_deref().unwrap_or("the default model");
        match config.reasoning_effort {
            Some(effort) => format!("{model} · {}", effort.as_str()),
            None => model.to_owned(),
        }
    }

    /// A prompt as what to follow.
    pub(crate) fn prompt(&self, text: &str) -> Result<Source> {
        let key = uuid::Uuid::new_v4().to_string();
        Ok(Source::Start { request: self.request(text)?, key })
    }

    /// The request that makes the conversation smaller.
    pub(crate) fn compaction(&self) -> Result<Source> {
        let request =
            ChatRequest { prompt: String::new(), compact: true, options: self.options()? };
        let key = uuid::Uuid::new_v4().to_string();
        Ok(Source::Start { request: encode(&RunRequest::Chat(request))?, key })
    }

    fn request(&self, text: &str) -> Result<Box<RawValue>> {
        let (prompt, options) = (text.to_owned(), self.options()?);
        encode(&RunRequest::Chat(ChatRequest { prompt, compact: false, options }))
    }

    fn options(&self) -> Result<RunOptions> {
        let mut options = request::options(&self.ctx, &self.settings, &self.flags)?;
        options.session = self.session.clone();
        options.approval.allow.extend_from_slice(&self.always);
        (options.foreground, options.outlives_client) = (true, true);
        Ok(options)
    }

    /// Keeps a prompt for after the turn under way; the call that submits it, where its
    /// session is known. Nothing when too many wait.
    pub(crate) fn queue(&mut self, text: &str) -> Result<Option<Call>> {
        if self.next.len() >= MOST_QUEUED {
            return Err(Failure::usage(format!("{MOST_QUEUED} prompts wait already")));
        }
        let key = uuid::Uuid::new_v4().to_string();
        let request = match self.session_id() {
            Some(_) => Some(self.request(text)?),
            None => None,
        };
        let call = request.as_ref().map(|request| Call {
            method: "run.submit",
            params: json!({ "request": request, "key": key }),
        });
        self.next.push_back(Next::Prompt { text: text.to_owned(), request, key });
        Ok(call)
    }

    /// Takes note of what happens in the turn.
    pub(crate) fn event(&mut self, event: &RunEvent) {
        self.run = Some(event.run);
        self.tools.event(event);
        match &event.body {
            EventBody::Attempt(attempt) => {
                self.session = SessionChoice::Resume(attempt.session.0.clone());
            }
            EventBody::Ask(Ask { ask, always: Some(pattern), .. }) => {
                self.asked.push((ask.clone(), pattern.clone()));
            }
            EventBody::Answered { ask, answer, .. } => self.answered(ask, answer),
            body => {
                let session = body.outcome().and_then(|outcome| outcome.session.clone());
                if let Some(session) = session {
                    self.session = SessionChoice::Resume(session.0);
                }
            }
        }
    }

    /// What is allowed for always holds for the turns that come, too.
    fn answered(&mut self, ask: &AskId, answer: &Answer) {
        let Some(at) = self.asked.iter().position(|(known, _)| known == ask) else { return };
        let (_, pattern) = self.asked.swap_remove(at);
        if *answer == Answer::AllowAlways && !self.always.contains(&pattern) {
            self.always.push(pattern);
        }
    }

    /// A tool call in full: the one before that which was shown last, or as `which` says,
    /// which may be empty.
    ///
    /// # Errors
    /// In words, where there is none.
    pub(crate) fn expand(&mut self, which: &str) -> std::result::Result<Vec<Line>, String> {
        let place = match which {
            "" => None,
            _ => Some(which.parse().map_err(|_| {
                format!(
                    "/expand takes a number: 1 is the last tool call, not `{}`",
                    brief(which, 40)
                )
            })?),
        };
        let aloud = self.settings.config.ui.screen_reader;
        self.tools.expand(place, aloud, printer::columns())
    }

    /// Forgets the conversation: the next turn begins another.
    pub(crate) fn leave(&mut self) {
        self.session = SessionChoice::New;
        self.run = None;
        self.tools.clear();
        self.asked.clear();
        self.always.clear();
    }

    /// Takes up the last conversation of this folder; whether there is one.
    pub(crate) fn take_up_last(&mut self) -> Result<bool> {
        let filter = RunFilter { states: Vec::new(), cwd: Some(self.folder()) };
        let mut connection = Connection::open(&self.ctx)?;
        let params = json!({ "filter": filter, "limit": PAGE });
        let list: ListResponse = connection.call("run.list", &params)?;
        let last = list.runs.iter().find(|run| run.mode == Mode::Chat);
        let Some(last) = last.cloned() else { return Ok(false) };
        if let Some(session) = &last.session {
            self.session = SessionChoice::Resume(session.0.clone());
        }
        // All that have not ended, the oldest first; else the last, for what it said.
        let same = |run: &&RunSummary| run.session == last.session && run.session.is_some();
        let active = |run: &&RunSummary| run.mode == Mode::Chat && !run.state.is_terminal();
        let at_work: Vec<&RunSummary> =
            list.runs.iter().rev().filter(active).filter(same).collect();
        let runs = if at_work.is_empty() { vec![&last] } else { at_work };
        self.next.extend(runs.into_iter().map(Next::run));
        Ok(true)
    }

    /// Takes up the conversation of a session; how many of its runs are at work.
    pub(crate) fn take_up(&mut self, session: &str) -> Result<usize> {
        let states = vec![RunState::Queued, RunState::Running, RunState::Asking, RunState::Parked];
        let filter = RunFilter { states, cwd: None };
        let mut connection = Connection::open(&self.ctx)?;
        let params = json!({ "filter": filter, "limit": PAGE });
        let list: ListResponse = connection.call("run.list", &params)?;
        let ours = |run: &&RunSummary| {
            run.mode == Mode::Chat && run.session.as_ref().is_some_and(|it| it.0 == session)
        };
        let runs: Vec<Next> = list.runs.iter().rev().filter(ours).map(Next::run).collect();
        self.leave();
        self.session = SessionChoice::Resume(session.to_owned());
        self.next.clear();
        let count = runs.len();
        self.next.extend(runs);
        Ok(count)
    }

    /// What to follow for a prompt that waited.
    pub(crate) fn queued(
        &self,
        text: &str,
        request: Option<Box<RawValue>>,
        key: String,
    ) -> Result<Source> {
        let request = match request {
            Some(request) => request,
            None => self.request(text)?,
        };
        Ok(Source::Start { request, key })
    }

    /// Submits prompts that wait, before we go: they are the daemon's then.
    pub(crate) fn hand_over(&mut self) -> Result<usize> {
        if self.next.is_empty() {
            return Ok(0);
        }
        let mut connection = Connection::open(&self.ctx)?;
        let mut count = 0;
        for next in std::mem::take(&mut self.next) {
            if let Next::Prompt { text, request, key } = next {
                let request = match request {
                    Some(request) => request,
                    None => self.request(&text)?,
                };
                let params = json!({ "request": request, "key": key });
                let _run: SubmitResponse = connection.call("run.submit", &params)?;
                count += 1;
            }
        }
        Ok(count)
    }
}

fn encode(request: &RunRequest) -> Result<Box<RawValue>> {
    serde_json::value::to_raw_value(request)
        .map_err(|error| Failure::failed(format!("cannot encode the request: {error}")))
}
