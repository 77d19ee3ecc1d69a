//! The keys that do something here and now, at the foot of the screen.

use copex_proto::event::AskKind;
use copex_proto::run::{Mode, RunState};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::Canvas;
use super::look::Tone;
use crate::tui::model::run::Tab;
use crate::tui::model::{Model, Screen};

type Hint = (&'static str, &'static str);

impl Canvas<'_> {
    pub(super) fn hints(&mut self, area: Rect, y: u16) {
        let mut keys = of_screen(self.model);
        // Where there is no room for all, those before the last are left out: that of help stays.
        let width = |(key, words): &Hint| key.width() + words.width() + 3;
        while keys.len() > 1 && keys.iter().map(width).sum::<usize>() >= area.width.into() {
            keys.remove(keys.len() - 2);
        }
        let mut spans = vec![Span::raw(" ")];
        for (key, words) in keys {
            spans.push(self.span(Tone::Accent, key));
            spans.push(self.span(Tone::Faint, format!(" {words}  ")));
        }
        self.put(area.x, y, area.width, &Line::from(spans));
    }
}

/// Keys without anything to do are not shown.
fn of_screen(model: &Model) -> Vec<Hint> {
    let mut keys: Vec<Hint> = Vec::new();
    match model.screen {
        _ if model.finding => {
            return vec![("Enter", "take"), ("Esc", "all runs"), ("↑↓", "row")];
        }
        Screen::Runs => {
            let run = model.runs.selected();
            keys.extend(run.map(|_| ("Enter", "open")));
            keys.push(("n", "new"));
            keys.extend(run.map(|run| of_run(run.mode, run.state)).unwrap_or_default());
            keys.extend(run.map(|_| ("/", "find")));
            keys.extend([("^P", "commands"), ("q", "leave")]);
        }
        Screen::Run => {
            let Some(open) = &model.open else { return vec![("Esc", "back")] };
            keys.push(("Tab", "view"));
            match open.tab {
                Tab::Parts if open.parts() > 0 => keys.push(("Enter", "its log")),
                Tab::Log => keys.push(("↑↓ x", "open a line")),
                _ => {}
            }
            keys.extend(of_run(open.summary.mode, open.summary.state));
            keys.extend((!open.answer().trim().is_empty()).then_some(("e", "editor")));
            keys.extend(open.doing.plan.as_ref().map(|_| ("E", "edit plan")));
            if open.tab == Tab::Log {
                keys.extend([("^T", "output"), ("^G", "thoughts")]);
            }
            keys.push(("Esc", "back"));
        }
        Screen::Inbox => {
            if let Some(entry) = model.inbox.current() {
                keys.push(("Enter", "answer"));
                match entry.ask.kind {
                    AskKind::Permission => {
                        keys.extend([("y", "yes"), ("n", "no"), ("A", "always")]);
                    }
                    AskKind::PlanApproval => {
                        keys.extend([("y", "yes"), ("n", "no"), ("E", "edit")]);
                    }
                    _ if entry.ask.choices.is_empty() => {}
                    _ => keys.push(("1-9", "choice")),
                }
            }
            keys.extend([("Tab", "next"), ("Esc", "runs")]);
        }
        Screen::Spend | Screen::Pool => {
            keys.extend([("Tab", "next"), ("^L", "anew"), ("^P", "commands"), ("Esc", "runs")]);
        }
    }
    keys.push(("?", "keys"));
    keys
}

/// What can be done with a run that stands so. Only a chat is told more while it works.
fn of_run(mode: Mode, state: RunState) -> Vec<Hint> {
    let at_work = !state.is_terminal();
    let waits = matches!(state, RunState::Queued | RunState::Parked);
    let keys = [
        (state == RunState::Asking, ("a", "answer")),
        (waits, ("w", "why")),
        (state == RunState::Parked, ("r", "go on now")),
        (at_work && !waits && mode == Mode::Chat, ("s", "say")),
        (at_work, ("c", "cancel")),
        (!at_work, ("r", "resume")),
    ];
    keys.into_iter().filter(|(is, _)| *is).map(|(_, key)| key).collect()
}
