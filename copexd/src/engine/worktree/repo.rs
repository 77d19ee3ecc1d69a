//! The user's repository, as a fleet sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::git::Git;
use super::{PATIENCE, Site, about, locks, word};

/// A repository with files.
pub(super) struct Repo {
    site: Site,
    /// git's own folder, which all worktrees share.
    pub(super) common: PathBuf,
    /// The user's top level.
    pub(super) top: PathBuf,
    /// The user's folder, from the top level.
    pub(super) inside: PathBuf,
}

impl Repo {
    /// Finds the repository of the user's folder.
    pub(super) async fn open(site: &Site) -> Result<Self, String> {
        let git = Git::within(site.place.clone(), PATIENCE);
        if !git.folder().is_dir() {
            return Err(format!("{} is not there any more", git.folder().display()));
        }
        let ask = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel"];
        let said = git.line(&ask).await?;
        let Some((common, top)) = said.split_once('\n') else {
            return Err(format!("git says of {} only {said}", git.folder().display()));
        };
        let real = |path: &str| {
            let path = Path::new(path);
            path.canonicalize().map_err(|error| about(path, &error))
        };
        let (common, top) = (real(common)?, real(top)?);
        let folder = git.folder().canonicalize().map_err(|error| about(git.folder(), &error))?;
        let inside = folder.strip_prefix(&top).map(Path::to_owned).unwrap_or_default();
        Ok(Self { site: site.clone(), common, top, inside })
    }

    /// git in the user's folder, for one phase.
    pub(super) fn git(&self) -> Git {
        Git::within(self.site.place.clone(), PATIENCE)
    }

    /// git in a worktree, for one phase.
    ///
    /// # Errors
    /// When the folder is not a worktree of this repository.
    pub(super) async fn git_in(&self, path: &Path) -> Result<Git, String> {
        let git = Git::within(self.site.inside(path), PATIENCE);
        let ask = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--show-toplevel"];
        let said = git.line(&ask).await?;
        let found = said.split_once('\n').map(|(common, top)| {
            let real = |path: &str| Path::new(path).canonicalize().ok();
            (real(common), real(top))
        });
        if found == Some((Some(self.common.clone()), Some(path.to_owned()))) {
            return Ok(git);
        }
        Err(format!("{} is not a worktree of {}", path.display(), self.top.display()))
    }

    /// Waits for the right to change references and worktrees.
    pub(super) async fn hold(&self) -> Result<locks::Held, String> {
        locks::hold(&self.common, locks::REPOSITORY_WAIT).await.map(Arc::new)
    }

    /// The folder of a run, which must not lie among the user's files.
    pub(super) fn home(&self) -> Result<PathBuf, String> {
        let home = self.site.home()?;
        if home.starts_with(&self.top) {
            let (home, top) = (home.display(), self.top.display());
            return Err(format!("{home} is inside {top}, where git would see it"));
        }
        word(&home)?;
        Ok(home)
    }

    /// Where the run's folder is in a worktree. It is made where the commit does not have it.
    pub(super) fn folder_in(&self, path: &Path) -> Result<PathBuf, String> {
        let folder = if self.inside.as_os_str().is_empty() {
            path.to_owned()
        } else {
            path.join(&self.inside)
        };
        std::fs::create_dir_all(&folder).map_err(|error| about(&folder, &error))?;
        Ok(folder)
    }
}
