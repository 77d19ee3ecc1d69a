//! `completions`: a script for a shell.

use clap_complete::Shell;
use clap_complete::env::Shells;

use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::render;

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<Exit> {
    render::text(&script(shell)?)?;
    Ok(Exit::Done)
}

/// The script: it asks the `copexctl` on the path at each Tab, so it never gets old.
pub(crate) fn script(shell: Shell) -> Result<Vec<u8>> {
    const VARIABLE: &str = "COMPLETE";
    const PROGRAM: &str = "copexctl";
    let name = shell.to_string();
    let shells = Shells::builtins();
    let known = shells.completer(&name);
    let known = known.ok_or_else(|| Failure::usage(format!("no completions for {name}")))?;
    let mut script = Vec::new();
    known.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Ok(script)
}
