//! Rows of cells, as lists and facts are shown.

use std::io::{self, IsTerminal as _};

use super::printer;
use super::wrap::width;

/// Columns between cells.
const GAP: usize = 2;

/// Columns that words need to be broken among themselves: fewer are no column.
const LEAST: usize = 24;

/// Before what goes on in another line.
const INDENT: usize = 4;

/// Rows with columns of one width, the last one ragged. On a terminal that is too narrow, no
/// word is torn: the last column goes on below itself, or whole cells on a line of their own.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    laid(rows, io::stdout().is_terminal().then(printer::columns))
}

fn laid(rows: &[Vec<String>], most: Option<usize>) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let wide = |at: usize| rows.iter().filter_map(|row| row.get(at)).map(|cell| width(cell)).max();
    let widths: Vec<_> = (0..count).map(|at| wide(at).unwrap_or(0)).collect();
    let most = most.unwrap_or(usize::MAX);
    let mut text = String::new();
    for row in rows {
        let mut used = 0;
        for (at, (cell, wide)) in row.iter().zip(&widths).enumerate() {
            if row[at..].iter().all(String::is_empty) {
                break;
            }
            let last = at + 1 == row.len();
            if last && most.saturating_sub(used) >= LEAST {
                words(&mut text, cell, used, most);
                break;
            }
            if used > INDENT && used + width(cell) > most {
                end(&mut text);
                text.extend(std::iter::repeat_n(' ', INDENT));
                used = INDENT;
            }
            text.push_str(cell);
            text.extend(std::iter::repeat_n(' ', wide + GAP - width(cell)));
            used += wide + GAP;
        }
        end(&mut text);
    }
    text
}

/// Ends a line, without blanks at its end.
fn end(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// Words from column `from` on. One that is longer than the line is the terminal's to break, so
/// that it can be copied.
fn words(text: &mut String, cell: &str, from: usize, most: usize) {
    if from.saturating_add(width(cell)) <= most {
        return text.push_str(cell);
    }
    let mut used = from;
    for (at, word) in cell.split(' ').enumerate() {
        if at > 0 && used + 1 + width(word) > most {
            end(text);
            text.extend(std::iter::repeat_n(' ', from));
            used = from;
        } else if at > 0 {
            text.push(' ');
            used += 1;
        }
        text.push_str(word);
        used += width(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect()
    }

    #[test]
    fn columns_are_of_one_width_and_wide_characters_count() {
        let rows = rows(&[&["a", "漢字", "x"], &["bcd", "y", "z z"], &["only"]]);
        assert_eq!(laid(&rows, None), "a     漢字  x\nbcd   y     z z\nonly\n");
    }

    #[test]
    fn no_word_is_torn_where_the_terminal_is_narrow() {
        let facts = rows(&[&["key", "one two three four five six seven"], &["k", "short"]]);
        let wrapped = "key  one two three four five\n     six seven\nk    short\n";
        assert_eq!(laid(&facts, Some(30)), wrapped);
        let path = rows(&[&["key", "/a/path/that/is/longer/than/any/line x"]]);
        let wrapped = "key  /a/path/that/is/longer/than/any/line\n     x\n";
        assert_eq!(laid(&path, Some(30)), wrapped, "to be copied");
        let list = rows(&[&["0123456789", "2026-11-26", "done", "a title"]]);
        let folded = "0123456789  2026-11-26\n    done  a title\n";
        assert_eq!(laid(&list, Some(24)), folded);
        let empty = rows(&[&["0123456789", "2026-11-26-12:30", "", ""], &["x", "y", "z", "w"]]);
        let folded = "0123456789  2026-11-26-12:30\nx           y\n    z  w\n";
        assert_eq!(laid(&empty, Some(28)), folded, "no row of nothing");
    }
}
