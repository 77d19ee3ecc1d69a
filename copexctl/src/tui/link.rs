//! The connection to the daemon: one socket for calls and for everything that is followed.
//!
//! Nothing waits here: calls are sent, answers come as messages. What is followed is said by
//! the state each time, and compared with what was asked for; so after a reconnection
//! everything is asked for again, from the last number on.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{EventBody, RunEvent};
use copex_proto::health::{RunsChanged, SubmitResponse};
use copex_proto::id::{RunId, Seq};
use copex_proto::run::{RunDetail, RunRequest};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::model::call::Call;
use super::model::{Link, Msg, Want};
use crate::connect::wire::{Frame, Wire, error_info};
use crate::connect::{self, start};
use crate::context::Context;
use crate::error::{Failure, Result, reason};
use crate::snapshot;

/// Runs that are over and told at first: a few screens.
const RECENT: u32 = 200;

/// Between two tries to reach a daemon that is gone, in milliseconds.
const RETRY_MS: u64 = 1_000;

/// What was sent and not answered yet.
#[derive(Debug)]
enum Sent {
    Hello,
    All,
    Watch(RunId, Want),
    Unwatch,
    Submit,
    Call(Call),
    /// The names of the secrets that a run needs, before it goes on.
    Names(Call),
}

/// A run that is followed.
#[derive(Debug)]
struct Followed {
    /// What ends it, once the daemon told.
    subscription: Option<Value>,
}

/// The connection.
pub(crate) struct Connection<'a> {
    ctx: &'a Context,
    wire: Option<Wire>,
    sent: HashMap<u64, Sent>,
    followed: BTreeMap<(RunId, Want), Followed>,
    /// When to try again, in Unix milliseconds.
    retry_at: u64,
    /// Whether the last try was refused: a daemon that is stopping refuses for a moment.
    refused: bool,
}

impl<'a> Connection<'a> {
    /// Over a stream that was opened already.
    pub(crate) fn new(ctx: &'a Context, stream: UnixStream) -> Result<Self> {
        let mut new = Self {
            ctx,
            wire: None,
            sent: HashMap::new(),
            followed: BTreeMap::new(),
            retry_at: 0,
            refused: false,
        };
        new.greet(stream)?;
        Ok(new)
    }

    fn greet(&mut self, stream: UnixStream) -> Result<()> {
        self.sent.clear();
        self.followed.clear();
        self.wire = Some(Wire::new(stream));
        self.send(
            "hello",
            &serde_json::to_value(connect::hello()).unwrap_or_default(),
            Sent::Hello,
        )?;
        self.send("run.watch_all", &json!({ "recent": RECENT }), Sent::All)
    }

    fn send(&mut self, method: &str, params: &Value, sent: Sent) -> Result<()> {
        if let Some(wire) = &mut self.wire {
            let id = wire.queue(method, params)?;
            self.sent.insert(id, sent);
        }
        Ok(())
    }

