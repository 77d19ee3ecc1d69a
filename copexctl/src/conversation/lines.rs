//! Plain lines, where no line can be edited: a pipe, a file, a terminal that is dumb.

use std::io::{self, IsTerminal as _};

/// Bytes read at once. A terminal gives one line at most, whatever is asked for.
const CHUNK: usize = 4096;

/// Bytes of one line, at most: more is no prompt.
const LONGEST: usize = 64 * 1024 * 1024;

/// Lines of stdin, read no further than they are asked for on a terminal.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    read: Vec<u8>,
    ended: bool,
}

impl Lines {
    /// The next line without its end; none at the end of stdin.
    pub(crate) fn next(&mut self, prompt: &str) -> io::Result<Option<String>> {
        if io::stdin().is_terminal() {
            use io::Write as _;
            let mut err = io::stderr().lock();
            err.write_all(prompt.as_bytes())?;
            err.flush()?;
        }
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return text(&line[..end]).map(Some);
            }
            if self.ended || self.read.len() > LONGEST {
                let rest = std::mem::take(&mut self.read);
                return if rest.is_empty() { Ok(None) } else { text(&rest).map(Some) };
            }
            let mut bytes = [0; CHUNK];
            match nix::unistd::read(io::stdin(), &mut bytes) {
                Ok(0) => self.ended = true,
                Ok(count) => self.read.extend_from_slice(&bytes[..count]),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn text(line: &[u8]) -> io::Result<String> {
    let line = String::from_utf8(line.to_vec());
    let line = line.map_err(|_| io::Error::other("stdin is not UTF-8 text"))?;
    Ok(line.strip_suffix('\r').map(str::to_owned).unwrap_or(line))
}
