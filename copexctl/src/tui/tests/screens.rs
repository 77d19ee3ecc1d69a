//! Every screen at two sizes, compared with what was looked at: `UPDATE=1` writes anew.

use copex_proto::config::Theme;
use copex_proto::event::{Ask, AskKind, EventBody, ToolStart};
use copex_proto::run::{Mode, RunState};
use crossterm::event::KeyCode;
use ratatui::style::Color;
use serde_json::json;

use super::*;
use crate::render::theme::Depth;

/// A house in which much goes on.
fn house() -> Rig {
    let mut rig = Rig::new();
    let mut runs = vec![
        summary(1, RunState::Done, "explain the borrow checker to me"),
        summary(2, RunState::Failed, "port the parser to nom"),
        summary(3, RunState::Cancelled, "tidy up"),
        summary(10, RunState::Running, "make the tests green"),
        summary(11, RunState::Running, "add documentation to all crates"),
        summary(12, RunState::Asking, "publish the next version"),
        summary(13, RunState::Parked, "translate the manual, 日本語も"),
    ];
    for (place, mode) in [(3, Mode::Ralph), (4, Mode::Fleet), (6, Mode::Plan)] {
        runs[place].mode = mode;
    }
    rig.told(runs.clone(), 1);
    let iteration = EventBody::Iteration { number: 3, max: 30 };
    rig.event(runs[3].run, 1, Some("3"), iteration);
    rig.event(runs[3].run, 2, Some("3"), gate_start("cargo test --workspace"));
    rig.event(runs[4].run, 1, None, task("readme", 1, RunState::Done, &[]));
    rig.event(runs[4].run, 2, None, task("docs", 2, RunState::Running, &["readme"]));
    rig.event(runs[4].run, 3, Some("docs"), tool_start("c", "bash", "cargo doc --no-deps"));
    rig.event(runs[5].run, 1, None, EventBody::Ask(permission()));
    let parked = EventBody::Parked {
        reason: "the account's limit of this hour".to_owned(),
        until: Some(NOW + 1_500_000),
        needs_key: None,
    };
    rig.event(runs[6].run, 1, None, parked);
    rig
}

/// One run, open.
fn opened(mode: Mode, title: &str) -> Rig {
    let mut rig = Rig::new();
    let mut run = summary(10, RunState::Running, title);
    run.mode = mode;
    rig.told(vec![run], 0);
    rig.press(KeyCode::Enter);
    rig
}

fn check(name: &str, rig: &mut Rig) {
    for (width, height) in [(80, 24), (200, 60)] {
        golden(&format!("{name}-{width}x{height}"), &rig.text(width, height));
    }
}

#[test]
fn all_runs_are_grouped_and_say_what_they_do() {
    check("runs", &mut house());
    let mut rig = house();
    for c in "/green".chars() {
        rig.press(KeyCode::Char(c));
    }
    check("find", &mut rig);
    check("empty", &mut Rig::new());
}

#[test]
fn a_chat_shows_words_tools_and_what_they_printed() {
    let mut rig = opened(Mode::Chat, "why does the build fail?");
    rig.chat();
    check("chat", &mut rig);
    rig.control('t');
    rig.control('g');
    check("chat-in-full", &mut rig);
    rig.press(KeyCode::Tab);
    check("chat-answer", &mut rig);
}

#[test]
fn an_answer_that_comes_is_laid_out_and_a_change_is_coloured() {
    let mut rig = opened(Mode::Chat, "why does the build fail?");
    rig.model.look.depth = Depth::Ansi;
    let run = rig.run();
    let arguments = json!({"path": "Makefile", "old_str": "CC = cc", "new_str": "CC = gcc"});
    let start = ToolStart { call: "c".to_owned(), name: "edit".to_owned(), arguments };
    rig.event(run, 1, None, EventBody::ToolStart(start));
    let end = json!({"type": "tool_end", "call": "c", "name": "edit", "success": true,
        "result": "Makefile was updated.", "duration_ms": 12});
    rig.event(run, 2, None, serde_json::from_value(end).unwrap());
    rig.control('t');
    let pieces = [
        "# Why\n\nIt is **",
        "not** there: `cc`.\n\n| file | li",
        "nes |\n|---|--:|\n| a.c | 1",
        "2 |\n\n- [x] look\n- [ ] mend\n\n```c\nint main(void) { return 0; }",
        " // the e",
    ];
    for (seq, text) in (3..).zip(pieces) {
        rig.event(run, seq, None, EventBody::MessageDelta { text: text.to_owned() });
        rig.text(80, 24);
    }
    check("markdown", &mut rig);
    let buffer = rig.buffer(80, 24);
    let colour = |letter: &str, row: u16| {
        let mut cells = (0..80).map(|column| buffer.cell((column, row)).unwrap());
        cells.find(|cell| cell.symbol() == letter).unwrap().fg
    };
    let row = |words: &str| {
        let text = (0..24u16).find(|row| {
            let cells = (0..80).map(|column| buffer.cell((column, *row)).unwrap().symbol());
            cells.collect::<String>().contains(words)
        });
        text.unwrap()
    };
    assert_eq!(colour("-", row("-CC = cc")), Color::Red);
    assert_eq!(colour("+", row("+CC = gcc")), Color::Green);
    assert_eq!(colour("r", row("return 0")), Color::Magenta, "a word of the language");
}

