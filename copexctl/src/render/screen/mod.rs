//! Loops, plans, fleets and councils on a terminal: one screen that says how they stand, instead
//! of all that is said in them.
//!
//! Events are folded into a [`model`], those of several who work side by side into a [`crew`],
//! which is laid out ([`layout`], [`parts`], [`rows`], [`mod@line`]) and
//! drawn ([`paint`]). Only the last does anything. A chat, and everything that is no terminal,
//! has the text that it always had.

mod crew;
mod layout;
mod line;
mod model;
mod paint;
mod parts;
mod rows;
pub(crate) mod signals;
mod stage;
mod words;
mod work;

use std::io::{self, Stderr, Stdout};
use std::os::fd::BorrowedFd;
use std::time::Duration;

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::run::Mode;

use crate::follow::View;
use crate::render::countdown::Countdown;
use crate::render::styled;
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
            && accepted.mode != Mode::Chat
            && self.stage.is_none()
        {
            self.stage = Some(Stage::new(self.style)?);
        }
        self.view().event(event, raw)
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        self.view().note(text)
    }

    fn show(&mut self, lines: &[styled::Line]) -> io::Result<()> {
        self.view().show(lines)
    }

    fn question(&mut self, lines: &[styled::Line]) -> io::Result<()> {
        self.view().question(lines)
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
