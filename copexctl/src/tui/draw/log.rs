//! The log of a run: its blocks as lines, and the line that is looked at.

use std::rc::Rc;

use copex_proto::run::Mode;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use unicode_width::UnicodeWidthStr as _;

use super::Canvas;
use super::look::{self, SELECTED, Tone};
use super::prose::prose;
use super::run::READABLE;
use super::text::{cell, plain, wrap};
use crate::render::said::{self, Piece};
use crate::render::{duration, tools};
use crate::tui::model::cursor::Spot;
use crate::tui::model::hits::Hit;
use crate::tui::model::log::{Block, Kind, Mark, OUTPUT};
use crate::tui::model::run::{RunView, Scroll};

impl Canvas<'_> {
    /// What happened: as many of the blocks as fit.
    pub(super) fn run_log(&mut self, open: &RunView, area: Rect) {
        let width = usize::from(area.width.min(READABLE)) - 2;
        let only = open.only.as_deref();
        let numbered = (open.log.gone..).zip(&open.log.blocks);
        let mut after_words = false;
        let blocks = numbered.filter(|(_, block)| shows(block, only)).map(|(number, block)| {
            let lines = self.laid(block, open.summary.mode, width);
            // One blank line between two that speak, not two.
            let words = matches!(block.kind, Kind::Words { .. }) && !lines.is_empty();
            let begin = usize::from(words && after_words);
            if !lines.is_empty() {
                after_words = words;
            }
            (number, begin, lines)
        });
        let blocks: Vec<_> = blocks.collect();
        let counts = blocks.iter().map(|(number, begin, lines)| (*number, lines.len() - begin));
        open.drawn.replace(counts.collect());
        let total: usize = open.drawn.borrow().iter().map(|(_, lines)| lines).sum();
        let rows = usize::from(area.height);
        open.seen.set((total, rows));
        let last = total.saturating_sub(rows);
        let top = match open.scroll {
            Scroll::End => last,
            Scroll::At(top) => top.min(last),
        };
        // What is looked at is seen, whatever was opened or came above it.
        let place = open.place();
        let top = place.map_or(top, |at| top.clamp((at + 1).saturating_sub(rows), at));
        let top = open.reveal(top);
        let lines = blocks.iter().flat_map(|(block, begin, lines)| {
            let lines = lines[*begin..].iter().enumerate();
            lines.map(|(line, drawn)| (Spot { block: *block, line }, drawn))
        });
        for ((row, at), (spot, line)) in (area.y..area.bottom()).zip(top..).zip(lines.skip(top)) {
            self.put(area.x + 1, row, area.width - 1, line);
            let whole = Rect { y: row, height: 1, ..area };
            self.model.hits.add(whole, Hit::Line(spot));
            if place == Some(at) {
                self.put(area.x, row, 1, &Line::from(">"));
                self.buffer.set_style(whole, SELECTED);
            }
        }
        if top < last {
            let below = last - top;
            self.right(area, area.bottom() - 1, self.span(Tone::Wants, format!("{below} more ↓")));
        } else if total == 0 {
            let words = match (open.summary.state.is_terminal(), &open.only) {
                (true, None) => " nothing was told of it",
                (_, Some(_)) => " nothing was told of this part yet; Esc: all of the run",
                _ => " it begins; what happens comes here",
            };
            let words = Line::from(self.span(Tone::Faint, words));
            self.put(area.x, area.y, area.width, &words);
        }
    }

    /// A block as lines, from what was known of it.
    fn laid(&self, block: &Block, mode: Mode, width: usize) -> Rc<Vec<Line<'static>>> {
        match block.kind {
            Kind::Words { whole } if !block.text.trim().is_empty() => {
                let place = block.path.as_ref().map(|path| format!("[{path}]"));
                if block.is_plain(mode, whole) {
                    let text = (block.text.as_str(), whole);
                    return block.prose.at(&self.model.look, width, text, place.as_deref());
                }
                block.wrapped.at(width, || {
                    let pieces = said::pieces(mode, &block.text, whole).unwrap_or_default();
                    self.pieces(block, &pieces, place.as_deref(), width)
                })
            }
            _ => block.wrapped.at(width, || self.block(block, width)),
        }
    }

    /// What the agent said to copex, in words.
    fn pieces(
        &self,
        block: &Block,
        pieces: &[Piece<'_>],
        place: Option<&str>,
        width: usize,
    ) -> Vec<Line<'static>> {
        let look = &self.model.look;
        let mut lines = Vec::new();
        let mark = |text: String| self.mark(Mark::Note, &text, width);
        for (at, piece) in pieces.iter().enumerate() {
            match piece {
                Piece::Words(words) if words.trim().is_empty() => {}
                Piece::Words(words) if at == 0 => {
                    let whole = pieces.len() > 1;
                    let kept = block.prose.at(look, width, (*words, whole), place);
                    lines.extend(kept.iter().cloned());
                }
                Piece::Words(words) => lines.extend(prose(look, words, width)),
                _ => lines.extend(mark(piece.told().unwrap_or_default())),
            }
            match piece {
                Piece::Plan(titles) if block.is_open(self.model.shown) => {
                    let titles = titles.iter().zip(1..).flat_map(|(title, number)| {
                        wrap(&format!("{number}. {title}"), width.saturating_sub(5))
                    });
                    let faint = self.style(Tone::Faint);
                    lines.extend(titles.map(|line| Line::styled(format!("   │ {line}"), faint)));
                }
                Piece::Decision(decision) => lines.extend(prose(look, decision, width)),
                _ => {}
            }
        }
        let named = pieces
            .first()
            .is_some_and(|it| matches!(it, Piece::Words(words) if words.trim().is_empty()));
        if let Some(place) = place.filter(|_| named && !lines.is_empty()) {
            let faint = self.style(Tone::Faint);
            lines.insert(0, Line::styled(place.to_owned(), faint));
            lines.insert(0, Line::default());
        }
        lines
    }

    /// A block other than the agent's words as lines.
    fn block(&self, block: &Block, width: usize) -> Vec<Line<'static>> {
        let shown = self.model.shown;
        let place = block.path.as_ref().map(|path| format!("[{path}] ")).unwrap_or_default();
        let faint = self.style(Tone::Faint);
        let open = block.is_open(shown);
        // What a person opened by itself is there to be read.
        let all = block.by_hand.is_some();
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
                let (tone, sign, mut took) = match end {
                    None => (Tone::Busy, "▸", String::new()),
                    Some((true, ms)) => (Tone::Good, "✓", duration(*ms)),
                    Some((false, ms)) => (Tone::Bad, "✗", duration(*ms)),
                };
                let failed = matches!(end, Some((false, _)));
                let change = change.as_ref().filter(|_| !failed);
                took.insert_str(0, &folded(change.unwrap_or(result), open));
                let head = self.told((tone, sign), &format!("{place}{}", block.text), &took, width);
                match change {
                    Some(change) => self.with_change(head, change, (open, all), width),
                    None => self.with_output(head, result, (block, open), width),
                }
            }
            Kind::Gate { end, output } => {
                let (tone, sign, mut took) = match end {
                    None => (Tone::Busy, "▸", String::new()),
                    Some((Some(0), ms)) => (Tone::Good, "✓", duration(*ms)),
                    Some((code, ms)) => {
                        let code = code.map_or("killed".to_owned(), |code| format!("exit {code}"));
                        (Tone::Bad, "✗", format!("{code}, {}", duration(*ms)))
                    }
                };
                let text = format!("{place}check {}", block.text);
                took.insert_str(0, &folded(output, open));
                let head = self.told((tone, sign), &text, &took, width);
                self.with_output(head, output, (block, open), width)
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
        (open, all): (bool, bool),
        width: usize,
    ) -> Vec<Line<'static>> {
        if !open {
            return lines;
        }
        let margin = Span::styled("   │", self.style(Tone::Faint));
        let most = if all { usize::MAX } else { tools::CHANGE };
        lines.extend(tools::changed(change, most, width - 4).into_iter().map(|line| {
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
        (block, open): (&Block, bool),
        width: usize,
    ) -> Vec<Line<'static>> {
        if !open || output.is_empty() {
            return lines;
        }
        let faint = self.style(Tone::Faint);
        let output = wrap(output, width - 5);
        let all = block.by_hand.is_some();
        let skipped = if all { 0 } else { output.len().saturating_sub(OUTPUT) };
        if skipped > 0 {
            let more = if block.is_part() { " and more" } else { "" };
            let words = format!("   │ … {skipped} lines{more} before: x shows them");
            lines.push(Line::from(Span::styled(words, faint)));
        }
        let rest = output.into_iter().skip(skipped);
        lines.extend(rest.map(|line| Line::from(Span::styled(format!("   │ {line}"), faint))));
        lines
    }
}

/// How much a closed line hides, to stand before how long it took.
fn folded(hidden: &str, open: bool) -> String {
    match hidden.lines().count() {
        0 => String::new(),
        _ if open => String::new(),
        1 => "+1 line  ".to_owned(),
        lines => format!("+{lines} lines  "),
    }
}

/// Whether a block is of the part that alone is shown.
fn shows(block: &Block, only: Option<&str>) -> bool {
    let Some(only) = only else { return true };
    let path = block.path.as_deref().unwrap_or_default();
    path == only || path.strip_prefix(only).is_some_and(|rest| rest.starts_with('/'))
}