#[test]
fn a_long_question_has_pages_and_always_its_keys() {
    let mut rig = Rig::new();
    rig.told(vec![summary(12, RunState::Asking, "publish the next version")], 1);
    let steps: Vec<_> = (1..30).map(|step| format!("- [ ] **{step}. part {step}**")).collect();
    let detail = format!("# Plan\n\n{}", steps.join("\n"));
    let ask = Ask {
        kind: AskKind::PlanApproval,
        title: "Carry out this plan?".to_owned(),
        detail,
        ..permission()
    };
    rig.asks(vec![ask]);
    rig.press(KeyCode::Char('2'));
    check("inbox-plan", &mut rig);
    let keys = "E edit the plan";
    let mut pages = 0;
    while !rig.text(80, 24).contains("29. part 29") {
        assert!(rig.text(80, 24).contains(keys) && pages < 9, "{}", rig.text(80, 24));
        rig.press(KeyCode::PageDown);
        pages += 1;
    }
    assert!(pages > 0 && !rig.text(80, 24).contains(" 1. part 1"));
    for _ in 0..9 {
        rig.press(KeyCode::PageUp);
    }
    assert!(rig.text(80, 24).contains(" 1. part 1"));
}

#[test]
fn a_fleet_has_a_table_and_a_graph() {
    let mut rig = opened(Mode::Fleet, "four tasks");
    let run = rig.run();
    rig.event(run, 1, None, task("parse", 1, RunState::Done, &[]));
    rig.event(run, 2, None, task("lex", 2, RunState::Failed, &[]));
    rig.event(run, 3, None, task("check", 3, RunState::Running, &["parse"]));
    rig.event(run, 4, None, task("emit", 4, RunState::Queued, &["check", "lex"]));
    rig.event(run, 5, Some("check"), said("I read the parser first."));
    rig.press(KeyCode::Tab);
    check("fleet", &mut rig);
    for code in [KeyCode::Down, KeyCode::Down, KeyCode::Enter] {
        rig.press(code);
    }
    let text = rig.text(80, 24);
    assert!(text.contains("only check") && text.contains("I read the parser"), "{text}");
    assert!(!text.contains("lex failed"), "the other tasks are left out: {text}");
    rig.press(KeyCode::Esc);
    assert!(rig.text(80, 24).contains("who waits for whom"));
}

#[test]
fn a_plan_has_steps_with_checks_and_a_council_ballots() {
    let mut rig = opened(Mode::Plan, "a web shop");
    let run = rig.run();
    rig.event(run, 1, None, step(1, "lay out the database", "done"));
    rig.event(run, 2, None, step(2, "serve the pages", "running"));
    rig.event(run, 3, None, step(3, "take the money", "pending"));
    rig.event(run, 4, Some("2/1"), EventBody::Iteration { number: 1, max: 10 });
    rig.event(run, 5, Some("2/1"), gate("cargo test", 1, "2 tests failed"));
    rig.event(run, 6, Some("2/2"), EventBody::Iteration { number: 2, max: 10 });
    rig.event(run, 7, Some("2/2"), gate("cargo test", 0, "ok"));
    rig.press(KeyCode::Tab);
    check("plan", &mut rig);

    let mut rig = opened(Mode::Council, "sled or sqlite?");
    let run = rig.run();
    rig.event(run, 1, None, member("gpt-5", RunState::Running, "opinion"));
    rig.event(run, 2, None, member("claude-opus", RunState::Done, "review"));
    rig.event(run, 3, None, decided());
    rig.press(KeyCode::Tab);
    check("council", &mut rig);
}

#[test]
fn a_loop_has_iterations() {
    let mut rig = opened(Mode::Ralph, "make it green");
    let run = rig.run();
    rig.event(run, 1, Some("1"), EventBody::Iteration { number: 1, max: 5 });
    rig.event(run, 2, Some("1"), gate("make test", 2, "3 of 40 fail"));
    rig.event(run, 3, Some("2"), EventBody::Iteration { number: 2, max: 5 });
    rig.press(KeyCode::Tab);
    check("ralph", &mut rig);
}

#[test]
fn the_inbox_shows_what_is_asked_in_full() {
    let mut rig = house();
    rig.press(KeyCode::Char('2'));
    rig.asks(vec![permission(), choice()]);
    check("inbox", &mut rig);
    rig.press(KeyCode::Down);
    rig.press(KeyCode::Enter);
    check("question", &mut rig);
}

#[test]
fn a_question_without_choices_names_no_numbers() {
    let mut rig = house();
    rig.press(KeyCode::Char('2'));
    rig.asks(vec![Ask { choices: Vec::new(), ..choice() }]);
    for shown in [rig.text(80, 24), {
        rig.press(KeyCode::Enter);
        rig.text(80, 24)
    }] {
        assert!(shown.contains("your own words") && !shown.contains("a number"), "{shown}");
    }
}

