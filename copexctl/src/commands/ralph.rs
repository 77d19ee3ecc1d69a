//! `ralph`: the same task again and again, until it is true.

use crate::cli::{ChatFlags, RalphArgs};
use crate::commands::chat;
use crate::context::Context;
use crate::error::Result;
use crate::exit::Exit;
use crate::request;

/// Starts the loop and shows how it goes.
pub(crate) fn run(mut ctx: Context, args: RalphArgs) -> Result<Exit> {
    let RalphArgs { prompt, flags: of_loop, turn } = args;
    let flags = ChatFlags { turn, ..ChatFlags::default() };
    let (settings, prompt) = chat::prepare(&mut ctx, prompt.as_deref(), &flags)?;
    let request = request::ralph(&ctx, &settings, (of_loop, &flags), prompt)?;
    chat::launch(&ctx, &request, &settings, &flags)
}
