//! Blocks laid out on lines.

use std::ops::Range;

use super::Shape;
use super::block::End;
use super::code::Highlight;
use super::inline::{Underline, Words};
use super::split::held;
use super::table::Table;
use crate::render::styled::{Line, Role, Span};
use crate::render::wrap::{self, Margin, settled};

/// A block that holds no others.
#[derive(Debug)]
pub(super) struct Leaf {
    /// Where it stands in the source.
    pub(super) range: Range<usize>,
    /// What stands before its first line, a piece for each block around it.
    pub(super) first: Line,
    /// The same for its other lines.
    pub(super) rest: Line,
    /// What it is.
    pub(super) matter: Matter,
}

/// What a block is.
#[derive(Debug)]
pub(super) enum Matter {
    /// A paragraph or a heading.
    Words(Words),
    /// Code.
    Code {
        /// What its fence says.
        info: String,
        /// Its lines.
        text: String,
        /// Columns before them.
        indent: usize,
    },
    /// A table.
    Table(Table),
    /// A line across.
    Rule,
}

/// Lines of a block.
#[derive(Debug, Default)]
pub(super) struct Rendered {
    /// All of them.
    pub(super) lines: Vec<Line>,
    /// How many of them stay as they are whatever comes.
    pub(super) certain: usize,
    /// The begin of the next one, as far as it is sure.
    pub(super) partial: Option<Line>,
}

/// Lays the blocks out one under the other.
pub(super) fn lay(leaves: &[Leaf], source: &str, shape: &Shape, end: End) -> Rendered {
    let mut all = Rendered::default();
    let mut before: Option<&Leaf> = None;
    for (number, leaf) in leaves.iter().enumerate() {
        // What a line that is not whole begins may yet be of a table.
        let row = |it: &Leaf| !rest(source, it).contains('\n');
        let table = || match &leaf.matter {
            Matter::Table(_) => true,
            Matter::Words(_) => held(rest(source, leaf)).is_some_and(|bar| bar < leaf.range.len()),
            _ => false,
        };
        let next = leaves.get(number + 1);
        let still = next.is_some_and(row) && table();
        let last = (next.is_none() || still) && end == End::Open;
        let from = all.lines.len();
        if let Some(before) = before.filter(|before| apart(before, leaf, source)) {
            let depth = before.rest.spans.len().min(leaf.rest.spans.len());
            let line = Line { spans: leaf.rest.spans[..depth].to_vec() };
            all.lines.push(line.trimmed());
        }
        let begin = all.lines.len();
        let (first, others) = (margin(&leaf.first, shape.width), margin(&leaf.rest, shape.width));
        let margin = Margin { first: &first, rest: &others };
        if last {
            let (lines, partial) = sure(&leaf.matter, margin, shape, source);
            let any = !lines.is_empty() || partial.is_some();
            all.certain = if any { begin + lines.len() } else { from };
            all.lines.extend(lines);
            all.partial = partial;
            break;
        }
        all.lines.extend(lines(&leaf.matter, margin, shape));
        all.certain = all.lines.len();
        before = Some(leaf);
    }
    all
}

/// What the source has from a block on.
fn rest<'a>(source: &'a str, leaf: &Leaf) -> &'a str {
    source.get(leaf.range.start..).unwrap_or_default()
}

/// Whether an empty line stands between two blocks.
fn apart(before: &Leaf, leaf: &Leaf, source: &str) -> bool {
    let end = source[..before.range.end.min(source.len())].trim_end().len();
    let between = source.get(end..leaf.range.start).unwrap_or_default();
    between.matches('\n').count() >= 2
}

/// What stands before a line takes half of it at most: the outer blocks give way.
fn margin(line: &Line, width: usize) -> Line {
    let mut from = 0;
    let rest = |from: usize| Line { spans: line.spans[from..].to_vec() };
    while rest(from).width() > width / 2 && from < line.spans.len() {
        from += 1;
    }
    let mut merged = Line::default();
    rest(from).spans.iter().for_each(|span| merged.push(span));
    merged
}

fn lines(matter: &Matter, margin: Margin<'_>, shape: &Shape) -> Vec<Line> {
    match matter {
        Matter::Words(words) => {
            let mut lines = broken(&words.lines(), margin, shape);
            lines.extend(words.underline.map(|it| underline(it, &lines, margin, shape)));
            lines
        }
        Matter::Code { info, text, indent } => {
            let mut code = Code::new(info, *indent);
            behind(text.lines().flat_map(|line| code.line(line, margin.rest, shape)), margin)
        }
        Matter::Table(table) => {
            let most = shape.width.saturating_sub(margin.rest.width());
            let lines = table.lines(shape, most).into_iter().map(|line| after(margin.rest, &line));
            behind(lines, margin)
        }
        Matter::Rule => {
            let text = if shape.plain { "---" } else { "────────" };
            behind([after(margin.rest, &Line::of(text, Role::Dim))], margin)
        }
    }
}

