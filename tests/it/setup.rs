//! `setup`, completions, manual pages and help topics, as a new user meets them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use copex_tests::ctl::Ctl;
use copex_tests::model::Reply;
use copex_tests::process::Launch;
use copex_tests::sandbox::Sandbox;
use serde_json::json;

use crate::product::Product;

/// All files below a folder, sorted.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn lines(text: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = text.lines().map(PathBuf::from).collect();
    paths.sort();
    paths
}

#[test]
fn what_is_installed_works_and_goes_again() {
    let sandbox = Sandbox::new();
    let (local, config) = (sandbox.path("home/.local"), sandbox.path("config"));
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);

    let planned = ctl.run(["setup", "--dry-run", "--verbose"]).ok();
    let short = ctl.run(["setup", "--dry-run"]).ok();
    assert!(files(&local).is_empty() && files(&config).is_empty());
    assert!(short.starts_with("would install  2 programs "), "{short}");
    let done = ctl.run(["setup"]).expect_code(0);
    assert_eq!(done.stdout.lines().count(), 6, "a line for each kind of thing: {}", done.stdout);
    let pages = planned.lines().filter(|path| path.contains("/man1/")).count();
    let told = format!("{pages} manual pages");
    assert!(done.stdout.contains(&told), "{told}: {}", done.stdout);
    assert!(done.stdout.contains("copexd, copexctl"), "{}", done.stdout);
    let done = ctl.run(["setup", "-v"]).expect_code(0);
    assert_eq!(done.stdout, planned);
    assert!(done.stderr.contains("systemctl --user"), "{}", done.stderr);
    assert!(done.stderr.contains("not on your PATH"), "{}", done.stderr);
    let record = local.join("share/copex/installed.json");
    let mut there = files(&local);
    there.extend(files(&config));
    there.retain(|path| *path != record);
    assert_eq!(lines(&done.stdout), {
        there.sort();
        there
    });

    let installed = local.join("bin/copexctl");
    let help = Launch::inside(&sandbox, &installed).args(["help", "exit-codes"]).run().ok();
    assert!(help.contains("| 77 | not signed in |"), "{help}");
    let page = fs::read_to_string(local.join("share/man/man1/copexctl-runs-attach.1")).unwrap();
    assert!(page.contains("Replay a run from its first event"), "{page}");
    let unit = fs::read_to_string(config.join("systemd/user/copexd.service")).unwrap();
    assert!(unit.contains("ExecStart=%h/.local/bin/copexd\n"), "{unit}");

    // Again: over what it wrote itself, a program that runs included.
    Launch::inside(&sandbox, &installed).args(["setup"]).run().ok();

    let page = local.join("share/man/man1/copexctl-chat.1");
    fs::write(&page, "mine").unwrap();
    let gone = ctl.run(["setup", "uninstall"]).expect_code(0);
    assert!(gone.stderr.contains("copexctl-chat.1 was changed"), "{}", gone.stderr);
    let told = format!("{} manual pages", pages - 1);
    assert!(gone.stdout.contains(&told) && gone.stdout.lines().count() == 6, "{}", gone.stdout);
    assert!(gone.stdout.lines().all(|line| line.starts_with("removed ")), "{}", gone.stdout);
    assert_eq!(fs::read_to_string(&page).unwrap(), "mine");
    assert!(files(&config).is_empty());
    ctl.run(["setup", "uninstall", "--force"]).ok();
    assert!(files(&local).is_empty());
    let nothing = ctl.run(["setup", "uninstall"]).expect_code(2);
    assert!(nothing.stderr.contains("is not installed in"), "{}", nothing.stderr);
}

#[test]
fn files_of_others_are_left_alone() {
    let sandbox = Sandbox::new();
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);
    let prefix = sandbox.path("work/a prefix");
    fs::create_dir_all(prefix.join("bin")).unwrap();
    let theirs = prefix.join("bin/copexd");
    fs::write(&theirs, "theirs").unwrap();
    let there = prefix.display().to_string();
    let refused = ctl.run(["setup", "--prefix", &there]).expect_code(2);
    assert!(refused.stderr.contains("bin/copexd"), "{}", refused.stderr);
    assert!(refused.stderr.contains("--force"), "{}", refused.stderr);
    assert_eq!(files(&prefix), std::slice::from_ref(&theirs));

    let forced = ctl.run(["setup", "--prefix", &there, "--force", "--json"]).expect_code(0).json();
    assert!(forced["installed"].as_array().unwrap().len() > 10, "{forced}");
    assert_ne!(fs::read(&theirs).unwrap(), b"theirs");
    let unit = sandbox.path("config/systemd/user/copexd.service");
    let unit = fs::read_to_string(unit).unwrap();
    assert!(unit.contains(&format!("ExecStart=\"{there}/bin/copexd\"\n")), "{unit}");
}

/// A stand-in where the real one would need a user manager: it keeps what it is told.
#[test]
fn systemd_is_told_when_asked() {
    let mut sandbox = Sandbox::new();
    let (bin, told) = (sandbox.path("home/tools"), sandbox.path("home/told"));
    fs::create_dir(&bin).unwrap();
    let script = format!("#!/bin/sh\necho \"$@\" >> '{}'\necho complaint >&2\n", told.display());
    fs::write(bin.join("systemctl"), script).unwrap();
    fs::set_permissions(bin.join("systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", bin.display());
    sandbox.set("PATH", path);
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);
    ctl.run(["setup", "--enable"]).ok();
    let gone = ctl.run(["setup", "uninstall"]).expect_code(0);
    assert!(!gone.stderr.contains("complaint"), "{}", gone.stderr);
    let told = fs::read_to_string(told).unwrap();
    assert_eq!(
        told,
        "--user daemon-reload\n--user enable --now copexd.socket\n\
         --user disable --now copexd.socket copexd.service\n"
    );
}

