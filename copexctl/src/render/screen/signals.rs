//! Signals that concern a screen, as something to poll: a new size, and what would leave the
//! terminal with our screen on it.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::SigId;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::low_level::{emulate_default_handler, pipe};

/// Receives these signals from now on.
#[derive(Debug)]
pub(crate) struct Signals {
    reader: UnixStream,
    leaving: Vec<(i32, Arc<AtomicBool>)>,
    handlers: Vec<SigId>,
}

impl Signals {
    /// Takes over the signals for this process.
    pub(crate) fn catch() -> io::Result<Self> {
        Self::catch_with(&[])
    }

    /// The same, and others after which the terminal is somebody else's.
    pub(crate) fn catch_with(others: &[i32]) -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let leaving: Vec<(i32, Arc<AtomicBool>)> = [SIGTSTP, SIGTERM, SIGHUP]
            .iter()
            .chain(others)
            .map(|signal| (*signal, Arc::default()))
            .collect();
        let mut handlers = Vec::new();
        for (signal, flag) in &leaving {
            handlers.push(signal_hook::flag::register(*signal, Arc::clone(flag))?);
        }
        for signal in [SIGWINCH, SIGCONT].iter().chain(leaving.iter().map(|(signal, _)| signal)) {
            handlers.push(pipe::register(*signal, writer.try_clone()?)?);
        }
        Ok(Self { reader, leaving, handlers })
    }

    /// Whether there was one since the last look.
    pub(crate) fn take(&mut self) -> bool {
        let mut bytes = [0; 64];
        self.reader.read(&mut bytes).is_ok_and(|count| count > 0)
    }

    /// The signal after which the terminal is somebody else's, if there was one.
    pub(crate) fn leaving(&self) -> Option<i32> {
        let told = self.leaving.iter().find(|(_, flag)| flag.swap(false, Ordering::Relaxed));
        told.map(|(signal, _)| *signal)
    }
}

/// A process that has one screen after the other has one set of handlers at a time.
impl Drop for Signals {
    fn drop(&mut self) {
        for handler in self.handlers.drain(..) {
            signal_hook::low_level::unregister(handler);
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}

/// Does what the signal does where nobody catches it: the process stops until it is
/// continued, or ends.
pub(crate) fn obey(signal: i32) {
    // There is nothing else that could be done about it.
    let _ = emulate_default_handler(signal);
}