#[test]
fn money_and_pool_are_told() {
    let mut rig = house();
    rig.press(KeyCode::Char('3'));
    rig.replied(Call::Spend, &spend());
    check("spend", &mut rig);
    rig.press(KeyCode::Char('4'));
    rig.pool();
    check("pool", &mut rig);
}

#[test]
fn what_lies_over_a_screen_hides_what_is_below() {
    let mut rig = house();
    rig.control('p');
    for c in "pool".chars() {
        rig.press(KeyCode::Char(c));
    }
    check("palette", &mut rig);
    rig.press(KeyCode::Esc);
    rig.press(KeyCode::Char('?'));
    check("help", &mut rig);
    rig.press(KeyCode::Esc);
    rig.press(KeyCode::Char('n'));
    rig.model.update(Msg::Paste("write a poem\nabout houses".to_owned()));
    check("form", &mut rig);
    rig.press(KeyCode::Esc);
    rig.press(KeyCode::Down);
    rig.control('c');
    check("cancel", &mut rig);
}

#[test]
fn a_daemon_that_is_gone_is_told_and_the_list_stays() {
    let mut rig = house();
    rig.model.update(Msg::Link(Link::Lost { why: "copexd is gone: it closed".to_owned() }));
    check("lost", &mut rig);
}

#[test]
fn mono_has_no_colour_and_every_theme_the_same_letters() {
    let mut rig = house();
    let plain = rig.text(80, 24);
    rig.model.look.depth = Depth::Cube;
    for theme in Theme::ALL {
        rig.model.look.ui.theme = theme;
        assert_eq!(rig.text(80, 24), plain, "{theme:?}");
        let buffer = rig.buffer(80, 24);
        let colours = buffer.content.iter().any(|cell| cell.fg != Color::Reset);
        assert_eq!(colours, theme != Theme::Mono, "{theme:?}");
    }
}

#[test]
fn wide_characters_stay_whole_at_every_edge() {
    let mut rig = Rig::new();
    let title = |number: u32| {
        let words = "日本語の文章です、長い題名".repeat(12);
        summary(number, RunState::Running, &format!("{}{words}", "x".repeat(number as usize)))
    };
    rig.told((1..9).map(title).collect(), 0);
    let overs: [&[char]; 4] = [&[], &['?'], &[':'], &['n']];
    for over in overs {
        for key in over {
            rig.press(KeyCode::Char(*key));
        }
        for width in (40..=200).rev() {
            // What is drawn is looked at there.
            rig.text(width, 24);
        }
        rig.press(KeyCode::Esc);
    }
    rig.press(KeyCode::Enter);
    let run = rig.run();
    rig.event(run, 1, None, said(&"日本語の文章です ❤\u{fe0f} ".repeat(20)));
    rig.event(run, 2, None, gate_start(&"題名".repeat(99)));
    for width in 40..=200 {
        rig.text(width, 12);
    }
}

#[test]
fn no_size_and_no_text_breaks_it() {
    let mut rig = house();
    rig.press(KeyCode::Char('n'));
    rig.model.update(Msg::Paste("日本語 \u{1b}[2J word ".repeat(40)));
    for (width, height) in [(1, 1), (40, 10), (41, 11), (80, 24), (500, 5), (60, 12)] {
        let text = rig.text(width, height);
        assert!(!text.contains('\u{1b}'), "{text}");
    }
    let all: [fn(&mut Rig); 5] = [
        |rig| drop(rig.press(KeyCode::Char('?'))),
        |rig| drop(rig.control('p')),
        |rig| drop(rig.press(KeyCode::Char('a'))),
        |rig| drop(rig.control('c')),
        |rig| rig.model.complain(&"a long complaint ".repeat(40)),
    ];
    for over in all {
        let mut rig = house();
        rig.asks(vec![permission(), choice()]);
        over(&mut rig);
        for (width, height) in [
            (0, 0),
            (1, 1),
            (20, 3),
            (3, 90),
            (300, 2),
            (40, 10),
            (41, 11),
            (130, 10),
            (40, 60),
            (80, 24),
        ] {
            for key in ['1', '2', '3', '4'] {
                let over = rig.model.over.take();
                let note = rig.model.note.take();
                rig.press(KeyCode::Char(key));
                (rig.model.over, rig.model.note) = (over, note);
                rig.text(width, height);
            }
        }
    }
    let mut rig = opened(Mode::Fleet, &"x\u{7}\u{1b}]0;evil\u{7}".repeat(30));
    rig.press(KeyCode::Tab);
    for (width, height) in [(40, 10), (41, 11), (131, 12)] {
        assert!(!rig.text(width, height).contains('\u{1b}'));
    }
    assert_eq!(permission().kind, AskKind::Permission);
    assert_eq!(json!(Mode::Chat), "chat");
}
