//! What a person types while the agent works: a line at the bottom of the terminal, below a
//! stream that goes on.
//!
//! The two last rows are taken out of what the terminal scrolls, so the view above writes as if
//! it were alone: nothing it prints can tear the line, and the line never moves what is above.
//!
//! Invariant: whatever way this ends, the terminal is given back whole; what was typed and not
//! sent is kept for the next prompt.

mod bar;
pub(crate) mod entry;
mod held;

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{AnsweredBy, EventBody, RunEvent};
use copex_proto::id::AskId;
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use nix::sys::signal::{Signal, raise};
use serde_json::json;

use super::Conversation;
use super::Next;
use super::editor::Editor;
use super::raw::Taker;
use super::slash::{self, Line, Verb};
use crate::answer::words;
use crate::clock;
use crate::follow::{Call, Reply, Typed, View};
use crate::render::brief;
use crate::render::screen::signals::{Signals, obey};
use crate::render::styled;
use bar::Bar;
use entry::Entry;
use held::Held;

/// Between two drawings when nothing is typed.
const TICK: Duration = Duration::from_secs(1);

/// How long is waited for another key once there was one. A wait of nothing would not even
/// look.
const KEYS: Duration = Duration::from_millis(2);

/// How long a note that waits for the end of a paragraph stands in the bar, in milliseconds:
/// long enough to be read.
const SHOWN_MS: u64 = 3_000;

/// Characters of a prompt in a note.
const BRIEF: usize = 60;

/// What a call that was made is about.
#[derive(Debug)]
enum About {
    /// Words to the turn under way.
    Words(String),
    /// A prompt for after it.
    Prompt,
}

/// A view of a turn, and the line below it.
pub(crate) struct Composer<'a> {
    inner: Box<dyn View>,
    conversation: &'a mut Conversation,
    editor: &'a mut Editor,
    line: Entry,
    signals: Signals,
    bar: Bar,
    since: u64,
    /// Questions that wait for the next lines.
    asked: Vec<AskId>,
    /// Whether another program has the terminal.
    away: bool,
    outbox: VecDeque<(Call, About)>,
    /// Calls on their way to the connection, and those that are on it.
    leaving: VecDeque<About>,
    waiting: Vec<(u64, About)>,
    /// Words that the run's log does not have yet.
    words: Vec<String>,
    /// Notes that wait, and the last with the time when it was made.
    held: Held,
    held_last: Option<(String, u64)>,
}

impl<'a> Composer<'a> {
    /// Below `inner`, for a turn of this conversation, with a line that was begun before.
    ///
    /// # Errors
    /// When stdin is no terminal, or signals cannot be received.
    pub(crate) fn new(
        inner: Box<dyn View>,
        conversation: &'a mut Conversation,
        editor: &'a mut Editor,
        begun: &str,
    ) -> io::Result<Self> {
        let signals = Signals::catch()?;
        let ahead = editor.take(Taker::Turn)?;
        let mut line = Entry::default();
        line.insert(begun);
        line.insert(&ahead.begun);
        let bar = Bar::new(conversation.ctx.env.get("NO_COLOR").is_none());
        let mut composer = Self {
            inner,
            conversation,
            editor,
            line,
            signals,
            bar,
            since: clock::unix_ms(),
            asked: Vec::new(),
            away: false,
            outbox: VecDeque::new(),
            leaving: VecDeque::new(),
            waiting: Vec::new(),
            words: Vec::new(),
            held: Held::default(),
            held_last: None,
        };
        composer.bar.enter()?;
        ahead.lines.iter().try_for_each(|line| composer.said(line))?;
        composer.draw()?;
        Ok(composer)
    }

    /// Gives the terminal back. What was typed and not sent, or sent and not seen again.
    pub(crate) fn leave(mut self) -> String {
        self.give_back();
        let mut left: Vec<String> = std::mem::take(&mut self.words);
        if !self.line.is_empty() {
            left.push(self.line.take());
        }
        left.join("\n")
    }

    /// Leaves the rows, for a prompt.
    fn give_back(&mut self) {
        self.bar.leave();
        // A terminal that is gone is seen by who reads from it.
        let _ = self.editor.take(Taker::Prompt);
    }

    /// Leaves all of the terminal, for another program.
    fn step_aside(&mut self) {
        self.bar.leave();
        self.editor.leave();
    }

    /// Takes it again. What was typed meanwhile was not for a line that nobody saw: it waits
    /// there to be sent.
    fn step_back(&mut self) -> io::Result<()> {
        let ahead = self.editor.take(Taker::Turn)?;
        let typed: Vec<String> = ahead.lines.into_iter().chain([ahead.begun]).collect();
        self.line.insert(typed.join("\n").trim_end());
        self.bar.enter()
    }

