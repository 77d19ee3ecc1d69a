//! A run for programs: one object at the end, or every event on a line.

use std::io::{self, Write};

use copex_proto::error::ErrorInfo;
use copex_proto::event::{EventBody, Outcome, RunEvent};
use copex_proto::id::RunId;
use copex_proto::plan::Plan;
use copex_proto::run::Mode;
use serde_json::{Value, json};

use crate::exit;
use crate::follow::View;
use crate::render::brief;
use crate::render::tally::Tally;

/// `--json`: collects warnings, prints one object at the end.
pub(crate) struct Json<O> {
    out: O,
    warnings: Vec<Value>,
    /// Where the run's plan is, if it has one.
    plan: Option<String>,
    /// Whether it is a fleet.
    fleet: bool,
    /// Its tasks.
    tally: Tally,
}

impl<O: Write> Json<O> {
    /// With warnings from before the run.
    pub(crate) fn new(out: O, warnings: &[String]) -> Self {
        let warnings =
            warnings.iter().map(|text| json!({ "code": "config", "message": text })).collect();
        Self { out, warnings, plan: None, fleet: false, tally: Tally::default() }
    }
}

impl<O: Write> View for Json<O> {
    fn event(&mut self, event: &RunEvent, _raw: &str) -> io::Result<()> {
        if let EventBody::Warning { code, message } = &event.body {
            self.warnings.push(json!({ "code": code, "message": message }));
        }
        if let EventBody::Artifact { file, kind } = &event.body
            && kind == "plan"
        {
            self.plan = Some(file.clone());
        }
        if let EventBody::Accepted(accepted) = &event.body {
            self.fleet = accepted.mode == Mode::Fleet;
        }
        if self.fleet {
            self.tally.apply(event);
        }
        if !event.body.is_terminal() {
            return Ok(());
        }
        let mut object = object(event, &self.warnings);
        if let Some(file) = &self.plan {
            let content = event.body.outcome().map_or("", |outcome| &outcome.content);
            let plan = Plan::read(content).ok();
            object["plan"] = json!({ "file": file });
            if let Some(Plan { task, steps }) = plan {
                object["plan"] = json!({ "file": file, "task": task, "steps": steps });
            }
        }
        if self.fleet {
            object["tasks"] = Value::Array(self.tally.json(|_, _| None));
            object["git_finalize"] = self.tally.finalize(None);
        }
        writeln!(self.out, "{object}")?;
        self.out.flush()
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        super::note(text);
        Ok(())
    }
}

/// `--jsonl`: every event as it came.
pub(crate) struct Jsonl<O> {
    out: O,
}

impl<O: Write> Jsonl<O> {
    /// Prints to `out`.
    pub(crate) fn new(out: O) -> Self {
        Self { out }
    }
}

impl<O: Write> View for Jsonl<O> {
    fn event(&mut self, _event: &RunEvent, raw: &str) -> io::Result<()> {
        self.out.write_all(raw.as_bytes())?;
        self.out.write_all(b"\n")?;
        self.out.flush()
    }

    fn note(&mut self, text: &str) -> io::Result<()> {
        super::note(text);
        Ok(())
    }
}

/// The object of a run that ended.
fn object(event: &RunEvent, warnings: &[Value]) -> Value {
    let nothing = Outcome::default();
    let outcome = event.body.outcome().unwrap_or(&nothing);
    let usage = &outcome.usage;
    let mut object = json!({
        "content": outcome.content,
        "model": outcome.model,
        "requested_model": outcome.requested_model,
        "reasoning_effort": outcome.effort,
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "cached_tokens": usage.cached_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "calls": usage.calls,
        },
        "cost": {
            "premium_requests": usage.premium_requests,
            "ai_credits": usage.ai_credits,
            "estimated_cost": usage.estimated_cost,
            "estimate": usage.estimated_cost.is_some(),
        },
        "retries": outcome.retries,
        "fallbacks": outcome.fallbacks,
        "tools": outcome.tools,
        "run": event.run,
        "session": outcome.session,
        "duration_ms": outcome.duration_ms,
        "warnings": warnings,
    });
    if let Some(iterations) = outcome.iterations {
        object["iterations"] = json!(iterations);
    }
    if let Some(report) = &outcome.council {
        object["council"] = json!(report);
        object["decision"] = json!(report.decision);
    }
    if let Some(info) = exit::error_of(&event.body) {
        object["error"] = error_value(&info);
    }
    object
}

/// The object of a run that ended, for a file.
pub(crate) fn whole(event: &RunEvent) -> Value {
    object(event, &[])
}

/// The object of a command that failed before a run ended.
pub(crate) fn failure(info: &ErrorInfo, run: Option<RunId>) -> Value {
    let mut object = json!({ "error": error_value(info) });
    if let Some(run) = run {
        object["run"] = json!(run);
    }
    object
}

fn error_value(info: &ErrorInfo) -> Value {
    json!({
        "class": info.class,
        "message": info.message,
        "hint": info.hint,
        "retryable": info.retryable,
        "retry_after_ms": info.retry_after_ms,
    })
}

/// An event as a line for people, for `runs logs`.
pub(crate) fn log_line(event: &RunEvent, raw: &str) -> String {
    let fields: Value = serde_json::from_str(raw).unwrap_or_default();
    let kind = fields.get("type").and_then(Value::as_str).unwrap_or("?").to_owned();
    let mut rest = fields;
    if let Some(object) = rest.as_object_mut() {
        for name in ["run", "seq", "at", "type"] {
            object.remove(name);
        }
    }
    let detail = match rest.get("text").and_then(Value::as_str) {
        Some(text) => text.replace('\n', "⏎"),
        None => rest.to_string(),
    };
    format!("{} {:>5} {kind:<15} {}", crate::when::clock(event.at), event.seq, brief(&detail, 160))
}
