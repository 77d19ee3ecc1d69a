//! What a person does while the agent works.

use copex_tests::model::Gate;
use serde_json::json;

use super::*;
use crate::product::shell;

/// The row above the line that is typed while the agent works.
const BAR: &str = "Ctrl-C cancels";

#[test]
fn words_are_told_or_queued_and_never_torn() {
    let (product, gate) = (Product::start(), Gate::new());
    let work = product.daemon.sandbox().work();
    let lines: Vec<String> = (0..60).map(|n| format!("stream {n}\n")).collect();
    let mut reply = Reply::stream();
    for line in &lines {
        reply = reply.say(line);
    }
    product.model.push(reply.wait(&gate).call("view", &json!({"path": work})).wait(&gate));
    product.model.push(Reply::text("heard you"));
    let mut screen = begin(&product, []);
    screen.line("begin");
    screen.wait("stream 59");
    screen.keys("and the te");
    let shown = screen.wait("› and the te");
    let rows: Vec<&str> = shown.lines().collect();
    assert!(rows[rows.len() - 2].contains(BAR), "{shown}");
    assert_eq!(rows[rows.len() - 4..rows.len() - 2], ["stream 59", ""], "{shown}");
    screen.keys("sts\r");
    screen.wait("told the agent: and the tests");
    screen.keys("what next?\x1b\r");
    screen.wait("queued: what next?");
    screen.keys("half a li");
    screen.wait("› half a li");
    gate.open();
    screen.wait("heard you");
    screen.wait("echo: what next?");
    // What was not sent waits at the prompt.
    screen.wait("> half a li");
    let requests = product.model.requests();
    assert_eq!(requests[1].user_messages(), ["begin", "and the tests"]);
    assert_eq!(requests[2].user_messages().last().unwrap(), "what next?");
    let shown = screen.shown();
    assert!(!shown.contains(BAR), "the row is gone: {shown}");
}

#[test]
fn a_resize_in_mid_stream_leaves_a_whole_screen() {
    let (product, gate) = (Product::start(), Gate::new());
    let mut reply = Reply::stream();
    for n in 0..40 {
        reply = reply.say(format!("before {n}\n"));
    }
    reply = reply.wait(&gate);
    for n in 0..40 {
        reply = reply.say(format!("after {n}\n"));
    }
    product.model.push(reply.wait(&gate));
    let mut screen = begin(&product, []);
    screen.line("begin");
    screen.wait("before 39");
    screen.keys("typed");
    screen.wait("› typed");
    for (rows, columns) in [(12, 40), (30, 100), (5, 20), (20, 60)] {
        screen.resize(rows, columns);
        if rows > 5 {
            let last = |shown: &str| shown.trim_end().lines().count() == usize::from(rows);
            screen.wait_for("line at the bottom", |shown| {
                last(shown) && shown.contains("› typed") && shown.matches("› typed").count() == 1
            });
        }
    }
    gate.release();
    let shown = screen.wait("after 39");
    let rows: Vec<&str> = shown.trim_end().lines().collect();
    assert_eq!(rows.len(), 20, "{shown}");
    assert_eq!(rows[16..18], ["after 39", ""], "{shown}");
    gate.open();
    screen.wait("> typed");
}

#[test]
fn ctrl_c_cancels_the_turn_and_twice_leaves() {
    let product = Product::start();
    product.model.push(Reply::stream().say("begun and ").hang());
    let mut screen = begin(&product, []);
    screen.line("go");
    screen.wait("begun");
    screen.keys("\x03");
    let shown = screen.wait("copexctl: cancelled");
    assert!(!shown.contains("error"), "{shown}");
    ready(&mut screen);
    let list = product.runs(["list", "--json"]).json();
    assert_eq!(list["runs"][0]["state"], "cancelled");
    screen.line("go on");
    screen.wait("echo: go on");
    ready(&mut screen);
    assert_eq!(product.last_request().user_messages(), ["go", "go on"], "the conversation stays");
    screen.keys("\x03");
    screen.wait("Ctrl-C again");
    screen.keys("\x03");
    let (code, shown) = screen.end();
    assert_eq!(code, 130, "{shown}");
}

#[test]
fn questions_are_answered_in_the_line() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("sudo -n true; echo answered > answered")));
    product.model.push(Reply::text("it is done"));
    let mut screen = begin(&product, []);
    screen.line("go");
    screen.wait("[y]es / [n]o / [a]lways");
    screen.wait("your answer and Enter");
    screen.keys("maybe\r");
    screen.wait("`maybe` is no answer to this");
    screen.keys("y\r");
    screen.wait("answered: yes");
    screen.wait("it is done");
    ready(&mut screen);
    assert!(product.daemon.sandbox().work().join("answered").exists());
}