/// The names that bash offers for a line, by the script that `completions` prints; flags not.
fn offered(ctl: &Ctl, sandbox: &Sandbox, line: &str) -> Vec<String> {
    let bin = sandbox.path("home/bin");
    if !bin.exists() {
        fs::create_dir(&bin).unwrap();
        let program = copex_tests::bins!().copexctl;
        std::os::unix::fs::symlink(program, bin.join("copexctl")).unwrap();
    }
    let words: Vec<&str> = line.split(' ').collect();
    let script = ctl.run(["completions", "bash"]).ok();
    let (last, before) = (words[words.len() - 1], words[words.len() - 2]);
    let script = format!(
        "{script}\nPATH='{}':$PATH\nCOMP_WORDS=({line}{})\nCOMP_CWORD={}\n\
         _clap_complete_copexctl copexctl '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        bin.display(),
        if last.is_empty() { "''" } else { "" },
        words.len() - 1,
    );
    let output = Launch::inside(sandbox, "bash").args(["-c", &script]).run().expect_code(0);
    assert_eq!(output.stderr, "", "Tab prints nothing");
    let names = output.stdout.lines().filter(|word| !word.is_empty() && !word.starts_with('-'));
    names.map(|word| word.trim_end().to_owned()).collect()
}

#[test]
fn a_shell_offers_what_the_daemon_knows() {
    let product = Product::start();
    product.model.push(Reply::tool("ask_user", &json!({"question": "Which?", "choices": ["a"]})));
    let run = product.ctl().run(["chat", "go", "--detach"]).ok().trim().to_owned();
    let mut rpc = product.rpc();
    let watched = rpc.subscribe("run.watch", &json!({"run": run}));
    let ask = rpc.events_until(&watched, "ask").pop().unwrap();
    let (ctl, sandbox) = (product.ctl(), product.daemon.sandbox());
    let offered = |line: &str| offered(&ctl, sandbox, line);

    assert_eq!(offered("copexctl runs attach "), [run.as_str()]);
    assert_eq!(offered(&format!("copexctl runs show {}", &run[..6])), [run.as_str()]);
    assert!(offered("copexctl runs show zzzz").is_empty());
    assert_eq!(offered("copexctl inbox answer "), [ask["ask"].as_str().unwrap()]);
    assert_eq!(offered("copexctl config set retry.max_r"), ["retry.max_retries"]);
    assert!(offered("copexctl help ").contains(&"exit-codes".to_owned()));
    assert_eq!(offered("copexctl runs att"), ["attach"]);
    let model = copex_tests::model::MODEL;
    assert!(offered("copexctl chat -m ").iter().any(|name| name == model));
    let sessions = ctl.run(["sessions", "list", "--json"]).expect_code(0).json();
    let session = sessions["sessions"][0]["session"].as_str().unwrap();
    assert_eq!(offered("copexctl sessions show "), [session]);
}

#[test]
fn tab_starts_no_daemon() {
    let sandbox = Sandbox::new();
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);
    assert!(offered(&ctl, &sandbox, "copexctl runs attach ").is_empty());
    assert!(files(&sandbox.path("run")).is_empty() && files(&sandbox.path("state")).is_empty());
}

#[test]
fn help_knows_commands_and_topics() {
    let sandbox = Sandbox::new();
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);
    assert!(ctl.run(["help"]).ok().contains("Topics (copexctl help TOPIC)"));
    assert!(ctl.run(["help", "sessions", "fork"]).ok().contains("copexctl sessions fork"));
    assert!(ctl.run(["help", "permissions"]).ok().contains("`workspace` (default)"));
    let wrong = ctl.run(["help", "premissions"]).expect_code(2);
    assert!(wrong.stderr.contains("copexctl help permissions"), "{}", wrong.stderr);
    assert!(ctl.run(["help", "config"]).ok().contains("copexctl config --help"));
}

#[test]
fn man_has_a_page_of_each_command() {
    let sandbox = Sandbox::new();
    let ctl = Ctl::new(&copex_tests::bins!(), &sandbox);
    for (words, title) in [
        (&["man"][..], ".TH COPEXCTL 1"),
        (&["man", "chat"], ".TH COPEXCTL-CHAT 1"),
        (&["man", "daemon", "start"], ".TH COPEXCTL-DAEMON-START 1"),
    ] {
        let page = ctl.run(words).ok();
        assert!(page.contains(title) && page.contains(".SH SYNOPSIS"), "{words:?}: {page}");
    }
    for (words, said) in [
        (
            &["man", "chta"][..],
            "\"chta\" is not a command\nhint: did you mean `copexctl man chat`?",
        ),
        (&["man", "daemon", "strat"], "did you mean `copexctl man daemon start`?"),
        (&["help", "daemon", "strat"], "did you mean `copexctl help daemon start`?"),
        (&["man", "xyzzyx"], "\"xyzzyx\" is not a command\nhint: copexctl --help"),
        (&["man", "chat", "-o", "x"], "cannot be used with"),
    ] {
        let wrong = ctl.run(words).expect_code(2);
        assert!(wrong.stderr.contains(said), "{words:?}: {}", wrong.stderr);
    }
}
