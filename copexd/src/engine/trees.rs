//! The worktrees of a fleet, as its machine wants them.

use super::desk::Done;
use super::drive::Driver;
use super::land;
use super::worktree::{self, Site, Sweep, Which};
use crate::core::fleet::{Told, What, Wish};
use crate::core::machine::{Input, Lane, MAIN};
use crate::core::worktrees::Item;

/// The folder of all worktrees, in the state folder.
pub(super) const FOLDER: &str = "worktrees";

impl Driver {
    /// Does something about worktrees. What is dropped midway is done again by the next call.
    pub(super) fn tree(&mut self, lane: Lane, wish: Wish) {
        let site = Site {
            place: self.workplace(MAIN),
            root: self.engine.inner.ambient.state.join(FOLDER),
            run: wish.run,
        };
        self.desk(lane).start(async move {
            let told = match wish.what {
                What::Check => Told::Checked(worktree::check(site.place).await),
                What::Create(order) => Told::Created(worktree::create(site, order).await),
                What::Commit(order) => Told::Committed(worktree::commit(site, order).await),
                What::Merge(order) => Told::Merged(worktree::merge(site, order).await),
                What::Unite(order) => Told::United(worktree::unite(site, order).await),
                What::Settle(order) => Told::Settled(worktree::settle(site, order).await),
                What::Finalize(order) => Told::Finalized(worktree::finalize(site, order).await),
                What::Land(order) => Told::Finalized(land::land(site.place, order).await),
                What::Clean => Told::Cleaned(clean(site).await),
            };
            Done::Input(Input::Tree(Box::new(told)))
        });
    }
}

/// Removes what nobody needs any more; what stays, and why.
async fn clean(site: Site) -> Vec<String> {
    // The run's own branch is the result, and the run is this one.
    let at_work = |_: &str| false;
    let sweep = Sweep { which: Which::This, force: false, branches: false, at_work: &at_work };
    match worktree::clean(site, sweep).await {
        Ok(cleaned) => cleaned.kept.iter().map(in_words).collect(),
        Err(why) => vec![why],
    }
}

fn in_words(item: &Item) -> String {
    let folder = item.path.as_ref().map(|path| path.display().to_string());
    let what = folder.or_else(|| item.branch.clone()).unwrap_or_default();
    format!("{what} ({})", item.keep.as_deref().unwrap_or("it could not be removed"))
}