    /// What becomes readable when the daemon says something.
    pub(crate) fn wakes(&self) -> Option<BorrowedFd<'_>> {
        self.wire.as_ref().map(Wire::as_fd)
    }

    /// In how many milliseconds it wants to try again.
    pub(crate) fn rest(&self, now: u64) -> Option<u64> {
        self.wire.is_none().then(|| self.retry_at.saturating_sub(now).max(1))
    }

    /// Calls the daemon. Without one, nothing is called: the screen says that it is gone.
    pub(crate) fn call(&mut self, call: Call) -> Result<()> {
        if let Call::Resume { run, .. } = call {
            // Keys that only we have go with it: first, which ones.
            return self.send("run.get", &json!({ "run": run }), Sent::Names(call));
        }
        let (method, params) = call.wire();
        self.send(method, &params, Sent::Call(call))
    }

    /// Resumes a run, with what is set here of the secrets that it refers to.
    fn resume(&mut self, call: Call, detail: &RunDetail) -> Result<()> {
        let (method, mut params) = call.wire();
        params["secrets"] = json!(snapshot::named(&self.ctx.env, detail.secrets.iter().cloned()));
        self.send(method, &params, Sent::Call(call))
    }

    /// Starts a run.
    pub(crate) fn submit(&mut self, request: &RunRequest) -> Result<()> {
        let key = uuid::Uuid::new_v4().to_string();
        self.send("run.submit", &json!({ "request": request, "key": key }), Sent::Submit)
    }

    /// Whether the daemon is there.
    pub(crate) fn is_up(&self) -> bool {
        self.wire.is_some()
    }

    /// Follows these runs and no others, and sends what was queued.
    pub(crate) fn follow(&mut self, wanted: &BTreeMap<(RunId, Want), Seq>) -> Result<Option<Msg>> {
        if self.wire.is_none() {
            return Ok(None);
        }
        let gone: Vec<_> =
            self.followed.keys().filter(|key| !wanted.contains_key(key)).copied().collect();
        for key in gone {
            // One that was not answered yet is ended once it is.
            let known = self.followed.get(&key).and_then(|it| it.subscription.clone());
            if let Some(subscription) = known {
                self.followed.remove(&key);
                self.send("run.unwatch", &json!([subscription]), Sent::Unwatch)?;
            }
        }
        for (key, after) in wanted {
            if !self.followed.contains_key(key) {
                self.followed.insert(*key, Followed { subscription: None });
                let (run, want) = *key;
                let params = json!({ "run": run, "after": after });
                self.send("run.watch", &params, Sent::Watch(run, want))?;
            }
        }
        let flushed = self.wire.as_mut().map_or(Ok(()), Wire::flush);
        Ok(flushed.err().map(|error| self.lose(&reason(&error))))
    }

    /// Reads what the daemon said.
    ///
    /// # Errors
    /// When it is of a version that cannot be understood.
    pub(crate) fn read(&mut self) -> Result<Vec<Msg>> {
        let Some(wire) = &mut self.wire else { return Ok(Vec::new()) };
        let read = wire.fill();
        let mut lines = Vec::new();
        while let Some(line) = wire.line() {
            lines.push(line);
        }
        let mut msgs = Vec::new();
        for line in lines {
            let frame = connect::frame(&line)?;
            msgs.extend(self.frame(&frame)?);
        }
        match read {
            Ok(0) => msgs.push(self.lose("it closed the connection")),
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                msgs.push(self.lose(&reason(&error)));
            }
            _ => {}
        }
        Ok(msgs)
    }

    fn lose(&mut self, why: &str) -> Msg {
        self.wire = None;
        self.retry_at = 0;
        Msg::Link(Link::Lost { why: format!("copexd is gone: {why}") })
    }

    fn frame(&mut self, frame: &Frame<'_>) -> Result<Option<Msg>> {
        if let Some(notice) = &frame.params {
            let Some(raw) = notice.result else { return Ok(None) };
            return Ok(match frame.method {
                Some("run.changed") => {
                    serde_json::from_str::<RunsChanged>(raw.get()).ok().map(Msg::Runs)
                }
                _ => event(raw.get()).map(|event| Msg::Event(Box::new(event))),
            });
        }
        let Some(sent) = frame.id.and_then(|id| self.sent.remove(&id)) else { return Ok(None) };
        let answer = match (frame.error, frame.result) {
            (Some(error), _) => Err(error_info(error)),
            (None, Some(result)) => Ok(result.to_owned()),
            (None, None) => Ok(RawValue::NULL.to_owned()),
        };
        match sent {
            Sent::Hello => {
                connect::check_hello(frame)?;
                return Ok(Some(Msg::Link(Link::Up)));
            }
            Sent::All => {
                if let Err(error) = answer {
                    return Err(Failure::from(error).with_hint("copexctl daemon restart"));
                }
            }
            Sent::Watch(run, want) => match answer {
                Ok(raw) => {
                    let id = serde_json::from_str::<Value>(raw.get()).ok();
                    if let Some(followed) = self.followed.get_mut(&(run, want)) {
                        followed.subscription = id;
                    }
                }
                // It is told once: a run that cannot be read stays entered.
                Err(error) if error.class != ErrorClass::NotFound => {
                    let detail = Call::Detail(run);
                    return Ok(Some(Msg::Replied(detail, Err(error))));
                }
                Err(_) => {}
            },
            Sent::Unwatch => {}
            Sent::Submit => {
                let told = answer.and_then(|raw| read::<SubmitResponse>(&raw));
                return Ok(Some(Msg::Submitted(told.map(|told| told.run))));
            }
            Sent::Names(call) => match answer.and_then(|raw| read(&raw)) {
                Ok(detail) => self.resume(call, &detail)?,
                Err(error) => return Ok(Some(Msg::Replied(call, Err(error)))),
            },
            Sent::Call(call) => return Ok(Some(Msg::Replied(call, answer))),
        }
        Ok(None)
    }

    /// Tries to reach a daemon that is gone. One that died is started again; one that was
    /// stopped is left alone, unless a person wants it (`start`).
    pub(crate) fn again(&mut self, now: u64, start: bool) -> Result<Option<Msg>> {
        if self.wire.is_some() || (now < self.retry_at && !start) {
            return Ok(None);
        }
        self.retry_at = now + RETRY_MS;
        let path = self.ctx.socket()?;
        let lost = |why: String| Some(Msg::Link(Link::Lost { why }));
        let stream = match UnixStream::connect(&path) {
            Ok(stream) => stream,
            Err(error) if start::is_absent(&error) => {
                let refused = error.kind() == io::ErrorKind::ConnectionRefused;
                let died = refused && std::mem::replace(&mut self.refused, refused);
                if !(start || (died && self.ctx.auto_start && !self.ctx.systemd_owns())) {
                    let way = "copexd was stopped; waiting for it. Ctrl+P, start the daemon";
                    return Ok(if refused { None } else { lost(way.to_owned()) });
                }
                match start::connect(self.ctx) {
                    Ok(stream) => stream,
                    Err(failure) => return Ok(lost(failure.to_string())),
                }
            }
            Err(error) => return Ok(lost(format!("copexd cannot be reached: {}", reason(&error)))),
        };
        self.greet(stream)?;
        Ok(None)
    }
}

/// What was answered.
fn read<T: DeserializeOwned>(raw: &RawValue) -> std::result::Result<T, ErrorInfo> {
    serde_json::from_str(raw.get())
        .map_err(|error| ErrorInfo::new(ErrorClass::Unknown, error.to_string()))
}

/// An event. Of a newer daemon's form of something the number counts, and its text does not.
fn event(raw: &str) -> Option<RunEvent> {
    #[derive(serde::Deserialize)]
    struct Header {
        run: RunId,
        seq: Seq,
        at: u64,
    }
    serde_json::from_str::<RunEvent>(raw).ok().or_else(|| {
        let Header { run, seq, at } = serde_json::from_str(raw).ok()?;
        Some(RunEvent { run, seq, at, path: None, body: EventBody::Unknown })
    })
}
