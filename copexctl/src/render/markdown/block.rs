//! One block of Markdown as lines, and how many of them more text cannot change.

use std::ops::Range;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::Shape;
use super::inline::{self, Mark, Words};
use super::lay::{Leaf, Matter, Rendered, lay};
use super::table::{Side, Table};
use crate::render::styled::{Line, Role, Span, Style};

/// Whether more text may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It may.
    Open,
    /// It is whole.
    Closed,
}

/// Whether a bar may begin a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tables {
    /// It may.
    Yes,
    /// It is a bar.
    No,
}

/// The lines of `source`; `number` is that of its item, where it is one.
pub(super) fn render(
    source: &str,
    (tables, number): (Tables, Option<u64>),
    shape: &Shape,
    end: End,
) -> Rendered {
    let mut options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    if tables == Tables::Yes {
        options |= Options::ENABLE_TABLES;
    }
    let mut walk = Walk {
        source,
        number,
        shape,
        leaves: Vec::new(),
        stack: Vec::new(),
        lists: Vec::new(),
        words: None,
        code: None,
        table: None,
    };
    for (event, range) in Parser::new_ext(source, options).into_offset_iter() {
        walk.event(event, &range);
    }
    walk.end_words(source.len());
    lay(&walk.leaves, source, shape, end)
}

/// What holds other blocks: what stands before its first line, and before the others.
#[derive(Debug)]
struct Container {
    first: Option<Span>,
    rest: Span,
}

struct Walk<'a> {
    source: &'a str,
    number: Option<u64>,
    shape: &'a Shape,
    leaves: Vec<Leaf>,
    stack: Vec<Container>,
    lists: Vec<Option<u64>>,
    words: Option<(usize, Words)>,
    code: Option<(String, String)>,
    table: Option<Table>,
}

