//! Links by a name that is defined elsewhere: `[words][name]`, and `[name]: address`.
//!
//! A definition may come long after the words, which stand there by then. So the words name
//! what they refer to, and a definition is a line of its own, as a footnote is.

use std::ops::Range;

use pulldown_cmark::LinkType;

use super::Shape;
use super::inline::Words;
use super::split::{indent, trim};
use crate::render::styled::{Line, Role};
use crate::render::wrap::{Margin, words};

/// What stands around the words of a link by name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Referred {
    /// The words are a link, and this comes behind them.
    Link(String),
    /// It is text in brackets: these stand before and behind it.
    Text(String, String),
}

/// How a link by name is shown; nothing where it has an address of its own.
pub(super) fn referred(source: &str, range: &Range<usize>, kind: LinkType) -> Option<Referred> {
    use LinkType::{
        Collapsed, CollapsedUnknown, Reference, ReferenceUnknown, Shortcut, ShortcutUnknown,
    };
    let text = source.get(range.clone())?;
    let (link, name) = match kind {
        Reference | ReferenceUnknown => (true, &text[text.rfind('[')?..]),
        Collapsed | CollapsedUnknown => (true, "[]"),
        Shortcut | ShortcutUnknown => (false, ""),
        _ => return None,
    };
    if link && is_link(source, range) {
        return Some(Referred::Link(if name == "[]" { String::new() } else { format!(" {name}") }));
    }
    let before = &text[..=text.find('[')?];
    Some(Referred::Text(before.to_owned(), format!("]{name}")))
}

/// Whether `[words][name]` reads as a link: `a[i][j]` and the notes `[1][2]` do not.
pub(super) fn is_link(source: &str, range: &Range<usize>) -> bool {
    let before = source[..range.start].chars().next_back();
    let text = source.get(range.clone()).unwrap_or_default().trim_start_matches(['!', '[']);
    let said = text.split(']').next().unwrap_or_default();
    !before.is_some_and(|it| it.is_alphanumeric() || "_])".contains(it))
        && said.chars().any(|it| !it.is_ascii_digit())
}

/// Whether a line may yet become a definition when more of it comes.
pub(super) fn may_be_definition(line: &str) -> bool {
    let Some(rest) = line.trim_start_matches([' ', '\t']).strip_prefix('[') else { return false };
    rest.split_once(']').is_none_or(|(_, rest)| rest.is_empty() || rest.starts_with(':'))
}

/// The lines of a definition; none when the line is not one.
pub(super) fn definition(line: &str, shape: &Shape) -> Option<Vec<Line>> {
    let text = trim(line);
    let (name, rest) = text.strip_prefix('[')?.split_once("]:")?;
    if indent(line) >= 4 || name.trim().is_empty() || name.contains(['[', ']']) {
        return None;
    }
    let rest = trim(rest);
    let (address, title) = match rest.strip_prefix('<') {
        Some(rest) => rest.split_once('>')?,
        None => rest.split_once([' ', '\t']).unwrap_or((rest, "")),
    };
    let title = trim(title);
    let quoted = title.is_empty()
        || [('"', '"'), ('\'', '\''), ('(', ')')]
            .iter()
            .any(|(begin, end)| title.starts_with(*begin) && title.ends_with(*end));
    if address.is_empty() || !quoted {
        return None;
    }
    let spans = defined(name, address, title, shape).lines().concat();
    let nothing = Line::default();
    Some(words(&spans, Margin { first: &nothing, rest: &nothing }, shape.width))
}

/// The words of a definition.
pub(super) fn defined(name: &str, address: &str, title: &str, shape: &Shape) -> Words {
    let flat = |text: &str| crate::render::clean(text).replace(['\t', '\n'], " ");
    let (mut words, address) = (Words::default(), flat(address));
    // While nothing stands behind it, a title may come.
    words.push(&format!("[{}]: ", flat(name)), Some(Role::Dim), Some(0));
    if shape.links {
        words.begin_link(&address);
        words.push(&address, None, None);
        words.end_link(false);
    } else {
        words.push(&address, Some(Role::Link), None);
    }
    if !title.is_empty() {
        words.push(&format!(" {}", flat(title)), Some(Role::Dim), None);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHAPE: Shape = Shape { width: 40, plain: false, links: true, marks: false };

    #[test]
    fn a_definition_is_a_line_that_leads_there() {
        let text = |line| definition(line, &SHAPE).map(|lines| lines[0].plain());
        let cases = [
            ("[1]: http://a.b", Some("[1]: http://a.b")),
            ("  [a b]:<http://a> \"T\"", Some("[a b]: http://a \"T\"")),
            ("[1]:", None),
            ("[ ]: x", None),
            ("[^1]: words of a note", None),
            ("[1] x", None),
            ("    [1]: x", None),
        ];
        for (line, wanted) in cases {
            assert_eq!(text(line).as_deref(), wanted, "{line}");
        }
        let line = definition("[1]: http://a", &SHAPE).unwrap().remove(0);
        assert_eq!(line.spans[1].link.as_deref(), Some("http://a"));
    }

    #[test]
    fn a_line_may_be_a_definition_until_it_says_otherwise() {
        for line in ["[", "[a", "[a]", "[a]:", "[a]: x y"] {
            assert!(may_be_definition(line), "{line}");
        }
        for line in ["a", "[a] ", "[a](", "[a][1]"] {
            assert!(!may_be_definition(line), "{line}");
        }
    }
}
