//! What was typed while the terminal was nobody's: between two prompts, or while a command ran.
//!
//! The terminal makes a line end of Enter then, and for an editor that is a new line of the same
//! prompt. So whole lines are taken before it begins.

use std::io;
use std::os::fd::AsFd as _;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, tcgetattr};

/// Lines that are taken, at most; a terminal holds 4 KiB.
const MOST: usize = 64;

/// The lines that were typed ahead. One with other keys than letters is nothing: its keys were
/// meant for a line that was not there.
pub(crate) fn lines() -> Vec<String> {
    let stdin = io::stdin();
    let canonical = tcgetattr(&stdin).is_ok_and(|it| it.local_flags.contains(LocalFlags::ICANON));
    let mut lines = Vec::new();
    while canonical && lines.len() < MOST {
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        let ready = poll(&mut fds, PollTimeout::ZERO);
        if !ready.is_ok_and(|count| count > 0) {
            break;
        }
        let mut bytes = [0; 4096];
        match nix::unistd::read(&stdin, &mut bytes) {
            // Ctrl-D, or the terminal is gone: the editor sees the latter.
            Ok(0) | Err(_) => break,
            Ok(count) => lines.extend(line(&bytes[..count])),
        }
    }
    lines
}

/// A line, as the terminal gives one at a time.
fn line(bytes: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(bytes);
    let text = text.trim_end_matches(['\n', '\r']);
    let plain =
        !text.trim().is_empty() && !text.chars().any(|char| char != '\t' && char.is_control());
    plain.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_no_words() {
        assert_eq!(line("/skills é\n".as_bytes()).as_deref(), Some("/skills é"));
        assert_eq!(line(b"half of it").as_deref(), Some("half of it"));
        for nothing in ["\n", " \n", "\x1b[A\n", "a\x15b\n"] {
            assert_eq!(line(nothing.as_bytes()), None, "{nothing:?}");
        }
    }
}
