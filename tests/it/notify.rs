//! `notify.command`: told once of each event, over restarts, and in nobody's way.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::sync::mpsc::{Receiver, channel};

use copex_tests::clock::PATIENCE;
use copex_tests::model::Reply;
use copex_tests::process::marked;
use copex_tests::sandbox::Sandbox;
use serde_json::{Value, json};

use crate::product::{Product, follow, shell};

/// Lines of a pipe in the home folder, as they come.
fn lines(product: &Product) -> Receiver<String> {
    let path = product.daemon.sandbox().path("home/told");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    // Open for both, so that it has no end between two commands.
    let pipe = File::options().read(true).write(true).open(path).unwrap();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines() {
            if sender.send(line.unwrap()).is_err() {
                return;
            }
        }
    });
    receiver
}

/// What the command is told, in the order in which it says so.
struct Heard(Receiver<String>);

impl Heard {
    /// Listens at the pipe that the command `cat > ~/told` writes to.
    fn at(product: &Product) -> Self {
        Self(lines(product))
    }

    fn next(&self) -> Value {
        let line = self.0.recv_timeout(PATIENCE).expect("somebody is notified");
        serde_json::from_str(&line).unwrap()
    }

    /// The next of a run, which is to be of this event.
    fn of(&self, event: &str, run: &str) -> Value {
        let told = self.next();
        assert_eq!((&told["event"], &told["run"]), (&json!(event), &json!(run)), "{told}");
        told
    }
}

fn told(more: &str) -> Product {
    let config = format!("[notify]\ncommand = 'cat > \"$HOME/told\"'\n{more}");
    Product::with(|builder| builder.config(&config))
}

fn limited(product: &Product) -> String {
    product.model.respond(|_| Reply::rate_limited("user_global_rate_limited", Some(90)));
    product.submit(&mut product.rpc(), "paint", json!({"model": "first"}))
}

#[test]
fn a_person_is_told_what_a_run_does() {
    let product = told("");
    let heard = Heard::at(&product);
    let mut rpc = product.rpc();

    product
        .model
        .push(Reply::tool("bash", &shell("sudo echo ghp_0123456789abcdefghijABCDEFGHIJ456789")));
    product.model.respond(|_| Reply::text("the end"));
    let run = product.submit(&mut rpc, "go", json!({"foreground": true}));
    let asked = heard.of("ask", &run);
    assert_eq!((&asked["mode"], &asked["title"]), (&json!("chat"), &json!("go")), "{asked}");
    assert_eq!(asked["cwd"], json!(product.daemon.sandbox().work()), "{asked}");
    assert_eq!((&asked["state"], &asked["foreground"]), (&json!("asking"), &json!(true)));
    assert!(asked["at"].is_u64() && asked["ask"]["expires_at"].is_u64(), "{asked}");
    let detail = asked["ask"]["detail"].as_str().unwrap();
    assert!(detail.starts_with("sudo echo ") && !detail.contains("0123456789abc"), "{detail}");
    let ask = asked["ask"]["ask"].as_str().unwrap();
    assert_eq!(asked["next"], format!("copexctl inbox show {ask}"));
    let _answered = product.ctl().run(["inbox", "answer", ask, "no"]).expect_code(0);
    let done = heard.of("done", &run);
    assert_eq!((&done["state"], &done["spend"]["calls"]), (&json!("done"), &json!(2)), "{done}");

    product.model.respond(|_| Reply::error(401, "unauthorized", "who are you?"));
    let run = product.submit(&mut rpc, "go", json!({}));
    let failed = heard.of("failed", &run);
    assert_eq!((&failed["state"], &failed["error"]["class"]), (&json!("blocked"), &json!("auth")));

    let run = product.submit(&mut rpc, "go", json!({"max_cost": 0.0}));
    let budget = heard.of("budget", &run);
    assert_eq!(budget["state"], "exhausted", "{budget}");
    assert_eq!(budget["error"]["class"], "limit", "{budget}");
}

