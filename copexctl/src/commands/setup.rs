//! `setup`: copex in the user's own prefix, and out of it again.
//!
//! Invariant: nothing that copex did not write is overwritten or removed unless forced to,
//! and that is found out before the first file is written.

mod files;
mod manifest;
mod summary;

use std::path::{Path, PathBuf};

use serde::Serialize;

use self::files::Piece;
use self::manifest::Manifest;
use crate::cli::{InstallArgs, Place, SetupArgs, SetupCommand};
use crate::context::Context;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::{process, render};

/// What was done, or would be.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Whether it was left at looking.
    dry_run: bool,
    /// Files written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    installed: Vec<PathBuf>,
    /// Files removed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    removed: Vec<PathBuf>,
    /// Files that were changed since they were installed, and stay.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    kept: Vec<PathBuf>,
    /// What to do next.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Carries out one of the verbs.
pub(crate) fn run(ctx: &Context, args: &SetupArgs) -> Result<Exit> {
    let (report, place) = match &args.command {
        None => (install(ctx, &args.install)?, &args.install.place),
        Some(SetupCommand::Install(args)) => (install(ctx, args)?, &args.place),
        Some(SetupCommand::Uninstall(place)) => (uninstall(ctx, place)?, place),
    };
    if place.json {
        render::value(&report)?;
        return Ok(Exit::Done);
    }
    let paths: Vec<&Path> =
        report.installed.iter().chain(&report.removed).map(PathBuf::as_path).collect();
    if place.verbose {
        for path in paths {
            render::line(&path.display().to_string())?;
        }
    } else {
        let done = match (report.dry_run, &args.command) {
            (false, Some(SetupCommand::Uninstall(_))) => "removed",
            (false, _) => "installed",
            (true, Some(SetupCommand::Uninstall(_))) => "would remove",
            (true, _) => "would install",
        };
        let rows = summary::rows(&paths, done);
        render::text(render::table(&rows).as_bytes())?;
    }
    for path in &report.kept {
        render::note(&format!(
            "{} was changed since it was installed and stays; --force removes it",
            path.display()
        ));
    }
    for note in &report.notes {
        render::note(note);
    }
    Ok(Exit::Done)
}

fn install(ctx: &Context, args: &InstallArgs) -> Result<Report> {
    let prefix = prefix(ctx, &args.place.prefix)?;
    let before = Manifest::read(&prefix)?;
    let mut pieces = files::programs(ctx, &prefix)?;
    pieces.extend(files::completions(&prefix)?);
    pieces.extend(files::manual(&prefix)?);
    if !args.no_units {
        pieces.extend(files::units(ctx, &prefix));
    }
    if !args.place.force {
        refuse_foreign(&pieces, &before)?;
    }
    let mut report = Report { dry_run: args.place.dry_run, ..Report::default() };
    report.installed = pieces.iter().map(|piece| piece.path.clone()).collect();
    if args.place.dry_run {
        return Ok(report);
    }
    // Written before the first file: what a cut-off install left behind can be removed.
    let mut manifest = before;
    for piece in &pieces {
        manifest.expect(&piece.path);
    }
    manifest.write(&prefix)?;
    for piece in &pieces {
        piece.write()?;
        manifest.wrote(&piece.path)?;
    }
    manifest.write(&prefix)?;
    if args.enable {
        systemctl(ctx, &["daemon-reload"])?;
        systemctl(ctx, &["enable", "--now", "copexd.socket"])?;
    } else if !args.no_units {
        let words = "to let systemd own the daemon: systemctl --user daemon-reload && systemctl --user enable --now copexd.socket";
        report.notes.push(words.to_owned());
    }
    report.notes.extend(hints(ctx, &prefix));
    Ok(report)
}

/// What must be said of shells.
fn hints(ctx: &Context, prefix: &Path) -> Vec<String> {
    let bin = prefix.join("bin");
    let path = ctx.env.get("PATH").unwrap_or_default();
    let mut hints = Vec::new();
    if !path.split(':').any(|folder| Path::new(folder) == bin) {
        hints.push(format!("{} is not on your PATH", bin.display()));
    }
    if ctx.env.get("SHELL").is_some_and(|shell| shell.ends_with("/zsh")) {
        let folder = prefix.join("share/zsh/site-functions");
        hints.push(format!(
            "zsh finds the completions with this in ~/.zshrc before compinit: fpath=({} $fpath)",
            folder.display()
        ));
    }
    hints
}

fn refuse_foreign(pieces: &[Piece], before: &Manifest) -> Result<()> {
    let foreign: Vec<String> = pieces
        .iter()
        .filter(|piece| piece.would_change() && !before.is_ours(&piece.path))
        .map(|piece| piece.path.display().to_string())
        .collect();
    if foreign.is_empty() {
        return Ok(());
    }
    let words = format!("these files are there already and not from here: {}", foreign.join(", "));
    Err(Failure::usage(words).with_hint("--force overwrites them; --prefix installs elsewhere"))
}

fn uninstall(ctx: &Context, place: &Place) -> Result<Report> {
    let prefix = prefix(ctx, &place.prefix)?;
    let mut manifest = Manifest::read(&prefix)?;
    if manifest.is_empty() {
        return Err(Failure::usage(format!("copex is not installed in {}", prefix.display()))
            .with_hint("--prefix names where it is; files installed by hand are not known"));
    }
    let (going, kept) = manifest.parts(place.force);
    let mut report = Report { dry_run: place.dry_run, kept, ..Report::default() };
    if place.dry_run {
        report.removed = going;
        return Ok(report);
    }
    let units = going.iter().any(|path| path.ends_with("copexd.socket"));
    if units && process::find("systemctl", ctx.env.get("PATH").unwrap_or_default()).is_some() {
        // Without a user manager there is nothing to disable.
        let _ = systemctl(ctx, &["disable", "--now", "copexd.socket", "copexd.service"]);
    }
    for path in going {
        files::remove(&path, &prefix)?;
        manifest.forget(&path);
        report.removed.push(path);
    }
    manifest.write(&prefix)?;
    let words = "runs, settings and the inbox stay; a daemon that runs goes on until `copexctl daemon stop` or the next logout";
    report.notes.push(words.to_owned());
    Ok(report)
}

/// The prefix as an absolute path.
fn prefix(ctx: &Context, given: &Path) -> Result<PathBuf> {
    let given =
        given.strip_prefix("~").map_or_else(|_| given.to_owned(), |rest| ctx.home.join(rest));
    let here = crate::env::working_folder()
        .map_err(|error| Failure::file("find", Path::new("the working folder"), &error))?;
    Ok(here.join(given))
}

fn systemctl(ctx: &Context, words: &[&str]) -> Result<()> {
    let path = ctx.env.get("PATH").unwrap_or_default();
    let program = process::find("systemctl", path).ok_or_else(|| {
        Failure::unavailable("systemctl was not found").with_hint("install without --enable")
    })?;
    let command = format!("systemctl --user {}", words.join(" "));
    // What it says is told where it counts: without a user manager it complains for nothing.
    match process::command(program).arg("--user").args(words).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let why =
                format!("`{command}` ended with {}: {}", output.status, render::brief(&said, 200));
            Err(Failure::unavailable(why))
        }
        Err(error) => {
            Err(Failure::unavailable(format!("`{command}` could not be started: {error}")))
        }
    }
}
