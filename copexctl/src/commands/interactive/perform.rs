//! What the slash commands do.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::Ordering;

use clap::error::ContextKind;
use clap::{CommandFactory as _, FromArgMatches as _};
use copex_proto::event::Usage;
use copex_proto::health::{ListResponse, ModelList, RunFilter};
use copex_proto::run::{Effort, RunDetail};
use copex_proto::session::SessionList;
use copex_proto::spend::SpendReport;
use serde_json::json;

use super::{Desk, Step, Typist};
use crate::cli::{ApprovalFlags, Cli, Command, TurnFlags};
use crate::commands::{self, chat, models, watch};
use crate::connect::Connection;
use crate::context::Context;
use crate::conversation::slash::{self, Slash, TABLE, Verb};
use crate::error::{Failure, Result};
use crate::render::{self, brief, cost};

/// Runs of a conversation whose cost is summed, at most.
const MOST_RUNS: u32 = 500;

/// Conversations that are offered.
const SESSIONS: u32 = 20;

impl Desk {
    /// Carries out a slash command.
    pub(super) fn perform(&mut self, slash: Slash, rest: &str) -> Result<Step> {
        match slash.verb {
            Verb::Model => self.model(rest)?,
            Verb::Reasoning => self.reasoning(rest)?,
            Verb::New => {
                self.conversation.leave();
                render::note("a new conversation begins with the next prompt");
            }
            Verb::Resume if rest.is_empty() => self.offer()?,
            Verb::Resume => self.resume(rest)?,
            Verb::Cost => self.cost()?,
            Verb::Compact => {
                if self.conversation.session_id().is_none() {
                    return Err(Failure::usage("there is nothing to compact yet"));
                }
                let source = self.conversation.compaction()?;
                return self.turn(source);
            }
            Verb::Queue if rest.is_empty() => return Err(Failure::usage("/queue takes a prompt")),
            Verb::Queue => {
                let source = self.conversation.prompt(rest)?;
                return self.turn(source);
            }
            Verb::Expand => self.expand(rest)?,
            Verb::Mode | Verb::Shell => self.command(slash, rest)?,
            Verb::Help if !rest.is_empty() => self.command(slash, rest)?,
            Verb::Help => render::text(help().as_bytes())?,
            Verb::Clear => self.clear()?,
            Verb::Exit => return Ok(Step::Leave(self.last)),
        }
        Ok(Step::On)
    }

    /// The settings once more, after a flag changed. They stay as they were when that cannot be.
    fn settle(&mut self, change: impl FnOnce(&mut TurnFlags)) -> Result<()> {
        let mut flags = self.conversation.flags.clone();
        change(&mut flags.turn);
        self.conversation.settings = chat::settle(&mut self.conversation.ctx, &flags)?;
        self.conversation.flags = flags;
        Ok(())
    }

    fn model(&mut self, name: &str) -> Result<()> {
        let models = self.models();
        if name.is_empty() {
            render::note(&format!("{}; /model NAME changes it", self.conversation.model()));
            return Ok(());
        }
        if name.contains(char::is_whitespace) {
            return Err(Failure::usage("/model takes one name"));
        }
        self.settle(|turn| turn.model = Some(name.to_owned()))?;
        let mut told = format!("the next turn asks {}", self.conversation.model());
        if !models.is_empty() && !models.iter().any(|model| model == name) {
            let near = copex_proto::config::nearest(name, models.iter().map(String::as_str));
            let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
            let _ = write!(told, ", which no list of models has{near}");
        }
        render::note(&told);
        Ok(())
    }

    fn reasoning(&mut self, level: &str) -> Result<()> {
        if level.is_empty() {
            let names: Vec<_> = Effort::ALL.iter().map(|effort| effort.as_str()).collect();
            render::note(&format!("{}; one of {}", self.conversation.model(), names.join(", ")));
            return Ok(());
        }
        self.settle(|turn| turn.reasoning = Some(level.to_owned()))?;
        render::note(&format!("the next turn asks {}", self.conversation.model()));
        Ok(())
    }

    /// Models by name, asked for once. None where they cannot be told.
    fn models(&mut self) -> Vec<String> {
        let known = self.known.lock().map(|known| known.models.clone()).unwrap_or_default();
        if !known.is_empty() {
            return known;
        }
        let query = models::query(&self.conversation.ctx, &self.conversation.settings);
        let asked = Connection::open(&self.conversation.ctx)
            .and_then(|mut it| it.call::<ModelList>("model.list", &json!({ "query": query })));
        let models: Vec<String> =
            asked.map(|list| list.models.into_iter().map(|it| it.id).collect()).unwrap_or_default();
        if let Ok(mut known) = self.known.lock() {
            known.models.clone_from(&models);
        }
        models
    }

