//! From a command to an answer: the connection, the version check, single calls.
//!
//! `hello` travels in the same write as the first call, so the version check costs no
//! round trip.

pub(crate) mod start;
pub(crate) mod wire;

use std::io;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use copex_proto::health::{ClientInfo, HelloResponse};
use copex_proto::{MIN_PROTOCOL_VERSION, PROTOCOL_VERSION};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use crate::connect::wire::{Frame, Wire, error_info, is_unknown_method};
use crate::context::Context;
use crate::error::{Failure, Result, reason};

/// A call that takes longer than this has met a dead daemon.
const CALL_PATIENCE: Duration = Duration::from_mins(1);

/// A call that was sent and not answered yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending(u64);

/// A connection for calls.
#[derive(Debug)]
pub(crate) struct Connection {
    wire: Wire,
    hello: Option<u64>,
    check: Check,
    answers: Vec<(u64, Result<Box<RawValue>>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Check {
    Version,
    Skip,
}

impl Connection {
    /// Connects, starting the daemon when none answers.
    pub(crate) fn open(ctx: &Context) -> Result<Self> {
        Self::over(start::connect(ctx)?)
    }

    /// Connects to a running daemon; nothing when none answers.
    pub(crate) fn running(ctx: &Context) -> Result<Option<Self>> {
        let path = ctx.socket()?;
        match UnixStream::connect(&path) {
            Ok(stream) => Self::over(stream).map(Some),
            Err(error) if start::is_absent(&error) => Ok(None),
            Err(error) => Err(start::unreachable(&path, &error)),
        }
    }

    /// The same without a version check.
    pub(crate) fn any_running(ctx: &Context) -> Result<Option<Self>> {
        let connection = Self::running(ctx)?;
        Ok(connection.map(|connection| Self { check: Check::Skip, ..connection }))
    }

    fn over(stream: UnixStream) -> Result<Self> {
        let mut wire = Wire::new(stream);
        wire.read_patience(Some(CALL_PATIENCE));
        let hello = wire.queue("hello", &hello()).map_err(|error| lost(&error))?;
        Ok(Self { wire, hello: Some(hello), check: Check::Version, answers: Vec::new() })
    }

    /// Puts a call on its way.
    pub(crate) fn send(&mut self, method: &str, params: &impl Serialize) -> Result<Pending> {
        self.wire.queue(method, params).map(Pending).map_err(|error| lost(&error))
    }

    /// Waits for the answer to a call.
    pub(crate) fn answer<T: DeserializeOwned>(&mut self, call: Pending) -> Result<T> {
        self.wire.flush().map_err(|error| lost(&error))?;
        loop {
            if let Some(index) = self.answers.iter().position(|(id, _)| *id == call.0) {
                let raw = self.answers.swap_remove(index).1?;
                return serde_json::from_str(raw.get()).map_err(|error| {
                    Failure::unavailable(format!("copexd sent an answer of another form: {error}"))
                        .with_hint(RESTART)
                });
            }
            while let Some(line) = self.wire.line() {
                self.take(&line)?;
            }
            if self.answers.iter().any(|(id, _)| *id == call.0) {
                continue;
            }
            match self.wire.fill() {
                Ok(0) => return Err(lost(&io::ErrorKind::ConnectionReset.into())),
                Ok(_) => {}
                Err(error) => return Err(lost(&error)),
            }
        }
    }

    /// One call and its answer.
    pub(crate) fn call<T: DeserializeOwned>(
        &mut self,
        method: &str,
        params: &impl Serialize,
    ) -> Result<T> {
        let call = self.send(method, params)?;
        self.answer(call)
    }

    /// Waits until the daemon closes the connection, at most `patience`.
    pub(crate) fn wait_for_end(&mut self, patience: Duration) -> bool {
        self.wire.read_patience(Some(patience));
        loop {
            match self.wire.fill() {
                Ok(0) => return true,
                Ok(_) => while self.wire.line().is_some() {},
                Err(error) => return error.kind() == io::ErrorKind::ConnectionReset,
            }
        }
    }

    /// Limits how long answers may take from now on.
    pub(crate) fn patience(&self, patience: Duration) {
        self.wire.read_patience(Some(patience));
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let frame = frame(line)?;
        let Some(id) = frame.id else { return Ok(()) };
        if self.hello == Some(id) {
            self.hello = None;
            return match self.check {
                Check::Version => check_hello(&frame),
                Check::Skip => Ok(()),
            };
        }
        let answer = match (frame.result, frame.error) {
            (_, Some(error)) => Err(error_info(error).into()),
            (Some(result), None) => Ok(result.to_owned()),
            (None, None) => Ok(RawValue::NULL.to_owned()),
        };
        self.answers.push((id, answer));
        Ok(())
    }
}

const RESTART: &str = "restart it: copexctl daemon restart";

/// The parameters of `hello`.
pub(crate) fn hello() -> impl Serialize {
    let client = ClientInfo {
        name: "copexctl".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL_VERSION,
    };
    serde_json::json!({ "client": client })
}

/// Reads one line as a frame.
pub(crate) fn frame(line: &str) -> Result<Frame<'_>> {
    serde_json::from_str(line).map_err(|error| {
        Failure::unavailable(format!("what answers on the socket is not copexd: {error}"))
            .with_hint("COPEX_SOCKET may point at another program")
    })
}

/// Checks the answer to `hello`: a daemon of another protocol must not be half understood.
pub(crate) fn check_hello(frame: &Frame<'_>) -> Result<()> {
    // A daemon that knows `hello` and cannot serve says why.
    if let Some(error) = frame.error
        && !is_unknown_method(error)
    {
        return Err(error_info(error).into());
    }
    let told = frame.result.and_then(|raw| serde_json::from_str::<HelloResponse>(raw.get()).ok());
    let Some(told) = told else {
        let words = "the running copexd is of another version: it does not know `hello`";
        return Err(Failure::unavailable(words).with_hint(RESTART));
    };
    let served = told.min_protocol <= PROTOCOL_VERSION && told.protocol >= MIN_PROTOCOL_VERSION;
    if served {
        return Ok(());
    }
    let words = format!(
        "the running copexd {} speaks protocol {}, copexctl {} speaks {PROTOCOL_VERSION}",
        told.version,
        told.protocol,
        env!("CARGO_PKG_VERSION"),
    );
    Err(Failure::unavailable(words).with_hint(RESTART))
}

fn lost(error: &io::Error) -> Failure {
    let words = match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => "copexd did not answer in time",
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "copexd closed the connection before it answered"
        }
        _ => return Failure::unavailable(format!("copexd cannot be reached: {}", reason(error))),
    };
    Failure::unavailable(words).with_hint("copexctl daemon logs")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(answer: &str) -> String {
        let frame = frame(answer).unwrap();
        check_hello(&frame).map_or_else(|failure| failure.to_string(), |()| String::new())
    }

    #[test]
    fn a_daemon_that_cannot_serve_is_not_taken_for_another_version() {
        let why = r#"{"id":1,"error":{"code":-32004,"message":"m","data":{"class":"unavailable","message":"the store is locked"}}}"#;
        assert_eq!(words(why), "the store is locked");
        let unknown = r#"{"id":1,"error":{"code":-32601,"message":"Method not found"}}"#;
        assert!(words(unknown).contains("does not know `hello`"));
        assert!(words(r#"{"id":1,"result":{}}"#).contains("does not know `hello`"));
    }

    #[test]
    fn versions_that_overlap_are_served() {
        let answer = |oldest: u32, newest: u32| {
            format!(
                r#"{{"id":1,"result":{{"version":"9","protocol":{newest},"min_protocol":{oldest},"epoch":"","max_message_bytes":1}}}}"#
            )
        };
        assert_eq!(words(&answer(MIN_PROTOCOL_VERSION, PROTOCOL_VERSION)), "");
        assert_eq!(words(&answer(PROTOCOL_VERSION, 99)), "");
        assert!(words(&answer(98, 99)).contains("speaks protocol 99"));
    }
}
