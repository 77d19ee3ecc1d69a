//! The state of the whole screen. Pure: messages in, state and effects out.
//!
//! What it knows of a run is folded from the daemon's own events, so a screen after a
//! reconnection is the same as one that saw everything.

pub(crate) mod call;
pub(crate) mod command;
pub(crate) mod cursor;
pub(crate) mod doing;
pub(crate) mod field;
pub(crate) mod form;
mod fuzzy;
pub(crate) mod hits;
pub(crate) mod house;
mod keys;
pub(crate) mod log;
pub(crate) mod over;
mod perform;
mod replies;
pub(crate) mod run;
pub(crate) mod runs;

use std::cell::Cell;
use std::collections::BTreeMap;

use copex_proto::ask::AskEntry;
use copex_proto::error::ErrorInfo;
use copex_proto::event::{Ask, RunEvent};
use copex_proto::health::RunsChanged;
use copex_proto::id::{RunId, Seq};
use copex_proto::run::{Effort, RunState};
use crossterm::event::{KeyEvent, MouseEvent};
use serde_json::value::RawValue;

use self::call::{Call, Effect};
use self::hits::Hits;
use self::house::House;
use self::over::{Over, Purpose};
use self::run::RunView;
use self::runs::{Group, Runs};
use crate::render::theme::Look;

/// How long a note stays, in milliseconds: long enough to be read.
const NOTE_MS: u64 = 8_000;

/// Between two looks at money and pool while runs are at work, in milliseconds.
const LOOK_MS: u64 = 5_000;

/// Between two drawings of a clock, in milliseconds.
const CLOCK_MS: u64 = 1_000;

/// What a run is followed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Want {
    /// Its row in the list: what it does now.
    Row,
    /// All of it, from its first event on.
    Whole,
}

/// A screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Screen {
    /// All runs.
    #[default]
    Runs,
    /// One run.
    Run,
    /// Questions.
    Inbox,
    /// Money.
    Spend,
    /// Runtimes and breakers.
    Pool,
}

/// Whether the daemon is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// It was not reached yet.
    #[default]
    Connecting,
    /// It answers.
    Up,
    /// It went away.
    Lost {
        /// Why, for a person.
        why: String,
    },
}

/// A note at the bottom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Note {
    /// What it says.
    pub(crate) text: String,
    /// Whether something went wrong.
    pub(crate) bad: bool,
    /// When it goes, in Unix milliseconds.
    until: u64,
}

/// What happened outside.
#[derive(Debug)]
pub(crate) enum Msg {
    /// A key.
    Key(KeyEvent),
    /// Text was pasted.
    Paste(String),
    /// The mouse.
    Mouse(MouseEvent),
    /// How runs stand.
    Runs(RunsChanged),
    /// An event of a run that is followed.
    Event(Box<RunEvent>),
    /// The daemon answered a call.
    Replied(Call, Result<Box<RawValue>, ErrorInfo>),
    /// A run was started, or not.
    Submitted(Result<RunId, ErrorInfo>),
    /// The editor gave a prompt back, or did not.
    Edited(Result<String, String>),
    /// The editor that showed something, or changed a plan, has ended.
    Viewed(Result<(), String>),
    /// The connection is another.
    Link(Link),
}

/// What is shown in full and what in a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// What tools and checks printed.
    pub(crate) results: bool,
    /// The model's reasoning.
    pub(crate) reasoning: bool,
}

/// Questions that wait.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    /// The questions.
    pub(crate) asks: Vec<AskEntry>,
    /// The place of the one that is looked at.
    pub(crate) selected: usize,
    /// Whether the daemon has told.
    pub(crate) told: bool,
    /// Lines of the question above the first that is seen.
    pub(crate) top: usize,
    /// As many of them as there can be, as it was drawn last.
    pub(crate) last: Cell<usize>,
}

impl Inbox {
    /// The question that is looked at.
    pub(crate) fn current(&self) -> Option<&AskEntry> {
        self.asks.get(self.selected)
    }
}

