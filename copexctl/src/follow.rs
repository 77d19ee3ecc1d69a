//! Following one run to its end, whatever happens to the connection.
//!
//! Invariant: every event is shown once and in order. A broken connection is made again and
//! the log is read on after the last number seen; a run whose id is not known yet is asked
//! for again under its idempotency key, which finds it or makes it.

mod keys;
mod view;

use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{Answer, RunEvent};
use copex_proto::id::{AskId, RunId, Seq};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use crate::asks::Asks;
use crate::connect::wire::{Wire, error_info};
use crate::connect::{check_hello, frame, hello};
use crate::env::Env;
use crate::error::{Failure, Result};
use crate::interrupt::Interrupts;
use crate::render::bell::Bell;

pub(crate) use view::{Call, Reply, Typed, View};

/// Connections lost in a row, with no event between, before we give up.
const LOST_IN_A_ROW: u32 = 8;
/// Connections lost in all: a daemon that dies at every event must not keep us for ever.
const LOST_IN_ALL: u32 = 100;
/// The pause after the first loss; it doubles up to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(2);
/// A daemon answers `hello` at once, also while it reads its store. One that does not is stuck.
const HELLO_PATIENCE: u16 = 30_000;
/// How often a busy or starting daemon is asked again, and how long one pause may be.
const BUSY_TRIES: u32 = 60;
const BUSY_PAUSE: Duration = Duration::from_secs(5);

/// Where the events come from.
#[derive(Debug)]
pub(crate) enum Source {
    /// A new run.
    Start {
        /// The request.
        request: Box<RawValue>,
        /// Finds the run again.
        key: String,
    },
    /// A run that exists.
    Watch {
        /// Which.
        run: RunId,
    },
}

/// What Ctrl-C does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OnInterrupt {
    /// First cancels the run, then leaves.
    Cancel,
    /// Leaves; the run goes on.
    Leave,
}

/// Which connection is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    /// The first.
    First,
    /// One after a loss.
    Again,
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With the run's last event.
    Terminal(Box<RunEvent>),
    /// We left before; the run stays.
    Left(Option<RunId>),
}

/// One run being followed.
pub(crate) struct Follow<'a> {
    source: Source,
    view: &'a mut dyn View,
    connect: &'a mut dyn FnMut(Try) -> Result<UnixStream>,
    interrupts: Option<Interrupts>,
    on_interrupt: OnInterrupt,
    asks: Asks,
    keys: Option<&'a Env>,
    bell: Option<Bell>,
    run: Option<RunId>,
    last_seq: Seq,
    cancel: Cancel,
    greeted: Greeted,
}

/// Whether this connection's `hello` was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Greeted {
    No,
    Yes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cancel {
    No,
    Wanted,
    Sent,
}

enum Step {
    Ended(Ended),
    Lost,
    Busy(ErrorInfo),
}

#[derive(Default)]
struct Ready {
    wire: bool,
    interrupt: bool,
    typed: bool,
    silence: bool,
}

#[derive(Deserialize)]
struct Header {
    seq: Seq,
}

impl<'a> Follow<'a> {
    /// Follows `source`; call [`Follow::run`].
    pub(crate) fn new(
        source: Source,
        view: &'a mut dyn View,
        connect: &'a mut dyn FnMut(Try) -> Result<UnixStream>,
        asks: Asks,
    ) -> Self {
        let run = match &source {
            Source::Start { .. } => None,
            Source::Watch { run } => Some(*run),
        };
        Self {
            source,
            view,
            connect,
            interrupts: None,
            on_interrupt: OnInterrupt::Leave,
            asks,
            keys: None,
            bell: None,
            run,
            last_seq: 0,
            cancel: Cancel::No,
            greeted: Greeted::No,
        }
    }

    /// Takes over Ctrl-C.
    pub(crate) fn catch(mut self, interrupts: Interrupts, on_interrupt: OnInterrupt) -> Self {
        self.interrupts = Some(interrupts);
        self.on_interrupt = on_interrupt;
        self
    }

    /// Hands over a key that the run is parked for, where this environment has it.
    pub(crate) fn keys(mut self, env: &'a Env) -> Self {
        self.keys = Some(env);
        self
    }

    /// Rings this bell when the run ends or asks.
    pub(crate) fn ring(mut self, bell: Option<Bell>) -> Self {
        self.bell = bell;
        self
    }

    /// Follows to the end.
    pub(crate) fn run(mut self) -> Result<Ended> {
        self.follow_on().map_err(|failure| failure.of_run(self.run))
    }

