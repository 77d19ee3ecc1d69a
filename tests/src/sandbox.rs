//! Folders of a test's own, an environment that names them, and the end of whatever was
//! started in them.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::cli::CopilotCli;
use crate::env;
use crate::process::kill_marked;

/// A home, configuration, state, cache, runtime and working folder below one short path
/// (a Unix socket's path holds 107 bytes).
///
/// Every process started with [`Sandbox::env`] carries the path in its environment; when
/// the sandbox is dropped, those that still live are killed, orphans of killed daemons
/// included, and the folders are removed.
#[derive(Debug)]
pub struct Sandbox {
    root: TempDir,
    extra: Vec<(OsString, OsString)>,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Makes the folders.
    pub fn new() -> Self {
        let root = tempfile::Builder::new().prefix("cpx-").tempdir_in("/tmp").expect("a folder");
        let sandbox = Self { root, extra: Vec::new() };
        for dir in ["home", "config", "state", "cache", "run", "work", "copilot"] {
            std::fs::create_dir(sandbox.path(dir)).expect("a folder of the sandbox");
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(sandbox.path("run"), private).expect("a private folder");
        sandbox
    }

    /// A folder whose processes find the Copilot CLI of the tests.
    pub fn with_cli(cli: &CopilotCli) -> Self {
        let mut sandbox = Self::new();
        sandbox.set("COPILOT_CLI_PATH", cli.copilot());
        sandbox.set("COPILOT_CACHE_HOME", cli.cache_home());
        sandbox
    }

    /// Adds a variable, or replaces one.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        let name = name.into();
        self.extra.retain(|(known, _)| *known != name);
        self.extra.push((name, value.into()));
        self
    }

    /// Adds several variables.
    pub fn set_all(&mut self, vars: impl IntoIterator<Item = (String, String)>) -> &mut Self {
        for (name, value) in vars {
            self.set(name, value);
        }
        self
    }

    /// Takes a variable away.
    pub fn unset(&mut self, name: &str) -> &mut Self {
        self.extra.retain(|(known, _)| known != name);
        self
    }

    /// The whole environment of a process in this sandbox; nothing of the test's own comes
    /// through but `PATH`.
    pub fn env(&self) -> Vec<(OsString, OsString)> {
        let dirs = [
            ("HOME", "home"),
            ("XDG_CONFIG_HOME", "config"),
            ("XDG_STATE_HOME", "state"),
            ("XDG_CACHE_HOME", "cache"),
            ("XDG_RUNTIME_DIR", "run"),
            ("COPILOT_HOME", "copilot"),
        ];
        let mut vars: Vec<(OsString, OsString)> =
            dirs.iter().map(|(name, dir)| (name.into(), self.path(dir).into())).collect();
        vars.push(("PATH".into(), env::path()));
        vars.push(("LANG".into(), "C.UTF-8".into()));
        vars.retain(|(name, _)| !self.extra.iter().any(|(known, _)| known == name));
        vars.extend(self.extra.iter().cloned());
        vars
    }

    /// A path below the sandbox.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(relative)
    }

    /// The working folder.
    pub fn work(&self) -> PathBuf {
        self.path("work")
    }

    /// The user's configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.path("config/copex/config.toml")
    }

    /// Writes the user's configuration file.
    pub fn write_config(&self, text: &str) {
        self.write(self.config_file(), text);
    }

    /// Writes a file, with the folders above it.
    pub fn write(&self, relative: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.path(relative);
        let parent = path.parent().expect("a file is in a folder");
        std::fs::create_dir_all(parent).expect("a folder for the file");
        std::fs::write(&path, text).expect("a file of the sandbox");
        path
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("run/copex/copexd.sock")
    }

    /// What every process of this sandbox has in its environment.
    pub fn marker(&self) -> &Path {
        self.root.path()
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        kill_marked(self.marker());
    }
}
