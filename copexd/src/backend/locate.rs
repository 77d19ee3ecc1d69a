//! Where the Copilot CLI is, which version, and the runtime inside it.
//!
//! The CLI carries a second program, `copilot-runtime`: the same protocol at a fifteenth of
//! the start-up time and a quarter of the memory. It is used where it is unpacked or can
//! be unpacked; `copilot --server` serves otherwise.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::process::{self, Owner, Program};
use crate::backend::skills;
use crate::backend::spec::RuntimeSpec;
use crate::core::failure::{Failure, FailureClass};

/// How long the CLI may take to unpack its runtime (measured: 1 to 3 s).
const UNPACK_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the CLI may take to tell its version (measured: 0.13 s).
const VERSION_TIMEOUT: Duration = Duration::from_secs(20);

/// Where the CLI was installed from; what to type.
const INSTALL: &str = "install it with `npm i -g @github/copilot`, or name it with `cli_path` in \
                       the configuration or the variable COPILOT_CLI_PATH";

/// A program that speaks the Copilot server protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// The program to start.
    pub program: PathBuf,
    /// `copilot-runtime` or `copilot`.
    pub kind: &'static str,
    /// The Copilot CLI it belongs to.
    pub cli: PathBuf,
    /// The version, where it could be told without starting anything.
    pub version: Option<String>,
}

/// Finds the program to start, unpacking it when that is needed.
///
/// # Errors
/// `Unavailable` when there is no Copilot CLI, with what was looked at.
pub async fn locate(spec: &RuntimeSpec, owner: &Owner) -> Result<Located, Failure> {
    let cli = find_cli(spec)?;
    if cli.file_name().is_some_and(|name| name == "copilot-runtime") {
        return Ok(Located { program: cli.clone(), kind: "copilot-runtime", version: None, cli });
    }
    let version = match package_version(&cli) {
        Some(version) => Some(version),
        None => ask_version(&cli, spec, owner).await,
    };
    if let Some(runtime) = version.as_deref().and_then(|version| unpacked(spec, version)) {
        return Ok(Located { program: runtime, kind: "copilot-runtime", cli, version });
    }
    if version.is_some() {
        unpack(&cli, spec, owner).await;
        if let Some(runtime) = version.as_deref().and_then(|version| unpacked(spec, version)) {
            return Ok(Located { program: runtime, kind: "copilot-runtime", cli, version });
        }
        tracing::warn!(cli = %cli.display(), "no copilot-runtime to be had; using copilot --server");
    }
    Ok(Located { program: cli.clone(), kind: "copilot", cli, version })
}

/// Finds the Copilot CLI: `cli_path`, `COPILOT_CLI_PATH`, `PATH`, the usual npm places.
///
/// # Errors
/// `Unavailable`, naming what is wrong and the way out.
pub fn find_cli(spec: &RuntimeSpec) -> Result<PathBuf, Failure> {
    let fail =
        |message: String| Failure::new(FailureClass::Unavailable, message).with_hint(INSTALL);
    let variable = |name: &str| spec.env.get(name).filter(|value| !value.is_empty());
    if let Some(path) = &spec.cli_path {
        return usable(path)
            .ok_or_else(|| fail(format!("cli_path {} is not a program", path.display())));
    }
    if let Some(path) = variable("COPILOT_CLI_PATH") {
        let path = Path::new(path);
        return usable(path)
            .ok_or_else(|| fail(format!("COPILOT_CLI_PATH {} is not a program", path.display())));
    }
    let mut folders: Vec<PathBuf> =
        variable("PATH").map(|path| std::env::split_paths(path).collect()).unwrap_or_default();
    if let Some(home) = variable("HOME").map(Path::new) {
        folders.extend([home.join(".npm-global/bin"), home.join(".local/bin")]);
        folders.extend(node_versions(home));
    }
    folders.extend(["/usr/local/bin", "/usr/bin", "/opt/homebrew/bin"].map(PathBuf::from));
    folders.iter().find_map(|folder| usable(&folder.join("copilot"))).ok_or_else(|| {
        fail("the Copilot CLI was not found (PATH and the usual npm folders)".into())
    })
}

/// The program behind npm's starter script, which would only pass everything through and
/// keep a signal to itself; the path as it is where there is none.
pub fn native(cli: &Path) -> PathBuf {
    let behind = || {
        let real = std::fs::canonicalize(cli).ok()?;
        let packages = real.ancestors().find(|folder| folder.ends_with("@github"))?;
        usable(&packages.join(format!("copilot-{}", platform())).join("copilot"))
    };
    behind().unwrap_or_else(|| cli.to_owned())
}

/// Folders of nvm's Node versions, newest first.
fn node_versions(home: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(home.join(".nvm/versions/node")) else {
        return Vec::new();
    };
    let mut versions: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(Result::ok)
        .map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let numbers = name.trim_start_matches('v').split('.');
            let numbers = numbers.map(|number| number.parse().unwrap_or(0)).collect();
            (numbers, entry.path().join("bin"))
        })
        .collect();
    versions.sort_by(|a, b| b.0.cmp(&a.0));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn usable(path: &Path) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = std::fs::metadata(path).ok()?;
    (meta.is_file() && meta.permissions().mode() & 0o111 != 0).then(|| path.to_owned())
}

