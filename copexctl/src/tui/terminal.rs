//! The terminal: taken over, given back whatever happens.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::rc::Rc;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::queue;
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ratatui::backend::{Backend as _, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::draw::draw;
use super::model::Model;

/// The size of a terminal that does not say.
const USUAL: (u16, u16) = (80, 24);

/// Whether the mouse is ours too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mouse {
    /// It is.
    Taken,
    /// The terminal keeps it, so that text can be selected.
    Left,
}

/// Bytes that are given to the terminal at once. It says whether it takes some, not how many:
/// where its line cannot be opened anew, keys wait until it has taken these.
const PIECE: usize = 512;

/// How long a terminal that takes nothing is waited for when it is given back: a line that moves
/// takes the few bytes sooner, and one that nobody reads must not hold an end.
const GIVEN_BACK: u16 = 300;

/// How often it is tried meanwhile: a line that takes one byte each time gets all of them.
const TRIES: usize = 64;

/// What is to be sent: one drawing at most, since the next is made when it is gone.
#[derive(Debug, Default, Clone)]
struct Outbox(Rc<RefCell<Vec<u8>>>);

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The way to the terminal. It is opened anew where that is possible, so that a write takes what
/// fits and never waits: as a setting of stdout, others who share it would have it too.
struct Wire(Option<File>);

impl Wire {
    fn new() -> Self {
        let mut options = OpenOptions::new();
        options.write(true).custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
        Self(options.open("/proc/self/fd/1").ok())
    }

    /// Gives it a piece of these bytes; how many it took, within so many milliseconds.
    fn give(&self, bytes: &[u8], wait: PollTimeout) -> io::Result<usize> {
        let stdout = io::stdout();
        let line: BorrowedFd<'_> = self.0.as_ref().map_or(stdout.as_fd(), |line| line.as_fd());
        let mut fds = [PollFd::new(line, PollFlags::POLLOUT)];
        if poll(&mut fds, wait).unwrap_or(0) == 0 {
            return Ok(0);
        }
        match nix::unistd::write(line, &bytes[..bytes.len().min(PIECE)]) {
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(0),
            told => Ok(told?),
        }
    }
}

/// The terminal while it is ours. Dropping it gives it back.
pub(crate) struct Stage {
    wire: Wire,
    backend: CrosstermBackend<Outbox>,
    outbox: Outbox,
    /// Bytes of it that were sent.
    sent: usize,
    mouse: Mouse,
    /// What it shows; absent when that is not known.
    shown: Option<Buffer>,
}

impl Stage {
    /// Takes the terminal over. It is told and never asked: an answer may be long on its way.
    ///
    /// # Errors
    /// When it cannot be written to or set.
    pub(crate) fn enter(mouse: Mouse) -> io::Result<Self> {
        restore_on_panic();
        let outbox = Outbox::default();
        let backend = CrosstermBackend::new(outbox.clone());
        let wire = Wire::new();
        let mut stage = Self { wire, backend, outbox, sent: 0, mouse, shown: None };
        stage.take()?;
        Ok(stage)
    }

    /// Takes it over again.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        // What was cut off is drawn anew.
        self.outbox.0.borrow_mut().clear();
        self.sent = 0;
        queue!(self.backend, EnterAlternateScreen, EnableBracketedPaste)?;
        if self.mouse == Mouse::Taken {
            queue!(self.backend, EnableMouseCapture)?;
        }
        self.clear();
        self.send()
    }

    /// Whether the last drawing is still on its way.
    pub(crate) fn is_sending(&self) -> bool {
        !self.outbox.0.borrow().is_empty()
    }

    /// Sends as much as the terminal takes now.
    pub(crate) fn send(&mut self) -> io::Result<()> {
        let mut bytes = self.outbox.0.borrow_mut();
        while self.sent < bytes.len() {
            match self.wire.give(&bytes[self.sent..], PollTimeout::ZERO)? {
                0 => return Ok(()),
                count => self.sent += count,
            }
        }
        bytes.clear();
        self.sent = 0;
        Ok(())
    }

    /// Everything is drawn anew by the next drawing.
    pub(crate) fn clear(&mut self) {
        self.shown = None;
    }

    /// Shows the state. Only cells that changed are written, all of them at once.
    pub(crate) fn paint(&mut self, model: &Model) -> io::Result<()> {
        let (columns, rows) = model.size;
        let mut next = Buffer::empty(Rect::new(0, 0, columns, rows));
        let cursor = draw(model, &mut next);
        queue!(self.backend, BeginSynchronizedUpdate, Hide)?;
        let before = match self.shown.take() {
            Some(shown) if shown.area == next.area => shown,
            _ => {
                queue!(self.backend, Clear(ClearType::All))?;
                Buffer::empty(next.area)
            }
        };
        self.backend.draw(before.diff(&next).into_iter())?;
        if let Some((column, row)) = cursor {
            queue!(self.backend, MoveTo(column, row), Show)?;
        }
        queue!(self.backend, EndSynchronizedUpdate)?;
        self.shown = Some(next);
        self.send()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        restore();
    }
}

/// Columns and rows of the terminal.
pub(crate) fn size() -> (u16, u16) {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(USUAL, |(columns, rows)| (columns.0, rows.0))
}

/// Gives the terminal back, for a while or for good. There is nobody to tell when it is gone, and
/// one that takes nothing is not waited for.
pub(crate) fn restore() {
    let mut bytes = Vec::new();
    let _ = queue!(
        bytes,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show,
        EndSynchronizedUpdate
    );
    let (wire, mut rest) = (Wire::new(), bytes.as_slice());
    for _ in 0..TRIES {
        match wire.give(rest, PollTimeout::from(GIVEN_BACK)) {
            Ok(count) if count > 0 => rest = &rest[count..],
            _ => break,
        }
    }
    let _ = disable_raw_mode();
}

/// What a panic says must be seen, and the shell must be usable after it.
fn restore_on_panic() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        before(panic);
    }));
}
