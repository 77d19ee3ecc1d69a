//! `runs explain`: why a run waits, and what would let it go on.

use copex_proto::explain::{Explanation, ModelStanding, Wait};
use copex_proto::id::RunId;
use serde_json::json;

use crate::clock;
use crate::commands::runs;
use crate::connect::Connection;
use crate::error::Result;
use crate::exit::Exit;
use crate::render::{self, duration};
use crate::when::moment;

/// Prints the explanation, as one screen or as one JSON object.
pub(crate) fn run(connection: &mut Connection, run: RunId, json: bool) -> Result<Exit> {
    let told: Explanation = connection.call("run.explain", &json!({ "run": run }))?;
    if json {
        render::value(&told)?;
    } else {
        render::text(text(&told).as_bytes())?;
    }
    Ok(Exit::Done)
}

/// The explanation for people.
pub(crate) fn text(told: &Explanation) -> String {
    let mut rows = vec![
        vec!["run".to_owned(), told.run.to_string()],
        vec!["state".to_owned(), runs::state_name(told.state)],
        vec!["why".to_owned(), told.summary.clone()],
    ];
    let mut add = |name: &str, text: String| rows.push(vec![name.to_owned(), text]);
    for wait in &told.waits {
        if wait.detail != told.summary {
            add("also", wait.detail.clone());
        }
        if let Some(times) = times(wait) {
            add("", times);
        }
        add("to go on", wait.unblock.clone());
    }
    for model in &told.models {
        add(if model.current { "model" } else { "else" }, standing(model));
    }
    let counts = [
        (told.attempts.saturating_sub(1), "retry", "retries"),
        (told.fallbacks, "fallback", "fallbacks"),
        (told.parks, "park", "parks"),
    ];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _, _)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    if !counts.is_empty() {
        add("so far", counts.join(", "));
    }
    add("retries", format!("{} left in the budget of all runs", told.retry_budget));
    if let Some(hint) = told.error.as_ref().and_then(|error| error.hint.clone()) {
        add("hint", hint);
    }
    render::table(&rows)
}

fn times(wait: &Wait) -> Option<String> {
    let now = clock::unix_ms();
    let since = wait.since.map(|since| format!("since {}", moment(since)));
    let until = wait.until.map(|until| {
        format!("until {} (in {})", moment(until), duration(until.saturating_sub(now)))
    });
    let parts: Vec<String> = [since, until].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn standing(model: &ModelStanding) -> String {
    let name = if model.model.is_empty() { "the default model" } else { &model.model };
    let mut text = format!("{name} at {}", model.endpoint);
    if let Some(why) = &model.closed {
        text.push_str(": ");
        text.push_str(why);
    } else if model.excluded {
        text.push_str(": failed in this turn");
    }
    text
}
