//! `sessions doctor`: what keeps sessions from being opened, and the repair.

use copex_proto::session::{SessionFinding, SessionHealth, SessionState, SessionsReport, Severity};
use serde_json::json;

use super::Asked;
use crate::error::Result;
use crate::exit::Exit;
use crate::render::{self, clean};

/// What follows a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// A report.
    Tell,
    /// A repair, and a report.
    Repair,
}

/// Looks, repairs if that is wanted, and tells.
pub(super) fn run(asked: &mut Asked, id: Option<&str>, then: Then, json: bool) -> Result<Exit> {
    let fix = then == Then::Repair;
    let params = json!({ "session": id, "fix": fix, "query": asked.query });
    let report: SessionsReport = asked.connection.call("session.doctor", &params)?;
    if json {
        render::value(&report)?;
    } else {
        let text: String = report.sessions.iter().map(health).collect();
        render::text(text.as_bytes())?;
        let broken = report.sessions.iter().filter(|session| is_broken(session)).count();
        render::line(&format!("{} looked at, {broken} broken", report.checked))?;
    }
    let broken = report.sessions.iter().any(is_broken);
    Ok(if broken { Exit::Failed } else { Exit::Done })
}

/// Whether it wants something done still. A fork stands in for one that is open elsewhere, but
/// the session itself is as it was.
fn is_broken(session: &SessionHealth) -> bool {
    match session.state {
        SessionState::Sound | SessionState::Repaired => false,
        SessionState::Broken | SessionState::Forked | SessionState::Lost => true,
    }
}

fn health(session: &SessionHealth) -> String {
    let state = match session.state {
        SessionState::Sound => "sound",
        SessionState::Broken => "broken",
        SessionState::Repaired => "repaired",
        SessionState::Forked => "forked",
        SessionState::Lost => "lost",
    };
    let mut text = format!("{} {state}\n", session.session);
    for finding in &session.findings {
        text.push_str(&finding_text(finding));
    }
    for backup in &session.backups {
        text.extend(["  as it was: ", &clean(backup), "\n"]);
    }
    if let Some(fork) = &session.fork {
        text.extend(["  fork: ", &fork.0, "\n"]);
    }
    if let Some(hint) = &session.hint {
        text.extend(["  ", &clean(hint), "\n"]);
    }
    text
}

fn finding_text(finding: &SessionFinding) -> String {
    let weight = match finding.severity {
        Severity::Breaks => "does not open",
        Severity::Loses => "loses records",
        Severity::Harmless => "harmless",
    };
    let line = finding.line.map(|line| format!(", line {line}")).unwrap_or_default();
    let count =
        if finding.count > 1 { format!(", {} times", finding.count) } else { String::new() };
    format!("  {weight}: {}{line}{count} ({})\n", clean(&finding.message), finding.fault)
}
