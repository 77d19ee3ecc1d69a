//! Questions that wait for a person.

use copex_proto::ask::{AskClosed, AskEntry, AskFilter, AskList};
use copex_proto::event::{Answer, AnsweredBy, Ask, AskKind};
use copex_proto::id::AskId;
use copex_proto::run::Mode;

use super::{Frame, frame, run, text};

pub(super) fn all() -> Vec<Frame> {
    let ask = Ask {
        ask: AskId(text("ask-1")),
        kind: AskKind::UserInput,
        title: text("Which colour?"),
        detail: text("for the door"),
        choices: vec![text("red"), text("blue")],
        always: None,
        expires_at: Some(1_760_086_400_000),
    };
    let waits = AskEntry {
        ask,
        run: run(),
        mode: Mode::Ralph,
        run_title: text("paint the house"),
        cwd: text("/home/ada/project"),
        asked_at: 1_760_000_000_000,
        closed: None,
    };
    let closed = AskClosed {
        at: 1_760_000_060_000,
        answer: Some(Answer::Text { text: text("blue") }),
        by: Some(AnsweredBy::Client),
    };
    let closed = AskEntry { closed: Some(closed), ..waits.clone() };
    vec![
        frame("ask.filter", &AskFilter { run: Some(run()), closed: true }),
        frame("ask.list", &AskList { asks: vec![waits, closed], waiting: 7, more: true }),
    ]
}
