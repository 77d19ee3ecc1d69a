//! Which framing a client speaks, from its first bytes.

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;

use super::codec::Framing;

/// Begins every header of the LSP framing. `CONNECT` parts from it at the fourth letter.
const CONTENT: &[u8] = b"content-";

/// Bytes of the first read: most first messages whole.
const FIRST_READ: usize = 4096;

/// How a connection will be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Habit {
    /// Our own loop.
    Framed(Framing),
    /// jsonrpsee's service.
    Http,
    /// None of them: say so, as a line, and close.
    Unknown,
}

/// Reads until the habit is known. Nothing when the client left before that. What was read
/// is in the buffer: it is read rather than peeked, because a peek cannot wait for the
/// second byte without spinning.
pub(super) async fn sniff(stream: &mut UnixStream) -> std::io::Result<Option<(Habit, BytesMut)>> {
    let mut start = BytesMut::with_capacity(FIRST_READ);
    loop {
        if stream.read_buf(&mut start).await? == 0 {
            return Ok(None);
        }
        if let Some(habit) = habit(&start) {
            return Ok(Some((habit, start)));
        }
    }
}

/// The habit behind `start`, or nothing while more bytes may change it.
pub(super) fn habit(start: &[u8]) -> Option<Habit> {
    let first = *start.first()?;
    if matches!(first, b'{' | b'[') || first.is_ascii_whitespace() {
        return Some(Habit::Framed(Framing::Lines));
    }
    let known = start.len().min(CONTENT.len());
    if start[..known].eq_ignore_ascii_case(&CONTENT[..known]) {
        return (known == CONTENT.len()).then_some(Habit::Framed(Framing::Headers));
    }
    Some(if first.is_ascii_uppercase() { Habit::Http } else { Habit::Unknown })
}
