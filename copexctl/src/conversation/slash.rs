//! The slash commands and `!`: their names, and what a line means. Pure.

use copex_proto::config::nearest;

/// What a slash command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Shows or changes the model.
    Model,
    /// Shows or changes the reasoning effort.
    Reasoning,
    /// Begins another conversation.
    New,
    /// Goes on in another conversation.
    Resume,
    /// Tells what the conversation cost.
    Cost,
    /// Makes the conversation smaller.
    Compact,
    /// Keeps a prompt for after the turn.
    Queue,
    /// Starts a run of another mode.
    Mode,
    /// Shows a tool call in full.
    Expand,
    /// Carries out a command of the shell.
    Shell,
    /// Tells the commands and keys.
    Help,
    /// Clears the screen.
    Clear,
    /// Leaves.
    Exit,
}

/// One slash command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slash {
    /// Its name, without the slash.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) verb: Verb,
    /// What may follow, for people.
    pub(crate) takes: &'static str,
    /// What it does, in a line.
    pub(crate) about: &'static str,
}

const fn slash(name: &'static str, verb: Verb, takes: &'static str, about: &'static str) -> Slash {
    Slash { name, verb, takes, about }
}

/// All of them, in the order in which they are told.
pub(crate) const TABLE: [Slash; 21] = [
    slash("model", Verb::Model, "[NAME]", "the model of the next turns"),
    slash("reasoning", Verb::Reasoning, "[LEVEL]", "how hard the model thinks"),
    slash("models", Verb::Shell, "", "models that can be asked"),
    slash("new", Verb::New, "", "a new conversation"),
    slash("resume", Verb::Resume, "[ID]", "go on in another conversation"),
    slash("sessions", Verb::Shell, "[ARGS]", "conversations of this folder"),
    slash("skills", Verb::Shell, "[ARGS]", "skills that there are"),
    slash("mcp", Verb::Shell, "[ARGS]", "MCP servers that there are"),
    slash("status", Verb::Shell, "", "the daemon, the runtimes, the sign-in"),
    slash("cost", Verb::Cost, "", "what this conversation cost"),
    slash("compact", Verb::Compact, "", "put a summary in the conversation's place"),
    slash("queue", Verb::Queue, "PROMPT", "say it after the turn under way"),
    slash("expand", Verb::Expand, "[N]", "a tool call in full; again: the one before"),
    slash("ralph", Verb::Mode, "TASK [FLAGS]", "a task again and again, until it is true"),
    slash("plan", Verb::Mode, "TASK [FLAGS]", "a plan, and its steps with --execute"),
    slash("fleet", Verb::Mode, "TASK… [FLAGS]", "many tasks side by side"),
    slash("council", Verb::Mode, "TASK [FLAGS]", "several models, and a decision"),
    slash("inbox", Verb::Shell, "[ARGS]", "questions of all runs that wait"),
    slash("help", Verb::Help, "[TOPIC]", "commands and keys; of copexctl, a command or a topic"),
    slash("clear", Verb::Clear, "", "clear the screen"),
    slash("exit", Verb::Exit, "", "leave; what is at work goes on"),
];

/// What a line means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing.
    Empty,
    /// It is for the agent.
    Prompt(String),
    /// A command, and what follows its name.
    Slash(Slash, String),
    /// A command of the person's own shell, perhaps empty.
    Bang(String),
    /// No command has this name, or it takes nothing: what to say of it.
    Wrong(String),
}

/// Reads a line. `//` and `!!` at its beginning stand for a sign that is the agent's, and a path
/// is no command. Nor is what has several lines for the shell: a paste that happens to begin with
/// `!`, as an image does in Markdown, must not be carried out.
pub(crate) fn read(text: &str) -> Line {
    let text = text.trim();
    if text.is_empty() {
        return Line::Empty;
    }
    if let "exit" | "quit" | "q" = text {
        return named("exit").map_or(Line::Empty, |slash| Line::Slash(slash, String::new()));
    }
    if let Some(command) = text.strip_prefix('!').filter(|_| !text.contains(['\n', '\r'])) {
        return match command.strip_prefix('!') {
            None => Line::Bang(command.trim().to_owned()),
            Some("") => Line::Bang(String::new()),
            Some(_) => Line::Prompt(command.to_owned()),
        };
    }
    let Some(rest) = text.strip_prefix('/') else { return Line::Prompt(text.to_owned()) };
    if rest.starts_with('/') {
        return Line::Prompt(rest.to_owned());
    }
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    if name.is_empty() || name.contains('/') {
        return Line::Prompt(text.to_owned());
    }
    let after = after.trim();
    match named(name) {
        // What a command of the shell takes it says itself.
        Some(slash) if after.is_empty() || !slash.takes.is_empty() || slash.verb == Verb::Shell => {
            Line::Slash(slash, after.to_owned())
        }
        Some(_) => Line::Wrong(format!("/{name} takes nothing after it")),
        None => Line::Wrong(match nearest(name, TABLE.iter().map(|slash| slash.name)) {
            Some(near) => format!("/{name} is no command; did you mean /{near}?"),
            None => format!("/{name} is no command; /help names them"),
        }),
    }
}

