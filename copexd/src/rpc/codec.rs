//! The two line framings: bytes to frames and back. No IO.

use std::ops::ControlFlow;

use bytes::{Buf, Bytes, BytesMut};

/// Bytes of a header block. LSP has two headers; this is room for any client's extras.
const HEADER_BYTES: usize = 4096;

/// How messages are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// One message per line.
    Lines,
    /// `Content-Length: N`, a blank line, N bytes.
    Headers,
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// One message.
    Message(Bytes),
    /// A message over the limit. Its bytes are skipped as they come.
    TooLarge,
    /// The framing itself is broken: nothing after it can be understood.
    Broken(&'static str),
}

/// Finds frames in a growing buffer.
#[derive(Debug)]
pub(super) struct Decoder {
    framing: Framing,
    limit: usize,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Looking for the end of a line or a header block; so many bytes hold none.
    Looking(usize),
    /// Waiting for a body of so many bytes.
    Body(usize),
    /// Dropping the rest of a line.
    SkipLine,
    /// Dropping so many bytes of a body.
    SkipBody(u64),
}

impl Decoder {
    pub(super) fn new(framing: Framing, limit: u32) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Self { framing, limit, state: State::Looking(0) }
    }

    /// The next frame in `buffer`, or nothing until more bytes are there.
    pub(super) fn next(&mut self, buffer: &mut BytesMut) -> Option<Frame> {
        loop {
            match self.state {
                State::Looking(seen) => match self.framing {
                    Framing::Lines => match self.line(buffer, seen) {
                        Some(Frame::Message(line)) if line.is_empty() => {}
                        other => return other,
                    },
                    Framing::Headers => {
                        if let ControlFlow::Break(frame) = self.header(buffer) {
                            return frame;
                        }
                    }
                },
                State::Body(length) if buffer.len() < length => {
                    buffer.reserve(length - buffer.len());
                    return None;
                }
                State::Body(length) => {
                    self.state = State::Looking(0);
                    return Some(Frame::Message(buffer.split_to(length).freeze()));
                }
                State::SkipLine => {
                    let end = buffer.iter().position(|&byte| byte == b'\n');
                    buffer.advance(end.map_or(buffer.len(), |end| end + 1));
                    end?;
                    self.state = State::Looking(0);
                }
                State::SkipBody(left) => {
                    let here = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    buffer.advance(here);
                    let left = left - here as u64;
                    self.state = if left == 0 { State::Looking(0) } else { State::SkipBody(left) };
                    if left > 0 {
                        return None;
                    }
                }
            }
        }
    }

    /// What is left when the client has said all: a last line may lack its end.
    pub(super) fn last(&mut self, buffer: &mut BytesMut) -> Option<Frame> {
        match (self.framing, &self.state) {
            (Framing::Lines, State::Looking(_)) => {
                let line = trim(buffer.split().freeze());
                (!line.is_empty()).then_some(Frame::Message(line))
            }
            _ => None,
        }
    }

    /// A line without the blanks around it; maybe empty.
    fn line(&mut self, buffer: &mut BytesMut, seen: usize) -> Option<Frame> {
        let end = buffer[seen..].iter().position(|&byte| byte == b'\n').map(|at| at + seen);
        match end {
            Some(end) if end <= self.limit => {
                let line = buffer.split_to(end).freeze();
                buffer.advance(1);
                self.state = State::Looking(0);
                Some(Frame::Message(trim(line)))
            }
            Some(end) => {
                buffer.advance(end + 1);
                self.state = State::Looking(0);
                Some(Frame::TooLarge)
            }
            None if buffer.len() > self.limit => {
                buffer.clear();
                self.state = State::SkipLine;
                Some(Frame::TooLarge)
            }
            None => {
                self.state = State::Looking(buffer.len());
                None
            }
        }
    }

    /// Reads one header block. Breaks with nothing when more bytes are needed.
    fn header(&mut self, buffer: &mut BytesMut) -> ControlFlow<Option<Frame>> {
        // Some clients end a body with a newline of their own.
        let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        buffer.advance(blank);
        let Some(end) = header_end(&buffer[..buffer.len().min(HEADER_BYTES)]) else {
            let broken = buffer.len() >= HEADER_BYTES;
            let why = "a header is longer than 4,096 bytes";
            return ControlFlow::Break(broken.then_some(Frame::Broken(why)));
        };
        let length = match content_length(&buffer[..end]) {
            Ok(length) => length,
            Err(why) => return ControlFlow::Break(Some(Frame::Broken(why))),
        };
        buffer.advance(end);
        match usize::try_from(length) {
            Ok(length) if length <= self.limit => {
                self.state = State::Body(length);
                ControlFlow::Continue(())
            }
            _ => {
                self.state = State::SkipBody(length);
                ControlFlow::Break(Some(Frame::TooLarge))
            }
        }
    }
}

/// Where the blank line ends.
fn header_end(bytes: &[u8]) -> Option<usize> {
    let mut line_start = 0;
    for (at, _) in bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n') {
        if matches!(&bytes[line_start..at], b"" | b"\r") {
            return Some(at + 1);
        }
        line_start = at + 1;
    }
    None
}

fn content_length(header: &[u8]) -> Result<u64, &'static str> {
    let text = std::str::from_utf8(header).map_err(|_| "a header is not text")?;
    let mut length = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (name, value) = line.split_once(':').ok_or("a header line has no colon")?;
        if name.trim().eq_ignore_ascii_case("content-length") {
            let value = value.trim().parse::<u64>();
            length = Some(value.map_err(|_| "Content-Length is not a number")?);
        }
    }
    length.ok_or("a header without Content-Length")
}

fn trim(line: Bytes) -> Bytes {
    let trimmed = line.trim_ascii();
    if trimmed.len() == line.len() { line } else { line.slice_ref(trimmed) }
}

/// Appends one message to what goes out.
pub(super) fn encode(framing: Framing, json: &str, out: &mut Vec<u8>) {
    match framing {
        Framing::Lines => {
            out.extend_from_slice(json.as_bytes());
            out.push(b'\n');
        }
        Framing::Headers => {
            out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", json.len()).as_bytes());
            out.extend_from_slice(json.as_bytes());
        }
    }
}
