//! What lies over a screen.

use copex_proto::event::AskKind;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::Canvas;
use super::look::{SELECTED, Tone};
use super::text::{cell, plain, wrap};
use crate::tui::model::command::{MOVES, TABLE};
use crate::tui::model::field::Field;
use crate::tui::model::form::{Form, Row};
use crate::tui::model::over::{Over, Palette, Purpose, Say};

/// Columns of what lies over the screen, at most.
const WIDE: u16 = 90;

impl Canvas<'_> {
    pub(super) fn over(&mut self, area: Rect) {
        let Some(over) = &self.model.over else { return };
        // Nothing types below what lies above.
        self.cursor = None;
        match over {
            Over::Help(top) => {
                let lines = self.help();
                self.text("keys", &lines, *top, area);
            }
            Over::Text { title, text, top } => {
                let width = usize::from(area.width.min(WIDE)) - 4;
                let lines = plain(text, width, Style::new());
                self.text(title, &lines, *top, area);
            }
            Over::Palette(palette) => self.palette(palette, area),
            Over::Form(form) => self.form(form, area),
            Over::Say(say) => self.saying(say, area),
            Over::Confirm(run) => {
                let title = self.model.runs.get(*run).map(|run| run.title.clone());
                let title = title.unwrap_or_else(|| run.to_string());
                let inner = self.frame("cancel this run?", 2, area);
                let text = cell(&title, inner.width.into());
                self.put(inner.x, inner.y, inner.width, &Line::from(text));
                let keys = Line::from(self.span(Tone::Wants, "y: cancel it · Esc: let it be"));
                self.put(inner.x, inner.y + 1, inner.width, &keys);
            }
        }
    }

    /// An empty frame for so many rows, in the middle; gives what is inside.
    fn frame(&mut self, title: &str, rows: u16, area: Rect) -> Rect {
        let width = area.width.min(WIDE);
        let height = (rows + 2).min(area.height.saturating_sub(2));
        let outer = Rect {
            x: area.x + (area.width - width) / 2,
            y: area.y + (area.height - height) / 2,
            width,
            height,
        };
        for y in outer.y..outer.bottom() {
            self.part(outer.x, y);
            self.buffer.set_stringn(
                outer.x,
                y,
                " ".repeat(width.into()),
                width.into(),
                Style::reset(),
            );
        }
        let inner = usize::from(width) - 2;
        let head = format!("─ {title} ");
        let rest = inner.saturating_sub(head.width());
        let top = Line::from(vec![
            self.span(Tone::Accent, format!("┌{head}")),
            self.span(Tone::Accent, format!("{}┐", "─".repeat(rest))),
        ]);
        let bottom = Line::from(self.span(Tone::Accent, format!("└{}┘", "─".repeat(inner))));
        self.put(outer.x, outer.y, width, &top);
        self.put(outer.x, outer.bottom() - 1, width, &bottom);
        let side = Line::from(self.span(Tone::Accent, "│"));
        for y in outer.y + 1..outer.bottom() - 1 {
            self.put(outer.x, y, 1, &side);
            self.put(outer.right() - 1, y, 1, &side);
        }
        Rect { x: outer.x + 2, y: outer.y + 1, width: width - 4, height: height - 2 }
    }

    fn text(&mut self, title: &str, lines: &[Line<'static>], top: usize, area: Rect) {
        let rows = u16::try_from(lines.len()).unwrap_or(u16::MAX - 2);
        let inner = self.frame(title, rows, area);
        let last = lines.len().saturating_sub(inner.height.into());
        self.model.over_last.set(last);
        let top = top.min(last);
        self.lines(inner, lines, top);
        let words = match last - top {
            0 if last > 0 => " ↑ scroll · Esc close ".to_owned(),
            0 => " Esc close ".to_owned(),
            more => format!(" {more} more ↓ · Esc close "),
        };
        let width = u16::try_from(words.width()).unwrap_or(0);
        let foot = Line::from(self.span(Tone::Accent, words));
        self.put(inner.right().saturating_sub(width), inner.bottom(), width, &foot);
    }

    fn help(&self) -> Vec<Line<'static>> {
        let row = |keys: &str, words: &str| {
            Line::from(vec![self.span(Tone::Accent, cell(keys, 14)), Span::raw(words.to_owned())])
        };
        let commands = TABLE.iter().filter(|entry| !entry.keys.is_empty());
        let commands = commands.map(|entry| row(entry.keys, entry.words));
        commands.chain(MOVES.iter().map(|(keys, words)| row(keys, words))).collect()
    }

    fn palette(&mut self, palette: &Palette, area: Rect) {
        let found = palette.found();
        let rows = u16::try_from(found.len().max(1)).unwrap_or(20) + 1;
        let inner = self.frame("commands", rows, area);
        self.field(&palette.field, Rect { height: 1, ..inner }, "> ");
        let list = Rect { y: inner.y + 1, height: inner.height - 1, ..inner };
        let selected = palette.selected.min(found.len().saturating_sub(1));
        let top = (selected + 1).saturating_sub(list.height.into());
        let room = usize::from(inner.width) - 16;
        for (at, entry) in found.iter().enumerate().skip(top) {
            let y = list.y + u16::try_from(at - top).unwrap_or(0);
            if y >= list.bottom() {
                break;
            }
            let marker = if at == selected { ">" } else { " " };
            let line = Line::from(vec![
                Span::raw(format!("{marker} ")),
                Span::raw(cell(entry.words, room - 1) + " "),
                self.span(Tone::Accent, entry.keys),
            ]);
            self.put(list.x, y, list.width, &line);
            if at == selected {
                self.buffer.set_style(Rect { y, height: 1, ..list }, SELECTED);
            }
        }
        if found.is_empty() {
            let line = Line::from(self.span(Tone::Faint, "  no command has these letters"));
            self.put(list.x, list.y, list.width, &line);
        }
    }

    /// A field in an area, with the cursor at its place.
    fn field(&mut self, field: &Field, area: Rect, before: &str) {
        let width = usize::from(area.width).saturating_sub(before.width() + 1).max(1);
        let (text, cursor) = (field.text(), field.cursor());
        // Lines are cut at the width and not at words, so that the cursor has a place.
        let mut lines = vec![String::new()];
        let mut place = (0, 0);
        let mut used = 0;
        for (at, c) in text.char_indices() {
            if at == cursor {
                place = (lines.len() - 1, used);
            }
            let columns = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            if c == '\n' || used + columns > width {
                lines.push(String::new());
                used = 0;
            }
            if c != '\n' {
                used += columns;
                if let Some(line) = lines.last_mut() {
                    line.push(c);
                }
            }
        }
        if cursor == text.len() {
            place = (lines.len() - 1, used);
        }
        let rows = usize::from(area.height);
        let top = (place.0 + 1).saturating_sub(rows);
        let shown: Vec<Line<'_>> = lines
            .iter()
            .enumerate()
            .map(|(at, line)| {
                let before = if at == 0 { before.to_owned() } else { " ".repeat(before.width()) };
                Line::from(vec![self.span(Tone::Accent, before), Span::raw(line.clone())])
            })
            .collect();
        self.lines(area, &shown, top);
        let fit = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
        self.cursor = Some((
            (area.x + fit(before.width() + place.1)).min(area.right() - 1),
            area.y + fit(place.0 - top),
        ));
    }

    fn form(&mut self, form: &Form, area: Rect) {
        let rows = (area.height / 2).clamp(8, 20);
        let inner = self.frame("new run", rows, area);
        let effort = form.effort.map_or("as configured", |effort| effort.as_str());
        let hint = match form.mode() {
            copex_proto::run::Mode::Fleet => "a task in each line",
            copex_proto::run::Mode::Plan => "you are asked before it is carried out",
            copex_proto::run::Mode::Council => "members are those of the configuration",
            copex_proto::run::Mode::Ralph if form.check.text().trim().is_empty() => {
                "again and again until its limit: give it a check"
            }
            copex_proto::run::Mode::Ralph => "again and again until the check passes",
            copex_proto::run::Mode::Chat => "one prompt, one answer",
        };
        let mut settings = vec![
            (Row::Mode, "mode", format!("‹ {} ›  {hint}", form.mode().as_str())),
            (Row::Model, "model", form.model.text().to_owned()),
            (Row::Effort, "effort", format!("‹ {effort} ›")),
        ];
        if form.has_check() {
            settings.push((Row::Check, "check", form.check.text().to_owned()));
        }
        let below = u16::try_from(settings.len()).unwrap_or(4) + 1;
        let prompt = Rect { height: inner.height.saturating_sub(below), ..inner };
        self.field(&form.prompt, prompt, "> ");
        let typing = self.cursor.take();
        for (row, y) in settings.iter().zip(prompt.bottom()..) {
            let (row, name, text) = row;
            let here = *row == form.row;
            let marker = if here { ">" } else { " " };
            let tone = if here { Tone::Strong } else { Tone::Plain };
            let text = if text.is_empty() { "as configured" } else { text };
            let line = Line::from(vec![
                self.span(Tone::Accent, format!("{marker} {name:<8}")),
                self.span(tone, text.to_owned()),
            ]);
            let at = Rect { y, height: 1, ..inner };
            let field = match row {
                Row::Model => Some(&form.model),
                Row::Check => Some(&form.check),
                _ => None,
            };
            match field {
                Some(field) if here => self.field(field, at, &format!("{marker} {name:<8}")),
                _ => self.put(at.x, y, at.width, &line),
            }
        }
        if form.row == Row::Prompt {
            self.cursor = typing;
        }
        let keys = "Enter start · Ctrl+J new line · Tab next · Ctrl+O editor · Esc keep it";
        let line = Line::from(self.span(Tone::Faint, keys));
        self.put(inner.x, inner.bottom() - 1, inner.width, &line);
    }

    fn saying(&mut self, say: &Say, area: Rect) {
        let width = usize::from(area.width.min(WIDE)) - 4;
        let (title, mut lines, keys) = match &say.purpose {
            Purpose::Steer(_) => {
                ("say to the agent at work", Vec::new(), "Enter: say it · Esc: leave")
            }
            Purpose::Resume { words, done, .. } => (
                if *done { "this run is done" } else { "go on with this run" },
                Vec::new(),
                match (*words, *done) {
                    (true, _) => "Enter: go on, with these words if there are any · Esc: leave",
                    (false, false) => "Enter: go on with what is not done · Esc: leave",
                    (false, true) => "Enter: begin it once more · Esc: leave",
                },
            ),
            Purpose::Answer(ask) => {
                let mut lines = self.question(ask, width);
                for (place, choice) in ask.choices.iter().enumerate() {
                    let text = format!("  {}. {}", place + 1, crate::render::clean(choice));
                    lines.extend(wrap(&text, width).into_iter().map(Line::from));
                }
                let keys = match ask.kind {
                    AskKind::Permission => "[y]es, [n]o (with words), [a]lways · Enter · Esc",
                    AskKind::PlanApproval => "[y]es, [n]o, [e]dit, or what to change · Enter · Esc",
                    _ if ask.choices.is_empty() => "your own words · Enter · Esc",
                    _ => "a number, or your own words · Enter · Esc",
                };
                ("question", lines, keys)
            }
        };
        // What is typed has three rows at least.
        let most = usize::from(area.height).saturating_sub(9);
        if lines.len() > most {
            lines.truncate(most.saturating_sub(1));
            lines.push(Line::from(self.span(Tone::Faint, "… more in the inbox: 2")));
        }
        let above = u16::try_from(lines.len()).unwrap_or(0);
        let inner = self.frame(title, above + if say.takes_words() { 4 } else { 1 }, area);
        self.lines(Rect { height: above, ..inner }, &lines, 0);
        let height = inner.height.saturating_sub(above + 1);
        if say.takes_words() {
            self.field(&say.field, Rect { y: inner.y + above, height, ..inner }, "> ");
        }
        let line = Line::from(self.span(Tone::Faint, keys));
        self.put(inner.x, inner.bottom() - 1, inner.width, &line);
    }
}
