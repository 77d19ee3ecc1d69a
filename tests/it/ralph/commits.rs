//! A loop with `--commit` leaves a branch behind, and nothing else.

use copex_tests::process::Launch;
use copex_tests::tap::{Tap, Tapped, assert_whole, kinds};

use super::*;

const USER: &str = "git init -q -b main . && git config user.name me && git config user.email a@b \
                    && echo 1 > a && echo 1 > mine && git add -A && git commit -qm first \
                    && echo 2 > mine && echo 2 > untracked && git add mine && echo 3 > mine";

/// A detached head is as good as a branch.
#[test]
fn commits_need_no_branch_that_is_checked_out() {
    let product = Product::start();
    sh(&product, USER);
    sh(&product, "git checkout -q --detach");
    product.model.respond(model);
    let shown = ralph(&product, ["--commit", "--verify", "test -e made3"]).expect_code(0);
    assert!(shown.stderr.contains("copexctl: 3 commits on copex/ralph/"), "{}", shown.stderr);
    let branch = sh(&product, "git branch --list --format='%(refname:short)' 'copex/*'");
    let files = sh(&product, &format!("git diff --name-only main {}", branch.trim()));
    assert_eq!(files, "made1\nmade2\nmade3\n");
}

/// What a command of the user's prints in the working folder.
fn sh(product: &Product, command: &str) -> String {
    Launch::inside(product.daemon.sandbox(), "/bin/sh").args(["-c", command]).run().ok()
}

/// All that must stay as it is.
const STATE: &str = "git rev-parse HEAD; git symbolic-ref HEAD; git ls-files --stage; \
                     git status --porcelain; cat mine untracked; ls -A .git";

/// A tool call in each iteration, then an answer; the promise in the third.
fn model(request: &RecordedRequest) -> Reply {
    let number = iteration(request);
    if !has_run(request) {
        return Reply::tool("bash", &shell(&format!("echo {number} > made{number}")));
    }
    Reply::text(if number == 3 { PROMISE } else { "not yet" })
}

fn run_of(told: &Value) -> String {
    format!("copex/ralph/{}", told["run"].as_str().unwrap())
}

#[test]
fn each_iteration_is_one_commit_on_a_branch_of_its_own() {
    let product = Product::start();
    sh(&product, USER);
    let before = sh(&product, STATE);
    product.model.respond(model);
    let shown = ralph(&product, ["--commit", "--verify", "test -e made3"]).expect_code(0);
    assert!(shown.stderr.contains("copexctl: 3 commits on copex/ralph/"), "{}", shown.stderr);
    let branch = sh(&product, "git branch --list --format='%(refname:short)' 'copex/*'");
    let branch = branch.trim();
    assert!(shown.stderr.contains(&format!("`git reset {branch}`")), "{}", shown.stderr);
    let log = sh(&product, &format!("git log --reverse --format=%s%n%b main..{branch}"));
    assert!(log.starts_with("ralph 1: fix it\n`test -e made3` does not pass.\n"), "{log}");
    assert!(log.contains("Copex-Iteration: 3"), "{log}");
    let files = sh(&product, &format!("git diff --name-only main {branch}"));
    assert_eq!(files, "made1\nmade2\nmade3\n");

    // All that is there beside it is what the user had and what the run made.
    let after = sh(&product, STATE);
    let made: Vec<&str> = after.lines().filter(|line| !line.starts_with("?? made")).collect();
    assert_eq!(made.join("\n"), before.trim_end());

    // The way it says takes it over, and keeps what was the user's.
    sh(&product, &format!("git reset -q {branch}"));
    assert_eq!(sh(&product, "git status --porcelain"), " M mine\n?? untracked\n");
}

