//! Commands that copex itself runs: gates, the look at the working folder, notifications.
//!
//! Each is a tree of processes with a mark, in a process group of its own. Dropping the
//! future ends all of it, and what a killed daemon left of it is ended by the next one.

use std::collections::{BTreeMap, VecDeque};
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::backend::process::{self, Owner, Program};
use crate::core::machine::GateResult;

/// Bytes of the beginning of a gate's output that are kept: what was run, and how it began.
const HEAD_BYTES: usize = 4 * 1024;

/// Bytes of its end: where failures and their sums stand.
const TAIL_BYTES: usize = 12 * 1024;

/// How long the look at the working folder may take. A repository that needs longer is not
/// looked at: the loop only knows less.
const LOOK: Duration = Duration::from_secs(10);

/// Prints something that changes with the commit, with what is changed since, and with files
/// that are not known yet; fails where the folder is no repository.
const FINGERPRINT: &str = "exec 2>/dev/null; export GIT_OPTIONAL_LOCKS=0\n\
    git rev-parse --show-toplevel || exit 1\n\
    git rev-parse HEAD\n\
    git status --porcelain\n\
    git diff HEAD --no-ext-diff --no-textconv\n\
    git ls-files --others --exclude-standard -z | xargs -0 -r cksum\n\
    exit 0";

/// Where commands are run.
#[derive(Debug, Clone)]
pub(super) struct Workplace {
    /// In which folder.
    pub(super) folder: PathBuf,
    /// In which environment.
    pub(super) env: BTreeMap<String, String>,
    /// Marks the processes.
    pub(super) owner: Owner,
}

/// Runs a gate to its end, but not longer than `timeout`. What it started ends with it.
///
/// Cancel safe in this sense: dropped midway, all its processes are killed.
pub(super) async fn run(
    place: Workplace,
    index: usize,
    command: String,
    timeout: Duration,
) -> GateResult {
    let (since, input) = (Instant::now(), Vec::new());
    let Fed { exit_code, output } = feed(place, command, timeout, input).await;
    let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    GateResult { index, exit_code, output, duration_ms }
}

/// How a command ended that was given something to read.
pub(super) struct Fed {
    /// Its exit status; none when it was killed or could not be run.
    pub(super) exit_code: Option<i32>,
    /// What it printed, clipped.
    pub(super) output: String,
}

/// The same with `input` to read. A command that does not read it is none the worse.
pub(super) async fn feed(
    place: Workplace,
    command: String,
    timeout: Duration,
    input: Vec<u8>,
) -> Fed {
    let mut kept = Clipped::default();
    let ended = shell(&place, (&command, &input), timeout, |bytes| kept.add(bytes)).await;
    let mut output = kept.text();
    let exit_code = match ended {
        Ok(code) => code,
        Err(why) => {
            output.push_str(&why);
            None
        }
    };
    Fed { exit_code, output }
}

/// What the working folder holds, as a fingerprint. None where it is no repository.
pub(super) async fn fingerprint(place: Workplace) -> Option<String> {
    let mut hasher = DefaultHasher::new();
    let ended = shell(&place, (FINGERPRINT, b""), LOOK, |bytes| hasher.write(bytes)).await;
    (ended == Ok(Some(0))).then(|| format!("{:016x}", hasher.finish()))
}

/// Runs a command; its exit status, or why there is none.
async fn shell(
    place: &Workplace,
    (command, input): (&str, &[u8]),
    timeout: Duration,
    mut take: impl FnMut(&[u8]),
) -> Result<Option<i32>, String> {
    let program = Program {
        path: Path::new("/bin/sh"),
        args: &["-c", command],
        env: process::child_env(&place.env),
        cwd: &place.folder,
    };
    let (mut child, tree) = process::start(&program, &place.owner)
        .map_err(|error| format!("it could not be started: {error}\n"))?;
    let stdin = child.stdin.take();
    // Nobody types: a command that reads on finds the end.
    let feeding = async move {
        if let Some(mut stdin) = stdin {
            // One that does not read does not want to know.
            let _ = stdin.write_all(input).await;
        }
    };
    tokio::pin!(feeding);
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let mut buffers = (vec![0; 8 * 1024], vec![0; 8 * 1024]);
    let deadline = tokio::time::sleep(timeout);
    tokio::pin!(deadline);
    let mut status = None;
    let (mut late, mut fed) = (false, false);
    while status.is_none() || out.is_some() || err.is_some() {
        tokio::select! {
            () = &mut deadline, if !late => {
                late = true;
                tree.kill();
            }
            () = &mut feeding, if !fed => fed = true,
            ended = child.wait(), if status.is_none() => {
                status = Some(ended.map_err(|error| format!("it was lost: {error}\n"))?);
                // What it left behind holds the pipes open.
                tree.kill();
            }
            read = read(&mut out, &mut buffers.0), if out.is_some() => match read {
                Some(count) => take(&buffers.0[..count]),
                None => out = None,
            },
            read = read(&mut err, &mut buffers.1), if err.is_some() => match read {
                Some(count) => take(&buffers.1[..count]),
                None => err = None,
            },
        }
    }
    if late {
        let seconds = timeout.as_secs_f64();
        return Err(format!("\n[it took longer than {seconds} s and was killed]\n"));
    }
    Ok(status.and_then(|status| status.code()))
}

