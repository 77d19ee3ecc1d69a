//! The screen at several sizes.

use copex_proto::event::{EventBody, StepState};
use copex_proto::run::{Mode, RunState};

use super::super::model::tests::{AT, accepted, ask, fold, gate, says, step, tool};
use super::*;

fn asked(text: &str) -> Vec<Line> {
    text.lines().map(|line| Line::of(line, Role::Wants)).collect()
}

fn texts(frame: &Frame) -> Vec<String> {
    frame.lines.iter().map(|line| line.plain().trim_end().to_owned()).collect()
}

fn of_a_loop() -> Model {
    fold(vec![
        accepted(Mode::Ralph),
        EventBody::State { state: RunState::Running },
        EventBody::Iteration { number: 1, max: 30 },
        gate("cargo fmt --check", 0, ""),
        gate("cargo test", 101, "1 failed\n"),
        EventBody::Iteration { number: 2, max: 30 },
        EventBody::Warning { code: "commit".to_owned(), message: "not committed: a".to_owned() },
        says("I look at the test. "),
        tool(),
    ])
}

fn of_a_plan(steps: u32) -> Model {
    let states = (1..=steps).map(|number| {
        let state = match number {
            1..10 => StepState::Done,
            10 => StepState::Running,
            _ => StepState::Pending,
        };
        step(number, &format!("part {number}"), state)
    });
    fold(std::iter::once(accepted(Mode::Plan)).chain(states).collect())
}

#[test]
fn a_loop_on_a_usual_terminal() {
    let model = of_a_loop();
    let frame = frame(&model, AT + 75_000, (80, 24));
    let shown = texts(&frame);
    assert_eq!(shown.len(), 24);
    assert!(shown[0].starts_with("ralph · iteration 2 of 30 · "), "{shown:#?}");
    assert!(shown[0].ends_with(" 1 min 15 s"), "{shown:#?}");
    assert_eq!(shown[1], "make it work");
    assert_eq!(shown[2], "m1 · 0 in, 0 out tokens");
    assert!(shown[4].starts_with("▸ bash  cargo test") && shown[4].ends_with(" 1 min 7 s"));
    assert_eq!(shown[5], "✗ cargo test exit 101 (1.5 s): 1 failed");
    assert_eq!(shown[6], "✓ cargo fmt --check (1.5 s)");
    assert_eq!(shown[8], "I look at the test.");
    assert_eq!(shown[23], "warning: not committed: a");
    assert_eq!(frame.input, None);
    assert!(frame.lines.iter().all(|line| line.width() <= 79));
}

#[test]
fn it_fits_whatever_the_size() {
    let mut models = [of_a_loop(), of_a_plan(40), Model::default(), of_a_loop()];
    models[3].question =
        Some(asked(&format!("shell: {}\n{}Allow?", "x ".repeat(99), "line\n".repeat(40))));
    for model in &models {
        for (columns, rows) in [(80, 24), (200, 60), (40, 10), (20, 5), (10, 3), (5, 1), (0, 0)] {
            let frame = frame(model, AT, (columns, rows));
            assert!(frame.lines.len() <= rows.max(1), "{columns}x{rows}: {:#?}", texts(&frame));
            let most = columns.max(LEAST_COLUMNS) - 1;
            assert!(frame.lines.iter().all(|line| line.width() <= most), "{columns}x{rows}");
            assert!(frame.input.is_none_or(|(row, _)| row < rows.max(1)), "{columns}x{rows}");
        }
    }
}

#[test]
fn the_present_step_is_always_in_sight() {
    let model = of_a_plan(40);
    for rows in [8, 12, 24, 60] {
        let shown = texts(&frame(&model, AT, (80, rows)));
        assert!(shown.iter().any(|line| line == "▸ 10 part 10"), "{rows}: {shown:#?}");
        assert!(shown[0].starts_with("plan · step 10 of 40"), "{shown:#?}");
    }
    let shown = texts(&frame(&model, AT, (80, 24)));
    assert!(shown.iter().any(|line| line == "✓  9 part 9"), "{shown:#?}");
    assert!(shown.iter().any(|line| line == "· 11 part 11"), "{shown:#?}");
}

#[test]
fn a_question_has_a_row_to_type_in() {
    let mut model = of_a_loop();
    model.question = Some(asked("shell: rm\nAllow? [y]es / [n]o / [a]lways"));
    for (columns, rows) in [(80, 24), (80, 6), (30, 14)] {
        let frame = frame(&model, AT, (columns, rows));
        let shown = texts(&frame);
        let (row, column) = frame.input.unwrap();
        assert!(shown[row].ends_with("lways"), "{columns}x{rows}: {shown:#?}");
        assert_eq!(column, frame.lines[row].width() + 1);
        assert!(shown.iter().any(|line| line == "shell: rm"), "{shown:#?}");
    }
    model.question = Some(vec![Line::of("-a", Role::Removed), Line::of("Allow?", Role::Wants)]);
    let coloured = frame(&model, AT, (80, 24));
    let line = coloured.lines.iter().find(|line| line.plain() == "-a").unwrap();
    assert_eq!(line.spans[0].style.role, Role::Removed, "a change keeps its colours");
    let roomy = frame(&model, AT, (80, 24));
    assert_eq!(roomy.input.unwrap().0, 22, "a row is left for long answers");
}

#[test]
fn who_cannot_answer_here_is_told_how() {
    let model = fold(vec![accepted(Mode::Ralph), ask("r-1")]);
    let shown = texts(&frame(&model, AT, (80, 24)));
    assert!(
        shown.iter().any(|line| line.contains("copexctl runs answer r-1 · shell: rm")),
        "{shown:#?}"
    );
}

#[test]
fn what_is_left_at_the_end_names_iterations_steps_and_notes() {
    let texts = |model: &Model| {
        parts::summary(model, 80).iter().map(Line::plain).collect::<Vec<_>>().join("\n")
    };
    let left = texts(&of_a_loop());
    assert!(left.contains("  ✗ iteration 1: cargo test exit 101: 1 failed\n"), "{left}");
    assert!(left.contains("  · iteration 2\n"), "{left}");
    assert!(left.ends_with("copexctl: warning: not committed: a"), "{left}");
    let left = texts(&of_a_plan(12));
    assert!(left.contains("  ▸ 10 part 10\n") && left.contains("  ✓  9 part 9\n"), "{left}");
}
