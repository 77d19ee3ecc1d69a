//! What was installed or removed, in a few lines: what kind of thing, how many, where.

use std::collections::BTreeMap;
use std::path::Path;

/// Kinds of files, in the order in which they are told: what one is called, what several are,
/// and what their folder's name ends with.
const KINDS: [(&str, &str, &str); 6] = [
    ("program", "programs", "bin"),
    ("bash completion", "bash completions", "bash-completion/completions"),
    ("zsh completion", "zsh completions", "zsh/site-functions"),
    ("fish completion", "fish completions", "fish/vendor_completions.d"),
    ("manual page", "manual pages", "man/man1"),
    ("systemd unit", "systemd units", "systemd/user"),
];

/// A row for each kind and folder. Where there are two files of it at most, they are named.
pub(super) fn rows(paths: &[&Path], done: &str) -> Vec<Vec<String>> {
    let mut folders: BTreeMap<(usize, &Path), Vec<&Path>> = BTreeMap::new();
    for path in paths {
        let folder = path.parent().unwrap_or(Path::new("/"));
        let kind = KINDS.iter().position(|(_, _, end)| folder.ends_with(end));
        folders.entry((kind.unwrap_or(KINDS.len()), folder)).or_default().push(path);
    }
    let row = |((kind, folder), files): ((usize, &Path), Vec<&Path>)| {
        let (one, many, _) = KINDS.get(kind).copied().unwrap_or(("file", "files", ""));
        let name = if files.len() == 1 { one } else { many };
        let names = files.iter().filter_map(|file| file.file_name());
        let names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        let names = if names.len() > 2 { String::new() } else { names.join(", ") };
        let count = format!("{} {name}", files.len());
        vec![done.to_owned(), count, folder.display().to_string(), names]
    };
    folders.into_iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_a_row_with_its_count_and_folder() {
        let pages = ["a.1", "b.1", "c.1"].map(|name| format!("/p/share/man/man1/{name}"));
        let mut paths: Vec<&Path> = pages.iter().map(Path::new).collect();
        paths.extend(["/p/bin/copexd", "/p/bin/copexctl", "/p/else"].map(Path::new));
        let rows: Vec<String> = rows(&paths, "installed").iter().map(|row| row.join("|")).collect();
        assert_eq!(
            rows,
            [
                "installed|2 programs|/p/bin|copexd, copexctl",
                "installed|3 manual pages|/p/share/man/man1|",
                "installed|1 file|/p|else",
            ]
        );
    }
}
