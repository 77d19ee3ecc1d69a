//! What the tests of the full screen share: a state that is driven by keys and messages, and
//! what it shows.

mod keys;
mod screens;

use copex_proto::ask::{AskEntry, AskList};
use copex_proto::event::{Ask, AskKind, EventBody, Outcome, RunEvent, Task, Usage};
use copex_proto::health::RunsChanged;
use copex_proto::id::{AskId, RunId, Seq};
use copex_proto::run::{Mode, RunState, RunSummary};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use serde_json::{Value, json};

use super::draw::draw;
use super::model::call::{Call, Effect};
use super::model::{Link, Model, Msg};

/// Now.
pub(crate) const NOW: u64 = 1_760_000_000_000 + 20 * 60_000;

/// A run of a list, accepted `number` minutes after a fixed moment.
pub(crate) fn summary(number: u32, state: RunState, title: &str) -> RunSummary {
    let at = 1_760_000_000_000 + u64::from(number) * 60_000;
    RunSummary {
        run: RunId::new(at, number),
        mode: Mode::Chat,
        state,
        title: title.to_owned(),
        cwd: "/home/ada/project".to_owned(),
        model: Some("gpt-5".to_owned()),
        session: None,
        last_seq: 1,
        accepted_at: at,
        ended_at: state.is_terminal().then_some(at + 30_000),
        resumed_from: None,
        needs_key: None,
    }
}

/// A state, driven.
pub(crate) struct Rig {
    pub(crate) model: Model,
}

impl Rig {
    /// Connected, and nothing was told.
    pub(crate) fn new() -> Self {
        let mut model = Model { size: (80, 24), ..Model::default() };
        model.tick(NOW);
        model.update(Msg::Link(Link::Up));
        Self { model }
    }

    /// The daemon says how runs stand.
    pub(crate) fn told(&mut self, runs: Vec<RunSummary>, waiting: u32) -> Vec<Effect> {
        self.model.update(Msg::Runs(RunsChanged { runs, waiting }))
    }

    /// Something happens in a run, ten seconds ago.
    pub(crate) fn event(&mut self, run: RunId, seq: Seq, path: Option<&str>, body: EventBody) {
        let path = path.map(str::to_owned);
        let event = RunEvent { run, seq, at: NOW - 10_000, path, body };
        self.model.update(Msg::Event(Box::new(event)));
    }

    /// A key.
    pub(crate) fn press(&mut self, code: KeyCode) -> Vec<Effect> {
        self.model.update(Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
    }

    /// A letter with Ctrl.
    pub(crate) fn control(&mut self, c: char) -> Vec<Effect> {
        let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::CONTROL);
        self.model.update(Msg::Key(key))
    }

    /// Letters.
    pub(crate) fn types(&mut self, text: &str) {
        for c in text.chars() {
            self.press(KeyCode::Char(c));
        }
    }

    /// The daemon answers a call.
    pub(crate) fn replied(&mut self, call: Call, answer: &Value) -> Vec<Effect> {
        let raw = serde_json::value::to_raw_value(answer).unwrap();
        self.model.update(Msg::Replied(call, Ok(raw)))
    }

    /// Questions that wait.
    pub(crate) fn asks(&mut self, asks: Vec<Ask>) {
        let entry = |ask: Ask| AskEntry {
            ask,
            run: summary(12, RunState::Asking, "").run,
            mode: Mode::Chat,
            run_title: "publish the next version".to_owned(),
            cwd: "/home/ada/project".to_owned(),
            asked_at: NOW - 65_000,
            closed: None,
        };
        let waiting = u32::try_from(asks.len()).unwrap();
        let asks = AskList { asks: asks.into_iter().map(entry).collect(), waiting, more: false };
        self.replied(Call::Asks, &json!(asks));
    }

    /// The run that is open.
    pub(crate) fn run(&self) -> RunId {
        self.model.open.as_ref().unwrap().run()
    }

