//! What a crash leaves: everything.

use copex_tests::model::Gate;
use nix::sys::signal::Signal;

use super::*;

#[test]
fn a_killed_client_loses_nothing() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("begun, and ").wait(&gate).say("ended"));
    let mut screen = begin(&product, []);
    screen.line("a long task");
    screen.wait("begun,");
    screen.keys("the next task\x1b\r");
    screen.wait("queued: the next task");
    let waits = || {
        let list = product.runs(["list", "--json"]).json();
        list["runs"].as_array().unwrap().len() == 2
    };
    screen.wait_for("two runs", |_| waits());
    screen.process().signal(Signal::SIGKILL);
    drop(screen);
    // The turn goes on without anybody, and the next one after it.
    let mut screen = product.ctl().screen(["interactive", "--continue"]);
    screen.wait("going on: a long task");
    screen.wait("begun,");
    gate.open();
    screen.wait("begun, and ended");
    screen.wait("going on: the next task");
    screen.wait("echo: the next task");
    ready(&mut screen);
    screen.line("and now?");
    screen.wait("echo: and now?");
    let told = product.last_request().user_messages();
    assert_eq!(told, ["a long task", "the next task", "and now?"]);
}

#[test]
fn a_killed_daemon_is_followed_again() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("half of it ").wait(&gate).hang());
    let mut screen = begin(&product, []);
    screen.line("go");
    screen.wait("half of");
    screen.keys("typed meanwhile");
    screen.wait("› typed meanwhile");
    product.model.push(Reply::text("the whole answer"));
    // Who follows starts another.
    let _killed = product.daemon.kill9();
    screen.wait("the whole answer");
    screen.wait("> typed meanwhile");
}

#[test]
fn a_terminal_that_is_closed_leaves_the_run_at_work() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("begun and ").wait(&gate).say("ended"));
    let mut screen = begin(&product, []);
    screen.line("go");
    screen.wait("begun");
    screen.process().signal(Signal::SIGHUP);
    let (code, _) = screen.end();
    assert_eq!(code, 128 + 1);
    gate.open();
    let list = product.runs(["list", "--json"]).json();
    let run = list["runs"][0]["run"].as_str().unwrap();
    assert_eq!(product.runs(["attach", run]).ok(), "begun and ended\n");
}
