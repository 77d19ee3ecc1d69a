//! What was typed while the terminal was nobody's: between two prompts, or while a command ran.
//!
//! The terminal makes a line end of Enter then, and for an editor that is a new line of the same
//! prompt. So whole lines are taken before it begins.

use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, tcgetattr};

/// Reads that are made, at most; each gives a line, and a terminal holds 4 KiB.
const MOST: usize = 64;

/// What was typed ahead.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    /// Whole lines.
    pub(crate) lines: Vec<String>,
    /// The beginning of another. The terminal keeps most of it for the editor itself.
    pub(crate) begun: String,
}

/// Takes it from the terminal.
pub(super) fn take(terminal: &impl AsFd) -> Ahead {
    let canonical = tcgetattr(terminal).is_ok_and(|it| it.local_flags.contains(LocalFlags::ICANON));
    let mut typed = Vec::new();
    for _ in 0..if canonical { MOST } else { 0 } {
        let mut fds = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::ZERO);
        if !ready.is_ok_and(|count| count > 0) {
            break;
        }
        let mut bytes = [0; 4096];
        match nix::unistd::read(terminal, &mut bytes) {
            // Ctrl-D, or the terminal is gone: the editor sees the latter.
            Ok(0) | Err(_) => break,
            Ok(count) => typed.extend_from_slice(&bytes[..count]),
        }
    }
    split(&typed)
}

/// A line with other keys than letters is nothing: they were meant for a line that was not
/// there.
fn split(typed: &[u8]) -> Ahead {
    let text = String::from_utf8_lossy(typed);
    let mut lines: Vec<&str> = text.split(['\n', '\r']).collect();
    let begun = lines.pop().unwrap_or_default();
    let plain = |text: &&str| !text.contains(|char: char| char != '\t' && char.is_control());
    let lines = lines.into_iter().filter(|line| !line.trim().is_empty()).filter(plain);
    Ahead {
        lines: lines.map(str::to_owned).collect(),
        begun: Some(begun).filter(plain).unwrap_or_default().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_no_words() {
        let ahead = split("/skills é\n\x1b[A\n \na\x15b\nmore\rhalf of it".as_bytes());
        assert_eq!(ahead.lines, ["/skills é", "more"]);
        assert_eq!(ahead.begun, "half of it");
        assert_eq!(split(b"one\n\x1b[A").begun, "");
        assert_eq!(split(b"one\n").lines, ["one"]);
    }
}
