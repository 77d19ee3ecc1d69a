//! One run in full, folded from its events.

use std::cell::{Cell, RefCell};

use copex_proto::error::ErrorInfo;
use copex_proto::event::{Ask, EventBody, Outcome, RunEvent, Step, Task, Usage};
use copex_proto::id::{RunId, SessionId};
use copex_proto::run::{Mode, RunDetail, RunState, RunSummary};

use super::cursor::Spot;
use super::doing::Doing;
use super::log::Log;
use crate::render::said::{self, Piece};
use crate::tui::draw::text::Wrapped;

/// Tasks, steps, members and iterations that are kept. Nobody has more.
const PARTS: usize = 1_000;

/// A view of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    /// What happened.
    #[default]
    Log,
    /// Its tasks, steps, members or iterations.
    Parts,
    /// What came of it.
    Answer,
    /// What was asked.
    About,
}

/// How far a view is scrolled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// To its end, whatever is added.
    #[default]
    End,
    /// This line is the first that is shown.
    At(usize),
}

/// A member of a council.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    /// Its name.
    pub(crate) name: String,
    /// How it stands.
    pub(crate) state: RunState,
    /// What it is at.
    pub(crate) stage: String,
    /// Why, where there is something to say.
    pub(crate) note: String,
    /// How it ranked the opinions, the best first, and whether it finds that all agree.
    pub(crate) ballot: Option<(Vec<String>, bool)>,
}

/// An iteration.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Round {
    /// The place of its events: `1`, or `STEP/1`.
    pub(crate) path: String,
    /// Its number.
    pub(crate) number: u32,
    /// Since when, in Unix milliseconds.
    pub(crate) since: u64,
    /// Its checks that ended: the command and its exit status.
    pub(crate) gates: Vec<(String, Option<i32>)>,
    /// The check that is under way.
    pub(crate) checks: Option<String>,
}

/// The run.
#[derive(Debug)]
pub(crate) struct RunView {
    /// How it stands as lists show it.
    pub(crate) summary: RunSummary,
    /// What it is doing.
    pub(crate) doing: Doing,
    /// What happened.
    pub(crate) log: Log,
    /// The tasks of a fleet.
    pub(crate) tasks: Vec<Task>,
    /// The steps of a plan.
    pub(crate) steps: Vec<Step>,
    /// The members of a council.
    pub(crate) members: Vec<Member>,
    /// The iterations of a loop or of steps.
    pub(crate) rounds: Vec<Round>,
    /// Questions that wait.
    pub(crate) asks: Vec<Ask>,
    /// What it took.
    pub(crate) usage: Usage,
    /// The last message.
    pub(crate) words: String,
    /// What came of it.
    pub(crate) outcome: Option<Outcome>,
    /// Why it did not end well.
    pub(crate) error: Option<ErrorInfo>,
    /// What it was asked, once the daemon told.
    pub(crate) request: Option<serde_json::Value>,
    /// What is shown.
    pub(crate) tab: Tab,
    /// The part whose log alone is shown.
    pub(crate) only: Option<String>,
    /// The part that is looked at.
    pub(crate) part: usize,
    /// How far the view is scrolled.
    pub(crate) scroll: Scroll,
    /// The answer's lines as they were drawn last.
    pub(crate) laid: Wrapped,
    /// Lines of the view and of the screen for it, as it was drawn last.
    pub(crate) seen: Cell<(usize, usize)>,
    /// The line of the log that is looked at.
    pub(crate) spot: Option<Spot>,
    /// The first line that was drawn, while what was opened last is looked at: it is shown as far
    /// as it fits.
    pub(crate) revealed: Cell<Option<usize>>,
    /// The log's blocks and how many lines each has, as they were drawn last.
    pub(crate) drawn: RefCell<Vec<(u64, usize)>>,
}

impl RunView {
    /// A run of which its row in the list is known.
    pub(crate) fn new(summary: RunSummary) -> Self {
        Self {
            summary,
            doing: Doing::default(),
            log: Log::default(),
            tasks: Vec::new(),
            steps: Vec::new(),
            members: Vec::new(),
            rounds: Vec::new(),
            asks: Vec::new(),
            usage: Usage::default(),
            words: String::new(),
            outcome: None,
            error: None,
            request: None,
            tab: Tab::default(),
            only: None,
            part: 0,
            scroll: Scroll::End,
            laid: Wrapped::default(),
            seen: Cell::new((0, 0)),
            spot: None,
            revealed: Cell::new(None),
            drawn: RefCell::default(),
        }
    }

