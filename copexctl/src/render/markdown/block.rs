//! One block of Markdown as lines, and how many of them more text cannot change.

use std::ops::Range;

use pulldown_cmark::{
    Alignment, BrokenLink, BrokenLinkCallback, CodeBlockKind, Event, LinkType, OffsetIter, Options,
    Parser, Tag, TagEnd,
};

use super::Shape;
use super::inline::{self, Mark, Underline, Words};
use super::lay::{Leaf, Matter, Rendered, lay};
use super::refer::{Referred, defined, is_link, referred};
use super::split::held;
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

/// What the parser finds in `source`.
pub(super) fn events(source: &str, tables: Tables) -> OffsetIter<'_, impl BrokenLinkCallback<'_>> {
    let mut options = Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    if tables == Tables::Yes {
        options |= Options::ENABLE_TABLES;
    }
    let named = |link: BrokenLink<'_>| {
        let named = matches!(link.link_type, LinkType::Reference | LinkType::Collapsed);
        (named && is_link(source, &link.span)).then(|| (" ".into(), "".into()))
    };
    Parser::new_with_broken_link_callback(source, options, Some(named)).into_offset_iter()
}

/// The lines of `source`; `number` is that of its item, where it is one.
pub(super) fn render(
    source: &str,
    (tables, number): (Tables, Option<u64>),
    shape: &Shape,
    end: End,
) -> Rendered {
    let mut walk = Walk {
        source,
        number,
        shape,
        leaves: Vec::new(),
        stack: Vec::new(),
        lists: Vec::new(),
        links: Vec::new(),
        held: usize::MAX,
        task: None,
        words: None,
        code: None,
        table: None,
    };
    let mut events = events(source, tables);
    for (event, range) in events.by_ref() {
        walk.event(event, &range);
    }
    walk.end_words(source.len());
    for (name, it) in events.reference_definitions().iter() {
        // Words behind it would make it none.
        if end == End::Open && !source[it.span.start..].contains('\n') {
            continue;
        }
        // Its title may come on a line of its own, after it was shown.
        let words = defined(name, &it.dest, "", shape);
        walk.define(it.span.clone(), words);
    }
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
    /// The open links; with what is behind their words where it is no address.
    links: Vec<Option<Referred>>,
    /// From where on the present words may yet be cells of a table.
    held: usize,
    /// The mark of a task that is a table.
    task: Option<Span>,
    words: Option<(usize, Words)>,
    code: Option<(String, String)>,
    table: Option<Table>,
}

