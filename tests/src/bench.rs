//! The table of numbers: ours beside a rival's, measured in one run on one machine.
//!
//! `cargo run --release -p copex-tests --bin bench [COPEXD COPEXCTL] [ROW...]`
//!
//! Without paths, the binaries are looked for beside this one, as `cargo build --release`
//! leaves them. Rows run one after the other, each after a round that is not counted; a row
//! prints the middle value (p50) of its rounds. Nothing here fails on a slow machine: what
//! counts is the ratio.

mod measure;
mod page;
mod rows;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use self::measure::Line;
use self::rows::ROWS;
use crate::ctl::Bins;

/// The bench's `main`.
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|arg| arg == "-h" || arg == "--help") {
        return print(&usage());
    }
    let (paths, names): (Vec<_>, Vec<_>) = args.into_iter().partition(|arg| arg.contains('/'));
    if let Some(unknown) = names.iter().find(|name| !ROWS.iter().any(|row| row.0 == *name)) {
        let _failed = print(&format!("bench: no row is called `{unknown}`\n{}", usage()));
        return ExitCode::from(2);
    }
    let bins = match find(&paths) {
        Ok(bins) => bins,
        Err(missing) => {
            let _failed = print(&format!("bench: {} does not exist\n", missing.display()));
            return ExitCode::from(69);
        }
    };
    let mut lines = Vec::new();
    for (name, row) in ROWS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            let _failed = io::stderr().write_all(format!("measuring {name}\n").as_bytes());
            lines.extend(row(&bins));
        }
    }
    print(&table(&lines))
}

fn usage() -> String {
    let names: Vec<_> = ROWS.iter().map(|(name, _)| *name).collect();
    format!("usage: bench [COPEXD COPEXCTL] [ROW...]\nrows: {}\n", names.join(" "))
}

fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn find(paths: &[String]) -> Result<Bins, PathBuf> {
    let beside = std::env::current_exe().unwrap_or_default();
    let beside = beside.parent().unwrap_or(Path::new("."));
    let given = |index: usize, name: &str| {
        let path = paths.get(index).map_or_else(|| beside.join(name), PathBuf::from);
        let absolute = std::path::absolute(&path).unwrap_or(path);
        if absolute.is_file() { Ok(absolute) } else { Err(absolute) }
    };
    Ok(Bins {
        copexd: given(0, "copexd")?,
        copexctl: given(1, "copexctl")?,
        fake_copilot: beside.join("fake_copilot"),
    })
}

fn table(lines: &[Line]) -> String {
    let mut text = String::from(
        "| what | copex | target | rival | rival's | ratio |\n|---|---:|---:|---|---:|---:|\n",
    );
    for line in lines {
        text.push_str(&line.to_string());
        text.push('\n');
    }
    text
}