/// The command of this name.
fn named(name: &str) -> Option<Slash> {
    let name = if name == "quit" { "exit" } else { name };
    TABLE.iter().find(|slash| slash.name == name).copied()
}

/// A line's words as a shell takes them apart, and for a command with one task the words before
/// the first flag as one.
pub(crate) fn arguments(text: &str, one_task: bool) -> Result<Vec<String>, String> {
    let words = shlex::split(text).ok_or("a quote or a backslash has no end")?;
    if !one_task {
        return Ok(words);
    }
    let flags = words.iter().position(|word| word.starts_with('-')).unwrap_or(words.len());
    let (task, flags) = words.split_at(flags);
    let mut joined = Vec::new();
    if !task.is_empty() {
        joined.push(task.join(" "));
    }
    joined.extend_from_slice(flags);
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> (String, String) {
        match read(text) {
            Line::Slash(slash, rest) => (slash.name.to_owned(), rest),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn every_command_is_read_by_its_name() {
        for slash in TABLE {
            assert_eq!(name(&format!("/{} ", slash.name)), (slash.name.to_owned(), String::new()));
            let text = format!("/{} some words ", slash.name);
            if slash.takes.is_empty() && slash.verb != Verb::Shell {
                let wrong = format!("/{} takes nothing after it", slash.name);
                assert_eq!(read(&text), Line::Wrong(wrong));
            } else {
                assert_eq!(name(&text), (slash.name.to_owned(), "some words".to_owned()));
            }
        }
        for leave in ["exit", "quit", "q", "/quit", "/exit"] {
            assert_eq!(name(leave).0, "exit");
        }
    }

    #[test]
    fn one_line_after_an_exclamation_mark_is_the_shells() {
        for (text, command) in
            [("!ls -l", "ls -l"), (" ! git log ", "git log"), ("!", ""), ("!!", "")]
        {
            assert_eq!(read(text), Line::Bang(command.to_owned()), "{text}");
        }
        assert_eq!(read("!test ! -e x!"), Line::Bang("test ! -e x!".to_owned()));
        assert_eq!(read("!!important"), Line::Prompt("!important".to_owned()));
        let pasted = "![logo](x.png)\nrm -rf y";
        assert_eq!(read(pasted), Line::Prompt(pasted.to_owned()));
    }

    #[test]
    fn what_is_no_command_is_the_agents_or_named() {
        assert_eq!(read(" \n"), Line::Empty);
        for prompt in ["hi", "quit smoking", "/etc/hosts is empty?", "/ what"] {
            assert_eq!(read(prompt), Line::Prompt(prompt.to_owned()));
        }
        assert_eq!(read("//model is a word"), Line::Prompt("/model is a word".to_owned()));
        for (text, wrong) in [
            ("/modle x", "/modle is no command; did you mean /model?"),
            ("/xyzzyx", "/xyzzyx is no command; /help names them"),
        ] {
            assert_eq!(read(text), Line::Wrong(wrong.to_owned()));
        }
    }

    #[test]
    fn a_task_needs_no_quotes() {
        let words = arguments("fix the tests -n 3 --verify 'cargo test'", true).unwrap();
        assert_eq!(words, ["fix the tests", "-n", "3", "--verify", "cargo test"]);
        assert_eq!(arguments("one 'two three'", false).unwrap(), ["one", "two three"]);
        assert!(arguments("don't", true).is_err());
        assert_eq!(arguments("", true).unwrap(), Vec::<String>::new());
    }
}
