//! What a council is to judge: a change, or a plan.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::process::Stdio;

use crate::cli::CouncilFlags;
use crate::error::{Failure, Result};
use crate::process;

/// Bytes of a change or a plan, at most: it is in the prompt of every member and the chair's,
/// and a part of a change cannot be judged.
const MOST_BYTES: u64 = 256 * 1024;

/// Something to judge.
pub(super) struct Material {
    /// The task, where nobody named one.
    pub(super) task: &'static str,
    /// What is appended to it.
    pub(super) text: String,
}

/// Reads what the flags name; nothing where they name nothing.
pub(super) fn read(flags: &CouncilFlags, here: &Path, cwd: &Path) -> Result<Option<Material>> {
    let plan = match &flags.plan {
        Some(file) => Some(plan(&here.join(file))?),
        None => None,
    };
    let diff = flags.diff.as_deref().map(|rev| diff(rev, cwd)).transpose()?;
    let task = match (&diff, &plan) {
        (None, None) => return Ok(None),
        (Some(_), None) => {
            "Judge this change: should it go in as it is, and if not, what must change?"
        }
        (None, Some(_)) => {
            "Judge this plan: should it be carried out as it is, and if not, what must change?"
        }
        (Some(_), Some(_)) => {
            "Judge this change against the plan: does it carry the plan out, and is it right?"
        }
    };
    let parts: Vec<String> = plan.into_iter().chain(diff).collect();
    Ok(Some(Material { task, text: parts.join("\n\n") }))
}

fn plan(file: &Path) -> Result<String> {
    let wrong = |error: &io::Error| Failure::file("read", file, error);
    let opened = File::open(file).map_err(|error| wrong(&error))?;
    let name = format!("the plan {}", file.display());
    let text = bounded(opened, &name)?.map_err(|error| wrong(&error))?;
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("{name} is empty")));
    }
    Ok(format!("<plan>\n{}\n</plan>", text.trim_end()))
}

fn diff(rev: &str, cwd: &Path) -> Result<String> {
    let name = format!("the change since {rev}");
    let failed = |error: io::Error| Failure::usage(format!("cannot run git: {error}"));
    let git = || {
        let mut git = process::command("git");
        git.arg("-C").arg(cwd);
        git
    };
    // Outside of a repository `git diff` means something else.
    let inside = git().args(["rev-parse", "--show-toplevel"]).output().map_err(failed)?;
    if !inside.status.success() {
        let words = format!("--diff: {} is in no git repository", cwd.display());
        return Err(Failure::usage(words).with_hint("name the folder with --cwd, or leave it out"));
    }
    let mut child = git()
        .args(["diff", "--no-color", "--no-ext-diff", "--no-textconv", "--end-of-options"])
        .args([rev, "--"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let text = match child.stdout.take() {
        Some(out) => bounded(out, &name),
        None => Ok(Ok(String::new())),
    };
    if text.is_err() {
        // It has more to say than anybody reads.
        let _ = child.kill();
    }
    let ended = child.wait_with_output().map_err(failed)?;
    let text = text?.map_err(failed)?;
    if !ended.status.success() {
        let words = String::from_utf8_lossy(&ended.stderr);
        let line = words.trim().lines().next().unwrap_or("it failed");
        let why = line.trim_start_matches("fatal: ");
        return Err(Failure::usage(format!("--diff {rev}: {why}"))
            .with_hint("name a commit with --diff=REV"));
    }
    if text.trim().is_empty() {
        return Err(Failure::usage(format!("--diff {rev}: nothing differs"))
            .with_hint("files that git does not know count once they are added (git add -N)"));
    }
    Ok(format!("<diff since=\"{rev}\">\n{}\n</diff>", text.trim_end()))
}

/// The whole text, unless it is too long or no text.
fn bounded(from: impl Read, name: &str) -> Result<io::Result<String>> {
    let mut bytes = Vec::new();
    if let Err(error) = from.take(MOST_BYTES + 1).read_to_end(&mut bytes) {
        return Ok(Err(error));
    }
    if bytes.len() as u64 > MOST_BYTES {
        let words = format!("{name} has more than {} kB", MOST_BYTES / 1024);
        return Err(Failure::usage(words).with_hint("have it judged in parts"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Ok(text)),
        Err(_) => Err(Failure::usage(format!("{name} is not UTF-8 text"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_or_no_text_is_refused() {
        let refused = |bytes: &[u8]| bounded(bytes, "it").unwrap_err().to_string();
        assert_eq!(refused(&vec![b'x'; 300 * 1024]), "it has more than 256 kB");
        assert_eq!(refused(&[0xff, 0xfe]), "it is not UTF-8 text");
        assert_eq!(bounded(&b"text"[..], "it").unwrap().unwrap(), "text");
    }
}
