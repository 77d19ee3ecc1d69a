//! A person in front of a terminal: what stands on the screen, and keys.
//!
//! The terminal is a controlling one, so Ctrl-C is a key like any other, and it answers where
//! its cursor is, as terminals do.

use std::num::NonZero;
use std::time::Duration;

use crate::clock::{Deadline, PATIENCE};
use crate::process::{Launch, Running};

/// What a program asks to know where the cursor is.
const WHERE: &[u8] = b"\x1b[6n";

/// Lines that are kept above the screen.
const SCROLLBACK: usize = 10_000;

fn cells(count: u16) -> NonZero<u16> {
    NonZero::new(count).expect("a screen is not empty")
}

/// A program on a screen.
pub struct Screen {
    running: Running,
    parser: vt100::Parser,
    seen: usize,
    rest: Vec<u8>,
}

impl Screen {
    /// Starts it on a terminal of 24 rows and 80 columns.
    pub fn start(launch: Launch) -> Self {
        let running = launch.under("setsid", &["-c"]).start_on_one_terminal();
        let parser = vt100::Parser::new(cells(24), cells(80), SCROLLBACK);
        Self { running, parser, seen: 0, rest: Vec::new() }
    }

    /// The process.
    pub fn process(&self) -> &Running {
        &self.running
    }

    /// Presses keys.
    pub fn keys(&mut self, keys: &str) -> &mut Self {
        self.running.type_in(keys);
        self
    }

    /// Types a line and presses Enter.
    pub fn line(&mut self, text: &str) -> &mut Self {
        self.keys(&format!("{text}\r"))
    }

    /// Pastes, as a terminal does that was asked to say so.
    pub fn paste(&mut self, text: &str) -> &mut Self {
        self.keys(&format!("\x1b[200~{text}\x1b[201~"))
    }

    /// Gives the terminal another size.
    pub fn resize(&mut self, rows: u16, columns: u16) -> &mut Self {
        self.parser.screen_mut().set_size(cells(rows), cells(columns));
        self.running.resize(rows, columns);
        self
    }

    /// What stands on the screen.
    pub fn shown(&self) -> String {
        self.parser.screen().contents()
    }

    /// Waits until the screen has these words, and gives it.
    pub fn wait(&mut self, words: &str) -> String {
        self.wait_for(words, |shown| shown.contains(words))
    }

    /// Waits until the screen is as wanted.
    pub fn wait_for(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let shown = self.shown();
            if wanted(&shown) {
                return shown;
            }
            let left = deadline.left().unwrap_or_else(|| panic!("no {what}:\n{shown}"));
            if !self.look(left) {
                let shown = self.shown();
                assert!(wanted(&shown), "it ended without {what}:\n{shown}");
            }
        }
    }

    /// Waits for the end; its exit code, and the screen then.
    pub fn end(mut self) -> (i32, String) {
        let deadline = Deadline::after(PATIENCE);
        while deadline.left().is_some_and(|left| self.look(left)) {}
        let code = self.running.wait().code();
        (code, self.shown())
    }

    /// Takes what came; whether more may come.
    fn look(&mut self, patience: Duration) -> bool {
        let bytes = self.running.output_after(self.seen, patience);
        if bytes.is_empty() {
            return false;
        }
        self.seen += bytes.len();
        self.rest.extend_from_slice(&bytes);
        while let Some(at) = self.rest.windows(WHERE.len()).position(|window| window == WHERE) {
            self.parser.process(&self.rest[..at]);
            self.rest.drain(..at + WHERE.len());
            let (row, column) = self.parser.screen().cursor_position();
            self.running.type_in(&format!("\x1b[{};{}R", row + 1, column + 1));
        }
        // The beginning of such a question may be the end of what came.
        let whole = (1..WHERE.len()).rev().find(|&n| self.rest.ends_with(&WHERE[..n]));
        let whole = self.rest.len() - whole.unwrap_or(0);
        let ready: Vec<u8> = self.rest.drain(..whole).collect();
        self.parser.process(&ready);
        true
    }
}
