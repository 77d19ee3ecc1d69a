//! The client people type: a prompt in, an answer out, through the `copexd` daemon.
//!
//! Thin on purpose: flags, environment and files become one complete request; events become
//! text; the last event becomes the exit code. Blocking, without threads or a runtime, since
//! a command should live for milliseconds.
//!
//! Invariant: everything but the answer goes to stderr, nothing but `render` prints, and no
//! failure ends with exit 0.
//!
//! Not here: retries, approval rules, sessions. The daemon decides; we show.

mod answer;
mod asks;
mod cli;
mod clock;
mod commands;
mod complete;
mod connect;
mod context;
mod conversation;
mod env;
mod error;
mod exit;
mod follow;
mod interrupt;
mod mcp;
mod process;
mod prompt;
#[cfg(test)]
mod readme;
mod render;
mod request;
mod settings;
mod skills;
mod snapshot;
mod tui;
mod when;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{CommandFactory as _, FromArgMatches as _};
use copex_proto::error::{ErrorClass, ErrorInfo};

use crate::cli::Cli;
use crate::error::Failure;
use crate::exit::Exit;

/// Runs `copexctl` with the arguments of this process.
pub fn main() -> ExitCode {
    complete::answer();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let json = wants_json(&arguments);
    let cli = match parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return refused(&error, json).into(),
    };
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(failure) => told(&failure, json).into(),
    }
}

/// The command line of `copexctl`. The flags of `chat` work at the root too, and are shown
/// under `chat` only.
pub(crate) fn command() -> clap::Command {
    const AT_THE_ROOT: [&str; 2] = ["prompt", "non_interactive"];
    Cli::command().mut_args(|argument| {
        let shown = AT_THE_ROOT.contains(&argument.get_id().as_str());
        if shown { argument } else { argument.hide(true) }
    })
}

fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let mut command = command();
    let matches = command.try_get_matches_from_mut(arguments).map_err(in_quotes)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

/// A second word where one prompt is taken: most often its quotes were forgotten.
fn in_quotes(mut error: clap::Error) -> clap::Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        return error;
    };
    let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
    let takes_words = usage.contains("[PROMPT]") || usage.contains("[TASK]");
    let unknown = error.kind() == ErrorKind::UnknownArgument;
    if unknown && !word.starts_with('-') && takes_words {
        let tip = "several words are one prompt in quotes: \"like this\"";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
    }
    error
}

/// Whether the caller reads JSON, also when the command line is wrong.
fn wants_json(arguments: &[OsString]) -> bool {
    arguments
        .iter()
        .take_while(|argument| *argument != "--")
        .any(|argument| argument == "--json" || argument == "--jsonl")
}

fn refused(error: &clap::Error, json: bool) -> Exit {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        // A closed stdout leaves nobody to tell.
        let _ = error.print();
        return Exit::Done;
    }
    if json {
        let text = error.render().to_string();
        let text = text.trim_start_matches("error: ").lines().next().unwrap_or_default();
        let info = ErrorInfo::new(ErrorClass::Usage, text).with_hint("copexctl --help");
        let _ = render::value(&render::json::failure(&info, None));
    } else {
        let _ = error.print();
    }
    Exit::Usage
}

fn told(failure: &Failure, json: bool) -> Exit {
    if let Failure::Told { info, run, .. } = failure {
        if json {
            let _ = render::value(&render::json::failure(info, *run));
        } else {
            render::error(info);
        }
    }
    failure.exit()
}