    /// Conversations of the folder, to pick from.
    fn offer(&mut self) -> Result<()> {
        let conversation = &self.conversation;
        let query = models::query(&conversation.ctx, &conversation.settings);
        let filter = json!({ "cwd": conversation.folder() });
        let params = json!({ "filter": filter, "limit": SESSIONS, "query": query });
        let list: SessionList =
            Connection::open(&conversation.ctx)?.call("session.list", &params)?;
        let named: Vec<(String, String)> =
            list.sessions.iter().map(|it| (it.session.0.clone(), brief(&it.title, 60))).collect();
        let rows: Vec<_> =
            named.iter().map(|(id, title)| vec![id.clone(), title.clone()]).collect();
        render::text(render::table(&rows).as_bytes())?;
        render::note(if rows.is_empty() { "no conversation" } else { "/resume ID takes one up" });
        if let Ok(mut known) = self.known.lock() {
            known.sessions = named;
        }
        Ok(())
    }

    fn cost(&mut self) -> Result<()> {
        let mut connection = Connection::open(&self.conversation.ctx)?;
        let mut usage = Usage::default();
        let mut count = 0_u32;
        if let Some(session) = self.conversation.session_id() {
            let filter = RunFilter { states: Vec::new(), cwd: None };
            let params = json!({ "filter": filter, "limit": MOST_RUNS });
            let list: ListResponse = connection.call("run.list", &params)?;
            let ours = |run: &&copex_proto::run::RunSummary| {
                run.session.as_ref().is_some_and(|it| it.0 == session)
            };
            for run in list.runs.iter().filter(ours) {
                let detail: RunDetail = connection.call("run.get", &json!({ "run": run.run }))?;
                usage.add(&detail.usage);
                count += 1;
            }
        }
        let mut begun = Usage::default();
        let met = self.conversation.ctx.met.lock().map(|met| met.clone()).unwrap_or_default();
        let met: BTreeSet<_> = met.into_iter().collect();
        let mut others = 0_u32;
        for run in met {
            let detail: RunDetail = connection.call("run.get", &json!({ "run": run }))?;
            let own = detail.summary.session.as_ref().map(|it| it.0.as_str());
            if own.is_none() || own != self.conversation.session_id() {
                begun.add(&detail.usage);
                others += 1;
            }
        }
        let spent: SpendReport = connection.call("spend.get", &json!({ "by": "day" }))?;
        let mut rows = vec![("this conversation", &usage, Some((count, "turn")))];
        if others > 0 {
            rows.push(("runs begun here", &begun, Some((others, "run"))));
        }
        rows.push(("today, in all", &spent.today.usage, None));
        let rows: Vec<_> = rows
            .iter()
            .map(|(name, usage, counted)| {
                let counted = counted
                    .map(|(n, what)| format!("{n} {what}{}, ", if n == 1 { "" } else { "s" }))
                    .unwrap_or_default();
                let tokens = format!(
                    "{counted}{} tokens in, {} out",
                    usage.input_tokens, usage.output_tokens
                );
                vec![(*name).to_owned(), tokens, cost(usage).unwrap_or_default()]
            })
            .collect();
        render::text(render::table(&rows).as_bytes())?;
        Ok(())
    }

    /// Shows a tool call in full, below what stands there.
    pub(super) fn expand(&mut self, which: &str) -> Result<()> {
        match self.conversation.expand(which) {
            Ok(lines) => {
                let conversation = &self.conversation;
                let mut view =
                    watch::view(&conversation.ctx, &conversation.flags.turn.output, &[])?;
                view.show(&lines)?;
                view.close();
            }
            Err(words) => render::note(&words),
        }
        Ok(())
    }

    fn clear(&mut self) -> Result<()> {
        if let Typist::Editor(editor) = &mut self.typist {
            editor.clear()?;
        }
        Ok(())
    }

    /// A command of the shell, with the flags of the conversation where it takes them.
    fn command(&mut self, slash: Slash, rest: &str) -> Result<()> {
        let one_task = matches!(slash.name, "ralph" | "plan" | "council");
        let words = slash::arguments(rest, one_task)
            .map_err(|why| Failure::usage(format!("/{}: {why}", slash.name)))?;
        if slash.verb == Verb::Mode && words.is_empty() {
            return Err(Failure::usage(format!("/{} takes a task", slash.name))
                .with_hint(format!("/{} {}", slash.name, slash.takes)));
        }
        let mut line = vec!["copexctl".to_owned(), slash.name.to_owned()];
        if words.is_empty() {
            let listed: &[&str] = match slash.name {
                "sessions" => &["list", "--here"],
                "skills" | "mcp" => &["list"],
                _ => &[],
            };
            line.extend(listed.iter().map(|word| (*word).to_owned()));
        }
        // A name alone, as Tab completes it, is a skill to show.
        if let ("skills", [name]) = (slash.name, words.as_slice())
            && !name.starts_with('-')
            && !["list", "show"].contains(&name.as_str())
        {
            line.push("show".to_owned());
        }
        line.extend(words);
        let parsed = Cli::command()
            .try_get_matches_from(&line)
            .and_then(|matches| Cli::from_arg_matches(&matches));
        let mut cli = match parsed {
            Ok(cli) => cli,
            Err(error) => return misread(slash, &error),
        };
        let flags = &self.conversation.flags.turn;
        match &mut cli.command {
            Some(Command::Ralph(args)) if args.resume.is_none() => inherit(&mut args.turn, flags),
            Some(Command::Plan(args)) if args.resume.is_none() => inherit(&mut args.turn, flags),
            Some(Command::Fleet(args)) if args.resume.is_none() => inherit(&mut args.turn, flags),
            Some(Command::Council(args)) if args.resume.is_none() => inherit(&mut args.turn, flags),
            _ => {}
        }
        let own = Context { met: self.conversation.ctx.met.clone(), ..Context::read()? };
        // A run that is looked at is cancelled by Ctrl-C; a list that takes long is not waited for.
        self.waits.store(slash.verb != Verb::Mode, Ordering::Relaxed);
        let ended = commands::carry_out(cli, || Ok(own));
        self.waits.store(true, Ordering::Relaxed);
        self.last = ended?;
        Ok(())
    }
}

