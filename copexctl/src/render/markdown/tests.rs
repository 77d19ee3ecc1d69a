use proptest::prelude::*;

use super::*;
use crate::render::styled::{Line, Role};
use crate::render::wrap::width;

const SHAPE: Shape = Shape { width: 40, plain: false, links: false, marks: false };

/// The lines of a text that comes in these pieces; what is shown of a line before it is whole
/// must be its begin.
fn streamed<'a>(pieces: impl IntoIterator<Item = &'a str>, shape: Shape) -> Vec<Line> {
    let (mut stream, mut lines) = (Stream::default(), Vec::new());
    let mut shown: Option<(usize, String)> = None;
    for piece in pieces {
        stream.push(piece, &|| shape, &mut lines);
        check(&mut shown, &lines);
        if let Some(partial) = stream.partial() {
            let text = partial.plain();
            if let Some((at, before)) = &shown {
                assert!(*at == lines.len() && text.starts_with(before.as_str()), "{before} {text}");
            }
            shown = Some((lines.len(), text));
        }
    }
    stream.finish(&|| shape, &mut lines);
    check(&mut shown, &lines);
    assert_eq!(shown, None);
    lines
}

fn check(shown: &mut Option<(usize, String)>, lines: &[Line]) {
    if let Some((at, text)) = shown.as_ref()
        && let Some(line) = lines.get(*at)
    {
        assert!(line.plain().starts_with(text.as_str()), "shown {text:?}, then {line:?}");
        *shown = None;
    }
}

fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| line.plain() + "\n").collect()
}

const SAMPLE: &str = "# Title\n\nSome **bold words** and *slanted* ones with `code x` in a line that wraps, \
~5 minutes, a_b_c, 2 * 3 [here](http://x.y) and <b>tag</b>.\nA second line\n\n\
- one\n- two with a long text that has to be broken to lines of its own\n  - deeper\n\n    ```rust\n    fn x() {}\n\n    let y = 1;\n    ```\n- three\n\n\
1. a\n1. b\n\n   more of b\n\n7. c\n\n> quoted *words*\n> > twice\nlazy\n\n\
```python\ndef f(x):\n    return \"é日本\"  # comment\n\n\n```\n\n\
| name | what it is | n |\n|:-----|:----------:|--:|\n| a | a long cell that has to be broken | 1 |\n| `b` | 日本語 | 22 |\n\n\
---\nText\n===\nMore\n---\n\n- [ ] open\n- [x] done\n\n    indented code\n\n    more\n\nhead | of\n:-- | --:\na | table\n\n- k | v\n  --|--\n  1 | 2\n- [some words][1] and [x]\n\n> | q | r |\n> |---|---|\n> | 1 | 2 |\n\n[1]: http://a.b/c\n\n<details>\n<summary>x</summary>\n</details>\n\n\
日本語の文章はスペースがないので途中で折り返す必要がありますそうですね。\nend ❤️ 👩‍👩‍👧 e\u{301}";

#[test]
fn a_text_has_the_same_lines_however_it_is_cut() {
    for width in [16, 24, 40, 80, 200] {
        let shape = Shape { width, ..SHAPE };
        let whole = streamed([SAMPLE], shape);
        let chars: Vec<_> =
            SAMPLE.char_indices().map(|(at, c)| &SAMPLE[at..at + c.len_utf8()]).collect();
        assert_eq!(streamed(chars, shape), whole);
        let lines: Vec<_> = SAMPLE.split_inclusive('\n').collect();
        assert_eq!(streamed(lines, shape), whole);
    }
}

#[test]
fn what_a_second_line_decides_is_the_same_however_it_is_cut() {
    let sources = [
        "- [ ] --- | ---\n  |--|--|\n  a | b",
        "- [x] | a | b |\n  |--|--|\n",
        "> --|*\n> - :-|-:\n",
        "a long head that takes more than a line of it | b\n--|--\nc | d\n",
        "head | b\n--|--\n",
        "> *Title\n> --x*\n",
        "words before\na longer head | b\n--|--\nc | d\n",
        "words\\\n**a** | b\n--|--\nc",
        "- [ ] words\n  a | b\n  --|--\n  - c | d",
        "> words | x\n> a | b\n> -|-|\n> -|\n> -|-|-",
        "*a\nb | c\n--|--\nd*\n\n[x\ny][z] | c\n--|--\n",
        "![a\n]\\[x][1]",
        "- [word]:- x",
        "- ```\n[1]: http://u\n(x)\n  ",
        "[1]: http://u\n\"no title\nof it",
    ];
    for (source, plain) in sources.iter().flat_map(|it| [(it, false), (it, true)]) {
        let shape = Shape { width: 24, plain, ..SHAPE };
        let each: Vec<_> =
            source.char_indices().map(|(at, c)| &source[at..at + c.len_utf8()]).collect();
        assert_eq!(streamed(each, shape), streamed([*source], shape), "{source}");
    }
    let narrow = lines(sources[3], Shape { width: 24, ..SHAPE });
    assert_eq!(
        text(&narrow),
        "a long head that takes\nmore than a line of it |\nb\na long head that takes\nmore than a line of it:\nc\nb: d\n"
    );
    assert_eq!(text(&lines(sources[4], Shape { plain: true, ..SHAPE })), "head | b\n");
}

