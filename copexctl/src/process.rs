//! SEAM: the only place that starts programs, and the search for them.

use std::ffi::OsStr;
use std::io::BufRead as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::clock::Deadline;

/// A program to start.
#[expect(clippy::disallowed_methods, reason = "this is the seam")]
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    Command::new(program)
}

/// The program `name` in the folders of `path` (the form of `$PATH`).
pub(crate) fn find(name: &str, path: &str) -> Option<PathBuf> {
    path.split(':')
        .filter(|folder| !folder.is_empty())
        .map(|folder| Path::new(folder).join(name))
        .find(|file| is_program(file))
}

/// Whether `file` can be started.
pub(crate) fn is_program(file: &Path) -> bool {
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The first line that `program --version` prints, if it does so in time.
pub(crate) fn version_of(program: &Path) -> Option<String> {
    /// Node needs 130 ms for it; a cold disk a second or two.
    const PATIENCE: Duration = Duration::from_secs(5);
    const PAUSE: Duration = Duration::from_millis(5);
    let mut child = command(program)
        .arg("--version")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Deadline::after(PATIENCE);
    while child.try_wait().ok()?.is_none() {
        if deadline.left().is_none() {
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(PAUSE);
    }
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}

/// What a shell command prints, run in `folder` to its end. Its stderr is ours.
///
/// # Errors
/// With words that say what became of it.
pub(crate) fn output(script: &str, folder: &Path) -> Result<String, String> {
    let output = command("/bin/sh")
        .args(["-c", script])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("it could not be started: {error}"))?;
    if !output.status.success() {
        return Err(format!("it ended with {}", output.status));
    }
    String::from_utf8(output.stdout).map_err(|_| "its output is not UTF-8".to_owned())
}

/// Files below `folder` that git knows or does not ignore, at most `most`; nothing where that
/// is no repository, or has no git.
pub(crate) fn tracked(folder: &Path, most: usize) -> Option<Vec<String>> {
    let mut child = command("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut files = Vec::new();
    let mut out = std::io::BufReader::new(child.stdout.take()?);
    let mut name = Vec::new();
    while files.len() < most && out.read_until(0, &mut name).ok()? > 0 {
        files.extend(String::from_utf8(name.split_off(0)).ok().map(|it| it.replace('\0', "")));
    }
    // One that is cut off ends by the closed pipe.
    drop(out);
    let ended = child.wait().ok()?;
    (ended.success() || files.len() == most).then_some(files)
}

/// Lets the user's editor edit a file, in this terminal, to its end. `editor` may have
/// arguments, as git's may.
///
/// # Errors
/// With words that say what became of it.
pub(crate) fn edit(editor: &str, file: &Path) -> Result<(), String> {
    let script = format!("{editor} \"$1\"");
    let status = command("/bin/sh").arg("-c").arg(script).arg("sh").arg(file).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("ended with {status}")),
        Err(error) => Err(format!("could not be started: {error}")),
    }
}

/// Where Python copex looked for the Copilot CLI besides `$PATH`, and where Homebrew puts it.
pub(crate) fn find_copilot(path: &str, home: &Path) -> Option<PathBuf> {
    find("copilot", path).or_else(|| {
        let folders = [
            home.join(".npm-global/bin"),
            "/usr/local/bin".into(),
            "/usr/bin".into(),
            home.join(".local/bin"),
            "/opt/homebrew/bin".into(),
        ];
        folders.iter().map(|folder| folder.join("copilot")).find(|file| is_program(file))
    })
}
