//! The full screen: the real client on a terminal, the real daemon, and what a person sees.

use std::num::NonZeroU16;

use copex_tests::ctl::Ctl;
use copex_tests::model::{API_KEY, Gate, RecordedRequest, Reply};
use copex_tests::process::Running;
use nix::sys::signal::Signal;
use serde_json::json;

use crate::product::{Product, shell};

mod captures;
mod modes;
mod terminal;

const ENTER: &str = "\r";
const ESC: &str = "\u{1b}";
const DOWN: &str = "\u{1b}[B";
const CTRL_C: &str = "\u{3}";
const CTRL_D: &str = "\u{4}";
const CTRL_P: &str = "\u{10}";
const DRAWN: &[u8] = b"\x1b[?2026l";
const LEAVE: &str = "\u{1b}[?1049l";

/// The screen of a client.
struct Tui {
    running: Running,
    size: (u16, u16),
}

impl Tui {
    /// Starts it on a terminal of 80 columns and 24 rows.
    fn start(ctl: &Ctl) -> Self {
        let running = ctl.start_on_one_terminal(["tui"]);
        let tui = Self { running, size: (80, 24) };
        tui.shows("1 Runs");
        tui
    }

    fn press(&mut self, keys: &str) {
        self.running.type_in(keys);
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.size = (columns, rows);
        self.running.resize(rows, columns);
    }

    /// A terminal that was sent these bytes. As a terminal does, it shows whole drawings alone.
    fn terminal(&self, bytes: &[u8]) -> vt100::Parser {
        let ends = bytes.windows(DRAWN.len()).rposition(|window| window == DRAWN);
        let bytes = &bytes[..ends.map_or(0, |at| at + DRAWN.len())];
        let [rows, columns] = [self.size.1, self.size.0].map(|it| NonZeroU16::new(it).unwrap());
        let mut parser = vt100::Parser::new(rows, columns, 0);
        parser.process(bytes);
        parser
    }

    /// What a person sees of them.
    fn screen(&self, bytes: &[u8]) -> String {
        self.terminal(bytes).screen().contents()
    }

    /// Waits for a screen; what it is for is told when it never comes.
    fn wait(&self, what: &str, is: impl Fn(&str) -> bool) -> String {
        let found = self.running.wait_output(|bytes| {
            let screen = self.screen(bytes);
            is(&screen).then_some(screen)
        });
        let last = || self.screen(self.running.stdout().as_bytes());
        found.unwrap_or_else(|| panic!("no screen {what}; the last:\n{}", last()))
    }

    /// Waits until all of this is on the screen; the screen.
    fn shows_all(&self, words: &[&str]) -> String {
        let all = |screen: &str| words.iter().all(|words| screen.contains(words));
        self.wait(&format!("with {words:?}"), all)
    }

    fn shows(&self, words: &str) -> String {
        self.shows_all(&[words])
    }

    /// Waits until this is gone from the screen.
    fn hides(&self, words: &str) -> String {
        self.wait(&format!("without {words}"), |screen| !screen.contains(words))
    }
}

/// Answers `go` by a push that asks, `wait` once the gate is open, everything else at once.
fn model(gate: &Gate) -> impl Fn(&RecordedRequest) -> Reply + Send + 'static {
    let gate = gate.clone();
    move |request| {
        let prompt = request.prompt();
        if !request.tool_results().is_empty() {
            return Reply::text("it was not pushed");
        }
        if prompt.contains("push") {
            Reply::tool("bash", &shell("git push origin main"))
        } else if prompt.contains("wait") {
            Reply::stream().say("so far so good").wait(&gate).say(" the end")
        } else {
            Reply::text("hello from the model")
        }
    }
}

#[test]
fn a_person_sees_answers_cancels_and_leaves() {
    let product = Product::start();
    let gate = Gate::new();
    product.model.respond(model(&gate));
    let mut rpc = product.rpc();
    let waiting = product.submit(&mut rpc, "wait for it", json!({}));
    let asking = product.submit(&mut rpc, "push it", json!({}));
    let mut tui = Tui::start(&product.ctl());
    let screen = tui.shows_all(&["NEEDS YOU 1", "WORKING 1", "2 Inbox 1", "so far so good"]);
    assert!(screen.contains("> ? chat"), "{screen}");

    // The question, from the list.
    tui.press("a");
    tui.shows("[y]es, [n]o (with words)");
    tui.press("n not today\r");
    tui.shows_all(&["WORKING 1", "DONE 1"]);
    let detail = rpc.call("run.get", &json!({"run": asking}));
    assert_eq!(detail["outcome"]["content"], "it was not pushed");
    let told = product.last_request().tool_results().pop().unwrap();
    assert!(told.contains("not today"), "{told}");

    // The run that waits, in full; then cancelled.
    tui.press("1");
    tui.press("\u{1b}[H");
    tui.press(ENTER);
    tui.shows_all(&["● running", "wait for it", "so far so good"]);
    tui.resize(120, 40);
    tui.shows("^G thoughts");
    tui.press(CTRL_C);
    tui.shows("cancel this run?");
    tui.press("y");
    tui.shows("cancelled");
    let ended = rpc.call("run.get", &json!({"run": waiting}));
    assert_eq!(ended["summary"]["state"], "cancelled");

    // The palette finds the pool, whose screen tells of the daemon.
    tui.press(CTRL_P);
    tui.shows("commands");
    tui.press("pool");
    tui.press(ENTER);
    tui.shows_all(&["daemon", "copexd ", "runtimes", "breakers"]);
    tui.press("?");
    tui.shows("another row, or scroll");
    tui.press(ESC);
    tui.hides("another row, or scroll");
    tui.press("q");
    let output = tui.running.wait().expect_code(0);
    assert!(output.stdout.contains(LEAVE), "the terminal is given back");
}

