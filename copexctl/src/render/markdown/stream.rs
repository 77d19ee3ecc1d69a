//! Text in pieces becomes lines that are given out once.
//!
//! Invariant: what is given out does not depend on where the pieces were cut, and is never
//! taken back. Only the open block is kept, so a long text costs what its blocks cost.

use super::Shape;
use super::block::{End, Tables, render};
use super::head::cut;
use super::lay::{Code, Rendered};
use super::refer::definition;
use super::split::{Kind, closes, delimits, indent, is_decided, kind, trim, underlines};
use crate::render::is_harmless;
use crate::render::styled::Line;

/// Bytes of a block that is held whole; what comes behind them is another block.
const MOST_HELD: usize = 64 * 1024;

/// Bytes up to which a block is laid out anew with every piece; beyond, once it has grown by an
/// eighth, so that all of it is laid out some nine times and not with each piece.
const EACH_TIME: usize = 4 * 1024;

/// The block that more lines may belong to.
#[derive(Debug, Clone, Default)]
enum Open {
    #[default]
    Nothing,
    Paragraph,
    Item(usize, Option<u64>),
    Quote,
    Table,
    Html,
    Indented,
    Fence {
        mark: char,
        count: usize,
        indent: usize,
        code: Box<Code>,
    },
}

/// A text that is being read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stream {
    open: Open,
    /// What is known of the open block, up to the last line end.
    source: String,
    /// The line that is not whole.
    tail: String,
    /// Whether that line is known to belong to the open block.
    placed: bool,
    /// The form of the open block: lines that are out cannot change theirs.
    shape: Option<Shape>,
    /// Lines of the open block that are out.
    shown: usize,
    /// The begin of the next line.
    partial: Option<Line>,
    /// Empty lines behind the source that may be of the block.
    blanks: usize,
    /// Whether an empty line stands before the next line.
    gap: bool,
    /// Whether a line is out.
    begun: bool,
    /// The number of the last block, where it is an item.
    number: Option<u64>,
    /// Bytes that were laid out last.
    laid: usize,
}

impl Stream {
    /// More text; the lines that are certain now are put behind `out`. `shape` says what form
    /// blocks that begin now have.
    pub(crate) fn push(&mut self, text: &str, shape: &dyn Fn() -> Shape, out: &mut Vec<Line>) {
        let mut whole = std::mem::take(&mut self.tail);
        whole.extend(text.chars().filter(|it| is_harmless(*it)));
        let mut rest = whole.as_str();
        while let Some((line, after)) = rest.split_once('\n') {
            self.line(line, shape, out);
            rest = after;
        }
        rest.clone_into(&mut self.tail);
        self.peek(shape, out);
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self, shape: &dyn Fn() -> Shape, out: &mut Vec<Line>) {
        let tail = std::mem::take(&mut self.tail);
        if !tail.is_empty() {
            self.line(&tail, shape, out);
        }
        self.close(out);
        *self = Self::default();
    }

    /// The begin of the next line: what follows it comes behind it.
    pub(crate) fn partial(&self) -> Option<&Line> {
        self.partial.as_ref()
    }

