//! A watcher of one run that keeps the bytes: each event's text as it came over the wire.
//!
//! What a daemon says of an event must be the same before and after its death; only the
//! bytes can show that.

use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::clock::{Deadline, PATIENCE};

/// Event types after which a run says nothing more.
const TERMINAL: [&str; 5] = ["done", "failed", "blocked", "exhausted", "cancelled"];

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tapped {
    /// Its number.
    pub seq: u64,
    /// Its type.
    pub kind: String,
    /// Its bytes.
    pub text: String,
}

impl Tapped {
    /// The event as a value.
    pub fn value(&self) -> Value {
        serde_json::from_str(&self.text).expect("an event is JSON")
    }

    /// Whether the run says nothing after it.
    pub fn is_terminal(&self) -> bool {
        TERMINAL.contains(&self.kind.as_str())
    }
}

/// A connection that watches one run.
#[derive(Debug)]
pub struct Tap {
    reader: BufReader<UnixStream>,
    partial: Vec<u8>,
}

#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    params: Option<Params<'a>>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Params<'a> {
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Header {
    seq: u64,
    r#type: String,
}

impl Tap {
    /// Watches `run` after `after`.
    pub fn watch(socket: &Path, run: &str, after: u64) -> Self {
        let mut stream = UnixStream::connect(socket)
            .unwrap_or_else(|error| panic!("connect to {}: {error}", socket.display()));
        let params = serde_json::json!({"run": run, "after": after});
        let call = serde_json::json!({
            "jsonrpc": "2.0", "id": 1, "method": "run.watch", "params": params,
        });
        stream.write_all(format!("{call}\n").as_bytes()).expect("the daemon takes the call");
        Self { reader: BufReader::new(stream), partial: Vec::new() }
    }

    /// The next event; `None` when the connection ended, or none came in time.
    pub fn next_event(&mut self) -> Option<Tapped> {
        let deadline = Deadline::after(PATIENCE);
        loop {
            let line = self.line(deadline)?;
            let frame: Frame<'_> = serde_json::from_str(&line)
                .unwrap_or_else(|error| panic!("not a frame ({error}): {line}"));
            assert!(frame.error.is_none(), "the watch was refused: {line}");
            let Some(raw) = frame.params.and_then(|params| params.result) else { continue };
            let text = raw.get().to_owned();
            let header: Header = serde_json::from_str(&text).expect("an event has a number");
            return Some(Tapped { seq: header.seq, kind: header.r#type, text });
        }
    }

    /// Events until `wanted` says that it has seen enough, with the one it said it of; fewer
    /// when the run or the connection ends first.
    pub fn until(&mut self, mut wanted: impl FnMut(&Tapped) -> bool) -> Vec<Tapped> {
        let mut seen = Vec::new();
        while let Some(event) = self.next_event() {
            let enough = wanted(&event) || event.is_terminal();
            seen.push(event);
            if enough {
                break;
            }
        }
        seen
    }

    /// Events up to and with the terminal one.
    pub fn follow(&mut self) -> Vec<Tapped> {
        let seen = self.until(|_| false);
        assert!(seen.last().is_some_and(Tapped::is_terminal), "no end: {seen:#?}");
        seen
    }

    fn line(&mut self, deadline: Deadline) -> Option<String> {
        loop {
            // Out of patience is no event: who waits for one says what came instead.
            let left = deadline.left()?;
            self.reader.get_ref().set_read_timeout(Some(left)).expect("a time-out");
            match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(_) if self.partial.ends_with(b"\n") => {
                    let line = std::mem::take(&mut self.partial);
                    return Some(String::from_utf8(line).expect("a frame is text"));
                }
                Ok(0) => return None,
                Ok(_) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                    ) => {}
                Err(_) => return None,
            }
        }
    }
}

/// Asserts what holds for every log that ended: numbers from 1 without a gap, and one
/// terminal event, at the end.
pub fn assert_whole(events: &[Tapped]) {
    let seqs: Vec<u64> = events.iter().map(|event| event.seq).collect();
    let wanted: Vec<u64> = (1..=seqs.len() as u64).collect();
    assert_eq!(seqs, wanted, "numbers without a gap");
    let ends: Vec<usize> =
        events.iter().enumerate().filter(|(_, e)| e.is_terminal()).map(|(at, _)| at).collect();
    assert_eq!(ends, [events.len() - 1], "one terminal event, the last: {events:#?}");
}

/// The types of events, for short assertions.
pub fn kinds(events: &[Tapped]) -> Vec<&str> {
    events.iter().map(|event| event.kind.as_str()).collect()
}
