//! The lines of a file, of stdin, or of a file that grows.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Failure, Result};

/// Bytes of a line that is read: more than any event has. A longer one is skipped.
const LONGEST: usize = 64 << 20;

/// Between two looks at a file that may have grown: it is not noticed, and costs nothing.
const PAUSE: Duration = Duration::from_millis(200);

/// Where lines come from.
pub(super) enum Input {
    /// Read to its end.
    Whole(Box<dyn BufRead>),
    /// Read as it grows.
    Growing(BufReader<File>, PathBuf),
}

impl Input {
    /// Opens a file, or stdin.
    ///
    /// # Errors
    /// When the file cannot be read, or stdin is to be followed.
    pub(super) fn open(path: &Path, follow: bool) -> Result<Self> {
        if path == Path::new("-") {
            // stdin is read as it comes anyway.
            return Ok(Self::Whole(Box::new(io::stdin().lock())));
        }
        let file = File::open(path).map_err(|error| Failure::file("read", path, &error))?;
        if path.is_dir() {
            return Err(Failure::usage(format!("cannot read {}: it is a folder", path.display())));
        }
        let file = BufReader::new(file);
        Ok(if follow { Self::Growing(file, path.to_owned()) } else { Self::Whole(Box::new(file)) })
    }
}

/// A line and its number, from 1.
pub(super) struct Line {
    /// Its place in the file.
    pub(super) number: u64,
    /// What it says, or why that is not known.
    pub(super) text: std::result::Result<String, String>,
}

/// Reads line by line.
pub(super) struct Lines {
    input: Input,
    number: u64,
    kept: Vec<u8>,
}

impl Lines {
    /// From the begin.
    pub(super) fn new(input: Input) -> Self {
        Self { input, number: 0, kept: Vec::new() }
    }

    /// The next line that says something; none at the end.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(super) fn next(&mut self) -> Result<Option<Line>> {
        loop {
            let Some(bytes) = self.read()? else { return Ok(None) };
            self.number += 1;
            let text = match bytes {
                Ok(bytes) => String::from_utf8(bytes).map_err(|_| "no UTF-8".to_owned()),
                Err(words) => Err(words),
            };
            if text.as_ref().is_ok_and(|text| text.trim().is_empty()) {
                continue;
            }
            return Ok(Some(Line { number: self.number, text }));
        }
    }

    fn read(&mut self) -> Result<Option<std::result::Result<Vec<u8>, String>>> {
        let mut skipped = false;
        loop {
            let left = LONGEST.saturating_sub(self.kept.len()) as u64;
            let count = match &mut self.input {
                Input::Whole(input) => input.take(left).read_until(b'\n', &mut self.kept),
                Input::Growing(input, _) => input.take(left).read_until(b'\n', &mut self.kept),
            };
            let count = count.map_err(|error| Failure::failed(format!("cannot read: {error}")))?;
            if self.kept.last() == Some(&b'\n') {
                let line = std::mem::take(&mut self.kept);
                return Ok(Some(if skipped { Err(too_long()) } else { Ok(line) }));
            }
            if self.kept.len() >= LONGEST {
                skipped = true;
                self.kept.clear();
                continue;
            }
            if count > 0 {
                continue;
            }
            match &mut self.input {
                Input::Growing(input, path) => wait(input, path, &mut self.kept)?,
                // The last line may have no end.
                Input::Whole(_) if self.kept.is_empty() && !skipped => return Ok(None),
                Input::Whole(_) => {
                    let line = std::mem::take(&mut self.kept);
                    return Ok(Some(if skipped { Err(too_long()) } else { Ok(line) }));
                }
            }
        }
    }
}

fn too_long() -> String {
    format!("longer than {} MB", LONGEST >> 20)
}

/// Waits for more; a file that became shorter was begun anew.
fn wait(input: &mut BufReader<File>, path: &Path, kept: &mut Vec<u8>) -> Result<()> {
    std::thread::sleep(PAUSE);
    let wrong =
        |error: io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
    let here = input.stream_position().map_err(wrong)?;
    if input.get_ref().metadata().map_err(wrong)?.len() < here {
        kept.clear();
        input.seek(SeekFrom::Start(0)).map_err(wrong)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn lines_are_counted_and_empty_ones_left_out() {
        let text: &[u8] = b"a\n\nb\xff\nc";
        let mut lines = Lines::new(Input::Whole(Box::new(text)));
        let mut read = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            read.push((line.number, line.text.map(|text| text.trim().to_owned())));
        }
        let wanted =
            [(1, Ok("a".to_owned())), (3, Err("no UTF-8".to_owned())), (4, Ok("c".to_owned()))];
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_file_that_grows_is_read_on_and_one_that_was_begun_anew_from_its_begin() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"first line\nsec").unwrap();
        let mut lines = Lines::new(Input::open(file.path(), true).unwrap());
        let mut next = || lines.next().unwrap().unwrap().text.unwrap();
        assert_eq!(next(), "first line\n");
        file.write_all(b"ond\n").unwrap();
        assert_eq!(next(), "second\n");
        file.as_file().set_len(0).unwrap();
        file.rewind().unwrap();
        file.write_all(b"anew\n").unwrap();
        assert_eq!(next(), "anew\n");
    }
}