/// The next bytes; none at the end.
async fn read(from: &mut Option<impl AsyncRead + Unpin>, buffer: &mut [u8]) -> Option<usize> {
    let from = from.as_mut()?;
    from.read(buffer).await.ok().filter(|count| *count > 0)
}

/// The head and the tail of a long output.
#[derive(Default)]
struct Clipped {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    left_out: u64,
}

impl Clipped {
    fn add(&mut self, bytes: &[u8]) {
        let room = HEAD_BYTES.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..room]);
        self.tail.extend(&bytes[room..]);
        let over = self.tail.len().saturating_sub(TAIL_BYTES);
        self.tail.drain(..over);
        self.left_out += over as u64;
    }

    fn text(&self) -> String {
        let (one, two) = self.tail.as_slices();
        if self.left_out == 0 {
            return String::from_utf8_lossy(&[&self.head, one, two].concat()).into_owned();
        }
        let head = String::from_utf8_lossy(&self.head);
        let tail = [one, two].concat();
        let tail = String::from_utf8_lossy(&tail);
        format!("{head}\n… {} bytes left out …\n{tail}", self.left_out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(folder: &Path) -> Workplace {
        let env = BTreeMap::from([
            ("PATH".to_owned(), "/usr/local/bin:/usr/bin:/bin".to_owned()),
            ("HOME".to_owned(), folder.display().to_string()),
        ]);
        Workplace { folder: folder.to_owned(), env, owner: Owner::here("gate-test") }
    }

    async fn gate(command: &str) -> GateResult {
        let folder = tempfile::tempdir().unwrap();
        run(place(folder.path()), 3, command.to_owned(), Duration::from_mins(1)).await
    }

    #[tokio::test]
    async fn the_exit_status_decides_and_both_outputs_are_kept() {
        let green = gate("echo out; echo err >&2; cat; exit 0").await;
        assert_eq!((green.index, green.exit_code), (3, Some(0)));
        assert!(green.output.contains("out\n") && green.output.contains("err\n"), "{green:?}");
        assert_eq!(gate("exit 7").await.exit_code, Some(7));
        assert_eq!(gate("kill -9 $$").await.exit_code, None);
    }

    #[tokio::test]
    async fn a_long_output_keeps_its_head_and_its_tail() {
        let long = gate("echo first; yes | head -c 1000000; echo last").await.output;
        assert!(long.starts_with("first\n") && long.ends_with("last\n"), "{long}");
        assert!(long.len() < HEAD_BYTES + TAIL_BYTES + 100 && long.contains("left out"));
    }

    #[tokio::test]
    async fn what_it_leaves_behind_ends_with_it() {
        let left = gate("sleep 300 & echo $!").await;
        let pid = left.output.trim();
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }

    #[tokio::test]
    async fn one_that_takes_too_long_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let command = "echo begun; sleep 300 & wait".to_owned();
        let late = run(place(folder.path()), 0, command, Duration::from_millis(300)).await;
        assert_eq!(late.exit_code, None);
        assert!(late.output.contains("begun") && late.output.contains("0.3 s"), "{late:?}");
    }

    #[tokio::test]
    async fn the_fingerprint_changes_with_the_folder_and_with_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let place = place(folder.path());
        assert_eq!(fingerprint(place.clone()).await, None, "no repository");
        let sh = async |command: &str| {
            let done = run(place.clone(), 0, command.to_owned(), Duration::from_mins(1)).await;
            assert_eq!(done.exit_code, Some(0), "{}", done.output);
        };
        let mut seen = Vec::new();
        let commit = "git add -A && git -c user.name=a -c user.email=a@b commit -qm x";
        let steps = [
            "git init -q .",
            "echo 1 > a",
            commit,
            "echo 2 > a",
            "echo 3 > a",
            "echo 1 > b",
            "echo 2 > b",
        ];
        for step in steps {
            sh(step).await;
            let print = fingerprint(place.clone()).await.unwrap();
            assert_eq!(fingerprint(place.clone()).await.as_ref(), Some(&print), "{step}");
            assert!(!seen.contains(&print), "{step}");
            seen.push(print);
        }
    }
}
