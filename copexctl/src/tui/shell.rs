//! The loop around the state: keys, signals and the daemon in; drawings, calls and editors
//! out. It sleeps in poll(2) until one of them has something, and draws only what changed.

use std::fs;
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::time::Duration;

use copex_proto::plan::Plan;
use crossterm::event::{Event, KeyCode, KeyModifiers, poll as ready, read};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::SIGTSTP;

use super::link::Connection;
use super::model::call::Effect;
use super::model::{Model, Msg};
use super::submit;
use super::terminal::{self, Stage};
use crate::cli::ChatFlags;
use crate::clock;
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::process;
use crate::render::screen::signals::{Signals, obey};

/// Between two drawings, in milliseconds: faster than anybody reads.
const FRAME_MS: u64 = 33;

/// How long is waited for another key once there was one. A wait of nothing would not even
/// look.
const KEYS: Duration = Duration::from_millis(2);

/// After keys it is looked for more, so often and so many milliseconds apart. What was read
/// with another key waits inside of crossterm, and is not found where this process was made to
/// wait just when it looked; then stdin has nothing that would wake it.
const LOOKS: (u8, u64) = (2, 50);

/// What the loop works with.
pub(crate) struct Shell<'a> {
    /// The environment.
    pub(crate) ctx: &'a Context,
    /// What new runs have in common.
    pub(crate) flags: &'a ChatFlags,
    /// The state.
    pub(crate) model: Model,
    /// The terminal.
    pub(crate) stage: Stage,
    /// The daemon.
    pub(crate) daemon: Connection<'a>,
    /// Signals.
    pub(crate) signals: Signals,
    /// The user's editor.
    pub(crate) editor: String,
    /// How often it is still looked for more keys.
    pub(crate) looks: u8,
}

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    On,
    Leave,
}

