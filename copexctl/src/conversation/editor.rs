//! The line that is edited while nobody works: history, several lines, completion.

use std::borrow::Cow;
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crossterm::event::Event;
use reedline::{
    Completer, CompletionResult, EditCommand, EditMode, Emacs, HistoryItem, KeyCode, KeyModifiers,
    Prompt, PromptEditMode, PromptHistorySearch, PromptHistorySearchStatus, Reedline,
    ReedlineEvent, ReedlineMenu, ReedlineRawEvent, SearchDirection, SearchQuery, Signal, Span,
    Suggestion, ValidationResult, Validator, default_emacs_keybindings,
};

use super::ahead::Ahead;
use super::complete::{Candidate, Known};
use super::composer::entry::Aid;
use super::history::Guarded;
use super::menu::Choices;
use super::paste::Pastes;
use super::raw::{Raw, Taker};
use crate::render::note;
use crate::render::printer;
use crate::render::wrap::width;

/// The name of the completion menu, for whoever opens it.
const MENU: &str = "completion";

/// Columns of the sign before what is typed.
const SIGN: usize = 2;

/// What is known for completion, shared with the editor that asks.
pub(crate) type Shared = Arc<Mutex<Known>>;

/// What a person did at the prompt.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    /// Sent this, large pastes in place.
    Line(String),
    /// Wants a tool call in full; what was typed stays.
    Expand,
    /// Pressed Ctrl-C on an empty line.
    Interrupt,
    /// Pressed Ctrl-D on an empty line, or the terminal is gone.
    End,
}

/// The editor of one terminal.
pub(crate) struct Editor {
    line: Reedline,
    pastes: Pastes,
    known: Shared,
    /// The terminal, while nobody else has it.
    raw: Option<Raw>,
}

impl Editor {
    /// With the history of `file`. `color` says whether anything but plain words is drawn.
    pub(crate) fn new(file: &Path, known: Shared, color: bool) -> io::Result<Self> {
        let pastes = Pastes::default();
        let history = match Guarded::open(file, pastes.clone()) {
            Ok(history) => history,
            Err(error) => {
                note(&format!("no history is kept: {}: {error}", file.display()));
                Guarded::unkept(pastes.clone())?
            }
        };
        let line = Reedline::create()
            .with_history(Box::new(history))
            .with_completer(Box::new(Words { known: Arc::clone(&known) }))
            .with_menu(ReedlineMenu::EngineCompleter(Box::new(Choices::new(MENU))))
            .with_quick_completions(true)
            .with_partial_completions(true)
            .with_validator(Box::new(Unfinished))
            .with_ansi_colors(color)
            .use_bracketed_paste(true)
            .with_edit_mode(Box::new(keys(pastes.clone())));
        Ok(Self { line, pastes, known, raw: None })
    }

    /// Takes the terminal for us, until it is [left](Self::leave): keys that are pressed when
    /// nobody reads come to who reads next. What was typed before that.
    ///
    /// # Errors
    /// When stdin is no terminal.
    pub(crate) fn enter(&mut self) -> io::Result<Ahead> {
        self.take(Taker::Prompt)
    }

    /// The same for a line below a turn.
    pub(super) fn take(&mut self, taker: Taker) -> io::Result<Ahead> {
        if let Some(raw) = &self.raw {
            raw.again(taker)?;
            return Ok(Ahead::default());
        }
        let (raw, ahead) = Raw::enter(io::stdin(), taker)?;
        self.raw = Some(raw);
        Ok(ahead)
    }

    /// Leaves the terminal as it was, for a command of another.
    pub(crate) fn leave(&mut self) {
        self.raw = None;
    }

    /// The pastes that words in a line stand for.
    pub(crate) fn pastes(&self) -> Pastes {
        self.pastes.clone()
    }

    /// Keeps a line that was typed elsewhere for the arrows.
    pub(crate) fn keep(&mut self, line: &str) {
        // Who cannot be told of it has the line already.
        let _ = self.line.history_mut().save(HistoryItem::from_command_line(line));
    }

    /// Reads a line that begins with `begun`. `aside` is shown at the right.
    ///
    /// # Errors
    /// When the terminal does not do what an editor needs.
    pub(crate) fn read(&mut self, begun: &str, aside: &str) -> io::Result<Read> {
        if !begun.is_empty() {
            self.line.run_edit_commands(&[EditCommand::InsertString(begun.to_owned())]);
        }
        let read = self.line.read_line(&Sign { aside: aside.to_owned() });
        match read.map_err(io::Error::other)? {
            Signal::Success(line) => Ok(Read::Line(self.pastes.expand(&line))),
            Signal::CtrlC => Ok(Read::Interrupt),
            Signal::HostCommand(_) => {
                self.step_aside()?;
                Ok(Read::Expand)
            }
            _ => Ok(Read::End),
        }
    }

    /// Makes room for lines where the prompt stands, which comes again below them: one row of it
    /// is wiped, more stay there.
    fn step_aside(&self) -> io::Result<()> {
        let columns = printer::columns().max(1);
        let rows = |line: &str| (width(line) + SIGN) / columns + 1;
        let rows: usize = self.line.current_buffer_contents().split('\n').map(rows).sum();
        let mut err = io::stderr().lock();
        if rows == 1 {
            write!(err, "\r\x1b[J")?;
        } else {
            write!(err, "{}", "\n".repeat(rows))?;
        }
        err.flush()
    }

