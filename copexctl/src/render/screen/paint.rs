//! The screen on a terminal: only rows that have changed are written, all of them at once.
//!
//! It is the terminal's other screen, so that what stood there before comes back at the end.

use std::io::{self, Write};

use crossterm::cursor::{Hide, MoveTo, RestorePosition, SavePosition, Show};
use crossterm::queue;
use crossterm::style::Print;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen,
};

use super::layout::Frame;
use crate::render::ansi;
use crate::render::styled::Line;
use crate::render::theme::Look;

/// How much is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Rows that have changed.
    Changed,
    /// All rows but that in which a person types: mends what was typed elsewhere.
    Mend,
    /// Everything, after clearing.
    All,
}

/// What a terminal shows of us.
#[derive(Debug)]
pub(crate) struct Painter<W> {
    out: W,
    look: Look,
    /// What stands there, while it is ours.
    shown: Option<(Frame, usize)>,
}

impl<W: Write> Painter<W> {
    /// Nothing is drawn yet.
    pub(crate) fn new(out: W, look: Look) -> Self {
        Self { out, look, shown: None }
    }

    /// Whether the terminal shows our screen.
    pub(crate) fn is_shown(&self) -> bool {
        self.shown.is_some()
    }

    /// Makes the terminal show this on so many rows.
    ///
    /// # Errors
    /// When the terminal cannot be written to.
    pub(crate) fn paint(&mut self, frame: Frame, rows: usize, extent: Extent) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(4 * 1024);
        let before = self.shown.take();
        if before.is_none() {
            queue!(bytes, EnterAlternateScreen)?;
        }
        let same = |before: &(Frame, usize)| before.0.input == frame.input && before.1 == rows;
        let before = before.filter(same).filter(|_| extent != Extent::All);
        queue!(bytes, BeginSynchronizedUpdate)?;
        match &before {
            Some((before, _)) => self.change(&mut bytes, before, &frame, (rows, extent))?,
            None => self.renew(&mut bytes, &frame, rows)?,
        }
        queue!(bytes, EndSynchronizedUpdate)?;
        self.shown = Some((frame, rows));
        self.out.write_all(&bytes)?;
        self.out.flush()
    }

    fn renew(&self, bytes: &mut Vec<u8>, frame: &Frame, rows: usize) -> io::Result<()> {
        queue!(bytes, Hide, Clear(ClearType::All))?;
        for (row, line) in frame.lines.iter().take(rows).enumerate() {
            self.row(bytes, row, line)?;
        }
        if let Some((row, column)) = frame.input {
            queue!(bytes, at(column, row), Show)
        } else {
            queue!(bytes, MoveTo(0, 0))
        }
    }

    fn change(
        &self,
        bytes: &mut Vec<u8>,
        before: &Frame,
        frame: &Frame,
        (rows, extent): (usize, Extent),
    ) -> io::Result<()> {
        // A person who types stays where he is.
        if frame.input.is_some() {
            queue!(bytes, Hide, SavePosition)?;
        }
        let last = frame.input.map_or(rows, |(row, _)| row);
        for row in 0..last {
            let line = frame.lines.get(row);
            if extent == Extent::Mend || line != before.lines.get(row) {
                self.row(bytes, row, line.unwrap_or(&Line::default()))?;
            }
        }
        if frame.input.is_some() {
            queue!(bytes, RestorePosition, Show)
        } else {
            queue!(bytes, MoveTo(0, 0))
        }
    }

    fn row(&self, bytes: &mut Vec<u8>, row: usize, line: &Line) -> io::Result<()> {
        queue!(
            bytes,
            at(0, row),
            Print(ansi::line(line, &self.look)),
            Clear(ClearType::UntilNewLine)
        )
    }

    /// Gives the terminal back as it was.
    pub(crate) fn leave(&mut self) {
        if self.shown.take().is_some() {
            // A terminal that is gone needs nothing back.
            let _ = queue!(self.out, Show, LeaveAlternateScreen);
            let _ = self.out.flush();
        }
    }
}

fn at(column: usize, row: usize) -> MoveTo {
    let fit = |number: usize| u16::try_from(number).unwrap_or(u16::MAX);
    MoveTo(fit(column), fit(row))
}

#[cfg(test)]
mod tests;
