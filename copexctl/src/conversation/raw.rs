//! The terminal without its own line editing, while the agent works.
//!
//! Ctrl-C stays a signal, and what is printed stays as it is: unlike in a whole raw mode, the
//! answer's line ends go on working.

use std::io;

use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};

/// A character that no key sends: what it would do is switched off.
const NONE: u8 = 0;

/// The terminal as we made it; as it was, when dropped.
#[derive(Debug)]
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Takes keys as they are pressed.
    ///
    /// # Errors
    /// When stdin is no terminal.
    pub(super) fn enter() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let raw = Self { before };
        raw.again()?;
        Ok(raw)
    }

    /// Once more, after the process was stopped and goes on.
    pub(super) fn again(&self) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN);
        raw.local_flags.insert(LocalFlags::ISIG);
        raw.input_flags.remove(InputFlags::ICRNL | InputFlags::IXON);
        // Ctrl-\ and Ctrl-Z would leave the terminal with our line on it.
        for key in [SpecialCharacterIndices::VQUIT, SpecialCharacterIndices::VSUSP] {
            raw.control_chars[key as usize] = NONE;
        }
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(io::stdin(), SetArg::TCSANOW, &raw)?;
        Ok(())
    }

    /// As it was.
    pub(super) fn leave(&self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, &self.before);
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.leave();
    }
}
