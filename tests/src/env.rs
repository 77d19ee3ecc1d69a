//! The one reader of the test process's environment.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A variable of this process, if it is set and not empty.
#[expect(clippy::disallowed_methods, reason = "the seam for the environment")]
pub fn var(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The whole environment of this process, for the set-up of the tests only.
pub fn all() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os()
}

/// `PATH` as handed to every child, so that node, npm, git and a shell are found.
pub fn path() -> OsString {
    var("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin"))
}

/// The folder of the workspace.
pub fn workspace() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("tests/ is inside the workspace").to_owned()
}

/// Cargo's target folder, where downloads are kept between test runs.
pub fn target() -> PathBuf {
    match var("CARGO_TARGET_DIR") {
        Some(dir) => workspace().join(dir),
        None => workspace().join("target"),
    }
}