#[test]
fn a_run_is_started_and_goes_on_after_the_screen() {
    let product = Product::start();
    let gate = Gate::new();
    product.model.respond(model(&gate));
    let mut tui = Tui::start(&product.ctl());
    tui.shows("no runs yet; n starts one");
    tui.press("n");
    tui.shows("new run");
    tui.press("\u{1b}[200~wait\nfor it\u{1b}[201~");
    tui.shows_all(&["> wait", "for it"]);
    tui.press(ENTER);
    tui.shows_all(&["started ", "so far so good"]);
    tui.press("s");
    tui.shows("say to the agent at work");
    tui.press("be brief\r");
    tui.shows_all(&["said; the agent hears it", "> be brief"]);
    tui.press("qq");
    tui.running.wait().ok();
    let mut rpc = product.rpc();
    let runs = rpc.call("run.list", &json!({}));
    let run = &runs["runs"][0];
    assert_eq!((&run["state"], &run["title"]), (&json!("running"), &json!("wait")));
    gate.open();
    let watched = rpc.subscribe("run.watch", &json!({"run": run["run"]}));
    let events = rpc.events_to_end(&watched);
    assert_eq!(events.last().unwrap()["type"], "done");
}

#[test]
fn the_editor_takes_the_terminal_and_gives_the_prompt_back() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("hello from the model"));
    let editor = product.daemon.sandbox().write("editor.sh", "echo written elsewhere > \"$1\"\n");
    let editor = format!("/bin/sh {}", editor.display());
    let ctl = product.ctl().with(|launch| launch.env("EDITOR", &editor));
    let mut tui = Tui::start(&ctl);
    tui.press("n");
    tui.shows("new run");
    tui.press("\u{f}");
    tui.shows("> written elsewhere");
    tui.press(ENTER);
    tui.shows_all(&["✓ done", "hello from the model"]);
    let runs = product.rpc().call("run.list", &json!({}));
    assert_eq!(runs["runs"][0]["title"], "written elsewhere");
}

#[test]
fn a_daemon_that_dies_is_started_again_and_what_is_seen_goes_on() {
    let product = Product::start();
    let gate = Gate::new();
    product.model.respond(model(&gate));
    let mut rpc = product.rpc();
    product.submit(&mut rpc, "wait for it", json!({}));
    let mut tui = Tui::start(&product.ctl());
    tui.shows("so far so good");
    tui.press(ENTER);
    tui.shows("● running");
    let _killed = product.daemon.kill9();
    tui.shows("the daemon is back");
    gate.open();
    let screen = tui.shows_all(&["✓ done", "the end"]);
    assert_eq!(screen.matches("wait for it").count(), 2, "nothing is told twice: {screen}");
}

#[test]
fn a_daemon_that_is_stopped_is_left_alone_until_somebody_wants_it() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("hello from the model"));
    let mut tui = Tui::start(&product.ctl());
    tui.shows("no runs yet");
    assert_eq!(product.daemon.stop().code(), 0);
    tui.shows_all(&["no daemon", "copexd was stopped; waiting for it"]);
    tui.press("n");
    tui.shows("new run");
    tui.press("hello\r");
    tui.shows("there is no daemon; nothing was done");
    tui.press(CTRL_P);
    tui.press("start daemon\r");
    tui.shows("the daemon is back");
    // What was typed before is still there.
    tui.press("n");
    tui.shows("> hello");
    tui.press(ENTER);
    tui.shows_all(&["✓ done", "hello from the model"]);
}

#[test]
fn signals_give_the_terminal_back() {
    let product = Product::start();
    let tui = Tui::start(&product.ctl());
    tui.running.signal(Signal::SIGTERM);
    let shown = tui.running.wait().expect_code(128 + 15).stdout;
    assert!(shown.contains(LEAVE) && shown.contains("\u{1b}[?25h"), "{shown}");
}

#[test]
fn what_is_no_screen_is_told_of_the_commands_that_print_lines() {
    let product = Product::start();
    let piped = product.ctl().run(["tui"]).expect_code(2);
    assert!(piped.stderr.contains("tui needs a terminal"), "{}", piped.stderr);
    assert!(piped.stderr.contains("copexctl interactive"), "{}", piped.stderr);
    let dumb = product.ctl().with(|launch| launch.env("TERM", "dumb"));
    let shown = dumb.start_on_one_terminal(["tui"]).wait().expect_code(2).stdout;
    assert!(shown.contains("TERM") && shown.contains("interactive"), "{shown}");
    let read = product.ctl().start_on_one_terminal(["tui", "--screen-reader"]);
    let shown = read.wait().expect_code(2).stdout;
    assert!(shown.contains("read aloud") && !shown.contains('─'), "{shown}");
    let theme = product.ctl().start_on_one_terminal(["tui", "--ui-theme", "pink"]);
    assert!(theme.wait().expect_code(2).stdout.contains("midnight"));
}
