//! `MODE --resume [RUN]`: goes on with a run of that mode, whatever became of it.

use std::path::Path;

use copex_proto::health::{ListResponse, RunFilter, SubmitResponse};
use copex_proto::id::RunId;
use copex_proto::run::{Mode, RunDetail, RunState, RunSummary};
use serde_json::json;

use crate::cli::TurnFlags;
use crate::commands::runs::{find, secrets, state_name};
use crate::commands::watch::watch;
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::follow::{OnInterrupt, Source};
use crate::render;
use crate::request;

/// Runs asked for at once.
const PAGE: u32 = 200;

/// Pages that are looked through. Who looks for a run among two thousand newer ones of the
/// same folder names it.
const PAGES: usize = 10;

/// Goes on with `wanted`, or when it is empty with the last run of this mode and folder that
/// did not end well. One that has not ended is followed; one that has is resumed.
///
/// # Errors
/// `Usage` when there is nothing to go on with, or the named run is of another mode.
pub(super) fn run(ctx: &Context, mode: Mode, wanted: &str, flags: &TurnFlags) -> Result<Exit> {
    run_anew(ctx, (mode, false), wanted, flags)
}

/// The same; perhaps parts of the run that failed begin anew.
///
/// # Errors
/// As [`run`].
pub(super) fn run_anew(
    ctx: &Context,
    (mode, rerun_failed): (Mode, bool),
    wanted: &str,
    flags: &TurnFlags,
) -> Result<Exit> {
    let limits = request::limits(&flags.limits)?;
    let mut connection = Connection::open(ctx)?;
    let found = if wanted.is_empty() {
        last(&mut connection, mode, &folder(flags.cwd.as_deref())?)?
    } else {
        named(&mut connection, mode, wanted)?
    };
    let run = found.run;
    if !found.state.is_terminal() {
        if limits != copex_proto::spend::SpendLimits::default() {
            let words = format!("{run} has not ended and keeps the limits it has");
            let hint = format!("copexctl runs cancel {run}, then --resume {run} with the limits");
            return Err(Failure::usage(words).with_hint(hint));
        }
        tell(flags, &format!("{run} is at work ({}); following it", state_name(found.state)));
        return follow(ctx, run, flags, OnInterrupt::Leave);
    }
    let secrets = secrets(ctx, &mut connection, run)?;
    let params =
        json!({ "run": run, "limits": limits, "rerun_failed": rerun_failed, "secrets": secrets });
    let new: SubmitResponse = connection.call("run.resume", &params)?;
    tell(flags, &format!("{run} ({}) goes on as {}", state_name(found.state), new.run));
    follow(ctx, new.run, flags, OnInterrupt::Cancel)
}

fn follow(ctx: &Context, run: RunId, flags: &TurnFlags, interrupt: OnInterrupt) -> Result<Exit> {
    if flags.detach {
        render::line(run.as_str())?;
        return Ok(Exit::Done);
    }
    watch(ctx, Source::Watch { run }, &flags.output, interrupt, &[])
}

fn tell(flags: &TurnFlags, words: &str) {
    let output = &flags.output;
    if !(output.quiet || output.json || output.jsonl) {
        render::note(words);
    }
}

/// The folder whose runs are meant, as the daemon names it.
fn folder(given: Option<&Path>) -> Result<String> {
    let here = given.unwrap_or(Path::new("."));
    let real = std::fs::canonicalize(here).map_err(|error| Failure::file("find", here, &error))?;
    Ok(real.display().to_string())
}

fn named(connection: &mut Connection, mode: Mode, wanted: &str) -> Result<RunSummary> {
    let run = find(connection, wanted)?;
    let detail: RunDetail = connection.call("run.get", &json!({ "run": run }))?;
    let summary = detail.summary;
    if summary.mode != mode {
        let words = format!("{run} is a {} and no {}", summary.mode.as_str(), mode.as_str());
        return Err(Failure::usage(words).with_hint(format!("copexctl runs resume {run}")));
    }
    if summary.state == RunState::Done {
        let words = format!("{run} has ended well; there is nothing to resume");
        return Err(Failure::usage(words).with_hint(format!("copexctl runs resume {run}")));
    }
    Ok(summary)
}

fn last(connection: &mut Connection, mode: Mode, folder: &str) -> Result<RunSummary> {
    let filter = RunFilter { states: Vec::new(), cwd: Some(folder.to_owned()) };
    let mut seen = Vec::new();
    let mut cursor: Option<RunId> = None;
    for _ in 0..PAGES {
        let params = json!({ "filter": filter, "cursor": cursor, "limit": PAGE });
        let page: ListResponse = connection.call("run.list", &params)?;
        seen.extend(page.runs);
        if let Some(found) = unfinished(&seen, mode) {
            return Ok(found.clone());
        }
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    let words = format!("no {} in {folder} is unfinished: nothing to resume", mode.as_str());
    Err(Failure::usage(words)
        .with_hint("copexctl runs list names them all; --resume RUN takes one"))
}

/// The newest of these runs that did not end well and that no other went on with. They are
/// sorted, the newest first.
fn unfinished(runs: &[RunSummary], mode: Mode) -> Option<&RunSummary> {
    let taken_up = |run: RunId| runs.iter().any(|other| other.resumed_from == Some(run));
    let of_mode = runs.iter().filter(|run| run.mode == mode && run.state != RunState::Done);
    of_mode.into_iter().find(|run| !taken_up(run.run))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(number: u64, mode: Mode, state: RunState, resumed_from: Option<u64>) -> RunSummary {
        RunSummary {
            run: RunId::new(number, 1),
            mode,
            state,
            title: String::new(),
            cwd: String::new(),
            model: None,
            session: None,
            last_seq: 1,
            accepted_at: number,
            ended_at: None,
            resumed_from: resumed_from.map(|number| RunId::new(number, 1)),
            needs_key: None,
        }
    }

    #[test]
    fn the_last_one_that_is_still_open_is_taken() {
        let runs = [
            run(6, Mode::Chat, RunState::Failed, None),
            run(5, Mode::Ralph, RunState::Done, Some(3)),
            run(4, Mode::Plan, RunState::Running, None),
            run(3, Mode::Ralph, RunState::Exhausted, None),
            run(2, Mode::Ralph, RunState::Cancelled, None),
            run(1, Mode::Ralph, RunState::Failed, None),
        ];
        let accepted = |mode| unfinished(&runs, mode).map(|run| run.accepted_at);
        assert_eq!(accepted(Mode::Ralph), Some(2), "3 went on as 5, which is done");
        assert_eq!(accepted(Mode::Plan), Some(4));
        assert_eq!(accepted(Mode::Fleet), None);
    }
}
