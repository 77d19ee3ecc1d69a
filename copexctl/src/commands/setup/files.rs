//! What is installed, and where.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use clap_complete::Shell;

use crate::commands::{completions, man};
use crate::context::Context;
use crate::error::{Failure, Result};

const SERVICE: &str = include_str!("../../../../systemd/copexd.service");
const SOCKET: &str = include_str!("../../../../systemd/copexd.socket");

/// How the unit names the daemon where the prefix is the usual one.
const USUAL_DAEMON: &str = "%h/.local/bin/copexd";

/// One file to install.
#[derive(Debug)]
pub(super) struct Piece {
    /// Where it goes.
    pub(super) path: PathBuf,
    content: Vec<u8>,
    mode: u32,
}

impl Piece {
    fn text(path: PathBuf, content: Vec<u8>) -> Self {
        Self { path, content, mode: 0o644 }
    }

    /// Whether there is a file with something else in it.
    pub(super) fn would_change(&self) -> bool {
        match fs::read(&self.path) {
            Ok(content) => content != self.content,
            Err(error) => error.kind() != io::ErrorKind::NotFound,
        }
    }

    /// Writes it: whole or not at all, also over a program that runs.
    pub(super) fn write(&self) -> Result<()> {
        let failed = |error: io::Error| Failure::file("write", &self.path, &error);
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        file.write_all(&self.content).map_err(failed)?;
        let mode = fs::Permissions::from_mode(self.mode);
        file.as_file().set_permissions(mode).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

/// Both programs: this one, and the daemon that it would start.
pub(super) fn programs(ctx: &Context, prefix: &Path) -> Result<Vec<Piece>> {
    let own = crate::env::own_program()
        .ok_or_else(|| Failure::unavailable("the path of this program is not known"))?;
    let daemon = ctx.daemon_program()?;
    let program = |from: &Path, name: &str| -> Result<Piece> {
        let content = fs::read(from).map_err(|error| Failure::file("read", from, &error))?;
        Ok(Piece { path: prefix.join("bin").join(name), content, mode: 0o755 })
    };
    Ok(vec![program(&daemon, "copexd")?, program(&own, "copexctl")?])
}

/// Completions where each shell looks for them.
pub(super) fn completions(prefix: &Path) -> Result<Vec<Piece>> {
    let places = [
        (Shell::Bash, "share/bash-completion/completions/copexctl"),
        (Shell::Zsh, "share/zsh/site-functions/_copexctl"),
        (Shell::Fish, "share/fish/vendor_completions.d/copexctl.fish"),
    ];
    let piece = |(shell, path): (Shell, &str)| {
        Ok(Piece::text(prefix.join(path), completions::script(shell)?))
    };
    places.into_iter().map(piece).collect()
}

/// The manual pages.
pub(super) fn manual(prefix: &Path) -> Result<Vec<Piece>> {
    let folder = prefix.join("share/man/man1");
    let piece = |page: man::Page| Piece::text(folder.join(page.name), page.text);
    Ok(man::pages()?.into_iter().map(piece).collect())
}

/// The units, in the folder that systemd's user manager reads.
pub(super) fn units(ctx: &Context, prefix: &Path) -> Vec<Piece> {
    let config = ctx.config_dir.parent().unwrap_or(&ctx.config_dir);
    let folder = config.join("systemd/user");
    let daemon = prefix.join("bin/copexd");
    let service = if prefix == ctx.home.join(".local") {
        SERVICE.to_owned()
    } else {
        SERVICE.replace(USUAL_DAEMON, &quoted(&daemon))
    };
    vec![
        Piece::text(folder.join("copexd.service"), service.into_bytes()),
        Piece::text(folder.join("copexd.socket"), SOCKET.into()),
    ]
}

/// A path as a word of a unit file (systemd.syntax, "Quoting").
fn quoted(path: &Path) -> String {
    let text = path.display().to_string().replace('%', "%%");
    let plain = |char: char| char.is_alphanumeric() || "/._-%+@".contains(char);
    if text.chars().all(plain) {
        return text;
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$"))
}

/// Removes a file, and the folders that are empty without it, up to the prefix.
pub(super) fn remove(path: &Path, prefix: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::file("remove", path, &error));
        }
        _ => {}
    }
    let above = path.ancestors().skip(1);
    for folder in above.take_while(|folder| folder.starts_with(prefix) && *folder != prefix) {
        // One that is not empty belongs to others, too.
        if fs::remove_dir(folder).is_err() {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_words_in_a_unit() {
        assert_eq!(quoted(Path::new("/opt/copex/bin/copexd")), "/opt/copex/bin/copexd");
        assert_eq!(quoted(Path::new("/a b/$x\"/100%")), "\"/a b/$$x\\\"/100%%\"");
        assert!(SERVICE.contains(USUAL_DAEMON));
    }
}
