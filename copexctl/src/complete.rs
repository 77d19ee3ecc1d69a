//! What a shell offers after Tab: commands and flags from the command line itself, and names
//! that only the daemon knows.
//!
//! Invariant: Tab never starts a daemon, never waits long for one and never prints an error.

use std::ffi::OsStr;
use std::time::Duration;

use clap::{Arg, Command};
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::CompleteEnv;
use copex_proto::ask::AskList;
use copex_proto::config::key::KEYS;
use copex_proto::health::{BackendQuery, ListResponse, ModelList};
use copex_proto::session::SessionList;
use copex_proto::skill::{SkillList, SkillState};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::commands::{help, models, runs};
use crate::connect::Connection;
use crate::context::Context;
use crate::env::Env;
use crate::render::brief;
use crate::settings::{self, Given};
use crate::skills;

/// How long a shell may hang after Tab: what took longer feels broken.
const PATIENCE: Duration = Duration::from_millis(500);

/// Names offered at once, at most. A screen shows fewer.
const MOST: u32 = 100;

/// Characters of what is said about a name.
const WORDS: usize = 48;

/// Offers names for the part of one that was typed.
type Offer = fn(&OsStr) -> Vec<CompletionCandidate>;

/// Where names are offered: the command, the argument's id, and what it takes. An empty
/// command is any.
const OFFERS: [(&[&str], &str, Offer); 29] = [
    (&["runs", "show"], "id", all_runs),
    (&["runs", "attach"], "id", all_runs),
    (&["runs", "cancel"], "id", active_runs),
    (&["runs", "resume"], "id", all_runs),
    (&["runs", "explain"], "id", active_runs),
    (&["runs", "logs"], "id", all_runs),
    (&["runs", "answer"], "ask", asks),
    (&["inbox"], "run", active_runs),
    (&["inbox", "list"], "run", active_runs),
    (&["inbox", "show"], "id", asks),
    (&["inbox", "answer"], "id", asks),
    (&["sessions", "show"], "id", sessions),
    (&["sessions", "resume"], "id", sessions),
    (&["sessions", "fork"], "id", sessions),
    (&["sessions", "rm"], "ids", sessions),
    (&["sessions", "doctor"], "id", sessions),
    (&["skills", "show"], "name", skills_known),
    (&[], "skill", skills_known),
    (&[], "disable_skill", skills_known),
    (&["breakers", "reset"], "model", models_known),
    (&["config", "set"], "key", keys),
    (&["help"], "topic", topics),
    (&["man"], "command", verbs),
    (&["chat"], "resume", sessions),
    (&["ralph"], "resume", all_runs),
    (&["plan"], "resume", all_runs),
    (&["fleet"], "resume", all_runs),
    (&["council"], "resume", all_runs),
    (&[], "model", models_known),
];

/// Answers a shell that asks what could follow, and then ends the process; returns at once
/// when no shell asks.
pub(crate) fn answer() {
    CompleteEnv::with_factory(|| {
        let command = offering(crate::command());
        if begins_a_flag() { command } else { flags_last(command) }
    })
    .complete();
}

/// Whether the word at the cursor begins a flag, as the scripts of all shells hand it over.
fn begins_a_flag() -> bool {
    let words: Vec<_> = std::env::args_os().skip_while(|word| word != "--").skip(1).collect();
    let at = Env::read().get("_CLAP_COMPLETE_INDEX").and_then(|at| at.parse::<usize>().ok());
    let word = at.map_or(words.last(), |at| words.get(at));
    word.is_some_and(|word| word.as_encoded_bytes().starts_with(b"-"))
}

/// The command with its flags kept back: they are offered where nothing else can be.
fn flags_last(command: Command) -> Command {
    let back = |arg: Arg| if arg.is_positional() { arg } else { arg.hide(true) };
    // These two come with the last look at a command, and could not be kept back.
    let command = command.disable_help_flag(true).disable_version_flag(true);
    command.mut_args(back).mut_subcommands(flags_last)
}

/// The command line with all that is offered in it.
fn offering(mut command: Command) -> Command {
    for (path, id, offer) in OFFERS {
        command = at(command, path, id, offer);
    }
    command
}

fn at(command: Command, path: &[&str], id: &str, offer: Offer) -> Command {
    let Some((first, rest)) = path.split_first() else {
        let command = command.mut_subcommands(|inner| with(inner, id, offer));
        return with(command, id, offer);
    };
    command.mut_subcommands(|inner| match (inner.get_name() == *first, rest) {
        (false, _) => inner,
        (true, []) => with(inner, id, offer),
        (true, rest) => at(inner, rest, id, offer),
    })
}

fn with(command: Command, id: &str, offer: Offer) -> Command {
    let add = |arg: Arg| {
        if arg.get_id() == id { arg.add(ArgValueCompleter::new(offer)) } else { arg }
    };
    command.mut_args(add)
}

fn all_runs(typed: &OsStr) -> Vec<CompletionCandidate> {
    some_runs(typed, &json!({ "limit": MOST }))
}

