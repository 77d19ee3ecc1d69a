//! SEAM: starts processes and ends them with everything they started.
//!
//! Each tool of the Copilot CLI runs in a session and process group of its own, so a
//! group kill does not reach it. Every process we start therefore carries a marker in its
//! environment, which its children inherit; the tree is ended by looking for the marker.
//! The marker names the daemon by pid and start time, so the next daemon finds what a
//! killed one left behind.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

/// Name of the marker variable.
pub const MARKER: &str = "COPEX_RUNTIME";

/// How often a tree is searched and killed before we give up on it. A process that forks
/// faster than it can be found is not worth an endless hunt.
const KILL_ROUNDS: usize = 8;

/// How long the runtime of a killed daemon may take to leave (measured: 35 to 100 ms).
const LEAVE_ALONE: Duration = Duration::from_secs(2);

/// How long a killed process may take to be gone.
const GONE: Duration = Duration::from_secs(1);

/// The pause between two looks at whether processes are gone.
const LOOK: Duration = Duration::from_millis(5);

/// Whose processes these are, and where their files lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Tells stores apart: two daemons of one user do not sweep each other's processes.
    store: String,
    pid: u32,
    started: u64,
    files: PathBuf,
}

impl Owner {
    /// This process, on behalf of the store with this name (no dots).
    pub fn here(store: &str) -> Self {
        let pid = std::process::id();
        let started = start_time(pid).unwrap_or(0);
        let files = std::env::temp_dir().join(format!("copex-turns-{pid}"));
        Self { store: store.replace('.', "-"), pid, started, files }
    }

    /// The same, with a folder for files of processes that is the store's alone.
    #[must_use]
    pub fn with_files(mut self, folder: PathBuf) -> Self {
        self.files = folder;
        self
    }

    /// Where files of processes lie.
    pub fn files(&self) -> &Path {
        &self.files
    }

    fn mark(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        format!("{}.{}.{}.{number}", self.store, self.pid, self.started)
    }
}

/// A started process and the way to end all of it.
#[derive(Debug)]
pub struct Tree {
    mark: String,
    pid: Option<u32>,
}

/// Pids of the processes that [`start`] made and whose trees are not dropped yet.
static STARTED: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

fn started() -> MutexGuard<'static, BTreeSet<u32>> {
    STARTED.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tree {
    /// What its processes carry in the variable [`MARKER`].
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Kills every process that carries this tree's marker.
    pub fn kill(&self) {
        kill_marked(|mark| mark == self.mark);
    }

    /// Pids of the tree's processes.
    pub fn pids(&self) -> Vec<u32> {
        marked(|mark| mark == self.mark)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.kill();
        if let Some(pid) = self.pid {
            started().remove(&pid);
        }
    }
}

/// A program to start.
#[derive(Debug)]
pub struct Program<'a> {
    /// What to run.
    pub path: &'a Path,
    /// With which arguments.
    pub args: &'a [&'a str],
    /// In which environment; nothing is inherited.
    pub env: Vec<(&'a str, &'a str)>,
    /// In which folder.
    pub cwd: &'a Path,
}

/// Starts a program with piped standard streams, in a process group of its own.
///
/// # Errors
/// When the operating system refuses.
pub fn start(program: &Program<'_>, owner: &Owner) -> std::io::Result<(Child, Tree)> {
    let mark = owner.mark();
    #[expect(clippy::disallowed_methods, reason = "this is the seam that starts processes")]
    let mut command = Command::new(program.path);
    command
        .args(program.args)
        .env_clear()
        .envs(program.env.iter().copied())
        .env(MARKER, &mark)
        .current_dir(program.cwd)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    // Held over the start, so that nobody reaps a process that ended at once.
    let mut started = started();
    let child = command.spawn()?;
    let pid = child.id();
    started.extend(pid);
    Ok((child, Tree { mark, pid }))
}

/// Whether [`start`] made this process, and its tree is not dropped yet.
pub fn is_ours(pid: u32) -> bool {
    started().contains(&pid)
}

/// Tells a process to end.
pub fn terminate(child: &Child) {
    if let Some(pid) = child.id() {
        // Gone already is as good as told.
        let _ = kill(to_pid(pid), Signal::SIGTERM);
    }
}

/// Tells a process and those of its group to end.
pub fn terminate_group(child: &Child) {
    if let Some(pid) = child.id() {
        // Gone already is as good as told.
        let _ = nix::sys::signal::killpg(to_pid(pid), Signal::SIGTERM);
    }
}

/// Ends what daemons of this store left behind when they were killed. Returns how many
/// processes were found. Blocks until they are gone, or too long.
///
/// A runtime whose daemon died finds its input closed and leaves by itself; until then it
/// may write its transcript, which a kill would cut off. So what has no parent among the
/// others is waited for first, and only then the rest is killed.
pub fn sweep(owner: &Owner) -> usize {
    let orphan = |mark: &str| {
        let mut parts = mark.split('.');
        let (store, pid, started) = (parts.next(), parts.next(), parts.next());
        let pid = pid.and_then(|pid| pid.parse::<u32>().ok());
        let started = started.and_then(|started| started.parse::<u64>().ok());
        let (Some(store), Some(pid), Some(started)) = (store, pid, started) else { return false };
        store == owner.store && start_time(pid) != Some(started)
    };
    let found = marked(orphan);
    let is_root = |pid: &u32| Stat::of(*pid).is_some_and(|stat| !found.contains(&stat.parent));
    await_end(found.iter().copied().filter(is_root).collect(), LEAVE_ALONE);
    let left = marked(orphan);
    kill_marked(orphan);
    await_end(left, GONE);
    found.len()
}

