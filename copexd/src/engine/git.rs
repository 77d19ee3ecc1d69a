//! git, run by copex for itself: one command at a time, with an index of its own.
//!
//! Invariant: the user's index is never written, and nothing of the user's runs: no hook, no
//! file watcher, no pager. Filters do, since they say what a file's content is. Each command is a tree of processes with a mark, as gates are, so
//! that dropping the future ends it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::gate::Workplace;
use crate::backend::process::{self, Program};

/// Bytes that a command may print. The list of a hundred thousand changed files is shorter.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// Characters of what git says about a failure.
const WORDS: usize = 200;

/// How often a command is tried that met a worktree which is just being made, and the pause
/// between: git makes one within milliseconds, and one that stays half made is said.
const HALF_MADE_TRIES: usize = 40;
const HALF_MADE_PAUSE: Duration = Duration::from_millis(50);

/// Options of each command: nothing of the user's runs.
const QUIET: [&str; 10] = [
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.splitIndex=false",
    "-c",
    "core.safecrlf=false",
    "-c",
    "advice.addEmbeddedRepo=false",
];

/// Variables that would lead git away from the folder.
pub(super) const LEADS_AWAY: [&str; 9] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_QUARANTINE_PATH",
];

/// Set for each command: it takes no lock that it can do without, and its words are English.
const ALWAYS: [(&str, &str); 2] = [("GIT_OPTIONAL_LOCKS", "0"), ("LC_ALL", "C")];

/// Who a commit is by where git knows nobody.
const NOBODY: [(&str, &str); 4] = [
    ("GIT_AUTHOR_NAME", "copex"),
    ("GIT_AUTHOR_EMAIL", "copex@localhost"),
    ("GIT_COMMITTER_NAME", "copex"),
    ("GIT_COMMITTER_EMAIL", "copex@localhost"),
];

/// git in one folder, until a moment.
#[derive(Debug, Clone)]
pub(super) struct Git {
    place: Workplace,
    until: Instant,
    allowed: Duration,
}

/// One command.
#[derive(Debug, Default)]
pub(super) struct Ask<'a> {
    /// Its words.
    pub(super) args: &'a [&'a str],
    /// What it reads.
    pub(super) input: &'a [u8],
    /// The index it works on; without one it must not need any.
    pub(super) index: Option<&'a Path>,
    /// Whether it goes by the fallback's name.
    pub(super) nobody: bool,
}

/// What a command came to.
#[derive(Debug)]
pub(super) struct Said {
    /// Its exit status.
    pub(super) code: i32,
    /// What it printed.
    pub(super) out: Vec<u8>,
    /// What it said beside that.
    pub(super) err: String,
    /// Whether it failed because somebody is just making a worktree.
    half_made: bool,
}

