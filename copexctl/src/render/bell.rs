//! The terminal's bell: a run that is looked at has ended, or asks.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use copex_proto::event::{EventBody, RunEvent};
use copex_proto::id::AskId;

use crate::clock;

/// What a terminal makes a sound, a flash or a mark of.
const RING: &[u8] = b"\x07";

/// A bell. Questions ring it once nothing more is to be read, and those of before never: who
/// comes to a run sees them, if they were not answered long ago.
#[derive(Debug)]
pub(crate) struct Bell {
    /// Since when it is listened to, in Unix milliseconds.
    since: u64,
    /// Questions that it did not ring for yet.
    waiting: BTreeSet<AskId>,
}

impl Bell {
    /// From now on.
    pub(crate) fn new() -> Self {
        Self { since: clock::unix_ms(), waiting: BTreeSet::new() }
    }

    /// Takes note of an event; rings when it is the last.
    pub(crate) fn event(&mut self, event: &RunEvent) {
        if self.is_the_end(event) {
            ring();
        }
    }

    /// Nothing more is to be read at the moment: rings when a question came.
    pub(crate) fn rest(&mut self) {
        if self.is_asked() {
            ring();
        }
    }

    fn is_the_end(&mut self, event: &RunEvent) -> bool {
        match &event.body {
            EventBody::Ask(ask) if event.at >= self.since => {
                self.waiting.insert(ask.ask.clone());
            }
            EventBody::Answered { ask, .. } => {
                self.waiting.remove(ask);
            }
            _ => {}
        }
        event.body.is_terminal()
    }

    fn is_asked(&mut self) -> bool {
        !std::mem::take(&mut self.waiting).is_empty()
    }
}

fn ring() {
    let mut err = io::stderr().lock();
    // Nobody hears it then.
    let _ = err.write_all(RING).and_then(|()| err.flush());
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(at: u64, body: &serde_json::Value) -> RunEvent {
        let mut event = json!({ "run": "d21xfya71ne2c", "seq": 1, "at": at });
        event.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_question_of_before_is_not_rung_for() {
        let ask = json!({
            "type": "ask", "ask": "a-1", "kind": "permission", "title": "t", "detail": "d",
            "choices": [], "expires_at": 9_000,
        });
        let answered = json!({
            "type": "answered", "ask": "a-1", "answer": {"feedback": "not today", "kind": "deny"}, "by": "client",
        });
        let mut bell = Bell { since: 100, waiting: BTreeSet::new() };
        assert!(!bell.is_the_end(&event(99, &ask)) && !bell.is_asked(), "of before");
        assert!(!bell.is_the_end(&event(100, &ask)) && bell.is_asked());
        assert!(!bell.is_asked(), "once");
        bell.is_the_end(&event(101, &ask));
        bell.is_the_end(&event(102, &answered));
        assert!(!bell.is_asked(), "answered before anybody could hear it");
    }
}