/// What cannot change of the last block.
fn sure(
    matter: &Matter,
    margin: Margin<'_>,
    shape: &Shape,
    source: &str,
) -> (Vec<Line>, Option<Line>) {
    match matter {
        Matter::Words(words) if !words.is_heading() => {
            if words.underline.is_some() && source.ends_with('\n') {
                return (lines(matter, margin, shape), None);
            }
            let mut all = words.sure();
            // Behind a whole line come others.
            if source.ends_with('\n') && words.is_sure() {
                return (broken(&all, margin, shape), None);
            }
            // The parser leaves out the space behind the last word, which says that it is whole.
            if source.ends_with([' ', '\t'])
                && words.is_sure()
                && let Some(span) = all.last_mut().and_then(|line| line.last_mut())
            {
                span.text.push(' ');
            }
            all.last_mut().into_iter().for_each(settle);
            let mut lines = broken(&all, margin, shape);
            // Without a word of it, it may yet be a line of another block.
            let before = if lines.len() > 1 { margin.rest } else { margin.first };
            let partial = lines.pop().filter(|line| line.width() > before.width());
            (lines, partial)
        }
        Matter::Code { info, text, indent: 2 } => {
            // Empty lines at the end may not be of it.
            let whole = if source.ends_with('\n') {
                text.trim_end_matches('\n')
            } else {
                text.rfind('\n').map_or("", |end| &text[..=end])
            };
            if whole.is_empty() {
                return (Vec::new(), None);
            }
            let matter = Matter::Code { info: info.clone(), text: whole.to_owned(), indent: 2 };
            (lines(&matter, margin, shape), None)
        }
        _ => (Vec::new(), None),
    }
}

/// Cuts words to where more of them cannot move what is there.
fn settle(spans: &mut Vec<Span>) {
    let mut left = settled(spans.iter().map(|span| span.text.as_str()));
    for span in &mut *spans {
        span.text.truncate(left);
        left -= span.text.len();
    }
    spans.retain(|span| !span.text.is_empty());
}

fn broken(lines: &[Vec<Span>], margin: Margin<'_>, shape: &Shape) -> Vec<Line> {
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let first = if number == 0 { margin.first } else { margin.rest };
        let margin = Margin { first, rest: margin.rest };
        all.extend(wrap::words(line, margin, shape.width));
    }
    all
}

/// Code that is shown line by line.
#[derive(Debug, Clone)]
pub(super) struct Code {
    highlight: Highlight,
    indent: String,
}

impl Code {
    /// In the language that `info` names.
    pub(super) fn new(info: &str, indent: usize) -> Self {
        Self { highlight: Highlight::of(info), indent: " ".repeat(indent) }
    }

    /// The next line of it, on as many as it takes.
    pub(super) fn line(&mut self, text: &str, before: &Line, shape: &Shape) -> Vec<Line> {
        let line = self.highlight.line(&text.replace('\t', "    "));
        let margin = before.clone().and(self.indent.as_str(), Role::Text);
        wrap::code(&line.spans, Margin { first: &margin, rest: &margin }, shape.width)
    }
}

/// A rule as wide as the words above it.
fn underline(kind: Underline, above: &[Line], margin: Margin<'_>, shape: &Shape) -> Line {
    let wide = |line: &Line| line.width().saturating_sub(margin.rest.width());
    let columns = above.iter().map(wide).max().unwrap_or(0);
    let text = match (kind, shape.plain) {
        (Underline::Double, true) => "===".to_owned(),
        (Underline::Single, true) => "---".to_owned(),
        (Underline::Double, false) => "═".repeat(columns),
        (Underline::Single, false) => "─".repeat(columns),
    };
    after(margin.rest, &Line::of(text, Role::Marker))
}

fn after(before: &Line, line: &Line) -> Line {
    let mut whole = before.clone();
    line.spans.iter().for_each(|span| whole.push(span));
    whole
}

/// The first line has its own margin.
fn behind(lines: impl IntoIterator<Item = Line>, margin: Margin<'_>) -> Vec<Line> {
    let mut lines: Vec<_> = lines.into_iter().collect();
    if margin.first == margin.rest {
        return lines;
    }
    match lines.first_mut() {
        Some(first) => *first = after(margin.first, &first.after(margin.rest.plain().len())),
        None => lines.push(margin.first.clone().trimmed()),
    }
    lines
}
