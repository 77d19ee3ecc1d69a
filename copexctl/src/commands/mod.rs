//! One verb per file.

mod again;
mod breakers;
pub(crate) mod chat;
mod completions;
mod config;
mod council;
mod daemon;
mod doctor;
pub(crate) mod explain;
mod fleet;
pub(crate) mod help;
mod inbox;
mod init;
mod interactive;
mod login;
mod man;
mod mcp;
mod metrics;
pub(crate) mod models;
mod plan;
mod ralph;
mod render;
pub(crate) mod runs;
mod sessions;
mod setup;
mod sign_in;
mod skills;
mod status;
pub(crate) mod watch;

use std::io::{self, IsTerminal as _};

use crate::cli::{ChatArgs, Cli, Command, DaemonCommand, InteractiveArgs, UiFlags};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::request;

/// Commands of Python copex and of later versions of ours.
const LATER: [&str; 13] = [
    "acp", "squad", "agent", "campaign", "memory", "map", "edit", "undo", "audit", "diff", "stats",
    "explain", "spend",
];

/// Carries out one command line.
pub(crate) fn run(cli: Cli) -> Result<Exit> {
    carry_out(cli, Context::read)
}

/// The same, on what is there already.
pub(crate) fn carry_out(cli: Cli, ctx: impl FnOnce() -> Result<Context>) -> Result<Exit> {
    let Some(command) = cli.command else {
        return at_the_root(cli);
    };
    match command {
        Command::Completions { shell } => completions::run(shell),
        Command::Help { topic } => help::run(&topic, ctx().ok().as_ref()),
        Command::Man { command, out } => man::run(&command, out.as_deref()),
        Command::Other(words) => Err(other(&words)),
        command => with_context(ctx()?, command),
    }
}

fn with_context(ctx: Context, command: Command) -> Result<Exit> {
    if crate::render::note_columns().is_some() {
        // Whether they are read aloud. What cannot be read is told by who needs it.
        let _ = request::ui(&ctx, &UiFlags::default());
    }
    match command {
        Command::Chat(args) => chat::run(ctx, *args),
        Command::Interactive(args) => interactive::run(ctx, *args),
        Command::Ralph(args) => ralph::run(ctx, *args),
        Command::Plan(args) => plan::run(ctx, *args),
        Command::Council(args) => council::run(ctx, *args),
        Command::Fleet(args) => fleet::run(ctx, *args),
        Command::Tui(args) => crate::tui::run(ctx, *args),
        Command::Runs { command } => runs::run(&ctx, command),
        Command::Inbox { list, command } => inbox::run(&ctx, &list, command),
        Command::Sessions { command } => sessions::run(ctx, command),
        Command::Skills { command } => skills::run(&ctx, command),
        Command::Mcp { command } => mcp::run(&ctx, command),
        Command::Breakers { command } => breakers::run(&ctx, command),
        Command::Render(args) => render::run(&ctx, &args),
        Command::Models(args) => models::run(&ctx, args),
        Command::Status(flag) | Command::Daemon { command: DaemonCommand::Status(flag) } => {
            status::run(&ctx, &flag)
        }
        Command::Config { config, command } => config::run(&ctx, config, command),
        Command::Init(args) => init::run(&ctx, &args),
        Command::Metrics(args) => metrics::run(&ctx, &args),
        Command::Doctor(flag) => doctor::run(&ctx, &flag),
        Command::Daemon { command } => daemon::run(&ctx, command),
        Command::Login(passed) => login::run(&ctx, &["login"], &passed),
        Command::Logout(passed) => login::run(&ctx, &["-i", "/logout"], &passed),
        Command::Setup(args) => setup::run(&ctx, &args),
        Command::Completions { .. }
        | Command::Help { .. }
        | Command::Man { .. }
        | Command::Other(_) => {
            unreachable!("they need no context")
        }
    }
}

/// `copexctl -p PROMPT`, as in Python copex; without a prompt a conversation, where a person
/// sits.
fn at_the_root(cli: Cli) -> Result<Exit> {
    let Some(prompt) = cli.prompt else {
        if io::stdin().is_terminal() && io::stdout().is_terminal() {
            let args = InteractiveArgs { flags: cli.chat, ..InteractiveArgs::default() };
            return interactive::run(Context::read()?, args);
        }
        return Err(Failure::usage("no command and no prompt")
            .with_hint("copexctl chat \"your question\", or copexctl --help"));
    };
    let mut flags = cli.chat;
    flags.turn.output.raw |= cli.non_interactive;
    chat::run(Context::read()?, ChatArgs { prompt: Some(prompt), flags })
}

fn other(words: &[String]) -> Failure {
    let name = words.first().map_or("", String::as_str);
    if LATER.contains(&name) {
        return Failure::not_available(&format!("\"{name}\""));
    }
    let command = crate::command();
    let known = command.get_subcommands().map(clap::Command::get_name);
    let near = copex_proto::config::nearest(name, known).map(str::to_owned);
    let failure = Failure::usage(format!("\"{name}\" is not a command"));
    match near {
        Some(near) => failure.with_hint(format!("did you mean `copexctl {near}`?")),
        None => {
            failure.with_hint("copexctl --help names them; a prompt goes after `copexctl chat`")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_other_versions_are_told_apart_from_mistakes() {
        let later = other(&["acp".to_owned()]);
        assert_eq!(later.to_string(), "\"acp\" is not available in this version");
        assert_eq!(later.exit() as u8, 2);
        let Failure::Told { info, .. } = other(&["chta".to_owned()]) else { panic!() };
        assert_eq!(info.hint.as_deref(), Some("did you mean `copexctl chat`?"));
    }
}