#[test]
fn kills_make_no_second_commit_of_an_iteration() {
    let mut product = Product::start();
    sh(&product, USER);
    for point in [6, 9, 14, 17, 20, 24] {
        sh(&product, "rm -f made*");
        product.model.respond(model);
        let args = ["ralph", "go", "-p", "all tests passing", "--commit", "--detach"];
        let run = product.ctl().run(args).ok().trim().to_owned();
        let socket = product.daemon.socket();
        let mut seen = 0;
        let _first = Tap::watch(&socket, &run, 0).until(|event| {
            seen += 1;
            seen >= point || event.is_terminal()
        });
        let _killed = product.daemon.kill9();
        product.daemon.restart();
        let all = Tap::watch(&socket, &run, 0).follow();
        assert_whole(&all);
        assert_eq!(kinds(&all).last(), Some(&"done"), "{all:#?}");
        let told: Vec<String> = all
            .iter()
            .filter(|event| event.kind == "artifact")
            .map(Tapped::value)
            .map(|event| event["file"].as_str().unwrap().to_owned())
            .collect();
        let log =
            format!("git log --reverse --format='copex/ralph/{run} %H' main..copex/ralph/{run}");
        let made = sh(&product, &log);
        assert_eq!(made.lines().collect::<Vec<_>>(), told, "killed after {point}: {all:#?}");
        let marks = format!("git log --format=%b main..copex/ralph/{run} | grep -c Iteration:");
        assert_eq!(sh(&product, &marks).trim(), told.len().to_string());
        assert!((2..=3).contains(&told.len()), "one tool may be cut off: {told:?}");
    }
}

#[test]
fn a_commit_that_was_made_before_the_daemon_knew_of_it_is_found() {
    let mut product = Product::start();
    sh(&product, USER);
    product.model.respond(model);
    // git moves the branch, and before it can say so the daemon is killed.
    let bin = product.daemon.sandbox().path("bin");
    let (armed, begun) = (bin.join("armed"), bin.join("begun"));
    std::fs::create_dir(&bin).unwrap();
    std::fs::write(&armed, "").unwrap();
    nix::unistd::mkfifo(&begun, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let path = copex_tests::env::path();
    let (bin_dir, path) = (bin.display(), path.to_string_lossy());
    let script = format!(
        "#!/bin/sh\nPATH='{path}'\ngit \"$@\"\ncode=$?\ncase \"$*\" in *update-ref*)\n\
         test -e {bin_dir}/armed && rm {bin_dir}/armed && echo moved > {bin_dir}/begun && \
         sleep 324;; esac\nexit $code\n"
    );
    std::fs::write(bin.join("git"), script).unwrap();
    sh(&product, &format!("chmod +x {bin_dir}/git"));
    let ctl = product.ctl().with(|launch| launch.env("PATH", format!("{bin_dir}:{path}")));
    let run = ctl.run(["ralph", "go", "-p", "all tests passing", "--commit", "--detach"]).ok();
    let run = run.trim();
    assert_eq!(std::fs::read_to_string(&begun).unwrap(), "moved\n");
    let _killed = product.daemon.kill9();
    product.daemon.restart();
    let all = Tap::watch(&product.daemon.socket(), run, 0).follow();
    assert_whole(&all);
    assert_eq!(kinds(&all).last(), Some(&"done"), "{all:#?}");
    assert_eq!(all.iter().filter(|event| event.kind == "artifact").count(), 3, "{all:#?}");
    let log = sh(&product, &format!("git log --reverse --format=%b main..copex/ralph/{run}"));
    let numbers: Vec<&str> = log.lines().filter(|line| line.contains("Iteration")).collect();
    assert_eq!(numbers, ["Copex-Iteration: 1", "Copex-Iteration: 2", "Copex-Iteration: 3"]);
}

#[test]
fn where_nothing_can_be_committed_the_loop_says_so_and_goes_on() {
    let product = Product::start();
    product.model.respond(model);
    let told = ralph(&product, ["--commit", "--json"]).expect_code(0).json();
    let warnings = told["warnings"].to_string();
    assert!(warnings.contains("is in no git repository"), "{warnings}");
    assert_eq!(told["iterations"], 3, "{told}");
}

#[test]
fn a_loop_that_goes_on_stays_on_its_branch() {
    let product = Product::start();
    sh(&product, USER);
    product.model.respond(model);
    let first = ralph(&product, ["--commit", "-n", "2", "--json"]).expect_code(4).json();
    let branch = run_of(&first);
    let second = product.runs(["resume", first["run"].as_str().unwrap(), "--json"]);
    assert_eq!(second.expect_code(0).json()["iterations"], 3);
    let files = sh(&product, &format!("git diff --name-only main {branch}"));
    assert_eq!(files, "made1\nmade2\nmade3\n");
    assert_eq!(sh(&product, &format!("git rev-list --count main..{branch}")), "3\n");
    assert_eq!(sh(&product, "git branch --list 'copex/*'").lines().count(), 1);
}
