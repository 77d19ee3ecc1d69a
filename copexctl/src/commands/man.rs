//! `man`: the manual pages, from the command line itself.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::Path;
use std::process::Stdio;

use clap::Command;
use clap_mangen::Man;

use crate::commands::help;
use crate::error::{Failure, Result};
use crate::exit::Exit;
use crate::process;
use crate::render;

/// A manual page.
pub(crate) struct Page {
    /// Its file name.
    pub(crate) name: String,
    /// What is in it.
    pub(crate) text: Vec<u8>,
}

/// Prints the page of a command, or writes all of them into a folder.
pub(crate) fn run(words: &[String], folder: Option<&Path>) -> Result<Exit> {
    let Some(folder) = folder else {
        let mut command = crate::command();
        command.build();
        let (command, name) = help::find(&mut command, words, ("man", &[]))?;
        show(&page(command, &name.replace(' ', "-"))?.text)?;
        return Ok(Exit::Done);
    };
    let pages = pages()?;
    fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    for page in pages {
        let path = folder.join(&page.name);
        fs::write(&path, &page.text).map_err(|error| Failure::file("write", &path, &error))?;
        render::line(&path.display().to_string())?;
    }
    Ok(Exit::Done)
}

/// Through `man`, where a person reads it and there is one; as it is for everybody else.
fn show(text: &[u8]) -> Result<()> {
    let reader = || process::command("man").args(["-l", "-"]).stdin(Stdio::piped()).spawn();
    if io::stdout().is_terminal()
        && let Ok(mut reader) = reader()
    {
        if let Some(mut input) = reader.stdin.take() {
            // Who leaves it early has read enough.
            let _ = input.write_all(text);
        }
        if reader.wait().is_ok_and(|status| status.success()) {
            return Ok(());
        }
    }
    Ok(render::text(text)?)
}

/// All pages: of `copexctl` first, then of each command in it.
pub(crate) fn pages() -> Result<Vec<Page>> {
    let mut command = crate::command();
    command.build();
    let mut pages = Vec::new();
    add(&command, "copexctl", &mut pages)?;
    Ok(pages)
}

fn add(command: &Command, name: &str, pages: &mut Vec<Page>) -> Result<()> {
    pages.push(page(command, name)?);
    for inner in command.get_subcommands().filter(|inner| !inner.is_hide_set()) {
        add(inner, &format!("{name}-{}", inner.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Result<Page> {
    let mut text = Vec::new();
    let shown = command.clone().display_name(name.to_owned());
    Man::new(shown).title(name.to_uppercase()).render(&mut text)?;
    Ok(Page { name: format!("{name}.1"), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_has_its_page() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|page| page.name.as_str()).collect();
        assert_eq!(names[0], "copexctl.1");
        for name in ["copexctl-chat.1", "copexctl-runs-attach.1", "copexctl-fleet.1"] {
            let at = names.iter().position(|one| *one == name).unwrap_or_else(|| panic!("{name}"));
            let text = String::from_utf8_lossy(&pages[at].text);
            assert!(text.contains(".SH SYNOPSIS") && text.contains(".SH OPTIONS"), "{text}");
        }
    }
}