/// The version in the npm package around the program, without starting it.
fn package_version(cli: &Path) -> Option<String> {
    let real = std::fs::canonicalize(cli).ok()?;
    for folder in real.ancestors().skip(1).take(4) {
        let Ok(text) = std::fs::read_to_string(folder.join("package.json")) else { continue };
        let package: serde_json::Value = serde_json::from_str(&text).ok()?;
        if package["name"].as_str().is_some_and(|name| name.starts_with("@github/copilot")) {
            return package["version"].as_str().map(str::to_owned);
        }
    }
    None
}

fn platform() -> String {
    let os = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let arch = if cfg!(target_arch = "aarch64") { "arm64" } else { "x64" };
    format!("{os}-{arch}")
}

/// The runtime of this version, if it is unpacked.
fn unpacked(spec: &RuntimeSpec, version: &str) -> Option<PathBuf> {
    let variable = |name: &str| spec.env.get(name).filter(|value| !value.is_empty());
    let cache = variable("COPILOT_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| Path::new(cache).join("copilot")))
        .or_else(|| variable("HOME").map(|home| Path::new(home).join(".cache/copilot")))?;
    let platform = platform();
    let package = cache.join("pkg").join(&platform).join(version);
    usable(&package.join("prebuilds").join(&platform).join("copilot-runtime"))
}

/// The names of the skills that come with the Copilot CLI; none, where it is not unpacked.
pub fn built_in_skills(spec: &RuntimeSpec) -> Vec<String> {
    let folder = || {
        let version = package_version(&find_cli(spec).ok()?)?;
        // PACKAGE/prebuilds/PLATFORM/copilot-runtime
        let package = unpacked(spec, &version)?.ancestors().nth(3)?.join("builtin");
        std::fs::read_dir(package).ok()
    };
    let entries = folder().into_iter().flatten().filter_map(Result::ok);
    let skills = entries.filter(|entry| entry.path().join(skills::FILE).is_file());
    skills.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

async fn unpack(cli: &Path, spec: &RuntimeSpec, owner: &Owner) {
    let extra = [("COPILOT_SEA_EXTRACT_ONLY", "1")];
    if output(cli, &[], &extra, spec, owner, UNPACK_TIMEOUT).await.is_none() {
        tracing::warn!(cli = %cli.display(), "the Copilot CLI could not unpack its runtime");
    }
}

async fn ask_version(cli: &Path, spec: &RuntimeSpec, owner: &Owner) -> Option<String> {
    let text = output(cli, &["--version"], &[], spec, owner, VERSION_TIMEOUT).await?;
    text.split_whitespace()
        .map(|word| word.trim_matches(|c: char| !c.is_ascii_digit()))
        .find(|word| word.split('.').count() == 3)
        .map(str::to_owned)
}

async fn output(
    cli: &Path,
    args: &[&str],
    extra: &[(&str, &str)],
    spec: &RuntimeSpec,
    owner: &Owner,
    most: Duration,
) -> Option<String> {
    let mut env = process::child_env(&spec.env);
    env.extend(extra);
    let program = Program { path: cli, args, env, cwd: Path::new("/") };
    let (child, _tree) = process::start(&program, owner).ok()?;
    let output = tokio::time::timeout(most, child.wait_with_output()).await.ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(env: &[(&str, &str)], cli_path: Option<&str>) -> RuntimeSpec {
        RuntimeSpec {
            cli_path: cli_path.map(PathBuf::from),
            env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            secret_env: std::collections::BTreeMap::new(),
            demo: false,
        }
    }

    #[test]
    fn the_first_place_that_is_named_decides_and_errors_name_it() {
        assert_eq!(find_cli(&spec(&[], Some("/bin/sh"))), Ok("/bin/sh".into()));
        let named = [("COPILOT_CLI_PATH", "/nowhere/copilot")];
        let error = find_cli(&spec(&named, None)).unwrap_err();
        assert_eq!(error.class, FailureClass::Unavailable);
        assert!(error.message.contains("/nowhere/copilot"), "{error}");
        assert!(find_cli(&spec(&named, Some("/bin/sh"))).is_ok());
    }

    #[test]
    fn a_newer_node_is_looked_at_first() {
        let home = tempfile::tempdir().unwrap();
        for version in ["v9.1.0", "v20.2.0", "v20.11.1"] {
            std::fs::create_dir_all(home.path().join(".nvm/versions/node").join(version)).unwrap();
        }
        let found = node_versions(home.path());
        let names: Vec<_> =
            found.iter().map(|p| p.parent().unwrap().file_name().unwrap()).collect();
        assert_eq!(names, ["v20.11.1", "v20.2.0", "v9.1.0"]);
    }
}
