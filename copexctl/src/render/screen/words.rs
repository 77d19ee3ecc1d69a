//! The agent's last words: laid out where one has the screen, a line where several share it.
//! Pure.

use copex_proto::run::Mode;

use super::line::{cut_left, piece};
use super::work::Work;
use crate::render::markdown::{self, Shape};
use crate::render::said::{self, Piece};
use crate::render::styled::{Line, Role};
use crate::render::theme::Look;

/// Bytes of a text that are laid out: more than a large screen holds.
const TAIL: usize = 12 * 1024;

/// The end of the words, so many rows of it.
pub(super) fn last(
    mode: Mode,
    work: &Work,
    look: &Look,
    (columns, rows): (usize, usize),
) -> Vec<Line> {
    let laid = |text: &str| markdown::lines(&tail(text), Shape::new(look, columns));
    let mut lines = Vec::new();
    match said::pieces(mode, &work.words, work.whole) {
        None => lines = laid(&work.words),
        Some(pieces) => {
            for said in pieces {
                let told = said.told().map(|told| piece(Role::Dim, &format!("· {told}")));
                lines.extend(told.iter().flat_map(|told| told.broken(columns)));
                match &said {
                    Piece::Words(words) if words.trim().is_empty() => {}
                    Piece::Words(words) => {
                        if !lines.is_empty() {
                            lines.push(Line::default());
                        }
                        lines.extend(laid(words));
                        lines.push(Line::default());
                    }
                    Piece::Plan(titles) => {
                        lines.extend(titles.iter().zip(1..).map(|(title, number)| {
                            piece(Role::Text, &format!("  {number:>2}. {title}"))
                        }));
                    }
                    Piece::Decision(decision) => lines.extend(laid(decision)),
                    _ => {}
                }
            }
        }
    }
    let says = |line: &Line| line.width() > 0;
    lines.truncate(lines.iter().rposition(says).map_or(0, |last| last + 1));
    lines.split_off(lines.len().saturating_sub(rows))
}

/// The end of the words in a line of so many columns; nothing where there are none.
pub(super) fn line(mode: Mode, work: &Work, columns: usize) -> Option<String> {
    let pieces = said::pieces(mode, &work.words, work.whole);
    let end = match pieces.iter().flatten().rev().find(|it| !is_blank(it)) {
        None => work.words.as_str(),
        Some(Piece::Words(words)) => words,
        Some(Piece::Decision(decision)) => decision,
        Some(told) => return told.told().map(|told| cut_left(&told, columns)),
    };
    // A fence, a rule or the begin of either says nothing.
    let end = end.lines().rfind(|line| line.chars().any(char::is_alphanumeric))?.trim();
    if work.words.matches("```").count() % 2 == 1 {
        // Code has no marks.
        return Some(cut_left(end, columns)).filter(|_| !end.starts_with("```"));
    }
    let shape = Shape { width: usize::MAX, plain: false, links: true, marks: false };
    let plain: Vec<String> = markdown::lines(end, shape).iter().map(Line::plain).collect();
    let said = plain.iter().rfind(|line| !line.trim().is_empty())?;
    Some(cut_left(said.trim_end(), columns))
}

fn is_blank(piece: &Piece<'_>) -> bool {
    matches!(piece, Piece::Words(words) if words.trim().is_empty())
}

/// The end of a long text, from the begin of a line on, inside a fence where that was cut off.
fn tail(text: &str) -> String {
    let from = text.ceil_char_boundary(text.len().saturating_sub(TAIL));
    if from == 0 {
        return text.to_owned();
    }
    let from = text[from..].find('\n').map_or(from, |line| from + line + 1);
    let fenced = text[..from].lines().filter(|line| line.starts_with("```")).count() % 2 == 1;
    let fence = if fenced { "```\n" } else { "" };
    format!("{fence}{}", &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, whole: bool) -> Work {
        Work { words: text.to_owned(), whole, ..Work::default() }
    }

    fn rows(mode: Mode, text: &str, whole: bool) -> Vec<String> {
        let lines = last(mode, &said(text, whole), &Look::default(), (40, 9));
        lines.iter().map(|line| line.plain().trim_end().to_owned()).collect()
    }

    const PLAN: &str =
        "I looked.\n```json\n{\"steps\": [{\"title\": \"a\"}, {\"title\": \"b\"}]}\n```";

    #[test]
    fn what_was_said_to_copex_is_told_in_words() {
        let told = ["I looked.", "", "· a plan of 2 steps", "   1. a", "   2. b"];
        assert_eq!(rows(Mode::Plan, PLAN, true), told);
        assert_eq!(rows(Mode::Plan, &PLAN[..40], false), ["I looked.", "", "· a plan …"]);
        let done = "All **green**.\n\n<promise>DONE</promise>";
        assert_eq!(rows(Mode::Ralph, done, true), ["All green.", "", "· promise: DONE"]);
        let decision = "{\"decision\": \"Take *it*.\"}";
        assert_eq!(rows(Mode::Council, decision, true), ["· decision:", "Take it."]);
    }

    #[test]
    fn where_several_share_the_screen_each_has_a_line_of_words() {
        let row = |mode, text, whole| line(mode, &said(text, whole), 30);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(row(Mode::Plan, PLAN, true), some("a plan of 2 steps"));
        let review = "{\"ranking\": [\"B\", \"A\"], \"agree\": true}";
        assert_eq!(row(Mode::Council, review, true), some("ballot: B > A; all agree"));
        assert_eq!(row(Mode::Council, &review[..20], false), some("a ballot …"));
        assert_eq!(row(Mode::Fleet, "a\n- **one** `two`\n", false), some("• one two"));
        assert_eq!(row(Mode::Fleet, "```\nlet a = *b * *c;", false), some("let a = *b * *c;"));
        assert_eq!(row(Mode::Fleet, "```rust", false), None);
        assert_eq!(row(Mode::Fleet, "| a | b |\n|---", false), some("| a | b |"));
        assert_eq!(row(Mode::Fleet, " ", false), None);
    }

    #[test]
    fn a_long_text_is_laid_out_from_a_line_on_and_code_stays_code() {
        let text = format!("```\n{}", "let *a* = 1;\n".repeat(2_000));
        let rows = rows(Mode::Ralph, &text, false);
        assert_eq!(rows.len(), 9);
        assert!(rows.iter().all(|row| row.ends_with("let *a* = 1;")), "{rows:#?}");
    }
}