impl Walk<'_> {
    fn event(&mut self, event: Event<'_>, range: &Range<usize>) {
        // What ends here may end elsewhere when its mark goes on.
        let behind = self.source.get(range.end..).unwrap_or_default();
        let last = behind.chars().all(|it| "*_~`".contains(it)) || range.end > self.held;
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
                let held = range.end > self.held;
                self.words(range).push(&text, Some(Role::Dim), held.then_some(0));
            }
            Event::SoftBreak | Event::HardBreak => self.words(range).line_break(),
            Event::Rule => self.leaf(range.clone(), Matter::Rule),
            Event::TaskListMarker(done) => {
                if let Some(mark) = self.box_of(done) {
                    self.words(range).push(mark, Some(Role::Marker), None);
                }
            }
            Event::FootnoteReference(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.words(range).push(&text, None, None);
            }
        }
    }

    /// The box of a task, unless it could take the place of a bullet.
    fn box_of(&mut self, done: bool) -> Option<&'static str> {
        let mark = task(self.shape, done);
        match self.stack.last_mut().and_then(|item| item.first.as_mut()) {
            Some(bullet) if bullet.text == "• " => {
                *bullet = Span::new(mark, Role::Marker);
                None
            }
            _ => Some(mark),
        }
    }

    /// The words that are being read; begins them.
    fn words(&mut self, range: &Range<usize>) -> &mut Words {
        if self.words.is_none() {
            let bar = self.source.get(range.start..).and_then(held);
            self.held = bar.map_or(usize::MAX, |bar| range.start + bar);
        }
        &mut self.words.get_or_insert_with(|| (range.start, Words::default())).1
    }

    fn text(&mut self, text: &str, range: &Range<usize>) {
        self.words(range);
        let held = (self.held < range.end).then(|| self.held.saturating_sub(range.start));
        let doubt = inline::doubt(self.source, range).into_iter().chain(held).min();
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
            Tag::Link { dest_url, link_type, .. } | Tag::Image { dest_url, link_type, .. } => {
                let named = referred(self.source, range, *link_type);
                match &named {
                    None => {
                        let address = crate::render::clean(dest_url);
                        self.words(range).begin_link(&address);
                    }
                    Some(Referred::Link(_)) => self.words(range).begin(Mark::Reference),
                    Some(Referred::Text(before, _)) => self.words(range).push(before, None, None),
                }
                self.links.push(named);
            }
            _ => {
                self.end_words(range.start);
                self.start_block(tag, range);
            }
        }
    }

    fn start_block(&mut self, tag: &Tag<'_>, range: &Range<usize>) {
        match tag {
            // The words of one that is underlined may have been shown as a paragraph.
            Tag::Heading { level, .. } if underline(self.source, range).is_none() => {
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
                // The parser drops it there, and it was shown before this was a table.
                let before = self.source[..range.start].trim_end();
                let item = self.stack.last().is_some_and(|item| item.first.is_some());
                let done = [("[ ]", false), ("[x]", true), ("[X]", true)];
                let done = done.iter().find(|(mark, _)| item && before.ends_with(mark));
                let mark = done.and_then(|(_, done)| self.box_of(*done));
                self.task = mark.map(|mark| Span::new(mark, Role::Marker));
                let bar = self.source[range.start..].trim_start().starts_with('|');
                let open = !bar || done.is_some();
                self.table = Some(Table { open, sides, rows: Vec::new() });
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
                let address = match self.links.pop().flatten() {
                    None => self.words(range).end_link(last),
                    Some(Referred::Link(name)) => {
                        self.words(range).end(Mark::Reference, last);
                        self.words(range).push(&name, Some(Role::Dim), None);
                        None
                    }
                    Some(Referred::Text(_, behind)) => {
                        self.words(range).push(&behind, None, last.then_some(0));
                        None
                    }
                };
                if let Some(address) = address.filter(|_| !self.shape.links) {
                    self.words(range).push(&format!(" ({address})"), Some(Role::Dim), None);
                }
            }
            TagEnd::TableCell => {
                let (_, words) = self.words.take().unwrap_or_default();
                let mut cell = words.lines().concat();
                cell.splice(0..0, self.task.take());
                let Some(table) = &mut self.table else { return };
                table
                    .rows
                    .last_mut()
                    .into_iter()
                    .for_each(|row| row.push(std::mem::take(&mut cell)));
            }
            _ => {
                if let (TagEnd::Heading(_), Some((_, words))) = (tag, &mut self.words) {
                    words.underline = underline(self.source, range);
                }
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

    /// A definition stands where it was found, in what the block before it is in.
    fn define(&mut self, range: Range<usize>, words: Words) {
        let at = self.leaves.partition_point(|leaf| leaf.range.start < range.start);
        // They may yet be its title.
        if let Some(Leaf { matter: Matter::Words(words), range, .. }) = self.leaves.get_mut(at)
            && self.source[range.start..].starts_with(['"', '\'', '('])
        {
            words.doubt();
        }
        let around = at.checked_sub(1).map(|before| self.leaves[before].rest.clone());
        let (first, rest) = (around.clone().unwrap_or_default(), around.unwrap_or_default());
        self.leaves.insert(at, Leaf { range, first, rest, matter: Matter::Words(words) });
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

/// What a heading is underlined with, where it is one of that kind: its line is not its only one.
fn underline(source: &str, range: &Range<usize>) -> Option<Underline> {
    let (_, last) = source.get(range.clone())?.trim_end().rsplit_once('\n')?;
    Some(if last.contains('=') { Underline::Double } else { Underline::Single })
}

/// The mark of a task.
fn task(shape: &Shape, done: bool) -> &'static str {
    match (shape.plain, done) {
        (true, true) => "[x] ",
        (true, false) => "[ ] ",
        (false, true) => "☑ ",
        (false, false) => "☐ ",
    }
}