    /// What is being written, where nothing of it can be shown yet.
    pub(crate) fn unseen(&self) -> Option<&'static str> {
        if self.partial.is_some() || self.source.is_empty() && self.tail.is_empty() {
            return None;
        }
        Some(match self.open {
            Open::Table => "a table",
            Open::Fence { .. } | Open::Indented => "code",
            _ => "on",
        })
    }

    /// What would come next if this was the end, for a screen that is drawn anew. Of a long
    /// block it is the begin of the next line alone, so that it costs little.
    pub(crate) fn rest(&self, shape: &dyn Fn() -> Shape) -> Vec<Line> {
        if self.source.len() + self.tail.len() > EACH_TIME {
            return self.partial.iter().cloned().collect();
        }
        let (mut copy, mut rest) = (self.clone(), Vec::new());
        copy.finish(shape, &mut rest);
        rest
    }

    #[cfg(test)]
    pub(super) fn held(&self) -> usize {
        self.source.len() + self.tail.len()
    }

    fn line(&mut self, line: &str, shape: &dyn Fn() -> Shape, out: &mut Vec<Line>) {
        if let Open::Fence { mark, count, indent, code } = &mut self.open {
            if closes(line, *mark, *count) {
                self.open = Open::Nothing;
                return;
            }
            let text = dedent(line, *indent);
            // The width may be another for each line: nothing of it is kept.
            let lines = code.line(text, &Line::default(), &shape());
            self.give(lines, out);
            return;
        }
        if !std::mem::take(&mut self.placed) {
            if matches!(self.open, Open::Paragraph) && underlines(line) {
                self.source.push_str(line);
                self.source.push('\n');
                return self.close(out);
            }
            match kind(line) {
                Kind::Blank => return self.blank(out),
                kind => self.place(line, kind, shape, out),
            }
        }
        if matches!(self.open, Open::Nothing | Open::Fence { .. }) {
            return;
        }
        self.source.push_str(line);
        self.source.push('\n');
        match self.open {
            Open::Paragraph if self.is_table_head() || cut(&mut self.source) => {
                self.open = Open::Table;
            }
            Open::Item(..) | Open::Quote => {
                cut(&mut self.source);
            }
            _ => {}
        }
        self.refresh(None, out);
    }

    fn blank(&mut self, out: &mut Vec<Line>) {
        match self.open {
            Open::Item(..) | Open::Indented => self.blanks += 1,
            _ => {
                self.close(out);
                self.gap = true;
            }
        }
    }

    /// Makes the block that this line belongs to the open one.
    fn place(&mut self, line: &str, kind: Kind, shape: &dyn Fn() -> Shape, out: &mut Vec<Line>) {
        if self.goes_on(line, kind) {
            for _ in 0..std::mem::take(&mut self.blanks) {
                self.source.push('\n');
            }
            return;
        }
        self.close(out);
        let before = self.number.take();
        let shape = shape();
        if kind == Kind::Text
            && let Some(lines) = definition(line, &shape)
        {
            return self.give(lines, out);
        }
        self.shape = Some(shape);
        self.open = match kind {
            Kind::Blank => Open::Nothing,
            Kind::Text => Open::Paragraph,
            Kind::Quote => Open::Quote,
            Kind::Row => Open::Table,
            Kind::Html => Open::Html,
            Kind::Indented => Open::Indented,
            Kind::Item { offset, number, .. } => {
                // Numbers go up, also where all of them are 1.
                let number = match (before, number) {
                    (Some(before), Some(number)) if number <= before => Some(before + 1),
                    _ => number,
                };
                self.number = number;
                Open::Item(offset, number)
            }
            Kind::Fence { mark, count, indent } => {
                let info = trim(line).trim_start_matches(mark).trim();
                Open::Fence { mark, count, indent, code: Box::new(Code::new(info, 2)) }
            }
            Kind::Heading | Kind::Rule => {
                line.clone_into(&mut self.source);
                self.close(out);
                Open::Nothing
            }
        };
    }

    /// Whether a line belongs to the open block.
    fn goes_on(&self, line: &str, kind: Kind) -> bool {
        if self.source.len() > MOST_HELD && matches!(self.open, Open::Table | Open::Html) {
            return false;
        }
        let lazy = self.blanks == 0 && kind == Kind::Text;
        match self.open {
            Open::Nothing | Open::Fence { .. } => false,
            Open::Paragraph => match kind {
                Kind::Text | Kind::Indented | Kind::Html => true,
                Kind::Row => delimits(line) && self.ends_with_a_bar(),
                Kind::Item { number, empty, .. } => empty || number.is_some_and(|it| it != 1),
                _ => false,
            },
            Open::Item(offset, _) => indent(line) >= offset || lazy,
            Open::Quote => kind == Kind::Quote || lazy,
            Open::Table => kind == Kind::Row || kind == Kind::Text && line.contains('|'),
            Open::Html => true,
            Open::Indented => kind == Kind::Indented,
        }
    }

    fn ends_with_a_bar(&self) -> bool {
        self.source.lines().next_back().is_some_and(|line| line.contains('|'))
    }

    /// Whether the paragraph is the first two lines of a table.
    fn is_table_head(&self) -> bool {
        let mut lines = self.source.lines();
        let (first, second) = (lines.next(), lines.next());
        lines.next().is_none()
            && first.is_some_and(|it| it.contains('|'))
            && second.is_some_and(delimits)
    }

    /// Shows of the line that is not whole what is sure of it.
    fn peek(&mut self, shape: &dyn Fn() -> Shape, out: &mut Vec<Line>) {
        let tail = std::mem::take(&mut self.tail);
        if !matches!(self.open, Open::Fence { .. }) && is_decided(&tail) {
            if !self.placed {
                let kind = kind(&tail);
                // It may yet be a row.
                let text = kind == Kind::Text && !matches!(self.open, Open::Table);
                let shows = text || matches!(kind, Kind::Item { .. } | Kind::Quote);
                let inside = matches!(self.open, Open::Item(offset, _) if indent(&tail) >= offset);
                if shows || inside {
                    self.place(&tail, kind, shape, out);
                    self.placed = true;
                }
            }
            if self.placed {
                self.refresh(Some(&tail), out);
            }
        }
        self.tail = tail;
    }

    /// Gives out what is certain of the open block.
    fn refresh(&mut self, tail: Option<&str>, out: &mut Vec<Line>) {
        if !matches!(self.open, Open::Paragraph | Open::Item(..) | Open::Quote) {
            return;
        }
        let size = self.source.len() + tail.map_or(0, str::len);
        if size > EACH_TIME && size < self.laid + self.laid / 8 {
            return;
        }
        self.laid = size;
        let rendered = match tail {
            Some(tail) => self.render(&format!("{}{tail}", self.source), End::Open),
            None => self.render(&self.source, End::Open),
        };
        let Rendered { lines, certain, partial } = rendered;
        let lines = lines.into_iter().take(certain).skip(self.shown).collect::<Vec<_>>();
        self.shown += lines.len();
        // What was sure stays so, also where a new character behind it makes it look less so.
        let before = self.partial.take().filter(|_| lines.is_empty());
        let partial = partial.filter(|_| certain == self.shown);
        self.partial = partial.into_iter().chain(before).max_by_key(Line::width);
        self.give(lines, out);
        if self.partial.is_some() {
            self.open_gap(out);
        }
    }

    /// The open block is whole.
    fn close(&mut self, out: &mut Vec<Line>) {
        let source = std::mem::take(&mut self.source);
        if !source.is_empty() {
            let lines = self.render(&source, End::Closed).lines.into_iter().skip(self.shown);
            let lines = lines.collect();
            self.give(lines, out);
        }
        self.open = Open::Nothing;
        self.gap |= std::mem::take(&mut self.blanks) > 0;
        (self.partial, self.shown, self.laid, self.placed) = (None, 0, 0, false);
    }

    fn render(&self, source: &str, end: End) -> Rendered {
        let Some(shape) = self.shape else { return Rendered::default() };
        let (tables, number) = match self.open {
            Open::Item(_, number) => (Tables::Yes, number),
            Open::Table | Open::Quote => (Tables::Yes, None),
            _ => (Tables::No, None),
        };
        render(source, (tables, number), &shape, end)
    }

    fn give(&mut self, lines: Vec<Line>, out: &mut Vec<Line>) {
        if lines.is_empty() {
            return;
        }
        self.open_gap(out);
        out.extend(lines);
        self.begun = true;
    }

    fn open_gap(&mut self, out: &mut Vec<Line>) {
        if std::mem::take(&mut self.gap) && self.begun {
            out.push(Line::default());
        }
    }
}

/// Without as many spaces as stand before the fence.
fn dedent(line: &str, most: usize) -> &str {
    let spaces = line.len() - line.trim_start_matches(' ').len();
    &line[spaces.min(most)..]
}
