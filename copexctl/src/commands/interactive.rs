//! `interactive`: a conversation at a prompt.

mod learn;
mod perform;
mod shell;
mod turn;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use copex_proto::config::{Theme, Ui};
use copex_proto::session::SessionDetail;
use serde_json::json;

use crate::cli::{ChatFlags, InteractiveArgs};
use crate::clock;
use crate::commands::{chat, models, watch};
use crate::connect::Connection;
use crate::context::Context;
use crate::conversation::complete::Known;
use crate::conversation::editor::{Editor, Read, Shared};
use crate::conversation::lines::Lines;
use crate::conversation::slash::{self, Line};
use crate::conversation::{Conversation, Next};
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::follow::Source;
use crate::render::{self, brief};
use crate::request;
use turn::Turn;

/// Within so many milliseconds a second Ctrl-C leaves.
const TWICE_MS: u64 = 2_000;

/// Who types.
enum Typist {
    /// A person at a terminal that can be drawn on.
    Editor(Box<Editor>),
    /// Plain lines.
    Lines(Lines, &'static str),
}

/// What to do now.
enum Step {
    /// Go on.
    On,
    /// Leave.
    Leave(Exit),
}

/// A conversation and its terminal.
pub(crate) struct Desk {
    conversation: Conversation,
    typist: Typist,
    known: Shared,
    /// Whether the daemon was asked for names.
    learned: bool,
    /// Whether a signal ends us at once: nothing of the terminal is ours then.
    idle: Arc<AtomicBool>,
    /// The same for Ctrl-C: nothing that it could end is under way.
    waits: Arc<AtomicBool>,
    /// What was typed while the agent worked.
    begun: String,
    /// When Ctrl-C was pressed last, in Unix milliseconds.
    interrupted: u64,
    /// Whether Ctrl-C made us leave.
    left: bool,
    /// How the last turn ended, for whoever pipes prompts in.
    last: Exit,
}

/// Converses until the person leaves.
pub(crate) fn run(mut ctx: Context, args: InteractiveArgs) -> Result<Exit> {
    let InteractiveArgs { prompt, classic, audit, flags } = args;
    refuse(&flags, audit)?;
    request::refuse_unavailable(&flags)?;
    let settings = chat::settle(&mut ctx, &flags)?;
    for text in settings.warnings() {
        render::note(&text);
    }
    let (going_on, resumed) = (flags.continue_last, flags.resume.clone());
    let known = Arc::new(Mutex::new(Known::of(settings.cwd.clone())));
    let typist = if classic {
        Typist::Lines(Lines::default(), "copilot> ")
    } else {
        typist(&ctx, settings.config.ui, &known)?
    };
    let conversation = Conversation::new(ctx, flags, settings);
    let mut desk = Desk {
        conversation,
        typist,
        known,
        learned: false,
        idle: Arc::new(AtomicBool::new(true)),
        waits: Arc::new(AtomicBool::new(true)),
        begun: String::new(),
        interrupted: 0,
        left: false,
        last: Exit::Done,
    };
    desk.catch()?;
    desk.greet();
    if going_on {
        desk.go_on()?;
    }
    if let Some(session) = resumed {
        desk.resume(&session)?;
    }
    if let Some(prompt) = prompt {
        desk.conversation.next.push_back(Next::Line(prompt));
    }
    desk.converse()
}

/// Refuses flags of `chat` that mean nothing here.
fn refuse(flags: &ChatFlags, audit: bool) -> Result<()> {
    if audit {
        return Err(Failure::not_available("--audit")
            .with_hint("`copexctl runs logs RUN` has every tool that ran, and what it gave"));
    }
    let output = &flags.turn.output;
    let senseless = [
        (flags.turn.detach, "--detach"),
        (flags.turn.stdin, "--stdin"),
        (output.json, "--json"),
        (output.jsonl, "--jsonl"),
        (output.output.is_some(), "--output"),
        (!flags.context.is_empty(), "--context"),
        (flags.record.is_some(), "--record"),
    ];
    match senseless.iter().find(|(given, _)| *given) {
        Some((_, name)) => Err(Failure::usage(format!("{name} is for one prompt"))
            .with_hint(format!("copexctl chat {name} …"))),
        None => Ok(()),
    }
}

fn typist(ctx: &Context, ui: Ui, known: &Shared) -> Result<Typist> {
    let terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let term = ctx.env.get("TERM").unwrap_or_default();
    // A line that is drawn anew with each key, and a row that counts, cannot be read aloud.
    let able = !ui.screen_reader && !term.is_empty() && term != "dumb";
    if !terminal || !io::stderr().is_terminal() || !able {
        return Ok(Typist::Lines(Lines::default(), "> "));
    }
    let color = ctx.env.get("NO_COLOR").is_none() && ui.theme != Theme::Mono;
    let editor = Editor::new(&history(ctx), Arc::clone(known), color)?;
    Ok(Typist::Editor(Box::new(editor)))
}

/// Where the lines are kept.
fn history(ctx: &Context) -> PathBuf {
    ctx.state_dir.join("history")
}

impl Desk {
    /// While nothing of the terminal is ours, signals do what they do to anybody.
    fn catch(&self) -> Result<()> {
        use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
        let (idle, waits) = (&self.idle, &self.waits);
        for (signal, when) in [(SIGTERM, idle), (SIGHUP, idle), (SIGINT, waits)] {
            signal_hook::flag::register_conditional_default(signal, Arc::clone(when))?;
        }
        Ok(())
    }