impl Walk<'_> {
    fn event(&mut self, event: Event<'_>, range: &Range<usize>) {
        // What ends here may end elsewhere when its mark goes on.
        let behind = self.source.get(range.end..).unwrap_or_default();
        let last = behind.chars().all(|it| "*_~`".contains(it));
        match event {
            Event::Start(tag) => self.start(&tag, range),
            Event::End(tag) => self.end(tag, range, last),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.text(&text, range),
            },
            Event::Code(text) => {
                let text = text.replace('\n', " ");
                self.words(range).push(&text, Some(Role::Code), last.then_some(0));
            }
            Event::Html(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.words(range).push(&text, Some(Role::Dim), None),
            },
            Event::InlineHtml(text) => {
                let text = text.replace('\n', " ");
                self.words(range).push(&text, Some(Role::Dim), None);
            }
            Event::SoftBreak | Event::HardBreak => self.words(range).line_break(),
            Event::Rule => self.leaf(range.clone(), Matter::Rule),
            Event::TaskListMarker(done) => {
                let mark = match (self.shape.plain, done) {
                    (true, true) => "[x] ",
                    (true, false) => "[ ] ",
                    (false, true) => "☑ ",
                    (false, false) => "☐ ",
                };
                self.words(range).push(mark, Some(Role::Marker), None);
            }
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.words(range).push(&text, None, None);
            }
        }
    }

    /// The words that are being read; begins them.
    fn words(&mut self, range: &Range<usize>) -> &mut Words {
        &mut self.words.get_or_insert_with(|| (range.start, Words::default())).1
    }

    fn text(&mut self, text: &str, range: &Range<usize>) {
        let doubt = inline::doubt(self.source, range);
        // Where an entity stands, places in the source are none in the text.
        let same = self.source.get(range.clone()) == Some(text);
        let text = text.replace(['\t', '\n'], " ");
        self.words(range).push(&text, None, doubt.map(|at| if same { at } else { 0 }));
    }

    fn start(&mut self, tag: &Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Strong => self.words(range).begin(Mark::Strong),
            Tag::Emphasis => self.words(range).begin(Mark::Emphasis),
            Tag::Strikethrough => self.words(range).begin(Mark::Strike),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => {
                let address = crate::render::clean(dest_url);
                self.words(range).begin_link(&address);
            }
            _ => {
                self.end_words(range.start);
                self.start_block(tag, range);
            }
        }
    }

    fn start_block(&mut self, tag: &Tag<'_>, range: &Range<usize>) {
        match tag {
            // One that is underlined is a paragraph: it may have been shown as one.
            Tag::Heading { level, .. } if self.source[range.start..].starts_with('#') => {
                let mut words = Words::of(Style::from(Role::Heading));
                if self.shape.marks {
                    let marks = "#".repeat(*level as usize);
                    words.push(&format!("{marks} "), None, None);
                }
                self.words = Some((range.start, words));
            }
            Tag::CodeBlock(kind) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((info, String::new()));
            }
            Tag::HtmlBlock => self.code = Some(("html".to_owned(), String::new())),
            Tag::List(first) => {
                let first = if self.lists.is_empty() { self.number.or(*first) } else { *first };
                self.lists.push(first);
            }
            Tag::Item => {
                let marker = match self.lists.last_mut() {
                    Some(Some(number)) => {
                        let marker = format!("{number}. ");
                        *number += 1;
                        marker
                    }
                    _ if self.shape.plain => "- ".to_owned(),
                    _ => "• ".to_owned(),
                };
                let rest = " ".repeat(crate::render::wrap::width(&marker));
                let first = Some(Span::new(marker, Role::Marker));
                self.stack.push(Container { first, rest: Span::new(rest, Role::Text) });
            }
            Tag::BlockQuote(_) => {
                let bar = if self.shape.plain { "> " } else { "│ " };
                self.stack.push(Container { first: None, rest: Span::new(bar, Role::Quote) });
            }
            Tag::Table(sides) => {
                let side = |it: &Alignment| match it {
                    Alignment::Center => Side::Middle,
                    Alignment::Right => Side::Right,
                    Alignment::Left | Alignment::None => Side::Left,
                };
                let sides = sides.iter().map(side).collect();
                self.table = Some(Table { sides, rows: Vec::new() });
            }
            Tag::TableHead | Tag::TableRow => {
                if let Some(table) = &mut self.table {
                    table.rows.push(Vec::new());
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd, range: &Range<usize>, last: bool) {
        match tag {
            TagEnd::Strong => self.words(range).end(Mark::Strong, last),
            TagEnd::Emphasis => self.words(range).end(Mark::Emphasis, last),
            TagEnd::Strikethrough => self.words(range).end(Mark::Strike, last),
            TagEnd::Link | TagEnd::Image => {
                let address = self.words(range).end_link(last);
                if let Some(address) = address.filter(|_| !self.shape.links) {
                    self.words(range).push(&format!(" ({address})"), Some(Role::Dim), None);
                }
            }
            TagEnd::TableCell => {
                let (_, words) = self.words.take().unwrap_or_default();
                let cell = words.lines().concat();
                if let Some(row) = self.table.as_mut().and_then(|table| table.rows.last_mut()) {
                    row.push(cell);
                }
            }
            _ => {
                self.end_words(range.end);
                self.end_block(tag, range);
            }
        }
    }

    fn end_block(&mut self, tag: TagEnd, range: &Range<usize>) {
        match tag {
            TagEnd::CodeBlock | TagEnd::HtmlBlock => {
                if let Some((info, text)) = self.code.take() {
                    let indent = if tag == TagEnd::CodeBlock { 2 } else { 0 };
                    self.leaf(range.clone(), Matter::Code { info, text, indent });
                }
            }
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.leaf(range.clone(), Matter::Table(table));
                }
            }
            TagEnd::Item => {
                let unused = self.stack.last().is_some_and(|item| item.first.is_some());
                if unused {
                    self.leaf(range.clone(), Matter::Words(Words::default()));
                }
                self.stack.pop();
            }
            TagEnd::BlockQuote(_) => {
                self.stack.pop();
            }
            TagEnd::List(_) => {
                self.lists.pop();
            }
            _ => {}
        }
    }

    fn end_words(&mut self, at: usize) {
        if let Some((from, words)) = self.words.take() {
            self.leaf(from..at, Matter::Words(words));
        }
    }

    /// A block that holds no others, behind what its containers have before it.
    fn leaf(&mut self, range: Range<usize>, matter: Matter) {
        let mut first = Line::default();
        for container in &mut self.stack {
            first.spans.push(container.first.take().unwrap_or_else(|| container.rest.clone()));
        }
        let rest = Line { spans: self.stack.iter().map(|it| it.rest.clone()).collect() };
        self.leaves.push(Leaf { range, first, rest, matter });
    }
}
