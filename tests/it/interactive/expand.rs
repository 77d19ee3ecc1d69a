//! Tool calls in full, by a key and by a command.

use copex_tests::model::Gate;

use super::*;
use crate::product::shell;

/// A tool that prints so many numbers, and what is said when it has.
fn numbers(product: &Product, to: u32, said: &str) {
    product.model.push(Reply::tool("bash", &shell(&format!("seq 1 {to}"))));
    product.model.push(Reply::text(said));
}

#[test]
fn ctrl_o_shows_the_last_call_and_then_the_one_before_at_the_prompt() {
    let product = Product::start();
    let mut screen = begin(&product, []);
    screen.keys("\x0f");
    screen.wait("no tool was called yet");
    numbers(&product, 12, "first done");
    screen.line("go");
    screen.wait("more lines");
    screen.wait("first done");
    ready(&mut screen);
    numbers(&product, 7, "second done");
    screen.line("go on");
    screen.wait("second done");
    ready(&mut screen);
    screen.keys("half a line\x0f");
    screen.wait("── tool call 2 of 2 ──");
    screen.wait("command: seq 1 7");
    // What was typed waits below it, once, and what stood there is not printed again.
    let shown = screen.wait_for("the prompt", |shown| {
        shown.trim_end().ends_with("> half a line") || shown.contains("> half a line  ")
    });
    assert!(shown.contains("\n  6\n  7\n"), "{shown}");
    assert_eq!(shown.matches("> half a line").count(), 1, "{shown}");
    screen.keys("\x0f");
    let shown = screen.wait("── tool call 1 of 2 ──");
    screen.wait_for("all of it", |shown| shown.contains("\n  11\n  12\n"));
    assert!(shown.matches("second done").count() <= 1, "{shown}");
    screen.keys("\x0f");
    screen.wait("no earlier tool call is kept");
    screen.keys("\x15/expand 9\r");
    screen.wait("the last 2 tool calls are kept");
    screen.line("/expand x");
    screen.wait("/expand takes a number");
    screen.line("/clear");
    screen.wait_for("an empty screen", |shown| !shown.contains("/expand"));
    screen.line("/expand 2");
    screen.wait("── tool call 1 of 2 ──");
    screen.keys("/exp\t");
    screen.wait("> /expand");
}

#[test]
fn ctrl_o_works_while_the_agent_does() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::tool("bash", &shell("seq 1 9")));
    product.model.push(Reply::stream().say("and now ").wait(&gate).say("it is done\n"));
    let mut screen = begin(&product, []);
    screen.resize(60, 80);
    screen.line("go");
    screen.wait("and now");
    screen.keys("typed \x0f");
    screen.wait("── tool call 1 of 1 ──");
    screen.wait_for("all of it", |shown| shown.contains("\n  8\n  9\n"));
    screen.keys("on\x0f");
    screen.wait("no earlier tool call is kept");
    let shown = screen.wait("› typed on");
    assert_eq!(shown.matches("and now").count(), 1, "{shown}");
    screen.keys("\x15/expand 1\r");
    screen.wait_for("it again", |shown| shown.matches("── tool call 1 of 1 ──").count() == 2);
    gate.open();
    screen.wait("it is done");
    let shown = ready(&mut screen);
    assert_eq!(shown.matches("and now").count(), 1, "{shown}");
}

#[test]
fn plain_lines_have_the_command() {
    let product = Product::start();
    let mut aloud = product.ctl().start_on_one_terminal(["interactive", "--screen-reader"]);
    aloud.wait_stdout("> ");
    numbers(&product, 8, "read out");
    aloud.type_in("go\n");
    aloud.wait_stdout("read out");
    aloud.type_in("/expand\n");
    aloud.wait_stdout("tool call 1 of 1:");
    aloud.type_in("\x04");
    let shown = aloud.wait().expect_code(0).stdout;
    let plain = shown.replace("\x1b[2m", "").replace("\x1b[0m", "");
    assert!(plain.contains("  7\r\n  8\r\n"), "{plain}");
    assert!(!plain.contains("── "), "nothing is drawn: {plain}");
    numbers(&product, 8, "in a pipe");
    let output = product.ctl().stdin("go\n/expand\n").run(["interactive"]).expect_code(0);
    assert_eq!(output.stdout, "in a pipe\n", "what is beside the answers is on stderr");
    assert!(output.stderr.contains("command: seq 1 8"), "{}", output.stderr);
}
