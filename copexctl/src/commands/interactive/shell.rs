//! `!COMMAND`: a command of the person's own shell.

use std::io::{self, IsTerminal as _};
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::Ordering;

use nix::sys::signal::Signal;
use nix::sys::termios::{SetArg, tcgetattr, tcsetattr};

use super::{Desk, Step};
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;
use crate::process;
use crate::render;

impl Desk {
    /// Carries a command out, on this terminal and in the conversation's folder. The agent hears
    /// nothing of it, Ctrl-C ends it alone, and how it ended is said where it was not well.
    ///
    /// # Errors
    /// Where nobody types: a text that is piped in must not command a shell.
    pub(super) fn shell(&mut self, command: &str) -> Result<Step> {
        if command.is_empty() {
            return Err(Failure::usage("! takes a command").with_hint("!git status"));
        }
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("!COMMAND is for a terminal, and stdin is none")
                .with_hint("`!!` at the beginning: the agent gets the line, with one `!`"));
        }
        let shell = self.conversation.ctx.env.get("SHELL").filter(|it| !it.is_empty());
        let shell = shell.unwrap_or("sh").to_owned();
        // The terminal sends Ctrl-C to both of us.
        let interrupts = Interrupts::catch()?;
        self.waits.store(false, Ordering::Relaxed);
        let before = tcgetattr(io::stdin());
        let status = process::command(&shell)
            .args(["-c", command])
            .current_dir(&self.conversation.settings.cwd)
            .status();
        self.waits.store(true, Ordering::Relaxed);
        drop(interrupts);
        // One that was killed may have left it without echo.
        if let Ok(before) = before {
            let _ = tcsetattr(io::stdin(), SetArg::TCSADRAIN, &before);
        }
        let status = status.map_err(|error| {
            Failure::failed(format!("{shell} could not be started: {error}"))
                .with_hint("the variable SHELL names the shell")
        })?;
        match (status.code(), status.signal().and_then(|it| Signal::try_from(it).ok())) {
            (Some(0), _) => {}
            (Some(code), _) => render::note(&format!("exit code {code}")),
            (None, Some(signal)) => render::note(&format!("ended by {signal}")),
            (None, None) => render::note(&status.to_string()),
        }
        Ok(Step::On)
    }
}