impl Shell<'_> {
    /// Shows everything until a person leaves.
    ///
    /// # Errors
    /// When the terminal cannot be used, or the daemon is of another version.
    pub(crate) fn run(mut self) -> Result<()> {
        let (mut dirty, mut painted_at) = (true, 0);
        loop {
            let now = clock::unix_ms();
            let effects = self.model.tick(now);
            if self.carry_out(effects)? == Next::Leave {
                return Ok(());
            }
            if let Some(msg) = self.daemon.again(now, false)? {
                self.model.update(msg);
            }
            if let Some(msg) = self.daemon.follow(&self.model.followed())? {
                self.model.update(msg);
                dirty = true;
            }
            self.stage.send()?;
            let frame = (painted_at + FRAME_MS).saturating_sub(now);
            // What is not sent yet comes first: on a slow line, frames are left out.
            if dirty && frame == 0 && !self.stage.is_sending() {
                self.model.size = terminal::size();
                self.stage.paint(&self.model)?;
                (dirty, painted_at) = (false, now);
                #[cfg(debug_assertions)]
                self.fall();
            }
            let frame = (dirty && !self.stage.is_sending()).then_some(frame.max(1));
            let looks = (self.looks > 0).then_some(LOOKS.1);
            let clocks = [self.model.rest(), self.daemon.rest(now)].into_iter().flatten().min();
            let rests = [clocks, frame, looks];
            match self.wait(rests.into_iter().flatten().min())? {
                Some(Next::Leave) => return Ok(()),
                Some(Next::On) => dirty = true,
                // A clock went on; or nothing but a frame was due.
                None => dirty |= clocks.is_some_and(|clock| now + clock <= clock::unix_ms()),
            }
        }
    }

    /// In a build with assertions a test may ask to see what a panic leaves behind.
    #[cfg(debug_assertions)]
    fn fall(&self) {
        assert!(self.ctx.env.get("COPEX_TUI_PANICS").is_none(), "a test asked for this panic");
    }

    /// Waits until something happens, and takes it; nothing when only time passed, or when the
    /// terminal takes more.
    fn wait(&mut self, rest: Option<u64>) -> Result<Option<Next>> {
        let (stdin, stdout) = (io::stdin(), io::stdout());
        let mut fds = vec![
            PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        if self.stage.is_sending() {
            fds.push(PollFd::new(stdout.as_fd(), PollFlags::POLLOUT));
        }
        let daemon = fds.len();
        fds.extend(self.daemon.wakes().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let rest = rest
            .map_or(PollTimeout::NONE, |ms| PollTimeout::try_from(ms).unwrap_or(PollTimeout::MAX));
        // A signal that interrupts it is found in the next round.
        let count = poll(&mut fds, rest).unwrap_or(0);
        let is = |index: usize| fds.get(index).is_some_and(|fd| fd.any().unwrap_or(true));
        let (typed, signal, told) = (is(0), is(1), is(daemon));
        let hung_up = fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP));
        if hung_up {
            return Ok(Some(Next::Leave));
        }
        if signal && self.signals.take() {
            self.signal()?;
        }
        if told {
            for msg in self.daemon.read()? {
                let effects = self.model.update(msg);
                if self.carry_out(effects)? == Next::Leave {
                    return Ok(Some(Next::Leave));
                }
            }
        }
        let mut found = typed || signal || told;
        // A new size is told among the keys, too.
        if typed || signal || (count == 0 && self.looks > 0) {
            self.looks = if typed { LOOKS.0 } else { self.looks.saturating_sub(1) };
            match self.typed()? {
                Some(Next::Leave) => return Ok(Some(Next::Leave)),
                keys => found |= keys.is_some(),
            }
        }
        Ok(found.then_some(Next::On))
    }

    /// Takes all keys that are there; nothing when there are none.
    fn typed(&mut self) -> Result<Option<Next>> {
        let mut found = None;
        while ready(KEYS)? {
            found = Some(Next::On);
            let msg = match read()? {
                Event::Key(key)
                    if key.code == KeyCode::Char('z')
                        && key.modifiers.contains(KeyModifiers::CONTROL) =>
                {
                    self.leave_for(SIGTSTP)?;
                    continue;
                }
                Event::Key(key) => Msg::Key(key),
                Event::Paste(text) => Msg::Paste(text),
                Event::Mouse(mouse) => Msg::Mouse(mouse),
                Event::Resize(..) | Event::FocusGained | Event::FocusLost => continue,
            };
            let effects = self.model.update(msg);
            if self.carry_out(effects)? == Next::Leave {
                return Ok(Some(Next::Leave));
            }
        }
        Ok(found)
    }

    fn signal(&mut self) -> Result<()> {
        match self.signals.leaving() {
            Some(signal) => self.leave_for(signal),
            // A new size is seen by the next drawing.
            None => Ok(()),
        }
    }

    /// The terminal belongs to others until this process is continued, or for good.
    fn leave_for(&mut self, signal: i32) -> Result<()> {
        terminal::restore();
        obey(signal);
        self.stage.take()?;
        Ok(())
    }

    fn carry_out(&mut self, effects: Vec<Effect>) -> Result<Next> {
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(Next::Leave),
                Effect::Redraw => self.stage.clear(),
                Effect::Call(_) | Effect::Submit(_) if !self.daemon.is_up() => {
                    self.model.complain("there is no daemon; nothing was done");
                }
                Effect::Call(call) => self.daemon.call(call)?,
                Effect::Submit(draft) => match submit::request(self.ctx, self.flags, &draft) {
                    Ok(request) => self.daemon.submit(&request)?,
                    Err(failure) => {
                        self.model.update(Msg::Submitted(Err(told(failure))));
                    }
                },
                Effect::EditPrompt(text) => {
                    let edited = self.edit_text(&text, "md");
                    self.model.update(Msg::Edited(edited));
                }
                Effect::View { text, extension } => {
                    let ended = self.edit_text(&text, extension).map(drop);
                    self.model.update(Msg::Viewed(ended));
                }
                Effect::EditPlan(file) => {
                    let ended = self.edit(&file).and_then(|()| check_plan(&file));
                    self.model.update(Msg::Viewed(ended));
                }
                Effect::StartDaemon => {
                    if let Some(msg) = self.daemon.again(self.model.now, true)? {
                        self.model.update(msg);
                    }
                }
            }
        }
        Ok(Next::On)
    }

    /// Lets the user's editor have the terminal for a while.
    fn edit(&mut self, file: &Path) -> std::result::Result<(), String> {
        terminal::restore();
        let ended = process::edit(&self.editor, file)
            .map_err(|why| format!("the editor `{}` {why}; set EDITOR", self.editor));
        self.stage.take().map_err(|error| error.to_string())?;
        ended
    }

    /// A text as the editor left it.
    fn edit_text(&mut self, text: &str, extension: &str) -> std::result::Result<String, String> {
        let words = |error: io::Error| format!("a file for the editor: {error}");
        let suffix = format!(".{extension}");
        let mut file =
            tempfile::Builder::new().prefix("copex-").suffix(&suffix).tempfile().map_err(words)?;
        file.write_all(text.as_bytes()).map_err(words)?;
        file.flush().map_err(words)?;
        self.edit(file.path())?;
        fs::read_to_string(file.path()).map_err(words)
    }
}

/// Whether a plan's file can still be read.
fn check_plan(file: &Path) -> std::result::Result<(), String> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    let read = text.and_then(|text| Plan::read(&text).map_err(|error| error.to_string()));
    read.map(drop).map_err(|why| format!("the plan {} cannot be read: {why}", file.display()))
}

fn told(failure: Failure) -> copex_proto::error::ErrorInfo {
    match failure {
        Failure::Told { info, .. } => *info,
        Failure::OutputClosed => copex_proto::error::ErrorInfo::new(
            copex_proto::error::ErrorClass::Unknown,
            failure.to_string(),
        ),
    }
}
