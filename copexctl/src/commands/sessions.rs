//! `sessions`: the Copilot CLI's conversations on the disk.

mod doctor;

use std::io::{self, BufRead as _, IsTerminal as _};
use std::path::PathBuf;

use copex_proto::health::BackendQuery;
use copex_proto::session::{
    DeletedSession, ForkResponse, Forker, Holder, SessionDetail, SessionEntry, SessionFilter,
    SessionList, SessionSummary, Speaker,
};
use serde_json::json;

use super::{chat, models};
use crate::cli::{ChatArgs, ResumeArgs, SessionsCommand};
use crate::connect::Connection;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render::{self, brief, clean};
use crate::settings::{self, Given};
use crate::when::moment;

/// Carries out one of the verbs.
pub(crate) fn run(ctx: Context, command: SessionsCommand) -> Result<Exit> {
    match command {
        SessionsCommand::Resume(args) => resume(ctx, *args),
        SessionsCommand::List { here, cwd, limit, json } => {
            let mut asked = Asked::open(&ctx)?;
            let cwd = if here { Some(PathBuf::from(".")) } else { cwd };
            list(&mut asked, cwd, limit, json)
        }
        SessionsCommand::Show { id, json } => show(&mut Asked::open(&ctx)?, &id, json),
        SessionsCommand::Fork { id, json } => fork(&mut Asked::open(&ctx)?, &id, json),
        SessionsCommand::Rm { ids, yes } => remove(&mut Asked::open(&ctx)?, &ids, yes),
        SessionsCommand::Doctor { id, fix, json } => {
            let then = if fix { doctor::Then::Repair } else { doctor::Then::Tell };
            doctor::run(&mut Asked::open(&ctx)?, id.as_deref(), then, json)
        }
    }
}

/// A daemon, and where this user's sessions are.
struct Asked {
    connection: Connection,
    query: BackendQuery,
}

impl Asked {
    fn open(ctx: &Context) -> Result<Self> {
        let settings = settings::load(ctx, Given::default())?;
        let mut ctx = ctx.clone();
        ctx.auto_start = settings.config.auto_start;
        let query = models::query(&ctx, &settings);
        Ok(Self { connection: Connection::open(&ctx)?, query })
    }

    fn session<T: serde::de::DeserializeOwned>(&mut self, method: &str, id: &str) -> Result<T> {
        let params = json!({ "session": id, "query": self.query });
        self.connection.call(method, &params)
    }
}

/// The same as `chat --resume ID`.
fn resume(ctx: Context, args: ResumeArgs) -> Result<Exit> {
    let ResumeArgs { id, prompt, mut flags } = args;
    if flags.continue_last || flags.resume.is_some() {
        let other = if flags.continue_last { "--continue" } else { "--resume" };
        return Err(Failure::usage(format!(
            "`sessions resume` names the session; {other} does too"
        )));
    }
    flags.resume = Some(id);
    chat::run(ctx, ChatArgs { prompt, flags })
}

fn list(asked: &mut Asked, cwd: Option<PathBuf>, limit: u32, json: bool) -> Result<Exit> {
    let absolute = |path: PathBuf| match std::fs::canonicalize(&path) {
        Ok(path) => Ok(path.display().to_string()),
        Err(error) => Err(Failure::file("find", &path, &error)),
    };
    let filter = SessionFilter { cwd: cwd.map(absolute).transpose()? };
    let params = json!({ "filter": filter, "limit": limit, "query": asked.query });
    let list: SessionList = asked.connection.call("session.list", &params)?;
    if json {
        render::value(&list)?;
        return Ok(Exit::Done);
    }
    if list.sessions.is_empty() {
        render::note("no session");
    }
    let rows: Vec<_> = list.sessions.iter().map(row).collect();
    render::text(render::table(&rows).as_bytes())?;
    if list.more {
        render::note("there are more: -n N");
    }
    Ok(Exit::Done)
}

fn row(session: &SessionSummary) -> Vec<String> {
    let turns = match session.turns {
        Some(1) => "1 turn".to_owned(),
        Some(turns) => format!("{turns} turns"),
        None => "many turns".to_owned(),
    };
    let run = session.run.map_or_else(|| "-".to_owned(), |run| run.to_string());
    let held = session.held_by.map_or_else(|| "-".to_owned(), holder);
    vec![
        session.session.to_string(),
        moment(session.used_at),
        turns,
        render::bytes(session.size_bytes),
        run,
        held,
        clean(session.cwd.as_deref().unwrap_or("?")),
        title(session),
    ]
}

