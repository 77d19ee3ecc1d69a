//! Skills of a run and for clients that ask: what is found, what is offered.
//!
//! Over a shared runtime the Copilot CLI offers what it is given and its own built-in ones; as
//! one process per turn it also looks in the project and in the home folder by itself, and
//! must be told to leave out what a run does not want.

use std::path::{Path, PathBuf};

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::run::{RunOptions, RunRequest};
use copex_proto::skill::{SkillDetail, SkillInfo, SkillList, SkillProblem, SkillQuery, SkillState};

use super::fleet;
use super::prepare::{self, Ambient};
use crate::backend::spec::SessionSpec;
use crate::backend::{locate, skills};
use crate::core::failure::{Failure, FailureClass};
use crate::core::skill::{self, Choice, Skill, Standing};

/// Folders of one query or run: more is a mistake.
const MOST_FOLDERS: usize = 256;

/// The skills of some folders, for a client.
///
/// # Errors
/// `Usage` for folders that are not absolute, or too many.
pub async fn list(query: &SkillQuery) -> Result<SkillList, ErrorInfo> {
    let (found, choice) = look(query).await?;
    Ok(SkillList {
        skills: infos(&found.skills, &choice),
        problems: found
            .problems
            .into_iter()
            .map(|(path, message)| SkillProblem { path: in_text(&path), message })
            .collect(),
    })
}

/// One skill, for a client: that which wins, whether it is offered or not.
///
/// # Errors
/// `NotFound`, with those that there are; otherwise as [`list`].
pub async fn get(name: &str, query: &SkillQuery) -> Result<SkillDetail, ErrorInfo> {
    let (found, choice) = look(query).await?;
    let infos = infos(&found.skills, &choice);
    let mut same = infos.iter().filter(|info| info.name == name).cloned();
    let Some(skill) = same.next() else {
        let names = names(&found.skills);
        return Err(ErrorInfo::new(ErrorClass::NotFound, format!("no skill is called `{name}`"))
            .with_hint(among(&names)));
    };
    let path = PathBuf::from(&skill.path);
    let text = on_disk(move || skills::read(&path)).await?.map_err(|error| {
        ErrorInfo::new(ErrorClass::NotFound, format!("{} cannot be read: {error}", skill.path))
    })?;
    let shadows = same.collect();
    Ok(SkillDetail { skill, text, shadows })
}

async fn look(query: &SkillQuery) -> Result<(skills::Found, Choice), ErrorInfo> {
    let roots = roots(&query.skill_directories)?;
    let choice = Choice { disabled: query.disabled_skills.clone(), only: query.skills.clone() };
    Ok((on_disk(move || skills::scan(&roots)).await?, choice))
}

fn roots(folders: &[String]) -> Result<Vec<PathBuf>, ErrorInfo> {
    let usage = |message: String| ErrorInfo::new(ErrorClass::Usage, message);
    if folders.len() > MOST_FOLDERS {
        return Err(usage(format!("{} folders are more than {MOST_FOLDERS}", folders.len())));
    }
    if let Some(folder) = folders.iter().find(|folder| Path::new(folder).is_relative()) {
        return Err(usage(format!("the folder of skills {folder} is not absolute")));
    }
    Ok(folders.iter().map(PathBuf::from).collect())
}

fn infos(skills: &[Skill], choice: &Choice) -> Vec<SkillInfo> {
    let ranked = skill::rank(skills, choice);
    let info = |(skill, standing): (&Skill, Standing)| {
        let (state, shadowed_by) = match standing {
            Standing::Offered => (SkillState::Offered, None),
            Standing::Disabled => (SkillState::Disabled, None),
            Standing::NotNamed => (SkillState::NotNamed, None),
            Standing::Shadowed(by) => (SkillState::Shadowed, Some(in_text(&by.join(skills::FILE)))),
        };
        SkillInfo {
            name: skill.head.name.clone(),
            description: skill.head.description.clone(),
            path: in_text(&skill.folder.join(skills::FILE)),
            directory: in_text(&skill.root),
            state,
            shadowed_by,
        }
    };
    skills.iter().zip(ranked).map(info).collect()
}

