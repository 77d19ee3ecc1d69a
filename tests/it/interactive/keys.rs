//! Single keys at the prompt.

use super::*;

#[test]
fn ctrl_c_empties_a_line_and_leaves_an_empty_one_alone() {
    let product = Product::start();
    let mut screen = begin(&product, []);
    screen.line("asked before").wait("echo: asked before");
    ready(&mut screen);
    // However often, and whatever stands there.
    for line in ["half a line", "one\x1b\rtwo\x1b\rthree", "\x1b[A", "/mod\t"] {
        screen.keys(line).keys("\x03");
        let shown = screen.wait_for("an empty line", is_empty);
        assert!(!shown.contains("Ctrl-C again"), "{line:?}: {shown}");
    }
    // It can be had again.
    screen.keys("gone\x03").wait_for("an empty line", is_empty);
    screen.keys("\x19").wait("> gone");
    // Nothing that was open takes the next Enter.
    screen.keys("\x15/mod\t").wait("/models");
    screen.keys("\x03").line("next one").wait("echo: next one");
    ready(&mut screen);
    // A search goes back to the line that it began in.
    screen.keys("begun").wait("> begun");
    screen.keys("\x12asked").wait("(asked) ");
    screen.keys("\x03").wait_for("the line of before", |shown| {
        !shown.contains("(asked)") && last(shown).starts_with("> begun")
    });
    screen.keys("\x03").wait_for("an empty line", is_empty);
    screen.keys("\x03").wait("Ctrl-C again, or Ctrl-D, leaves");
    screen.keys("\x03");
    let (code, shown) = screen.end();
    assert_eq!(code, 130, "{shown}");
}

#[test]
fn tab_with_nothing_to_choose_shows_nothing_and_takes_no_enter() {
    let product = Product::start();
    product.daemon.sandbox().write("work/notes/readme.md", "x");
    let mut screen = begin(&product, []);
    screen.keys("say /mo\t!").wait("> say /mo!");
    // What is typed on may fit something: nobody asked for it.
    screen.keys("\x15xx\t\x01\x0b@read").wait("> @read");
    let shown = screen.line("").wait("echo: @read");
    assert!(!shown.contains("NO RECORDS"), "{shown}");
    ready(&mut screen);
    // A list that what is typed leaves behind is gone.
    screen.keys("/mod\t").wait("/models");
    screen.keys("zz").wait_for("no list", |shown| last(shown).starts_with("> /modelzz"));
    screen.keys("\x7f\x7f\x7f").wait("> /mode");
    let shown = screen.line("").wait("/mode is no command");
    assert!(!shown.contains("NO RECORDS"), "{shown}");
    ready(&mut screen);
    // So is one whose word is over.
    screen.keys("/mod\t").wait("/models");
    screen.keys(" other").wait_for("no list", |shown| last(shown).starts_with("> /model other"));
    screen.line("").wait("the next turn asks other");
}

/// The last row that has something.
fn last(shown: &str) -> &str {
    shown.trim_end().lines().last().unwrap_or_default()
}

/// Whether the prompt is the last row, with nothing but the model beside it.
fn is_empty(shown: &str) -> bool {
    let rest = last(shown).strip_prefix('>').unwrap_or("x").trim();
    rest.is_empty() || rest.starts_with("scripted")
}
