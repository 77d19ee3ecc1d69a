//! One run in full: its head, its log, its answer, what was asked.

use std::rc::Rc;

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::look::{self, SELECTED, Tone};
use super::prose::prose;
use super::text::{cell, plain, wrap};
use super::{Canvas, age, runs, short};
use crate::commands::runs::state_name;
use crate::render::{cost, duration, tools};
use crate::tui::model::log::{Block, Kind, Mark};
use crate::tui::model::run::{RunView, Scroll, Tab};

/// Columns that a text is wrapped into, at most: longer lines are hard to read.
const READABLE: u16 = 120;

/// Lines of a tool's output that are shown.
const OUTPUT: usize = 12;

impl Canvas<'_> {
    pub(super) fn run(&mut self, area: Rect) {
        let Some(open) = &self.model.open else { return };
        let head = self.run_head(open, area.width);
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

    fn run_head(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let model = self.model;
        let summary = &open.summary;
        let (tone, sign) = runs::sign(summary.state);
        let until = summary.ended_at.unwrap_or(model.now);
        let mut words = vec![age(until.saturating_sub(summary.accepted_at))];
        words.extend(summary.model.clone());
        words.extend(open.doing.progress().map(|it| match open.parts_name() {
            Some(name) => format!("{it} {}", name.to_lowercase()),
            None => it,
        }));
        let usage = &open.usage;
        if usage.input_tokens + usage.output_tokens > 0 {
            let (sent, got) = (short(usage.input_tokens), short(usage.output_tokens));
            words.push(format!("{sent} in, {got} out"));
        }
        words.extend(cost(usage));
        let state = state_name(summary.state);
        let first = Line::from(vec![
            self.span(tone, format!(" {sign} {state} ")),
            self.span(Tone::Accent, summary.mode.as_str()),
            self.span(Tone::Faint, format!(" · {}", words.join(" · "))),
        ]);
        let title = Line::from(
            self.span(Tone::Strong, format!(" {}", cell(&summary.title, usize::from(width) - 2))),
        );
        let mut tabs = vec![Span::raw(" ")];
        for (tab, name) in open.tabs() {
            let style = self.style(Tone::Plain);
            let here = tab == open.tab;
            let style = if here { style.patch(SELECTED) } else { style };
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

    /// What happened: as many of the blocks as fit.
    fn run_log(&mut self, open: &RunView, area: Rect) {
        let width = usize::from(area.width.min(READABLE)) - 2;
        let blocks = open.log.blocks.iter().filter(|block| shows(block, open.only.as_deref()));
        let mut after_words = false;
        let blocks = blocks.map(|block| {
            let lines = self.laid(block, width);
            // One blank line between two that speak, not two.
            let words = matches!(block.kind, Kind::Words { .. }) && !lines.is_empty();
            let begin = usize::from(words && after_words);
            if !lines.is_empty() {
                after_words = words;
            }
            (begin, lines)
        });
        let blocks: Vec<_> = blocks.collect();
        let total: usize = blocks.iter().map(|(begin, lines)| lines.len() - begin).sum();
        let rows = usize::from(area.height);
        open.seen.set((total, rows));
        let last = total.saturating_sub(rows);
        let top = match open.scroll {
            Scroll::End => last,
            Scroll::At(top) => top.min(last),
        };
        let lines = blocks.iter().flat_map(|(begin, lines)| &lines[*begin..]).skip(top);
        for (row, line) in (area.y..area.bottom()).zip(lines) {
            self.put(area.x + 1, row, area.width - 1, line);
        }
        if top < last {
            let below = last - top;
            self.right(area, area.bottom() - 1, self.span(Tone::Wants, format!("{below} more ↓")));
        } else if total == 0 {
            let words = Line::from(self.span(Tone::Faint, " nothing was told yet"));
            self.put(area.x, area.y, area.width, &words);
        }
    }

    /// A block as lines, from what was known of it.
    fn laid(&self, block: &Block, width: usize) -> Rc<Vec<Line<'static>>> {
        match block.kind {
            Kind::Words { whole } if !block.text.trim().is_empty() => {
                let place = block.path.as_ref().map(|path| format!("[{path}]"));
                let text = (block.text.as_str(), whole);
                block.prose.at(&self.model.look, width, text, place.as_deref())
            }
            _ => block.wrapped.at(width, || self.block(block, width)),
        }
    }

    /// A block other than the agent's words as lines.
    fn block(&self, block: &Block, width: usize) -> Vec<Line<'static>> {
        let shown = self.model.shown;
        let place = block.path.as_ref().map(|path| format!("[{path}] ")).unwrap_or_default();
        let faint = self.style(Tone::Faint);
        match &block.kind {
            Kind::Words { .. } => Vec::new(),
            Kind::Thoughts if !shown.reasoning => Vec::new(),
            Kind::Thoughts => {
                let text = format!("{place}{}", block.text);
                let mut lines = plain(&text, width - 2, faint);
                for line in &mut lines {
                    line.spans.insert(0, Span::styled("┊ ", faint));
                }
                lines
            }
            Kind::Tool { end, result, change, .. } => {
                let (tone, sign, took) = match end {
                    None => (Tone::Busy, "▸", String::new()),
                    Some((true, ms)) => (Tone::Good, "✓", duration(*ms)),
                    Some((false, ms)) => (Tone::Bad, "✗", duration(*ms)),
                };
                let head = self.told((tone, sign), &format!("{place}{}", block.text), &took, width);
                let failed = matches!(end, Some((false, _)));
                if let Some(change) = change.as_ref().filter(|_| !failed) {
                    return self.with_change(head, change, shown.results, width);
                }
                self.with_output(head, result, shown.results || failed, width)
            }
            Kind::Gate { end, output } => {
                let (tone, sign, took) = match end {
                    None => (Tone::Busy, "▸", String::new()),
                    Some((Some(0), ms)) => (Tone::Good, "✓", duration(*ms)),
                    Some((code, ms)) => {
                        let code = code.map_or("killed".to_owned(), |code| format!("exit {code}"));
                        (Tone::Bad, "✗", format!("{code}, {}", duration(*ms)))
                    }
                };
                let text = format!("{place}check {}", block.text);
                let head = self.told((tone, sign), &text, &took, width);
                let red = matches!(end, Some((code, _)) if *code != Some(0));
                self.with_output(head, output, shown.results || red, width)
            }
            Kind::Mark(mark) => self.mark(*mark, &format!("{place}{}", block.text), width),
        }
    }

    fn mark(&self, mark: Mark, text: &str, width: usize) -> Vec<Line<'static>> {
        let (tone, sign) = match mark {
            Mark::Head => (Tone::Strong, "──"),
            Mark::Note => (Tone::Faint, " ·"),
            Mark::Good => (Tone::Good, " ✓"),
            Mark::Bad => (Tone::Bad, " ✗"),
            Mark::Asks => (Tone::Wants, " ?"),
            Mark::Said => (Tone::Accent, " >"),
        };
        let style = self.style(tone);
        let lines = wrap(text, width - 3).into_iter().enumerate();
        let sign = |first: bool| if first { format!("{sign} ") } else { "   ".to_owned() };
        lines.map(|(at, line)| Line::from(Span::styled(sign(at == 0) + &line, style))).collect()
    }

    /// One line about something, with what it took at the right.
    fn told(
        &self,
        (tone, sign): (Tone, &str),
        text: &str,
        took: &str,
        width: usize,
    ) -> Vec<Line<'static>> {
        let room = width.saturating_sub(4 + took.width());
        vec![Line::from(vec![
            self.span(tone, format!(" {sign} ")),
            Span::raw(cell(text, room) + " "),
            self.span(Tone::Faint, took),
        ])]
    }

    fn with_change(
        &self,
        mut lines: Vec<Line<'static>>,
        change: &str,
        shown: bool,
        width: usize,
    ) -> Vec<Line<'static>> {
        if !shown {
            return lines;
        }
        let margin = Span::styled("   │", self.style(Tone::Faint));
        lines.extend(tools::changed(change, tools::CHANGE, width - 4).into_iter().map(|line| {
            let mut line = look::line(&self.model.look, line);
            line.spans.insert(0, margin.clone());
            line
        }));
        lines
    }

    fn with_output(
        &self,
        mut lines: Vec<Line<'static>>,
        output: &str,
        shown: bool,
        width: usize,
    ) -> Vec<Line<'static>> {
        if !shown || output.is_empty() {
            return lines;
        }
        let faint = self.style(Tone::Faint);
        let output = wrap(output, width - 5);
        let skipped = output.len().saturating_sub(OUTPUT);
        if skipped > 0 {
            let words = format!("   │ … {skipped} lines before");
            lines.push(Line::from(Span::styled(words, faint)));
        }
        let rest = output.into_iter().skip(skipped);
        lines.extend(rest.map(|line| Line::from(Span::styled(format!("   │ {line}"), faint))));
        lines
    }

    /// What was asked, and where it works.
    fn about(&self, open: &RunView, width: u16) -> Vec<Line<'static>> {
        let summary = &open.summary;
        let request = open.request.as_ref();
        let field = |name: &str| {
            let value = request?.get(name)?;
            Some(value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let mut rows = vec![
            ("run", Some(summary.run.to_string())),
            ("state", Some(state_name(summary.state))),
            ("folder", Some(summary.cwd.clone())),
            ("session", summary.session.as_ref().map(ToString::to_string)),
            ("resumed from", summary.resumed_from.map(|run| run.to_string())),
            ("plan", open.plan.as_ref().map(|file| file.display().to_string())),
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

/// Whether a block is of the part that alone is shown.
fn shows(block: &Block, only: Option<&str>) -> bool {
    let Some(only) = only else { return true };
    let path = block.path.as_deref().unwrap_or_default();
    path == only || path.strip_prefix(only).is_some_and(|rest| rest.starts_with('/'))
}
