//! The one place where the tests start processes, and where they end them.
//!
//! A [`Launch`] says what to run, with a cleared environment. It either runs to its end
//! ([`Launch::run`]) or is watched while it lives ([`Launch::start`]).
//!
//! Invariant: a process is signalled only while it cannot have been reaped, so a pid that
//! was given to somebody else is never hit.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use crate::clock::PATIENCE;
use crate::sandbox::Sandbox;
use crate::watch::Watched;

/// What to run.
#[derive(Debug, Clone)]
pub struct Launch {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
    stdin: Option<Vec<u8>>,
    patience: Duration,
}

impl Launch {
    /// A program with an empty environment.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: None,
            stdin: None,
            patience: PATIENCE,
        }
    }

    /// A program in a sandbox: its environment, its working folder.
    pub fn inside(sandbox: &Sandbox, program: impl Into<PathBuf>) -> Self {
        Self::new(program).envs(sandbox.env()).cwd(sandbox.work())
    }

    /// Adds arguments.
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Adds or replaces a variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        let name = name.into();
        self.env.retain(|(known, _)| *known != name);
        self.env.push((name, value.into()));
        self
    }

    /// Adds or replaces variables.
    pub fn envs<N: Into<OsString>, V: Into<OsString>>(
        self,
        vars: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        vars.into_iter().fold(self, |launch, (name, value)| launch.env(name, value))
    }

    /// Takes a variable away.
    pub fn env_remove(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// Lets another program start it: one that becomes it.
    pub fn under(mut self, program: impl Into<PathBuf>, args: &[&str]) -> Self {
        let program = std::mem::replace(&mut self.program, program.into());
        let args = args.iter().map(OsString::from).chain([program.into_os_string()]);
        self.args.splice(0..0, args);
        self
    }

    /// The working folder.
    pub fn cwd(mut self, cwd: impl Into<PathBuf>) -> Self {
        self.cwd = Some(cwd.into());
        self
    }

    /// What it reads; without it, stdin is empty.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.stdin = Some(bytes.into());
        self
    }

    /// How long [`Launch::run`] waits for the end.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs it to its end. Panics, after killing it, when that takes too long.
    pub fn run(self) -> Output {
        let (patience, shown) = (self.patience, self.to_string());
        let running = self.start();
        let Some(output) = running.wait_for(patience) else {
            running.signal(Signal::SIGKILL);
            panic!("`{shown}` did not end in {patience:?}\n{}", running.seen());
        };
        output
    }

    /// Starts it, with its output captured as it comes.
    pub fn start(self) -> Running {
        let mut command = self.command();
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::spawn(command, self.to_string(), self.stdin)
    }

    /// Starts it with stdin and stdout on a terminal of its own (80 × 24); stderr stays a
    /// pipe. It is not the controlling terminal: send Ctrl-C as a signal.
    pub fn start_on_terminal(self) -> Running {
        self.on_terminal(|command, _| {
            command.stderr(Stdio::piped());
        })
    }

    /// As [`Launch::start_on_terminal`], with stderr on the terminal too, as in front of a
    /// person: everything is in [`Running::stdout`].
    pub fn start_on_one_terminal(self) -> Running {
        self.on_terminal(|command, terminal| {
            command.stderr(terminal.try_clone().expect("a third handle on the terminal"));
        })
    }

    /// As [`Launch::start_on_one_terminal`], and nobody reads what is shown: the caller is the
    /// line to it, as slow as it likes.
    pub fn start_unread(self, rows: u16, columns: u16) -> (Running, std::fs::File) {
        let size = nix::pty::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).expect("a terminal");
        let mut command = self.command();
        command.env("TERM", "xterm-256color");
        command.stdin(pty.slave.try_clone().expect("a second handle on the terminal"));
        command.stderr(pty.slave.try_clone().expect("a third handle on the terminal"));
        command.stdout(pty.slave);
        (Running::spawn(command, self.to_string(), None), pty.master.into())
    }

    fn on_terminal(self, stderr: impl FnOnce(&mut Command, &OwnedFd)) -> Running {
        let size = nix::pty::Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).expect("a terminal");
        let mut command = self.command();
        if !self.env.iter().any(|(name, _)| name == "TERM") {
            command.env("TERM", "xterm-256color");
        }
        command.stdin(pty.slave.try_clone().expect("a second handle on the terminal"));
        stderr(&mut command, &pty.slave);
        command.stdout(pty.slave);
        Running::spawn_with(command, self.to_string(), None, Some(pty.master))
    }

    #[expect(clippy::disallowed_methods, reason = "the seam for starting processes")]
    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(cwd) = &self.cwd {
            command.current_dir(cwd);
        }
        command.stdin(if self.stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        command
    }
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", arg.to_string_lossy()))
    }
}

