//! What whole process trees use: how many they are, their memory, their processor time.
//!
//! A process belongs to a tree when it carries the tree's marker, or when its parent does
//! or belongs to it: a tool that clears its environment is still its shell's child.
//!
//! Not here: ending them ([`super::process`]).

use std::collections::HashMap;

use super::process::{self, Stat};

/// The kernel's clock tick for user space: the same on every Linux.
const TICK_MS: u64 = 10;

/// Generations that are followed up from a process. A tree of tools is five deep; whoever
/// nests deeper carries the marker.
const GENERATIONS: usize = 64;

/// What one tree uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its processes.
    pub processes: u32,
    /// Their resident memory in bytes. Memory that they share counts for each.
    pub rss_bytes: u64,
    /// Their processor time in milliseconds; of those that have ended, what their parent
    /// has waited for.
    pub cpu_ms: u64,
}

/// What the trees with these markers use, in their order. Looks at every process of the
/// machine once: some milliseconds of blocking reads.
pub fn of_trees(marks: &[String]) -> Vec<Usage> {
    let stats: HashMap<u32, Stat> = process::all_pids()
        .into_iter()
        .filter_map(|pid| Some((pid, Stat::of(pid)?)))
        .filter(|(_, stat)| stat.state != 'Z')
        .collect();
    let by_mark: HashMap<&str, usize> =
        marks.iter().enumerate().map(|(tree, mark)| (mark.as_str(), tree)).collect();
    let marked: HashMap<u32, usize> = stats
        .keys()
        .filter_map(|pid| Some((*pid, *by_mark.get(process::mark_of(*pid)?.as_str())?)))
        .collect();
    let mut usage = vec![Usage::default(); marks.len()];
    for (pid, stat) in &stats {
        let Some(tree) = tree_of(*pid, &stats, &marked) else { continue };
        let tree = &mut usage[tree];
        tree.processes += 1;
        tree.rss_bytes += process::rss_bytes(*pid);
        tree.cpu_ms += stat.ticks * TICK_MS;
    }
    usage
}

fn tree_of(pid: u32, stats: &HashMap<u32, Stat>, marked: &HashMap<u32, usize>) -> Option<usize> {
    let up = std::iter::successors(Some(pid), |pid| stats.get(pid).map(|stat| stat.parent));
    up.take(GENERATIONS).find_map(|pid| marked.get(&pid).copied())
}

/// Open file descriptors of this process.
pub fn open_files() -> u32 {
    let count = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    // The look itself opens one.
    u32::try_from(count.saturating_sub(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use nix::sys::signal::{Signal, killpg};
    use nix::unistd::Pid;

    use super::*;
    use crate::backend::process::{Owner, Program};

    #[tokio::test]
    async fn a_tree_has_children_that_cleared_their_environment() {
        let args = ["-c", "env -i sleep 371 & sleep 372 & read line"];
        let (path, cwd) = (Path::new("/bin/sh"), Path::new("/"));
        let program = Program { path, args: &args, env: Vec::new(), cwd };
        let (child, tree) = process::start(&program, &Owner::here("usage-test")).unwrap();
        let marks = [tree.mark().to_owned(), "nobody's".to_owned()];
        // Until it is replaced, the child has its parent's environment.
        let cleared = async {
            while tree.pids().len() != 2 || of_trees(&marks)[0].processes != 3 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), cleared).await.unwrap();
        let usage = of_trees(&marks);
        assert_eq!((usage[0].processes, usage[1]), (3, Usage::default()));
        assert!(usage[0].rss_bytes > 0);
        let group = i32::try_from(child.id().unwrap()).unwrap();
        killpg(Pid::from_raw(group), Signal::SIGKILL).unwrap();
    }
}
