//! Copilot sessions on the disk.

use copex_proto::fleet::{FleetCleaned, FleetItem};
use copex_proto::id::SessionId;
use copex_proto::session::{
    DeletedSession, ForkResponse, Forker, Holder, SessionDetail, SessionEntry, SessionFilter,
    SessionFinding, SessionHealth, SessionList, SessionState, SessionSummary, SessionsReport,
    Severity, Speaker,
};

use super::{Frame, frame, run, text};

fn session() -> SessionId {
    SessionId(text("6da4c42a-d4c0-4b58-ade2-c171b9a749a8"))
}

fn other() -> SessionId {
    SessionId(text("5ebeff74-5ed4-4b11-9bf3-46959d69be5b"))
}

fn summary() -> SessionSummary {
    SessionSummary {
        session: session(),
        title: text("why does it fail?"),
        cwd: Some(text("/src/project")),
        turns: Some(3),
        used_at: 1_760_000_000_000,
        size_bytes: 54_000,
        run: Some(run()),
        held_by: Some(Holder { pid: 4_711, ours: false }),
    }
}

fn tool() -> SessionEntry {
    SessionEntry {
        by: Speaker::Tool,
        at: Some(1_760_000_000_500),
        text: text("{\"command\":\"cargo test\"}"),
        tool: Some(text("bash")),
        result: Some(text("ok")),
        success: Some(true),
        clipped: true,
    }
}

fn health() -> SessionHealth {
    SessionHealth {
        session: session(),
        state: SessionState::Repaired,
        findings: vec![SessionFinding {
            fault: text("torn_end"),
            severity: Severity::Loses,
            line: Some(25),
            count: 1,
            message: text("its last record was cut off"),
        }],
        backups: vec![text("/home/me/.copilot/session-state/6da4/events.jsonl.before-1")],
        fork: Some(other()),
        hint: Some(text("close it there, then repair it")),
    }
}

pub(super) fn all() -> Vec<Frame> {
    vec![
        frame("session.filter", &SessionFilter { cwd: Some(text("/src/project")) }),
        frame("session.list", &SessionList { sessions: vec![summary()], more: true }),
        frame(
            "session.get",
            &SessionDetail {
                summary: summary(),
                folder: text("/home/me/.copilot/session-state/6da4"),
                created_at: Some(1_759_999_999_000),
                copilot_version: Some(text("1.0.102")),
                entries: vec![tool()],
                more: true,
            },
        ),
        frame(
            "session.fork",
            &ForkResponse { session: other(), from: session(), by: Forker::Copilot },
        ),
        frame("session.delete", &DeletedSession { session: session(), freed_bytes: 54_000 }),
        frame(
            "fleet.clean",
            &FleetCleaned {
                removed: vec![FleetItem {
                    run: text("d22mse1d962r4"),
                    task: Some(text("docs")),
                    branch: Some(text("copex/fleet-task/d22mse1d962r4/docs")),
                    path: Some(text("/home/me/.local/state/copex/worktrees/d22mse1d962r4/docs")),
                    bytes: 54_000,
                    reason: None,
                }],
                kept: vec![FleetItem {
                    run: text("d22mse1d962r4"),
                    branch: Some(text("copex/fleet/d22mse1d962r4")),
                    reason: Some(text("it is merged into no other branch")),
                    ..FleetItem::default()
                }],
                freed_bytes: 54_000,
            },
        ),
        frame("session.doctor", &SessionsReport { sessions: vec![health()], checked: 12 }),
    ]
}
