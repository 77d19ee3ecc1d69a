//! What makes sessions unfit to be opened, and the repair.

use copex_proto::error::ErrorInfo;
use copex_proto::health::BackendQuery;
use copex_proto::id::SessionId;
use copex_proto::session::{SessionFinding, SessionHealth, SessionState, SessionsReport, Severity};

use super::change::{check, known};
use super::{Place, blocking, find};
use crate::backend::disk::lock::Copilots;
use crate::backend::disk::{self, Checked, Folder, Mended};
use crate::core::transcript::{Fault, Finding, Weight};
use crate::engine::Engine;
use crate::runtime::clock;

/// Sessions with faults that one report holds. A disk with more has another disease.
const MOST_REPORTED: usize = 1_000;

impl Engine {
    /// Looks at one session or at all, and repairs what it may.
    ///
    /// # Errors
    /// `NotFound` for a session that is named and not there.
    pub async fn doctor_sessions(
        &self,
        beginning: Option<&str>,
        fix: bool,
        query: BackendQuery,
    ) -> Result<SessionsReport, ErrorInfo> {
        let place = self.place(query)?;
        let folders = if let Some(beginning) = beginning {
            vec![find(&place.disk, beginning).await?]
        } else {
            let disk = place.disk.clone();
            let mut folders = blocking(move || disk.folders()).await?;
            folders.sort_by(|a, b| a.id().cmp(b.id()));
            folders
        };
        let copilots = Copilots::now();
        let mut report = SessionsReport { sessions: Vec::new(), checked: 0 };
        for folder in folders {
            let health = self.examine(&place, &folder, (&copilots, fix)).await;
            report.checked += 1;
            // A spare that nobody spoke in is nothing to tell, unless it was asked for.
            let odd = health.findings.iter().any(|it| it.fault != Fault::Unused.as_str());
            let told = beginning.is_some() || odd || health.hint.is_some();
            if told && report.sessions.len() < MOST_REPORTED {
                report.sessions.push(health);
            }
        }
        Ok(report)
    }

    async fn examine(
        &self,
        place: &Place,
        folder: &Folder,
        (copilots, fix): (&Copilots, bool),
    ) -> SessionHealth {
        let mut health = SessionHealth {
            session: SessionId(folder.id().to_owned()),
            state: SessionState::Sound,
            findings: Vec::new(),
            backups: Vec::new(),
            fork: None,
            hint: None,
        };
        let checked = match check(folder, copilots).await {
            Ok(checked) => checked,
            Err(error) => {
                health.state = SessionState::Broken;
                health.hint = Some(error.message);
                return health;
            }
        };
        let findings = checked.findings();
        health.findings = findings.iter().map(finding).collect();
        health.state = state(&checked);
        match health.state {
            SessionState::Lost => {
                let hint =
                    format!("nothing to repair it with: copexctl sessions rm {}", folder.id());
                health.hint = Some(hint);
            }
            SessionState::Broken | SessionState::Sound if fix && findings.iter().any(is_work) => {
                self.treat(place, folder, checked, &mut health).await;
            }
            SessionState::Broken => {
                let hint = format!("repair it: copexctl sessions doctor --fix {}", folder.id());
                health.hint = Some(hint);
            }
            _ => {}
        }
        health
    }

    /// Repairs a session, or forks it where somebody has it open.
    async fn treat(
        &self,
        place: &Place,
        folder: &Folder,
        checked: Checked,
        health: &mut SessionHealth,
    ) {
        let claimed = self.claim_session(folder).await;
        let broken = health.state == SessionState::Broken;
        match claimed {
            Ok(_place) => match repair(folder, checked).await {
                Ok(Mended { backups }) => {
                    let shown = |path: &std::path::PathBuf| path.display().to_string();
                    health.backups = backups.iter().map(shown).collect();
                    if broken {
                        health.state = SessionState::Repaired;
                    }
                }
                Err(error) => health.hint = Some(error.message),
            },
            // What is harmless can wait until it is left.
            Err(_) if !broken => {}
            // A run of ours ends some day.
            Err(held) if self.holder(&checked.holders).is_none_or(|holder| holder.ours) => {
                health.hint = Some(told(&held));
            }
            Err(held) => match self.fork_by_copy(place, folder, checked).await {
                Ok(fork) => {
                    health.hint = Some(format!("{}; go on in the fork {fork}", held.message));
                    health.state = SessionState::Forked;
                    health.fork = Some(fork);
                }
                Err(_) => health.hint = Some(told(&held)),
            },
        }
    }
}

/// Repairs a session that is claimed.
pub(super) async fn repair(folder: &Folder, checked: Checked) -> Result<Mended, ErrorInfo> {
    let folder = folder.clone();
    let work = move || {
        let known = known(&folder, folder.id().to_owned());
        disk::mend(&folder, &checked, &known, clock::now_ms())
    };
    blocking(work).await
}

/// Whether a repair would change something: the rest of what is harmless is the CLI's.
fn is_work(finding: &Finding) -> bool {
    finding.fault.weight() > Weight::Harmless || finding.fault == Fault::DeadLock
}

fn told(error: &ErrorInfo) -> String {
    match &error.hint {
        Some(hint) => format!("{}; {hint}", error.message),
        None => error.message.clone(),
    }
}

fn state(checked: &Checked) -> SessionState {
    match (checked.weight(), checked.transcript.mendable()) {
        (Weight::Harmless, _) => SessionState::Sound,
        (_, false) => SessionState::Lost,
        (_, true) => SessionState::Broken,
    }
}

fn finding(finding: &Finding) -> SessionFinding {
    SessionFinding {
        fault: finding.fault.as_str().to_owned(),
        severity: match finding.fault.weight() {
            Weight::Breaks => Severity::Breaks,
            Weight::Loses => Severity::Loses,
            Weight::Harmless => Severity::Harmless,
        },
        line: finding.line,
        count: finding.count,
        message: finding.fault.words().to_owned(),
    }
}