    fn draw(&mut self) -> io::Result<()> {
        let now = clock::unix_ms();
        let seconds = now.saturating_sub(self.since) / 1_000;
        self.held_last.take_if(|(_, at)| now.saturating_sub(*at) > SHOWN_MS);
        let queued = self.conversation.next.len();
        let waits = match queued {
            0 => String::new(),
            _ => format!(" · {queued} queued"),
        };
        let status = if let Some(choices) = self.line.choices() {
            choices
        } else if let Some((note, _)) = &self.held_last {
            note.clone()
        } else if self.is_asked() {
            format!("your answer and Enter{waits} · Ctrl-C cancels")
        } else {
            format!(
                "{seconds} s{waits} · Enter tells the agent · Alt-Enter queues · Ctrl-C cancels"
            )
        };
        let (line, cursor) = self.line.shown();
        self.bar.draw(&status, line, cursor)
    }

    fn key(&mut self, key: KeyEvent) -> Option<Typed> {
        let (control, alt) = (
            key.modifiers.contains(KeyModifiers::CONTROL),
            key.modifiers.contains(KeyModifiers::ALT),
        );
        match key.code {
            KeyCode::Enter if alt => {
                let text = self.take();
                self.keep(&text);
                // What is no prompt waits for the end of the turn whichever way it is sent.
                match slash::read(&text) {
                    Line::Empty => {}
                    Line::Prompt(text) => self.queue(&text),
                    // As with a prompt, a note that cannot be shown loses nothing.
                    _ => drop(self.said(&text)),
                }
            }
            KeyCode::Enter if key.modifiers.contains(KeyModifiers::SHIFT) => self.edit(key),
            KeyCode::Enter => return self.enter(),
            KeyCode::Char('d') if control && self.line.is_empty() => return Some(Typed::Leave),
            // Pressed when it was no signal yet.
            KeyCode::Char('c') if control => drop(raise(Signal::SIGINT)),
            // What cannot be shown is no reason to lose a key.
            KeyCode::Char('o') if control => drop(self.expand("")),
            _ => self.edit(key),
        }
        None
    }

    fn edit(&mut self, key: KeyEvent) {
        self.line.edit(key, &*self.editor);
    }

    fn take(&mut self) -> String {
        self.editor.pastes().expand(&self.line.take())
    }

    /// For the arrows, here and at the next prompt.
    fn keep(&mut self, text: &str) {
        if !text.trim().is_empty() {
            self.editor.keep(text);
        }
    }

    fn enter(&mut self) -> Option<Typed> {
        let text = self.take();
        // An answer is for its question alone.
        if !self.is_asked() {
            self.keep(&text);
            match slash::read(&text) {
                Line::Empty => return None,
                Line::Slash(slash, _) if slash.verb == Verb::Exit => return Some(Typed::Leave),
                _ => {}
            }
        }
        Some(Typed::Line(text))
    }

    fn queue(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let told = match self.conversation.queue(text) {
            Ok(call) => {
                self.outbox.extend(call.map(|call| (call, About::Prompt)));
                format!("queued: {}", brief(text, BRIEF))
            }
            Err(failure) => {
                self.line.insert(text);
                failure.to_string()
            }
        };
        // A note that cannot be shown is no reason to lose a prompt.
        let _ = self.tell(&told);
    }

    /// Shows a tool call in full, below what stands there.
    fn expand(&mut self, which: &str) -> io::Result<()> {
        match self.conversation.expand(which) {
            Ok(lines) => self.inner.show(&lines),
            Err(words) => self.inner.note(&words),
        }
    }

    fn words(&mut self, text: String) {
        let Some(run) = self.conversation.run else { return self.queue(&text) };
        let params = json!({ "run": run, "text": text });
        let call = Call { method: "run.steer", params };
        self.words.push(text.clone());
        self.outbox.push_back((call, About::Words(text)));
    }

    fn forget(&mut self, text: &str) {
        if let Some(at) = self.words.iter().position(|words| words == text) {
            self.words.remove(at);
        }
    }

    /// Takes note of signals.
    fn look(&mut self) -> io::Result<()> {
        if !self.signals.take() {
            return Ok(());
        }
        if let Some(signal) = self.signals.leaving() {
            self.step_aside();
            obey(signal);
            self.step_back()?;
        }
        self.bar.resized()
    }
}