    fn follow_on(&mut self) -> Result<Ended> {
        let (mut in_a_row, mut in_all, mut busy) = (0, 0, 0);
        let mut wanted = Try::First;
        loop {
            let before = self.last_seq;
            let stream = (self.connect)(wanted)?;
            wanted = Try::Again;
            let pause = match self.converse(stream)? {
                Step::Ended(ended) => return Ok(ended),
                Step::Lost => {
                    self.view.lost();
                    in_a_row = if self.last_seq > before { 1 } else { in_a_row + 1 };
                    in_all += 1;
                    if in_a_row > LOST_IN_A_ROW || in_all > LOST_IN_ALL {
                        return Err(self.gone());
                    }
                    if in_a_row == 1 {
                        self.view.note("the connection to copexd broke; going on")?;
                    }
                    (FIRST_PAUSE * 2_u32.pow(in_a_row - 1)).min(LAST_PAUSE)
                }
                Step::Busy(info) => {
                    busy += 1;
                    if busy > BUSY_TRIES {
                        return Err(info.into());
                    }
                    if busy == 1 && info.class == ErrorClass::Overloaded {
                        self.view.note(&format!("{info}; waiting"))?;
                    }
                    Duration::from_millis(info.retry_after_ms.unwrap_or(50)).min(BUSY_PAUSE)
                }
            };
            if self.pause(pause) {
                return Ok(Ended::Left(self.run));
            }
        }
    }

    fn gone(&self) -> Failure {
        let failure = Failure::unavailable("copexd keeps breaking the connection");
        match self.run {
            Some(run) => failure.with_hint(format!("copexctl runs attach {run}")),
            None => failure.with_hint("copexctl daemon logs"),
        }
    }

    /// Waits between two connections; whether Ctrl-C ended the wait.
    fn pause(&mut self, pause: Duration) -> bool {
        let Some(interrupts) = &mut self.interrupts else {
            std::thread::sleep(pause);
            return false;
        };
        let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(interrupts.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, timeout);
        interrupts.take() > 0
    }

    fn converse(&mut self, stream: UnixStream) -> Result<Step> {
        let mut wire = Wire::new(stream);
        self.greeted = Greeted::No;
        let hello = wire.queue("hello", &hello())?;
        let subscription = match (&self.source, self.run) {
            (_, Some(run)) => {
                wire.queue("run.watch", &json!({ "run": run, "after": self.last_seq }))?
            }
            (Source::Start { request, key }, None) => {
                wire.queue("run.start", &Start { request, key })?
            }
            (Source::Watch { run }, None) => wire.queue("run.watch", &json!({ "run": run }))?,
        };
        if self.cancel == Cancel::Sent {
            self.cancel = Cancel::Wanted;
        }
        self.send_cancel(&mut wire)?;
        loop {
            if wire.flush().is_err() {
                return Ok(Step::Lost);
            }
            while let Some(line) = wire.line() {
                if let Some(step) = self.line(&mut wire, &line, [hello, subscription])? {
                    return Ok(step);
                }
            }
            for Call { method, params } in self.view.calls() {
                let id = wire.queue(method, &params)?;
                self.view.sent(id);
            }
            if wire.flush().is_err() {
                return Ok(Step::Lost);
            }
            let rest = self.view.rest()?;
            if let Some(bell) = &mut self.bell {
                bell.rest();
            }
            let ready = self.wait(&wire, rest);
            if ready.silence {
                return Err(Failure::unavailable("copexd does not answer")
                    .with_hint("copexctl daemon logs"));
            }
            if ready.interrupt && self.interrupted(&mut wire)? {
                return Ok(Step::Ended(Ended::Left(self.run)));
            }
            if ready.typed && self.typed(&mut wire)? {
                return Ok(Step::Ended(Ended::Left(self.run)));
            }
            if ready.wire && matches!(wire.fill(), Ok(0) | Err(_)) {
                return Ok(Step::Lost);
            }
        }
    }

    /// Keys were pressed; whether to leave.
    fn typed(&mut self, wire: &mut Wire) -> Result<bool> {
        if !self.view.types() {
            let answer = self.asks.typed(self.view)?;
            send_answer(wire, answer)?;
            return Ok(false);
        }
        for typed in self.view.keys()? {
            match typed {
                Typed::Leave => return Ok(true),
                Typed::Line(line) if self.asks.wants_input() => {
                    let answer = self.asks.line(&line, self.view)?;
                    send_answer(wire, answer)?;
                }
                Typed::Line(line) => self.view.said(&line)?,
            }
        }
        Ok(false)
    }

