//! `ralph`: the same task again and again, until it is true.

use copex_proto::run::Mode;

use crate::cli::{ChatFlags, RalphArgs};
use crate::commands::{again, chat};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::{render, request};

/// What is said of a loop that nothing can end well.
const ENDLESS: &str = "warning: nothing can end this loop well, only a limit: give it --promise \
                       TEXT for the agent to say, or --verify COMMAND to become green";

/// Starts the loop, or goes on with one, and shows how it goes.
pub(crate) fn run(mut ctx: Context, args: RalphArgs) -> Result<Exit> {
    let RalphArgs { prompt, resume, flags: of_loop, turn } = args;
    if let Some(wanted) = resume {
        return again::run(&ctx, Mode::Ralph, &wanted, &turn);
    }
    let flags = ChatFlags { turn, ..ChatFlags::default() };
    let (settings, prompt) = chat::prepare(&mut ctx, prompt.as_deref(), &flags)?;
    if of_loop.promise.is_none() && of_loop.verify.is_empty() {
        render::note(ENDLESS);
    }
    let request = request::ralph(&ctx, &settings, (of_loop, &flags), prompt)?;
    chat::launch(&ctx, &request, &settings, &flags)
}
