//! What the daemon was told: flags, its own keys of the file, and where its folders are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use copex_proto::config::DaemonConfig;
use copex_proto::socket::{self, SOCKET_VARIABLE, SocketEnv};
use directories::{BaseDirs, ProjectDirs};

use crate::cli::Flags;
use crate::error::StartError;

/// Everything that is settled before the daemon begins.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where to listen.
    pub socket: PathBuf,
    /// Where runs are kept.
    pub state_dir: PathBuf,
    /// The user's home folder.
    pub home: PathBuf,
    /// The configuration file, which need not exist.
    pub config_path: PathBuf,
    /// The daemon's own keys.
    pub config: DaemonConfig,
    /// The environment.
    pub env: BTreeMap<String, String>,
    /// How much the log says.
    pub log_level: String,
}

impl Settings {
    /// Where files of processes lie, of the store with this name alone: in memory, where the
    /// system has a folder for that, since there may be secrets in them.
    pub fn process_files(&self, store: &str) -> PathBuf {
        let runtime = self.env.get("XDG_RUNTIME_DIR").map(PathBuf::from);
        match runtime.filter(|folder| folder.is_absolute() && folder.is_dir()) {
            Some(folder) => folder.join("copex").join(format!("turns-{store}")),
            None => self.state_dir.join("run/turns"),
        }
    }

    /// Settles everything. Reads the configuration file.
    ///
    /// # Errors
    /// As [`StartError`]; a broken configuration is an error and never the defaults.
    pub fn resolve(flags: &Flags, env: BTreeMap<String, String>) -> Result<Self, StartError> {
        let dirs = ProjectDirs::from("", "", "copex").ok_or(StartError::NoHome)?;
        let home = BaseDirs::new().ok_or(StartError::NoHome)?.home_dir().to_owned();
        let state_dir = flags.state_dir.clone().unwrap_or_else(|| {
            dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned()
        });
        let path = |name: &str| env.get(name).map(PathBuf::from);
        let socket = socket::locate(&SocketEnv {
            copex_socket: flags.socket.clone().or_else(|| path(SOCKET_VARIABLE)),
            runtime_dir: path("XDG_RUNTIME_DIR"),
            state_dir: state_dir.clone(),
        })?;
        let config_path =
            flags.config.clone().unwrap_or_else(|| dirs.config_dir().join("config.toml"));
        let text = match std::fs::read_to_string(&config_path) {
            Ok(text) => text,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && flags.config.is_none() =>
            {
                String::new()
            }
            Err(source) => return Err(StartError::ConfigFile { path: config_path, source }),
        };
        let config = DaemonConfig::from_toml(&text).map_err(|problem| StartError::Config {
            path: config_path.clone(),
            problem: problem.to_string(),
        })?;
        let log_level =
            flags.log_level.clone().unwrap_or_else(|| config.telemetry.log_level.clone());
        Ok(Self { socket, state_dir, home, config_path, config, env, log_level })
    }
}
