//! Runs of `copexctl` in a sandbox.

use std::ffi::OsStr;
use std::path::PathBuf;

use crate::process::{Launch, Output, Running};
use crate::sandbox::Sandbox;
use crate::screen::Screen;

/// The binaries under test. Only a test binary of this package knows where cargo put them:
/// make it with [`crate::bins!`].
#[derive(Debug, Clone)]
pub struct Bins {
    /// The daemon.
    pub copexd: PathBuf,
    /// The client.
    pub copexctl: PathBuf,
    /// The Copilot CLI that misbehaves on demand.
    pub fake_copilot: PathBuf,
}

/// The binaries under test, as cargo built them for this test binary.
#[macro_export]
macro_rules! bins {
    () => {
        $crate::ctl::Bins {
            copexd: env!("CARGO_BIN_EXE_copexd-dup").into(),
            copexctl: env!("CARGO_BIN_EXE_copexctl-dup").into(),
            fake_copilot: env!("CARGO_BIN_EXE_fake_copilot").into(),
        }
    };
}

/// `copexctl` in a sandbox.
#[derive(Debug, Clone)]
pub struct Ctl {
    launch: Launch,
}

impl Ctl {
    /// The client, with the sandbox's environment and working folder and nothing on stdin.
    pub fn new(bins: &Bins, sandbox: &Sandbox) -> Self {
        // A daemon that copexctl starts must be the one under test, not one on the PATH.
        let launch = Launch::inside(sandbox, &bins.copexctl).env("COPEX_DAEMON", &bins.copexd);
        Self { launch }
    }

    /// Changes how it is started: variables, stdin, working folder, patience.
    pub fn with(self, change: impl FnOnce(Launch) -> Launch) -> Self {
        Self { launch: change(self.launch) }
    }

    /// Pipes `bytes` into it.
    pub fn stdin(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.with(|launch| launch.stdin(bytes))
    }

    /// How it would be started with these arguments.
    pub fn launch<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Launch {
        self.launch.clone().args(args)
    }

    /// Runs it to its end.
    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Output {
        self.launch.clone().args(args).run()
    }

    /// Starts it with its output in pipes.
    pub fn start<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        self.launch.clone().args(args).start()
    }

    /// Starts it on a terminal.
    pub fn start_on_terminal<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Running {
        self.launch.clone().args(args).start_on_terminal()
    }

    /// Starts it in front of a person.
    pub fn screen<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Screen {
        Screen::start(self.launch.clone().args(args))
    }

    /// Starts it on a terminal, stderr included.
    pub fn start_on_one_terminal<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Running {
        self.launch.clone().args(args).start_on_one_terminal()
    }
}
