//! What `notify.command` is told.

use copex_proto::event::{Ask, AskKind};
use copex_proto::id::AskId;
use copex_proto::notify::{Notice, NoticeEvent};
use copex_proto::run::{Mode, RunState};

use super::events::{error, usage};
use super::{Frame, frame, run, text};

pub(super) fn all() -> Vec<Frame> {
    let least = Notice {
        event: NoticeEvent::Resumed,
        run: run(),
        mode: Mode::Ralph,
        title: text("paint the house"),
        cwd: text("/home/ada/project"),
        at: 1_760_000_000_000,
        state: RunState::Running,
        foreground: false,
        next: text("copexctl runs attach RUN"),
        ask: None,
        reason: None,
        until: None,
        error: None,
        spend: None,
    };
    let ask = Ask {
        ask: AskId(text("ask-1")),
        kind: AskKind::Permission,
        title: text("Run this command?"),
        detail: text("git push"),
        choices: Vec::new(),
        always: None,
        expires_at: Some(1_760_086_400_000),
    };
    let whole = Notice {
        event: NoticeEvent::Ask,
        state: RunState::Asking,
        foreground: true,
        ask: Some(ask),
        reason: Some(text("too many requests")),
        until: Some(1_760_003_600_000),
        error: Some(error()),
        spend: Some(usage()),
        ..least.clone()
    };
    vec![frame("notice", &whole), frame("notice.least", &least)]
}
