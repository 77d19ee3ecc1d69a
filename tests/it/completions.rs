//! Tab in real shells: names that the daemon knows, by the script that `completions` prints.

use copex_tests::ctl::Ctl;
use copex_tests::model::Reply;
use copex_tests::process::Launch;
use copex_tests::sandbox::Sandbox;
use copex_tests::screen::Screen;
use nix::sys::signal::{Signal, kill};
use serde_json::json;

use crate::product::Product;

/// The shells, how each is started without a person's own settings, and how it reads a script.
const SHELLS: [(&str, &[&str]); 3] = [
    ("bash", &["--norc", "--noprofile", "-i"]),
    ("zsh", &["-f", "-i"]),
    ("fish", &["--no-config", "-i"]),
];

/// A shell that knows our completions, at its prompt; none where it is not installed.
fn shell(ctl: &Ctl, sandbox: &Sandbox, (name, args): (&str, &[&str])) -> Option<Screen> {
    let found = Launch::inside(sandbox, "sh").args(["-c", &format!("command -v {name}")]).run();
    if found.code() != 0 {
        println!("{name} is not installed");
        return None;
    }
    let bin = sandbox.path("home/bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = copex_tests::bins!().copexctl;
    // The second shell finds it there.
    let _ = std::os::unix::fs::symlink(program, bin.join("copexctl"));
    let script = ctl.run(["completions", name]).ok();
    let script = sandbox.write(format!("home/{name}.script"), &script);
    let path = format!("{}:{}", bin.display(), copex_tests::env::path().display());
    let start = Launch::inside(sandbox, name).args(args).env("PATH", path).env("TERM", "xterm");
    let mut screen = Screen::start(start);
    screen.resize(40, 200);
    let before = if name == "zsh" { "autoload -U compinit; compinit -u; " } else { "" };
    screen.line(&format!("{before}source {}; echo re''ady", script.display()));
    screen.wait_for("ready", |shown| shown.lines().any(|line| line.trim() == "ready"));
    Some(screen)
}

#[test]
fn tab_gives_what_the_daemon_knows_in_each_shell() {
    let product = Product::start();
    let text = "---\nname: peeling\ndescription: How to peel\n---\nWith a knife.\n";
    product.daemon.sandbox().write("work/.github/skills/peeling/SKILL.md", text);
    product.model.push(Reply::text("the end"));
    let run = product.ctl().run(["chat", "go", "--detach"]).ok().trim().to_owned();
    product.runs(["attach", &run]).ok();
    let sessions = product.ctl().run(["sessions", "list", "--json"]).json();
    let session = sessions["sessions"][0]["session"].as_str().unwrap().to_owned();
    for it in SHELLS {
        let Some(mut screen) = shell(&product.ctl(), product.daemon.sandbox(), it) else {
            continue;
        };
        for (line, name) in [
            ("copexctl runs attach ", run.as_str()),
            ("copexctl sessions show ", session.as_str()),
            ("copexctl skills show peel", "peeling"),
            ("copexctl chat x --skill peel", "peeling"),
            ("copexctl chat x -m scripted-", "scripted-1"),
        ] {
            // What is typed is there before Tab is pressed.
            screen.keys(line).wait(line.trim_end());
            screen.keys("\t");
            screen.wait(&format!("{}{name}", &line[..=line.rfind(' ').unwrap()]));
            screen.keys("\x15\x0c");
            screen.wait_for("an empty line", |shown| !shown.contains("copexctl"));
        }
    }
}

#[test]
fn tab_waits_for_no_daemon_that_hangs() {
    let product = Product::start();
    product.model.push(Reply::text("the end"));
    product.ctl().run(["chat", "go"]).ok();
    let pid = product.rpc().call("daemon.status", &json!({}))["pid"].as_i64().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    let Some(mut screen) = shell(&product.ctl(), product.daemon.sandbox(), SHELLS[0]) else {
        panic!("bash is needed")
    };
    kill(pid, Signal::SIGSTOP).unwrap();
    for line in ["copexctl runs attach ", "copexctl sessions show ", "copexctl chat -m "] {
        // The shell reads keys again only when the completion has ended; flags are left.
        screen.keys(line).keys("\t").keys("END").wait("END");
        screen.keys("\x15\x0c").wait_for("an empty line", |shown| !shown.contains("copexctl"));
    }
    kill(pid, Signal::SIGCONT).unwrap();
}