fn title(session: &SessionSummary) -> String {
    if session.title.is_empty() {
        return "(nothing can be read)".to_owned();
    }
    brief(&session.title, 60)
}

fn holder(held: Holder) -> String {
    let whose = if held.ours { "copexd" } else { "open" };
    format!("{whose}:{}", held.pid)
}

fn show(asked: &mut Asked, id: &str, json: bool) -> Result<Exit> {
    let detail: SessionDetail = asked.session("session.get", id)?;
    if json {
        render::value(&detail)?;
    } else {
        render::text(detail_text(&detail).as_bytes())?;
    }
    Ok(Exit::Done)
}

fn detail_text(detail: &SessionDetail) -> String {
    let summary = &detail.summary;
    let mut rows = vec![vec!["session".to_owned(), summary.session.to_string()]];
    let mut add = |name: &str, text: Option<String>| {
        rows.extend(text.map(|text| vec![name.to_owned(), clean(&text)]));
    };
    add("title", Some(title(summary)));
    add("folder", summary.cwd.clone());
    add("began", detail.created_at.map(moment));
    add("last used", Some(moment(summary.used_at)));
    add("turns", summary.turns.map(|turns| turns.to_string()));
    add("run", summary.run.map(|run| run.to_string()));
    add("Copilot CLI", detail.copilot_version.clone());
    add("size", Some(render::bytes(summary.size_bytes)));
    add("on disk", Some(detail.folder.clone()));
    add(
        "open in",
        summary.held_by.map(|held| {
            let whose = if held.ours { "a runtime of copexd" } else { "another process" };
            format!("{whose} ({})", held.pid)
        }),
    );
    let mut text = render::table(&rows);
    if detail.more {
        text.push_str("\n… what was said before is in the transcript\n");
    }
    for entry in &detail.entries {
        text.push('\n');
        text.push_str(&entry_text(entry));
    }
    text
}

fn entry_text(entry: &SessionEntry) -> String {
    let cut = if entry.clipped { " …" } else { "" };
    match entry.by {
        Speaker::User => format!("> {}{cut}\n", clean(entry.text.trim()).replace('\n', "\n> ")),
        Speaker::Assistant => format!("{}{cut}\n", clean(entry.text.trim())),
        Speaker::Tool => {
            let name = entry.tool.as_deref().unwrap_or("tool");
            let end = match entry.success {
                Some(true) => "",
                Some(false) => " (failed)",
                None => " (has not ended)",
            };
            let result = brief(entry.result.as_deref().unwrap_or_default(), 100);
            let called = brief(&entry.text, 100);
            let result = if result.is_empty() { result } else { format!("  {result}\n") };
            format!("[{}{end}] {called}\n{result}", clean(name))
        }
    }
}

fn fork(asked: &mut Asked, id: &str, json: bool) -> Result<Exit> {
    let fork: ForkResponse = asked.session("session.fork", id)?;
    if json {
        render::value(&fork)?;
        return Ok(Exit::Done);
    }
    if fork.by == Forker::Copex {
        render::note(&format!("{} is broken: the fork has what can be read of it", fork.from));
    }
    render::line(&fork.session.0)?;
    Ok(Exit::Done)
}

fn remove(asked: &mut Asked, ids: &[String], yes: bool) -> Result<Exit> {
    if !yes && !io::stdin().is_terminal() {
        return Err(Failure::usage("what was said in a session is gone with it")
            .with_hint("say --yes where nobody can be asked"));
    }
    let mut exit = Exit::Done;
    for id in ids {
        match remove_one(asked, id, yes) {
            Ok(()) => {}
            // The others are no worse for it.
            Err(Failure::Told { info, exit: worse, .. }) if ids.len() > 1 => {
                render::error(&info);
                exit = worse;
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(exit)
}

fn remove_one(asked: &mut Asked, id: &str, yes: bool) -> Result<()> {
    let whole = if yes {
        id.to_owned()
    } else {
        let detail: SessionDetail = asked.session("session.get", id)?;
        let summary = detail.summary;
        let size = render::bytes(summary.size_bytes);
        let title = title(&summary);
        render::note(&format!("remove {}, {title}, {size}? [y/N]", summary.session));
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
            render::note("it stays");
            return Ok(());
        }
        summary.session.0
    };
    let gone: DeletedSession = asked.session("session.delete", &whole)?;
    render::line(&format!("{} removed, {}", gone.session, render::bytes(gone.freed_bytes)))?;
    Ok(())
}
