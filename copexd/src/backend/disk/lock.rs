//! Who has a session open. The Copilot CLI leaves `inuse.PID.lock` in its folder, and keeps
//! `inuse.PID.hold` open beside it for as long as it lives. In a terminal it does so from the
//! first prompt on; until then its command line may name the session.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::backend::process;

/// The Copilot CLIs that live, with their command lines.
#[derive(Debug, Clone, Default)]
pub struct Copilots(Vec<(u32, Vec<String>)>);

impl Copilots {
    /// Those of now that can be seen.
    pub fn now() -> Self {
        let pids = process::all_pids().into_iter().map(|pid| (pid, command(pid)));
        let ours = |(_, words): &(u32, Vec<String>)| words.iter().any(|it| is_cli(it));
        Self(pids.filter(ours).collect())
    }

    /// Processes that have the session open, all of them alive: those that hold it, and those
    /// whose command line names it.
    pub fn holding(&self, folder: &Path) -> Vec<u32> {
        let id = folder.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let names = |words: &[String]| {
            words.iter().any(|it| it == id || it.strip_prefix("--resume=") == Some(id))
        };
        let naming = self.0.iter().filter(|(_, words)| names(words)).map(|(pid, _)| *pid);
        let mut pids: Vec<u32> = naming.chain(living(folder)).collect();
        pids.sort_unstable();
        pids.dedup();
        pids
    }
}

/// Processes that have the session open, all of them alive.
pub fn holders(folder: &Path) -> Vec<u32> {
    Copilots::now().holding(folder)
}

/// Processes that hold the session's locks.
fn living(folder: &Path) -> Vec<u32> {
    let pids = locks(folder).into_iter().map(|(pid, _)| pid);
    pids.filter(|pid| holds(folder, *pid)).collect()
}

/// Files that processes left which have the session open no longer.
pub fn left_behind(folder: &Path) -> Vec<PathBuf> {
    let living = living(folder);
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
    command(pid).iter().any(|word| word.contains("copilot"))
}

/// Whether a word of a command line is the CLI itself, and not a folder or a file of it.
fn is_cli(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or_default();
    matches!(name, "copilot" | "copilot-runtime")
}

fn command(pid: u32) -> Vec<String> {
    let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = command.split(|byte| *byte == 0).filter(|word| !word.is_empty());
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
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
    fn a_copilot_whose_command_line_names_a_session_has_it_open() {
        let words = |words: &[&str]| words.iter().map(|it| (*it).to_owned()).collect();
        let copilots = Copilots(vec![
            (7, words(&["node", "/bin/copilot", "--resume", "abc-1"])),
            (8, words(&["copilot", "--resume=abc-2"])),
            (9, words(&["copilot", "-p", "what about abc-1?"])),
        ]);
        assert_eq!(copilots.holding(Path::new("/s/abc-1")), [7]);
        assert_eq!(copilots.holding(Path::new("/s/abc-2")), [8]);
        assert!(copilots.holding(Path::new("/s/abc")).is_empty());
        assert!(is_cli("/x/copilot") && !is_cli("/x/copilot/main.rs") && !is_cli("copexctl"));
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