    /// Which.
    pub(crate) fn run(&self) -> RunId {
        self.summary.run
    }

    /// Takes the next event. One that was there already changes nothing, nor does one that
    /// comes too early: it was sent for the list, and comes again in its turn.
    pub(crate) fn apply(&mut self, event: &RunEvent) {
        if event.seq != self.doing.seq + 1 {
            return;
        }
        self.doing.apply(event);
        self.log.apply(event);
        self.summary.last_seq = event.seq;
        match &event.body {
            EventBody::Accepted(accepted) => {
                self.summary.mode = accepted.mode;
                self.summary.title.clone_from(&accepted.title);
                self.summary.cwd.clone_from(&accepted.cwd);
                self.summary.accepted_at = event.at;
                self.summary.resumed_from = accepted.resumed_from;
            }
            EventBody::State { state } => self.summary.state = *state,
            EventBody::Parked { .. } => self.summary.state = RunState::Parked,
            EventBody::Attempt(attempt) => {
                self.summary.session = Some(SessionId::clone(&attempt.session));
                if attempt.model.is_some() {
                    self.summary.model.clone_from(&attempt.model);
                }
            }
            EventBody::Usage(usage) => {
                self.usage.add(usage);
                if usage.model.is_some() {
                    self.summary.model.clone_from(&usage.model);
                }
            }
            EventBody::Message { text } if self.summary.mode == Mode::Council => {
                self.vote(event.path.as_deref(), text);
            }
            EventBody::Message { text } if event.path.is_none() => {
                self.words.clone_from(text);
                self.laid.forget();
            }
            EventBody::Task(task) => put(&mut self.tasks, task, |it| (it.number, it.id.clone())),
            EventBody::Step(step) => put(&mut self.steps, step, |it| (it.number, String::new())),
            EventBody::Member { name, state, stage, note } => {
                self.member(name, *state, stage.as_deref(), note.as_deref());
            }
            EventBody::Iteration { number, .. } => {
                let path = event.path.clone().unwrap_or_default();
                let (number, since) = (*number, event.at);
                let round = Round { path, number, since, ..Round::default() };
                if self.rounds.len() < PARTS {
                    self.rounds.push(round);
                }
            }
            EventBody::GateStart { command } => {
                if let Some(round) = self.round(event.path.as_deref()) {
                    round.checks = Some(command.clone());
                }
            }
            EventBody::Gate { command, exit_code, .. } => {
                if let Some(round) = self.round(event.path.as_deref()) {
                    round.checks = None;
                    round.gates.push((command.clone(), *exit_code));
                }
            }
            EventBody::Ask(ask) => self.asks.push(ask.clone()),
            EventBody::Answered { ask, .. } => self.asks.retain(|open| open.ask != *ask),
            body if body.is_terminal() => self.end(body, event.at),
            _ => {}
        }
    }

    fn end(&mut self, body: &EventBody, at: u64) {
        self.asks.clear();
        self.summary.ended_at = Some(at);
        self.summary.state = match body {
            EventBody::Done(_) => RunState::Done,
            EventBody::Failed(_) => RunState::Failed,
            EventBody::Blocked(_) => RunState::Blocked,
            EventBody::Exhausted(_) => RunState::Exhausted,
            _ => RunState::Cancelled,
        };
        self.laid.forget();
        self.outcome = body.outcome().cloned();
        self.error = body.ending().map(|ending| ending.error.clone());
        if let Some(outcome) = &self.outcome {
            self.usage.clone_from(&outcome.usage);
        }
    }

    fn member(&mut self, name: &str, state: RunState, stage: Option<&str>, note: Option<&str>) {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let (stage, note) = (text(stage), text(note));
        let told = Member { name: name.to_owned(), state, stage, note, ballot: None };
        if let Some(member) = self.members.iter_mut().find(|member| member.name == name) {
            let ballot = member.ballot.take();
            *member = Member { ballot, ..told };
        } else if self.members.len() < PARTS {
            self.members.push(told);
        }
    }