#[test]
fn each_kind_of_block_has_its_form() {
    let cases = [
        ("# A *b*\nwords", "A b\nwords\n"),
        ("a\nb\n\n\n\nc", "a\nb\n\nc\n"),
        ("- a\n  - b\n- c", "• a\n  • b\n• c\n"),
        ("1. a\n1. b\n\ntext\n\n1. c\n5. d", "1. a\n2. b\n\ntext\n\n1. c\n5. d\n"),
        ("> a\n> - b", "│ a\n│ • b\n"),
        ("```\na\n  b\n```\nc", "  a\n    b\nc\n"),
        ("a b\n---\nb\n===\nc", "a b\n───\nb\n═\nc\n"),
        ("> a\n> ===\n\n- b\n  ---", "│ a\n│ ═\n\n• b\n  ─\n"),
        ("***\n===", "────────\n===\n"),
        ("- [x] a\n- [ ] b", "☑ a\n☐ b\n"),
        ("[a](http://b) <http://c>", "a (http://b) http://c\n"),
        ("![a](b.png)", "a (b.png)\n"),
        ("| a | b |\n|---|--:|\n| c | 10 |", "a │  b\n──┼───\nc │ 10\n"),
        ("a | b", "a | b\n"),
        ("a | b\nc", "a | b\nc\n"),
        ("a | b\n--- | --:\nc | 10\nd", "a │  b\n──┼───\nc │ 10\nd\n"),
        ("a | b\n|---|---|\n| c | 10 |", "a │ b\n──┼───\nc │ 10\n"),
        (
            "- x\n\n  | a | b |\n  |---|---|\n  | c | 10 |\n- y",
            "• x\n\n  a │ b\n  ──┼───\n  c │ 10\n• y\n",
        ),
        ("> | a | b |\n> |---|---|\n> | c | 10 |\n\nd", "│ a │ b\n│ ──┼───\n│ c │ 10\n\nd\n"),
        ("- a | b\n  --|--\n  c | d", "• a │ b\n  ──┼──\n  c │ d\n"),
        ("w\na | b\n--|--\nc | d\ne", "w\na │ b\n──┼──\nc │ d\ne\n"),
        ("w\nx\na | b\n|--|--|\nc | d", "w\nx\na │ b\n──┼──\nc │ d\n"),
        ("x | y\na | b\n--|--", "x | y\na │ b\n──┼──\n"),
        ("- w\n  a | b\n  --|--\n  c | d\n- x", "• w\n  a │ b\n  ──┼──\n  c │ d\n• x\n"),
        ("> w\n> a | b\n> --|--\n> c | d", "│ w\n│ a │ b\n│ ──┼──\n│ c │ d\n"),
        ("> - w\n>   a | b\n>   --|--", "│ • w\n│   a │ b\n│   ──┼──\n"),
        ("1. w\n   a | b\n   --|--\n\n   z", "1. w\n   a │ b\n   ──┼──\n\n   z\n"),
        ("> w\na | b\n> --|--", "│ w\n│ a | b\n│ --|--\n"),
        ("- w\na | b\n--|--", "• w\n  a | b\n  --|--\n"),
        ("w\na | b\n--|--|--", "w\na | b\n--|--|--\n"),
        ("*w\na* | b\n--|--", "w\na | b\n--|--\n"),
        ("`w\na` | b\n--|--", "w a | b\n--|--\n"),
        ("*w\na | b\n--|--\nc* | d", "*w\na  │ b\n───┼──\nc* │ d\n"),
        (
            "[x][1] y [z][]\n\n[1]: http://a\n[z]: <b> \"T\"",
            "x [1] y z\n\n[1]: http://a\n[z]: b \"T\"\n",
        ),
        ("a[i][j] as [1][2] say [k]", "a[i][j] as [1][2] say [k]\n"),
        ("- a[k][] b[x][k] ![y][k]\n\n  [k]: c", "• a[k][] b[x][k] y [k]\n\n  [k]: c\n"),
        ("- [k] a [x][k]\n\n  [k]: http://a\n- b", "• [k] a x [k]\n\n  [k]: http://a\n• b\n"),
        ("a &amp; b \\* c", "a & b * c\n"),
        ("x <T> y", "x <T> y\n"),
        ("", ""),
        ("\n\n", ""),
    ];
    for (source, wanted) in cases {
        assert_eq!(text(&lines(source, SHAPE)), wanted, "{source}");
    }
}

#[test]
fn without_drawing_everything_is_a_plain_line() {
    let shape = Shape { plain: true, marks: true, ..SHAPE };
    let source = "## A\n\n- b\n\n> c\n\n| h | i |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |\n\n---";
    let wanted = "## A\n\n- b\n\n> c\n\nh: 1\ni: 2\n\nh: 3\ni: 4\n\n---\n";
    assert_eq!(text(&lines(source, shape)), wanted);
}