/// What a process left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "look at how it ended"]
pub struct Output {
    /// What was run, for messages.
    pub shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// Its stdout.
    pub stdout: String,
    /// Its stderr.
    pub stderr: String,
}

impl Output {
    /// The exit code; a signal counts as 128 and its number, as in a shell.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Asserts the exit code and hands the output on.
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            code,
            "exit code of `{}`\n--- stdout\n{}\n--- stderr\n{}",
            self.shown,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts exit code 0 and returns stdout.
    pub fn ok(self) -> String {
        self.expect_code(0).stdout
    }

    /// Stdout as one JSON value.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON ({error}):\n{}", self.stdout))
    }

    /// Stdout as one JSON value a line.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in line {line}"))
        };
        self.stdout.lines().map(parse).collect()
    }
}

/// Captured output of one stream.
#[derive(Debug, Default)]
struct Captured {
    bytes: Vec<u8>,
    closed: bool,
}

/// A process that is watched. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Running {
    shown: String,
    pid: Pid,
    status: Arc<Watched<Option<ExitStatus>>>,
    stdout: Arc<Watched<Captured>>,
    stderr: Arc<Watched<Captured>>,
    terminal: Option<std::fs::File>,
}

impl Running {
    fn spawn(command: Command, shown: String, stdin: Option<Vec<u8>>) -> Self {
        Self::spawn_with(command, shown, stdin, None)
    }

