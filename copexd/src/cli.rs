//! The daemon's flags.

use std::path::PathBuf;

use clap::Parser;

/// copexd owns Copilot sessions, resilience and durable runs. `copexctl` starts it by
/// itself; systemd can, too.
#[derive(Debug, Clone, Parser)]
#[command(name = "copexd", version, about)]
pub struct Flags {
    /// Listen here instead of $COPEX_SOCKET or $XDG_RUNTIME_DIR/copex/copexd.sock.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Keep runs here instead of ~/.local/state/copex.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Read this file instead of ~/.config/copex/config.toml.
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,

    /// How much the log says (error, warn, info, debug, trace); over `telemetry.log_level` of the configuration.
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// Write every record of the store to FILE (JSON lines; `-` is standard output) and end.
    #[arg(long, value_name = "FILE", conflicts_with = "import")]
    pub export: Option<PathBuf>,

    /// Read an export into an empty store and end.
    #[arg(long, value_name = "FILE")]
    pub import: Option<PathBuf>,
}