    fn wait(&self, wire: &Wire, rest: Option<Duration>) -> Ready {
        let stdin = io::stdin();
        let mut fds = vec![PollFd::new(wire.as_fd(), PollFlags::POLLIN)];
        let interrupt = self.interrupts.as_ref().map(|interrupts| {
            fds.push(PollFd::new(interrupts.as_fd(), PollFlags::POLLIN));
            fds.len() - 1
        });
        let typed = (self.asks.wants_input() || self.view.types()).then(|| {
            fds.push(PollFd::new(stdin.as_fd(), PollFlags::POLLIN));
            fds.len() - 1
        });
        fds.extend(self.view.wakes().map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        let timeout = match (self.greeted, rest) {
            (Greeted::No, _) => PollTimeout::from(HELLO_PATIENCE),
            (Greeted::Yes, None) => PollTimeout::NONE,
            (Greeted::Yes, Some(rest)) => PollTimeout::try_from(rest).unwrap_or(PollTimeout::NONE),
        };
        match poll(&mut fds, timeout) {
            Err(_) => return Ready::default(),
            Ok(0) => return Ready { silence: self.greeted == Greeted::No, ..Ready::default() },
            Ok(_) => {}
        }
        let is = |index: usize| fds[index].any().unwrap_or(true);
        Ready {
            wire: is(0),
            interrupt: interrupt.is_some_and(is),
            typed: typed.is_some_and(is),
            silence: false,
        }
    }

    /// Ctrl-C; whether to leave at once.
    fn interrupted(&mut self, wire: &mut Wire) -> Result<bool> {
        let presses = self.interrupts.as_mut().map_or(0, Interrupts::take);
        if presses == 0 {
            return Ok(false);
        }
        if self.on_interrupt == OnInterrupt::Leave || self.cancel != Cancel::No || presses > 1 {
            return Ok(true);
        }
        self.cancel = Cancel::Wanted;
        self.view.note("cancelling; Ctrl-C again to leave at once")?;
        self.send_cancel(wire)?;
        Ok(false)
    }

    fn send_cancel(&mut self, wire: &mut Wire) -> Result<()> {
        if let (Cancel::Wanted, Some(run)) = (self.cancel, self.run) {
            wire.queue("run.cancel", &json!({ "run": run }))?;
            self.cancel = Cancel::Sent;
        }
        Ok(())
    }

    fn line(&mut self, wire: &mut Wire, line: &str, ids: [u64; 2]) -> Result<Option<Step>> {
        let frame = frame(line)?;
        if let Some(params) = frame.params {
            return match params.result {
                Some(raw) => self.event(wire, raw.get()),
                // The subscription failed; the log is still there.
                None => Ok(Some(Step::Lost)),
            };
        }
        let [hello, subscription] = ids;
        if frame.id == Some(hello) {
            check_hello(&frame)?;
            self.greeted = Greeted::Yes;
        } else if let (Some(id), Some(result)) = (frame.id, frame.result) {
            if id != subscription {
                self.view.replied(id, Ok(result))?;
            }
        } else if let Some(error) = frame.error {
            let info = error_info(error);
            if frame.id == Some(subscription) {
                return refused(info).map(Some);
            }
            if let Some(id) = frame.id
                && self.view.replied(id, Err(&info))?
            {
                return Ok(None);
            }
            // An answer or a cancel that came too late: the log has what counts.
            if info.class != ErrorClass::Conflict {
                self.view.note(&info.message)?;
            }
        }
        Ok(None)
    }

    fn event(&mut self, wire: &mut Wire, raw: &str) -> Result<Option<Step>> {
        let Ok(event) = serde_json::from_str::<RunEvent>(raw) else {
            // A newer daemon's form of something: its number counts, its text does not.
            if let Ok(header) = serde_json::from_str::<Header>(raw) {
                self.last_seq = self.last_seq.max(header.seq);
            }
            return Ok(None);
        };
        if event.seq <= self.last_seq {
            return Ok(None);
        }
        if event.seq > self.last_seq + 1 && self.run.is_some() {
            return Ok(Some(Step::Lost));
        }
        self.last_seq = event.seq;
        self.run = Some(event.run);
        self.send_cancel(wire)?;
        self.view.event(&event, raw)?;
        self.asks.event(&event, self.view)?;
        keys::offer(wire, self.keys, &event)?;
        // Who cancels sees what becomes of it.
        if let Some(bell) = self.bell.as_mut().filter(|_| self.cancel == Cancel::No) {
            bell.event(&event);
        }
        if event.body.is_terminal() {
            return Ok(Some(Step::Ended(Ended::Terminal(Box::new(event)))));
        }
        Ok(None)
    }
}

fn send_answer(wire: &mut Wire, answer: Option<(AskId, Answer)>) -> Result<()> {
    if let Some((ask, answer)) = answer {
        wire.queue("run.answer", &json!({ "ask": ask, "answer": answer }))?;
    }
    Ok(())
}

#[derive(serde::Serialize)]
struct Start<'a> {
    request: &'a RawValue,
    key: &'a str,
}

fn refused(info: ErrorInfo) -> Result<Step> {
    let later = matches!(info.class, ErrorClass::Unavailable | ErrorClass::Overloaded);
    if later && info.retryable { Ok(Step::Busy(info)) } else { Err(info.into()) }
}

#[cfg(test)]
mod tests;