    fn spawn_with(
        mut command: Command,
        shown: String,
        stdin: Option<Vec<u8>>,
        terminal: Option<OwnedFd>,
    ) -> Self {
        let mut child = command.spawn().unwrap_or_else(|error| panic!("`{shown}`: {error}"));
        // The command holds our copies of the terminal's other end.
        drop(command);
        let terminal = terminal.map(std::fs::File::from);
        if let (Some(bytes), Some(mut pipe)) = (stdin, child.stdin.take()) {
            // A program that does not read its stdin is its own business.
            detach("stdin", move || drop(pipe.write_all(&bytes)));
        }
        let (stdout, stderr) = (Arc::default(), Arc::default());
        let screen = terminal.as_ref().map(|file| file.try_clone().expect("the terminal"));
        match (child.stdout.take(), screen) {
            (Some(pipe), _) => capture(pipe, &stdout),
            (None, Some(screen)) => capture(screen, &stdout),
            (None, None) => stdout.change(|captured: &mut Captured| captured.closed = true),
        }
        match child.stderr.take() {
            Some(pipe) => capture(pipe, &stderr),
            None => stderr.change(|captured: &mut Captured| captured.closed = true),
        }
        let pid = Pid::from_raw(child.id().try_into().expect("a pid is positive"));
        let status = Arc::new(Watched::new(None));
        let watched = Arc::clone(&status);
        detach("reaper", move || reap(child, pid, &watched));
        Self { shown, pid, status, stdout, stderr, terminal }
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Sends a signal, if it still lives.
    pub fn signal(&self, signal: Signal) {
        let status = self.status.lock();
        if status.is_none() {
            // Not reaped while the lock is held, so the pid is still its own.
            let _already_dead = kill(self.pid, signal);
        }
    }

    /// Types on its terminal.
    pub fn type_in(&mut self, keys: &str) {
        let terminal = self.terminal.as_mut().expect("a process on a terminal");
        terminal.write_all(keys.as_bytes()).expect("a terminal that takes keys");
    }

    /// What stdout has after its first `seen` bytes, once there is something, at most after
    /// `patience`; nothing when that is over or nothing more will come.
    pub fn output_after(&self, seen: usize, patience: Duration) -> Vec<u8> {
        let more = self.stdout.wait(patience, |captured| {
            let more = captured.bytes.get(seen..).unwrap_or_default();
            (!more.is_empty() || captured.closed).then(|| more.to_vec())
        });
        more.unwrap_or_default()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.status.lock().is_some()
    }

    /// Stdout so far.
    pub fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Stderr so far.
    pub fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// Waits until stdout holds `needle`, and returns stdout so far.
    pub fn wait_stdout(&self, needle: &str) -> String {
        self.wait_text(&self.stdout, "stdout", needle)
    }

    /// Waits until stderr holds `needle`, and returns stderr so far.
    pub fn wait_stderr(&self, needle: &str) -> String {
        self.wait_text(&self.stderr, "stderr", needle)
    }

    /// Waits until `pick` finds what it looks for in stdout so far; nothing when it never does.
    pub fn wait_output<T>(&self, pick: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let found = self.stdout.wait(PATIENCE, |captured| {
            let found = pick(&captured.bytes);
            found.map(Some).or_else(|| captured.closed.then_some(None))
        });
        found.flatten()
    }

    /// Gives its terminal another size, and tells it.
    pub fn resize(&self, rows: u16, columns: u16) {
        let terminal = self.terminal.as_ref().expect("a process on a terminal");
        let size =
            rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(terminal, size).expect("a terminal that takes a size");
        // Where it is its controlling terminal, that has done so by itself already.
        self.signal(Signal::SIGWINCH);
    }

    /// Waits for the first byte on stdout; `false` if the stream ends without one.
    pub fn wait_first_byte(&self) -> bool {
        let found = self.stdout.wait(PATIENCE, |captured| {
            (!captured.bytes.is_empty() || captured.closed).then_some(!captured.bytes.is_empty())
        });
        found.unwrap_or_else(|| panic!("nothing on stdout in {PATIENCE:?}\n{}", self.seen()))
    }

    /// Waits for the end.
    pub fn wait(&self) -> Output {
        self.wait_for(PATIENCE).unwrap_or_else(|| panic!("no end in {PATIENCE:?}\n{}", self.seen()))
    }

    /// Waits for the end; `None` when it takes longer than `patience`.
    pub fn wait_for(&self, patience: Duration) -> Option<Output> {
        let status = self.status.wait(patience, |status| *status)?;
        // A pipe can outlive the process in a child that inherited it; then what came counts.
        let grace = Duration::from_secs(2);
        for stream in [&self.stdout, &self.stderr] {
            let _closed = stream.wait(grace, |captured| captured.closed.then_some(()));
        }
        let (stdout, stderr) = (self.stdout(), self.stderr());
        Some(Output { shown: self.shown.clone(), status, stdout, stderr })
    }

    /// Calls `then` on a thread of its own once the process has ended.
    pub fn when_ended(&self, then: impl FnOnce() + Send + 'static) {
        let status = Arc::clone(&self.status);
        detach("end", move || {
            // The thread may outlive the test; it ends with the process, which does not.
            while status.wait(PATIENCE, |status| *status).is_none() {}
            then();
        });
    }

    /// What it printed so far, for messages.
    pub fn seen(&self) -> String {
        format!("`{}`\n--- stdout\n{}\n--- stderr\n{}", self.shown, self.stdout(), self.stderr())
    }

    fn wait_text(&self, stream: &Watched<Captured>, name: &str, needle: &str) -> String {
        let found = stream.wait(PATIENCE, |captured| {
            let text = String::from_utf8_lossy(&captured.bytes);
            if text.contains(needle) {
                return Some(Some(text.into_owned()));
            }
            captured.closed.then_some(None)
        });
        found.flatten().unwrap_or_else(|| panic!("no `{needle}` on {name}\n{}", self.seen()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        let _reaped = self.status.wait(PATIENCE, |status| *status);
    }
}

fn text(stream: &Watched<Captured>) -> String {
    String::from_utf8_lossy(&stream.lock().bytes).into_owned()
}

fn capture(mut pipe: impl Read + Send + 'static, into: &Arc<Watched<Captured>>) {
    let into = Arc::clone(into);
    detach("capture", move || {
        let mut buffer = [0; 16 * 1024];
        // A terminal ends with EIO instead of an empty read.
        while let Ok(count @ 1..) = pipe.read(&mut buffer) {
            into.change(|captured| captured.bytes.extend_from_slice(&buffer[..count]));
        }
        into.change(|captured| captured.closed = true);
    });
}

fn reap(mut child: Child, pid: Pid, status: &Watched<Option<ExitStatus>>) {
    // Wait without reaping first: until the lock is held, the pid must stay the child's.
    let _ended = waitid(Id::Pid(pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    status.change(|status| *status = child.wait().ok());
}

fn detach(name: &str, work: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).expect("a thread of the harness");
}

/// Processes of this user whose environment holds `marker`, as pid and command line.
pub fn marked(marker: &Path) -> Vec<(Pid, String)> {
    let needle = marker.as_os_str().as_encoded_bytes();
    let entries = std::fs::read_dir("/proc").expect("/proc");
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found = Vec::new();
    for pid in pids.map(Pid::from_raw) {
        let read = |file: &str| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let env = read("environ");
        if env.windows(needle.len()).any(|window| window == needle) {
            let line = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            found.push((pid, line));
        }
    }
    found
}

/// Kills every process whose environment holds `marker`, a path that only one test's
/// processes were given.
pub fn kill_marked(marker: &Path) {
    // A second look catches what was being started during the first.
    for _ in 0..8 {
        let found = marked(marker);
        if found.is_empty() {
            return;
        }
        for (pid, _) in found {
            let _already_dead = kill(pid, Signal::SIGKILL);
        }
    }
}