    /// Clears the screen.
    pub(crate) fn clear(&mut self) -> io::Result<()> {
        self.line.clear_screen().map_err(io::Error::other)
    }
}

impl Aid for Editor {
    fn past(&self, begun: &str) -> Vec<String> {
        let all = SearchQuery::everything(SearchDirection::Backward, None);
        let past = self.line.history().search(all).unwrap_or_default().into_iter();
        past.map(|item| item.command_line).filter(|line| line.starts_with(begun)).collect()
    }

    fn candidates(&self, line: &str, cursor: usize) -> Vec<Candidate> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).candidates(line, cursor)
    }
}

fn keys(pastes: Pastes) -> Keys {
    let mut bindings = default_emacs_keybindings();
    let newline = || ReedlineEvent::Edit(vec![EditCommand::InsertNewline]);
    bindings.add_binding(KeyModifiers::ALT, KeyCode::Enter, newline());
    bindings.add_binding(KeyModifiers::SHIFT, KeyCode::Enter, newline());
    bindings.add_binding(KeyModifiers::CONTROL, KeyCode::Char('j'), newline());
    let complete = vec![ReedlineEvent::Menu(MENU.to_owned()), ReedlineEvent::MenuNext];
    bindings.add_binding(KeyModifiers::NONE, KeyCode::Tab, ReedlineEvent::UntilFound(complete));
    // A menu of what is gone would take the next Enter.
    let anew = vec![ReedlineEvent::Esc, ReedlineEvent::Edit(vec![EditCommand::CutFromStart])];
    let anew = ReedlineEvent::Multiple(anew);
    bindings.add_binding(KeyModifiers::CONTROL, KeyCode::Char('u'), anew);
    bindings.add_binding(KeyModifiers::CONTROL, KeyCode::Char('c'), interrupt());
    let expand = ReedlineEvent::ExecuteHostCommand(String::new());
    bindings.add_binding(KeyModifiers::CONTROL, KeyCode::Char('o'), expand);
    bindings.add_binding(KeyModifiers::SHIFT, KeyCode::BackTab, ReedlineEvent::MenuPrevious);
    Keys { emacs: Emacs::new(bindings), pastes }
}

/// Ctrl-C: a line with something in it is emptied, as shells do, and Ctrl-Y brings it back. An
/// empty one is left, and a search goes back to its line.
fn interrupt() -> ReedlineEvent {
    let edit = |command| ReedlineEvent::Edit(vec![command]);
    // There is nothing to copy where there is nothing.
    let kept_or_left = vec![edit(EditCommand::CopySelection), ReedlineEvent::CtrlC];
    let line = vec![
        ReedlineEvent::Esc,
        edit(EditCommand::SelectAll),
        ReedlineEvent::UntilFound(kept_or_left),
        edit(EditCommand::Clear),
    ];
    // A search knows no `Multiple`.
    ReedlineEvent::UntilFound(vec![ReedlineEvent::Multiple(line), ReedlineEvent::Esc])
}

/// Keys as in Emacs and shells; a large paste becomes a word.
struct Keys {
    emacs: Emacs,
    pastes: Pastes,
}

impl EditMode for Keys {
    fn parse_event(&mut self, event: ReedlineRawEvent) -> ReedlineEvent {
        let event = match event.into() {
            Event::Paste(text) => Event::Paste(self.pastes.word(&text)),
            event => event,
        };
        match ReedlineRawEvent::try_from(event) {
            Ok(event) => self.emacs.parse_event(event),
            Err(()) => ReedlineEvent::None,
        }
    }

    fn edit_mode(&self) -> PromptEditMode {
        self.emacs.edit_mode()
    }
}

/// A line that ends with a backslash goes on.
struct Unfinished;

impl Validator for Unfinished {
    fn validate(&self, line: &str) -> ValidationResult {
        if line.ends_with('\\') && !line.ends_with("\\\\") {
            ValidationResult::Incomplete
        } else {
            ValidationResult::Complete
        }
    }
}

struct Words {
    known: Shared,
}

impl Completer for Words {
    fn complete(&mut self, line: &str, pos: usize) -> CompletionResult {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let candidates = known.candidates(line, pos).into_iter();
        let suggestion = |candidate: Candidate| Suggestion {
            span: Span::new(candidate.from, pos),
            description: (!candidate.about.is_empty()).then_some(candidate.about),
            append_whitespace: true,
            value: candidate.text,
            ..Suggestion::default()
        };
        CompletionResult::fresh(candidates.map(suggestion).collect::<Vec<_>>())
    }
}

/// The prompt.
struct Sign {
    aside: String,
}

impl Prompt for Sign {
    fn render_prompt_left(&self) -> Cow<'_, str> {
        // Not the indicator: what stands at the right makes room for what is typed only where
        // this is not empty.
        Cow::Borrowed("> ")
    }

    fn render_prompt_right(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.aside)
    }

    fn render_prompt_indicator(&self, _mode: PromptEditMode) -> Cow<'_, str> {
        Cow::Borrowed("")
    }

    fn render_prompt_multiline_indicator(&self) -> Cow<'_, str> {
        Cow::Borrowed("… ")
    }

    fn render_prompt_history_search_indicator(&self, search: PromptHistorySearch) -> Cow<'_, str> {
        let failing = match search.status {
            PromptHistorySearchStatus::Passing => "",
            PromptHistorySearchStatus::Failing => "nothing has ",
        };
        Cow::Owned(format!("({failing}{}) ", search.term))
    }
}
