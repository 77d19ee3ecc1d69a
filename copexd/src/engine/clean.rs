//! What fleets left on the disk, looked at from outside of any run.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::fleet::{CleanTarget, FleetCleaned, FleetItem};
use copex_proto::id::RunId;
use copex_proto::run::Mode;

use super::Engine;
use super::gate::Workplace;
use super::trees::FOLDER;
use super::worktree::{self, Site, Sweep, Which};
use crate::core::worktrees::{self, Cleaned, Item};

/// Runs in a row that went on with each other, at most, that are looked through.
const MOST_RESUMED: usize = 1_000;

impl Engine {
    /// Removes worktrees and branches of fleets that have ended: of a run, of a folder's
    /// repository, else of all repositories. What would be lost only goes with `force`.
    ///
    /// # Errors
    /// `Conflict` when the run is at work, `NotFound` when nobody knows it, `Usage` when the
    /// folder is in no repository.
    pub async fn clean_fleets(
        &self,
        target: CleanTarget,
        force: bool,
    ) -> Result<FleetCleaned, ErrorInfo> {
        let at_work = |name: &str| self.at_work().contains(name);
        let sweep = |which| Sweep { which, force, branches: true, at_work: &at_work };
        let refused = |folder: &Path, why: String| {
            let message = format!("{}: {why}", folder.display());
            ErrorInfo::new(ErrorClass::Usage, message)
                .with_hint("go to a repository's folder, name a run, or use --all")
        };
        if let Some(run) = target.run {
            let (name, folder) = self.first(run, target.cwd)?;
            if at_work(&worktrees::name(&name)) {
                let message = format!("run {run} has not ended");
                let hint = format!("cancel it first: copexctl runs cancel {run}");
                return Err(ErrorInfo::new(ErrorClass::Conflict, message).with_hint(hint));
            }
            let cleaned = worktree::clean(self.site(&folder, &name), sweep(Which::This)).await;
            return cleaned.map(wire).map_err(|why| refused(&folder, why));
        }
        if let Some(folder) = target.cwd.map(PathBuf::from) {
            let cleaned = worktree::clean(self.site(&folder, ""), sweep(Which::All)).await;
            return cleaned.map(wire).map_err(|why| refused(&folder, why));
        }
        let mut all = Cleaned::default();
        for common in worktree::repositories(&self.inner.ambient.state.join(FOLDER)) {
            // Beside git's folder lie the user's files.
            let folder = common.parent().unwrap_or(&common).to_owned();
            match worktree::clean(self.site(&folder, ""), sweep(Which::All)).await {
                Ok(cleaned) => {
                    all.removed.extend(cleaned.removed);
                    all.kept.extend(cleaned.kept);
                }
                Err(why) => all.kept.push(Item {
                    run: "-".to_owned(),
                    task: None,
                    branch: None,
                    path: Some(common),
                    bytes: 0,
                    keep: Some(why),
                }),
            }
        }
        Ok(wire(all))
    }

    fn site(&self, folder: &Path, run: &str) -> Site {
        let ambient = &self.inner.ambient;
        let place = Workplace {
            folder: folder.to_owned(),
            env: ambient.env.clone(),
            owner: ambient.owner.clone(),
        };
        Site { place, root: ambient.state.join(FOLDER), run: run.to_owned() }
    }

    /// Names of runs whose worktrees somebody works in.
    fn at_work(&self) -> BTreeSet<String> {
        let live = self.inner.registry.all();
        let fleets = live
            .into_iter()
            .filter(|run| self.summary(*run).is_ok_and(|summary| summary.mode == Mode::Fleet));
        fleets.flat_map(|run| self.line(run)).map(|run| worktrees::name(run.as_str())).collect()
    }

    /// A run, and those that it goes on with.
    fn line(&self, run: RunId) -> Vec<RunId> {
        let mut line = vec![run];
        while let Some(last) = line.last().filter(|_| line.len() < MOST_RESUMED)
            && let Ok(summary) = self.summary(*last)
            && let Some(before) = summary.resumed_from
        {
            line.push(before);
        }
        line
    }

    /// The run whose name the branches of this one have, and the folder that it worked in.
    fn first(&self, run: RunId, cwd: Option<String>) -> Result<(String, PathBuf), ErrorInfo> {
        let folder = match (self.summary(run), cwd) {
            (Ok(summary), _) => summary.cwd,
            // One that is forgotten is looked for where the caller is.
            (Err(_), Some(cwd)) => cwd,
            (Err(error), None) => return Err(error),
        };
        let first = self.line(run).pop().unwrap_or(run);
        Ok((first.as_str().to_owned(), PathBuf::from(folder)))
    }
}

fn wire(cleaned: Cleaned) -> FleetCleaned {
    let item = |item: Item| FleetItem {
        run: item.run,
        task: item.task,
        branch: item.branch,
        path: item.path.map(|path| path.display().to_string()),
        bytes: item.bytes,
        reason: item.keep,
    };
    let freed_bytes = cleaned.removed.iter().map(|item| item.bytes).sum();
    // What went by force had a reason to stay.
    let gone = |found: Item| FleetItem { reason: None, ..item(found) };
    FleetCleaned {
        removed: cleaned.removed.into_iter().map(gone).collect(),
        kept: cleaned.kept.into_iter().map(item).collect(),
        freed_bytes,
    }
}