    /// A chat with everything in it.
    pub(crate) fn chat(&mut self) {
        let run = self.run();
        let thought =
            EventBody::ReasoningDelta { text: "The linker is not there, perhaps.".to_owned() };
        self.event(run, 1, None, thought);
        self.event(run, 2, None, said("I look at the log first."));
        self.event(run, 3, None, tool_start("c", "bash", "cargo build 2>&1 | tail"));
        let end = json!({"type": "tool_end", "call": "c", "name": "bash", "success": true,
            "result": "error: linker `cc` not found\nbuild failed", "duration_ms": 1_234});
        self.event(run, 4, None, serde_json::from_value(end).unwrap());
        let words = "The linker is missing. Install it:\n\n    apt install gcc\n\nThen build again; \
                     everything else in the log is a consequence of this one and goes away by itself.";
        self.event(run, 5, None, EventBody::MessageDelta { text: words.to_owned() });
        let usage = Usage {
            model: Some("gpt-5".to_owned()),
            calls: 2,
            input_tokens: 12_345,
            output_tokens: 678,
            premium_requests: 2.0,
            ..Usage::default()
        };
        self.event(run, 6, None, EventBody::Usage(usage));
    }

    /// The pool as the daemon tells of it.
    pub(crate) fn pool(&mut self) {
        let status = json!({"phase": "ready", "version": "0.1.0", "protocol": 1, "pid": 4_242,
            "started_at": NOW - 7_500_000, "socket": "/run/copexd.sock", "state_dir": "/state",
            "rss_bytes": 21 << 20, "connections": 2, "active_runs": 4, "epoch": "e",
            "supervisor": "systemd"});
        self.replied(Call::Status, &status);
        let pool = json!({"runtimes": [{"pid": 4_300, "program": "copilot-runtime",
            "busy_sessions": 2, "idle_sessions": 1, "spare_sessions": 1, "rss_bytes": 130 << 20,
            "started_at": NOW - 600_000, "latency": {"baseline_us": 500, "latest_us": 640}}],
            "warm": {"spare_hits": 3, "spare_misses": 1, "idle_hits": 2, "idle_misses": 0}});
        self.replied(Call::Pool, &pool);
        let breakers = json!({"breakers": [{"backend": "sdk", "endpoint": "github", "model": "gpt-5",
            "state": "open", "until": NOW + 42_000, "failures": 6, "samples": 10, "opened": 1,
            "used_at": NOW}], "limits": [{"endpoint": "github", "scope": "account",
            "until": NOW + 1_800_000, "told": true, "message": "slow down"}],
            "gates": [{"endpoint": "github", "in_use": 2, "limit": 4, "ceiling": 8, "waiting": 0}],
            "retry_budget": 30});
        self.replied(Call::Breakers, &breakers);
    }

    /// What is shown at a size.
    pub(crate) fn buffer(&mut self, width: u16, height: u16) -> Buffer {
        self.model.size = (width, height);
        let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
        draw(&self.model, &mut buffer);
        assert_whole(&buffer);
        buffer
    }

