//! The terminal's bell: a run that is looked at has ended, or asks.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use copex_proto::event::EventBody;
use copex_proto::id::AskId;

/// What a terminal makes a sound, a flash or a mark of.
const RING: &[u8] = b"\x07";

/// A bell. Questions ring it once nothing more is to be read: those of a log that were answered
/// long ago do not.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    /// Questions that it did not ring for yet.
    waiting: BTreeSet<AskId>,
}

impl Bell {
    /// Takes note of an event; rings when it is the last.
    pub(crate) fn event(&mut self, body: &EventBody) {
        if self.is_the_end(body) {
            ring();
        }
    }

    /// Nothing more is to be read at the moment: rings when a question came.
    pub(crate) fn rest(&mut self) {
        if self.is_asked() {
            ring();
        }
    }

    fn is_the_end(&mut self, body: &EventBody) -> bool {
        match body {
            EventBody::Ask(ask) => {
                self.waiting.insert(ask.ask.clone());
            }
            EventBody::Answered { ask, .. } => {
                self.waiting.remove(ask);
            }
            _ => {}
        }
        body.is_terminal()
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
