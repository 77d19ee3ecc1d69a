//! The terminal without its own line editing.
//!
//! What is printed stays as it is: unlike in a whole raw mode, the answer's line ends go on
//! working.

use std::io;
use std::os::fd::AsFd;

use nix::sys::termios::{
    InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios, tcgetattr, tcsetattr,
};

use super::ahead::{self, Ahead};

/// A character that no key sends: what it would do is switched off.
const NONE: u8 = 0;

/// Who takes the keys.
#[derive(Debug, Clone, Copy)]
pub(super) enum Taker {
    /// A prompt: every key is one.
    Prompt,
    /// A line below a turn: Ctrl-C is a signal.
    Turn,
}

/// The terminal as we made it; as it was, when dropped.
#[derive(Debug)]
pub(super) struct Raw<T: AsFd = io::Stdin> {
    terminal: T,
    before: Termios,
}

impl<T: AsFd> Raw<T> {
    /// Takes keys as they are pressed; also what was typed ahead.
    ///
    /// # Errors
    /// When it is no terminal.
    pub(super) fn enter(terminal: T, taker: Taker) -> io::Result<(Self, Ahead)> {
        let before = tcgetattr(&terminal)?;
        let raw = Self { terminal, before };
        // Enter makes no line end from here on, so what comes is a key and no line of before,
        // whenever it is read.
        let mut enter = raw.before.clone();
        enter.input_flags.remove(InputFlags::ICRNL);
        tcsetattr(&raw.terminal, SetArg::TCSANOW, &enter)?;
        let ahead = ahead::take(&raw.terminal);
        raw.again(taker)?;
        Ok((raw, ahead))
    }

    /// For somebody else, or after somebody else had the terminal.
    pub(super) fn again(&self, taker: Taker) -> io::Result<()> {
        let mut raw = self.before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::IEXTEN);
        raw.input_flags.remove(InputFlags::ICRNL | InputFlags::IXON);
        match taker {
            Taker::Prompt => raw.local_flags.remove(LocalFlags::ISIG),
            Taker::Turn => raw.local_flags.insert(LocalFlags::ISIG),
        }
        // Ctrl-\ and Ctrl-Z would leave the terminal with our line on it.
        for key in [SpecialCharacterIndices::VQUIT, SpecialCharacterIndices::VSUSP] {
            raw.control_chars[key as usize] = NONE;
        }
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        tcsetattr(&self.terminal, SetArg::TCSANOW, &raw)?;
        Ok(())
    }

    /// As it was.
    pub(super) fn leave(&self) {
        // A terminal that is gone needs nothing.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

impl<T: AsFd> Drop for Raw<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::pty::openpty;

    use super::*;

    /// Types, and waits until it came to the terminal's other end.
    fn typed(person: &OwnedFd, ours: &OwnedFd, keys: &str) {
        assert_eq!(nix::unistd::write(person, keys.as_bytes()).unwrap(), keys.len());
        let canonical = tcgetattr(ours).unwrap().local_flags.contains(LocalFlags::ICANON);
        // A line edited by the terminal is shown; keys can be read.
        let (end, wanted) = if canonical { (person, keys.len()) } else { (ours, 1) };
        let mut seen = 0;
        while seen < wanted {
            let mut fds = [PollFd::new(end.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::NONE).unwrap();
            let mut bytes = [0; 64];
            seen += if canonical { nix::unistd::read(end, &mut bytes).unwrap() } else { 1 };
        }
    }

    fn come(terminal: &OwnedFd) -> Vec<u8> {
        let mut keys = Vec::new();
        while !keys.ends_with(b"\r") {
            let mut bytes = [0; 64];
            let count = nix::unistd::read(terminal, &mut bytes).unwrap();
            keys.extend_from_slice(&bytes[..count]);
        }
        keys
    }

    #[test]
    fn what_was_typed_ahead_is_lines_and_what_comes_then_is_keys() {
        for taker in [Taker::Prompt, Taker::Turn] {
            let pair = openpty(None, None).unwrap();
            let (person, ours) = (pair.master, pair.slave);
            let before = tcgetattr(&ours).unwrap();
            typed(&person, &ours, "one\r\rtwo\rha");
            let (raw, ahead) = Raw::enter(&ours, taker).unwrap();
            assert_eq!(ahead.lines, ["one", "two"]);
            assert_eq!(ahead.begun, "");
            typed(&person, &ours, "lf\x15\r");
            assert_eq!(come(&ours), b"half\x15\r");
            // What is not read now stays, and is no whole line then.
            typed(&person, &ours, "three\rhal");
            drop(raw);
            assert_eq!(tcgetattr(&ours).unwrap(), before);
            let (raw, ahead) = Raw::enter(&ours, taker).unwrap();
            assert_eq!(ahead.lines, ["three"]);
            assert_eq!(ahead.begun, "hal");
            typed(&person, &ours, "f\r");
            assert_eq!(come(&ours), b"f\r");
            drop(raw);
        }
    }
}
