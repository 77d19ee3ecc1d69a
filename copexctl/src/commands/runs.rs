//! `runs`: what the daemon did and does.

use std::collections::BTreeMap;

use copex_proto::ask::AskList;
use copex_proto::error::ErrorClass;
use copex_proto::event::RunEvent;
use copex_proto::health::{CancelResponse, ListResponse, RunFilter, SubmitResponse};
use copex_proto::id::{RunId, Seq};
use copex_proto::run::{RunDetail, RunState, RunSummary};
use copex_proto::secret::Secret;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::cli::{RunsCommand, StateName};
use crate::commands::watch::watch;
use crate::commands::{explain, inbox};
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::follow::{OnInterrupt, Source};
use crate::render::{self, brief, countdown, duration};
use crate::request;
use crate::snapshot;
use crate::when::moment;

/// The states of runs that have not ended.
pub(crate) const ACTIVE: [RunState; 4] =
    [RunState::Queued, RunState::Running, RunState::Asking, RunState::Parked];

/// Runs asked for at once while an abbreviated id is looked for.
const PAGE: u32 = 500;

/// Events asked for at once.
const EVENTS: u32 = 1024;

/// The shortest part of an id.
const SHORTEST: usize = 4;

/// Carries out one of the verbs.
pub(crate) fn run(ctx: &Context, command: RunsCommand) -> Result<Exit> {
    match command {
        RunsCommand::List { state, active, cwd, limit, json } => {
            let states = if active {
                ACTIVE.to_vec()
            } else {
                state.into_iter().map(RunState::from).collect()
            };
            let cwd = match cwd {
                Some(path) => Some(
                    std::fs::canonicalize(&path)
                        .map_err(|error| Failure::file("find", &path, &error))?
                        .display()
                        .to_string(),
                ),
                None => None,
            };
            list(ctx, &RunFilter { states, cwd }, limit, json.into())
        }
        RunsCommand::Show { id, json } => show(ctx, &id, json.into()),
        RunsCommand::Attach { id, output } => {
            let run = find(&mut Connection::open(ctx)?, &id)?;
            watch(ctx, Source::Watch { run }, &output, OnInterrupt::Leave, &[])
        }
        RunsCommand::Cancel { id } => cancel(ctx, &id),
        RunsCommand::Resume { id, prompt, now, detach, limits, output } => {
            let limits = request::limits(&limits)?;
            let mut connection = Connection::open(ctx)?;
            let run = find(&mut connection, &id)?;
            let secrets = secrets(ctx, &mut connection, run)?;
            let params = json!({ "run": run, "prompt": prompt, "limits": limits, "now": now, "secrets": secrets });
            let new: SubmitResponse = connection.call("run.resume", &params)?;
            if detach {
                render::line(new.run.as_str())?;
                return Ok(Exit::Done);
            }
            watch(ctx, Source::Watch { run: new.run }, &output, OnInterrupt::Cancel, &[])
        }
        RunsCommand::Explain { id, json } => {
            let mut connection = Connection::open(ctx)?;
            let run = find(&mut connection, &id)?;
            explain::run(&mut connection, run, json)
        }
        RunsCommand::Answer { ask, answer } => inbox::reply(ctx, &ask, &answer, None),
        RunsCommand::Logs { id, jsonl } => logs(ctx, &id, jsonl.into()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    People,
    Programs,
}

impl From<bool> for Form {
    fn from(json: bool) -> Self {
        if json { Self::Programs } else { Self::People }
    }
}

impl From<StateName> for RunState {
    fn from(name: StateName) -> Self {
        match name {
            StateName::Queued => Self::Queued,
            StateName::Running => Self::Running,
            StateName::Asking => Self::Asking,
            StateName::Parked => Self::Parked,
            StateName::Done => Self::Done,
            StateName::Failed => Self::Failed,
            StateName::Blocked => Self::Blocked,
            StateName::Exhausted => Self::Exhausted,
            StateName::Cancelled => Self::Cancelled,
        }
    }
}

/// What the request of a run refers to for secrets, as far as it is set here.
pub(crate) fn secrets(
    ctx: &Context,
    connection: &mut Connection,
    run: RunId,
) -> Result<BTreeMap<String, Secret>> {
    let detail: RunDetail = connection.call("run.get", &json!({ "run": run }))?;
    Ok(snapshot::named(&ctx.env, detail.secrets))
}

/// How a run of a list stands.
pub(crate) fn standing(run: &RunSummary) -> String {
    if run.needs_key.is_some() { "needs_key".to_owned() } else { state_name(run.state) }
}

/// A state's name on the wire.
pub(crate) fn state_name(state: RunState) -> String {
    serde_json::to_value(state)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn list(ctx: &Context, filter: &RunFilter, limit: u32, form: Form) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let params = json!({ "filter": filter, "limit": limit });
    let listing = connection.send("run.list", &params)?;
    let waiting = inbox::count(&mut connection)?;
    let list: ListResponse = connection.answer(listing)?;
    if form == Form::Programs {
        render::value(&list)?;
        return Ok(Exit::Done);
    }
    let rows: Vec<_> = list
        .runs
        .iter()
        .map(|run| {
            vec![
                run.run.to_string(),
                standing(run),
                moment(run.accepted_at),
                run.mode.as_str().to_owned(),
                brief(&run.title, 60),
            ]
        })
        .collect();
    render::text(render::table(&rows).as_bytes())?;
    if list.cursor.is_some() {
        render::note("there are more: -n N");
    }
    let waiting: AskList = connection.answer(waiting)?;
    if let Some(words) = inbox::waiting(waiting.waiting) {
        render::note(&words);
    }
    Ok(Exit::Done)
}

fn show(ctx: &Context, id: &str, form: Form) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let run = find(&mut connection, id)?;
    let detail: RunDetail = connection.call("run.get", &json!({ "run": run }))?;
    if form == Form::Programs {
        render::value(&detail)?;
    } else {
        render::text(detail_text(&detail).as_bytes())?;
    }
    Ok(Exit::Done)
}

fn detail_text(detail: &RunDetail) -> String {
    let summary = &detail.summary;
    let mut rows = vec![
        vec!["run".to_owned(), summary.run.to_string()],
        vec!["state".to_owned(), standing(summary)],
        vec!["title".to_owned(), brief(&summary.title, 100)],
        vec!["folder".to_owned(), summary.cwd.clone()],
        vec!["accepted".to_owned(), moment(summary.accepted_at)],
    ];
    let mut add = |name: &str, text: Option<String>| {
        if let Some(text) = text {
            rows.push(vec![name.to_owned(), text]);
        }
    };
    add("ended", summary.ended_at.map(moment));
    add("took", detail.outcome.as_ref().map(|outcome| duration(outcome.duration_ms)));
    add("model", summary.model.clone());
    add("session", summary.session.as_ref().map(ToString::to_string));
    add("resumed from", summary.resumed_from.map(|run| run.to_string()));
    let usage = &detail.usage;
    let tokens = format!("{} in, {} out", usage.input_tokens, usage.output_tokens);
    add("tokens", Some(tokens));
    add("cost", render::cost(usage));
    if summary.state == RunState::Parked {
        let run = summary.run.as_str();
        let key = summary.needs_key.as_ref();
        let key =
            key.map(|name| format!("copexctl runs resume {run}, where the key is set in {name}"));
        add("parked", Some(key.unwrap_or_else(|| countdown::way_on(run))));
    }
    for ask in &detail.asks {
        add("waits for", Some(format!("an answer: copexctl inbox show {ask}")));
    }
    add("error", detail.error.as_ref().map(|error| error.message.clone()));
    add("hint", detail.error.as_ref().and_then(|error| error.hint.clone()));
    let mut text = render::table(&rows);
    if let Some(outcome) = detail.outcome.as_ref().filter(|outcome| !outcome.content.is_empty()) {
        text.push('\n');
        text.push_str(outcome.content.trim_end());
        text.push('\n');
    }
    text
}

fn cancel(ctx: &Context, id: &str) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let run = find(&mut connection, id)?;
    let answer: CancelResponse = connection.call("run.cancel", &json!({ "run": run }))?;
    render::line(&format!("{run} {}", state_name(answer.state)))?;
    Ok(Exit::Done)
}

