//! Two processes on one session id diverge silently, so a session that somebody else has
//! open is refused.

use std::path::{Path, PathBuf};

use crate::backend::spec::RuntimeSpec;
use crate::core::failure::{Failure, FailureClass};

/// Refuses a session that a living process other than `ours` holds.
///
/// The Copilot CLI leaves `inuse.PID.lock` in the session's folder; one of a dead process
/// means nothing.
///
/// # Errors
/// `SessionCorrupt`, naming the process.
pub(super) fn refuse_if_held(
    spec: &RuntimeSpec,
    session: &str,
    ours: &[u32],
) -> Result<(), Failure> {
    let variable = |name: &str| spec.env.get(name).filter(|value| !value.is_empty());
    let home = variable("COPILOT_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(home).join(".copilot")));
    let Some(folder) = home.map(|home| home.join("session-state").join(session)) else {
        return Ok(());
    };
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| {
            name.strip_prefix("inuse.")?.strip_suffix(".lock")?.parse::<u32>().ok()
        });
        let Some(pid) = pid.filter(|pid| !ours.contains(pid)) else { continue };
        if is_copilot(pid) {
            let message = format!("session {session} is open in another process ({pid})");
            let hint = "leave it there first, or start a new session";
            return Err(Failure::new(FailureClass::SessionCorrupt, message).with_hint(hint));
        }
    }
    Ok(())
}

/// Whether the process lives and is a Copilot CLI: pids are used again.
fn is_copilot(pid: u32) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("copilot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_a_process_that_is_no_copilot_means_nothing() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("session-state/s");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("inuse.1.lock"), "").unwrap();
        std::fs::write(folder.join("inuse.4294967.lock"), "").unwrap();
        let env = [("COPILOT_HOME".to_owned(), home.path().to_str().unwrap().to_owned())];
        let spec = RuntimeSpec {
            cli_path: None,
            env: env.into(),
            secret_env: std::collections::BTreeMap::new(),
            demo: false,
        };
        assert_eq!(refuse_if_held(&spec, "s", &[]), Ok(()));
        assert_eq!(refuse_if_held(&spec, "unknown", &[]), Ok(()));
    }
}