impl Git {
    /// git where a run works, for so long in all.
    pub(super) fn within(place: Workplace, allowed: Duration) -> Self {
        Self { place, until: Instant::now() + allowed, allowed }
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// Runs a command that must succeed; what it printed.
    ///
    /// # Errors
    /// With git's words, or why they could not be had.
    pub(super) async fn ask(&self, ask: Ask<'_>) -> Result<Vec<u8>, String> {
        let options = if ask.args.first() == Some(&"-c") { 2 } else { 0 };
        let name = *ask.args.get(options).unwrap_or(&"");
        let said = self.run(ask).await?;
        if said.code == 0 {
            return Ok(said.out);
        }
        Err(format!("git {name}: {}", said.err))
    }

    /// The same, for one line of text.
    pub(super) async fn line(&self, args: &[&str]) -> Result<String, String> {
        let out = self.ask(Ask { args, ..Ask::default() }).await?;
        Ok(text(&out))
    }

    /// Runs a command to its end, whatever that is.
    ///
    /// Cancel safe in this sense: dropped midway, all its processes are killed.
    pub(super) async fn run(&self, ask: Ask<'_>) -> Result<Said, String> {
        let late = || format!("git took longer than {} s", self.allowed.as_secs());
        let run = async {
            for _ in 0..HALF_MADE_TRIES {
                let said = self.carry_out(&ask).await?;
                if !said.half_made {
                    return Ok(said);
                }
                tokio::time::sleep(HALF_MADE_PAUSE).await;
            }
            self.carry_out(&ask).await
        };
        tokio::time::timeout_at(self.until, run).await.map_err(|_| late())?
    }

    async fn carry_out(&self, ask: &Ask<'_>) -> Result<Said, String> {
        let args: Vec<&str> = QUIET.iter().chain(ask.args).copied().collect();
        let index = ask.index.map(|path| path.to_string_lossy().into_owned());
        let mut env = process::child_env(&self.place.env);
        env.retain(|(name, _)| !LEADS_AWAY.contains(name));
        env.extend(ALWAYS);
        if let Some(index) = &index {
            env.push(("GIT_INDEX_FILE", index));
        }
        if ask.nobody {
            env.extend(NOBODY);
        }
        let found = find(&env);
        let program = Program { path: found.as_ref(), args: &args, env, cwd: &self.place.folder };
        let lost = |error: std::io::Error| format!("git could not be run: {error}");
        let (mut child, tree) = process::start(&program, &self.place.owner).map_err(lost)?;
        let (stdin, out, err) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let write = async {
            if let Some(mut stdin) = stdin {
                // A command that does not read to the end says why by its status.
                let _ = stdin.write_all(ask.input).await;
            }
        };
        let ((), out, err) = tokio::join!(write, read(out), read(err));
        let status = child.wait().await.map_err(lost)?;
        drop(tree);
        if out.len() as u64 >= MOST_BYTES {
            return Err(format!("git printed more than {MOST_BYTES} bytes"));
        }
        let err = String::from_utf8_lossy(&err);
        let words = err.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it failed");
        Ok(Said {
            half_made: !status.success() && is_half_made(words),
            code: status.code().unwrap_or(-1),
            out,
            err: words.trim().chars().take(WORDS).collect(),
        })
    }
}

/// Whether git stumbled over a worktree that another git has not finished making: commands
/// that look at all worktrees refuse one whose `commondir` is still empty, before they do
/// anything. The other may be the user's own.
fn is_half_made(words: &str) -> bool {
    words.starts_with("fatal: failed to read ")
        && words.contains("/worktrees/")
        && words.contains("/commondir: ")
}

/// Where git is, by the run's own path.
fn find(env: &[(&str, &str)]) -> PathBuf {
    let path = env.iter().find(|(name, _)| *name == "PATH").map_or("", |(_, value)| value);
    let found = std::env::split_paths(path).map(|folder| folder.join("git"));
    found.into_iter().find(|file| file.is_file()).unwrap_or_else(|| PathBuf::from("git"))
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        // What was read before it broke off is judged by the status.
        let _ = from.take(MOST_BYTES).read_to_end(&mut bytes).await;
    }
    bytes
}

/// Output as one line.
pub(super) fn text(out: &[u8]) -> String {
    String::from_utf8_lossy(out).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::process::Owner;

    #[tokio::test]
    async fn a_worktree_that_is_just_being_made_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let place = |path: &str| Workplace {
            folder: folder.path().to_owned(),
            env: [("PATH".to_owned(), path.to_owned())].into(),
            owner: Owner::here("half-made"),
        };
        let path = "/usr/local/bin:/usr/bin:/bin";
        let git = Git::within(place(path), Duration::from_mins(1));
        for args in [
            &["init", "-q", "-b", "main"][..],
            &["-c", "user.name=a", "commit", "-q", "--allow-empty", "-m", "one"],
            &["worktree", "add", "-q", "-b", "side", "other"],
        ] {
            let made = Ask { args, nobody: true, ..Ask::default() };
            git.ask(made).await.unwrap();
        }
        let half = folder.path().join(".git/worktrees/other/commondir");
        let whole = std::fs::read_to_string(&half).unwrap();
        std::fs::write(&half, "").unwrap();
        let look = ["for-each-ref", "--format=%(worktreepath)", "refs/heads/main"];
        // A git whose neighbour is done a moment after it has failed.
        let slow = folder.path().join("slow");
        std::fs::create_dir(&slow).unwrap();
        let real = path.split(':').map(|it| format!("{it}/git")).find(|it| Path::new(it).is_file());
        let script = format!(
            "#!/bin/sh\n{} \"$@\"; rc=$?; printf '{}\\n' > '{}'; exit $rc\n",
            real.unwrap(),
            whole.trim(),
            half.display()
        );
        std::fs::write(slow.join("git"), script).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(slow.join("git"), mode).unwrap();
        let patient =
            Git::within(place(&format!("{}:{path}", slow.display())), Duration::from_mins(1));
        let found = patient.line(&look).await.unwrap();
        assert_eq!(Path::new(&found), folder.path().canonicalize().unwrap());

        // One that stays so is said, in the end.
        std::fs::write(&half, "").unwrap();
        let why = git.line(&look).await.unwrap_err();
        assert!(why.contains("worktrees/other/commondir"), "{why}");
    }
}
