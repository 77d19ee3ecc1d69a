//! What every command stands on: the environment and the folders.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use copex_proto::config::Ui;
use copex_proto::id::RunId;
use copex_proto::socket::{self, SocketEnv};

use crate::env::Env;
use crate::error::{Failure, Result};

/// The environment and the folders of copex.
#[derive(Debug, Clone)]
pub(crate) struct Context {
    /// The environment at the start.
    pub(crate) env: Env,
    /// The home folder.
    pub(crate) home: PathBuf,
    /// Where `config.toml` lives.
    pub(crate) config_dir: PathBuf,
    /// Where the daemon keeps its store and log.
    pub(crate) state_dir: PathBuf,
    /// Whether to start the daemon when none answers.
    pub(crate) auto_start: bool,
    /// How runs look, once the settings were read.
    pub(crate) ui: Option<Ui>,
    /// Whether stderr is part of a screen: then a start of the daemon is told there by others.
    pub(crate) screen: bool,
    /// Runs that commands began or followed, for a conversation that carried them out.
    pub(crate) met: Arc<Mutex<Vec<RunId>>>,
}

impl Context {
    /// Finds the folders of this user.
    pub(crate) fn read() -> Result<Self> {
        let no_home = || Failure::usage("no home folder is known").with_hint("set HOME");
        let base = directories::BaseDirs::new().ok_or_else(no_home)?;
        let dirs = directories::ProjectDirs::from("", "", "copex").ok_or_else(no_home)?;
        Ok(Self {
            env: Env::read(),
            home: base.home_dir().to_owned(),
            config_dir: dirs.config_dir().to_owned(),
            state_dir: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned(),
            auto_start: true,
            ui: None,
            screen: false,
            met: Arc::default(),
        })
    }

    /// Takes note of a run.
    pub(crate) fn meet(&self, run: RunId) {
        if let Ok(mut met) = self.met.lock() {
            met.push(run);
        }
    }

    /// The user's configuration file.
    pub(crate) fn config_file(&self) -> PathBuf {
        self.config_dir.join("config.toml")
    }

    /// The daemon's log, when a client started it.
    pub(crate) fn log_file(&self) -> PathBuf {
        self.state_dir.join("copexd.log")
    }

    /// The socket.
    pub(crate) fn socket(&self) -> Result<PathBuf> {
        let path = |name| self.env.get(name).map(PathBuf::from);
        let env = SocketEnv {
            copex_socket: path(socket::SOCKET_VARIABLE),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            state_dir: self.state_dir.clone(),
        };
        socket::locate(&env).map_err(|error| Failure::usage(error.to_string()))
    }

    /// Whether systemd keeps the socket: then it starts the daemon, not we. The user manager
    /// leaves a link per active unit in the runtime folder; asking `systemctl` would cost more
    /// than the whole command.
    pub(crate) fn systemd_owns(&self) -> bool {
        if self.env.get(socket::SOCKET_VARIABLE).is_some() {
            return false;
        }
        let Some(runtime) = self.env.get("XDG_RUNTIME_DIR") else { return false };
        let units = Path::new(runtime).join("systemd/units");
        ["copexd.socket", "copexd.service"]
            .iter()
            .any(|unit| units.join(format!("invocation:{unit}")).symlink_metadata().is_ok())
    }

    /// The daemon's program: `$COPEX_DAEMON`, else beside our own, else on `$PATH`.
    pub(crate) fn daemon_program(&self) -> Result<PathBuf> {
        if let Some(path) = self.env.get("COPEX_DAEMON") {
            return Ok(path.into());
        }
        let beside = crate::env::own_program()
            .and_then(|own| own.parent().map(|folder| folder.join("copexd")));
        beside
            .filter(|file| crate::process::is_program(file))
            .or_else(|| crate::process::find("copexd", self.env.get("PATH").unwrap_or_default()))
            .ok_or_else(|| {
                Failure::unavailable("copexd is not running and its program was not found")
                    .with_hint("put copexd beside copexctl or on PATH, or set COPEX_DAEMON")
            })
    }
}