fn in_text(path: &Path) -> String {
    path.display().to_string()
}

fn names(skills: &[Skill]) -> Vec<String> {
    let mut names: Vec<String> = skills.iter().map(|skill| skill.head.name.clone()).collect();
    names.sort();
    names.dedup();
    names
}

fn among(names: &[String]) -> String {
    if names.is_empty() {
        return "no folder that is looked in holds one; `copexctl skills list` shows them"
            .to_owned();
    }
    format!("found are {}; `copexctl skills list` shows where", names.join(", "))
}

/// Skills that a request names must be there.
///
/// # Errors
/// `Usage`, naming the first that is not.
pub(super) async fn check(request: &RunRequest, ambient: &Ambient) -> Result<(), ErrorInfo> {
    named(request.options(), ambient).await?;
    let RunRequest::Fleet(fleet) = request else { return Ok(()) };
    for task in fleet.tasks.iter().filter(|task| task.skills.is_some()) {
        named(&fleet::options(fleet, task), ambient).await.map_err(|info| ErrorInfo {
            message: format!("task `{}`: {}", task.id, info.message),
            ..info
        })?;
    }
    Ok(())
}

async fn named(options: &RunOptions, ambient: &Ambient) -> Result<(), ErrorInfo> {
    let roots = roots(&options.skill_directories)?;
    let Some(only) = options.skills.clone().filter(|only| !only.is_empty()) else {
        return Ok(());
    };
    let runtime = prepare::runtime_spec(options, &options.secrets, ambient);
    let (found, built_in) =
        on_disk(move || (skills::scan(&roots), locate::built_in_skills(&runtime))).await?;
    let known = names(&found.skills);
    match only.iter().find(|name| !known.contains(name) && !built_in.contains(name)) {
        Some(name) => {
            let message = format!("no skill is called `{name}`");
            Err(ErrorInfo::new(ErrorClass::Usage, message).with_hint(among(&known)))
        }
        None => Ok(()),
    }
}

/// Makes a session's skills what its run wants.
///
/// # Errors
/// `Usage` when one process per turn cannot be told so.
pub(super) async fn settle(options: &RunOptions, spec: &mut SessionSpec) -> Result<(), Failure> {
    if options.skills.is_none() && spec.cli.is_none() {
        return Ok(());
    }
    let roots = spec.skill_directories.clone();
    let own = spec.cli.as_ref().map(|_| skills::own_roots(&spec.runtime, &spec.cwd));
    let looked = move || (skills::scan(&roots).skills, own.map(|own| skills::scan(&own).skills));
    let (found, own) =
        on_disk(looked).await.map_err(|info| Failure::new(FailureClass::Unknown, info.message))?;
    let choice = Choice { disabled: options.disabled_skills.clone(), only: options.skills.clone() };
    let wanted = skill::offered(&found, &choice);
    if let Some(own) = own {
        let left_out = skill::left_out(&wanted, &own).map_err(|message| {
            let hint = "rename one of them, or leave out use_cli";
            let message = format!("{message}, since it works with use_cli");
            Failure::new(FailureClass::Usage, message).with_hint(hint)
        })?;
        let more = left_out.into_iter().filter(|name| !options.disabled_skills.contains(name));
        spec.disabled_skills.extend(more);
    }
    spec.skill_directories = wanted.iter().map(|it| it.folder.clone()).collect();
    spec.built_in_skills.clone_from(&options.skills);
    Ok(())
}

/// Does what blocks on the disk where it may.
async fn on_disk<T: Send + 'static>(
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ErrorInfo> {
    tokio::task::spawn_blocking(look).await.map_err(|error| {
        ErrorInfo::new(ErrorClass::Unknown, format!("looking for skills: {error}"))
    })
}
