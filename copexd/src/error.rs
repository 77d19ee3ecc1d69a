//! Why a daemon does not start, and with which exit code.

use std::path::PathBuf;

use crate::rpc::BindError;
use crate::store::StoreError;

/// Exit codes of copexd, a part of those of `copexctl`.
pub mod exit {
    /// It ended as told.
    pub const DONE: u8 = 0;
    /// It failed.
    pub const FAILED: u8 = 1;
    /// Its flags or its configuration are wrong.
    pub const USAGE: u8 = 2;
    /// It cannot serve: the socket or the store is not to be had.
    pub const UNAVAILABLE: u8 = 69;
}

/// A daemon that does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is no home folder to work from.
    #[error("no home folder is known; set HOME")]
    NoHome,
    /// The socket's path cannot be used.
    #[error(transparent)]
    SocketPath(#[from] copex_proto::socket::SocketPathError),
    /// The socket is not to be had.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The configuration cannot be read.
    #[error("the configuration {} cannot be read: {source}", path.display())]
    ConfigFile {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration is wrong.
    #[error("the configuration {}: {problem}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The store does not open.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An export or import file cannot be used.
    #[error("cannot {doing} {}: {source}", path.display())]
    Transfer {
        /// What was tried.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The operating system refuses something every process needs.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
}

impl StartError {
    /// The exit code that says this.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::ConfigFile { .. } | Self::Config { .. } | Self::SocketPath(_) => exit::USAGE,
            Self::NoHome | Self::Bind(_) | Self::Store(_) => exit::UNAVAILABLE,
            Self::System { .. } | Self::Transfer { .. } => exit::FAILED,
        }
    }
}
