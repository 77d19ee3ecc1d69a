//! A small blocking client for the socket: newline-delimited JSON-RPC, raw values.
//!
//! It is deliberately not the product's client: what the tests send and see is the wire
//! itself.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::clock::{Deadline, PATIENCE};

/// Event types after which a run says nothing more.
const TERMINAL: [&str; 5] = ["done", "failed", "blocked", "exhausted", "cancelled"];

/// One connection.
#[derive(Debug)]
pub struct Rpc {
    reader: BufReader<UnixStream>,
    /// Bytes of a line whose end has not come yet.
    partial: Vec<u8>,
    notifications: VecDeque<Value>,
    next_id: u64,
}

/// A subscription on a connection, by the id that the server gave it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subscription(Value);

impl Rpc {
    /// Connects; the daemon must listen already.
    pub fn connect(socket: &Path) -> Self {
        let stream = UnixStream::connect(socket)
            .unwrap_or_else(|error| panic!("connect to {}: {error}", socket.display()));
        Self {
            reader: BufReader::new(stream),
            partial: Vec::new(),
            notifications: VecDeque::new(),
            next_id: 1,
        }
    }

    /// Calls a method: the result, or the error object.
    pub fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        let id = self.next_id;
        self.next_id += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}));
        let deadline = Deadline::after(PATIENCE);
        loop {
            let mut frame = self
                .frame(deadline)
                .unwrap_or_else(|why| panic!("no answer to {method} {params}: {why}"));
            if frame["id"] == json!(id) {
                return match frame.get("error") {
                    Some(error) => Err(error.clone()),
                    None => Ok(frame["result"].take()),
                };
            }
            self.notifications.push_back(frame);
        }
    }

    /// Calls a method that must succeed.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    /// Calls a method that must fail, and returns the error object.
    pub fn call_err(&mut self, method: &str, params: &Value) -> Value {
        match self.try_call(method, params) {
            Err(error) => error,
            Ok(result) => panic!("{method} {params} succeeded with {result}"),
        }
    }

    /// Subscribes.
    pub fn subscribe(&mut self, method: &str, params: &Value) -> Subscription {
        Subscription(self.call(method, params))
    }

    /// The subscription's next item.
    pub fn next_event(&mut self, subscription: &Subscription) -> Value {
        self.next_event_within(subscription, PATIENCE)
            .unwrap_or_else(|why| panic!("no next event: {why}"))
    }

    /// The subscription's next item, or why there was none.
    pub fn next_event_within(
        &mut self,
        subscription: &Subscription,
        patience: Duration,
    ) -> Result<Value, String> {
        let mine = |frame: &Value| frame["params"]["subscription"] == subscription.0;
        if let Some(at) = self.notifications.iter().position(mine) {
            let mut frame = self.notifications.remove(at).unwrap_or_default();
            return Ok(frame["params"]["result"].take());
        }
        let deadline = Deadline::after(patience);
        loop {
            let mut frame = self.frame(deadline)?;
            if mine(&frame) {
                return Ok(frame["params"]["result"].take());
            }
            self.notifications.push_back(frame);
        }
    }

    /// A run's events up to and with one of type `kind`.
    pub fn events_until(&mut self, subscription: &Subscription, kind: &str) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            match self.next_event_within(subscription, PATIENCE) {
                Ok(event) => seen.push(event),
                Err(why) => panic!("no {kind}: {why}; so far {seen:#?}"),
            }
            let last = seen.last().map(|event| event["type"].clone()).unwrap_or_default();
            if last == kind {
                return seen;
            }
            assert!(!is_terminal(&last), "no {kind} before the end: {seen:#?}");
        }
    }

    /// A run's events up to the terminal one.
    pub fn events_to_end(&mut self, subscription: &Subscription) -> Vec<Value> {
        let mut seen = Vec::new();
        loop {
            match self.next_event_within(subscription, PATIENCE) {
                Ok(event) => seen.push(event),
                Err(why) => panic!("no terminal event: {why}; so far {seen:#?}"),
            }
            if seen.last().is_some_and(|event| is_terminal(&event["type"])) {
                return seen;
            }
        }
    }

    /// Sends a frame, valid or not by JSON-RPC.
    pub fn send(&mut self, frame: &Value) {
        self.send_bytes(format!("{frame}\n").as_bytes());
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the daemon takes the frame");
    }

    /// The next frame of any kind, as it came.
    pub fn next_frame(&mut self) -> Value {
        if let Some(frame) = self.notifications.pop_front() {
            return frame;
        }
        self.frame(Deadline::after(PATIENCE)).unwrap_or_else(|why| panic!("no frame: {why}"))
    }

    fn frame(&mut self, deadline: Deadline) -> Result<Value, String> {
        loop {
            let left = deadline.left().ok_or("out of patience")?;
            let stream = self.reader.get_ref();
            stream.set_read_timeout(Some(left)).map_err(|error| error.to_string())?;
            match self.reader.read_until(b'\n', &mut self.partial) {
                Ok(0) => return Err("the daemon closed the connection".to_owned()),
                Ok(_) if self.partial.ends_with(b"\n") => {}
                Ok(_) => continue,
                Err(error) if retryable(error.kind()) => continue,
                Err(error) => return Err(error.to_string()),
            }
            let line = std::mem::take(&mut self.partial);
            let text = String::from_utf8_lossy(&line);
            if !text.trim().is_empty() {
                return serde_json::from_str(&text).map_err(|error| format!("{error}: {text}"));
            }
        }
    }
}

fn is_terminal(kind: &Value) -> bool {
    kind.as_str().is_some_and(|kind| TERMINAL.contains(&kind))
}

fn retryable(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
