//! One line of a transcript: is it a record that the Copilot CLI takes?

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judged {
    /// A record.
    Event(Event),
    /// Nothing but space.
    Blank,
    /// JSON that is no record, or one of a kind that we do not know: the CLI skips it.
    Ignored,
    /// A record that the CLI refuses, and the whole session with it.
    Misfit {
        /// Whether it is what the user said.
        prompt: bool,
    },
    /// No JSON.
    Unreadable,
}

/// What the examination needs of a record.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) parent: Option<String>,
    pub(super) at: String,
    /// The call that it begins or ends.
    pub(super) tool: Option<String>,
}

/// The JSON type of a field.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Flag,
    Number,
    Object,
}

use Kind::{Flag, Number, Object, Text};

/// Kinds of records whose first word the CLI knows. It skips all others, whatever they hold.
const FAMILIES: [&str; 10] = [
    "session.",
    "assistant.",
    "user.",
    "system.",
    "tool.",
    "permission.",
    "subagent.",
    "skill.",
    "hook.",
    "abort",
];

/// What the data of a kind of record must hold: the fields without which CLI 1.0.102 refuses
/// a whole session. Kinds that are not here are judged by their frame alone.
const NEEDED: [(&str, &[(&str, Kind)]); 25] = [
    (
        "session.start",
        &[
            ("sessionId", Text),
            ("version", Number),
            ("producer", Text),
            ("copilotVersion", Text),
            ("startTime", Text),
        ],
    ),
    ("session.resume", &[("resumeTime", Text), ("eventCount", Number)]),
    ("session.model_change", &[("newModel", Text)]),
    ("session.mode_changed", &[("previousMode", Text), ("newMode", Text)]),
    ("session.error", &[("errorType", Text), ("message", Text)]),
    ("session.info", &[("infoType", Text), ("message", Text)]),
    ("session.warning", &[("warningType", Text), ("message", Text)]),
    ("session.context_changed", &[("cwd", Text)]),
    ("session.compaction_complete", &[("success", Flag)]),
    ("session.usage_record", &[("usage", Object)]),
    (
        "session.shutdown",
        &[
            ("shutdownType", Text),
            ("totalApiDurationMs", Number),
            ("sessionStartTime", Number),
            ("codeChanges", Object),
            ("modelMetrics", Object),
        ],
    ),
    ("user.message", &[("content", Text)]),
    ("system.message", &[("content", Text), ("role", Text)]),
    ("assistant.message", &[("messageId", Text), ("content", Text)]),
    ("assistant.reasoning", &[("reasoningId", Text), ("content", Text)]),
    ("assistant.turn_start", &[("turnId", Text)]),
    ("assistant.turn_end", &[("turnId", Text)]),
    ("abort", &[("reason", Text)]),
    ("tool.execution_start", &[("toolCallId", Text), ("toolName", Text)]),
    ("tool.execution_complete", &[("toolCallId", Text), ("success", Flag)]),
    ("permission.requested", &[("requestId", Text)]),
    ("permission.completed", &[("requestId", Text)]),
    ("hook.start", &[("hookInvocationId", Text), ("hookType", Text)]),
    ("hook.end", &[("hookInvocationId", Text), ("hookType", Text), ("success", Flag)]),
    ("skill.invoked", &[("name", Text), ("path", Text), ("content", Text)]),
];

/// Judges one line.
pub(super) fn judge(line: &[u8]) -> Judged {
    // A byte order mark is no reason to refuse a file, and the CLI takes it.
    let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
    if line.iter().all(u8::is_ascii_whitespace) {
        return Judged::Blank;
    }
    let Ok(value) = serde_json::from_slice::<Value>(line) else { return Judged::Unreadable };
    let Some(kind) = value["type"].as_str() else { return Judged::Ignored };
    if !FAMILIES.iter().any(|family| kind.starts_with(family)) {
        return Judged::Ignored;
    }
    match framed(&value, kind) {
        Some(event) if holds(&value["data"], kind) => Judged::Event(event),
        _ => Judged::Misfit { prompt: kind == "user.message" },
    }
}

/// What every record has: an id, the one before it, a moment, and data.
fn framed(value: &Value, kind: &str) -> Option<Event> {
    let fields = value.as_object()?;
    let uuid = |text: &str| text.len() == 36 && Uuid::try_parse(text).is_ok();
    fields.get("id")?.as_str().filter(|id| uuid(id))?;
    let parent = match fields.get("parentId")? {
        Value::Null => None,
        parent => Some(parent.as_str().filter(|id| uuid(id))?.to_owned()),
    };
    let at = fields.get("timestamp")?.as_str()?;
    at.parse::<Timestamp>().ok().filter(|_| at.contains('T'))?;
    fields.get("data")?.as_object()?;
    let tool = value["data"]["toolCallId"].as_str().map(str::to_owned);
    Some(Event { kind: kind.to_owned(), parent, at: at.to_owned(), tool })
}

fn holds(data: &Value, kind: &str) -> bool {
    let needed = NEEDED.iter().find(|(name, _)| *name == kind).map_or(&[][..], |(_, it)| it);
    needed.iter().all(|(name, kind)| {
        let field = &data[*name];
        match kind {
            Text => field.is_string(),
            Flag => field.is_boolean(),
            Number => field.is_number(),
            Object => field.is_object(),
        }
    })
}
