//! Cassettes on the disk: read as a whole, written exchange by exchange.
//!
//! Invariant: a file that is there is never written over. A recording that is taken up again
//! (the session was opened anew, the daemon started again) is known by its run's id.
//! Invariant: a recording that cannot go on says so once and disturbs nothing else.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::spec::{SecretText, SessionSpec};
use crate::core::cassette::{self, Cassette, Dialect, Exchange, FORMAT, Header};
use crate::core::failure::{Failure, FailureClass};
use crate::runtime::clock;

/// Bytes of a cassette. A request is 50 kB and more with its conversation, so this is some
/// hundred of them: the length of a bug report, not of a week.
pub const MOST_BYTES: u64 = 64 * 1024 * 1024;

fn usage(file: &Path, what: &str) -> Failure {
    Failure::new(FailureClass::Usage, format!("the cassette {} {what}", file.display()))
}

/// Reads a cassette. Blocking: for a thread that may block.
///
/// # Errors
/// `Usage` with file and line, when it is not there, not whole or not a cassette.
pub fn load(file: &Path) -> Result<Cassette, Failure> {
    let unreadable = |error: std::io::Error| usage(file, &format!("cannot be read: {error}"));
    let opened = File::open(file).map_err(unreadable)?;
    let mut bytes = Vec::new();
    opened.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(usage(file, &format!("is larger than {} MiB", MOST_BYTES >> 20)));
    }
    Cassette::read(&bytes).map_err(|wrong| {
        let hint = "record it again with `--record`; the line's end may be missing when the \
                    recording was interrupted";
        let message = format!("is broken: line {} {}", wrong.line, wrong.what);
        usage(file, &message).with_hint(hint)
    })
}

/// Whether a recording can begin there.
///
/// # Errors
/// `Usage` when something is there already or the folder is not.
pub fn check_new(file: &Path) -> Result<(), Failure> {
    if std::fs::symlink_metadata(file).is_ok() {
        return Err(exists(file));
    }
    let folder = file.parent().filter(|folder| folder.is_dir());
    folder.map(drop).ok_or_else(|| usage(file, "cannot be made: its folder is not there"))
}

fn exists(file: &Path) -> Failure {
    let hint = "name a new file; a recording never writes over another";
    usage(file, "is there already").with_hint(hint)
}

/// Keeps exchanges of one run.
#[derive(Debug)]
pub struct Recorder {
    file: PathBuf,
    since_ms: u64,
    /// Why it stopped, once it did; also keeps lines from mixing.
    stopped: Mutex<bool>,
}

/// Why a recording did not begin.
#[derive(Debug)]
pub enum NotRecording {
    /// It was asked for wrongly: the run must not begin either.
    Refused(Failure),
    /// The disk refuses: the run goes on without.
    Impossible(String),
}

impl Recorder {
    /// Begins a recording, or takes up the one of the same run.
    ///
    /// # Errors
    /// [`NotRecording`].
    pub fn open(
        file: &Path,
        run: &str,
        cli: Option<String>,
        spec: &SessionSpec,
    ) -> Result<Self, NotRecording> {
        let impossible = |error: std::io::Error| NotRecording::Impossible(error.to_string());
        let provider = spec.provider.as_ref();
        let header = Header {
            copex_cassette: FORMAT,
            copex: env!("CARGO_PKG_VERSION").to_owned(),
            cli,
            dialect: Dialect {
                kind: provider.map_or_else(|| "github".to_owned(), |it| it.kind.clone()),
                wire_api: provider.and_then(|provider| provider.wire_api.clone()),
            },
            created_at: clock::now_ms(),
            run: run.to_owned(),
        };
        let mut options = OpenOptions::new();
        let created = options.write(true).create_new(true).mode(0o600).open(file);
        let since_ms = match created {
            Ok(mut opened) => {
                opened.write_all(&cassette::line(&header)).map_err(impossible)?;
                header.created_at
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                let known = take_up(file, run).map_err(impossible)?;
                known.ok_or_else(|| NotRecording::Refused(exists(file)))?
            }
            Err(error) => return Err(impossible(error)),
        };
        Ok(Self { file: file.to_owned(), since_ms, stopped: Mutex::new(false) })
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Milliseconds since the recording began.
    pub fn elapsed_ms(&self) -> u64 {
        clock::now_ms().saturating_sub(self.since_ms)
    }

    /// Adds an exchange. Blocking, but for as long as the page cache takes a line.
    ///
    /// # Errors
    /// Why the recording stops here, the first time; nothing is written afterwards.
    pub fn write(&self, exchange: &Exchange) -> Result<(), String> {
        let mut stopped = self.lock();
        if *stopped {
            return Ok(());
        }
        let written = append(&self.file, &cassette::line(exchange));
        *stopped = written.is_err();
        written
    }

    /// Ends the recording for this reason; whether it had not ended yet.
    pub fn stop(&self) -> bool {
        !std::mem::replace(&mut *self.lock(), true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, bool> {
        self.stopped.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Opens the file for each line: one that was taken away meanwhile is noticed.
fn append(file: &Path, line: &[u8]) -> Result<(), String> {
    let words = |error: std::io::Error| error.to_string();
    let mut opened = OpenOptions::new().append(true).open(file).map_err(words)?;
    let before = opened.metadata().map_err(words)?.len();
    if before + line.len() as u64 > MOST_BYTES {
        return Err(format!("it would be larger than {} MiB", MOST_BYTES >> 20));
    }
    opened.write_all(line).map_err(|error| {
        // Half a line would make the rest unreadable.
        let cut = opened.set_len(before);
        cut.map_or_else(|worse| format!("{error}; {worse}"), |()| error.to_string())
    })
}

/// Since when the recording of this run has been going on; `None` when it is another's. A
/// last line that a killed daemon left half written is taken off.
fn take_up(file: &Path, run: &str) -> std::io::Result<Option<u64>> {
    let mut opened = OpenOptions::new().read(true).write(true).open(file)?;
    let mut bytes = Vec::new();
    (&mut opened).take(MOST_BYTES).read_to_end(&mut bytes)?;
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let header = serde_json::from_slice::<Header>(first).ok().filter(|header| header.run == run);
    let Some(header) = header else { return Ok(None) };
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if whole < bytes.len() {
        opened.set_len(whole as u64)?;
        opened.seek(SeekFrom::End(0))?;
    }
    Ok(Some(header.created_at))
}

/// Every secret that a session's traffic may carry.
pub fn secrets(spec: &SessionSpec) -> Vec<&str> {
    let provider = spec.provider.as_ref();
    let key = provider.and_then(|provider| provider.key.as_ref()).map(SecretText::reveal);
    let headers = provider.into_iter().flat_map(|provider| &provider.headers);
    let headers = headers.filter(|(name, _)| crate::core::redact::is_secret_header(name));
    let own = spec.runtime.secret_env.values().map(SecretText::reveal);
    key.into_iter().chain(headers.map(|(_, value)| value.as_str())).chain(own).collect()
}

#[cfg(test)]
pub(super) mod tests;