/// Everything.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Now, in Unix milliseconds.
    pub(crate) now: u64,
    /// Columns and rows.
    pub(crate) size: (u16, u16),
    /// The daemon.
    pub(crate) link: Link,
    /// What is shown.
    pub(crate) screen: Screen,
    /// All runs.
    pub(crate) runs: Runs,
    /// The run that is shown in full, or was last.
    pub(crate) open: Option<RunView>,
    /// Questions.
    pub(crate) inbox: Inbox,
    /// Money, runtimes, breakers.
    pub(crate) house: House,
    /// What lies over the screen.
    pub(crate) over: Option<Over>,
    /// The last line that can stand at the top of a text which lies over the screen, as it was
    /// drawn last.
    pub(crate) over_last: Cell<usize>,
    /// What the mouse may hit, as it was drawn last.
    pub(crate) hits: Hits,
    /// A note at the bottom.
    pub(crate) note: Option<Note>,
    /// Whether what is searched for is being typed.
    pub(crate) finding: bool,
    /// What is shown in full.
    pub(crate) shown: Shown,
    /// The model that new runs ask.
    pub(crate) asked: String,
    /// The effort of new runs.
    pub(crate) effort: Option<Effort>,
    /// How everything looks.
    pub(crate) look: Look,
    /// When money and pool were asked for last, in Unix milliseconds.
    pub(crate) looked_at: u64,
    /// The run whose question is to be answered as soon as it is known.
    pub(crate) answering: Option<RunId>,
    /// A prompt that was not sent: what was typed is not lost.
    pub(crate) draft: String,
}

impl Model {
    /// Takes a message.
    pub(crate) fn update(&mut self, msg: Msg) -> Vec<Effect> {
        match msg {
            Msg::Key(key) => self.key(key),
            Msg::Paste(text) => self.paste(&text),
            Msg::Mouse(mouse) => self.mouse(mouse),
            Msg::Runs(change) => self.changed(change),
            Msg::Event(event) => self.event(&event),
            Msg::Replied(call, answer) => self.replied(&call, answer),
            Msg::Submitted(answer) => self.submitted(answer),
            Msg::Edited(edited) => self.edited(edited),
            Msg::Viewed(ended) => {
                if let Err(why) = ended {
                    self.complain(&why);
                }
                Vec::new()
            }
            Msg::Link(link) => self.linked(link),
        }
    }

    /// It is later; what is due.
    pub(crate) fn tick(&mut self, now: u64) -> Vec<Effect> {
        self.now = now;
        if self.note.as_ref().is_some_and(|note| note.until <= now) {
            self.note = None;
        }
        let due = self.looks_on() && now.saturating_sub(self.looked_at) >= LOOK_MS;
        if due { self.look() } else { Vec::new() }
    }

    /// In how many milliseconds something changes by itself; never when nothing does.
    pub(crate) fn rest(&self) -> Option<u64> {
        let clock = self.clocks().then(|| CLOCK_MS - self.now % CLOCK_MS);
        let note = self.note.as_ref().map(|note| note.until.saturating_sub(self.now).max(1));
        let look =
            (self.looks_on()).then(|| (self.looked_at + LOOK_MS).saturating_sub(self.now).max(1));
        [clock, note, look].into_iter().flatten().min()
    }

    /// The runs whose events are wanted, each with the number after which.
    pub(crate) fn followed(&self) -> BTreeMap<(RunId, Want), Seq> {
        let mut followed = BTreeMap::new();
        if self.screen == Screen::Runs {
            let rows = self.runs.followed();
            followed.extend(rows.map(|(run, after)| ((run, Want::Row), after)));
        }
        if let Some(open) = self.open.as_ref().filter(|_| self.screen == Screen::Run) {
            // An ended run is read to its end once.
            if open.error.is_none() && open.outcome.is_none() {
                followed.insert((open.run(), Want::Whole), open.doing.seq);
            }
        }
        followed
    }

    /// Says something for a while.
    pub(crate) fn say(&mut self, text: impl Into<String>) {
        self.note = Some(Note { text: text.into(), bad: false, until: self.now + NOTE_MS });
    }

    /// Says that something went wrong.
    pub(crate) fn complain(&mut self, text: &str) {
        let text = crate::render::clean(text);
        self.note = Some(Note { text, bad: true, until: self.now + NOTE_MS });
    }

