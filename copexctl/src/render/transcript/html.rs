//! A log as one page that needs nothing else: no script, no picture, no other file.
//!
//! Invariant: what a model or a tool said is text of the page and never part of it. HTML in
//! Markdown is shown, not taken; addresses lead only where a reader expects.

use std::fmt::Write as _;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd, html};

use super::fold::Block;
use crate::render::markdown::code::{Highlight, is_diff};
use crate::render::styled::Role;
use crate::render::tools::exit_code;
use crate::render::{brief, clean, duration, telling};

/// Before the first block.
pub(crate) const HEAD: &str = r#"<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>copex</title><style>
:root{color-scheme:light dark;--bg:#fff;--fg:#1f2328;--dim:#656d76;--box:#f6f8fa;--line:#d0d7de;--h:#0550ae;--k:#8250df;--s:#0a6640;--n:#953800;--t:#0550ae;--add:#116329;--del:#a40e26}
@media(prefers-color-scheme:dark){:root{--bg:#0d1117;--fg:#e6edf3;--dim:#8d96a0;--box:#161b22;--line:#30363d;--h:#79c0ff;--k:#d2a8ff;--s:#7ee787;--n:#ffa657;--t:#79c0ff;--add:#7ee787;--del:#ff7b72}}
body{background:var(--bg);color:var(--fg);font:16px/1.6 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;overflow-wrap:break-word}
pre,code{font:14px/1.5 ui-monospace,monospace}pre{background:var(--box);padding:.8rem;overflow:auto;border-radius:6px}:not(pre)>code{background:var(--box);padding:.1rem .3rem;border-radius:4px}
table{border-collapse:collapse}td,th{border:1px solid var(--line);padding:.3rem .6rem}blockquote{border-left:3px solid var(--line);margin:0;padding-left:1rem;color:var(--dim)}
.user{border-left:3px solid var(--h);padding-left:1rem;white-space:pre-wrap}.dim,details{color:var(--dim)}summary{cursor:pointer}.bad{color:var(--del)}.good{color:var(--add)}
.k{color:var(--k)}.s{color:var(--s)}.n{color:var(--n)}.t{color:var(--t)}.c{color:var(--dim)}.a{color:var(--add)}.d{color:var(--del)}.h{color:var(--h)}
</style></head><body><main>
"#;

/// Behind the last block.
pub(crate) const FOOT: &str = "</main></body></html>\n";

/// A block.
pub(crate) fn block(block: &Block) -> String {
    match block {
        Block::User(text) => {
            format!("<section class=\"user\">{}</section>\n", escaped(text.trim()))
        }
        Block::Answer(text) => format!("<section>{}</section>\n", page(text)),
        Block::Reasoning(text) => format!(
            "<details><summary>Reasoning</summary><pre>{}</pre></details>\n",
            escaped(text.trim())
        ),
        Block::Note(text) => format!("<p class=\"dim\">{}</p>\n", escaped(text)),
        Block::Tool(start, end) => {
            let red = exit_code(end).filter(|code| *code != 0);
            let (mark, class) = match (end.success, red) {
                (true, None) => ('✓', "good"),
                (true, Some(_)) => ('!', "bad"),
                (false, _) => ('✗', "bad"),
            };
            let red = red.map(|code| format!(" exit {code}")).unwrap_or_default();
            let about = start.as_ref().and_then(telling).map(|text| brief(text, 200));
            let about = about.map(|text| format!(" <code>{}</code>", escaped(&text)));
            let head = format!(
                "<span class=\"{class}\">{mark}</span> <b>{}</b>{}{red} {}",
                escaped(&end.name),
                about.unwrap_or_default(),
                duration(end.duration_ms)
            );
            let result = end.result.trim_end();
            if result.is_empty() {
                return format!("<p class=\"dim\">{head}</p>\n");
            }
            let info = if is_diff(result) { "diff" } else { "" };
            format!("<details><summary>{head}</summary>{}</details>\n", code(info, result))
        }
    }
}

/// Markdown as HTML.
fn page(text: &str) -> String {
    let options =
        Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS | Options::ENABLE_TABLES;
    let mut events = Vec::new();
    let mut block: Option<(String, String)> = None;
    for event in Parser::new_ext(text, options) {
        match (event, &mut block) {
            (Event::Start(Tag::CodeBlock(kind)), _) => {
                let info = match kind {
                    CodeBlockKind::Fenced(info) => info.to_string(),
                    CodeBlockKind::Indented => String::new(),
                };
                block = Some((info, String::new()));
            }
            (Event::End(TagEnd::CodeBlock), Some((info, text))) => {
                events.push(Event::Html(code(info, text).into()));
                block = None;
            }
            (Event::Text(text), Some((_, code))) => code.push_str(&text),
            (Event::Html(text) | Event::InlineHtml(text), _) => {
                events.push(Event::Text(clean(&text).into()));
            }
            (Event::Text(text), None) => events.push(Event::Text(clean(&text).into())),
            (Event::Code(text), _) => events.push(Event::Code(clean(&text).into())),
            // A picture would be fetched: it is a link.
            (
                Event::Start(
                    Tag::Link { link_type, dest_url, title, id }
                    | Tag::Image { link_type, dest_url, title, id },
                ),
                _,
            ) => {
                let dest_url = address(dest_url);
                events.push(Event::Start(Tag::Link { link_type, dest_url, title, id }));
            }
            (Event::End(TagEnd::Image), _) => events.push(Event::End(TagEnd::Link)),
            (event, _) => events.push(event),
        }
    }
    let mut page = String::new();
    html::push_html(&mut page, events.into_iter());
    page
}

/// An address that leads where a reader expects, else to nowhere.
fn address(address: CowStr<'_>) -> CowStr<'_> {
    let scheme = address.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("http" | "https" | "mailto") | None => address,
        Some(_) => "#".into(),
    }
}

fn code(info: &str, text: &str) -> String {
    let mut highlight = Highlight::of(info);
    let mut html = String::from("<pre><code>");
    for line in text.lines() {
        for span in highlight.line(&clean(line)).spans {
            let class = match span.style.role {
                Role::Keyword => "k",
                Role::Literal => "s",
                Role::Number => "n",
                Role::Type | Role::Function => "t",
                Role::Comment | Role::Dim => "c",
                Role::Added => "a",
                Role::Removed => "d",
                Role::Hunk => "h",
                _ => "",
            };
            if class.is_empty() {
                html.push_str(&escaped(&span.text));
            } else {
                let _ = write!(html, "<span class=\"{class}\">{}</span>", escaped(&span.text));
            }
        }
        html.push('\n');
    }
    html.push_str("</code></pre>");
    html
}

fn escaped(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    for char in clean(text).chars() {
        match char {
            '&' => kept.push_str("&amp;"),
            '<' => kept.push_str("&lt;"),
            '>' => kept.push_str("&gt;"),
            '"' => kept.push_str("&quot;"),
            '\'' => kept.push_str("&#39;"),
            char => kept.push(char),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use copex_proto::event::{ToolEnd, ToolStart};

    use super::*;

    #[test]
    fn nothing_that_was_said_is_part_of_the_page() {
        const EVIL: &str = "<script>alert(1)</script> <img src=x onerror=alert(1)>\n\n<div onclick=x>\n\n\
            [a](javascript:alert(1)) [b](JaVaScript:x) ![c](data:text/html,x) <javascript:x>\n\n\
            ```x\"><script>\n</code></pre><script>\n```\n`<b>`\n\n| <i> |\n|---|\n| <u> |";
        let tool = ToolEnd {
            call: "c".to_owned(),
            name: EVIL.to_owned(),
            success: false,
            result: EVIL.to_owned(),
            duration_ms: 1,
        };
        let start = ToolStart {
            call: "c".to_owned(),
            name: EVIL.to_owned(),
            arguments: serde_json::json!({ "command": EVIL }),
        };
        let blocks = [
            Block::User(EVIL.to_owned()),
            Block::Answer(EVIL.to_owned()),
            Block::Reasoning(EVIL.to_owned()),
            Block::Note(EVIL.to_owned()),
            Block::Tool(Some(start), tool),
        ];
        for block in blocks.iter().map(super::block) {
            let lower = block.to_ascii_lowercase();
            for part in [
                "<script",
                "<img",
                "<div",
                "<b>`",
                "href=\"javascript",
                "href=\"data",
                "<i>",
                "<u>",
            ] {
                assert!(!lower.contains(part), "{part}: {block}");
            }
        }
    }

    #[test]
    fn an_answer_is_a_page_with_coloured_code() {
        let text = "# A\n\n- b\n\n```rust\nfn x() {}\n```\n\n[c](https://d.e)";
        let html = block(&Block::Answer(text.to_owned()));
        let parts =
            ["<h1>A</h1>", "<li>b</li>", "<span class=\"k\">fn</span>", "href=\"https://d.e\""];
        for part in parts {
            assert!(html.contains(part), "{part}: {html}");
        }
    }
}
