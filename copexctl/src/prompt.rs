//! What is said to the agent: the prompt, what was piped in, and files to send along.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, poll};

use crate::error::{Failure, Result};
use crate::render;

/// How a prompt is given, whatever the command.
const HOW: &str = "say what to do in quotes, \"like this\", or pipe it in";

/// Where the parts come from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parts<'a> {
    /// The prompt on the command line.
    pub(crate) prompt: Option<&'a str>,
    /// `--stdin`: stdin is the prompt whatever else is said.
    pub(crate) from_stdin: bool,
    /// Files to send along.
    pub(crate) context: &'a [PathBuf],
    /// Where relative paths start.
    pub(crate) here: &'a Path,
}

/// Puts the message together. Nothing is sent when a part cannot be read.
pub(crate) fn assemble(parts: Parts<'_>) -> Result<String> {
    let files = read_files(parts.here, parts.context)?;
    let piped = if wants_stdin(parts)? { Some(read_stdin()?) } else { None };
    join(parts.prompt, piped.as_deref(), parts.from_stdin, &files)
}

/// Reads stdin when it is the prompt. With a prompt it is read only when it is a pipe, a file
/// or a socket: a terminal has a person in front of it, and `/dev/null` has nothing to say.
fn wants_stdin(parts: Parts<'_>) -> Result<bool> {
    let stdin = io::stdin();
    if parts.from_stdin || parts.prompt.is_none() {
        if stdin.is_terminal() && !parts.from_stdin {
            return Err(Failure::usage("no prompt: give one, or pipe it in").with_hint(HOW));
        }
        return Ok(true);
    }
    if stdin.is_terminal() {
        return Ok(false);
    }
    let Ok(owned) = stdin.as_fd().try_clone_to_owned() else { return Ok(false) };
    let Ok(kind) = fs::File::from(owned).metadata().map(|meta| meta.file_type()) else {
        return Ok(false);
    };
    Ok(kind.is_file() || kind.is_socket() || kind.is_fifo())
}

/// All of stdin, where nothing else is said; `none` is what is wrong when a person sits there.
pub(crate) fn stdin_alone(none: &str) -> Result<String> {
    if io::stdin().is_terminal() {
        return Err(Failure::usage(none).with_hint("copexctl fleet \"one task\" \"another\""));
    }
    read_stdin()
}

/// A pipe that stays open and silent hangs us; after so long we say what we wait for.
const SILENCE: u16 = 2000;

fn read_stdin() -> Result<String> {
    let stdin = io::stdin();
    let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
    if !stdin.is_terminal() && matches!(poll(&mut fds, SILENCE), Ok(0)) {
        render::note("waiting for the end of stdin (use </dev/null when there is none)");
    }
    let mut bytes = Vec::new();
    stdin
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::file("read", Path::new("stdin"), &error))?;
    String::from_utf8(bytes).map_err(|_| Failure::usage("stdin is not UTF-8 text"))
}

/// One file to send along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContextFile {
    path: String,
    text: String,
}

fn read_files(here: &Path, paths: &[PathBuf]) -> Result<Vec<ContextFile>> {
    paths.iter().map(|path| read_file(here, path)).collect()
}

fn read_file(here: &Path, path: &Path) -> Result<ContextFile> {
    let bytes = fs::read(here.join(path)).map_err(|error| Failure::file("read", path, &error))?;
    let text = String::from_utf8(bytes).ok().filter(|text| !text.contains('\0'));
    let text = text.ok_or_else(|| {
        Failure::usage(format!("cannot send {}: it is not UTF-8 text", path.display()))
    })?;
    Ok(ContextFile { path: path.display().to_string(), text })
}

/// Joins the parts; pure.
pub(crate) fn join(
    prompt: Option<&str>,
    piped: Option<&str>,
    from_stdin: bool,
    files: &[ContextFile],
) -> Result<String> {
    let prompt = if from_stdin { None } else { prompt };
    let piped = piped.filter(|text| !text.trim().is_empty());
    let said = match (prompt.filter(|text| !text.trim().is_empty()), piped) {
        (Some(prompt), Some(piped)) => {
            format!("{prompt}\n\n<stdin>\n{}\n</stdin>", piped.trim_end_matches('\n'))
        }
        (Some(prompt), None) => prompt.to_owned(),
        (None, Some(piped)) if prompt.is_none() => piped.to_owned(),
        (None, _) => {
            return Err(Failure::usage("the prompt is empty").with_hint(HOW));
        }
    };
    if files.is_empty() {
        return Ok(said);
    }
    let mut text = String::from("Context files:\n\n");
    for file in files {
        let end = if file.text.ends_with('\n') { "" } else { "\n" };
        // A String takes every write.
        let _ = write!(text, "<file path=\"{}\">\n{}{end}</file>\n\n", file.path, file.text);
    }
    text.push_str(&said);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> ContextFile {
        ContextFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn stdin_is_the_prompt_or_follows_it() {
        assert_eq!(join(None, Some("hi\n"), false, &[]).unwrap(), "hi\n");
        assert_eq!(
            join(Some("sum up"), Some("a\nb\n"), false, &[]).unwrap(),
            "sum up\n\n<stdin>\na\nb\n</stdin>"
        );
        assert_eq!(join(Some("sum up"), Some(" \n"), false, &[]).unwrap(), "sum up");
        assert_eq!(join(Some("ignored"), Some("wins"), true, &[]).unwrap(), "wins");
    }

    #[test]
    fn an_empty_prompt_is_refused() {
        for (prompt, piped) in
            [(None, Some("\n")), (Some("  "), None), (None, None), (Some(""), Some("x"))]
        {
            assert_eq!(join(prompt, piped, false, &[]).unwrap_err().exit() as u8, 2);
        }
    }

    #[test]
    fn files_come_first_in_tags() {
        let text = join(Some("why?"), None, false, &[file("a.rs", "fn a() {}"), file("b", "x\n")])
            .unwrap();
        assert_eq!(
            text,
            "Context files:\n\n<file path=\"a.rs\">\nfn a() {}\n</file>\n\n<file path=\"b\">\nx\n</file>\n\nwhy?"
        );
    }

    #[test]
    fn a_missing_or_binary_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("bin"), [0xff, 0xfe]).unwrap();
        for name in ["bin", "none"] {
            let error = read_file(folder.path(), Path::new(name)).unwrap_err();
            assert!(error.to_string().contains(name));
            assert_eq!(error.exit() as u8, 2);
        }
    }
}
