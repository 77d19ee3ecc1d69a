//! A Copilot CLI for what the real one will not do on demand.
//!
//! It speaks the stdio JSON-RPC that the SDK speaks (`Content-Length` frames) and `-p` with
//! JSON lines, just enough for a session and its turns: every prompt is answered with
//! `echo: PROMPT`. One [`Fault`] spoils it. The fault is read from `FAKE_COPILOT_FAULT`,
//! else from a file beside the program (`copilot.fault`), since a daemon may clear the
//! environment; each request's method is appended to `copilot.log` there.
//!
//! Not here: tools, permissions and models. Those are the real CLI's business.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::{Value, json};

use crate::cli::VERSION;
use crate::env;

/// What goes wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Bytes on stdout that are no frame, in the middle of the turn.
    Garbage,
    /// Bytes on stdout that are no frame, before anything else.
    GarbageAtStart,
    /// The handshake names protocol version 99.
    WrongProtocol,
    /// The process exits with status 9 in the middle of a turn, after a delta.
    ExitMidTurn,
    /// The process exits between two bytes of one frame.
    ExitMidFrame,
    /// The handshake is never answered.
    NoHandshake,
    /// `session.send` is never answered.
    NoSendAnswer,
    /// The turn begins and never ends.
    NoIdle,
    /// It complains on stderr and exits with status 1 at once.
    ExitAtStart,
    /// `--version` names a version from long ago, and `connect` is unknown to it.
    OldVersion,
    /// As [`Fault::OldVersion`], and `ping` names protocol version 2.
    OldProtocol,
    /// Every event comes twice, with the same id.
    DuplicateEvents,
    /// The turn ends with an error of the model: 429.
    RateLimited,
}

impl Fault {
    /// Every fault with its name in the environment and in the file.
    pub const ALL: [(Self, &'static str); 14] = [
        (Self::None, "none"),
        (Self::Garbage, "garbage"),
        (Self::GarbageAtStart, "garbage-at-start"),
        (Self::WrongProtocol, "wrong-protocol"),
        (Self::ExitMidTurn, "exit-mid-turn"),
        (Self::ExitMidFrame, "exit-mid-frame"),
        (Self::NoHandshake, "no-handshake"),
        (Self::NoSendAnswer, "no-send-answer"),
        (Self::NoIdle, "no-idle"),
        (Self::ExitAtStart, "exit-at-start"),
        (Self::OldVersion, "old-version"),
        (Self::OldProtocol, "old-protocol"),
        (Self::DuplicateEvents, "duplicate-events"),
        (Self::RateLimited, "rate-limited"),
    ];

    /// The fault's name.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(fault, _)| *fault == self).map_or("none", |(_, name)| name)
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == name.trim()).map(|(fault, _)| *fault)
    }
}

/// A fake CLI in a folder of a test: its path, its present fault, what it was asked.
#[derive(Debug)]
pub struct FakeCopilot {
    dir: PathBuf,
}

impl FakeCopilot {
    /// Puts the program `copilot` into `dir`.
    pub fn install(binary: &Path, dir: impl Into<PathBuf>, fault: Fault) -> Self {
        let dir = dir.into();
        std::fs::create_dir_all(&dir).expect("a folder for the fake CLI");
        std::os::unix::fs::symlink(binary, dir.join("copilot")).expect("a link to the fake CLI");
        let fake = Self { dir };
        fake.set_fault(fault);
        fake
    }

    /// The program.
    pub fn program(&self) -> PathBuf {
        self.dir.join("copilot")
    }

    /// Changes the fault of processes started from now on.
    pub fn set_fault(&self, fault: Fault) {
        std::fs::write(self.dir.join("copilot.fault"), fault.as_str()).expect("the fault's file");
    }

