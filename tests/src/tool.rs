//! Programs that a test needs and a machine may lack.

use std::path::PathBuf;

use crate::env;

/// Where a program is. `None`, said loudly, when it is not installed; in CI (`$CI` is set)
/// that is a failure, since `.ci/run` installs what the tests need.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = env::path();
    let usual = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"].map(PathBuf::from);
    let found = std::env::split_paths(&path).chain(usual).map(|dir| dir.join(name));
    let found = found.into_iter().find(|file| file.is_file());
    if found.is_none() {
        skip(&format!("`{name}` is not installed"));
    }
    found
}

/// Says that a test is not run, and why; in CI it fails instead.
#[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
pub fn skip(why: &str) {
    assert!(env::var("CI").is_none(), "CI must run this test, but {why}");
    eprintln!("\n!!! NOT TESTED: {why}\n");
}
