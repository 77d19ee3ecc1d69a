//! The mouse: the wheel goes up and down, a click looks at what it hits, a second one opens it.

use std::cell::RefCell;

use copex_proto::id::RunId;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::call::Effect;
use super::command::Command;
use super::cursor::Spot;
use super::over::Over;
use super::run::Tab;
use super::{Model, Screen};

/// Rows of one turn of the wheel.
const WHEEL: isize = 3;

/// What can be hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hit {
    /// The name of a screen.
    Screen(Screen),
    /// The name of a run's view.
    Tab(Tab),
    /// A run in the list.
    Run(RunId),
    /// A part of a run.
    Part(usize),
    /// A line of a log.
    Line(Spot),
    /// A question in the inbox.
    Ask(usize),
}

/// What can be hit, and where.
#[derive(Debug, Default)]
pub(crate) struct Hits(RefCell<Vec<(Rect, Hit)>>);

impl Hits {
    /// Nothing is drawn yet.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    /// Something was drawn there.
    pub(crate) fn add(&self, area: Rect, hit: Hit) {
        self.0.borrow_mut().push((area, hit));
    }

    fn at(&self, column: u16, row: u16) -> Option<Hit> {
        let here = Position::new(column, row);
        self.0.borrow().iter().find(|(area, _)| area.contains(here)).map(|(_, hit)| *hit)
    }
}

impl Model {
    /// The mouse. What lies over a screen takes the wheel, and no click goes through it.
    pub(super) fn mouse(&mut self, mouse: MouseEvent) -> Vec<Effect> {
        let wheel = match mouse.kind {
            MouseEventKind::ScrollUp => -WHEEL,
            MouseEventKind::ScrollDown => WHEEL,
            MouseEventKind::Down(_) if self.over.is_none() => {
                let hit = self.hits.at(mouse.column, mouse.row);
                return hit.map_or_else(Vec::new, |hit| self.hit(hit));
            }
            _ => return Vec::new(),
        };
        match (&self.over, &mut self.open) {
            (Some(Over::Form(_) | Over::Say(_) | Over::Confirm(_)), _) => {}
            (Some(_), _) => {
                let code = if wheel < 0 { KeyCode::Up } else { KeyCode::Down };
                for _ in 0..WHEEL {
                    self.key(KeyEvent::new(code, KeyModifiers::NONE));
                }
            }
            (None, Some(open)) if self.screen == Screen::Run && open.tab == Tab::Log => {
                open.scroll_by(wheel);
            }
            (None, _) => self.go_by(wheel),
        }
        Vec::new()
    }

    fn hit(&mut self, hit: Hit) -> Vec<Effect> {
        let again = match (hit, &mut self.open) {
            (Hit::Screen(screen), _) => return self.go(screen),
            (Hit::Tab(tab), Some(open)) => {
                open.show(tab);
                false
            }
            (Hit::Run(run), _) => self.runs.selected.replace(run) == Some(run),
            (Hit::Part(part), Some(open)) => std::mem::replace(&mut open.part, part) == part,
            (Hit::Line(spot), Some(open)) => open.point(spot),
            (Hit::Ask(ask), _) => {
                self.inbox.top = 0;
                std::mem::replace(&mut self.inbox.selected, ask) == ask
            }
            (Hit::Tab(_) | Hit::Part(_) | Hit::Line(_), None) => false,
        };
        match hit {
            Hit::Ask(_) if again => self.perform(Command::Answer),
            _ if again => self.perform(Command::Open),
            _ => Vec::new(),
        }
    }
}
