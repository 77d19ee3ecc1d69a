//! Notes on a terminal that is narrower than they are.

use copex_tests::model::Gate;

use super::*;

/// Rows and columns: less than most notes need.
const NARROW: (u16, u16) = (24, 32);

/// At the first prompt of a narrow terminal. Rows that the terminal itself broke are one line of
/// what it shows; those that we broke are several.
fn narrow(product: &Product, flag: Option<&str>) -> Screen {
    let mut screen = product.ctl().screen(["interactive"].into_iter().chain(flag));
    screen.resize(NARROW.0, NARROW.1);
    screen.wait("/help");
    ready(&mut screen);
    screen
}

#[test]
fn notes_break_at_words_and_a_command_stays_whole() {
    let (product, gate) = (Product::start(), Gate::new());
    product.model.push(Reply::stream().say("at work\n\n").wait(&gate));
    let mut screen = narrow(&product, None);
    screen.line("/model");
    screen.wait("copexctl: scripted-1; /model\n  NAME changes it\n");
    ready(&mut screen);
    screen.line("/modle");
    screen.wait("copexctl: error: /modle is no\n  command");
    ready(&mut screen);
    screen.line("go").wait("at work");
    screen.keys("/cost\r").wait("copexctl: after this turn: /cost\n");
    screen.keys("!echo one two three four\r");
    screen.wait("copexctl: after this turn: !echo\n  one two three four\n");
    gate.open();
    screen.wait("one two three four\n>");
    ready(&mut screen);
    screen.keys("\x04");
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
    let last = "copexctl: go on with:\n  copexctl interactive --continue\n";
    assert!(shown.trim_end().ends_with(last.trim_end()), "{shown}");
}

#[test]
fn what_is_read_aloud_and_what_is_no_terminal_has_whole_lines() {
    let product = Product::start();
    let mut screen = narrow(&product, Some("--screen-reader"));
    screen.line("/model").wait("copexctl: scripted-1; /model NAME changes it\n");
    let told = product.ctl().stdin("/model\n").run(["interactive"]).expect_code(0).stderr;
    assert!(told.contains("copexctl: scripted-1; /model NAME changes it\n"), "{told}");
    let product = Product::with(|builder| builder.config("screen_reader = true\n"));
    let mut screen = narrow(&product, None);
    screen.line("/inbox").wait("copexctl: nothing waits for an answer\n");
}