#[test]
fn a_park_is_told_once_whatever_becomes_of_the_daemon() {
    let mut product = told("");
    let heard = Heard::at(&product);
    let run = limited(&product);
    let parked = heard.of("parked", &run);
    assert!(parked["until"].as_u64() > parked["at"].as_u64(), "{parked}");
    assert!(parked["reason"].as_str().unwrap().contains("too many requests"), "{parked}");
    assert_eq!(parked["next"], format!("copexctl runs resume --now {run}"));
    for _ in 0..2 {
        let _killed = product.daemon.kill9();
        product.daemon.restart();
    }
    product.model.respond(|_| Reply::text("at last"));
    let _resumed = product.runs(["resume", &run, "-q"]).expect_code(0);
    heard.of("resumed", &run);
    heard.of("done", &run);
    // Nobody is told of a cancel; what comes next is the next run.
    let cancelled = limited(&product);
    heard.of("parked", &cancelled);
    let _cancelled = product.runs(["cancel", &cancelled]).expect_code(0);
    product.rpc().call("breaker.reset", &json!({}));
    product.model.respond(|_| Reply::text("the end"));
    let last = product.submit(&mut product.rpc(), "go", json!({}));
    heard.of("done", &last);
}

#[test]
fn only_what_was_asked_for_is_told() {
    let product = told("on = ['done']");
    let heard = Heard::at(&product);
    let parked = limited(&product);
    let watched = json!({"run": parked});
    let mut rpc = product.rpc();
    let watched = rpc.subscribe("run.watch", &watched);
    let _events = rpc.events_until(&watched, "parked");
    product.model.respond(|_| Reply::text("at last"));
    let _resumed = product.runs(["resume", &parked, "-q"]).expect_code(0);
    heard.of("done", &parked);
}

#[test]
fn a_command_that_fails_or_hangs_is_in_nobodys_way() {
    let config = "[notify]\ncommand = 'echo out of paper; exit 7'";
    let product = Product::with(|builder| builder.config(config));
    let run = product.submit(&mut product.rpc(), "go", json!({}));
    assert_eq!(follow(&mut product.rpc(), &run).last().unwrap()["type"], "done");
    let warned = product.daemon.process().wait_stderr("notify.command failed");
    assert!(warned.contains("out of paper") && warned.contains("Some(7)"), "{warned}");

    let config = "[notify]\ncommand = 'echo > \"$HOME/told\"; sleep 321 & wait'";
    let product = Product::with(|builder| builder.config(config));
    let begun = product.daemon.sandbox().path("home/told");
    nix::unistd::mkfifo(&begun, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let run = product.submit(&mut product.rpc(), "go", json!({}));
    assert_eq!(follow(&mut product.rpc(), &run).last().unwrap()["type"], "done");
    assert_eq!(std::fs::read_to_string(&begun).unwrap(), "\n", "the command is at work");
    let _stopped = product.daemon.stop().expect_code(0);
    let left = marked(product.daemon.sandbox().marker());
    assert!(!left.iter().any(|(_, line)| line.starts_with("sleep 321")), "{left:?}");
}

/// A stand-in for the program that needs a desktop: it writes down what it is given.
#[test]
fn the_desktop_shows_bubbles() {
    use std::os::unix::fs::PermissionsExt as _;
    let other = Sandbox::new();
    let tools = other.path("home");
    let script = "#!/bin/sh\nprintf '%s\\n' \"$@\" > \"$HOME/told\"\n";
    std::fs::write(tools.join("notify-send"), script).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(tools.join("notify-send"), mode).unwrap();
    let path = copex_tests::env::path().into_string().unwrap();
    let path = format!("{}:{path}", tools.display());
    let config = "[notify]\ndesktop = true";
    let product = Product::with(|builder| builder.env("PATH", path).config(config));
    let heard = lines(&product);
    product.model.respond(|_| Reply::text("the end"));
    let run = product.submit(&mut product.rpc(), "say \"$(rm -rf ~)\" <b>", json!({}));
    let next = format!("copexctl runs show {run}");
    let wanted = [
        "--app-name=copex",
        "--urgency=normal",
        "--",
        "copex chat: done",
        "say \"$(rm -rf ~)\" &lt;b&gt;",
        &next,
    ];
    for line in wanted {
        assert_eq!(heard.recv_timeout(PATIENCE).expect("a bubble"), line);
    }
}
