//! What stands where on the screen. Pure: a run, a moment and a size make the lines.
//!
//! Where there is little room, what matters most has it: who and how far, a question, what is
//! being done, checks and steps; the agent's words have the rest.

use copex_proto::run::Mode;

use super::line::piece;
use super::model::Model;
use super::{parts, rows, words};
use crate::render::styled::{Line, Role};

/// Columns that are drawn on, at least.
pub(crate) const LEAST_COLUMNS: usize = 20;

/// Checks that are shown.
const GATES: usize = 6;

/// Notes that are shown.
const NOTES: usize = 3;

/// Rows below which nothing is left free around a question.
const ROOMY: usize = 12;

/// Rows of a part from which on one says how much was left out.
const LEAST_FOR_A_MARK: usize = 6;

/// Parts of the screen.
const PARTS: usize = 11;

/// Where among them the agent's words are.
const WORDS: usize = 8;

/// A whole screen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Its rows from the top; those below are empty.
    pub(crate) lines: Vec<Line>,
    /// Row and column where a person types.
    pub(crate) input: Option<(usize, usize)>,
}

/// A part of the screen: its rows, and how many of them it wants.
struct Part {
    lines: Vec<Line>,
    least: usize,
    most: usize,
    cut: Cut,
}

/// What is left out of a part that is too long.
#[derive(Clone, Copy)]
enum Cut {
    End,
    Beginning,
    Middle,
    /// Rows that are far from this one.
    Around(usize),
}

impl Part {
    fn new(lines: Vec<Line>, least: usize, most: usize, cut: Cut) -> Self {
        let most = most.min(lines.len());
        Self { least: least.min(most), most, lines, cut }
    }

    fn take(mut self, rows: usize) -> Vec<Line> {
        let over = self.lines.len().saturating_sub(rows);
        if over == 0 {
            return self.lines;
        }
        match self.cut {
            Cut::End => self.lines.truncate(rows),
            Cut::Beginning => drop(self.lines.drain(..over)),
            Cut::Middle => {
                let head = rows / 3;
                self.lines.drain(head..head + over);
                // Two ends must not read as one text.
                if rows >= LEAST_FOR_A_MARK
                    && let Some(line) = self.lines.get_mut(head)
                {
                    *line = piece(Role::Dim, &format!("  … {} rows left out …", over + 1));
                }
            }
            Cut::Around(row) => {
                let first = row.saturating_sub(rows / 2).min(over);
                self.lines.drain(..first);
                self.lines.truncate(rows);
            }
        }
        self.lines
    }
}

/// The screen of a run at this moment, on so many columns and rows.
pub(crate) fn frame(model: &Model, now_ms: u64, (columns, rows): (usize, usize)) -> Frame {
    // The last column stays free: a terminal would begin a line of its own there.
    let columns = columns.max(LEAST_COLUMNS) - 1;
    let rows = rows.max(1);
    let question = question(model, columns, rows);
    let asked = !question.is_empty();
    let (steps, present) = parts::steps(model);
    let least_words = usize::from(rows >= ROOMY) * 2;
    // What several do has the rows of one's checks, steps and words.
    let below = if model.crew.is_some() { Vec::new() } else { vec![rule(columns)] };
    // From the top of the screen to its end.
    let mut on_screen = [
        Part::new(vec![parts::head(model, now_ms, columns)], 1, 1, Cut::End),
        Part::new(parts::title(model), 0, 1, Cut::End),
        Part::new(vec![parts::spend(model, columns)], 1, 1, Cut::End),
        Part::new(vec![rule(columns)], 0, 1, Cut::End),
        Part::new(parts::now(model, now_ms, columns), 1, 3, Cut::End),
        Part::new(parts::gates(model), 1, GATES, Cut::End),
        Part::new(steps, 3, (rows / 3).max(3), Cut::Around(present)),
        Part::new(below, 0, 1, Cut::End),
        Part::new(vec![Line::default(); rows], least_words, rows, Cut::End),
        Part::new(parts::notes(model), 1, NOTES, Cut::Beginning),
        Part::new(question, rows.saturating_sub(2), rows, Cut::Middle),
    ];
    let shares = share(rows, &on_screen);
    on_screen[WORDS].lines = match &model.crew {
        Some(crew) => rows::table(crew, now_ms, (columns, shares[WORDS])),
        None => last_words(model, (columns, shares[WORDS])),
    };
    let shown = on_screen.into_iter().zip(shares).flat_map(|(part, rows)| part.take(rows));
    let lines: Vec<Line> = shown.map(|line| line.fit(columns)).collect();
    let input = asked.then(|| input(&lines, rows));
    Frame { lines, input }
}

/// How many rows each part has.
fn share(rows: usize, parts: &[Part; PARTS]) -> [usize; PARTS] {
    /// Which of them come first. The words grow last: they have what nobody else wants.
    const FIRST: [usize; PARTS] = [0, 10, 4, 2, 5, 6, 9, 1, 3, 7, WORDS];
    let mut shares = [0; PARTS];
    let mut left = rows;
    for wanted in [|part: &Part| part.least, |part: &Part| part.most] {
        for index in FIRST {
            let more = wanted(&parts[index]).saturating_sub(shares[index]).min(left);
            shares[index] += more;
            left -= more;
        }
    }
    shares
}

/// The agent's last words, with empty rows below so that what follows stays in its place.
fn last_words(model: &Model, size: (usize, usize)) -> Vec<Line> {
    let mode = model.mode.unwrap_or(Mode::Chat);
    let mut lines = words::last(mode, &model.work, &model.look, size);
    lines.resize(size.1, Line::default());
    lines
}

fn rule(columns: usize) -> Line {
    piece(Role::Dim, &"─".repeat(columns))
}

/// The question, its last row for the answer.
fn question(model: &Model, columns: usize, rows: usize) -> Vec<Line> {
    let Some(question) = &model.question else { return Vec::new() };
    let mut lines = Vec::new();
    if rows >= ROOMY {
        lines.push(rule(columns));
    }
    // Room for what is typed.
    let columns = columns.saturating_sub(8).max(LEAST_COLUMNS / 2);
    for line in question {
        lines.extend(line.broken(columns));
    }
    if rows >= ROOMY {
        // What is typed may be longer than its row.
        lines.push(Line::default());
    }
    lines
}

/// The end of the last row that says something.
fn input(lines: &[Line], rows: usize) -> (usize, usize) {
    let row = lines.iter().take(rows).rposition(|line| line.width() > 0).unwrap_or(0);
    (row, lines.get(row).map_or(0, Line::width) + 1)
}

#[cfg(test)]
mod tests;