impl View for Composer<'_> {
    fn event(&mut self, event: &RunEvent, raw: &str) -> io::Result<()> {
        self.conversation.event(event);
        match &event.body {
            EventBody::Steered { text } => {
                self.forget(text);
                self.tell(&format!("told the agent: {}", brief(text, BRIEF)))?;
            }
            EventBody::Ask(ask) => self.asked.push(ask.ask.clone()),
            EventBody::Answered { ask, answer, by } => {
                self.asked.retain(|asked| asked != ask);
                // What was typed went with the line.
                if *by == AnsweredBy::Client {
                    self.inner.note(&format!("answered: {}", words(answer, BRIEF)))?;
                }
            }
            _ => {}
        }
        if let EventBody::MessageDelta { text } = &event.body {
            self.agent(event, text, raw)?;
            return self.draw();
        }
        let over = matches!(event.body, EventBody::ToolStart(_) | EventBody::Restarted { .. });
        if over || event.body.is_terminal() {
            let notes = self.held.ended();
            self.tell_all(&notes)?;
        }
        if event.body.is_terminal() {
            // What is printed last stands where the next prompt begins.
            self.give_back();
            return self.inner.event(event, raw);
        }
        self.inner.event(event, raw)?;
        if matches!(event.body, EventBody::Message { .. }) {
            let notes = self.held.ended();
            self.tell_all(&notes)?;
        }
        self.draw()
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.inner.note(text)?;
        self.draw()
    }

    fn question(&mut self, lines: &[styled::Line]) -> io::Result<()> {
        if std::mem::take(&mut self.away) {
            self.step_back()?;
        }
        self.inner.question(lines)?;
        self.draw()
    }

    fn answered_elsewhere(&mut self) -> io::Result<()> {
        self.inner.answered_elsewhere()?;
        self.draw()
    }

    fn rest(&mut self) -> io::Result<Option<Duration>> {
        self.look()?;
        let rest = self.inner.rest()?;
        self.draw()?;
        Ok(Some(rest.map_or(TICK, |rest| rest.min(TICK))))
    }

    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        Some(self.signals.as_fd())
    }

    fn types(&self) -> bool {
        true
    }

    fn keys(&mut self) -> io::Result<Vec<Typed>> {
        let mut typed = Vec::new();
        while event::poll(KEYS)? {
            match event::read()? {
                Event::Key(key) if key.kind != KeyEventKind::Release => {
                    typed.extend(self.key(key));
                }
                Event::Paste(text) => self.line.insert(&self.editor.pastes().word(&text)),
                _ => {}
            }
        }
        self.draw()?;
        Ok(typed)
    }

    fn said(&mut self, line: &str) -> io::Result<()> {
        match slash::read(line) {
            Line::Empty => {}
            Line::Prompt(text) => self.words(text),
            Line::Slash(slash, rest) if slash.verb == Verb::Queue => self.queue(&rest),
            Line::Slash(slash, rest) if slash.verb == Verb::Expand => self.expand(&rest)?,
            Line::Slash(slash, _) => {
                self.conversation.next.push_back(Next::Line(line.to_owned()));
                self.tell(&format!("after this turn: /{}", slash.name))?;
            }
            Line::Bang(command) => {
                self.conversation.next.push_back(Next::Line(line.to_owned()));
                self.tell(&format!("after this turn: !{}", brief(&command, BRIEF)))?;
            }
            Line::Wrong(what) => self.tell(&what)?,
        }
        self.draw()
    }

    fn calls(&mut self) -> Vec<Call> {
        let mut calls = Vec::new();
        for (call, about) in self.outbox.drain(..) {
            calls.push(call);
            self.leaving.push_back(about);
        }
        calls
    }

    fn sent(&mut self, id: u64) {
        self.waiting.extend(self.leaving.pop_front().map(|about| (id, about)));
    }

    fn replied(&mut self, id: u64, reply: Reply<'_>) -> io::Result<bool> {
        let Some(at) = self.waiting.iter().position(|(call, _)| *call == id) else {
            return Ok(false);
        };
        let (_, about) = self.waiting.swap_remove(at);
        match (about, reply) {
            (_, Ok(_)) => {}
            (About::Words(text), Err(info)) if info.class == ErrorClass::Conflict => {
                self.forget(&text);
                self.tell(&format!("{}: it is the next prompt instead", info.message))?;
                self.queue(&text);
            }
            (About::Words(text), Err(info)) => {
                self.forget(&text);
                self.refused(info)?;
                self.line.insert(&text);
            }
            // It is submitted again, under its key, when the turn is over.
            (About::Prompt, Err(info)) => self.refused(info)?,
        }
        self.draw()?;
        Ok(true)
    }

    fn lost(&mut self) {
        // The log says what arrived; prompts are submitted again under their keys.
        (self.leaving, self.waiting) = (VecDeque::new(), Vec::new());
    }

    fn suspend(&mut self) {
        self.inner.suspend();
        self.step_aside();
        self.away = true;
    }

    fn close(&mut self) {
        self.inner.close();
        self.give_back();
    }
}

impl Composer<'_> {
    fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    fn refused(&mut self, info: &ErrorInfo) -> io::Result<()> {
        self.tell(&format!("not taken: {}", info.message))
    }
}

impl Drop for Composer<'_> {
    fn drop(&mut self) {
        self.give_back();
        let _ = io::stderr().flush();
    }
}
