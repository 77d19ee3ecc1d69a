//! `completions`: a script for a shell.

use clap_complete::Shell;

use crate::error::Result;
use crate::exit::Exit;
use crate::render;

/// Prints the script.
pub(crate) fn run(shell: Shell) -> Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::command(), "copexctl", &mut script);
    render::text(&script)?;
    Ok(Exit::Done)
}
