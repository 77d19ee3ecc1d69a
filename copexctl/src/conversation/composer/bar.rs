//! The two last rows of the terminal, kept out of what scrolls.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::render::clean;

/// Rows that are kept: how it stands, and the line.
const ROWS: usize = 2;

/// The least that is left for what scrolls. Where there is less, nothing is drawn, and keys
/// count all the same.
const LEAST: usize = 4;

/// Further down than any terminal goes, which makes its last row of it. So the rows are at the
/// bottom of the terminal as it is when it draws them, and not where it was when we measured it.
const BOTTOM: &str = "\x1b[9999;1H";

/// The size of a terminal that does not say.
const USUAL: (usize, usize) = (80, 24);

/// What stands for a line end in a line that is shown in one row.
const LINE_END: char = '⏎';

/// The rows.
#[derive(Debug)]
pub(super) struct Bar {
    size: (usize, usize),
    shown: bool,
    dim: bool,
}

impl Bar {
    /// Not there yet.
    pub(super) fn new(dim: bool) -> Self {
        Self { size: USUAL, shown: false, dim }
    }

    /// Takes the rows, where the terminal has room for them.
    pub(super) fn enter(&mut self) -> io::Result<()> {
        if self.shown {
            return Ok(());
        }
        self.size = measured();
        if self.size.1 < LEAST + ROWS {
            return Ok(());
        }
        self.shown = true;
        // Room below the cursor first. A vertical tab goes down as a line feed does and stays
        // in its column.
        let mut text = "\u{b}".repeat(ROWS);
        let _ = write!(text, "\x1b[{ROWS}A\x1b7\x1b[1;{}r\x1b8\x1b[?25l\x1b[?2004h", self.top());
        put(&text)
    }

    /// Draws them. What scrolls may have wiped them.
    pub(super) fn draw(&self, status: &str, line: &str, cursor: usize) -> io::Result<()> {
        if !self.shown {
            return Ok(());
        }
        let width = self.size.0.saturating_sub(1);
        let (rule, plain) = if self.dim { ("\x1b[2m", "\x1b[0m") } else { ("", "") };
        let status = cut(&format!("── {status}"), width);
        // Where it is narrower by now, nothing is wrapped.
        let text = format!(
            "\x1b7\x1b[?7l{BOTTOM}\x1b[A\x1b[2K{rule}{status}{plain}{BOTTOM}\x1b[2K{}\x1b[?7h\x1b8",
            shown(line, cursor, width),
        );
        put(&text)
    }

    /// The terminal may have another size: takes the rows there.
    pub(super) fn resized(&mut self) -> io::Result<()> {
        if measured() == self.size {
            return Ok(());
        }
        if self.shown {
            // Ours are below the cursor, wherever they went; nothing else is.
            put("\x1b7\x1b[r\x1b8\x1b[J")?;
            self.shown = false;
        }
        self.enter()
    }

    /// Gives the rows back.
    pub(super) fn leave(&mut self) {
        if std::mem::take(&mut self.shown) {
            // A terminal that is gone has no rows to give back.
            let _ = put("\x1b7\x1b[r\x1b8\x1b[J\x1b[?25h\x1b[?2004l");
        }
    }

    /// The last row that scrolls, from 1.
    fn top(&self) -> usize {
        self.size.1 - ROWS
    }
}

fn measured() -> (usize, usize) {
    let size = terminal_size::terminal_size_of(io::stderr());
    size.map_or(USUAL, |(columns, rows)| (columns.0.into(), rows.0.into()))
}

/// In one write, so that nothing comes between.
fn put(text: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}

/// As much of a text as fits; a sign says where more would be.
fn cut(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.width() <= width {
        return text;
    }
    let mut left = width.saturating_sub(1);
    let fits = |char: &char| {
        let wide = char.width().unwrap_or(0);
        let fits = wide <= left;
        left = left.saturating_sub(wide);
        fits
    };
    text.chars().take_while(fits).chain("…".chars().take(width)).collect()
}

/// The line with its cursor, in one row: the part around the cursor where it is longer.
fn shown(line: &str, cursor: usize, width: usize) -> String {
    let flat = |text: &str| -> Vec<char> {
        let one = |char| if char == '\n' { LINE_END } else { char };
        text.chars().map(one).filter(|char| !char.is_control()).collect()
    };
    let (before, after) = line.split_at(cursor.min(line.len()));
    let (before, after) = (flat(before), flat(after));
    // The sign, a space, and the cursor behind the end.
    let room = width.saturating_sub(3);
    let wide = |char: &char| char.width().unwrap_or(0);
    let (mut from, mut used) = (before.len(), 0);
    while from > 0 && used + wide(&before[from - 1]) <= room {
        used += wide(&before[from - 1]);
        from -= 1;
    }
    let mut text = String::from(if from > 0 { "‹ " } else { "› " });
    text.extend(&before[from..]);
    let under = after.first().copied().unwrap_or(' ');
    let _ = write!(text, "\x1b[7m{under}\x1b[0m");
    for char in after.iter().skip(1) {
        used += wide(char);
        if used > room {
            break;
        }
        text.push(*char);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_row_around_its_cursor() {
        assert_eq!(shown("", 0, 20), "› \x1b[7m \x1b[0m");
        assert_eq!(shown("a\nb", 1, 20), "› a\x1b[7m⏎\x1b[0mb");
        let long = "x".repeat(100);
        let row = shown(&long, 100, 20);
        assert_eq!(row, format!("‹ {}\x1b[7m \x1b[0m", "x".repeat(17)));
        let row = shown(&long, 0, 20);
        assert_eq!(row.matches('x').count(), 18, "{row}");
        assert_eq!(shown("日本", "日本".len(), 8), "› 日本\x1b[7m \x1b[0m");
        assert_eq!(shown("a\x1b[2Jb", 0, 20).matches('\x1b').count(), 2, "only ours");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(cut("── abc", 6), "── abc");
        assert_eq!(cut("── abc", 5), "── a…");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("x", 0), "");
    }
}
