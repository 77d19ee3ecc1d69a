//! The real Copilot CLI, installed once into cargo's target folder and shared by all tests.
//!
//! Installation happens under a file lock into a folder of its own, which gets its final
//! name only when it is complete: test processes may run in parallel, and one that is
//! killed halfway leaves nothing that looks finished.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use crate::env;
use crate::process::Launch;
use crate::sandbox::Sandbox;

/// The version that the tests pin.
pub const VERSION: &str = "1.0.102";

/// The version of the editors' JSON-RPC library that socket tests speak through.
pub const VSCODE_JSONRPC_VERSION: &str = "8.2.1";

/// The version of the MCP server that tests speak with.
pub const MCP_EVERYTHING_VERSION: &str = "2026.8.31";

/// A download of 60 MB on a slow line takes its time.
const DOWNLOAD: Duration = Duration::from_mins(5);

/// An installed Copilot CLI whose runtime is unpacked.
#[derive(Debug, Clone)]
pub struct CopilotCli {
    root: PathBuf,
    cache: PathBuf,
    runtime: PathBuf,
}

impl CopilotCli {
    /// The CLI, installed and unpacked if nobody has done that yet.
    pub fn install() -> &'static Self {
        static INSTALLED: OnceLock<CopilotCli> = OnceLock::new();
        INSTALLED.get_or_init(|| {
            let package = format!("@github/copilot@{VERSION}");
            let root = npm_install(&format!("copilot-cli-{VERSION}"), &package);
            let cache = unpack(&root);
            let runtime = find_runtime(&cache);
            Self { root, cache, runtime }
        })
    }

    /// The program `copilot`, as npm made it.
    pub fn copilot(&self) -> PathBuf {
        self.root.join("node_modules/.bin/copilot")
    }

    /// The folder for `COPILOT_CACHE_HOME`, with the runtime unpacked in it.
    pub fn cache_home(&self) -> &Path {
        &self.cache
    }

    /// The program `copilot-runtime`.
    pub fn runtime(&self) -> &Path {
        &self.runtime
    }

    /// `copilot` in a sandbox, asking nobody but `vars` say.
    pub fn launch(&self, sandbox: &Sandbox, vars: Vec<(String, String)>) -> Launch {
        Launch::inside(sandbox, self.copilot())
            .envs(vars)
            .env("COPILOT_CACHE_HOME", &self.cache)
            .args(["--no-auto-update"])
    }
}

/// The folder to `require('vscode-jsonrpc/node')` from; set it as `NODE_PATH`.
pub fn vscode_jsonrpc() -> PathBuf {
    let version = VSCODE_JSONRPC_VERSION;
    npm_install(&format!("vscode-jsonrpc-{version}"), &format!("vscode-jsonrpc@{version}"))
        .join("node_modules")
}

/// The MCP server that its makers test clients with: stdio, HTTP and SSE, with many tools.
pub fn mcp_everything() -> PathBuf {
    let version = MCP_EVERYTHING_VERSION;
    let package = format!("@modelcontextprotocol/server-everything@{version}");
    npm_install(&format!("mcp-everything-{version}"), &package)
        .join("node_modules/.bin/mcp-server-everything")
}

fn npm_install(name: &str, package: &str) -> PathBuf {
    let root = env::target().join(name);
    let _lock = lock(name);
    if root.join("node_modules").is_dir() {
        return root;
    }
    let half = env::target().join(format!("{name}.part"));
    let _absent = std::fs::remove_dir_all(&half);
    std::fs::create_dir_all(&half).expect("a folder for npm");
    let arguments = ["install", "--no-audit", "--no-fund", "--no-save", "--loglevel=error"];
    // The one program with the user's own environment: npm needs its proxies, certificates
    // and configuration, whatever their names.
    Launch::new("npm")
        .envs(env::all())
        .args(arguments)
        .args(["--prefix"])
        .args([&half])
        .args([package])
        .cwd(&half)
        .patience(DOWNLOAD)
        .run()
        .ok();
    std::fs::rename(&half, &root).expect("the finished folder gets its name");
    root
}

fn unpack(root: &Path) -> PathBuf {
    let cache = root.join("cache");
    let _lock = lock("copilot-cli-unpack");
    if cache.is_dir() {
        return cache;
    }
    let half = root.join("cache.part");
    let _absent = std::fs::remove_dir_all(&half);
    let home = tempfile::tempdir().expect("a folder");
    Launch::new(root.join("node_modules/.bin/copilot"))
        .env("PATH", env::path())
        .env("HOME", home.path())
        .env("COPILOT_SEA_EXTRACT_ONLY", "1")
        .env("COPILOT_CACHE_HOME", &half)
        .run()
        .ok();
    std::fs::rename(&half, &cache).expect("the finished cache gets its name");
    cache
}

fn find_runtime(cache: &Path) -> PathBuf {
    let platforms = std::fs::read_dir(cache.join("pkg")).expect("an unpacked CLI");
    let found = platforms.flatten().find_map(|platform| {
        let builds = platform.path().join(VERSION).join("prebuilds");
        let builds = std::fs::read_dir(builds).ok()?.flatten();
        builds.map(|build| build.path().join("copilot-runtime")).find(|path| path.is_file())
    });
    found.unwrap_or_else(|| panic!("no copilot-runtime below {}", cache.display()))
}

fn lock(name: &str) -> File {
    std::fs::create_dir_all(env::target()).expect("cargo's target folder");
    let file = File::create(env::target().join(format!("{name}.lock"))).expect("a lock file");
    file.lock().expect("the lock");
    file
}
