//! What the user's `notify.command` is told: one JSON object on its standard input.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::ErrorInfo;
use crate::event::{Ask, Usage};
use crate::id::RunId;
use crate::run::{Mode, RunState};

/// The names of [`NoticeEvent`], as `notify.on` takes them.
pub const NOTICE_EVENTS: [&str; 6] = ["ask", "parked", "resumed", "done", "failed", "budget"];

/// What a person may want to be told of a run. Readers skip fields that they do not know.
///
/// Secrets are taken out of it, and long texts are clipped in the middle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Notice {
    /// What happened.
    pub event: NoticeEvent,
    /// Which run.
    pub run: RunId,
    /// Its mode.
    pub mode: Mode,
    /// The first words of what it was asked.
    pub title: String,
    /// Where it works.
    pub cwd: String,
    /// When it happened, in Unix milliseconds.
    pub at: u64,
    /// How the run stands since.
    pub state: RunState,
    /// Whether a client waits for the run, as one in a terminal does.
    pub foreground: bool,
    /// A command that acts on it, or shows it.
    pub next: String,
    /// With `ask`: the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// With `parked`: what it waits for. With `budget`, while the run goes on: which share of
    /// which limit was passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With `parked`: when it goes on, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// With `failed`, and with a `budget` that ended the run: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo>,
    /// Where the run has ended: what it took in all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spend: Option<Usage>,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoticeEvent {
    /// A question waits for a person.
    Ask,
    /// The run waits for a known moment.
    Parked,
    /// A parked run goes on.
    Resumed,
    /// It ended well.
    Done,
    /// It failed, or only a person can go on.
    Failed,
    /// A share of a spend limit was passed, or a limit of the user's own ended the run.
    Budget,
    /// An event from a newer daemon.
    #[serde(other)]
    Unknown,
}

impl NoticeEvent {
    /// The event with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let value = serde_json::Value::from(name);
        let event = serde_json::from_value(value).unwrap_or(Self::Unknown);
        (event != Self::Unknown).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_an_event() {
        for name in NOTICE_EVENTS {
            let event = NoticeEvent::from_name(name).unwrap();
            assert_eq!(serde_json::to_value(event).unwrap(), name);
        }
        assert_eq!(NoticeEvent::from_name("cancelled"), None);
    }
}
