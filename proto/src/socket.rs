//! Where the socket is: a pure function of the environment values it is handed.

use std::path::{Path, PathBuf};

/// Name of the socket's own environment variable.
pub const SOCKET_VARIABLE: &str = "COPEX_SOCKET";

/// Longest path a Unix socket address holds on Linux, in bytes, without the final NUL.
pub const MAX_SOCKET_PATH: usize = 107;

/// The values that decide where the socket is.
#[derive(Debug, Clone, Default)]
pub struct SocketEnv {
    /// `$COPEX_SOCKET`, if set.
    pub copex_socket: Option<PathBuf>,
    /// `$XDG_RUNTIME_DIR`, if set.
    pub runtime_dir: Option<PathBuf>,
    /// The state folder of copex, which always exists as a last resort.
    pub state_dir: PathBuf,
}

/// A socket path that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SocketPathError {
    /// The operating system cannot bind a path this long.
    #[error(
        "the socket path {} is {length} bytes long; a Unix socket allows {MAX_SOCKET_PATH}. \
         Set {SOCKET_VARIABLE} to a shorter absolute path",
        path.display()
    )]
    TooLong {
        /// The path in question.
        path: PathBuf,
        /// Its length in bytes.
        length: usize,
    },
    /// A relative path would depend on who starts the daemon from where.
    #[error("the socket path {} is relative; set {SOCKET_VARIABLE} to an absolute path", path.display())]
    Relative {
        /// The path in question.
        path: PathBuf,
    },
}

/// The socket's path: `$COPEX_SOCKET`, else `$XDG_RUNTIME_DIR/copex/copexd.sock`, else
/// `<state dir>/run/copexd.sock`. Empty variables count as unset.
///
/// # Errors
/// When the path is relative or longer than [`MAX_SOCKET_PATH`].
pub fn locate(env: &SocketEnv) -> Result<PathBuf, SocketPathError> {
    let set = |path: &Option<PathBuf>| path.clone().filter(|path| !path.as_os_str().is_empty());
    let path = set(&env.copex_socket)
        .or_else(|| set(&env.runtime_dir).map(|dir| dir.join("copex").join("copexd.sock")))
        .unwrap_or_else(|| env.state_dir.join("run").join("copexd.sock"));
    check(&path)?;
    Ok(path)
}

fn check(path: &Path) -> Result<(), SocketPathError> {
    if path.is_relative() {
        return Err(SocketPathError::Relative { path: path.to_owned() });
    }
    let length = path.as_os_str().len();
    if length > MAX_SOCKET_PATH {
        return Err(SocketPathError::TooLong { path: path.to_owned(), length });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(socket: Option<&str>, runtime: Option<&str>) -> SocketEnv {
        SocketEnv {
            copex_socket: socket.map(PathBuf::from),
            runtime_dir: runtime.map(PathBuf::from),
            state_dir: PathBuf::from("/state"),
        }
    }

    #[test]
    fn the_first_value_that_is_set_decides() {
        assert_eq!(locate(&env(Some("/a/s"), Some("/run"))), Ok("/a/s".into()));
        assert_eq!(locate(&env(None, Some("/run"))), Ok("/run/copex/copexd.sock".into()));
        assert_eq!(locate(&env(Some(""), Some(""))), Ok("/state/run/copexd.sock".into()));
    }

    #[test]
    fn unusable_paths_say_what_to_do() {
        let long = format!("/{}", "x".repeat(MAX_SOCKET_PATH));
        let error = locate(&env(Some(&long), None)).unwrap_err();
        assert!(error.to_string().contains(SOCKET_VARIABLE), "{error}");
        assert!(matches!(locate(&env(Some("rel"), None)), Err(SocketPathError::Relative { .. })));
    }
}
