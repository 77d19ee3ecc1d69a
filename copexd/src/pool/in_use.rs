//! Two processes on one session id diverge silently, so a session that somebody else has
//! open is refused.

use std::time::Duration;

use crate::backend::disk::{Disk, lock};
use crate::backend::process;
use crate::backend::spec::RuntimeSpec;
use crate::core::failure::{Failure, FailureClass};

/// How often, and how many times, a runtime of ours on its way out is looked at. It has two
/// seconds to leave and is killed then.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 250;

/// Refuses a session that a living process other than `ours` holds. A runtime that this
/// daemon gave up may still be writing its transcript: it is waited for.
///
/// The Copilot CLI leaves `inuse.PID.lock` in the session's folder; one of a dead process
/// means nothing.
///
/// # Errors
/// `SessionCorrupt`, naming the process.
pub(super) async fn refuse_if_held(
    spec: &RuntimeSpec,
    session: &str,
    ours: &[u32],
) -> Result<(), Failure> {
    let mut looks = 0;
    while let Some(pid) = holder(spec, session, ours) {
        if !process::is_ours(pid) || looks == LOOKS {
            let message = format!("session {session} is open in another process ({pid})");
            let hint = format!(
                "leave it there first, or go on in a fork: copexctl sessions fork {session}"
            );
            return Err(Failure::new(FailureClass::SessionCorrupt, message).with_hint(hint));
        }
        looks += 1;
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// The living process other than `ours` that holds the session.
fn holder(spec: &RuntimeSpec, session: &str, ours: &[u32]) -> Option<u32> {
    let folder = Disk::of(spec)?.folder(session)?;
    lock::holders(folder.path()).into_iter().find(|pid| !ours.contains(pid))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use super::*;
    use crate::backend::process::{Owner, Program};

    fn session(home: &Path, locks: &[&str]) -> RuntimeSpec {
        let folder = home.join("session-state/s");
        std::fs::create_dir_all(&folder).unwrap();
        for lock in locks {
            std::fs::write(folder.join(lock), "").unwrap();
        }
        let env = [("COPILOT_HOME".to_owned(), home.to_str().unwrap().to_owned())];
        RuntimeSpec { cli_path: None, env: env.into(), secret_env: BTreeMap::new(), demo: false }
    }

    #[tokio::test]
    async fn a_lock_of_a_process_that_is_no_copilot_means_nothing() {
        let home = tempfile::tempdir().unwrap();
        let spec = session(home.path(), &["inuse.1.lock", "inuse.4294967.lock"]);
        assert_eq!(refuse_if_held(&spec, "s", &[]).await, Ok(()));
        assert_eq!(refuse_if_held(&spec, "unknown", &[]).await, Ok(()));
    }

    #[tokio::test]
    async fn a_runtime_of_ours_that_is_leaving_is_waited_for() {
        let home = tempfile::tempdir().unwrap();
        let args = ["-c", "read line", "copilot"];
        let (path, cwd) = (Path::new("/bin/sh"), home.path());
        let program = Program { path, args: &args, env: Vec::new(), cwd };
        let (mut child, tree) = process::start(&program, &Owner::here("in-use-test")).unwrap();
        let pid = child.id().unwrap();
        let spec = session(home.path(), &[&format!("inuse.{pid}.lock")]);
        assert_eq!(refuse_if_held(&spec, "s", &[pid]).await, Ok(()), "it serves it");
        let waiting = refuse_if_held(&spec, "s", &[]);
        let leaving = async {
            drop(child.stdin.take());
            child.wait().await.unwrap();
            drop(tree);
        };
        assert_eq!(tokio::join!(waiting, leaving).0, Ok(()));
    }
}
