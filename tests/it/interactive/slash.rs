//! Every slash command, typed.

use copex_tests::model::Gate;

use super::*;

#[test]
fn a_session_types_every_slash_command() {
    let product = Product::start();
    product.daemon.sandbox().write("work/notes/readme.md", "x");
    let mut screen = begin(&product, []);
    let mut says = |line: &str, words: &str| {
        screen.line(line);
        let shown = screen.wait(words);
        ready(&mut screen);
        screen.line("/clear");
        screen.wait_for("an empty screen", |shown| !shown.contains(words));
        ready(&mut screen);
        shown
    };
    says("/help", "Ctrl-R");
    says("/compact", "nothing to compact");
    says("/cost", "this conversation");
    says("/modle x", "did you mean /model?");
    says("/model", "/model NAME changes it");
    says("/model scripted-2", "the next turn asks scripted-2");
    says("/reasoning", "one of none, minimal, low");
    says("/reasoning extreme", "not a reasoning effort");
    says("hello", "echo: hello");
    assert_eq!(product.last_request().model(), "scripted-2");
    let shown = says("/cost", "this conversation");
    assert!(shown.contains("1 turn, 11 tokens in"), "{shown}");
    says("/compact", "was compacted");
    let shown = says("/cost", "this conversation");
    assert!(shown.contains("2 turns, 22 tokens in"), "{shown}");
    says("/models", "provider");
    says("/status", "copexd");
    says("/inbox", "nothing waits");
    says("/sessions", "hello");
    says("/resume", "/resume ID takes one up");
    says("/new", "a new conversation begins");
    says("fresh", "echo: fresh");
    assert_eq!(product.last_request().user_messages(), ["fresh"]);
    let list = product.ctl().run(["sessions", "list", "--here", "--json"]).ok();
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let sessions = list["sessions"].as_array().unwrap();
    let first = sessions.iter().find(|it| it["title"] == "hello").unwrap();
    let id = first["session"].as_str().unwrap().to_owned();
    says(&format!("/resume {}", &id[..8]), &id);
    says("back", "echo: back");
    assert!(product.last_request().user_messages().len() > 1, "the old conversation");
    says("/queue later words", "echo: later words");
    says("/expand", "no tool was called yet");
    for name in ["skills", "mcp"] {
        screen.line(&format!("/{name}"));
        ready(&mut screen);
    }
    screen.line("/exit");
    let (code, shown) = screen.end();
    assert_eq!(code, 0, "{shown}");
}

#[test]
fn what_is_typed_while_a_command_runs_comes_after_it() {
    let product = Product::start();
    let gate = Gate::new();
    product.model.push(Reply::stream().wait(&gate).say("<promise>all done</promise>"));
    product.model.respond(|_| Reply::text("<promise>all done</promise>"));
    let mut screen = begin(&product, []);
    screen.line("/ralph fix it now -p 'all done'");
    screen.wait("iteration 1 of");
    // Nobody reads the keys while the loop is followed: no question waits.
    screen.keys("\x1b[A\rsecond words\rhalf");
    gate.open();
    screen.wait("1 iteration");
    screen.wait("> half");
    assert_eq!(product.last_request().prompt(), "second words");
    // The first one empties the line.
    screen.keys("\x03\x03\x03");
    let (code, shown) = screen.end();
    assert_eq!(code, 130, "{shown}");
}

#[test]
fn the_other_modes_run_in_the_conversations_folder_and_come_back() {
    let product = Product::start();
    let mut screen = begin(&product, ["interactive", "-m", "scripted-2"]);
    product.model.respond(|_| Reply::text("<promise>all done</promise>"));
    screen.line("/ralph fix it now -p 'all done'");
    screen.wait("1 iteration");
    ready(&mut screen);
    assert_eq!(product.last_request().model(), "scripted-2");
    product.model.respond(|_| Reply::text("answer of it"));
    screen.line("/fleet 'do a' 'do b'");
    screen.wait("2 tasks");
    ready(&mut screen);
    screen.line("/council --no-such-flag");
    screen.wait("/council: unexpected argument");
    ready(&mut screen);
    screen.line("/plan don't");
    screen.wait("has no end");
    ready(&mut screen);
    let list = product.runs(["list", "--json"]).json();
    let modes: Vec<_> = list["runs"].as_array().unwrap().iter().map(|it| &it["mode"]).collect();
    assert_eq!(modes, ["fleet", "ralph"]);
    screen.line("q");
    assert_eq!(screen.end().0, 0);
}

#[test]
fn tab_completes_commands_models_and_files() {
    let product = Product::start();
    product.daemon.sandbox().write("work/notes/readme.md", "x");
    let mut screen = begin(&product, []);
    screen.keys("/sta\t").wait("> /status");
    screen.keys("\x15").keys("look at @read\t").wait("look at @notes/readme.md");
    screen.keys("\x15").keys("/mod\t");
    let shown = screen.wait("/models");
    assert!(shown.contains("the model of the next turns"), "{shown}");
    // A menu that is left takes no Enter.
    screen.keys("\x15").line("/cost").wait("this conversation");
}

#[test]
fn tab_completes_what_the_daemon_knows_once_it_was_met() {
    let product = Product::start();
    let skill = "---\nname: peeling\ndescription: How to peel\n---\nWith a small knife.\n";
    product.daemon.sandbox().write("work/.github/skills/peeling/SKILL.md", skill);
    product.model.push(Reply::text("the end of it"));
    let mut screen = begin(&product, []);
    screen.line("go");
    screen.wait("the end of it");
    ready(&mut screen);
    screen.keys("/model script\t").wait("> /model scripted-1");
    screen.keys("\x15").keys("/skills peel\t").wait("> /skills peeling");
    screen.line("").wait("With a small knife.");
}
