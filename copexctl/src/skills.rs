//! Where skills are looked for, in the order in which they win.
//!
//! The project's come first, then the user's, then those that are named; in each the Copilot
//! CLI's own folders first, in its order, so that both ways to run a turn offer the same.

use std::path::{Path, PathBuf};

use copex_proto::config::Origin;
use copex_proto::skill::SkillQuery;

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::settings::{Settings, repository};

/// Folders of the Copilot CLI in a project, by kind: each of the working folder first and then
/// of each above it, up to the repository's own. Without a repository of the working folder
/// alone: above it may be what others put there.
const OF_PROJECT: [&str; 3] = [".github/skills", ".agents/skills", ".claude/skills"];

/// Our own, in the repository's own folder.
const OF_COPEX: &str = ".copex/skills";

/// A folder that holds skills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// The folder.
    pub(crate) folder: PathBuf,
    /// Whose it is: `project`, `user` or `named`.
    pub(crate) source: &'static str,
}

/// Every folder that is looked in. Usual ones that do not exist are left out.
pub(crate) fn places(ctx: &Context, settings: &Settings) -> Vec<Place> {
    let mut places = Vec::new();
    if settings.config.auto_discover_skills {
        let copilot = ctx.env.get("COPILOT_HOME").filter(|home| !home.is_empty());
        let copilot = copilot.map_or_else(|| ctx.home.join(".copilot"), PathBuf::from);
        let usual = usual(&settings.cwd, (&ctx.home, &copilot, &ctx.config_dir));
        places.extend(usual.into_iter().filter(|place| place.folder.is_dir()));
    }
    let named = settings.config.skill_directories.iter();
    places.extend(named.map(|folder| Place { folder: folder.into(), source: "named" }));
    places
}

/// Refuses a folder that was named for this very call and is not there. One in a file may be
/// there at other times.
pub(crate) fn refuse_absent(settings: &Settings) -> Result<()> {
    let named = settings.merged.entry("skill_directories");
    if !named.is_some_and(|entry| matches!(entry.origin, Origin::Flag(_))) {
        return Ok(());
    }
    let mut folders = settings.config.skill_directories.iter();
    match folders.find(|folder| !Path::new(folder).is_dir()) {
        Some(folder) => {
            let hint = "`copexctl skills list` shows where skills are looked for";
            Err(Failure::usage(format!("--skill-dir: {folder} is no folder")).with_hint(hint))
        }
        None => Ok(()),
    }
}

/// The folders alone, as a request names them.
pub(crate) fn folders(ctx: &Context, settings: &Settings) -> Vec<String> {
    let places = places(ctx, settings);
    places.iter().map(|place| place.folder.display().to_string()).collect()
}

/// What the daemon is asked about them.
pub(crate) fn query(ctx: &Context, settings: &Settings) -> SkillQuery {
    SkillQuery {
        skill_directories: folders(ctx, settings),
        disabled_skills: settings.config.disabled_skills.clone(),
        skills: settings.config.skills.clone(),
    }
}

fn usual(cwd: &Path, (home, copilot, config): (&Path, &Path, &Path)) -> Vec<Place> {
    let top = repository(cwd).unwrap_or_else(|| cwd.to_owned());
    let within = cwd.ancestors().take_while(|folder| folder.starts_with(&top));
    let project = OF_PROJECT.iter().flat_map(|name| within.clone().map(move |it| it.join(name)));
    let project = project.chain([top.join(OF_COPEX)]);
    let user = [copilot.join("skills"), home.join(".agents/skills"), config.join("skills")];
    let all = project.map(|folder| Place { folder, source: "project" });
    all.chain(user.map(|folder| Place { folder, source: "user" })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_projects_come_before_the_users_and_the_nearest_first() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("repo/.git")).unwrap();
        let (top, cwd) = (root.path().join("repo"), root.path().join("repo/a"));
        let dirs = [Path::new("/h"), Path::new("/h/.copilot"), Path::new("/c")];
        let places = usual(&cwd, (dirs[0], dirs[1], dirs[2]));
        let expected = [
            cwd.join(".github/skills"),
            top.join(".github/skills"),
            cwd.join(".agents/skills"),
            top.join(".agents/skills"),
            cwd.join(".claude/skills"),
            top.join(".claude/skills"),
            top.join(".copex/skills"),
            "/h/.copilot/skills".into(),
            "/h/.agents/skills".into(),
            "/c/skills".into(),
        ];
        let folders: Vec<_> = places.iter().map(|place| place.folder.clone()).collect();
        assert_eq!(folders, expected);
        assert_eq!((places[6].source, places[7].source), ("project", "user"));
    }
}