#[test]
fn words_come_before_their_line_is_whole() {
    let (mut stream, mut lines) = (Stream::default(), Vec::new());
    let mut shown = |piece: &str| {
        stream.push(piece, &|| SHAPE, &mut lines);
        stream.partial().map(Line::plain).unwrap_or_default()
    };
    assert_eq!(shown("Hello wor"), "Hello");
    assert_eq!(shown("ld, this **is"), "Hello world, this");
    assert_eq!(shown("** it"), "Hello world, this is");
    assert_eq!(shown("\n"), "");
    assert_eq!(shown("my "), "my", "a space behind it says that a word is whole");
    assert_eq!(shown("*own* "), "my own");
    assert_eq!(shown("*two "), "my own", "what may yet be slanted is not sure");
    assert_eq!(shown("words* "), "my own two words");
    assert_eq!(shown("\n\n- [ ] first "), "☐ first");
    stream.finish(&|| SHAPE, &mut lines);
    let lines: Vec<_> = lines.iter().map(Line::plain).collect();
    assert_eq!(lines, ["Hello world, this is it", "my own two words", "", "☐ first"]);
}

#[test]
fn code_comes_line_by_line() {
    let (mut stream, mut lines) = (Stream::default(), Vec::new());
    stream.push("```rs\nfn a() {\n", &|| SHAPE, &mut lines);
    assert_eq!(text(&lines), "  fn a() {\n");
    assert!(lines[0].spans.iter().any(|span| span.style.role == Role::Keyword));
}

#[test]
fn no_control_character_passes() {
    let text = "a\u{1b}[31mb \u{1b}]0;title\u{7} `\u{9b}c`\r\n```\u{1b}\n\u{1b}c\n```\n[x](http://a\u{1b}b)";
    for line in lines(text, SHAPE) {
        for span in line.spans {
            let all = span.text + span.link.as_deref().unwrap_or_default();
            assert!(!all.chars().any(char::is_control), "{all:?}");
        }
    }
}

#[test]
fn of_a_long_text_only_the_open_block_is_kept() {
    let (mut stream, mut out) = (Stream::default(), Vec::new());
    for number in 0..1_000 {
        stream.push(&format!("Paragraph {number}\n\n```\ncode\n"), &|| SHAPE, &mut out);
        assert!(stream.held() < 20);
        stream.push("```\n\n", &|| SHAPE, &mut out);
    }
    assert_eq!(out.len(), 4 * 1_000 - 1);
}

fn piece() -> impl Strategy<Value = String> {
    const WORDS: &[&str] = &[
        "word",
        " ",
        "  ",
        "\n",
        "\n\n",
        "*",
        "**",
        "_",
        "`",
        "```\n",
        "```rs\n",
        "~~",
        "[",
        "]",
        "(x)",
        "|",
        "| a | b |\n",
        "|--|--|\n",
        "- ",
        "1. ",
        "2) ",
        "> ",
        "# ",
        "    ",
        "---",
        "===",
        "<b>",
        "<!--",
        "&amp;",
        "\\",
        "日本",
        "❤️",
        "e\u{301}",
        "\u{200d}",
        "\t",
        "a_b",
        "! ",
        "![",
        ":",
        "internationalization",
        "- [ ] ",
        "\n  ",
        "\n- ",
        "\n1. ",
        "\n> ",
        "a | b",
        "| c",
        "--- | ---\n",
        ":-|-:\n",
        "\n===\n",
        "\n---\n",
        "\n> --",
        "[x][1]",
        "[x][]",
        "[1]: http://u\n",
        "\n[x]: v",
        "\na | b\n--|--\n",
        "\n> c | d\n> --|--\n",
        "\n  e | f\n  -|-\n",
    ];
    prop_oneof![4 => proptest::sample::select(WORDS).prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 5_000,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_text_in_any_pieces_has_the_same_lines_and_none_is_too_wide(
        pieces in proptest::collection::vec(piece(), 0..40),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
        columns in 16_usize..60,
    ) {
        let shape = Shape { width: columns, ..SHAPE };
        let source: String = pieces.concat();
        let whole = streamed([source.as_str()], shape);
        let mut ends: Vec<_> = cuts.iter().map(|cut| cut.index(source.len() + 1)).collect();
        ends.retain(|end| source.is_char_boundary(*end));
        ends.push(source.len());
        ends.sort_unstable();
        let mut from = 0;
        let cut: Vec<_> = ends.iter().map(|end| &source[std::mem::replace(&mut from, *end)..*end]).collect();
        prop_assert_eq!(&streamed(cut, shape), &whole);
        let each: Vec<_> = source.char_indices().map(|(at, c)| &source[at..at + c.len_utf8()]).collect();
        prop_assert_eq!(&streamed(each, shape), &whole);
        for line in &whole {
            prop_assert!(width(&line.plain()) <= columns, "{:?}", line.plain());
        }
    }
}
