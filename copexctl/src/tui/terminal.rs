//! The terminal: taken over, given back whatever happens.

use std::io::{self, BufWriter, Stdout, Write as _};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
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

/// The terminal while it is ours. Dropping it gives it back.
pub(crate) struct Stage {
    backend: CrosstermBackend<BufWriter<Stdout>>,
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
        let backend = CrosstermBackend::new(BufWriter::new(io::stdout()));
        let mut stage = Self { backend, mouse, shown: None };
        stage.take()?;
        Ok(stage)
    }

    /// Takes it over again.
    pub(crate) fn take(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        queue!(self.backend, EnterAlternateScreen, EnableBracketedPaste)?;
        if self.mouse == Mouse::Taken {
            queue!(self.backend, EnableMouseCapture)?;
        }
        self.clear();
        io::Write::flush(&mut self.backend)
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
        io::Write::flush(&mut self.backend)
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

/// Gives the terminal back, for a while or for good. There is nobody to tell when it is gone.
pub(crate) fn restore() {
    let mut out = io::stdout();
    let _ = execute!(
        out,
        DisableMouseCapture,
        DisableBracketedPaste,
        LeaveAlternateScreen,
        Show,
        EndSynchronizedUpdate
    );
    let _ = out.flush();
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
