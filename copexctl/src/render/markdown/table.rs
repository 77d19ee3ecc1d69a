//! Tables: columns as wide as they must be and the terminal allows.

use super::Shape;
use crate::render::styled::{Line, Role, Span};
use crate::render::wrap::{self, Margin, width};

/// Between two columns.
const BETWEEN: &str = " │ ";

/// A column narrower than this holds no words: the table is written as a list then.
const NARROWEST: usize = 4;

/// On which side the words of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// On the left.
    Left,
    /// In the middle.
    Middle,
    /// On the right.
    Right,
}

/// A table.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Whether no bar stands before its head: the head's first words may be out already.
    pub(super) open: bool,
    /// Of each column.
    pub(super) sides: Vec<Side>,
    /// The first row is the head; each cell is a line.
    pub(super) rows: Vec<Vec<Vec<Span>>>,
}

impl Table {
    /// Its lines on `most` columns.
    pub(super) fn lines(&self, shape: &Shape, most: usize) -> Vec<Line> {
        let Some((head, rows)) = self.rows.split_first() else { return Vec::new() };
        let columns = self.sides.len().max(1);
        let widths = widths(&self.natural(columns), most.saturating_sub(3 * (columns - 1)));
        // They stand at the left of one line then, as they are.
        let begun = head.first().filter(|_| self.open);
        let fits = |widths: &Vec<usize>| begun.is_none_or(|cell| wide(cell) <= widths[0]);
        let Some(widths) = widths.filter(|it| !shape.plain && fits(it)) else {
            let mut lines = begun.map_or_else(Vec::new, |_| plain(head, most));
            lines.extend(list(head, rows, most));
            return lines;
        };
        let mut lines = self.row(head, &widths, true);
        let under: Vec<_> = widths.iter().map(|width| "─".repeat(*width)).collect();
        lines.push(Line::of(under.join("─┼─"), Role::Dim));
        for row in rows {
            lines.extend(self.row(row, &widths, false));
        }
        lines
    }

    fn natural(&self, columns: usize) -> Vec<usize> {
        let cell = |row: &Vec<Vec<Span>>, column: usize| row.get(column).map_or(0, |it| wide(it));
        let most = |column| self.rows.iter().map(|row| cell(row, column)).max();
        (0..columns).map(|column| most(column).unwrap_or(0).max(1)).collect()
    }

    fn row(&self, row: &[Vec<Span>], widths: &[usize], head: bool) -> Vec<Line> {
        let begun = |column| head && self.open && column == 0;
        let nothing = Line::default();
        let margin = Margin { first: &nothing, rest: &nothing };
        let cells: Vec<_> = widths
            .iter()
            .enumerate()
            .map(|(column, width)| {
                let mut spans = row.get(column).cloned().unwrap_or_default();
                for span in &mut spans {
                    span.style.bold |= head && !begun(column);
                }
                wrap::words(&spans, margin, *width)
            })
            .collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or(0);
        let line = |number: usize| {
            let mut line = Line::default();
            for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
                if column > 0 {
                    line = line.and(BETWEEN, Role::Dim);
                }
                let empty = Line::default();
                let text = cell.get(number).unwrap_or(&empty);
                let free = width.saturating_sub(text.width());
                let left = match self.sides.get(column) {
                    _ if begun(column) => 0,
                    Some(Side::Right) => free,
                    Some(Side::Middle) => free / 2,
                    _ => 0,
                };
                line = line.and(" ".repeat(left), Role::Text);
                text.spans.iter().for_each(|span| line.push(span));
                line = line.and(" ".repeat(free - left), Role::Text);
            }
            line.trimmed()
        };
        (0..height).map(line).collect()
    }
}

fn wide(spans: &[Span]) -> usize {
    spans.iter().map(|span| width(&span.text)).sum()
}

/// The widest columns are cut to one width until all fit.
fn widths(natural: &[usize], most: usize) -> Option<Vec<usize>> {
    let cut = |cap: usize| natural.iter().map(move |it| (*it).min(cap));
    let widest = natural.iter().copied().max().unwrap_or(1).min(most);
    let cap = (1..=widest).rev().find(|cap| cut(*cap).sum::<usize>() <= most)?;
    let cuts = natural.iter().any(|it| *it > cap);
    (cap >= NARROWEST || !cuts).then(|| cut(cap).collect())
}

/// A head without columns.
fn plain(head: &[Vec<Span>], most: usize) -> Vec<Line> {
    let nothing = Line::default();
    let spans = head.join(&Span::new(" | ", Role::Text));
    wrap::words(&spans, Margin { first: &nothing, rest: &nothing }, most)
}

/// Without columns: each cell on its own line behind the name of its column.
fn list(head: &[Vec<Span>], rows: &[Vec<Vec<Span>>], most: usize) -> Vec<Line> {
    let nothing = Line::default();
    let margin = Margin { first: &nothing, rest: &nothing };
    let mut lines = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        if number > 0 {
            lines.push(Line::default());
        }
        for (column, cell) in row.iter().enumerate().filter(|(_, cell)| !cell.is_empty()) {
            let mut spans = head.get(column).cloned().unwrap_or_default();
            spans.push(Span::new(": ", Role::Text));
            spans.extend(cell.iter().cloned());
            lines.extend(wrap::words(&spans, margin, most));
        }
    }
    lines
}
