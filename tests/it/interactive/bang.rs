//! `!COMMAND`: the person's own shell, at the prompt.

use copex_tests::model::Gate;

use super::*;

#[test]
fn a_command_runs_on_the_terminal_and_the_agent_hears_nothing() {
    let product = Product::start();
    let ctl = product.ctl().with(|launch| launch.env("SHELL", "/bin/sh"));
    let mut screen = begin_with(&ctl, []);
    screen.line("!echo here: $(basename \"$PWD\") $0; test -t 0 -a -t 1 && echo a terminal");
    screen.wait("here: work /bin/sh");
    screen.wait("a terminal");
    ready(&mut screen);
    screen.line("!exit 3");
    screen.wait("exit code 3");
    ready(&mut screen);
    screen.line("!");
    screen.wait("! takes a command");
    ready(&mut screen);
    screen.line("!echo begun; exec sleep 1000");
    screen.wait_for("the command", |shown| shown.lines().any(|line| line == "begun"));
    screen.keys("\x03");
    screen.wait("ended by SIGINT");
    ready(&mut screen);
    assert_eq!(product.model.requests().len(), 0, "nothing was for the model");
    screen.line("!!important");
    screen.wait("echo: !important");
    let told = product.last_request().user_messages();
    assert_eq!(told, ["!important"]);
}

#[test]
fn what_is_no_prompt_waits_for_the_end_of_the_turn() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("working\n\n").wait(&gate));
    let mut screen = begin(&product, []);
    screen.line("begin");
    screen.wait("working");
    screen.keys("!echo $((40 + 2))\r");
    screen.wait("after this turn: !echo");
    screen.keys("/cost\x1b\r");
    screen.wait("after this turn: /cost");
    gate.open();
    screen.wait_for("the command", |shown| shown.lines().any(|line| line == "42"));
    screen.wait("this conversation");
    ready(&mut screen);
    assert_eq!(product.model.requests().len(), 1, "neither was a prompt");
}

#[test]
fn plain_lines_have_it_and_ctrl_c_ends_what_it_is_pressed_in() {
    let product = Product::start();
    let ctl = product.ctl().with(|launch| launch.env("TERM", "dumb"));
    let mut screen = begin_with(&ctl, ["interactive"]);
    screen.line("hello");
    screen.wait("tokens");
    ready(&mut screen);
    screen.line("!echo begun $((40 + 2)); exec sleep 1000");
    screen.wait("begun 42");
    screen.keys("\x03");
    screen.wait("ended by SIGINT");
    ready(&mut screen);
    // At the prompt nothing is under way but us.
    screen.keys("\x03");
    let (code, shown) = screen.end();
    assert_ne!(code, 0, "{shown}");
}

#[test]
fn a_pipe_commands_no_shell() {
    let product = Product::start();
    let ctl = product.ctl().stdin("!echo x > made\n");
    let refused = ctl.run(["interactive"]).expect_code(2);
    assert!(refused.stderr.contains("!COMMAND is for a terminal"), "{}", refused.stderr);
    assert!(!product.daemon.sandbox().work().join("made").exists());
}
