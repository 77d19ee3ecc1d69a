//! A loop on a terminal: one screen while it works, and the answer when it has ended.

use copex_tests::terminal::{ENTER, LEAVE, plain};
use nix::sys::signal::Signal;

use super::*;

#[test]
fn the_screen_gives_way_to_a_summary_and_the_answer() {
    let product = Product::start();
    product
        .model
        .respond(|request| Reply::text(if iteration(request) == 2 { PROMISE } else { "not yet" }));
    let fifo = work(&product, "fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let args = ["ralph", "fix it", "-p", "all tests passing", "--verify", "cat fifo", "--pause"];
    let mut running = product.ctl().start_on_one_terminal(args);
    running.wait_stdout("cat fifo");
    std::fs::write(&fifo, "x").unwrap();
    running.wait_stdout("Your answer:");
    running.type_in("go on\n");
    std::fs::write(&fifo, "x").unwrap();
    let shown = running.wait().expect_code(0).stdout;
    let (screen, after) = shown.rsplit_once(LEAVE).unwrap();
    assert_eq!(screen.matches(ENTER).count(), 1, "{shown}");
    let screen = plain(screen);
    for words in ["ralph · iteration 1 of 30 · ", "check  cat fifo", "not yet", "  1. go on"] {
        assert!(screen.contains(words), "{words}: {screen}");
    }
    let after = plain(after);
    let promise = "promise: ALL TESTS PASSING";
    for words in [" done: fix it", "✓ iteration 2", promise, "2 iterations"] {
        assert!(after.contains(words), "{words}: {after}");
    }
    assert!(!after.contains("not yet") && !after.contains("<promise>"), "{after}");
}

#[test]
fn an_interrupt_and_a_signal_give_the_terminal_back() {
    let product = Product::start();
    product.model.respond(|_| Reply::hang_before_head());
    let start = || {
        let running = product.ctl().start_on_one_terminal(["ralph", "fix it", "-p", "done"]);
        running.wait_stdout("waits for the model");
        running
    };
    let running = start();
    running.signal(Signal::SIGINT);
    let shown = running.wait().expect_code(130).stdout;
    let after = plain(shown.rsplit_once(LEAVE).unwrap().1);
    assert!(after.contains(" cancelled: fix it") && after.contains("error: cancelled"), "{after}");
    let running = start();
    running.signal(Signal::SIGTERM);
    let shown = running.wait().expect_code(128 + 15).stdout;
    assert!(shown.contains(LEAVE), "{shown}");
}

#[test]
fn what_is_no_terminal_has_plain_lines() {
    let product = Product::start();
    product.model.respond(|_| Reply::text(PROMISE));
    let args = ["ralph", "fix it", "-p", "all tests passing"];
    for term in ["dumb", ""] {
        let ctl = product.ctl().with(|launch| launch.env("TERM", term));
        let shown = ctl.start_on_one_terminal(args).wait().expect_code(0).stdout;
        assert!(!shown.contains(ENTER) && shown.contains("── iteration 1 of 30 ──"), "{shown}");
    }
    let quiet = product.ctl().start_on_one_terminal(args.into_iter().chain(["-q"]));
    assert_eq!(quiet.wait().expect_code(0).stdout.trim(), PROMISE);
    let reasoning = args.into_iter().chain(["--show-reasoning"]);
    let shown = product.ctl().start_on_one_terminal(reasoning).wait().expect_code(0).stdout;
    assert!(!shown.contains(ENTER), "reasoning is text: {shown}");
    // stderr is a pipe.
    let piped = product.ctl().start_on_terminal(args).wait().expect_code(0);
    assert!(!piped.stderr.contains('\u{1b}') && !piped.stdout.contains(ENTER), "{piped:?}");
}

#[test]
fn whoever_attaches_sees_the_same_screen() {
    let product = Product::start();
    product.model.respond(|_| Reply::text("<needs-human>Which port?</needs-human>"));
    let run = product.ctl().run(["ralph", "serve", "--detach"]).ok().trim().to_owned();
    let ctl = product.ctl().with(|launch| launch.env("NO_COLOR", "1"));
    let mut running = ctl.start_on_one_terminal(["runs", "attach", &run]);
    running.wait_stdout("Which port?");
    running.wait_stdout("Your answer:");
    product.model.respond(|_| Reply::text("<blocked>no</blocked>"));
    running.type_in("8080\n");
    let shown = running.wait().expect_code(3).stdout;
    assert!(shown.contains(ENTER) && shown.contains(LEAVE), "{shown}");
    assert!(!shown.contains("\u{1b}[0m"), "no colours: {shown}");
}

#[test]
fn a_change_is_asked_about_in_its_colours_and_what_was_said_last_is_rendered() {
    let product = Product::start();
    let target = product.daemon.sandbox().path("home/new.txt");
    let arguments = serde_json::json!({ "path": target, "file_text": "brand new\n" });
    for no_color in [false, true] {
        product.model.push(Reply::tool("create", &arguments));
        product.model.respond(|_| Reply::text("It **is** not done:\n\n- yet"));
        let args = ["ralph", "fix it", "-p", "all tests passing", "-n", "1"];
        let ctl = product.ctl().with(
            |launch| {
                if no_color { launch.env("NO_COLOR", "1") } else { launch }
            },
        );
        let mut running = ctl.start_on_one_terminal(args);
        running.wait_stdout("Allow?");
        running.type_in("n\n");
        let shown = running.wait().expect_code(4).stdout;
        let (screen, after) = shown.rsplit_once(LEAVE).unwrap();
        assert_eq!(screen.contains("\x1b[32m+brand new\x1b[0m"), !no_color, "{screen:?}");
        assert!(plain(screen).contains("+brand new"), "{screen}");
        let after = plain(after);
        assert!(after.contains("It is not done:") && after.contains("• yet"), "{after}");
    }
    product.model.push(Reply::text("It **is** not done"));
    let args = ["ralph", "fix it", "-p", "all tests passing", "-n", "1", "--raw"];
    let raw = product.ctl().start_on_one_terminal(args).wait().expect_code(4).stdout;
    assert!(raw.contains("It **is** not done"), "{raw}");
}
