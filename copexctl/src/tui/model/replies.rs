//! What the daemon and the editor gave back.

use copex_proto::ask::AskList;
use copex_proto::error::ErrorInfo;
use copex_proto::explain::Explanation;
use copex_proto::health::{AnswerResponse, EventsResponse, SubmitResponse};
use copex_proto::id::RunId;
use copex_proto::run::RunDetail;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::call::{Call, Effect};
use super::form::Form;
use super::over::{Over, Purpose, Say};
use super::{Model, Screen};

fn read<T: DeserializeOwned>(raw: &RawValue) -> Result<T, String> {
    serde_json::from_str(raw.get())
        .map_err(|error| format!("copexd sent an answer of another form: {error}"))
}

impl Model {
    /// A call was answered.
    pub(super) fn replied(
        &mut self,
        call: &Call,
        answer: Result<Box<RawValue>, ErrorInfo>,
    ) -> Vec<Effect> {
        let raw = match answer {
            Ok(raw) => raw,
            Err(error) => {
                let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                self.complain(&format!("{}{hint}", error.message));
                return Vec::new();
            }
        };
        match self.take(call, &raw) {
            Ok(effects) => effects,
            Err(why) => {
                self.complain(&why);
                Vec::new()
            }
        }
    }

    fn take(&mut self, call: &Call, raw: &RawValue) -> Result<Vec<Effect>, String> {
        match call {
            Call::Asks => {
                let list: AskList = read(raw)?;
                let looked_at = self.inbox.current().map(|entry| entry.ask.ask.clone());
                self.inbox.asks = list.asks;
                self.inbox.told = true;
                let same = |ask| self.inbox.asks.iter().position(|entry| entry.ask.ask == ask);
                let last = self.inbox.asks.len().saturating_sub(1);
                let place = looked_at.and_then(same);
                if place.is_none() {
                    self.inbox.top = 0;
                }
                self.inbox.selected = place.unwrap_or(self.inbox.selected).min(last);
                self.runs.waiting = list.waiting;
                if let Some(ask) = self.answering.take().and_then(|run| self.ask_of(run))
                    && self.over.is_none()
                {
                    self.over = Some(Over::Say(Say::new(Purpose::Answer(Box::new(ask)))));
                }
            }
            Call::Spend => self.house.spend = Some(read(raw)?),
            Call::Pool => self.house.pool = Some(read(raw)?),
            Call::Breakers => self.house.breakers = Some(read(raw)?),
            Call::Status => self.house.status = Some(read(raw)?),
            Call::Detail(run) => {
                let detail: RunDetail = read(raw)?;
                if let Some(open) = self.open.as_mut().filter(|open| open.run() == *run) {
                    open.detail(detail);
                }
            }
            Call::Whole(run, _) => {
                let told: EventsResponse = read(raw)?;
                if let Some(open) = self.open.as_mut().filter(|open| open.run() == *run) {
                    told.events.iter().for_each(|event| open.log.whole(event));
                }
            }
            Call::Explain(_) => {
                let told: Explanation = read(raw)?;
                let text = crate::commands::explain::text(&told);
                self.over = Some(Over::Text { title: "why it waits".to_owned(), text, top: 0 });
            }
            Call::Cancel(_) => self.say("cancelled"),
            Call::Say { .. } => self.say("said; the agent hears it before its next step"),
            Call::Resume { run, .. } => {
                let new: SubmitResponse = read(raw)?;
                if new.run == *run {
                    self.say("it goes on now");
                } else {
                    self.say(format!("goes on as {}", new.run));
                    return Ok(self.open_run(new.run));
                }
            }
            Call::Answer { .. } => {
                let told: AnswerResponse = read(raw)?;
                if !told.accepted {
                    self.say("somebody answered before");
                }
                return Ok(vec![Call::Asks.into()]);
            }
            Call::ResetBreakers => {
                self.say("all breakers are closed");
                return Ok(self.look());
            }
        }
        Ok(Vec::new())
    }

    /// A run was started, or why not. What was typed is kept in that case.
    pub(super) fn submitted(&mut self, answer: Result<RunId, ErrorInfo>) -> Vec<Effect> {
        match answer {
            Ok(run) => {
                self.draft.clear();
                self.say(format!("started {run}; it goes on when you leave"));
                self.open_run(run)
            }
            Err(error) => {
                let hint = error.hint.map(|hint| format!(" ({hint})")).unwrap_or_default();
                self.complain(&format!("{}{hint}; n: your prompt is still there", error.message));
                Vec::new()
            }
        }
    }

    /// The editor gave a prompt back.
    pub(super) fn edited(&mut self, edited: Result<String, String>) -> Vec<Effect> {
        match edited {
            Ok(text) => {
                if !matches!(self.over, Some(Over::Form(_))) {
                    self.over = Some(Over::Form(Box::new(Form::new(&self.asked, self.effort))));
                }
                if let Some(Over::Form(form)) = &mut self.over {
                    form.prompt = super::field::Field::of(text.trim_end());
                }
            }
            Err(why) => self.complain(&why),
        }
        Vec::new()
    }

    /// Shows a run in full.
    pub(super) fn open_run(&mut self, run: RunId) -> Vec<Effect> {
        self.screen = Screen::Run;
        let same = self.open.as_ref().is_some_and(|open| open.run() == run);
        if !same {
            let known = self.runs.get(run).cloned().unwrap_or_else(|| unknown(run, self.now));
            self.open = Some(super::run::RunView::new(known));
        }
        vec![Call::Detail(run).into()]
    }
}

/// A run of which nothing is known yet; its events tell.
fn unknown(run: RunId, now: u64) -> copex_proto::run::RunSummary {
    copex_proto::run::RunSummary {
        run,
        mode: copex_proto::run::Mode::Chat,
        state: copex_proto::run::RunState::Queued,
        title: String::new(),
        cwd: String::new(),
        model: None,
        session: None,
        last_seq: 0,
        accepted_at: now,
        ended_at: None,
        resumed_from: None,
        needs_key: None,
    }
}
