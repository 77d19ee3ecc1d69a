//! Who sees a run that is followed, and what a person may say there.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use copex_proto::error::ErrorInfo;
use copex_proto::event::RunEvent;
use serde_json::value::RawValue;

use crate::render::styled::Line;

/// Who sees the events.
pub(crate) trait View {
    /// One event, in order, and the line it came in.
    fn event(&mut self, event: &RunEvent, raw: &str) -> io::Result<()>;
    /// Words beside the run, for a person.
    fn note(&mut self, text: &str) -> io::Result<()>;

    /// Lines beside the run, below what stands there.
    fn show(&mut self, _lines: &[Line]) -> io::Result<()> {
        Ok(())
    }

    /// A question that is answered by typing, again when the answer was none.
    fn question(&mut self, lines: &[Line]) -> io::Result<()> {
        let text: Vec<_> = lines.iter().map(Line::plain).collect();
        self.note(&text.join("\n"))
    }

    /// The question was answered by somebody else.
    fn answered_elsewhere(&mut self) -> io::Result<()> {
        self.note("answered elsewhere")
    }

    /// Nothing more is to be read at the moment: what has changed may be drawn. Gives how long
    /// it may be until it is called again; none for as long as nothing happens.
    fn rest(&mut self) -> io::Result<Option<Duration>> {
        Ok(None)
    }

    /// What the model writes of which nothing is seen yet, where the cursor stands at the
    /// beginning of a line.
    fn unseen(&self) -> Option<&'static str> {
        None
    }

    /// What wakes it besides.
    fn wakes(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    /// Whether keys are its own: they are read by [`View::keys`] then, asked or not.
    fn types(&self) -> bool {
        false
    }

    /// Keys were pressed; what they made. Only where it types.
    fn keys(&mut self) -> io::Result<Vec<Typed>> {
        Ok(Vec::new())
    }

    /// A line that answers no question.
    fn said(&mut self, _line: &str) -> io::Result<()> {
        Ok(())
    }

    /// Calls that it wants made. Each is told by [`View::sent`] when it is on its way.
    fn calls(&mut self) -> Vec<Call> {
        Vec::new()
    }

    /// The next of its calls is on its way under this id, which is the connection's.
    fn sent(&mut self, _id: u64) {}

    /// What a call gave; whether it was one of the view's.
    fn replied(&mut self, _id: u64, _reply: Reply<'_>) -> io::Result<bool> {
        Ok(false)
    }

    /// The connection is lost, and with it the replies to calls.
    fn lost(&mut self) {}

    /// The terminal is another program's for a while.
    fn suspend(&mut self) {}

    /// Nothing more will come.
    fn close(&mut self) {}
}

/// What keys made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Typed {
    /// A whole line: an answer where a question waits.
    Line(String),
    /// The person wants to leave; the run stays.
    Leave,
}

/// A call to the daemon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    /// The method.
    pub(crate) method: &'static str,
    /// Its parameters.
    pub(crate) params: serde_json::Value,
}

/// What a call gave.
pub(crate) type Reply<'a> = std::result::Result<&'a RawValue, &'a ErrorInfo>;