    /// The same as text.
    pub(crate) fn text(&mut self, width: u16, height: u16) -> String {
        let buffer = self.buffer(width, height);
        let mut text = String::new();
        for y in 0..height {
            let mut line = String::new();
            let mut x = 0;
            while x < width {
                let symbol = buffer[(x, y)].symbol();
                line.push_str(symbol);
                // A wide character has the next cell too.
                let columns = unicode_width::UnicodeWidthStr::width(symbol).max(1);
                x += u16::try_from(columns).unwrap();
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// Nothing lies on the second half of a wide character: a terminal would show neither of them.
fn assert_whole(buffer: &Buffer) {
    let Rect { width, height, .. } = buffer.area;
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        if unicode_width::UnicodeWidthStr::width(buffer[(x, y)].symbol()) > 1 {
            let next = (x + 1 < width).then(|| buffer[(x + 1, y)].symbol());
            assert_eq!(next, Some(" "), "at {x}, {y}: {buffer:?}");
        }
    }
}

pub(crate) fn said(text: &str) -> EventBody {
    EventBody::Message { text: text.to_owned() }
}

pub(crate) fn tool_start(call: &str, name: &str, command: &str) -> EventBody {
    let start = json!({"type": "tool_start", "call": call, "name": name,
        "arguments": {"command": command}});
    serde_json::from_value(start).unwrap()
}

pub(crate) fn gate_start(command: &str) -> EventBody {
    EventBody::GateStart { command: command.to_owned() }
}

pub(crate) fn gate(command: &str, code: i32, output: &str) -> EventBody {
    EventBody::Gate {
        command: command.to_owned(),
        exit_code: Some(code),
        output: output.to_owned(),
        duration_ms: 2_345,
    }
}

pub(crate) fn task(id: &str, number: u32, state: RunState, needs: &[&str]) -> EventBody {
    let over = state.is_terminal();
    let usage = Usage { input_tokens: 2_000, output_tokens: 500, ..Usage::default() };
    EventBody::Task(Task {
        id: id.to_owned(),
        state,
        number,
        total: 4,
        at_once: 0,
        depends_on: needs.iter().map(|id| (*id).to_owned()).collect(),
        note: (state == RunState::Failed).then(|| "its check is red".to_owned()),
        attempts: u32::from(over),
        duration_ms: over.then_some(61_000),
        usage: over.then_some(usage),
        folder: None,
    })
}

pub(crate) fn step(number: u32, title: &str, state: &str) -> EventBody {
    let step = json!({"type": "step", "number": number, "total": 3, "title": title,
        "state": state});
    serde_json::from_value(step).unwrap()
}

pub(crate) fn member(name: &str, state: RunState, stage: &str) -> EventBody {
    let stage = Some(stage.to_owned());
    EventBody::Member { name: name.to_owned(), state, stage, note: None }
}

/// The end of a council.
pub(crate) fn decided() -> EventBody {
    let report = json!({
        "chair": "gpt-5", "rounds": 0, "agreed": true,
        "decision": {"decision": "Take sqlite.", "reasons": ["it is everywhere"], "confidence": 0.8},
        "ranking": [{"rank": 1, "label": "B", "name": "claude-opus", "score": 1.5},
            {"rank": 2, "label": "A", "name": "gpt-5", "score": 0.5}],
        "members": [
            {"name": "gpt-5", "label": "A", "opinion": "sqlite",
             "review": {"ranking": ["B"], "agree": true, "comments": {}}},
            {"name": "claude-opus", "label": "B", "opinion": "sqlite",
             "review": {"ranking": ["A"], "agree": false, "comments": {}}}],
    });
    let council = Some(serde_json::from_value(report).unwrap());
    let content = "Take sqlite.".to_owned();
    EventBody::Done(Outcome { content, council, duration_ms: 90_000, ..Outcome::default() })
}

pub(crate) fn permission() -> Ask {
    Ask {
        ask: AskId("ask-1".to_owned()),
        kind: AskKind::Permission,
        title: "Run this command?".to_owned(),
        detail: "git push --tags origin main".to_owned(),
        choices: Vec::new(),
        always: None,
        expires_at: Some(NOW + 86_000_000),
    }
}

pub(crate) fn choice() -> Ask {
    Ask {
        ask: AskId("ask-2".to_owned()),
        kind: AskKind::UserInput,
        title: "Which colour shall the door have?".to_owned(),
        detail: String::new(),
        choices: vec!["red".to_owned(), "blue, as the windows".to_owned()],
        always: None,
        expires_at: None,
    }
}

pub(crate) fn spend() -> Value {
    let usage = |calls: u64| {
        json!({"usage": {"calls": calls, "input_tokens": calls * 1_000,
            "output_tokens": calls * 100, "premium_requests": 3.0, "estimated_cost": 4.25},
            "cost": 4.25})
    };
    let mut row = usage(7);
    row["name"] = json!("gpt-5");
    json!({"since": 0, "by": "model", "rows": [row], "left_out": 0, "total": usage(7),
        "today": usage(2), "max_cost_per_day": 5.0})
}

/// Compares with a file that was looked at; with `UPDATE=1` it is written.
#[expect(clippy::disallowed_methods, reason = "a test asks how it was started")]
pub(crate) fn golden(name: &str, text: &str) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/tui/tests/goldens");
    let file = std::path::Path::new(folder).join(format!("{name}.txt"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, text).unwrap();
        return;
    }
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(kept == text, "{name} is another; UPDATE=1 writes it anew\n{text}");
}
