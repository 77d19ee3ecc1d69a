//! Ctrl-C as something to poll, without unsafe code: the handler writes one byte to a socket.

use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use signal_hook::SigId;

/// Receives Ctrl-C from now on instead of dying of it.
#[derive(Debug)]
pub(crate) struct Interrupts {
    reader: UnixStream,
    handler: SigId,
}

impl Interrupts {
    /// Takes over Ctrl-C for this process.
    pub(crate) fn catch() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        let handler = signal_hook::low_level::pipe::register(signal_hook::consts::SIGINT, writer)?;
        Ok(Self { reader, handler })
    }

    /// How often it was pressed since the last look.
    pub(crate) fn take(&mut self) -> usize {
        let mut bytes = [0; 16];
        self.reader.read(&mut bytes).unwrap_or(0)
    }
}

/// A process that follows one run after the other has one handler at a time.
impl Drop for Interrupts {
    fn drop(&mut self) {
        signal_hook::low_level::unregister(self.handler);
    }
}

impl AsFd for Interrupts {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.reader.as_fd()
    }
}
