//! A real `copexd` as a process of its own, in a sandbox.
//!
//! Readiness is what the daemon itself says: `READY=1` on a datagram socket that the test
//! holds in `NOTIFY_SOCKET`, as systemd would. The end of the process is put into the same
//! queue, so that waiting for a daemon that dies does not take until the deadline.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::clock::PATIENCE;
use crate::ctl::{Bins, Ctl};
use crate::model::ModelServer;
use crate::process::{Launch, Output, Running};
use crate::rpc::Rpc;
use crate::sandbox::Sandbox;
use crate::watch::Watched;

/// How a daemon is to be started.
#[derive(Debug)]
pub struct DaemonBuilder {
    bins: Bins,
    sandbox: Sandbox,
    args: Vec<String>,
}

impl DaemonBuilder {
    /// A daemon with no configuration.
    pub fn new(bins: Bins) -> Self {
        Self { bins, sandbox: Sandbox::new(), args: Vec::new() }
    }

    /// In a sandbox that exists, for example with a store in it.
    pub fn sandbox(mut self, sandbox: Sandbox) -> Self {
        self.sandbox = sandbox;
        self
    }

    /// With this `config.toml`.
    pub fn config(self, text: &str) -> Self {
        self.sandbox.write_config(text);
        self
    }

    /// With a further variable, for the daemon and for clients.
    pub fn env(mut self, name: &str, value: impl Into<std::ffi::OsString>) -> Self {
        self.sandbox.set(name, value);
        self
    }

    /// With the real Copilot CLI and this model behind it.
    pub fn model(mut self, server: &ModelServer) -> Self {
        let cli = crate::cli::CopilotCli::install();
        self.sandbox.set("COPILOT_CLI_PATH", cli.copilot());
        self.sandbox.set("COPILOT_CACHE_HOME", cli.cache_home());
        self.sandbox.set_all(server.provider_env());
        self
    }

    /// With further arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Starts it and waits until it says that it is ready.
    pub fn start(self) -> TestDaemon {
        let daemon = self.start_only();
        daemon.wait_ready();
        daemon
    }

    /// Starts it and does not wait.
    pub fn start_only(self) -> TestDaemon {
        let Self { bins, sandbox, args } = self;
        let run = Run::start(&bins, &sandbox, &args);
        TestDaemon { run, bins, args, sandbox }
    }
}

/// A daemon under test. Dropping it kills it and whatever it started.
#[derive(Debug)]
pub struct TestDaemon {
    // Dropped before the sandbox, which ends what outlives it.
    run: Run,
    bins: Bins,
    args: Vec<String>,
    sandbox: Sandbox,
}

impl TestDaemon {
    /// Says how a daemon is to be started.
    pub fn builder(bins: Bins) -> DaemonBuilder {
        DaemonBuilder::new(bins)
    }

    /// Waits for `READY=1`. Panics with its stderr when it ends first.
    pub fn wait_ready(&self) {
        self.wait_notified("READY=1");
    }

    /// Waits until the daemon has sent a line to systemd that starts with `beginning`.
    pub fn wait_notified(&self, beginning: &str) -> String {
        self.run.wait_notified(beginning, 1)
    }

    /// The same, until it has sent `count` such lines.
    pub fn wait_notified_times(&self, beginning: &str, count: usize) -> String {
        self.run.wait_notified(beginning, count)
    }

    /// Everything that the daemon has told systemd.
    pub fn notifications(&self) -> Vec<String> {
        self.run.told.lock().lines.clone()
    }

    /// The folders and the environment.
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Changes the environment of what is started from now on.
    pub fn sandbox_mut(&mut self) -> &mut Sandbox {
        &mut self.sandbox
    }

    /// The socket.
    pub fn socket(&self) -> PathBuf {
        self.sandbox.socket()
    }

    /// `copexctl` beside it.
    pub fn ctl(&self) -> Ctl {
        Ctl::new(&self.bins, &self.sandbox)
    }

    /// A new connection to it.
    pub fn rpc(&self) -> Rpc {
        Rpc::connect(&self.socket())
    }

    /// The process.
    pub fn process(&self) -> &Running {
        &self.run.process
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.run.process.stderr()
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub fn kill9(&self) -> Output {
        self.run.process.signal(Signal::SIGKILL);
        self.run.process.wait()
    }

    /// Stops it as systemd would, and waits until it is gone.
    pub fn stop(&self) -> Output {
        self.run.process.signal(Signal::SIGTERM);
        self.run.process.wait()
    }

    /// Starts it again in the same sandbox, killing it first if it lives, and waits until
    /// it is ready.
    pub fn restart(&mut self) {
        if !self.run.process.has_ended() {
            let _killed = self.kill9();
        }
        self.run = Run::start(&self.bins, &self.sandbox, &self.args);
        self.wait_ready();
    }
}

/// One life of the daemon.
#[derive(Debug)]
struct Run {
    process: Running,
    told: Arc<Watched<Told>>,
    notify: PathBuf,
}

#[derive(Debug, Default)]
struct Told {
    lines: Vec<String>,
    over: bool,
}

/// What the harness sends to its own socket to end the listening.
const OVER: &[u8] = b"X_TEST_OVER=1";

impl Run {
    fn start(bins: &Bins, sandbox: &Sandbox, args: &[String]) -> Self {
        // Each life has a socket of its own: the end of one must not end the next.
        static LIVES: AtomicU32 = AtomicU32::new(1);
        let notify = sandbox.path(format!("notify-{}", LIVES.fetch_add(1, Ordering::Relaxed)));
        let socket = UnixDatagram::bind(&notify).expect("a socket for notifications");
        let told = Arc::new(Watched::new(Told::default()));
        let heard = Arc::clone(&told);
        std::thread::Builder::new()
            .name("notifications".to_owned())
            .spawn(move || listen(&socket, &heard))
            .expect("a thread for notifications");
        let process =
            Launch::inside(sandbox, &bins.copexd).env("NOTIFY_SOCKET", &notify).args(args).start();
        let end = notify.clone();
        process.when_ended(move || over(&end));
        Self { process, told, notify }
    }

    fn wait_notified(&self, beginning: &str, count: usize) -> String {
        let found = self.told.wait(PATIENCE, |told| {
            let mut lines = told.lines.iter().filter(|line| line.starts_with(beginning));
            match lines.nth(count - 1) {
                Some(line) => Some(Some(line.clone())),
                None => told.over.then_some(None),
            }
        });
        found.flatten().unwrap_or_else(|| {
            panic!("the daemon did not say {beginning}\n{}", self.process.seen())
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        over(&self.notify);
    }
}

fn over(notify: &PathBuf) {
    if let Ok(socket) = UnixDatagram::unbound() {
        let _gone = socket.set_write_timeout(Some(Duration::from_secs(1)));
        let _gone = socket.send_to(OVER, notify);
    }
}

fn listen(socket: &UnixDatagram, told: &Watched<Told>) {
    let mut buffer = [0; 8 * 1024];
    while let Ok(count) = socket.recv(&mut buffer) {
        if &buffer[..count] == OVER {
            break;
        }
        let text = String::from_utf8_lossy(&buffer[..count]).into_owned();
        told.change(|told| told.lines.extend(text.lines().map(str::to_owned)));
    }
    told.change(|told| told.over = true);
}