    fn greet(&self) {
        if matches!(self.typist, Typist::Editor(_)) || watch::person() {
            let (version, model) = (env!("CARGO_PKG_VERSION"), self.conversation.model());
            let folder = self.conversation.folder();
            render::note(&format!("{version} · {model} · {folder} · /help, Ctrl-D leaves"));
        }
    }

    fn converse(&mut self) -> Result<Exit> {
        loop {
            let step = match self.conversation.next.pop_front() {
                Some(next) => self.next(next),
                None => match self.read()? {
                    Some(line) => self.line(&line),
                    None => return self.leave(self.last),
                },
            };
            match step {
                Ok(Step::On) => {}
                Ok(Step::Leave(exit)) => return self.leave(exit),
                // What cannot be done is told, and the conversation goes on.
                Err(Failure::OutputClosed) => return Err(Failure::OutputClosed),
                Err(failure) => self.tell(&failure),
            }
        }
    }

    fn tell(&mut self, failure: &Failure) {
        self.last = failure.exit();
        if let Failure::Told { info, .. } = failure {
            render::error(info);
        }
    }

    /// Reads a line; none when there will be no other.
    fn read(&mut self) -> Result<Option<String>> {
        let begun = std::mem::take(&mut self.begun);
        if matches!(self.typist, Typist::Editor(_)) {
            self.learn();
        }
        let editor = match &mut self.typist {
            Typist::Lines(lines, prompt) => return Ok(lines.next(prompt)?),
            Typist::Editor(editor) => editor,
        };
        if let Ok(mut known) = self.known.lock() {
            known.look_again();
        }
        let read = match editor.enter() {
            Ok(ahead) if ahead.lines.is_empty() => self.edit(&format!("{begun}{}", ahead.begun))?,
            Ok(ahead) => {
                self.begun = format!("{begun}{}", ahead.begun);
                self.conversation.next.extend(ahead.lines.into_iter().map(Next::Line));
                return Ok(Some(String::new()));
            }
            Err(error) => Err(error),
        };
        match read {
            Ok(Read::Line(line)) => Ok(Some(line)),
            Ok(Read::End | Read::Expand) => Ok(None),
            Ok(Read::Interrupt) => {
                let now = clock::unix_ms();
                if now.saturating_sub(self.interrupted) < TWICE_MS {
                    (self.last, self.left) = (Exit::Interrupted, true);
                    return Ok(None);
                }
                self.interrupted = now;
                render::note("Ctrl-C again, or Ctrl-D, leaves");
                Ok(Some(String::new()))
            }
            Err(error) => {
                render::note(&format!("this terminal cannot edit lines ({error}): plain ones"));
                self.typist = Typist::Lines(Lines::default(), "> ");
                Ok(Some(begun))
            }
        }
    }

