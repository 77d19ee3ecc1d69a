//! Everything that can be done, with its keys: one table for keys, palette and help.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Something that can be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    /// All runs.
    Runs,
    /// The inbox.
    Inbox,
    /// Money.
    Spend,
    /// Runtimes and breakers.
    Pool,
    /// One run in full.
    Open,
    /// A new run.
    New,
    /// Answers a question.
    Answer,
    /// Says more to a run.
    Say,
    /// Ends a run.
    Cancel,
    /// Goes on with a run.
    Resume,
    /// Why a run waits.
    Explain,
    /// The answer in the editor.
    View,
    /// The plan in the editor.
    EditPlan,
    /// Searches the list.
    Find,
    /// Shows tools and checks in full, or in a line.
    Tools,
    /// Opens or closes the line of the log that is looked at.
    Unfold,
    /// Shows reasoning, or hides it.
    Reasoning,
    /// The effort of new runs.
    Effort,
    /// The next theme.
    Theme,
    /// Asks the daemon anew.
    Refresh,
    /// Closes breakers.
    ResetBreakers,
    /// Starts the daemon.
    StartDaemon,
    /// The palette.
    Palette,
    /// The keys.
    Help,
    /// Leaves.
    Quit,
}

/// A row of the table: what is done, its keys for people, its words.
pub(crate) struct Entry {
    /// What is done.
    pub(crate) command: Command,
    /// Its keys; empty when it has none.
    pub(crate) keys: &'static str,
    /// What it does.
    pub(crate) words: &'static str,
}

const fn entry(command: Command, keys: &'static str, words: &'static str) -> Entry {
    Entry { command, keys, words }
}

/// Everything, in the order of the help.
pub(crate) const TABLE: [Entry; 25] = [
    entry(Command::Runs, "1", "all runs"),
    entry(Command::Inbox, "2", "inbox: questions that wait for you"),
    entry(Command::Spend, "3", "spend and limits"),
    entry(Command::Pool, "4", "pool, breakers and limits of models"),
    entry(Command::Open, "Enter", "open the run"),
    entry(Command::New, "n, Ctrl+N", "new run"),
    entry(Command::Answer, "a", "answer the run's question"),
    entry(Command::Say, "s", "say more to a chat at work (steer)"),
    entry(Command::Cancel, "c, Ctrl+C", "cancel the run"),
    entry(Command::Resume, "r", "resume the run; a parked one goes on now"),
    entry(Command::Explain, "w", "why the run waits"),
    entry(Command::View, "e", "open the answer in $EDITOR"),
    entry(Command::EditPlan, "E", "edit the run's plan in $EDITOR"),
    entry(Command::Find, "/", "find a run"),
    entry(
        Command::Unfold,
        "x, Space",
        "open the tool, check or plan of the log's line, or close it",
    ),
    entry(Command::Tools, "Ctrl+T", "the same for all: what tools and checks printed"),
    entry(Command::Reasoning, "Ctrl+G", "show the model's reasoning, or hide it"),
    entry(Command::Effort, "Ctrl+E", "effort of new runs: the next one"),
    entry(Command::Theme, "", "theme: the next one"),
    entry(Command::Refresh, "Ctrl+L", "ask the daemon anew, and draw everything"),
    entry(Command::ResetBreakers, "", "close all breakers and forget limits"),
    entry(Command::StartDaemon, "", "start the daemon"),
    entry(Command::Palette, "Ctrl+P, :", "command palette"),
    entry(Command::Help, "?, F1", "these keys"),
    entry(Command::Quit, "q, Ctrl+D", "leave; runs go on"),
];

/// Keys that are no commands, for the help.
pub(crate) const MOVES: [(&str, &str); 6] = [
    ("↑ ↓, j k", "another row, or scroll"),
    ("PgUp PgDn", "a page; Home and End: to the ends"),
    ("Tab", "the next view of a run: log, parts, answer, about"),
    ("Esc", "back"),
    ("y, n, A", "in the inbox: yes, no, always; 1-9 pick a choice"),
    ("Ctrl+J", "a new line in a prompt; Ctrl+O: the prompt in $EDITOR"),
];

/// What a key asks for where nothing is typed.
pub(crate) fn of_key(key: KeyEvent) -> Option<Command> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match key.code {
        KeyCode::Char(c) if control => match c {
            'n' => Command::New,
            'c' => Command::Cancel,
            't' => Command::Tools,
            'g' => Command::Reasoning,
            'e' => Command::Effort,
            'l' => Command::Refresh,
            'p' => Command::Palette,
            'd' | 'q' => Command::Quit,
            _ => return None,
        },
        KeyCode::F(1) | KeyCode::Char('?') => Command::Help,
        KeyCode::Char('1') => Command::Runs,
        KeyCode::Char('2') => Command::Inbox,
        KeyCode::Char('3') => Command::Spend,
        KeyCode::Char('4') => Command::Pool,
        KeyCode::Char('n') => Command::New,
        KeyCode::Char('a') => Command::Answer,
        KeyCode::Char('s') => Command::Say,
        KeyCode::Char('c') => Command::Cancel,
        KeyCode::Char('r') => Command::Resume,
        KeyCode::Char('w') => Command::Explain,
        KeyCode::Char('e') => Command::View,
        KeyCode::Char('E') => Command::EditPlan,
        KeyCode::Char('x' | ' ') => Command::Unfold,
        KeyCode::Char('/') => Command::Find,
        KeyCode::Char(':') => Command::Palette,
        KeyCode::Char('q') => Command::Quit,
        KeyCode::Enter => Command::Open,
        _ => return None,
    })
}
