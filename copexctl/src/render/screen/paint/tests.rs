//! What is written to the terminal.

use copex_proto::config::Ui;

use super::*;
use crate::render::screen::line::piece;
use crate::render::styled::Role;
use crate::render::theme::Depth;

fn look(depth: Depth) -> Look {
    Look { depth, ..Look::plain(Ui::default()) }
}

fn lines(texts: &[&str]) -> Vec<Line> {
    texts.iter().map(|text| piece(Role::Good, text)).collect()
}

fn frame(texts: &[&str]) -> Frame {
    Frame { lines: lines(texts), input: None }
}

/// What is written for each frame.
fn written(look: Look, frames: Vec<(Frame, Extent)>) -> Vec<String> {
    let mut painter = Painter::new(Vec::new(), look);
    let mut told = Vec::new();
    for (frame, extent) in frames {
        painter.paint(frame, 4, extent).unwrap();
        told.push(String::from_utf8(std::mem::take(&mut painter.out)).unwrap());
    }
    painter.leave();
    told.push(String::from_utf8(painter.out).unwrap());
    told
}

#[test]
fn only_what_has_changed_is_written() {
    let told = written(
        look(Depth::None),
        vec![
            (frame(&["one", "two"]), Extent::Changed),
            (frame(&["one", "three"]), Extent::Changed),
            (frame(&["one"]), Extent::Changed),
            (frame(&["one"]), Extent::Mend),
            (frame(&["one"]), Extent::All),
        ],
    );
    assert!(told[0].starts_with("\u{1b}[?1049h") && told[0].contains("\u{1b}[2J"), "{told:#?}");
    assert!(told[1].contains("three") && !told[1].contains("one"), "{told:#?}");
    assert!(told[2].contains("\u{1b}[2;1H\u{1b}[K") && !told[2].contains("one"), "{told:#?}");
    assert!(told[3].contains("one") && !told[3].contains("\u{1b}[2J"), "{told:#?}");
    assert!(told[4].contains("\u{1b}[2J"), "{told:#?}");
    assert!(told[5].contains("\u{1b}[?1049l") && told[5].contains("\u{1b}[?25h"), "{told:#?}");
    assert!(told.iter().all(|text| !text.contains("\u{1b}[0m")), "no colours: {told:#?}");
}

#[test]
fn colours_end_with_their_text() {
    let told = written(look(Depth::Ansi), vec![(frame(&["one"]), Extent::Changed)]);
    assert!(told[0].contains("one\u{1b}[0m"), "{told:#?}");
}

#[test]
fn what_a_person_types_stays() {
    let asking =
        |first: &str| Frame { lines: lines(&[first, "yes or no", ""]), input: Some((1, 10)) };
    let told = written(
        look(Depth::None),
        vec![
            (asking("a"), Extent::Changed),
            (asking("b"), Extent::Changed),
            (asking("b"), Extent::Mend),
            (frame(&["c"]), Extent::Changed),
        ],
    );
    assert!(told[0].contains("\u{1b}[2;11H\u{1b}[?25h"), "{told:#?}");
    for kept in &told[1..3] {
        assert!(!kept.contains("yes or no") && !kept.contains("\u{1b}[2;"), "{told:#?}");
        assert!(kept.contains("\u{1b}7") && kept.contains("\u{1b}8"), "{told:#?}");
    }
    assert!(told[3].contains("\u{1b}[2J"), "the question is gone: {told:#?}");
}

#[test]
fn a_terminal_that_was_not_drawn_on_is_left_alone() {
    assert_eq!(written(look(Depth::Ansi), Vec::new()), [""]);
}