    /// Reads a line that begins with `begun`, in an editor.
    fn edit(&mut self, begun: &str) -> Result<io::Result<Read>> {
        let mut begun = begun;
        loop {
            let Typist::Editor(editor) = &mut self.typist else { return Ok(Ok(Read::End)) };
            match editor.read(begun, &self.conversation.model()) {
                // What was typed is still in the editor.
                Ok(Read::Expand) => begun = "",
                read => return Ok(read),
            }
            self.expand("")?;
        }
    }

    fn next(&mut self, next: Next) -> Result<Step> {
        match next {
            Next::Line(line) => {
                // It stands nowhere near by now.
                if matches!(self.typist, Typist::Editor(_)) {
                    render::note(&format!("next: {}", brief(&line, 60)));
                }
                self.line(&line)
            }
            Next::Run { run, title } => {
                render::note(&format!("going on: {}", brief(&title, 60)));
                self.turn(Source::Watch { run })
            }
            Next::Prompt { text, request, key } => {
                render::note(&format!("next: {}", brief(&text, 60)));
                let source = self.conversation.queued(&text, request, key)?;
                self.turn(source)
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<Step> {
        match slash::read(line) {
            Line::Empty => Ok(Step::On),
            Line::Prompt(text) => {
                let source = self.conversation.prompt(&text)?;
                self.turn(source)
            }
            Line::Slash(slash, rest) => {
                self.step_aside();
                self.perform(slash, &rest)
            }
            Line::Bang(command) => {
                self.step_aside();
                self.shell(&command)
            }
            Line::Wrong(what) => Err(Failure::usage(what)),
        }
    }

    /// Leaves the terminal as anybody expects it.
    fn step_aside(&mut self) {
        if let Typist::Editor(editor) = &mut self.typist {
            editor.leave();
        }
    }

    fn turn(&mut self, source: Source) -> Result<Step> {
        let (begun, editor) = match &mut self.typist {
            Typist::Editor(editor) => (std::mem::take(&mut self.begun), Some(&mut **editor)),
            Typist::Lines(..) => (String::new(), None),
        };
        self.idle.store(false, Ordering::Relaxed);
        self.waits.store(false, Ordering::Relaxed);
        let turned = turn::follow(&mut self.conversation, source, editor, begun);
        self.idle.store(true, Ordering::Relaxed);
        self.waits.store(true, Ordering::Relaxed);
        let Turn { exit, left, begun } = turned?;
        self.begun = begun;
        self.last = exit;
        if left {
            self.left = true;
            return Ok(Step::Leave(Exit::Interrupted));
        }
        if exit == Exit::Interrupted {
            self.interrupted = clock::unix_ms();
        }
        Ok(Step::On)
    }

    /// Leaves: what waits is the daemon's from now on.
    fn leave(&mut self, exit: Exit) -> Result<Exit> {
        self.step_aside();
        let handed = self.conversation.hand_over()?;
        if handed > 0 {
            let prompts =
                if handed == 1 { "a prompt that waited goes" } else { "prompts that waited go" };
            let count = if handed == 1 { String::new() } else { format!("{handed} ") };
            render::note(&format!("{count}{prompts} on without us"));
        }
        if matches!(self.typist, Typist::Lines(..)) {
            return Ok(exit);
        }
        if self.conversation.session_id().is_some() {
            render::note("go on with: copexctl interactive --continue");
        }
        // A person has seen how each turn ended.
        Ok(if exit == Exit::Interrupted && self.left { exit } else { Exit::Done })
    }

    /// Takes up the last conversation of the folder.
    fn go_on(&mut self) -> Result<()> {
        if !self.conversation.take_up_last()? {
            render::note("nothing to continue in this folder: a new conversation");
        }
        Ok(())
    }

    /// Takes up the conversation of a session.
    fn resume(&mut self, session: &str) -> Result<()> {
        let mut connection = Connection::open(&self.conversation.ctx)?;
        let query = models::query(&self.conversation.ctx, &self.conversation.settings);
        let params = json!({ "session": session, "query": query });
        let detail: SessionDetail = connection.call("session.get", &params)?;
        let summary = detail.summary;
        let at_work = self.conversation.take_up(&summary.session.0)?;
        let work = if at_work > 0 { ", at work" } else { "" };
        render::note(&format!("{}: {}{work}", summary.session, brief(&summary.title, 60)));
        Ok(())
    }
}
