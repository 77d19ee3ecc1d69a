//! `help`: of a command, or on a topic.
//!
//! Topics are sections of the two READMEs, so that there is one text of each.

use std::io::{self, IsTerminal as _};

use copex_proto::config::doc;

use crate::cli::UiFlags;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render;
use crate::render::printer::Printer;
use crate::render::theme::Look;
use crate::request;

/// What one can read about, and what is in it.
pub(crate) const TOPICS: [(&str, &str); 13] = [
    ("config", "files, their order, and every key"),
    ("environment", "variables, and what of them travels with a run"),
    ("exit-codes", "what a script can rely on"),
    ("failures", "what happens when the model fails, and what you can say about it"),
    ("inbox", "questions that wait for you"),
    ("mcp", "tool servers that a run is given"),
    ("notifications", "a command that is told of runs, the desktop and the bell"),
    ("permissions", "what the agent may do without asking"),
    ("providers", "a model endpoint of your own"),
    ("python", "what differs from Python copex"),
    ("recovery", "what survives what"),
    ("skills", "what a skill is, and which folders are looked in"),
    ("spend", "what runs cost, and limits of it"),
];

const PRODUCT: &str = include_str!("../../../README.md");
const CLIENT: &str = include_str!("../../README.md");

/// Prints it.
pub(crate) fn run(words: &[String], ctx: Option<&Context>) -> Result<Exit> {
    let mut command = crate::command();
    if let [topic] = words
        && let Some(text) = topic_text(topic)
    {
        render::text(looking(&text, ctx).as_bytes())?;
        if command.find_subcommand(topic).is_some() {
            render::text(format!("\nThe command: copexctl {topic} --help\n").as_bytes())?;
        }
        return Ok(Exit::Done);
    }
    let (at, name) = find(&mut command, words, ("help", &TOPICS))?;
    let mut shown = at.clone().bin_name(name);
    render::text(shown.render_long_help().to_string().as_bytes())?;
    if words.is_empty() {
        let rows: Vec<_> = TOPICS
            .iter()
            .map(|(name, about)| vec![format!("  {name}"), (*about).to_owned()])
            .collect();
        let topics = render::table(&rows);
        render::text(format!("\nTopics (copexctl help TOPIC):\n{topics}").as_bytes())?;
    }
    Ok(Exit::Done)
}

/// Markdown as an answer looks on this terminal; as it is, where that can show none.
fn looking(text: &str, ctx: Option<&Context>) -> String {
    let able = |ctx: &&Context| ctx.env.get("TERM").is_some_and(|term| term != "dumb");
    let Some(ctx) = ctx.filter(|_| io::stdout().is_terminal()).filter(able) else {
        return text.to_owned();
    };
    // A configuration that cannot be read is no reason to say nothing.
    let ui = request::ui(ctx, &UiFlags::default()).unwrap_or_default();
    let mut printer = Printer::new(Look::of(&ctx.env, ui, true));
    let begun = printer.push(text);
    begun + &printer.finish()
}

/// The command of these words, and its whole name, for `verb` (`help`, `man`). Topics may be
/// meant too.
///
/// # Errors
/// For a word that names none, with the nearest.
pub(super) fn find<'a>(
    command: &'a mut clap::Command,
    words: &[String],
    (verb, topics): (&str, &[(&str, &str)]),
) -> Result<(&'a mut clap::Command, String)> {
    let (mut at, mut name) = (command, "copexctl".to_owned());
    for word in words {
        // Looked up twice: a search by itself would hold the borrow in both branches.
        if at.find_subcommand(word).is_none() {
            return Err(unknown(word, &name, at, (verb, topics)));
        }
        at = at.find_subcommand_mut(word).ok_or_else(|| Failure::usage(name.clone()))?;
        name = format!("{name} {}", at.get_name());
    }
    Ok((at, name))
}

fn unknown(
    word: &str,
    of: &str,
    at: &clap::Command,
    (verb, topics): (&str, &[(&str, &str)]),
) -> Failure {
    let top = of == "copexctl";
    let commands = at.get_subcommands().map(clap::Command::get_name);
    let topics = topics.iter().filter(|_| top).map(|(name, _)| *name);
    let near = copex_proto::config::nearest(word, commands.chain(topics));
    let failure = Failure::usage(match (top, verb) {
        (true, "help") => format!("\"{word}\" is neither a command nor a topic"),
        (true, _) => format!("\"{word}\" is not a command"),
        (false, _) => format!("\"{word}\" is not a command of {of}"),
    });
    let asked = of.replacen("copexctl", &format!("copexctl {verb}"), 1);
    match near {
        Some(near) => failure.with_hint(format!("did you mean `{asked} {near}`?")),
        None => failure.with_hint(format!("{of} --help")),
    }
}

/// A topic as Markdown; nothing when there is none of that name.
fn topic_text(name: &str) -> Option<String> {
    let text = match name {
        "config" => format!("{}\n{}", section(PRODUCT, "Configuration")?, doc::list()),
        "environment" => section(CLIENT, "Environment")?,
        "exit-codes" => section(CLIENT, "Exit codes")?,
        "failures" => section(PRODUCT, "When the model fails")?,
        "inbox" => section(PRODUCT, "The inbox")?,
        "mcp" => section(PRODUCT, "MCP servers")?,
        "notifications" => section(PRODUCT, "Notifications")?,
        "permissions" => section(PRODUCT, "Permissions")?,
        "providers" => section(PRODUCT, "Providers")?,
        "python" => section(PRODUCT, "Coming from Python copex")?,
        "recovery" => section(PRODUCT, "What survives what")?,
        "skills" => section(PRODUCT, "Skills")?,
        "spend" => section(PRODUCT, "Spend")?,
        _ => return None,
    };
    Some(text)
}

/// The section with this heading, up to the next heading that is not below it.
fn section(text: &str, heading: &str) -> Option<String> {
    let depth = |line: &str| {
        let depth = line.bytes().take_while(|byte| *byte == b'#').count();
        (depth > 0 && line[depth..].starts_with(' ')).then_some(depth)
    };
    let mut found: Option<(String, usize)> = None;
    let mut fenced = false;
    for line in text.lines() {
        fenced ^= line.starts_with("```");
        let here = if fenced { None } else { depth(line) };
        match (&mut found, here) {
            (None, Some(level)) if line[level..].trim() == heading => {
                found = Some((format!("# {heading}\n"), level));
            }
            (Some((_, level)), Some(here)) if here <= *level => break,
            (Some((section, _)), _) => {
                section.push_str(line);
                section.push('\n');
            }
            (None, _) => {}
        }
    }
    found.map(|(section, _)| format!("{}\n", section.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_has_its_text() {
        for (name, _) in TOPICS {
            let text = topic_text(name).unwrap_or_else(|| panic!("{name} has no text"));
            assert!(text.lines().count() > 5, "{name}: {text}");
            assert!(text.starts_with("# "), "{name}");
        }
        assert!(topic_text("config").unwrap().contains("`retry.max_retries`"));
        assert!(topic_text("nothing").is_none());
    }

    #[test]
    fn a_section_ends_where_the_next_begins() {
        let text = "# a\n## b\nx\n```sh\n# not a heading\n```\n### c\ny\n## d\nz\n";
        assert_eq!(section(text, "b").unwrap(), "# b\nx\n```sh\n# not a heading\n```\n### c\ny\n");
        assert_eq!(section(text, "c").unwrap(), "# c\ny\n");
        assert_eq!(section(text, "e"), None);
    }
}
