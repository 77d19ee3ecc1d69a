//! One run in full: its head, its log, its answer, what was asked.

use copex_proto::run::Mode;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

use super::look::{SELECTED, Tone};
use super::prose::prose;
use super::text::{cell, plain, wrap};
use super::{Canvas, age, runs, short};
use crate::commands::runs::state_name;
use crate::render::cost;
use crate::tui::model::hits::Hit;
use crate::tui::model::run::{RunView, Scroll, Tab};

/// Columns that a text is wrapped into, at most: longer lines are hard to read.
pub(super) const READABLE: u16 = 120;

impl Canvas<'_> {
    pub(super) fn run(&mut self, area: Rect) {
        let Some(open) = &self.model.open else { return };
        let head = self.run_head(open, area);
        self.lines(Rect { height: 3, ..area }, &head, 0);
        let body = Rect { y: area.y + 3, height: area.height.saturating_sub(3), ..area };
        let asked = self.asked(open, body.width);
        let asked_rows = u16::try_from(asked.len()).unwrap_or(0).min(body.height / 2);
        let rest = Rect { height: body.height - asked_rows, ..body };
        match open.tab {
            Tab::Log => self.run_log(open, rest),
            Tab::Parts => self.parts(open, rest),
            Tab::Answer => {
                let width = usize::from(rest.width.min(READABLE)) - 2;
                let lines = open.laid.at(width, || self.answer(open, width));
                self.page(open, rest, &lines);
            }
            Tab::About => {
                let lines = self.about(open, rest.width);
                self.page(open, rest, &lines);
            }
        }
        let at = Rect { y: rest.bottom(), height: asked_rows, ..body };
        self.lines(at, &asked, 0);
    }

    fn run_head(&self, open: &RunView, area: Rect) -> Vec<Line<'static>> {
        let model = self.model;
        let summary = &open.summary;
        let (tone, sign) = runs::sign(summary.state);
        let until = summary.ended_at.unwrap_or(model.now);
        let mut words = vec![age(until.saturating_sub(summary.accepted_at))];
        words.extend(summary.model.clone().filter(|_| summary.mode != Mode::Council));
        words.extend(open.doing.progress().map(|it| match open.parts_name() {
            Some(name) => format!("{it} {}", name.to_lowercase()),
            None => it,
        }));
        let usage = &open.usage;
        if usage.input_tokens + usage.output_tokens > 0 {
            let (sent, got) = (short(usage.input_tokens), short(usage.output_tokens));
            words.push(format!("{sent} in, {got} out"));
        }
        // How it was counted is told where there is room for it.
        let brief = |cost: String| cost.replace(" by [prices]", "");
        words.extend(cost(usage).map(|it| if area.width < READABLE { brief(it) } else { it }));
        let state = state_name(summary.state);
        let first = Line::from(vec![
            self.span(tone, format!(" {sign} {state} ")),
            self.span(Tone::Accent, summary.mode.as_str()),
            self.span(Tone::Faint, format!(" · {}", words.join(" · "))),
        ]);
        let title =
            Line::from(self.span(
                Tone::Strong,
                format!(" {}", cell(&summary.title, usize::from(area.width) - 2)),
            ));
        let mut tabs = vec![Span::raw(" ")];
        let mut x = area.x + 1;
        for (tab, name) in open.tabs() {
            let style = self.style(Tone::Plain);
            let here = tab == open.tab;
            let style = if here { style.patch(SELECTED) } else { style };
            let columns = u16::try_from(name.width()).unwrap_or(0) + 2;
            let at = Rect { x, y: area.y + 2, width: columns, height: 1 };
            model.hits.add(at, Hit::Tab(tab));
            x += columns + 1;
            tabs.push(Span::styled(format!(" {name} "), style));
            tabs.push(Span::raw(" "));
        }
        if let Some(only) = &open.only {
            tabs.push(self.span(Tone::Wants, format!("only {only}; Esc: all")));
        }
        vec![first, title, Line::from(tabs)]
    }

    /// The question of the run, below everything else.
    fn asked(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let Some(ask) = open.asks.first() else { return Vec::new() };
        let width = usize::from(width) - 2;
        let mut lines = vec![Line::from(self.span(Tone::Faint, "─".repeat(width + 2)))];
        let more = open.asks.len() - 1;
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        let about = crate::answer::about(ask);
        let text = format!("? {about}{more}");
        lines.extend(plain(&text, width, self.style(Tone::Wants)));
        lines.push(Line::from(self.span(Tone::Faint, "  a: answer it")));
        lines
    }

    /// Text that is read from its beginning.
    pub(super) fn page(&mut self, open: &RunView, area: Rect, lines: &[Line<'static>]) {
        let rows = usize::from(area.height);
        open.seen.set((lines.len(), rows));
        let last = lines.len().saturating_sub(rows);
        let top = match open.scroll {
            Scroll::End => last,
            Scroll::At(top) => top.min(last),
        };
        self.lines(Rect { x: area.x + 1, width: area.width - 1, ..area }, lines, top);
    }

    fn answer(&self, open: &RunView, width: usize) -> Vec<Line<'static>> {
        let text = open.answer();
        if text.trim().is_empty() {
            return plain("there is no answer yet", width, self.style(Tone::Faint));
        }
        prose(&self.model.look, &text, width)
    }

    /// What was asked, and where it works.
    fn about(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let summary = &open.summary;
        let request = open.request.as_ref();
        let field = |name: &str| request?.get(name).map(in_words);
        let mut rows = vec![
            ("run", Some(summary.run.to_string())),
            ("state", Some(state_name(summary.state))),
            ("folder", Some(summary.cwd.clone())),
            ("session", summary.session.as_ref().map(ToString::to_string)),
            ("resumed from", summary.resumed_from.map(|run| run.to_string())),
            ("plan", open.doing.plan.as_ref().map(|file| file.display().to_string())),
            ("model", field("model").or_else(|| summary.model.clone())),
            ("effort", field("reasoning_effort")),
            ("promise", field("promise")),
            ("checks", field("verify")),
            ("members", field("members")),
            ("approval", field("approval")),
            ("fallbacks", field("fallback_chain")),
            ("most cost", field("max_cost")),
            ("error", open.error.as_ref().map(|error| error.message.clone())),
            ("hint", open.error.as_ref().and_then(|error| error.hint.clone())),
        ];
        rows.push(("asked", field("prompt").or_else(|| field("task"))));
        let width = usize::from(width.min(READABLE)) - 16;
        let mut lines = Vec::new();
        for (name, text) in rows {
            let Some(text) = text.filter(|text| !text.is_empty()) else { continue };
            for (at, line) in wrap(&text, width).into_iter().enumerate() {
                let name = if at == 0 { name } else { "" };
                lines.push(Line::from(vec![
                    self.span(Tone::Faint, cell(name, 14)),
                    Span::raw(line),
                ]));
            }
        }
        lines
    }
}

/// A field of a request, as people write it.
fn in_words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => {
            let field = |(name, value): (&String, &Value)| match name.as_str() {
                "mode" => in_words(value),
                name => format!("{name}: {}", in_words(value)),
            };
            fields.iter().map(field).collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}
