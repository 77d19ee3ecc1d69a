//! Which recorded request a new one is.
//!
//! Two requests are the same when they ask the same model in the same conversation. What
//! changes from one time to the next does not count: the system message, the time of day,
//! ids of sessions and calls, blocks of context that the Copilot CLI puts around words.
//! Of several recorded ones that are the same, each answers once, in order.

use std::collections::HashMap;

use serde_json::Value;

use super::{Cassette, Request};
use crate::core::redact::Redactor;

/// Blocks that the Copilot CLI puts around the user's words; what is in them changes.
const BLOCKS: [&str; 5] = [
    "current_datetime",
    "system_reminder",
    "system_notification",
    "reminder",
    "session_limits_status",
];

/// Fields of a message that say nothing of the conversation. Ids that calls and results
/// share are numbered instead.
const ASIDE: [&str; 9] = [
    "cache_control",
    // What GitHub's own endpoint is told.
    "copilot_cache_control",
    "status",
    "encrypted_content",
    "reasoning_opaque",
    "signature",
    "annotations",
    "logprobs",
    "refusal",
];

/// Fields that hold the id of a call.
const CALL_IDS: [&str; 4] = ["id", "call_id", "tool_call_id", "tool_use_id"];

/// Characters of a message that are shown.
const SHOWN: usize = 80;

/// What tells a request from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Likeness {
    method: String,
    /// The last part of the path, where there is no conversation.
    place: String,
    model: String,
    turns: Vec<Turn>,
}

/// One message of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Turn {
    role: String,
    /// All of it, in one canonical text.
    all: String,
    /// The same without what tools gave back.
    said: String,
}

impl Likeness {
    /// What tells this request from others. Secrets do not: they were taken out of the
    /// recorded ones.
    pub fn of(method: &str, path: &str, body: &Value) -> Self {
        let model = body["model"].as_str().unwrap_or_default().to_owned();
        let mut calls = HashMap::new();
        let items = [&body["messages"], &body["input"]];
        let items = items.into_iter().find_map(Value::as_array).map(Vec::as_slice);
        let turns: Vec<Turn> = items
            .unwrap_or_default()
            .iter()
            .filter(|item| !matches!(item["role"].as_str(), Some("system" | "developer")))
            .map(|item| turn(item, &mut calls))
            .collect();
        let place = path.rsplit('/').next().unwrap_or_default();
        let place = if turns.is_empty() { place.to_owned() } else { String::new() };
        Self { method: method.to_owned(), place, model, turns }
    }

    fn of_request(request: &Request) -> Self {
        Self::of(&request.method, &request.path, &request.body)
    }

    /// The same but for what tools gave back.
    fn resembles(&self, other: &Self) -> bool {
        let head = |it: &Self| (it.method.clone(), it.place.clone(), it.model.clone());
        head(self) == head(other)
            && self.turns.len() == other.turns.len()
            && self.turns.iter().zip(&other.turns).all(|(a, b)| a.said == b.said)
    }

    /// How near another one is, for error messages.
    fn nearness(&self, other: &Self) -> (bool, usize, std::cmp::Reverse<usize>) {
        let same = self.turns.iter().zip(&other.turns).take_while(|(a, b)| a.said == b.said);
        let off = self.turns.len().abs_diff(other.turns.len());
        (self.model == other.model, same.count(), std::cmp::Reverse(off))
    }

    fn words(&self) -> String {
        let Some(last) = self.turns.last() else {
            return format!("{} …/{}", self.method, self.place);
        };
        let mut text: String = last.all.chars().take(SHOWN).collect();
        if text.len() < last.all.len() {
            text.push('…');
        }
        let (model, count) = (&self.model, self.turns.len());
        let messages = if count == 1 { "1 message" } else { &format!("{count} messages") };
        format!("{model} after {messages}, the last from {}: \"{text}\"", last.role)
    }
}

fn turn(item: &Value, calls: &mut HashMap<String, usize>) -> Turn {
    let kind = item["type"].as_str().unwrap_or_default();
    let role =
        item["role"].as_str().unwrap_or(if kind == "function_call" { "assistant" } else { "tool" });
    let (mut all, mut said) = (String::new(), String::new());
    write(item, calls, Mode::All, &mut all);
    let gives_back = role == "tool" || kind == "function_call_output";
    if gives_back {
        said.push_str("(a tool's result)");
    } else {
        write(item, calls, Mode::Said, &mut said);
    }
    Turn { role: role.to_owned(), all, said }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    All,
    Said,
}

