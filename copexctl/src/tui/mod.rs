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

use copex_proto::config::Density;
use signal_hook::consts::{SIGINT, SIGQUIT};

use self::link::Connection;
use self::model::{Model, Shown};
use self::shell::Shell;
use self::terminal::{Mouse, Stage};
use crate::cli::{ChatFlags, OutputFlags, TuiArgs, TurnFlags};
use crate::commands::{chat, watch};
use crate::connect::start;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render::screen::signals::Signals;
use crate::render::theme::Look;

/// Shows the house until a person leaves.
pub(crate) fn run(mut ctx: Context, args: TuiArgs) -> Result<Exit> {
    check_terminal(&ctx)?;
    let mouse = if args.mouse { Mouse::Taken } else { Mouse::Left };
    let turn = TurnFlags {
        model: args.model,
        reasoning: args.reasoning,
        config: args.config,
        cwd: args.cwd,
        approval: args.approval,
        output: OutputFlags { ui: args.ui, ..OutputFlags::default() },
        // Runs outlive this screen.
        detach: true,
        ..TurnFlags::default()
    };
    let flags = ChatFlags { turn, ..ChatFlags::default() };
    let settings = chat::settle(&mut ctx, &flags)?;
    let ui = settings.config.ui;
    if ui.screen_reader {
        return Err(unfit("a screen that is redrawn cannot be read aloud (screen_reader)"));
    }
    let stream = start::connect(&ctx)?;
    ctx.screen = true;
    let model = Model {
        asked: settings.config.model.clone().unwrap_or_default(),
        effort: settings.config.reasoning_effort,
        // A cell cannot lead somewhere: an address stands behind its words.
        look: Look { links: false, ..Look::of(&ctx.env, ui, true) },
        shown: Shown { results: ui.density == Density::Extended, ..Shown::default() },
        ..Model::default()
    };
    let daemon = Connection::new(&ctx, stream)?;
    let signals = Signals::catch_with(&[SIGINT, SIGQUIT])?;
    let stage = Stage::enter(mouse)
        .map_err(|error| Failure::failed(format!("the terminal cannot be used: {error}")))?;
    let editor = watch::editor(&ctx);
    let shell = Shell { ctx: &ctx, flags: &flags, model, stage, daemon, signals, editor, looks: 0 };
    shell.run()?;
    Ok(Exit::Done)
}

/// A full screen needs a terminal that can draw one.
fn check_terminal(ctx: &Context) -> Result<()> {
    if !(io::stdin().is_terminal() && io::stdout().is_terminal()) {
        return Err(unfit("tui needs a terminal"));
    }
    if ctx.env.get("TERM").is_none_or(|term| term == "dumb") {
        return Err(unfit("this terminal cannot draw a full screen (TERM)"));
    }
    Ok(())
}

fn unfit(why: &str) -> Failure {
    Failure::usage(why).with_hint(
        "`copexctl interactive` talks line by line; `copexctl runs list`, `runs attach RUN` and \
         `inbox` print lines",
    )
}