    /// The run that commands are about.
    pub(crate) fn target(&self) -> Option<RunId> {
        match self.screen {
            Screen::Runs => self.runs.selected,
            Screen::Run => self.open.as_ref().map(RunView::run),
            Screen::Inbox => self.inbox.current().map(|entry| entry.run),
            Screen::Spend | Screen::Pool => None,
        }
    }

    /// Whether no run is looked at, or one that is over.
    fn nothing_to_cancel(&self) -> bool {
        let state = self.target().and_then(|run| self.state_of(run));
        state.is_none_or(RunState::is_terminal)
    }

    /// A question of a run that waits.
    pub(crate) fn ask_of(&self, run: RunId) -> Option<Ask> {
        if let Some(current) = self.inbox.current().filter(|entry| entry.run == run) {
            return Some(current.ask.clone());
        }
        let listed = self.inbox.asks.iter().find(|entry| entry.run == run);
        listed.map(|entry| entry.ask.clone()).or_else(|| {
            let open = self.open.as_ref().filter(|open| open.run() == run)?;
            open.asks.first().cloned()
        })
    }

    /// Whether a clock is on the screen that runs.
    fn clocks(&self) -> bool {
        match self.screen {
            Screen::Runs => self.runs.count(Group::Needs) + self.runs.count(Group::Working) > 0,
            Screen::Run => self.open.as_ref().is_some_and(|open| !open.summary.state.is_terminal()),
            Screen::Inbox => !self.inbox.asks.is_empty(),
            Screen::Spend | Screen::Pool => false,
        }
    }

    /// Whether money or pool are looked at while something changes them.
    fn looks_on(&self) -> bool {
        matches!(self.screen, Screen::Spend | Screen::Pool)
            && self.link == Link::Up
            && self.runs.count(Group::Working) + self.runs.count(Group::Needs) > 0
    }

    /// Asks for what the screen shows.
    fn look(&mut self) -> Vec<Effect> {
        self.looked_at = self.now;
        let calls: &[Call] = match self.screen {
            Screen::Runs | Screen::Run => &[],
            Screen::Inbox => &[Call::Asks],
            Screen::Spend => &[Call::Spend],
            Screen::Pool => &[Call::Status, Call::Pool, Call::Breakers],
        };
        calls.iter().cloned().map(Effect::from).collect()
    }

    /// Shows a screen.
    fn go(&mut self, screen: Screen) -> Vec<Effect> {
        self.screen = screen;
        // What was said of another screen does not stay.
        self.note = None;
        self.house.top = 0;
        self.look()
    }

    fn changed(&mut self, change: RunsChanged) -> Vec<Effect> {
        let whole = !self.runs.told;
        self.runs.apply(change.runs, change.waiting, whole);
        if let Some(open) = &mut self.open
            && let Some(known) = self.runs.get(open.run())
        {
            open.summary.state = known.state;
            open.summary.ended_at = known.ended_at;
        }
        // A question may have come in the place of another.
        let asks = self.runs.waiting > 0 || !self.inbox.asks.is_empty();
        if asks { vec![Call::Asks.into()] } else { Vec::new() }
    }

    fn event(&mut self, event: &RunEvent) -> Vec<Effect> {
        self.runs.event(event);
        if let Some(open) = self.open.as_mut().filter(|open| open.run() == event.run) {
            open.apply(event);
        }
        let answering = match &self.over {
            Some(Over::Say(say)) => match &say.purpose {
                Purpose::Answer(ask) => Some(&ask.ask),
                _ => None,
            },
            _ => None,
        };
        if let copex_proto::event::EventBody::Answered { ask, .. } = &event.body
            && answering == Some(ask)
        {
            self.over = None;
            self.say("it was answered elsewhere");
        }
        Vec::new()
    }

    fn linked(&mut self, link: Link) -> Vec<Effect> {
        let back = link == Link::Up && matches!(self.link, Link::Lost { .. });
        self.link = link;
        if self.link != Link::Up {
            // What is told first then replaces what was known.
            self.runs.told = false;
            return Vec::new();
        }
        if back {
            self.say("the daemon is back");
        }
        self.look()
    }
}
