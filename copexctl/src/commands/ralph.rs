//! `ralph`: the same task again and again, until it is true.

use copex_proto::run::Mode;

use crate::cli::{ChatFlags, RalphArgs};
use crate::commands::{again, chat};
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::request;

/// Starts the loop, or goes on with one, and shows how it goes.
pub(crate) fn run(mut ctx: Context, args: RalphArgs) -> Result<Exit> {
    let RalphArgs { prompt, resume, flags: of_loop, turn } = args;
    if let Some(wanted) = resume {
        return again::run(&ctx, Mode::Ralph, &wanted, &turn);
    }
    let flags = ChatFlags { turn, ..ChatFlags::default() };
    let (settings, prompt) = chat::prepare(&mut ctx, prompt.as_deref(), &flags)?;
    let request = request::ralph(&ctx, &settings, (of_loop, &flags), prompt)?;
    chat::launch(&ctx, &request, &settings, &flags)
}