#[test]
fn always_holds_for_the_turns_that_come_and_for_no_other_conversation() {
    let product = Product::start();
    let sudo = |file: &str| Reply::tool("bash", &shell(&format!("sudo -n {file}")));
    let mut screen = begin(&product, []);
    for (prompt, asks) in [("first", true), ("second", false)] {
        product.model.push(sudo("true"));
        product.model.push(Reply::text(format!("{prompt} is done")));
        screen.line(prompt);
        if asks {
            screen.wait("[a]lways: shell(sudo -n)");
            screen.keys("a\r");
        }
        screen.wait(&format!("{prompt} is done"));
        ready(&mut screen);
    }
    screen.line("/new");
    ready(&mut screen);
    product.model.push(sudo("false"));
    product.model.push(Reply::text("third is done"));
    screen.line("third");
    screen.wait("sudo -n false");
    screen.wait("your answer and Enter");
    screen.keys("n\r");
    screen.wait("third is done");
}

#[test]
fn the_line_has_history_completion_and_words() {
    let (product, gate) = (Product::start(), Gate::new());
    product.daemon.sandbox().write("work/notes/readme.md", "x");
    let work = product.daemon.sandbox().work();
    product.model.push(Reply::text("hi"));
    product.model.push(
        Reply::stream().say("begun ").wait(&gate).call("view", &json!({"path": work})).wait(&gate),
    );
    let mut screen = begin(&product, []);
    screen.line("typed before");
    screen.wait("hi");
    ready(&mut screen);
    screen.line("go");
    screen.wait("begun");
    screen.keys("half").keys("\x1b[A").wait("› half");
    screen.keys("\x15").keys("\x1b[A\x1b[A").wait("› typed before");
    screen.keys("\x1b[B\x1b[B\x1b[B").wait("› ");
    screen.keys("one two three\x1bb\x1bb\x17\x01now \x05!").wait("› now two three!");
    screen.keys("\x01\x0blook at @read\t").wait("› look at @notes/readme.md");
    screen.keys("\x15/mod\t");
    let shown = screen.wait("› /model");
    assert!(shown.contains("── /model  /models"), "{shown}");
    screen.keys("\t\t").wait("[/models]");
    screen.keys("\x15and the tests\r").wait("told the agent: and the tests");
    gate.open();
    screen.wait("echo:");
    ready(&mut screen);
    screen.keys("\x1b[A").wait("> and the tests");
}

#[test]
fn a_note_tears_no_paragraph_and_stands_in_the_bar_meanwhile() {
    let (product, gate) = (Product::start(), Gate::new());
    let reply = Reply::stream().say("Before.\n\nHalf a ").wait(&gate).say("sentence.\n\nAfter.");
    product.model.push(reply);
    let mut screen = begin(&product, []);
    screen.line("begin");
    screen.wait("Half a");
    screen.keys("/cost\r");
    let shown = screen.wait("── after this turn: /cost");
    assert_eq!(shown.matches("after this turn").count(), 1, "{shown}");
    gate.open();
    screen.wait("this conversation");
    let shown = ready(&mut screen);
    let rows: Vec<&str> = shown.lines().map(str::trim_end).collect();
    let at = rows.iter().position(|row| *row == "Half a sentence.").expect("a whole paragraph");
    assert_eq!(rows[at + 1..at + 4], ["copexctl: after this turn: /cost", "", "After."], "{shown}");
}

#[test]
fn a_table_that_is_not_whole_is_told_of_and_then_stands_there() {
    let (product, gate) = (Product::start(), Gate::new());
    let table = || {
        let begin = Reply::stream().say("Look:\n\n| name | size |\n|---|---|\n| one | 1 |\n");
        begin.wait(&gate).say("| two | 2 |\n\nThat is all.")
    };
    product.model.push(table());
    product.model.push(table());
    let mut chat = product.ctl().screen(["chat", "go"]);
    chat.wait("· writing a table");
    gate.release();
    let (code, shown) = chat.end();
    assert_eq!(code, 0, "{shown}");
    let mut screen = begin(&product, []);
    screen.line("go").wait("· writing a table");
    screen.keys("typed").wait("› typed");
    gate.open();
    screen.wait("That is all.");
    for shown in [shown, screen.wait("> typed")] {
        assert!(!shown.contains("writing"), "{shown}");
        let rows: Vec<&str> = shown.lines().map(str::trim_end).collect();
        let at = rows.iter().position(|row| *row == "Look:").expect("the words before");
        assert!(rows[at + 2].contains("name") && rows[at + 5].contains("two"), "{shown}");
    }
}