fn active_runs(typed: &OsStr) -> Vec<CompletionCandidate> {
    some_runs(typed, &json!({ "limit": MOST, "filter": { "states": runs::ACTIVE } }))
}

fn some_runs(typed: &OsStr, params: &Value) -> Vec<CompletionCandidate> {
    let list: Option<ListResponse> = asked("run.list", |_| Some(params.clone()));
    let runs = list.map(|list| list.runs).unwrap_or_default();
    let named = runs.into_iter().map(|run| {
        let state = runs::state_name(run.state);
        (run.run.to_string(), format!("{} {state}: {}", run.mode.as_str(), run.title))
    });
    that_fit(typed, named)
}

fn asks(typed: &OsStr) -> Vec<CompletionCandidate> {
    let list: Option<AskList> = asked("ask.list", |_| Some(json!({ "limit": MOST })));
    let asks = list.map(|list| list.asks).unwrap_or_default();
    that_fit(typed, asks.into_iter().map(|ask| (ask.ask.ask.to_string(), ask.ask.title)))
}

fn sessions(typed: &OsStr) -> Vec<CompletionCandidate> {
    let list: Option<SessionList> =
        asked("session.list", |ctx| Some(json!({ "limit": MOST, "query": query(ctx)? })));
    let sessions = list.map(|list| list.sessions).unwrap_or_default();
    that_fit(typed, sessions.into_iter().map(|one| (one.session.to_string(), one.title)))
}

fn models_known(typed: &OsStr) -> Vec<CompletionCandidate> {
    let list: Option<ModelList> = asked("model.list", |ctx| Some(json!({ "query": query(ctx)? })));
    let models = list.map(|list| list.models).unwrap_or_default();
    that_fit(typed, models.into_iter().map(|model| (model.id, model.source)))
}

fn skills_known(typed: &OsStr) -> Vec<CompletionCandidate> {
    let list: Option<SkillList> = asked("skill.list", |ctx| {
        let settings = settings::load(ctx, Given::default()).ok()?;
        Some(json!({ "query": skills::query(ctx, &settings) }))
    });
    let skills = list.map(|list| list.skills).unwrap_or_default().into_iter();
    let skills = skills.filter(|skill| skill.state != SkillState::Shadowed);
    that_fit(typed, skills.map(|skill| (skill.name, skill.description)))
}

fn keys(typed: &OsStr) -> Vec<CompletionCandidate> {
    that_fit(typed, KEYS.iter().map(|key| (key.name.to_owned(), key.doc.to_owned())))
}

fn topics(typed: &OsStr) -> Vec<CompletionCandidate> {
    let topics = help::TOPICS.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned()));
    let mut all = that_fit(typed, topics);
    all.extend(verbs(typed));
    all
}

fn verbs(typed: &OsStr) -> Vec<CompletionCandidate> {
    let command = crate::command();
    let verbs = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(|verb| {
        let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
        (verb.get_name().to_owned(), about)
    });
    that_fit(typed, verbs)
}

/// Asks a daemon that runs. No daemon, no answer in time, another version: nothing to offer.
fn asked<T: DeserializeOwned>(
    method: &str,
    params: impl Fn(&Context) -> Option<Value>,
) -> Option<T> {
    let ctx = Context::read().ok()?;
    let mut connection = Connection::running(&ctx).ok()??;
    connection.patience(PATIENCE);
    connection.call(method, &params(&ctx)?).ok()
}

fn query(ctx: &Context) -> Option<BackendQuery> {
    let settings = settings::load(ctx, Given::default()).ok()?;
    Some(models::query(ctx, &settings))
}

fn that_fit(
    typed: &OsStr,
    names: impl Iterator<Item = (String, String)>,
) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    names
        .filter(|(name, _)| name.starts_with(typed.as_ref()))
        .map(|(name, about)| {
            let about = brief(&about, WORDS);
            CompletionCandidate::new(name).help((!about.is_empty()).then(|| about.into()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Follows a path of names.
    fn found<'a>(command: &'a Command, path: &[&str]) -> Option<&'a Command> {
        path.iter().try_fold(command, |at, name| at.find_subcommand(name))
    }

    #[test]
    fn each_offer_has_its_argument() {
        let command = offering(crate::command());
        for (path, id, _) in OFFERS {
            let at = found(&command, path).unwrap_or_else(|| panic!("no command {path:?}"));
            let arg = at.get_arguments().find(|arg| arg.get_id() == id);
            let arg = arg.unwrap_or_else(|| panic!("{path:?} has no argument `{id}`"));
            assert!(arg.get::<ArgValueCompleter>().is_some(), "{path:?} {id}");
        }
    }

    #[test]
    fn what_was_typed_chooses() {
        let names = |typed: &str| -> Vec<String> {
            let found = keys(OsStr::new(typed)).into_iter();
            found.map(|one| one.get_value().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(names("retry.max_r"), ["retry.max_retries"]);
        assert!(names("no.such").is_empty());
        assert_eq!(names("").len(), KEYS.len());
    }
}
