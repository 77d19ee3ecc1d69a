//! The socket file: one daemon, one owner, no stranger.
//!
//! A lock file beside the socket decides who may bind; it stays when the daemon ends,
//! since removing it would let two daemons lock two files of one name. The socket has
//! mode 0600 from the moment it has a name: the mode is set on the unbound descriptor,
//! which Linux gives to the file, and once more before anybody can connect. The usual
//! way, a umask around `bind`, would change the whole process under its other threads.

use std::fs::{DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind as bind_fd, connect, listen, socket,
};
use nix::sys::stat::{Mode, fchmod};

use super::server::process_behind;

/// Name of the lock file, in the socket's folder.
pub(super) const LOCK_NAME: &str = "copexd.lock";

/// The socket's mode and the lock file's.
const PRIVATE_FILE: u32 = 0o600;

/// The mode of a folder that we make.
const PRIVATE_DIR: u32 = 0o700;

/// How long, and how often, to wait for a daemon on its way out: longer than it gives its
/// calls and tasks to end.
const LOCK_PAUSE: Duration = Duration::from_millis(50);
const LOCK_PAUSES: u32 = 400;

/// Bits of a folder's mode that let others replace the socket in it.
const OTHERS_WRITE: u32 = 0o022;

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another daemon has the lock.
    #[error(
        "another daemon{} holds {}",
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        lock.display()
    )]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// The other daemon, where it left its name.
        pid: Option<u32>,
    },
    /// Another daemon answers on the socket.
    #[error(
        "another daemon{} answers on {}",
        pid.map(|pid| format!(" (process {pid})")).unwrap_or_default(),
        path.display()
    )]
    Answered {
        /// The socket.
        path: PathBuf,
        /// Who listens, where the kernel says.
        pid: Option<i32>,
    },
    /// Something that is not a socket has the socket's name. It is left alone.
    #[error("{} exists and is not a socket; remove it or choose another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The folder belongs to somebody else, who could replace the socket.
    #[error("{} belongs to user {owner}, not to you; choose a folder of your own", dir.display())]
    ForeignFolder {
        /// The folder.
        dir: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Others may write into the folder and so replace the socket.
    #[error("others may write to {0} (mode {mode:03o}); run `chmod go-w {0}`", dir.display())]
    OpenFolder {
        /// The folder.
        dir: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The operating system refused.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// A socket that listens, and what keeps it ours.
#[derive(Debug)]
pub struct Bound {
    /// Non-blocking, ready for [`tokio::net::UnixListener::from_std`].
    pub listener: UnixListener,
    /// Keep it as long as the listener.
    pub guard: SocketGuard,
}

/// Holds the lock; on drop removes the socket file, if it is still the one we made.
#[derive(Debug)]
pub struct SocketGuard {
    path: PathBuf,
    /// Device and inode of the file to remove; nothing when systemd made it.
    file: Option<(u64, u64)>,
    _lock: File,
}

impl SocketGuard {
    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for SocketGuard {
    fn drop(&mut self) {
        if self.file.is_some()
            && self.file == identity(&self.path)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the socket stays behind");
        }
    }
}

/// Binds `path` (absolute) and listens. Replaces a socket that nobody answers on.
///
/// # Errors
/// When another daemon has it, something else is there, or the folder is not private.
pub fn bind(path: &Path) -> Result<Bound, BindError> {
    let dir = folder(path)?;
    make_folder(dir)?;
    let lock = lock_when_free(dir, path)?;
    clear_stale(path)?;
    let fail = |doing| move |errno: Errno| io_error(doing, path, errno.into());
    let fd = new_socket().map_err(fail("create the socket"))?;
    let private = Mode::from_bits_truncate(PRIVATE_FILE);
    fchmod(&fd, private).map_err(fail("make private"))?;
    let address = UnixAddr::new(path).map_err(fail("bind"))?;
    bind_fd(fd.as_raw_fd(), &address).map_err(fail("bind"))?;
    let guard = SocketGuard { path: path.to_owned(), file: identity(path), _lock: lock };
    std::fs::set_permissions(path, Permissions::from_mode(PRIVATE_FILE))
        .map_err(|source| io_error("make private", path, source))?;
    listen(&fd, Backlog::MAXCONN).map_err(fail("listen on"))?;
    Ok(Bound { listener: UnixListener::from(fd), guard })
}

/// Takes over a socket that listens already, from systemd. It is not removed at the end.
///
/// # Errors
/// When another daemon has the lock beside it, or it is not a listening Unix socket.
pub fn adopt(listener: UnixListener) -> Result<Bound, BindError> {
    let handed_in = Path::new("the socket handed in");
    let fail = |doing| move |source| io_error(doing, handed_in, source);
    let address = listener.local_addr().map_err(fail("use"))?;
    let path = address.as_pathname().ok_or_else(|| {
        io_error("use", handed_in, io::Error::other("it has no path in the file system"))
    })?;
    listener.set_nonblocking(true).map_err(fail("make non-blocking"))?;
    let dir = folder(path)?;
    check_owner(dir)?;
    let lock = lock_when_free(dir, path)?;
    // A socket unit without SocketMode= is open to everybody.
    std::fs::set_permissions(path, Permissions::from_mode(PRIVATE_FILE))
        .map_err(|source| io_error("make private", path, source))?;
    let guard = SocketGuard { path: path.to_owned(), file: None, _lock: lock };
    Ok(Bound { listener, guard })
}

/// The first listening Unix socket that systemd handed to this process, if it did.
///
/// Call it before any thread starts: it takes the `LISTEN_*` variables away.
///
/// # Errors
/// When something was handed in that is not a Unix stream socket.
pub fn handed_in() -> io::Result<Option<UnixListener>> {
    // Checks LISTEN_PID, which may name the parent whose environment we inherited.
    if sd_notify::listen_fds()?.len() == 0 {
        return Ok(None);
    }
    listenfd::ListenFd::from_env().take_unix_listener(0)
}

fn io_error(doing: &'static str, path: &Path, source: io::Error) -> BindError {
    BindError::Io { doing, path: path.to_owned(), source }
}

fn folder(path: &Path) -> Result<&Path, BindError> {
    path.parent()
        .filter(|dir| dir.is_absolute())
        .ok_or_else(|| io_error("bind", path, io::Error::other("the path has no absolute folder")))
}

fn make_folder(dir: &Path) -> Result<(), BindError> {
    DirBuilder::new()
        .recursive(true)
        .mode(PRIVATE_DIR)
        .create(dir)
        .map_err(|source| io_error("create the folder", dir, source))?;
    check_owner(dir)
}

fn check_owner(dir: &Path) -> Result<(), BindError> {
    let metadata = dir.metadata().map_err(|source| io_error("look at", dir, source))?;
    safe_folder(dir, metadata.uid(), metadata.mode() & 0o777, nix::unistd::geteuid().as_raw())
}

/// Whether only `own` can replace what is in a folder.
pub(super) fn safe_folder(dir: &Path, owner: u32, mode: u32, own: u32) -> Result<(), BindError> {
    if owner != own {
        return Err(BindError::ForeignFolder { dir: dir.to_owned(), owner });
    }
    if mode & OTHERS_WRITE != 0 {
        return Err(BindError::OpenFolder { dir: dir.to_owned(), mode });
    }
    Ok(())
}

/// Takes the lock, waiting for a daemon that has stopped to listen and is about to end.
/// One that answers is there to stay.
///
/// A daemon that was killed while it started a process lives on in that process for a
/// moment: until it runs its own program it holds copies of the lock and of the listening
/// socket. So who answers counts only as long as the owner of the lock lives.
fn lock_when_free(dir: &Path, path: &Path) -> Result<File, BindError> {
    let mut pauses = 0;
    loop {
        let refused = match lock(dir) {
            Err(error @ BindError::Locked { .. }) => error,
            other => return other,
        };
        let owner_lives =
            !matches!(&refused, BindError::Locked { pid: Some(pid), .. } if !lives(*pid));
        let answers = owner_lives && std::os::unix::net::UnixStream::connect(path).is_ok();
        if answers || pauses == LOCK_PAUSES {
            return Err(refused);
        }
        pauses += 1;
        std::thread::sleep(LOCK_PAUSE);
    }
}

/// Whether there is such a process; one that has ended and that nobody waited for is none.
fn lives(pid: u32) -> bool {
    if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The name before the state is in parentheses and may hold anything.
        let state = text.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        return !state.is_some_and(|state| state.starts_with('Z'));
    }
    let pid = i32::try_from(pid).map(nix::unistd::Pid::from_raw);
    pid.is_ok_and(|pid| nix::sys::signal::kill(pid, None).is_ok())
}

/// Takes the lock and leaves our process id in it.
fn lock(dir: &Path) -> Result<File, BindError> {
    let path = dir.join(LOCK_NAME);
    let fail = |doing| {
        let path = path.clone();
        move |source| io_error(doing, &path, source)
    };
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(PRIVATE_FILE)
        .custom_flags(OFlag::O_NOFOLLOW.bits())
        .open(&path)
        .map_err(fail("open"))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(BindError::Locked { lock: path, pid });
        }
        Err(TryLockError::Error(source)) => return Err(fail("lock")(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(fail("write"))?;
    Ok(file)
}

/// Removes a socket that nobody answers on. Anything else at the path is an error.
fn clear_stale(path: &Path) -> Result<(), BindError> {
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io_error("look at", path, source)),
    };
    if !metadata.file_type().is_socket() {
        return Err(BindError::NotASocket { path: path.to_owned() });
    }
    for _ in 0..LOCK_PAUSES {
        match probe(path) {
            Ok((Err(Errno::ECONNREFUSED), _)) => break,
            // The listener is a copy that a killed daemon left in a child (see above).
            Ok((Ok(()), Some(pid))) if !u32::try_from(pid).is_ok_and(lives) => {
                std::thread::sleep(LOCK_PAUSE);
            }
            // With EAGAIN somebody listens, but is too busy to accept.
            Ok((Ok(()) | Err(Errno::EAGAIN), pid)) => {
                return Err(BindError::Answered { path: path.to_owned(), pid });
            }
            Ok((Err(errno), _)) | Err(errno) => return Err(io_error("probe", path, errno.into())),
        }
    }
    std::fs::remove_file(path).map_err(|source| io_error("remove the stale socket", path, source))
}

/// Connects to see who listens: how that went, and the process behind it.
fn probe(path: &Path) -> Result<(Result<(), Errno>, Option<i32>), Errno> {
    let fd = new_socket()?;
    let address = UnixAddr::new(path)?;
    let connected = connect(fd.as_raw_fd(), &address);
    let pid = connected.is_ok().then(|| process_behind(&fd)).flatten();
    Ok((connected, pid))
}

/// A stream socket that neither blocks nor leaks into children.
fn new_socket() -> Result<OwnedFd, Errno> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    path.symlink_metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
