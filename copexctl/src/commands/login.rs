//! `login` and `logout`: the Copilot CLI's own, since sign-in belongs to it.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};

use crate::cli::PassedOn;
use crate::context::Context;
use crate::error::{Failure, Result, reason};
use crate::exit::Exit;
use crate::process;
use crate::render;
use crate::settings::{self, Given};

/// Becomes the Copilot CLI with the words that sign in or out: `login` is a command of its
/// shell side, `/logout` exists at its prompt only.
pub(crate) fn run(ctx: &Context, words: &[&str], passed: &PassedOn) -> Result<Exit> {
    let (merged, _) = settings::merge(ctx, Given::default())?;
    let named = merged.entry("cli_path").and_then(|entry| entry.value.as_str().map(PathBuf::from));
    let program = find(ctx, named.as_deref())
        .ok_or_else(|| Failure::unavailable("the Copilot CLI was not found").with_hint(INSTALL))?;
    if words.contains(&"/logout") && passed.arguments.is_empty() {
        render::note("signing out is the Copilot CLI's: it opens and does so; /exit leaves it");
    }
    let error = process::command(&program).args(words).args(&passed.arguments).exec();
    Err(Failure::unavailable(format!("cannot start {}: {}", program.display(), reason(&error))))
}

/// How to get the Copilot CLI.
pub(crate) const INSTALL: &str =
    "npm install -g @github/copilot, or set cli_path or COPILOT_CLI_PATH";

/// The Copilot CLI, where copexd looks for it as well: the one named by `cli_path`, else
/// by `$COPILOT_CLI_PATH`, else the one found.
pub(crate) fn find(ctx: &Context, named: Option<&Path>) -> Option<PathBuf> {
    match named.or_else(|| ctx.env.get("COPILOT_CLI_PATH").map(Path::new)) {
        Some(path) => process::is_program(path).then(|| path.to_owned()),
        None => process::find_copilot(ctx.env.get("PATH").unwrap_or_default(), &ctx.home),
    }
}
