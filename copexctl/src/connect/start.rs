//! Starting the daemon when none answers.
//!
//! Invariant: however many clients start at once, one daemon comes up. They queue at a file
//! lock beside the socket and each looks again before it starts anything; the lock goes with
//! its process, so a killed client blocks nobody.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::clock::Deadline;
use crate::context::Context;
use crate::error::{Failure, Result, reason};
use crate::render;

/// A daemon answers `starting` within 20 ms; a cold disk may take seconds.
const START_PATIENCE: Duration = Duration::from_secs(20);

/// A daemon that is restarted on purpose is back within this.
const RESTART_PATIENCE: Duration = Duration::from_secs(5);

/// Pauses between looks grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LAST_PAUSE: Duration = Duration::from_millis(50);

/// What a daemon holds for as long as it lives, beside its socket.
const DAEMON_LOCK: &str = "copexd.lock";

/// The end of the log that explains a failed start.
const LOG_TAIL: usize = 1500;

/// Whether a failed connect means that no daemon runs.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

/// A socket that is there and cannot be used.
pub(crate) fn unreachable(path: &Path, error: &io::Error) -> Failure {
    Failure::unavailable(format!("cannot connect to {}: {}", path.display(), reason(error)))
        .with_hint("copexctl doctor")
}

/// Connects, starting the daemon when none answers.
pub(crate) fn connect(ctx: &Context) -> Result<UnixStream> {
    let path = ctx.socket()?;
    match UnixStream::connect(&path) {
        Ok(stream) => Ok(stream),
        Err(error) if is_absent(&error) => start(ctx, &path),
        Err(error) => Err(unreachable(&path, &error)),
    }
}

/// Connects again after a connection broke.
///
/// A socket nobody listens on was left behind by a daemon that died: it is started again, unless
/// that is somebody else's to do. A socket that is gone was taken away by a daemon that was
/// stopped on purpose: it gets a moment to come back, and is not started against its user's will.
pub(crate) fn reconnect(ctx: &Context) -> Result<UnixStream> {
    let path = ctx.socket()?;
    let deadline = Deadline::after(RESTART_PATIENCE);
    let mut pause = FIRST_PAUSE;
    loop {
        let ours = ctx.auto_start && !ctx.systemd_owns();
        match UnixStream::connect(&path) {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused && ours => {
                return start(ctx, &path);
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(unreachable(&path, &error)),
        }
        if deadline.left().is_none() {
            return Err(Failure::unavailable("copexd was stopped; the run goes on when it starts")
                .with_hint("copexctl daemon start; then find it: copexctl runs list"));
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Waits until nobody listens on the socket and the daemon has let go of its folder. With
/// systemd somebody always listens.
pub(crate) fn wait_until_gone(ctx: &Context, patience: Duration) -> Result<()> {
    let path = ctx.socket()?;
    let deadline = Deadline::after(patience);
    let mut pause = FIRST_PAUSE;
    while !ctx.systemd_owns() && UnixStream::connect(&path).is_ok() {
        wait(&mut pause, deadline)?;
    }
    // The lock goes with the process. A daemon without one is of another make.
    let Ok(lock) = File::open(path.with_file_name(DAEMON_LOCK)) else { return Ok(()) };
    while let Err(TryLockError::WouldBlock) = lock.try_lock_shared() {
        wait(&mut pause, deadline)?;
    }
    Ok(())
}

/// Starts the daemon unless another client is doing so, and connects.
fn start(ctx: &Context, socket: &Path) -> Result<UnixStream> {
    if ctx.systemd_owns() {
        return Err(Failure::unavailable("copexd does not answer, and systemd keeps its socket")
            .with_hint("systemctl --user restart copexd.socket; journalctl --user -u copexd"));
    }
    if !ctx.auto_start {
        return Err(Failure::unavailable("copexd is not running, and auto_start is off")
            .with_hint("copexctl daemon start"));
    }
    let program = ctx.daemon_program()?;
    let folder = socket.parent().unwrap_or(Path::new("/"));
    private_folder(folder)?;
    private_folder(&ctx.state_dir)?;
    let deadline = Deadline::after(START_PATIENCE);
    let mut pause = FIRST_PAUSE;
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(folder.join("copexctl-start.lock"))
        .map_err(|error| Failure::file("open the start lock in", folder, &error))?;
    loop {
        let locked = match lock.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => {
                return Err(Failure::file("lock the start lock in", folder, &error));
            }
        };
        if let Ok(stream) = UnixStream::connect(socket) {
            return Ok(stream);
        }
        if locked {
            return launch(ctx, &program, socket, deadline);
        }
        wait(&mut pause, deadline)?;
    }
}

fn launch(ctx: &Context, program: &Path, socket: &Path, deadline: Deadline) -> Result<UnixStream> {
    let log_path = ctx.log_file();
    let log = open_log(&log_path)?;
    let begin = log.metadata().map_or(0, |meta| meta.len());
    let second = log.try_clone().map_err(|error| Failure::file("open", &log_path, &error))?;
    let mut child = crate::process::command(program)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(second)
        // Its own group: a Ctrl-C in this terminal is not meant for it.
        .process_group(0)
        .spawn()
        .map_err(|error| {
            Failure::unavailable(format!("cannot start {}: {}", program.display(), reason(&error)))
        })?;
    let mut pause = FIRST_PAUSE;
    loop {
        // Looked at before the socket: a daemon that lost a race to another one has ended,
        // and the other one answers.
        let ended = has_ended(&mut child);
        if let Ok(stream) = UnixStream::connect(socket) {
            if !ended && !ctx.screen {
                render::note("copexd started");
            }
            return Ok(stream);
        }
        if ended {
            return Err(told_by_log(&mut child, &log_path, begin));
        }
        wait(&mut pause, deadline)?;
    }
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

fn told_by_log(child: &mut Child, log: &Path, begin: u64) -> Failure {
    let status = match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => reason(&error),
    };
    let tail = tail_since(log, begin);
    let tail = tail.trim();
    let words = if tail.is_empty() {
        format!("copexd did not start ({status})")
    } else {
        format!("copexd did not start ({status}): {tail}")
    };
    Failure::unavailable(words).with_hint(format!("its log: {}", log.display()))
}

fn tail_since(log: &Path, begin: u64) -> String {
    let mut text = Vec::new();
    let read = File::open(log).and_then(|mut file| {
        file.seek(SeekFrom::Start(begin))?;
        file.read_to_end(&mut text)
    });
    if read.is_err() {
        return String::new();
    }
    let text = String::from_utf8_lossy(&text);
    let start = text.char_indices().rev().nth(LOG_TAIL).map_or(0, |(index, _)| index);
    text[start..].to_owned()
}

fn open_log(path: &Path) -> Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| Failure::file("open", path, &error))
}

/// Makes a folder that only this user may enter; one that exists stays as it is.
fn private_folder(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| Failure::file("create", parent, &error))?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(Failure::file("create", path, &error))
        }
        _ => Ok(()),
    }
}

fn wait(pause: &mut Duration, deadline: Deadline) -> Result<()> {
    if deadline.left().is_none() {
        let words = format!("copexd did not answer within {} s", START_PATIENCE.as_secs());
        return Err(Failure::unavailable(words).with_hint("copexctl daemon logs"));
    }
    std::thread::sleep(*pause);
    *pause = (*pause * 2).min(LAST_PAUSE);
    Ok(())
}
