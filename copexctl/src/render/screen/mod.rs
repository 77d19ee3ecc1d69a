//! Loops and plans on a terminal: one screen that says how they stand, instead of all that is
//! said in them.
//!
//! Events are folded into a [`model`], which is laid out ([`layout`], [`parts`], [`mod@line`]) and
//! drawn ([`paint`]). Only the last does anything. Other modes, and everything that is no
//! terminal, have the text that they always had.

mod layout;
mod line;
mod model;
mod paint;
mod parts;
pub(crate) mod signals;
mod stage;

use std::io::{self, Stderr, Stdout};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::run::Mode;

use crate::follow::View;
use crate::render::countdown::Countdown;
use crate::render::text::{Style, Text};
use stage::Stage;

/// A run as text until its mode is known, and then as what fits.
pub(crate) struct Live {
    style: Style,
    text: Countdown<Text<Stdout, Stderr>, Stderr>,
    stage: Option<Stage>,
}

impl Live {
    /// Nothing is known yet; `style` is that of the text.
    pub(crate) fn new(style: Style) -> Self {
        let text = Text::new(io::stdout(), io::stderr(), style);
        let text = Countdown::new(text, io::stderr());
        Self { style, text, stage: None }
    }

    fn view(&mut self) -> &mut dyn View {
        match &mut self.stage {
            Some(stage) => stage,
            None => &mut self.text,
        }
    }
}

impl View for Live {
    fn event(&mut self, event: &RunEvent, raw: &str) -> io::Result<()> {
        if let EventBody::Accepted(accepted) = &event.body
            && matches!(accepted.mode, Mode::Ralph | Mode::Plan)
            && self.stage.is_none()
        {
            self.stage = Some(Stage::new(self.style)?);
        }
        self.view().event(event, raw)
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.view().note(text)
    }

    fn question(&mut self, text: &str) -> io::Result<()> {
        self.view().question(text)
    }

    fn answered_elsewhere(&mut self) -> io::Result<()> {
        self.view().answered_elsewhere()
    }

    fn rest(&mut self) -> io::Result<Option<Duration>> {
        self.view().rest()
    }

    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        self.stage.as_ref().and_then(View::wakes)
    }

    fn suspend(&mut self) {
        self.view().suspend();
    }

    fn close(&mut self) {
        self.view().close();
    }
}