/// What a command was told that it does not take, in one line; its help, where that was wanted.
fn misread(slash: Slash, error: &clap::Error) -> Result<()> {
    if !error.use_stderr() {
        let _ = error.print();
        return Ok(());
    }
    let text = error.to_string();
    let text = text.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
    let words: Vec<_> = text.split_whitespace().collect();
    let meant = [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand];
    let mut meant = meant.iter().chain([&ContextKind::SuggestedValue]);
    let near = meant.find_map(|kind| error.get(*kind));
    let near = near.map(|near| format!("; did you mean {near}?")).unwrap_or_default();
    let name = slash.name;
    Err(Failure::usage(format!("/{name}: {}{near}", words.join(" ")))
        .with_hint(format!("/{name} --help says what it takes")))
}

/// Takes what the conversation has and the command was not told.
fn inherit(turn: &mut TurnFlags, from: &TurnFlags) {
    fn or<T: Clone>(own: &mut Option<T>, from: Option<&T>) {
        if own.is_none() {
            *own = from.cloned();
        }
    }
    or(&mut turn.model, from.model.as_ref());
    or(&mut turn.reasoning, from.reasoning.as_ref());
    or(&mut turn.config, from.config.as_ref());
    or(&mut turn.cwd, from.cwd.as_ref());
    or(&mut turn.system, from.system.as_ref());
    or(&mut turn.timeout, from.timeout.as_ref());
    or(&mut turn.max_retries, from.max_retries.as_ref());
    turn.use_cli |= from.use_cli;
    turn.strict_model |= from.strict_model;
    if turn.fallback.is_empty() {
        turn.fallback.clone_from(&from.fallback);
    }
    let chosen = |it: &ApprovalFlags| {
        it.approval.is_some() || it.auto_approve || it.approve || it.dry_run || it.allow_all
    };
    let (allow, deny) = (&mut turn.approval.allow_tool, &mut turn.approval.deny_tool);
    allow.extend_from_slice(&from.approval.allow_tool);
    deny.extend_from_slice(&from.approval.deny_tool);
    if !chosen(&turn.approval) {
        let ApprovalFlags { allow_tool, deny_tool, .. } = std::mem::take(&mut turn.approval);
        turn.approval = ApprovalFlags { allow_tool, deny_tool, ..from.approval.clone() };
    }
    let tools = &mut turn.tools;
    or(&mut tools.available_tools, from.tools.available_tools.as_ref());
    tools.excluded_tools.extend_from_slice(&from.tools.excluded_tools);
    tools.skill_dir.extend_from_slice(&from.tools.skill_dir);
    tools.disable_skill.extend_from_slice(&from.tools.disable_skill);
    tools.no_auto_skills |= from.tools.no_auto_skills;
    tools.mcp_config.extend_from_slice(&from.tools.mcp_config);
}

/// The commands and the keys.
fn help() -> String {
    const KEYS: [(&str, &str); 11] = [
        ("Enter", "send; while the agent works: tell it, before its next step"),
        ("Alt-Enter", "another line; while the agent works: say it after this turn"),
        ("\\ at the end", "another line"),
        ("Tab", "complete a command, a model, or a file after @"),
        ("Up, Down, Ctrl-R", "what was typed before"),
        ("Ctrl-O", "the last tool call in full; again: the one before"),
        ("Ctrl-L", "clear the screen"),
        ("Ctrl-C", "clear the line; cancel the turn; on an empty line twice within 2 s: leave"),
        ("Ctrl-D", "on an empty line: leave; what is at work goes on"),
        ("!COMMAND", "a command of your shell, in this folder; the agent is not told"),
        ("//, !!", "at the beginning: a / or ! that is the agent's"),
    ];
    let mut rows: Vec<Vec<String>> = Vec::new();
    for Slash { name, takes, about, .. } in TABLE {
        rows.push(vec![format!("/{name} {takes}").trim_end().to_owned(), about.to_owned()]);
    }
    let mut text = render::table(&rows);
    text.push('\n');
    let keys: Vec<_> =
        KEYS.iter().map(|(key, does)| vec![(*key).to_owned(), (*does).to_owned()]).collect();
    let _ = write!(text, "{}", render::table(&keys));
    text
}
