//! Newline-delimited JSON-RPC 2.0 over a blocking Unix stream. No threads, no runtime: a
//! command lives for milliseconds.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo, code};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// A daemon that does not take a frame for so long is not coming back.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);

/// How much is read at once: a burst of deltas fits.
const CHUNK: usize = 64 * 1024;

/// One connection, with what was received and not yet taken.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: UnixStream,
    received: Vec<u8>,
    taken: usize,
    scanned: usize,
    queued: Vec<u8>,
    last_id: u64,
}

/// One received frame. Borrowed from its line.
#[derive(Debug, Deserialize)]
pub(crate) struct Frame<'a> {
    /// The call it answers.
    #[serde(default)]
    pub(crate) id: Option<u64>,
    /// What a call gave.
    #[serde(borrow, default)]
    pub(crate) result: Option<&'a RawValue>,
    /// Why a call failed.
    #[serde(borrow, default)]
    pub(crate) error: Option<&'a RawValue>,
    /// What a notification is called.
    #[serde(borrow, default)]
    pub(crate) method: Option<&'a str>,
    /// What a notification carries.
    #[serde(borrow, default)]
    pub(crate) params: Option<Notice<'a>>,
}

/// The parameters of a subscription's notification.
#[derive(Debug, Deserialize)]
pub(crate) struct Notice<'a> {
    /// The event.
    #[serde(borrow, default)]
    pub(crate) result: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct Call<'a, P> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a P,
}

#[derive(Deserialize)]
struct RpcError {
    code: i32,
    message: String,
    #[serde(default)]
    data: Option<serde_json::Value>,
}

impl Wire {
    /// Speaks over `stream`.
    pub(crate) fn new(stream: UnixStream) -> Self {
        // A failure here only means that a dead daemon is noticed later.
        let _ = stream.set_write_timeout(Some(WRITE_PATIENCE));
        Self { stream, received: Vec::new(), taken: 0, scanned: 0, queued: Vec::new(), last_id: 0 }
    }

    /// Adds a call to what [`Wire::flush`] sends, and gives its id.
    pub(crate) fn queue(&mut self, method: &str, params: &impl Serialize) -> io::Result<u64> {
        self.last_id += 1;
        let call = Call { jsonrpc: "2.0", id: self.last_id, method, params };
        serde_json::to_writer(&mut self.queued, &call)?;
        self.queued.push(b'\n');
        Ok(self.last_id)
    }

    /// Sends what was queued.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.queued.is_empty() {
            return Ok(());
        }
        let sent = self.stream.write_all(&self.queued);
        self.queued.clear();
        sent
    }

    /// The next whole line, if one was received.
    pub(crate) fn line(&mut self) -> Option<String> {
        let from = self.taken.max(self.scanned);
        let Some(end) = self.received[from..].iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.received.len();
            return None;
        };
        let end = from + end;
        let line = String::from_utf8_lossy(&self.received[self.taken..end]).into_owned();
        self.taken = end + 1;
        self.scanned = self.taken;
        Some(line)
    }

    /// Waits for more bytes; 0 when the daemon closed the connection.
    pub(crate) fn fill(&mut self) -> io::Result<usize> {
        self.received.drain(..self.taken);
        self.scanned -= self.taken;
        self.taken = 0;
        let before = self.received.len();
        self.received.resize(before + CHUNK, 0);
        let read = loop {
            match self.stream.read(&mut self.received[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.received.truncate(before + *read.as_ref().unwrap_or(&0));
        read
    }

    /// Gives up on an answer after so long.
    pub(crate) fn read_patience(&self, patience: Option<Duration>) {
        let _ = self.stream.set_read_timeout(patience);
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// Whether an error reply says that there is no such method.
pub(crate) fn is_unknown_method(raw: &RawValue) -> bool {
    let error = serde_json::from_str::<RpcError>(raw.get());
    error.is_ok_and(|error| error.code == code::METHOD_NOT_FOUND)
}

/// The typed error in an error reply: ours travels in `data`.
pub(crate) fn error_info(raw: &RawValue) -> ErrorInfo {
    let error: RpcError = match serde_json::from_str(raw.get()) {
        Ok(error) => error,
        Err(_) => return ErrorInfo::new(ErrorClass::Unknown, raw.get()),
    };
    let info = error.data.as_ref().and_then(|data| ErrorInfo::deserialize(data).ok());
    info.unwrap_or_else(|| {
        let class = match error.code {
            code::INVALID_PARAMS | code::TOO_LARGE => ErrorClass::Usage,
            code::METHOD_NOT_FOUND | code::UNAVAILABLE => ErrorClass::Unavailable,
            code::OVERLOADED | code::TOO_MANY_CONNECTIONS | code::TOO_MANY_SUBSCRIPTIONS => {
                ErrorClass::Overloaded
            }
            code::NOT_FOUND => ErrorClass::NotFound,
            code::CONFLICT => ErrorClass::Conflict,
            code::NOT_AVAILABLE => ErrorClass::NotAvailable,
            code::STORE => ErrorClass::Store,
            code::AUTH => ErrorClass::Auth,
            _ => ErrorClass::Unknown,
        };
        let message = match error.data.as_ref().and_then(serde_json::Value::as_str) {
            Some(detail) => format!("{}: {detail}", error.message),
            None => error.message,
        };
        ErrorInfo::new(class, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_whatever_the_pieces() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut wire = Wire::new(near);
        far.write_all(b"{\"a\":1}\n{\"b\"").unwrap();
        wire.fill().unwrap();
        assert_eq!(wire.line().as_deref(), Some("{\"a\":1}"));
        assert_eq!(wire.line(), None);
        far.write_all(b":2}\n").unwrap();
        drop(far);
        wire.fill().unwrap();
        assert_eq!(wire.line().as_deref(), Some("{\"b\":2}"));
        assert_eq!(wire.line(), None);
        assert_eq!(wire.fill().unwrap(), 0);
    }

    #[test]
    fn a_typed_error_survives_and_a_foreign_one_gets_a_class() {
        let ours = r#"{"code":-32004,"message":"m","data":{"class":"auth","message":"sign in"}}"#;
        let raw: Box<RawValue> = serde_json::from_str(ours).unwrap();
        assert_eq!(error_info(&raw).class, ErrorClass::Auth);
        let theirs = r#"{"code":-32602,"message":"Invalid params","data":"unknown field `x`"}"#;
        let raw: Box<RawValue> = serde_json::from_str(theirs).unwrap();
        let info = error_info(&raw);
        assert_eq!(info.class, ErrorClass::Usage);
        assert_eq!(info.message, "Invalid params: unknown field `x`");
    }
}
