//! The terminal's bell, where it is wanted and somebody may hear it.

use copex_tests::model::{Gate, Reply};

use crate::product::{Product, shell};

const RING: char = '\x07';

fn rings(text: &str) -> usize {
    text.matches(RING).count()
}

#[test]
fn the_end_rings_once_and_only_where_it_is_wanted() {
    let product = Product::start();
    let on_terminal = |args: &[&str], bell: Option<&str>| {
        let mut ctl = product.ctl();
        if let Some(bell) = bell {
            ctl = ctl.with(|launch| launch.env("COPEX_BELL", bell));
        }
        let words = ["chat", "hi"].iter().chain(args);
        rings(&ctl.start_on_one_terminal(words).wait().expect_code(0).stdout)
    };
    assert_eq!(on_terminal(&[], None), 0, "nobody asked for it");
    assert_eq!(on_terminal(&["--bell"], None), 1);
    assert_eq!(on_terminal(&[], Some("true")), 1);
    assert_eq!(on_terminal(&["--screen-reader"], Some("true")), 1);
    for quiet in ["--quiet", "--json", "--jsonl"] {
        assert_eq!(on_terminal(&["--bell", quiet], None), 0, "{quiet}");
    }
    let piped = product.ctl().run(["chat", "hi", "--bell"]).expect_code(0);
    assert_eq!(rings(&piped.stderr) + rings(&piped.stdout), 0);
    let bad = product.ctl().with(|launch| launch.env("COPEX_BELL", "loud"));
    let bad = bad.run(["chat", "hi"]).expect_code(2);
    assert!(bad.stderr.contains("COPEX_BELL"), "{}", bad.stderr);
}

#[test]
fn a_question_rings_and_one_that_was_answered_does_not() {
    let product = Product::start();
    product.model.push(Reply::tool("bash", &shell("sudo -n true; echo answered > answered")));
    let gate = Gate::new();
    product.model.push(Reply::stream().say("it is ").wait(&gate).say("done"));
    let mut asked = product.ctl().start_on_one_terminal(["chat", "go", "--bell"]);
    let shown = asked.wait_stdout("\x07");
    assert!(shown.contains("[y]es"), "{shown}");
    asked.type_in("y\n");
    gate.wait_reached(1);
    let run = product.runs(["list", "--json"]).json()["runs"][0]["run"].clone();
    let run = run.as_str().expect("a run has an id").to_owned();
    let looker = product.ctl().start_on_one_terminal(["runs", "attach", &run, "--bell"]);
    looker.wait_stdout("it is");
    gate.release();
    assert_eq!(rings(&asked.wait().expect_code(0).stdout), 2, "the question and the end");
    assert_eq!(rings(&looker.wait().expect_code(0).stdout), 1, "the end");
}

#[test]
fn each_turn_of_a_conversation_rings() {
    let product = Product::start();
    let mut lines = product.ctl().start_on_one_terminal(["interactive", "--bell", "--classic"]);
    lines.wait_stdout("copilot> ");
    lines.type_in("one\ntwo\n/exit\n");
    assert_eq!(rings(&lines.wait().expect_code(0).stdout), 2);
}
