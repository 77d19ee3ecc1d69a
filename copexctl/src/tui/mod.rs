//! The whole house on one screen: all runs, one run in full, the inbox, money, the pool.
//!
//! ```text
//! keys, mouse, daemon --> model (pure) --> effects: calls, editors, leaving
//!                           |
//!                           v
//!                         draw (pure) --> cells; the terminal writes those that changed
//! ```
//!
//! Invariant: nothing is polled. The daemon tells what changes, clocks tick only while one
//! is seen, and otherwise the process sleeps.

pub(crate) mod draw;
mod link;
mod model;
mod shell;
mod submit;
mod terminal;
#[cfg(test)]
pub(crate) mod tests;

use std::io::{self, IsTerminal as _};

pub(crate) use self::draw::look::Theme;
use self::link::Connection;
use self::model::Model;
use self::shell::Shell;
use self::terminal::{Mouse, Stage};
use crate::cli::{ChatFlags, TuiArgs, TurnFlags};
use crate::commands::{chat, watch};
use crate::connect::start;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render::screen::signals::Signals;
use crate::settings::Settings;

/// Shows the house until a person leaves.
pub(crate) fn run(mut ctx: Context, args: TuiArgs) -> Result<Exit> {
    check_terminal(&ctx, &args)?;
    let mouse = if args.mouse { Mouse::Taken } else { Mouse::Left };
    let named = args.ui_theme;
    let turn = TurnFlags {
        model: args.model,
        reasoning: args.reasoning,
        config: args.config,
        cwd: args.cwd,
        approval: args.approval,
        // Runs outlive this screen.
        detach: true,
        ..TurnFlags::default()
    };
    let flags = ChatFlags { turn, ..ChatFlags::default() };
    let settings = chat::settle(&mut ctx, &flags)?;
    let stream = start::connect(&ctx)?;
    ctx.screen = true;
    let model = Model {
        asked: settings.config.model.clone().unwrap_or_default(),
        effort: settings.config.reasoning_effort,
        theme: theme(&ctx, named, &settings),
        ..Model::default()
    };
    let daemon = Connection::new(&ctx, stream)?;
    let signals = Signals::catch()?;
    let stage = Stage::enter(mouse)
        .map_err(|error| Failure::failed(format!("the terminal cannot be used: {error}")))?;
    let editor = watch::editor(&ctx);
    let shell = Shell { ctx: &ctx, flags: &flags, model, stage, daemon, signals, editor };
    shell.run()?;
    Ok(Exit::Done)
}

/// The flag, then `NO_COLOR`, then the configuration.
fn theme(ctx: &Context, named: Option<Theme>, settings: &Settings) -> Theme {
    let colourless = ctx.env.get("NO_COLOR").map(|_| Theme::Mono);
    let key = || Theme::named(settings.merged.entry("ui_theme")?.value.as_str()?);
    named.or(colourless).or_else(key).unwrap_or_default()
}

/// A full screen needs a terminal that can draw one, and somebody who sees it.
fn check_terminal(ctx: &Context, args: &TuiArgs) -> Result<()> {
    let why = if args.screen_reader {
        "a screen that is redrawn cannot be read aloud"
    } else if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        "tui needs a terminal"
    } else if ctx.env.get("TERM").is_none_or(|term| term == "dumb") {
        "this terminal cannot draw a full screen (TERM)"
    } else {
        return Ok(());
    };
    Err(Failure::usage(why).with_hint(
        "`copexctl interactive` talks line by line; `copexctl runs list`, `runs attach RUN` and \
         `inbox` print lines",
    ))
}
