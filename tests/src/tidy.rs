//! The rules of the house that no compiler checks, as functions over a file's text.
//!
//! Each rule takes a path (as the rule's scope needs it) and the text, and returns what is
//! wrong with it; `it/tidy.rs` walks the tree. Rules look at code only: comments may speak
//! of what code may not use.

use std::path::{Path, PathBuf};

/// The most lines of code in one file.
pub const MAX_CODE_LINES: usize = 400;

/// A rule: what is wrong with the file, in words, one entry per finding.
type Rule = fn(&str, &str) -> Vec<String>;

const RULES: [Rule; 5] = [core_is_pure, short_files, module_docs, no_machine_paths, arrows];

/// What is wrong with one file; `path` is relative to the workspace, with `/`.
pub fn check(path: &str, text: &str) -> Vec<String> {
    let findings = RULES.iter().flat_map(|rule| rule(path, text));
    findings.map(|finding| format!("{path}: {finding}")).collect()
}

/// What is wrong with every Rust file below these folders of `root`.
pub fn check_tree(root: &Path, folders: &[&str]) -> Vec<String> {
    let mut findings = Vec::new();
    for path in folders.iter().flat_map(|folder| rust_files(&root.join(folder))) {
        let relative = path.strip_prefix(root).unwrap_or(&path).to_string_lossy().into_owned();
        match std::fs::read_to_string(&path) {
            Ok(text) => findings.extend(check(&relative, &text)),
            Err(error) => findings.push(format!("{relative}: {error}")),
        }
    }
    findings.sort();
    findings
}

/// The Rust files below a folder.
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// `copexd/src/core` takes time, chance and everything else as arguments.
fn core_is_pure(path: &str, text: &str) -> Vec<String> {
    const BANNED: [&str; 10] = [
        "tokio",
        "async",
        "std::fs",
        "std::net",
        "std::env",
        "std::process",
        "Instant::now",
        "SystemTime",
        "rand::rng",
        "rand::random",
    ];
    if !path.starts_with("copexd/src/core/") {
        return Vec::new();
    }
    mentions(text, &BANNED, "core is pure, but mentions")
}

/// A file is a concept, and a concept fits on a few screens.
fn short_files(_path: &str, text: &str) -> Vec<String> {
    let lines = code_lines(without_tests(text)).count();
    if lines > MAX_CODE_LINES {
        return vec![format!("{lines} lines of code, more than {MAX_CODE_LINES}")];
    }
    Vec::new()
}

/// Every module says what it is for.
fn module_docs(path: &str, text: &str) -> Vec<String> {
    // A test module in a file of its own is described by what it tests.
    if path.ends_with("/tests.rs") || is_one_liner(text) {
        return Vec::new();
    }
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    // A page that is also the crate's documentation.
    if first.starts_with("#![doc = include_str!(") {
        return Vec::new();
    }
    match first.strip_prefix("//!") {
        Some(words) if !words.trim().is_empty() => Vec::new(),
        _ => vec!["no `//!` at its top says what it is for".to_owned()],
    }
}

/// Nothing depends on the machine it was written on.
fn no_machine_paths(path: &str, text: &str) -> Vec<String> {
    // Written in two halves, so that this file does not find itself.
    const BANNED: [&str; 5] = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/home/", "u"),
        concat!("registry.", "npmjs"),
        concat!("index.", "crates.io"),
    ];
    if path == "tests/src/tidy.rs" {
        return Vec::new();
    }
    let found = BANNED.iter().filter(|banned| text.contains(**banned));
    found.map(|banned| format!("mentions `{banned}`, which is one machine's own")).collect()
}

/// Who may import whom. Each entry: the files, and what they must not mention.
const ARROWS: [(&str, &[&str]); 8] = [
    (
        "copexd/src/core/",
        &[
            "crate::engine",
            "crate::pool",
            "crate::store",
            "crate::backend",
            "crate::rpc",
            "crate::config",
            "crate::runtime",
            "crate::env",
            "crate::telemetry",
            "copex_proto",
        ],
    ),
    (
        "copexd/src/backend/",
        &["crate::engine", "crate::rpc", "crate::store", "crate::pool", "copex_proto::event"],
    ),
    ("copexd/src/store/", &["crate::engine", "crate::rpc", "crate::pool", "crate::backend"]),
    ("copexd/src/pool/", &["crate::engine", "crate::rpc", "crate::store", "copex_proto::event"]),
    ("copexd/src/engine/", &["crate::rpc", "github_copilot_sdk", "sled::"]),
    ("copexd/src/rpc/", &["crate::backend", "crate::pool", "github_copilot_sdk", "sled::"]),
    ("copexctl/", &["copexd::", "github_copilot_sdk", "sled::", "tokio::"]),
    ("proto/src/", &["copexd::", "copexctl::", "tokio::", "std::fs", "std::net", "std::process"]),
];