    /// The iteration at this place.
    fn round(&mut self, path: Option<&str>) -> Option<&mut Round> {
        let path = path.unwrap_or_default();
        self.rounds.iter_mut().rev().find(|round| round.path == path)
    }

    /// A review has its ballot.
    fn vote(&mut self, path: Option<&str>, text: &str) {
        let pieces = said::pieces(Mode::Council, text, true).unwrap_or_default();
        let member = self.members.iter_mut().find(|it| Some(it.name.as_str()) == path);
        let ballot = pieces.into_iter().find_map(|piece| match piece {
            Piece::Ballot { ranking, agree } => Some((ranking, agree)),
            _ => None,
        });
        if let (Some(member), Some(ballot)) = (member, ballot) {
            member.ballot = Some(ballot);
        }
    }

    /// Takes what the daemon knows of it beside its events.
    pub(crate) fn detail(&mut self, detail: RunDetail) {
        self.request = Some(detail.request);
        // Its events are newer.
        self.summary.model = self.summary.model.take().or(detail.summary.model);
        self.summary.resumed_from = detail.summary.resumed_from;
    }

    /// How many parts it has.
    pub(crate) fn parts(&self) -> usize {
        match self.summary.mode {
            Mode::Fleet => self.tasks.len(),
            Mode::Plan => self.steps.len(),
            Mode::Council => self.members.len(),
            Mode::Ralph => self.rounds.len(),
            Mode::Chat => 0,
        }
    }

    /// The place of the events of a part.
    pub(crate) fn part_path(&self, part: usize) -> Option<String> {
        match self.summary.mode {
            Mode::Fleet => self.tasks.get(part).map(|task| task.id.clone()),
            Mode::Plan => self.steps.get(part).map(|step| step.number.to_string()),
            Mode::Council => self.members.get(part).map(|member| member.name.clone()),
            Mode::Ralph => self.rounds.get(part).map(|round| round.path.clone()),
            Mode::Chat => None,
        }
    }

    /// What its parts are called.
    pub(crate) fn parts_name(&self) -> Option<&'static str> {
        match self.summary.mode {
            Mode::Fleet => Some("Tasks"),
            Mode::Plan => Some("Steps"),
            Mode::Council => Some("Members"),
            Mode::Ralph => Some("Iterations"),
            Mode::Chat => None,
        }
    }

    /// Its views.
    pub(crate) fn tabs(&self) -> Vec<(Tab, &'static str)> {
        let mut tabs = vec![(Tab::Log, "Log")];
        tabs.extend(self.parts_name().map(|name| (Tab::Parts, name)));
        tabs.extend([(Tab::Answer, "Answer"), (Tab::About, "About")]);
        tabs
    }

    /// The answer, or what is there of it.
    pub(crate) fn answer(&self) -> String {
        match &self.outcome {
            Some(outcome) => crate::render::answer(outcome, true),
            None => self.words.clone(),
        }
    }

    /// Shows another view.
    pub(crate) fn show(&mut self, tab: Tab) {
        if self.tab != tab {
            self.tab = tab;
            self.scroll = if tab == Tab::Log { Scroll::End } else { Scroll::At(0) };
            self.spot = None;
            self.revealed.set(None);
        }
    }

    /// Scrolls by so many lines, down where they are positive.
    pub(crate) fn scroll_by(&mut self, lines: isize) {
        let (total, rows) = self.seen.get();
        let last = total.saturating_sub(rows);
        let top = self.top().saturating_add_signed(lines).min(last);
        self.revealed.set(None);
        self.scroll =
            if top == last && self.tab == Tab::Log { Scroll::End } else { Scroll::At(top) };
        self.keep_in_sight();
    }
}

/// Takes a part in the place of what was known of it. A part is told by its number and name.
fn put<T: Clone>(parts: &mut Vec<T>, part: &T, place: impl Fn(&T) -> (u32, String)) {
    let wanted = place(part);
    if let Some(known) = parts.iter_mut().find(|known| place(known) == wanted) {
        known.clone_from(part);
    } else if parts.len() < PARTS {
        let at = parts.partition_point(|known| place(known) < wanted);
        parts.insert(at, part.clone());
    }
}
