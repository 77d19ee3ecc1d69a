//! Ctrl-C as something to poll, without unsafe code: the handler writes one byte to a socket.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

/// Receives Ctrl-C from now on instead of dying of it.
#[derive(Debug)]
pub(crate) struct Interrupts {
    reader: UnixStream,
}

impl Interrupts {
    /// Takes over Ctrl-C for this process.
    pub(crate) fn catch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, writer)?;
        Ok(Self { reader })
    }

    /// How often it was pressed since the last look.
    pub(crate) fn take(&mut self) -> usize {
        let mut bytes = [0; 16];
        self.reader.read(&mut bytes).unwrap_or(0)
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