/// Writes a message in canonical form.
fn write(value: &Value, calls: &mut HashMap<String, usize>, mode: Mode, out: &mut String) {
    match value {
        Value::Null => {}
        Value::String(text) => out.push_str(&settled(text)),
        Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::Array(items) => {
            for item in items {
                write(item, calls, mode, out);
                out.push(' ');
            }
            out.truncate(out.trim_end().len());
        }
        Value::Object(fields) => {
            if mode == Mode::Said && fields.get("type").is_some_and(|it| it == "tool_result") {
                out.push_str("(a tool's result)");
                return;
            }
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort();
            for name in names {
                let field = &fields[name];
                let empty = field.is_null() || field.as_array().is_some_and(Vec::is_empty);
                if empty || ASIDE.contains(&name.as_str()) {
                    continue;
                }
                match (name.as_str(), field) {
                    ("role" | "type", _) => {}
                    (name, Value::String(id)) if CALL_IDS.contains(&name) => {
                        let next = calls.len();
                        let number = *calls.entry(id.clone()).or_insert(next);
                        out.extend(["#", &number.to_string(), " "]);
                    }
                    // Words need no name, whether they come as a text or as parts.
                    ("content" | "text" | "output", field) => {
                        write(field, calls, mode, out);
                        out.push(' ');
                    }
                    (name, field) => {
                        out.push_str(name);
                        out.push('=');
                        write(field, calls, mode, out);
                        out.push(' ');
                    }
                }
            }
            out.truncate(out.trim_end().len());
        }
    }
}

/// A text without what changes from one time to the next.
fn settled(text: &str) -> String {
    let mut text = text.to_owned();
    for block in BLOCKS {
        let (open, close) = (format!("<{block}>"), format!("</{block}>"));
        while let Some(start) = text.find(&open)
            && let Some(length) = text[start..].find(&close)
        {
            text.replace_range(start..start + length + close.len(), "");
        }
    }
    let text = Redactor::default().text(text.trim()).into_owned();
    without_uuids(&text)
}

fn without_uuids(text: &str) -> String {
    const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];
    let is_uuid = |text: &[u8]| {
        let mut groups = text.split(|byte| *byte == b'-');
        GROUPS.iter().all(|length| {
            groups.next().is_some_and(|group| {
                group.len() == *length && group.iter().all(u8::is_ascii_hexdigit)
            })
        })
    };
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if let Some(window) = bytes.get(at..at + 36)
            && window[8] == b'-'
            && is_uuid(window)
        {
            out.extend_from_slice(b"(id)");
            at += 36;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The recorded requests, each to be given once.
#[derive(Debug)]
pub struct Deck {
    cards: Vec<(Likeness, bool)>,
}

/// A recorded request that a new one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dealt {
    /// Its place among the exchanges.
    pub index: usize,
    /// Whether what tools gave back is the same as well.
    pub exact: bool,
}

impl Deck {
    /// All of a cassette's.
    pub fn of(cassette: &Cassette) -> Self {
        let cards = cassette.exchanges.iter().map(|it| (Likeness::of_request(&it.request), false));
        Self { cards: cards.collect() }
    }

    /// The next recorded request that is the same as `asked`; where none is, one that differs
    /// only in what tools gave back, since tools really run again. Questions about the
    /// endpoint itself (no conversation) are answered as often as they are asked.
    ///
    /// # Errors
    /// What was asked and what comes nearest, in words.
    pub fn deal(&mut self, asked: &Likeness) -> Result<Dealt, String> {
        let all = || self.cards.iter().enumerate();
        let same = || all().filter(|(_, (card, _))| card == asked);
        let next = same().find(|(_, (_, given))| !given);
        let again = || same().next_back().filter(|_| asked.turns.is_empty());
        let known = same().count();
        let near = || {
            let mut left = all().filter(|(_, (_, given))| known == 0 && !given);
            left.find(|(_, (card, _))| card.resembles(asked))
        };
        let found = next.or_else(again).map(|(index, _)| Dealt { index, exact: true });
        let found = found.or_else(|| near().map(|(index, _)| Dealt { index, exact: false }));
        if let Some(dealt) = found {
            self.cards[dealt.index].1 = true;
            return Ok(dealt);
        }
        let wanted = asked.words();
        if known > 0 {
            let times = if known == 1 { "once" } else { &format!("{known} times") };
            return Err(format!(
                "this was asked more often than it was recorded ({times}): {wanted}"
            ));
        }
        let nearest = all()
            .max_by_key(|(index, (card, _))| (asked.nearness(card), std::cmp::Reverse(*index)));
        let nearest = nearest.map(|(index, (card, _))| {
            format!("; the nearest recorded request is on line {}: {}", index + 2, card.words())
        });
        Err(format!("no recorded request is the same as {wanted}{}", nearest.unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests;
