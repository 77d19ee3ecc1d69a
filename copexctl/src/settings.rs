//! The files, the environment and the flags, read and put over each other.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use copex_proto::config::merge::environment;
use copex_proto::config::{ClientConfig, Layer, Merged, Origin, Place, Problem, Severity};

use crate::context::Context;
use crate::error::{Failure, Result};
use crate::render;

/// What is in force.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Typed.
    pub(crate) config: ClientConfig,
    /// Where each value came from.
    pub(crate) merged: Merged,
    /// Where the command works.
    pub(crate) cwd: PathBuf,
}

impl Settings {
    /// What a person should know, one line each.
    pub(crate) fn warnings(&self) -> Vec<String> {
        self.merged.problems().iter().map(in_words).collect()
    }
}

/// What a command was told about its settings.
#[derive(Debug, Default)]
pub(crate) struct Given {
    /// `--config`.
    pub(crate) file: Option<PathBuf>,
    /// `--cwd`.
    pub(crate) cwd: Option<PathBuf>,
    /// The other flags.
    pub(crate) flags: Layer,
}

/// Reads and checks everything a command acts on.
pub(crate) fn load(ctx: &Context, given: Given) -> Result<Settings> {
    let (merged, cwd) = merge(ctx, given)?;
    let config = ClientConfig::from_merged(&merged)?;
    if config.ui.screen_reader {
        render::read_aloud();
    }
    Ok(Settings { config, merged, cwd })
}

/// The same without the last check, for `config show` and `config check`.
pub(crate) fn merge(ctx: &Context, given: Given) -> Result<(Merged, PathBuf)> {
    let here = crate::env::working_folder()
        .map_err(|error| Failure::file("find", Path::new("the working folder"), &error))?;
    let user = user_layer(ctx, given.file.as_deref(), &here)?;
    let below = Merged::new([user.clone()]);
    let named =
        |key: &str| below.entry(key).and_then(|entry| entry.value.as_str().map(PathBuf::from));
    let cwd = match given.cwd.or_else(|| named("working_directory")).or_else(|| named("cwd")) {
        Some(path) => folder(&here.join(path))?,
        None => here.clone(),
    };
    let mut layers = vec![user];
    if let Some(project) = project_layer(ctx, &cwd)? {
        layers.push(project);
    }
    let files = Merged::new(layers.iter().cloned());
    let place = Place { origin: Origin::Default, base: &here, home: &ctx.home };
    layers.push(environment(|name| ctx.env.get(name).map(str::to_owned), &files, &place)?);
    layers.push(given.flags);
    Ok((Merged::new(layers), cwd))
}

/// The user's file, or the one named. Only the user's own may be missing.
fn user_layer(ctx: &Context, explicit: Option<&Path>, here: &Path) -> Result<Layer> {
    let path = explicit.map_or_else(|| ctx.config_file(), |path| here.join(path));
    match fs::read_to_string(&path) {
        Ok(text) => {
            let base = path.parent().unwrap_or(here);
            let place = Place { origin: Origin::User(path.clone()), base, home: &ctx.home };
            Ok(Layer::parse(&text, &place)?)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound && explicit.is_none() => {
            Ok(Layer::default())
        }
        Err(error) => Err(Failure::file("read", &path, &error)),
    }
}

/// `.copex/config.toml` of the folder, or of one above it up to the repository's own. The home
/// folder's `.copex` belongs to Python copex and is no project.
fn project_layer(ctx: &Context, cwd: &Path) -> Result<Option<Layer>> {
    let Some(root) = find_project(&ctx.home, cwd) else { return Ok(None) };
    let path = root.join(".copex/config.toml");
    let text = fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))?;
    let place = Place { origin: Origin::Project(path), base: &root, home: &ctx.home };
    Ok(Some(Layer::parse(&text, &place)?))
}

fn find_project(home: &Path, cwd: &Path) -> Option<PathBuf> {
    let top = repository(cwd).unwrap_or_else(|| cwd.to_owned());
    cwd.ancestors()
        .take_while(|folder| folder.starts_with(&top))
        .filter(|folder| *folder != home)
        .find(|folder| folder.join(".copex/config.toml").is_file())
        .map(Path::to_owned)
}

/// The repository that holds `cwd`.
pub(crate) fn repository(cwd: &Path) -> Option<PathBuf> {
    cwd.ancestors().find(|folder| folder.join(".git").exists()).map(Path::to_owned)
}

fn folder(path: &Path) -> Result<PathBuf> {
    let real = fs::canonicalize(path).map_err(|error| Failure::file("enter", path, &error))?;
    if real.is_dir() {
        return Ok(real);
    }
    Err(Failure::usage(format!("{} is not a folder", path.display())))
}

/// A finding with its way out, on one line.
pub(crate) fn in_words(problem: &Problem) -> String {
    let kind = if problem.severity == Severity::Error { "error" } else { "warning" };
    match &problem.hint {
        Some(hint) => format!("{kind}: {problem}; {hint}"),
        None => format!("{kind}: {problem}"),
    }
}
