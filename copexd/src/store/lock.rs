//! The lock file: one owner per store, and the second one learns who the first is.
//!
//! Invariant: the lock is held for as long as the database may be open. It is a `flock`,
//! so it goes with the process, however that ends; the pid inside is for people.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use super::error::StoreError;

/// Pause between two tries. Only ever slept in a thread that may block.
const RETRY_EVERY: Duration = Duration::from_millis(20);

/// The held lock. Dropping it lets the next owner in.
#[derive(Debug)]
pub(super) struct StoreLock {
    _file: Flock<File>,
    /// The kernel's boot, as the owner before this one saw it.
    pub(super) rebooted: bool,
}

/// Takes `<dir>/lock`, trying for `wait`: a predecessor's database can take a moment to
/// let go after its handle is gone.
pub(super) fn acquire(dir: &Path, wait: Duration) -> Result<StoreLock, StoreError> {
    let path = dir.join("lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|error| StoreError::io(&path, error))?;
    let mut left = wait;
    let mut held = loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(held) => break held,
            Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) if !left.is_zero() => {
                file = back;
                std::thread::sleep(RETRY_EVERY);
                left = left.saturating_sub(RETRY_EVERY);
            }
            Err((mut back, Errno::EWOULDBLOCK | Errno::EINTR)) => {
                return Err(StoreError::Locked {
                    path: dir.to_owned(),
                    pid: read_owner(&mut back).0,
                });
            }
            Err((_, errno)) => return Err(StoreError::io(&path, errno.into())),
        }
    };
    let (_, boot_before) = read_owner(&mut held);
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let boot = boot.trim();
    let rebooted = boot_before.is_some_and(|before| before != boot);
    held.set_len(0)
        .and_then(|()| held.rewind())
        .and_then(|()| write!(held, "{}\n{boot}\n", std::process::id()))
        .map_err(|error| StoreError::io(&path, error))?;
    Ok(StoreLock { _file: held, rebooted })
}

/// The pid and the boot in a lock file, as far as they can be read.
fn read_owner(file: &mut File) -> (Option<u32>, Option<String>) {
    let mut text = String::new();
    if file.rewind().and_then(|()| file.read_to_string(&mut text)).is_err() {
        return (None, None);
    }
    let mut lines = text.lines();
    let pid = lines.next().and_then(|line| line.parse().ok());
    (pid, lines.next().filter(|line| !line.is_empty()).map(str::to_owned))
}
