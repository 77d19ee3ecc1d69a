//! Who has a session open. The Copilot CLI leaves `inuse.PID.lock` in its folder, and keeps
//! `inuse.PID.hold` open beside it for as long as it lives.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Processes that have the session open, all of them alive.
pub fn holders(folder: &Path) -> Vec<u32> {
    let mut pids: Vec<u32> = locks(folder).into_iter().map(|(pid, _)| pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids.retain(|pid| holds(folder, *pid));
    pids
}

/// Files that processes left which have the session open no longer.
pub fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let living = holders(folder);
    let dead = locks(folder).into_iter().filter(|(pid, _)| !living.contains(pid));
    dead.map(|(_, path)| path).collect()
}

fn locks(folder: &Path) -> Vec<(u32, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let lock = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("inuse.")?;
        let pid = name.strip_suffix(".lock").or_else(|| name.strip_suffix(".hold"))?;
        Some((pid.parse().ok()?, path))
    };
    entries.filter_map(|entry| lock(entry.ok()?.path())).collect()
}

/// Whether this process has the session open. The file that it keeps open says so for sure;
/// where there is none, being a Copilot CLI must do: pids are used again.
fn holds(folder: &Path, pid: u32) -> bool {
    let Ok(hold) = folder.join(format!("inuse.{pid}.hold")).metadata() else {
        return is_copilot(pid);
    };
    let Ok(open) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        // Gone, or not ours to look into.
        return is_copilot(pid);
    };
    let same = |path: PathBuf| {
        path.metadata().is_ok_and(|it| (it.dev(), it.ino()) == (hold.dev(), hold.ino()))
    };
    open.flatten().any(|entry| same(entry.path()))
}

fn is_copilot(pid: u32) -> bool {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&command).contains("copilot")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_holds_a_session_while_it_keeps_the_file_open() {
        let folder = tempfile::tempdir().unwrap();
        let me = std::process::id();
        std::fs::write(folder.path().join(format!("inuse.{me}.lock")), "").unwrap();
        assert!(holders(folder.path()).is_empty(), "it is no Copilot CLI");
        let hold = std::fs::File::create(folder.path().join(format!("inuse.{me}.hold"))).unwrap();
        assert_eq!(holders(folder.path()), [me]);
        assert!(left_behind(folder.path()).is_empty());
        drop(hold);
        assert!(holders(folder.path()).is_empty());
        assert_eq!(left_behind(folder.path()).len(), 2);
    }

    #[test]
    fn a_process_that_is_gone_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["inuse.4294967.lock", "inuse.4294967.hold", "inuse.1.lock", "inuse.x.lock"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        assert!(holders(folder.path()).is_empty());
        assert_eq!(left_behind(folder.path()).len(), 3);
    }
}
