//! The head of a table below words: GFM lets a table interrupt a paragraph, the parser knows
//! one only at its begin.

use pulldown_cmark::{Event, Tag, TagEnd};

use super::block::{Tables, events};
use super::split::delimits;

/// Ends a paragraph where a table begins. It is an end of line for the parser alone: it stands in
/// no text, and no empty line is shown for it.
const CUT: char = '\r';

/// Bytes of a block in which it is looked for: it is parsed for each line that could be the
/// second of a table.
const MOST: usize = 16 * 1024;

/// Cuts the paragraph at the end of this block where its last two lines begin a table; whether
/// they do. What stands before them was shown as words, and stays so: a head that is within a
/// link, a code or a style that began before is none.
pub(super) fn cut(block: &mut String) -> bool {
    let Some((head, delimiter)) = last_lines(block) else { return false };
    let line = &block[head..delimiter];
    let words = line.trim_start_matches([' ', '\t', '>']);
    if head == 0 || !words.contains('|') || !delimits(marks_off(&block[delimiter..])) {
        return false;
    }
    let before = &line[..line.len() - words.len()];
    let whole = format!("{}{}{CUT}{}", &block[..head], before.trim_end(), &block[head..]);
    let inside = inside(&block[..delimiter], head - 1);
    if inside.is_none() || inside != table(&whole, head) {
        return false;
    }
    *block = whole;
    true
}

/// Where the last two lines begin, of a block of which all lines are whole.
fn last_lines(block: &str) -> Option<(usize, usize)> {
    let text = block.strip_suffix('\n').filter(|it| it.len() < MOST)?;
    let delimiter = text.rfind('\n')? + 1;
    Some((text[..delimiter - 1].rfind(['\n', CUT]).map_or(0, |at| at + 1), delimiter))
}

/// A line without what the blocks around it have before it.
fn marks_off(line: &str) -> &str {
    line.trim_start_matches([' ', '\t', '>']).trim_end()
}

/// In how many blocks the line ends here, where it ends between words of a paragraph.
fn inside(source: &str, end: usize) -> Option<usize> {
    let (mut blocks, mut marks) = (0_usize, 0_usize);
    for (event, range) in events(source, Tables::Yes) {
        match event {
            Event::Start(tag) if is_mark(tag.to_end()) => marks += 1,
            Event::End(tag) if is_mark(tag) => marks -= 1,
            Event::Start(tag) if holds(&tag) => blocks += 1,
            Event::End(TagEnd::Item | TagEnd::BlockQuote(_)) => blocks -= 1,
            Event::SoftBreak | Event::HardBreak if range.contains(&end) => {
                return (marks == 0).then_some(blocks);
            }
            _ => {}
        }
    }
    None
}

/// In how many blocks a table is that begins behind this place.
fn table(source: &str, from: usize) -> Option<usize> {
    let mut blocks = 0_usize;
    for (event, range) in events(source, Tables::Yes) {
        match event {
            Event::Start(Tag::Table(_)) if range.start > from => return Some(blocks),
            Event::Start(tag) if holds(&tag) => blocks += 1,
            Event::End(TagEnd::Item | TagEnd::BlockQuote(_)) => blocks -= 1,
            _ => {}
        }
    }
    None
}

fn holds(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::Item | Tag::BlockQuote(_))
}

fn is_mark(tag: TagEnd) -> bool {
    use TagEnd::{Emphasis, Image, Link, Strikethrough, Strong};
    matches!(tag, Strong | Emphasis | Strikethrough | Link | Image)
}
