//! One run on the screen: when it is drawn, and what is left when it is gone.

use std::cell::Cell;
use std::io::{self, Stderr, Stdout, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::rc::Rc;
use std::time::Duration;

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::run::Mode;

use super::model::Model;
use super::paint::{Extent, Painter};
use super::signals::{Signals, obey};
use super::{layout, parts};
use crate::clock;
use crate::follow::View;
use crate::render::ansi;
use crate::render::said::{self, Piece};
use crate::render::styled::Line;
use crate::render::text::{AnswerStyle, Shown, Style, Text};
use crate::render::theme::Look;

/// Between two drawings of what has changed, in milliseconds: faster than anybody reads.
const CHANGED_MS: u64 = 50;

/// Between two drawings when nothing has changed but the time, in milliseconds.
const CLOCK_MS: u64 = 1_000;

/// How long the log is read before anything is drawn, in milliseconds: a run that has ended
/// needs no screen.
const FIRST_MS: u64 = 150;

/// The size of a terminal that does not say.
const USUAL: (usize, usize) = (80, 24);

/// stderr, once the screen is gone.
struct Later(Rc<Cell<bool>>);

impl Write for Later {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.get() { io::stderr().write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A run on the screen.
pub(super) struct Stage {
    look: Look,
    model: Model,
    painter: Painter<Stderr>,
    /// The answer: into a pipe as it comes, on a terminal at the end.
    text: Text<Stdout, Later>,
    free: Rc<Cell<bool>>,
    /// Whether the answer is for a terminal.
    for_people: bool,
    signals: Signals,
    size: (usize, usize),
    /// What is to be drawn; none when everything is.
    due: Option<Extent>,
    since: u64,
    painted_at: u64,
}

impl Stage {
    /// Nothing is drawn yet.
    ///
    /// # Errors
    /// When signals cannot be received.
    pub(super) fn new(style: Style) -> io::Result<Self> {
        let free = Rc::new(Cell::new(false));
        let answer = match style.terminal {
            Shown::Yes => AnswerStyle::AtTheEnd,
            Shown::No => style.answer,
        };
        let text = Style { answer, reasoning: Shown::No, ..style };
        let look = style.asides.unwrap_or_default();
        Ok(Self {
            look,
            model: Model::new(look),
            painter: Painter::new(io::stderr(), look),
            text: Text::new(io::stdout(), Later(Rc::clone(&free)), text),
            free,
            for_people: style.terminal == Shown::Yes,
            signals: Signals::catch()?,
            size: USUAL,
            due: Some(Extent::Changed),
            since: clock::unix_ms(),
            painted_at: 0,
        })
    }

    fn want(&mut self, extent: Extent) {
        if self.due != Some(Extent::All) {
            self.due = Some(extent);
        }
    }

    fn paint(&mut self, now: u64, extent: Extent) -> io::Result<()> {
        let frame = layout::frame(&self.model, now, self.size);
        (self.due, self.painted_at) = (None, now);
        self.painter.paint(frame, self.size.1, extent)
    }

    /// Takes note of signals.
    fn look(&mut self) {
        if !self.signals.take() {
            return;
        }
        if let Some(signal) = self.signals.leaving() {
            self.painter.leave();
            obey(signal);
        }
        self.want(Extent::All);
    }

    fn measure(&mut self) {
        let size = terminal_size::terminal_size_of(io::stderr());
        let size = size.map_or(USUAL, |(columns, rows)| (columns.0.into(), rows.0.into()));
        if size != self.size {
            self.size = size;
            self.want(Extent::All);
        }
    }

    /// Takes the screen away and says what is left of it.
    fn end(&mut self) {
        self.painter.leave();
        if self.free.replace(true) {
            return;
        }
        let mut text = String::new();
        self.measure();
        for line in parts::summary(&self.model, self.size.0) {
            text.push_str(&ansi::line(&line, &self.look));
            text.push('\n');
        }
        // A stderr that is gone is no reason to lose the answer.
        let _ = io::stderr().write_all(text.as_bytes());
    }

    fn terminal(&mut self, event: &RunEvent, raw: &str) -> io::Result<()> {
        self.end();
        // Into a pipe it goes as the model wrote it.
        let mode = self.model.mode.filter(|_| self.for_people);
        self.text.event(&for_people(event, mode), raw)
    }
}

/// The end of a loop with the answer as people read it: what its last words say to copex is
/// told in words, as it was on the screen.
fn for_people(event: &RunEvent, mode: Option<Mode>) -> RunEvent {
    let mut event = event.clone();
    let outcome = match &mut event.body {
        EventBody::Done(outcome) => outcome,
        EventBody::Failed(end)
        | EventBody::Blocked(end)
        | EventBody::Exhausted(end)
        | EventBody::Cancelled(end) => &mut end.outcome,
        _ => return event,
    };
    let loops = mode.filter(|mode| *mode == Mode::Ralph);
    if let Some(pieces) = loops.and_then(|mode| said::pieces(mode, &outcome.content, true)) {
        let words = |piece: &Piece<'_>| match piece {
            Piece::Words(words) => words.trim().to_owned(),
            told => told.told().unwrap_or_default(),
        };
        let words: Vec<String> = pieces.iter().map(words).filter(|it| !it.is_empty()).collect();
        outcome.content = words.join("\n\n");
    }
    event
}

impl View for Stage {
    fn event(&mut self, event: &RunEvent, raw: &str) -> io::Result<()> {
        self.model.apply(event);
        let extent = match &event.body {
            // What was typed stands where it was typed.
            EventBody::Ask(_) | EventBody::Answered { .. } => Extent::All,
            _ => Extent::Changed,
        };
        self.want(extent);
        if event.body.is_terminal() {
            return self.terminal(event, raw);
        }
        self.text.event(event, raw)
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        if self.free.get() {
            return self.text.note(text);
        }
        self.model.note(text);
        self.want(Extent::Changed);
        Ok(())
    }

    fn question(&mut self, lines: &[Line]) -> io::Result<()> {
        self.model.question = Some(lines.to_vec());
        self.want(Extent::All);
        Ok(())
    }

    fn answered_elsewhere(&mut self) -> io::Result<()> {
        // It is seen: the question is gone.
        Ok(())
    }

    fn rest(&mut self) -> io::Result<Option<Duration>> {
        self.look();
        if self.free.get() {
            return Ok(None);
        }
        let now = clock::unix_ms();
        let (after, wait) = if self.painter.is_shown() {
            self.measure();
            (self.painted_at, if self.due.is_some() { CHANGED_MS } else { CLOCK_MS })
        } else {
            (self.since, FIRST_MS)
        };
        let passed = now.saturating_sub(after);
        if passed < wait {
            return Ok(Some(Duration::from_millis(wait - passed)));
        }
        if !self.painter.is_shown() {
            self.measure();
        }
        let extent = self.due.unwrap_or(Extent::Mend);
        self.paint(now, extent)?;
        Ok(Some(Duration::from_millis(CLOCK_MS)))
    }

    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signals.as_fd())
    }

    fn suspend(&mut self) {
        self.painter.leave();
        self.want(Extent::All);
    }

    fn close(&mut self) {
        self.end();
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.painter.leave();
    }
}