#[derive(Deserialize)]
struct Page {
    events: Vec<Box<RawValue>>,
    next_after: Seq,
}

fn logs(ctx: &Context, id: &str, form: Form) -> Result<Exit> {
    let mut connection = Connection::open(ctx)?;
    let run = find(&mut connection, id)?;
    let mut after = 0;
    loop {
        let params = json!({ "run": run, "after": after, "limit": EVENTS });
        let page: Page = connection.call("run.events", &params)?;
        if page.events.is_empty() {
            return Ok(Exit::Done);
        }
        for raw in &page.events {
            match (form, serde_json::from_str::<RunEvent>(raw.get())) {
                (Form::People, Ok(event)) => {
                    render::line(&render::json::log_line(&event, raw.get()))?;
                }
                _ => render::line(raw.get())?,
            }
        }
        after = page.next_after;
    }
}

/// The run that `id` names: whole, or by four or more characters of its beginning or end.
pub(crate) fn find(connection: &mut Connection, id: &str) -> Result<RunId> {
    if let Ok(run) = id.parse() {
        return Ok(run);
    }
    if id.len() < SHORTEST {
        return Err(Failure::usage(format!(
            "`{id}` is too short: give {SHORTEST} characters of the id"
        )));
    }
    let mut found: Vec<RunId> = Vec::new();
    let mut cursor: Option<RunId> = None;
    loop {
        let params = json!({ "cursor": cursor, "limit": PAGE });
        let page: ListResponse = connection.call("run.list", &params)?;
        found.extend(matching(&page.runs, id));
        cursor = page.cursor;
        if cursor.is_none() || found.len() > 1 {
            break;
        }
    }
    match found.as_slice() {
        [run] => Ok(*run),
        [] => {
            let words = format!("no run is named `{id}`");
            Err(Failure::new(ErrorClass::NotFound, words).with_hint("copexctl runs list"))
        }
        [first, second, ..] => {
            Err(Failure::usage(format!("`{id}` names more than one run: {first}, {second}")))
        }
    }
}

fn matching<'a>(runs: &'a [RunSummary], id: &'a str) -> impl Iterator<Item = RunId> + 'a {
    runs.iter()
        .map(|run| run.run)
        .filter(move |run| run.as_str().starts_with(id) || run.as_str().ends_with(id))
}
