//! What a run is doing at the moment, and how far it is, folded from its events.

use std::collections::BTreeMap;
use std::path::PathBuf;

use copex_proto::event::{EventBody, RunEvent, StepState};
use copex_proto::id::Seq;
use copex_proto::run::RunState;

use crate::render::{brief, held_back, telling};

/// Characters of what is being done: a row shows fewer.
const MOST: usize = 160;

/// Tasks, steps and members that are counted.
const PARTS: usize = 1_000;

/// A run at this moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Doing {
    /// The number of the last event.
    pub(crate) seq: Seq,
    /// What is being done, in a few words.
    pub(crate) what: String,
    /// Since when, in Unix milliseconds.
    pub(crate) since: u64,
    /// Until when it waits, in Unix milliseconds.
    pub(crate) until: Option<u64>,
    /// The file of its plan.
    pub(crate) plan: Option<PathBuf>,
    /// The iteration and the last there may be.
    iteration: Option<(u32, u32)>,
    /// Whether each part of it is over: tasks, steps or members.
    parts: BTreeMap<String, bool>,
    total: u32,
    /// The last words of the answer under way.
    words: String,
    /// Who says them, of several; others are heard once that is said.
    speaker: Option<String>,
}

impl Doing {
    /// Takes an event.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        self.seq = event.seq;
        let at = event.at;
        let path = event.path.as_deref();
        let spoken = !self.words.is_empty() && self.speaker.as_deref() != path;
        match &event.body {
            EventBody::MessageDelta { .. } | EventBody::Message { .. } if spoken => {}
            EventBody::Iteration { number, max } => {
                self.iteration = Some((*number, *max));
                self.turn("waits for the model", at);
            }
            EventBody::Task(task) => {
                self.total = self.total.max(task.total);
                self.part(&task.id, task.state.is_terminal());
                self.silence(task.state.is_terminal());
            }
            EventBody::Step(step) => {
                let over = !matches!(step.state, StepState::Pending | StepState::Running);
                self.total = self.total.max(step.total);
                self.part(&step.number.to_string(), over);
                self.silence(over);
            }
            EventBody::Member { name, state, stage, .. } => {
                self.part(name, state.is_terminal());
                self.silence(state.is_terminal());
                let waits = *state == RunState::Queued;
                if let Some(stage) = stage.as_ref().filter(|_| !waits && !state.is_terminal()) {
                    self.turn(&format!("{stage} of {name}"), at);
                }
            }
            EventBody::State { state: RunState::Queued } => self.turn("waits for its turn", at),
            EventBody::State { state: RunState::Running }
            | EventBody::Attempt(_)
            | EventBody::ToolEnd(_) => {
                self.turn("waits for the model", at);
            }
            EventBody::Restarted { .. } => {
                self.silence(!spoken);
                self.turn("waits for the model", at);
            }
            EventBody::MessageDelta { text } => {
                self.speaker = path.map(str::to_owned);
                self.say(text, at);
            }
            EventBody::Message { text } => {
                self.words.clear();
                self.say(text, at);
                self.words.clear();
            }
            EventBody::ReasoningDelta { .. } => self.turn("thinks", at),
            EventBody::ToolStart(tool) => {
                let about = brief(telling(tool).unwrap_or_default(), MOST);
                self.turn(&format!("{} {about}", tool.name), at);
            }
            EventBody::GateStart { command } => self.turn(&format!("check {command}"), at),
            EventBody::Gate { .. } => self.turn("goes on after the check", at),
            EventBody::Retrying(retry) => {
                let words = held_back(retry).map(|what| format!("waits for {what}"));
                let words = words.unwrap_or_else(|| "tries again".to_owned());
                self.turn(&format!("{words}: {}", retry.error.message), at);
                self.until = Some(at + retry.delay_ms);
            }
            EventBody::Parked { reason, until, needs_key } => {
                let key = needs_key.as_ref().map(|name| format!("needs the key in {name}"));
                self.turn(&key.unwrap_or_else(|| format!("parked: {reason}")), at);
                self.until = *until;
            }
            EventBody::Artifact { file, kind } if kind == "plan" => {
                self.plan = Some(PathBuf::from(file));
            }
            EventBody::Ask(ask) => self.turn(&crate::answer::about(ask), at),
            _ => {}
        }
    }

    /// How far it is, where that can be counted.
    pub(crate) fn progress(&self) -> Option<String> {
        if !self.parts.is_empty() {
            let over = self.parts.values().filter(|over| **over).count();
            let total = usize::try_from(self.total).unwrap_or(0).max(self.parts.len());
            return Some(format!("{over}/{total}"));
        }
        self.iteration.map(|(number, max)| format!("{number}/{max}"))
    }

    fn part(&mut self, name: &str, over: bool) {
        if self.parts.len() < PARTS || self.parts.contains_key(name) {
            self.parts.insert(name.to_owned(), over);
        }
    }

    /// What is being said is over: with somebody's part, or taken back.
    fn silence(&mut self, over: bool) {
        if over {
            self.words.clear();
        }
    }

    fn turn(&mut self, what: &str, at: u64) {
        let what = brief(what, MOST);
        self.until = None;
        if self.what != what {
            (self.what, self.since) = (what, at);
        }
    }

    /// The last line of what is said is what a row shows.
    fn say(&mut self, text: &str, at: u64) {
        if self.words.is_empty() {
            self.since = at;
        }
        self.words.push_str(text);
        if let Some(end) = self.words.trim_end().rfind('\n') {
            self.words.drain(..=end);
        }
        if self.words.len() > 4 * MOST {
            let from = self.words.ceil_char_boundary(self.words.len() - MOST);
            self.words.drain(..from);
        }
        let what = brief(&self.words, MOST).replace("**", "").replace('`', "");
        // Tags and JSON are said to copex, not to people.
        let said = self.words.trim();
        let data = ["```", "{", "}", "]"].iter().any(|sign| said.starts_with(sign));
        match what.strip_prefix("<promise>") {
            Some(promise) => self.what = format!("promise: {}", promise.replace("</promise>", "")),
            None if data => "writes it down".clone_into(&mut self.what),
            None if !what.is_empty() => self.what = format!("“{what}"),
            None => {}
        }
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use copex_proto::error::ErrorClass;

    use super::*;
    use crate::render::words::tests::wait;
    use crate::tui::tests::{summary, task};

    #[test]
    fn a_wait_for_a_limit_is_no_try() {
        let mut doing = Doing::default();
        let body = EventBody::Retrying(wait(ErrorClass::RateLimit));
        let run = summary(1, RunState::Running, "x").run;
        doing.apply(&RunEvent { run, seq: 1, at: 1, path: None, body });
        assert_eq!(doing.what, "waits for the rate limit: m1 is limited for 5 s");
        assert_eq!(doing.until, Some(4_401));
    }

    #[test]
    fn of_several_who_speak_one_is_heard_to_the_end() {
        let mut doing = Doing::default();
        let mut happens = |path: &str, body: EventBody| {
            let (run, seq) = (summary(1, RunState::Running, "x").run, doing.seq + 1);
            doing.apply(&RunEvent { run, seq, at: 1, path: Some(path.to_owned()), body });
            doing.what.clone()
        };
        let delta = |text: &str| EventBody::MessageDelta { text: text.to_owned() };
        assert_eq!(happens("a", delta("fn ")), "“fn");
        assert_eq!(happens("b", delta("other ")), "“fn");
        assert_eq!(happens("a", delta("main()")), "“fn main()");
        let whole = EventBody::Message { text: "other words".to_owned() };
        assert_eq!(happens("b", whole), "“fn main()");
        let whole = EventBody::Message { text: "fn main()".to_owned() };
        assert_eq!(happens("a", whole), "“fn main()");
        assert_eq!(happens("b", delta("heard")), "“heard");
        // Who breaks off in the middle is not waited for.
        happens("b", task("b", 2, RunState::Failed, &[]));
        assert_eq!(happens("a", delta("again")), "“again");
    }
}