/// Waits until none of these processes is there, but not longer than `most`.
fn await_end(mut pids: Vec<u32>, most: Duration) {
    let mut left = most;
    loop {
        pids.retain(|pid| start_time(*pid).is_some());
        if pids.is_empty() || left.is_zero() {
            return;
        }
        std::thread::sleep(LOOK);
        left = left.saturating_sub(LOOK);
    }
}

/// Waits for processes that were handed to us as a child subreaper and have ended. Those
/// that [`start`] made are somebody else's to wait for.
pub fn reap() {
    use nix::sys::wait::{WaitPidFlag, waitpid};
    let me = std::process::id();
    let started = started();
    for pid in all_pids() {
        let Some(stat) = Stat::of(pid) else { continue };
        if stat.parent == me && stat.state == 'Z' && !started.contains(&pid) {
            // It may have been waited for meanwhile: then there is nothing left to do.
            let _ = waitpid(to_pid(pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// Makes this process the parent of what its descendants leave behind.
pub fn become_subreaper() {
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_child_subreaper(true) {
        tracing::warn!(%error, "cannot become child subreaper; orphans go to init");
    }
}

/// A process's resident memory in bytes; 0 when it is gone.
pub fn rss_bytes(pid: u32) -> u64 {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).unwrap_or_default();
    let pages = statm.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}

fn kill_marked(mut wanted: impl FnMut(&str) -> bool) {
    for _ in 0..KILL_ROUNDS {
        let pids = marked(&mut wanted);
        if pids.is_empty() {
            return;
        }
        for pid in pids {
            // Gone already is as good as killed.
            let _ = kill(to_pid(pid), Signal::SIGKILL);
        }
    }
}

fn marked(mut wanted: impl FnMut(&str) -> bool) -> Vec<u32> {
    let me = std::process::id();
    let lives = |pid: &u32| *pid != me && Stat::of(*pid).is_some_and(|stat| stat.state != 'Z');
    let found = all_pids().into_iter().filter(lives);
    found.filter(|pid| mark_of(*pid).is_some_and(|mark| wanted(&mark))).collect()
}

/// The marker of a process; nothing when it carries none or is not ours to look at.
pub(super) fn mark_of(pid: u32) -> Option<String> {
    let environ = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    let value = |entry: &[u8]| {
        let value = entry.strip_prefix(MARKER.as_bytes())?.strip_prefix(b"=")?;
        String::from_utf8(value.to_vec()).ok()
    };
    environ.split(|byte| *byte == 0).find_map(value)
}

pub(super) fn all_pids() -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect()
}

fn to_pid(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap_or(i32::MAX))
}

/// When a process started, in clock ticks since boot: with the pid, its identity.
fn start_time(pid: u32) -> Option<u64> {
    Stat::of(pid).filter(|stat| stat.state != 'Z').map(|stat| stat.started)
}

/// What the kernel tells about a process.
pub(super) struct Stat {
    /// `Z` when it ended and nobody has heard of it yet.
    pub(super) state: char,
    /// Who started it.
    pub(super) parent: u32,
    /// When, in clock ticks since boot.
    started: u64,
    /// Processor time of it and of those children that it has waited for, in clock ticks.
    pub(super) ticks: u64,
}

impl Stat {
    pub(super) fn of(pid: u32) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is the name in parentheses and may hold anything.
        let rest = &text[text.rfind(')')? + 2..];
        let fields: Vec<&str> = rest.split_whitespace().collect();
        Some(Self {
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
            ticks: fields.get(11..15)?.iter().filter_map(|time| time.parse::<u64>().ok()).sum(),
        })
    }
}

/// Environment for a child: the snapshot, without what speaks to this process alone.
pub fn child_env(env: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    const OURS: [&str; 6] = [
        "NOTIFY_SOCKET",
        "WATCHDOG_PID",
        "WATCHDOG_USEC",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
    ];
    env.iter()
        .filter(|(name, _)| !OURS.contains(&name.as_str()) && name.as_str() != MARKER)
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    /// A process with a mark, by a name of its own, that ends when its input does.
    #[expect(clippy::disallowed_methods, reason = "a process as a killed daemon leaves it")]
    fn left_behind(owner: &Owner, script: &str) -> std::process::Child {
        std::process::Command::new("/bin/sh")
            .args(["-c", script])
            .env(MARKER, owner.mark())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    fn owner(store: &str, pid: u32, started: u64) -> Owner {
        Owner { store: store.to_owned(), pid, started, files: PathBuf::new() }
    }

    #[test]
    fn what_a_dead_daemon_left_is_ended_and_a_living_ones_is_not() {
        // No process has a pid beyond the kernel's limit.
        let dead = owner("sweep-test", 4_194_305, 1);
        let here = Owner::here("sweep-test");
        let mut gone = left_behind(&dead, "sleep 300 & wait");
        let mut mine = left_behind(&here, "read line");
        assert!(sweep(&here) >= 1);
        assert!(!gone.wait().unwrap().success());
        assert!(mine.try_wait().unwrap().is_none());
        mine.stdin.take().unwrap().write_all(b"\n").unwrap();
        assert!(mine.wait().unwrap().success());
    }

    #[test]
    fn what_is_about_to_leave_is_not_cut_off() {
        let dead = owner("leave-test", 4_194_305, 1);
        let mut leaving = left_behind(&dead, "read line; echo written; exit 7");
        drop(leaving.stdin.take());
        let reaper = std::thread::spawn(move || leaving.wait_with_output().unwrap());
        sweep(&Owner::here("leave-test"));
        let output = reaper.join().unwrap();
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), &b"written\n"[..]));
    }
}
