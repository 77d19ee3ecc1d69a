//! Commands, carried out.

use copex_proto::id::RunId;
use copex_proto::run::{Mode, RunState};

use super::call::{Call, Effect};
use super::command::Command;
use super::form::{Form, next_effort};
use super::over::{Over, Palette, Purpose, Say};
use super::run::Tab;
use super::{Model, Screen};
use crate::render::theme::Depth;

impl Model {
    /// Does what a command says.
    pub(super) fn perform(&mut self, command: Command) -> Vec<Effect> {
        match command {
            Command::Runs => return self.go(Screen::Runs),
            Command::Inbox => return self.go(Screen::Inbox),
            Command::Spend => return self.go(Screen::Spend),
            Command::Pool => return self.go(Screen::Pool),
            Command::New => self.new_run(),
            Command::Find => {
                self.screen = Screen::Runs;
                self.finding = true;
            }
            Command::Tools => {
                self.shown.results = !self.shown.results;
                if let Some(open) = &mut self.open {
                    open.log.close_all();
                }
                self.forget_lines();
            }
            Command::Reasoning => {
                self.shown.reasoning = !self.shown.reasoning;
                self.forget_lines();
            }
            Command::Effort => {
                self.effort = next_effort(self.effort);
                let name = self.effort.map_or("as configured", |effort| effort.as_str());
                self.say(format!("effort of new runs: {name}"));
            }
            Command::Theme => {
                let theme = self.look.ui.theme.next();
                self.look.ui.theme = theme;
                self.forget_lines();
                let none = self.look.depth == Depth::None;
                let why = if none { "; this terminal shows no colours" } else { "" };
                self.say(format!("theme: {}{why}", theme.as_str()));
            }
            Command::Unfold => return self.unfold(),
            Command::Refresh => {
                let mut effects = self.look();
                effects.push(Effect::Redraw);
                return effects;
            }
            Command::ResetBreakers => return vec![Call::ResetBreakers.into()],
            Command::StartDaemon => return vec![Effect::StartDaemon],
            Command::Palette => self.over = Some(Over::Palette(Palette::default())),
            Command::Help => self.over = Some(Over::Help(0)),
            Command::Quit => return vec![Effect::Quit],
            Command::Open
            | Command::Answer
            | Command::Say
            | Command::Cancel
            | Command::Resume
            | Command::Explain
            | Command::View
            | Command::EditPlan => return self.about_a_run(command),
        }
        Vec::new()
    }

    fn about_a_run(&mut self, command: Command) -> Vec<Effect> {
        let Some(run) = self.target() else {
            self.say("no run is selected");
            return Vec::new();
        };
        let state = self.state_of(run);
        let over = state.is_some_and(RunState::is_terminal);
        match command {
            Command::Open => return self.enter(run),
            Command::Answer => match self.ask_of(run) {
                Some(ask) => {
                    self.over = Some(Over::Say(Say::new(Purpose::Answer(Box::new(ask)))));
                }
                None if state == Some(RunState::Asking) => {
                    // Its question is on its way.
                    self.answering = Some(run);
                    return vec![Call::Asks.into()];
                }
                None => self.say("this run asks nothing"),
            },
            Command::Say if over => self.say("this run is over; r goes on with it"),
            Command::Say if self.mode_of(run).is_some_and(|mode| mode != Mode::Chat) => {
                self.say("only a chat is told more while it works");
            }
            Command::Say => self.over = Some(Over::Say(Say::new(Purpose::Steer(run)))),
            Command::Cancel if over => self.say("this run is over"),
            Command::Cancel => self.over = Some(Over::Confirm(run)),
            Command::Resume if state == Some(RunState::Parked) => {
                return vec![Call::Resume { run, prompt: None, now: true }.into()];
            }
            Command::Resume if !over => self.say("this run is at work"),
            Command::Resume => {
                let mode = self.mode_of(run);
                let done = state == Some(RunState::Done);
                let words = mode.is_none_or(|mode| matches!(mode, Mode::Chat | Mode::Ralph));
                self.over = Some(Over::Say(Say::new(Purpose::Resume { run, words, done })));
            }
            Command::Explain => return vec![Call::Explain(run).into()],
            Command::View => return self.view(run),
            Command::EditPlan => {
                let open = self.open.as_ref().filter(|open| open.run() == run);
                let doing = open.map(|open| &open.doing).or_else(|| self.runs.doing.get(&run));
                if let Some(file) = doing.and_then(|doing| doing.plan.clone()) {
                    return vec![Effect::EditPlan(file)];
                }
                self.say("no plan is known here; open a run that has one");
            }
            _ => {}
        }
        Vec::new()
    }

    /// Enter: into a run, or into the part of it that is looked at.
    fn enter(&mut self, run: RunId) -> Vec<Effect> {
        match &mut self.open {
            Some(open) if self.screen == Screen::Run => {
                if open.tab == Tab::Parts
                    && let Some(path) = open.part_path(open.part)
                {
                    open.only = Some(path);
                    open.show(Tab::Log);
                    open.scroll = super::run::Scroll::End;
                } else if open.tab == Tab::Log {
                    return self.unfold();
                }
                Vec::new()
            }
            _ => self.open_run(run),
        }
    }

    /// Opens the line of the log that is looked at, or closes it. What is not kept of it is read.
    fn unfold(&mut self) -> Vec<Effect> {
        let shown = self.shown;
        let open =
            self.open.as_mut().filter(|open| self.screen == Screen::Run && open.tab == Tab::Log);
        let Some(open) = open else { return Vec::new() };
        if !open.unfold(shown) {
            self.say("↑ ↓ look at a line; those of tools, checks and plans can be opened");
            return Vec::new();
        }
        let run = open.run();
        let block = open.spot.and_then(|spot| open.log.block(spot.block));
        let wanted = block.and_then(|block| block.wanted());
        wanted.map(|seq| Call::Whole(run, seq).into()).into_iter().collect()
    }

    fn view(&mut self, run: RunId) -> Vec<Effect> {
        let open = self.open.as_ref().filter(|open| open.run() == run);
        let Some(open) = open else {
            self.say("open the run first: Enter");
            return Vec::new();
        };
        let text = open.answer();
        if text.trim().is_empty() {
            self.say("there is no answer yet");
            return Vec::new();
        }
        vec![Effect::View { text, extension: "md" }]
    }

    fn new_run(&mut self) {
        let mut form = Form::new(&self.asked, self.effort);
        form.prompt = super::field::Field::of(&self.draft);
        self.over = Some(Over::Form(Box::new(form)));
    }

    /// How a run stands, as far as that is known.
    pub(super) fn state_of(&self, run: RunId) -> Option<RunState> {
        let open = self.open.as_ref().filter(|open| open.run() == run);
        open.map(|open| open.summary.state).or_else(|| Some(self.runs.get(run)?.state))
    }

    fn mode_of(&self, run: RunId) -> Option<Mode> {
        let open = self.open.as_ref().filter(|open| open.run() == run);
        open.map(|open| open.summary.mode).or_else(|| Some(self.runs.get(run)?.mode))
    }

    /// Another form of the same log: its lines are made anew.
    fn forget_lines(&mut self) {
        let Some(open) = &mut self.open else { return };
        open.laid.forget();
        for block in &mut open.log.blocks {
            // The agent's words know what they were made for.
            block.wrapped.forget();
        }
    }
}
