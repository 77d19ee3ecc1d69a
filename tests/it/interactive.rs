//! A conversation at a prompt, as a person has it: keys in, a screen out.

mod bang;
mod expand;
mod keys;
mod lost;
pub(crate) mod modes;
mod narrow;
mod slash;
mod working;

use copex_tests::ctl::Ctl;
use copex_tests::model::Reply;
use copex_tests::screen::Screen;

use crate::product::Product;

/// The prompt, ready for keys, with nothing typed.
const READY: &str = "> ";

/// `copexctl ARGS` in front of a person, at its first prompt.
fn begin<const N: usize>(product: &Product, args: [&str; N]) -> Screen {
    begin_with(&product.ctl(), args)
}

fn begin_with<const N: usize>(ctl: &Ctl, args: [&str; N]) -> Screen {
    let mut screen = ctl.screen(args);
    screen.wait("/help");
    ready(&mut screen);
    screen
}

/// Waits for the prompt.
fn ready(screen: &mut Screen) -> String {
    screen.wait_for("prompt", |shown| {
        let last = shown.trim_end_matches('\n').lines().last().unwrap_or_default();
        last.starts_with(READY) || last == ">"
    })
}

#[test]
fn prompts_are_turns_of_one_conversation_and_the_arrow_brings_them_back() {
    let product = Product::start();
    let mut screen = begin(&product, []);
    screen.line("first words");
    screen.wait("echo: first words");
    ready(&mut screen);
    screen.line("second words");
    screen.wait("echo: second words");
    ready(&mut screen);
    let told = product.last_request().user_messages();
    assert_eq!(told, ["first words", "second words"], "one conversation");
    screen.keys("\x1b[A\x1b[A");
    screen.wait("> first words");
    screen.keys(" again\r");
    screen.wait("echo: first words again");
    ready(&mut screen);
    screen.keys("\x04");
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("copexctl interactive --continue"), "{shown}");
    // The next terminal knows what was typed in this one.
    let mut screen = begin(&product, ["interactive"]);
    screen.keys("\x1b[A");
    screen.wait("> first words again");
}

#[test]
fn several_lines_and_a_paste_of_5000_are_one_prompt() {
    let product = Product::start();
    product.model.respond(|request| {
        let prompt = request.prompt();
        Reply::text(format!(
            "{} lines, last {}",
            prompt.lines().count(),
            prompt.lines().last().unwrap()
        ))
    });
    let mut screen = begin(&product, ["interactive"]);
    screen.keys("one\x1b\rtwo\x0athree\\\rfour\r");
    screen.wait("4 lines, last four");
    ready(&mut screen);
    let text: String = (1..=5_000).flat_map(|n| [format!("line {n}"), "\r".to_owned()]).collect();
    screen.keys("look: ").paste(&text);
    screen.wait("look: [paste 1: 5000 lines]");
    screen.keys("end\r");
    screen.wait("5001 lines, last end");
    let prompt = product.last_request().prompt();
    assert!(prompt.starts_with("look: line 1\nline 2\n") && prompt.ends_with("line 5000\nend"));
}

#[test]
fn what_is_typed_and_the_model_beside_it_never_touch() {
    let product = Product::start();
    let mut screen = begin(&product, []);
    let long = "x".repeat(77);
    screen.keys(&long);
    let shown = screen.wait(&format!("> {long}"));
    assert!(!shown.lines().last().unwrap().contains("scripted"), "{shown}");
    screen.keys("\x1b\rtwo");
    let shown = screen.wait("two");
    assert!(shown.contains(&format!("> {long}\n")), "{shown}");
}

#[test]
fn a_pipe_gives_one_prompt_a_line_and_the_answers_alone() {
    let product = Product::start();
    let output = product.ctl().stdin("one\n\n/model other\ntwo").run(["interactive"]);
    let stdout = output.expect_code(0).stdout;
    assert_eq!(stdout, "echo: one\necho: two\n");
    let requests = product.model.requests();
    assert_eq!(requests[1].user_messages(), ["one", "two"]);
    assert_eq!(requests[1].model(), "other");
    let failed = product.ctl().stdin("/nonsense\n").run(["interactive"]).expect_code(2);
    assert!(failed.stderr.contains("/nonsense is no command"), "{}", failed.stderr);
    let _usage = product.ctl().run::<&str>([]).expect_code(2);
    let refused = product.ctl().run(["interactive", "--stdin"]).expect_code(2);
    assert!(refused.stderr.contains("--stdin is for one prompt"), "{}", refused.stderr);
}

#[test]
fn a_dumb_terminal_has_plain_lines() {
    let product = Product::start();
    let ctl = product.ctl().with(|launch| launch.env("TERM", "dumb"));
    let mut running = ctl.start_on_one_terminal(["interactive"]);
    running.wait_stdout("> ");
    running.type_in("hello\n");
    running.wait_stdout("echo: hello");
    running.type_in("\x04");
    let shown = running.wait().expect_code(0).stdout;
    assert!(!shown.contains('\x1b'), "nothing is drawn: {shown:?}");
    assert!(shown.contains("/help, Ctrl-D leaves"), "{shown}");
    let mut aloud = product.ctl().start_on_one_terminal(["interactive", "--screen-reader"]);
    aloud.wait_stdout("> ");
    aloud.type_in("hello\n");
    aloud.wait_stdout("echo: hello");
    aloud.type_in("\x04");
    let shown = aloud.wait().expect_code(0).stdout;
    assert!(!shown.contains('\x1b'), "nothing is drawn: {shown:?}");
    let mut classic = product.ctl().start_on_one_terminal(["interactive", "--classic"]);
    classic.wait_stdout("copilot> ");
    classic.type_in("/exit\n");
    let _left = classic.wait().expect_code(0);
}
