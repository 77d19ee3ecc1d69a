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
        Err(error) => return refused(&error, &arguments, json).into(),
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

fn refused(error: &clap::Error, arguments: &[OsString], json: bool) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A closed stdout leaves nobody to tell.
            let _ = error.print();
            return Exit::Done;
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand if !json => {
            let _ = error.print();
        }
        _ => {
            let info = in_words(&error.render().to_string(), arguments);
            told(&info.into(), json);
        }
    }
    Exit::Usage
}

/// What the parser of the command line says, as every other error is told: what and why in a
/// line, and the way out.
fn in_words(said: &str, arguments: &[OsString]) -> ErrorInfo {
    /// How the standard library says that a text is no number.
    const NUMBERS: [(&str, &str); 4] = [
        ("invalid float literal", "it is not a number"),
        ("cannot parse float from empty string", "it is not a number"),
        ("invalid digit found in string", "it is not a whole number"),
        ("cannot parse integer from empty string", "it is not a whole number"),
    ];
    let said = said.trim_start_matches("error: ");
    let what: Vec<&str> = said.lines().take_while(|line| !line.is_empty()).map(str::trim).collect();
    let mut what = what.join(" ");
    for (theirs, ours) in NUMBERS {
        what = what.replace(theirs, ours);
    }
    let mut tips = said.lines().filter_map(|line| line.trim_start().strip_prefix("tip: "));
    let hint = tips.next().map_or_else(|| help_of(arguments), str::to_owned);
    ErrorInfo::new(ErrorClass::Usage, what).with_hint(hint)
}

/// How help is had for the command of this command line.
fn help_of(arguments: &[OsString]) -> String {
    let root = command();
    let mut words = vec!["copexctl"];
    let mut command = &root;
    for argument in arguments.iter().skip(1) {
        let Some(next) = command.find_subcommand(argument) else { break };
        words.push(next.get_name());
        command = next;
    }
    words.push("--help");
    words.join(" ")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_that_is_wrong_is_told_in_a_line_with_its_way_out() {
        let table: [(&[&str], &str, &str); 6] = [
            (&["chat", "x", "--timeout", "a"], "it is not a number", "copexctl chat --help"),
            (&["chat", "x", "--max-retries", "a"], "it is not a whole number", "-"),
            (&["runs", "attach"], "were not provided: <ID>", "copexctl runs attach --help"),
            (&["runs", "list", "--state", "123"], "[possible values: queued, running,", "-"),
            (&["runs", "--frob"], "unexpected argument '--frob' found", "copexctl runs --help"),
            (&["chat", "x", "--aproval", "x"], "'--aproval'", "'--approval'"),
        ];
        for (args, what, hint) in table {
            let args: Vec<OsString> = ["copexctl"].iter().chain(args).map(OsString::from).collect();
            let said = parse(&args).unwrap_err().render().to_string();
            let info = in_words(&said, &args);
            assert!(info.message.contains(what), "{args:?}: {info:?}");
            assert!(!info.message.contains(['\n', '\u{1b}']), "{info:?}");
            let told = info.hint.unwrap();
            assert!(told.contains(hint) && !told.contains("tip"), "{args:?}: {told}");
        }
    }
}