    /// The methods that were called, in order, over all processes.
    pub fn calls(&self) -> Vec<String> {
        let log = std::fs::read_to_string(self.dir.join("copilot.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

/// The fake CLI's `main`.
pub fn main() -> ExitCode {
    let mut args = std::env::args();
    let program = PathBuf::from(args.next().unwrap_or_default());
    let args: Vec<String> = args.collect();
    let fault = fault(&program);
    let run = || -> io::Result<ExitCode> {
        if fault == Fault::ExitAtStart {
            io::stderr().write_all(b"fake copilot: cannot start, by order of the test\n")?;
            return Ok(ExitCode::FAILURE);
        }
        if env::var("COPILOT_SEA_EXTRACT_ONLY").is_some() {
            return Ok(ExitCode::SUCCESS);
        }
        if args.iter().any(|arg| arg == "--version") {
            let old = matches!(fault, Fault::OldVersion | Fault::OldProtocol);
            let version = if old { "0.0.300" } else { VERSION };
            writeln!(io::stdout(), "GitHub Copilot CLI {version}.")?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut fake =
            Fake { fault, log: program.with_extension("log"), next: 0, names: HashMap::new() };
        match args.iter().position(|arg| arg == "-p" || arg == "--prompt") {
            Some(at) => fake.one_shot(args.get(at + 1).map_or("", String::as_str)),
            None => fake.serve(),
        }
    };
    run().unwrap_or(ExitCode::from(8))
}

fn fault(program: &Path) -> Fault {
    let named = env::var("FAKE_COPILOT_FAULT").and_then(|name| name.into_string().ok());
    let beside = || std::fs::read_to_string(program.with_extension("fault")).ok();
    named.or_else(beside).and_then(|name| Fault::parse(&name)).unwrap_or_default()
}

/// A turn stops early here; the process ends with this status.
type Stop = Option<ExitCode>;

struct Fake {
    fault: Fault,
    log: PathBuf,
    next: u32,
    names: HashMap<String, u32>,
}

impl Fake {
    fn serve(&mut self) -> io::Result<ExitCode> {
        if self.fault == Fault::GarbageAtStart {
            say(b"\x1b[31mUpdate available!\x1b[0m {not json\n\n")?;
        }
        let mut input = io::stdin().lock();
        while let Some(request) = read_frame(&mut input)? {
            let method = request["method"].as_str().unwrap_or_default().to_owned();
            self.note(&method)?;
            if let Some(code) = self.answer(&method, &request)? {
                return Ok(code);
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    fn answer(&mut self, method: &str, request: &Value) -> io::Result<Stop> {
        let params = &request["params"];
        let id = &request["id"];
        let session = params["sessionId"].as_str().unwrap_or("fake-session").to_owned();
        match method {
            "connect" | "ping" if self.fault == Fault::NoHandshake => {}
            "connect" if matches!(self.fault, Fault::OldVersion | Fault::OldProtocol) => {
                refuse(id, method)?;
            }
            "connect" | "ping" => reply(id, &self.handshake(params))?,
            "session.create" | "session.resume" => {
                reply(id, &session_opened(&session))?;
            }
            "session.send" if self.fault == Fault::NoSendAnswer => {}
            "session.send" => {
                let message = self.id("message");
                reply(id, &json!({"messageId": message}))?;
                let prompt = params["prompt"].as_str().unwrap_or_default().to_owned();
                return self.turn(&session, &message, &prompt);
            }
            "runtime.shutdown" => {
                reply(id, &json!({}))?;
                return Ok(Some(ExitCode::SUCCESS));
            }
            "auth.getStatus" => reply(id, &json!({"isAuthenticated": false}))?,
            "session.abort"
            | "session.detach"
            | "session.destroy"
            | "session.delete"
            | "session.model.switchTo"
            | "session.skills.reload"
            | "llmInference.setProvider"
            | "session.eventLog.registerInterest" => reply(id, &json!({"success": true}))?,
            "session.getMessages" => reply(id, &json!({"events": []}))?,
            _ if id.is_null() => {}
            _ => refuse(id, method)?,
        }
        Ok(None)
    }

    fn handshake(&self, params: &Value) -> Value {
        let protocol = match self.fault {
            Fault::WrongProtocol => 99,
            Fault::OldProtocol => 2,
            _ => 3,
        };
        json!({
            "ok": true,
            "protocolVersion": protocol,
            "version": VERSION,
            "taskKinds": params["supportedTaskKinds"],
            "message": params["message"].as_str().unwrap_or_default(),
            "timestamp": "2026-01-01T00:00:00.000Z",
        })
    }

    /// One turn's events. The id of each is new; the parent is left out, as nobody reads it.
    fn turn(&mut self, session: &str, message: &str, prompt: &str) -> io::Result<Stop> {
        let answer = format!("echo: {prompt}");
        let (first, second) = answer.split_at(5);
        let id = self.id("answer");
        self.event(session, "user.message", &json!({"content": prompt, "messageId": message}))?;
        self.event(session, "assistant.turn_start", &json!({"turnId": "0"}))?;
        self.event(session, "assistant.message_delta", &delta(&id, first))?;
        match self.fault {
            Fault::ExitMidTurn => return Ok(Some(ExitCode::from(9))),
            Fault::ExitMidFrame => {
                say(b"Content-Length: 400\r\n\r\n{\"jsonrpc\":\"2.0\",\"method\":\"ses")?;
                return Ok(Some(ExitCode::from(9)));
            }
            Fault::Garbage => say(b"Segmentation fault (core dumped)\r\n\r\n{]\n")?,
            Fault::NoIdle => return Ok(None),
            Fault::RateLimited => {
                let error = json!({
                    "errorType": "rate_limit", "statusCode": 429, "errorCode": "rate_limited",
                    "message": "too many requests", "originatingMessageId": message,
                });
                self.event(session, "session.error", &error)?;
                self.event(session, "assistant.idle", &json!({}))?;
                self.event(session, "session.idle", &json!({}))?;
                return Ok(None);
            }
            _ => {}
        }
        self.event(session, "assistant.message_delta", &delta(&id, second))?;
        let whole = json!({
            "messageId": id, "originatingMessageId": message, "content": answer,
            "model": "fake-1", "toolRequests": [], "turnId": "0",
        });
        self.event(session, "assistant.message", &whole)?;
        let usage = json!({"model": "fake-1", "inputTokens": 3, "outputTokens": 2, "cost": 0});
        self.event(session, "assistant.usage", &usage)?;
        self.event(session, "assistant.turn_end", &json!({"turnId": "0"}))?;
        self.event(session, "assistant.idle", &json!({}))?;
        self.event(session, "session.idle", &json!({}))?;
        Ok(None)
    }

    fn event(&mut self, session: &str, kind: &str, data: &Value) -> io::Result<()> {
        let event = json!({
            "id": self.id("event"), "timestamp": "2026-01-01T00:00:00.000Z",
            "parentId": null, "type": kind, "data": data,
        });
        let copies = if self.fault == Fault::DuplicateEvents { 2 } else { 1 };
        for _ in 0..copies {
            write_frame(&json!({
                "jsonrpc": "2.0", "method": "session.event",
                "params": {"sessionId": session, "event": event},
            }))?;
        }
        Ok(())
    }

    /// `copilot -p PROMPT --output-format json`; without a prompt, stdin is the prompt.
    fn one_shot(&mut self, prompt: &str) -> io::Result<ExitCode> {
        self.note("-p")?;
        let prompt =
            if prompt.is_empty() { io::read_to_string(io::stdin())? } else { prompt.to_owned() };
        let id = self.id("answer");
        self.line("assistant.message_delta", &delta(&id, "echo:"))?;
        match self.fault {
            Fault::ExitMidTurn => return Ok(ExitCode::from(9)),
            Fault::Garbage => say(b"{\"type\": \"assist\n\x00\x01\n")?,
            Fault::NoIdle => loop {
                std::thread::park();
            },
            _ => {}
        }
        self.line("assistant.message_delta", &delta(&id, &format!(" {prompt}")))?;
        let content = format!("echo: {prompt}");
        self.line("assistant.message", &json!({"messageId": id, "content": content}))?;
        self.line("assistant.idle", &json!({}))?;
        let usage = json!({"premiumRequests": 0, "totalApiDurationMs": 1, "sessionDurationMs": 2});
        let result = json!({"type": "result", "sessionId": "fake", "exitCode": 0, "usage": usage});
        say(format!("{result}\n").as_bytes())?;
        Ok(ExitCode::SUCCESS)
    }

    fn line(&mut self, kind: &str, data: &Value) -> io::Result<()> {
        let event = json!({"type": kind, "data": data, "id": self.id("event")});
        say(format!("{event}\n").as_bytes())
    }

    fn note(&self, method: &str) -> io::Result<()> {
        let mut log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        log.write_all(format!("{method}\n").as_bytes())
    }

    /// The next id of a kind, unique over processes: a resumed session must not see an id
    /// of its former life.
    fn id(&mut self, kind: &str) -> String {
        self.next += 1;
        let count = self.names.entry(kind.to_owned()).or_default();
        *count += 1;
        format!("{kind}-{}-{count}", std::process::id())
    }
}

fn delta(id: &str, text: &str) -> Value {
    json!({"messageId": id, "deltaContent": text})
}

fn session_opened(session: &str) -> Value {
    json!({
        "sessionId": session,
        "nativeSessionId": session,
        "startTime": "2026-01-01T00:00:00.000Z",
        "isRemote": false,
        "mode": "interactive",
        "workspacePath": null,
        "capabilities": {},
        "modelState": {"currentModelId": "fake-1"},
        "events": [],
    })
}

fn reply(id: &Value, result: &Value) -> io::Result<()> {
    write_frame(&json!({"jsonrpc": "2.0", "id": id, "result": result}))
}

fn refuse(id: &Value, method: &str) -> io::Result<()> {
    let error = json!({"code": -32601, "message": format!("Unhandled method {method}")});
    write_frame(&json!({"jsonrpc": "2.0", "id": id, "error": error}))
}

fn write_frame(frame: &Value) -> io::Result<()> {
    let body = frame.to_string();
    say(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
}

fn say(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

fn read_frame(input: &mut impl BufRead) -> io::Result<Option<Value>> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("Content-Length:") {
            length = number.trim().parse().map_err(io::Error::other)?;
        }
    }
    let mut body = vec![0; length];
    input.read_exact(&mut body)?;
    Ok(Some(serde_json::from_slice(&body)?))
}