/// The arrows of the architecture point one way.
fn arrows(path: &str, text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for (scope, banned) in ARROWS {
        let module = scope.trim_end_matches('/');
        let is_root = path == format!("{module}.rs");
        if path.starts_with(scope) || is_root {
            let why = format!("{module} must not reach for");
            findings.extend(mentions(without_tests(text), banned, &why));
        }
    }
    findings
}

/// What is wrong with a manifest's dependencies.
pub fn check_manifest(path: &str, text: &str) -> Vec<String> {
    let banned: &[&str] = match path {
        "copexctl/Cargo.toml" => &["copexd", "copex-tests"],
        "copexd/Cargo.toml" => &["copexctl", "copex-tests"],
        "proto/Cargo.toml" => &["copexd", "copexctl", "copex-tests", "tokio"],
        _ => &[],
    };
    let names = text.lines().filter_map(|line| line.split(['.', '=', ' ']).next());
    let names: Vec<&str> = names.filter(|name| banned.contains(name)).collect();
    names.iter().map(|name| format!("{path}: depends on {name}")).collect()
}

fn mentions(text: &str, banned: &[&str], why: &str) -> Vec<String> {
    let mut findings = Vec::new();
    for line in code_lines(text) {
        for word in banned.iter().filter(|word| has_word(line, word)) {
            findings.push(format!("{why} `{word}`: {}", line.trim()));
        }
    }
    findings
}

/// Whether `word` stands in the line, not as a part of a longer name.
fn has_word(line: &str, word: &str) -> bool {
    let named = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back().is_some_and(named);
        let after = line[at + word.len()..].chars().next().is_some_and(named);
        !(before || after && word.ends_with(named))
    })
}

/// Lines that are neither blank nor a comment, with their trailing comments.
fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    let code = |line: &&str| {
        let line = line.trim_start();
        !line.is_empty() && !line.starts_with("//")
    };
    text.lines().filter(code)
}

/// The text up to the file's own tests at its end.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod tests {").map_or(text, |at| &text[..at])
}

fn is_one_liner(text: &str) -> bool {
    code_lines(text).count() <= 3 && text.contains("fn main()")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, code: &str) -> Vec<String> {
        check(path, &format!("//! What it is for.\n{code}\n"))
    }

    #[test]
    fn a_good_file_passes() {
        assert_eq!(file("copexd/src/core/a.rs", "use std::time::Duration;"), [""; 0]);
    }

    #[test]
    fn the_core_may_not_touch_the_world() {
        for bad in ["use tokio::time;", "async fn f() {}", "let t = Instant::now();"] {
            assert_eq!(file("copexd/src/core/a.rs", bad).len(), 1, "{bad}");
            assert_eq!(file("copexd/src/engine/a.rs", bad).len(), 0, "{bad}");
        }
        assert_eq!(file("copexd/src/core/a.rs", "// async is banned here"), [""; 0]);
        assert_eq!(file("copexd/src/core/a.rs", "let asynchronous = 1;"), [""; 0]);
    }

    #[test]
    fn long_files_are_found_and_their_tests_do_not_count() {
        let long = "fn f() {}\n".repeat(MAX_CODE_LINES + 1);
        assert_eq!(file("copexd/src/a.rs", &long).len(), 1);
        let exact = "fn f() {}\n\n// why\n".repeat(MAX_CODE_LINES);
        let tests = format!("{exact}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
        assert_eq!(file("copexd/src/a.rs", &tests), [""; 0]);
    }

    #[test]
    fn modules_need_words_at_their_top() {
        assert_eq!(check("proto/src/a.rs", "use std::fmt;\n").len(), 1);
        assert_eq!(check("proto/src/a.rs", "//!\n").len(), 1);
        assert_eq!(check("tests/bin/a.rs", "fn main() {\n    a::main()\n}\n").len(), 0);
    }

    #[test]
    fn machine_paths_are_found_anywhere() {
        let bad = concat!("// see /wo", "rk/notes");
        assert_eq!(file("proto/src/a.rs", bad).len(), 1);
    }

    #[test]
    fn arrows_point_one_way() {
        let bad = [
            ("copexd/src/backend/a.rs", "use crate::engine::Engine;"),
            ("copexd/src/store.rs", "crate::rpc::serve();"),
            ("copexd/src/pool/a.rs", "use crate::store::Store;"),
            ("copexd/src/core/a.rs", "use crate::pool::Lease;"),
            ("copexctl/src/a.rs", "copexd::main();"),
        ];
        for (path, code) in bad {
            assert_eq!(file(path, code).len(), 1, "{path}: {code}");
        }
        assert_eq!(file("copexd/src/engine/a.rs", "use crate::pool::Lease;"), [""; 0]);
    }

    #[test]
    fn the_client_may_not_depend_on_the_daemon() {
        let bad = "[dependencies]\ncopexd.workspace = true\n";
        assert_eq!(check_manifest("copexctl/Cargo.toml", bad).len(), 1);
        assert_eq!(check_manifest("copexctl/Cargo.toml", "copex-proto = 1\n"), [""; 0]);
    }
}
