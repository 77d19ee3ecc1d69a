//! Questions that wait for a person: the list, and the one that is looked at in full.

use copex_proto::ask::AskEntry;
use copex_proto::event::{Ask, AskKind};
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::look::{self, SELECTED, Tone};
use super::prose::prose;
use super::text::{cell, plain};
use super::{Canvas, age};
use crate::render::markdown::code::is_diff;
use crate::render::tools;
use crate::tui::model::hits::Hit;

impl Canvas<'_> {
    pub(super) fn inbox(&mut self, area: Rect) {
        let model = self.model;
        let asks = &model.inbox.asks;
        let Some(current) = model.inbox.current() else {
            let words = if model.inbox.told {
                "nothing waits for you; runs ask here for a yes, a choice or words"
            } else {
                "reading the inbox"
            };
            let line = Line::from(self.span(Tone::Faint, format!("  {words}")));
            self.put(area.x, area.y + 1, area.width, &line);
            return;
        };
        let rows = u16::try_from(asks.len()).unwrap_or(u16::MAX).min(area.height / 3).max(1);
        let list = Rect { height: rows, ..area };
        let selected = model.inbox.selected;
        let top = selected.saturating_sub(usize::from(rows) / 2);
        let top = top.min(asks.len().saturating_sub(rows.into()));
        let lines: Vec<_> = asks.iter().map(|entry| self.ask_row(entry, area.width)).collect();
        self.lines(list, &lines, top);
        for (y, ask) in (list.y..list.bottom()).zip(top..) {
            self.model.hits.add(Rect { y, height: 1, ..list }, Hit::Ask(ask));
        }
        let y = area.y + u16::try_from(selected - top).unwrap_or(0);
        self.buffer.set_style(Rect { y, height: 1, ..area }, SELECTED);
        self.rule(area, list.bottom());
        let below = Rect {
            x: area.x + 1,
            y: list.bottom() + 1,
            width: area.width - 1,
            height: area.height - rows - 1,
        };
        self.ask_in_full(current, below);
    }

    fn ask_row(&self, entry: &AskEntry, width: u16) -> Line<'static> {
        let left = usize::from(width).saturating_sub(3 + 9 + 12);
        let waited = age(self.model.now.saturating_sub(entry.asked_at));
        let about = crate::answer::about(&entry.ask);
        Line::from(vec![
            self.span(Tone::Wants, " ? "),
            self.span(Tone::Accent, cell(entry.mode.as_str(), 9)),
            Span::raw(cell(&about, left * 3 / 5) + " "),
            self.span(Tone::Faint, cell(&entry.run_title, left - left * 3 / 5 - 1)),
            self.span(Tone::Faint, format!("{waited:>11}")),
        ])
    }

    /// What is asked, as far as it fits, and always the keys that answer.
    fn ask_in_full(&mut self, entry: &AskEntry, area: Rect) {
        let ask = &entry.ask;
        let width = usize::from(area.width).saturating_sub(1);
        let from = format!("{} · {} · {}", entry.mode.as_str(), entry.run_title, entry.cwd);
        let mut lines = vec![Line::from(self.span(Tone::Faint, cell(&from, width)))];
        lines.extend(self.question(ask, width));
        let foot = self.answers(ask, width);
        let rows = usize::from(area.height).saturating_sub(foot.len()).max(1);
        let inbox = &self.model.inbox;
        let last = lines.len().saturating_sub(rows);
        inbox.last.set(last);
        let top = inbox.top.min(last);
        let shown = u16::try_from(lines.len().min(rows)).unwrap_or(area.height);
        let shown = shown.min(area.height);
        self.lines(Rect { height: shown, ..area }, &lines, top);
        if top < last {
            let words = format!("{} more: PgDn", last - top);
            self.right(area, area.y + shown - 1, self.span(Tone::Wants, words));
        }
        let below = Rect { y: area.y + shown, height: area.height - shown, ..area };
        self.lines(below, &foot, 0);
    }

    /// What a question says: a plan as Markdown, a change in colours.
    pub(super) fn question(&self, ask: &Ask, width: usize) -> Vec<Line<'static>> {
        let look = &self.model.look;
        let mut lines = plain(&ask.title, width, self.style(Tone::Strong));
        if ask.detail.is_empty() || ask.title.contains(&ask.detail) {
            return lines;
        }
        lines.push(Line::default());
        if ask.kind == AskKind::PlanApproval {
            lines.extend(prose(look, &ask.detail, width));
        } else if is_diff(&ask.detail) {
            let change = tools::changed(&ask.detail, usize::MAX, width);
            lines.extend(change.into_iter().map(|line| look::line(look, line)));
        } else {
            lines.extend(plain(&ask.detail, width, self.style(Tone::Plain)));
        }
        lines
    }

    /// How it can be answered, and until when.
    fn answers(&self, ask: &Ask, width: usize) -> Vec<Line<'static>> {
        let mut lines = vec![Line::default()];
        for (place, choice) in ask.choices.iter().enumerate() {
            lines.push(Line::from(vec![
                self.span(Tone::Accent, format!("  {} ", place + 1)),
                Span::raw(crate::render::brief(choice, width.saturating_sub(5))),
            ]));
        }
        lines.push(Line::from(self.span(Tone::Wants, ways(ask))));
        if let Some(expires) = ask.expires_at {
            let left = expires.saturating_sub(self.model.now);
            let words = format!("denied by itself in {}", age(left));
            lines.push(Line::from(self.span(Tone::Faint, words)));
        }
        lines
    }
}

/// The keys that answer.
fn ways(ask: &Ask) -> &'static str {
    match ask.kind {
        AskKind::Permission => "y yes · n no · A always for this run · Enter: no, with words",
        AskKind::PlanApproval => "y yes · n no · E edit the plan · Enter: what to change",
        _ if ask.choices.is_empty() => "Enter: your own words",
        AskKind::UserInput | AskKind::Unknown => "a number picks a choice · Enter: your own words",
    }
}
