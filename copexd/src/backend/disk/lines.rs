//! Lines of a transcript, one after another, each with a bound.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};

/// Bytes of one line. A record holds one message or the result of one tool, which the CLI
/// cuts at a few megabytes; a system message has 20 KB.
const MOST_LINE: u64 = 64 << 20;

/// Reads a file line by line.
pub(super) struct Lines {
    reader: BufReader<File>,
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn of(file: File) -> Self {
        Self { reader: BufReader::with_capacity(256 << 10, file), line: Vec::new() }
    }

    /// The next line without its end, and whether it had one; nothing at the end of the file.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is too long.
    pub(super) fn next(&mut self) -> io::Result<Option<(&[u8], bool)>> {
        self.line.clear();
        let read = (&mut self.reader).take(MOST_LINE).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        match self.line.strip_suffix(b"\n") {
            Some(line) => Ok(Some((line, true))),
            None if read as u64 == MOST_LINE => {
                Err(io::Error::other(format!("a line of it is longer than {MOST_LINE} bytes")))
            }
            None => Ok(Some((&self.line, false))),
        }
    }
}
