//! What an answer says about the loop: a promise, that it is blocked, or a question.
//!
//! A tag counts where the agent says it, and not where it quotes it: never in a code fence,
//! in inline code, in a block quote, between quotation marks, or in words of the prompt that
//! are said again.

/// Stands for text that is not looked at: a tag cannot reach over it.
const GAP: char = '\u{fffc}';

/// Words beside a tag that must be the prompt's for it to be an echo, and how many are
/// compared. Fewer are found by chance.
const ECHO_WORDS: std::ops::RangeInclusive<usize> = 3..=4;

/// The text of the prompt's own example of a blocked answer.
pub(super) const REASON: &str = "the reason";

/// The text of the prompt's own example of a question.
pub(super) const QUESTION: &str = "the question";

/// What an answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Whether it makes the promise.
    pub promised: bool,
    /// Why nothing can be done any more.
    pub blocked: Option<String>,
    /// What only a person can say.
    pub question: Option<String>,
}

/// Reads an answer to a prompt.
pub(super) fn read(answer: &str, promise: Option<&str>, prompt: &str) -> Said {
    let shown = without_quotes(answer);
    let prompt = normal(prompt);
    let tags = |name: &str| -> Vec<String> {
        let found = find(&shown, name).into_iter();
        found.filter(|tag| !tag.is_quoted(&shown, name, &prompt)).map(|tag| tag.text).collect()
    };
    let own = |name: &str, example: &str| {
        let mut said = tags(name).into_iter().map(|text| collapse(&text));
        said.rfind(|text| !text.is_empty() && normal(text) != example)
    };
    let promised = promise.is_some_and(|promise| {
        let wanted = normal(promise);
        tags("promise").iter().any(|text| normal(text) == wanted)
    });
    Said { promised, blocked: own("blocked", REASON), question: own("needs-human", QUESTION) }
}

/// White space collapsed.
fn collapse(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// As texts are compared: white space collapsed, case away.
fn normal(text: &str) -> String {
    collapse(text).to_lowercase()
}

/// A tag with its text.
struct Tag {
    start: usize,
    end: usize,
    text: String,
}

impl Tag {
    fn is_quoted(&self, shown: &str, name: &str, prompt: &str) -> bool {
        const MARKS: [char; 10] = ['"', '\'', '“', '”', '„', '‘', '’', '«', '»', GAP];
        let line = shown[..self.start].rfind('\n').map_or(0, |at| at + 1);
        let end = shown[self.end..].find('\n').map_or(shown.len(), |at| self.end + at);
        let (before, after) = (&shown[line..self.start], &shown[self.end..end]);
        if before.ends_with(MARKS) && after.starts_with(MARKS) {
            return true;
        }
        let tag = format!("<{name}>{}</{name}>", normal(&self.text));
        let words: Vec<String> = before.split_whitespace().map(str::to_lowercase).collect();
        let last = &words[words.len().saturating_sub(*ECHO_WORDS.end())..];
        let echoed = |words: &[String], text: String| {
            words.len() >= *ECHO_WORDS.start() && prompt.contains(&text)
        };
        let first: Vec<String> = after.split_whitespace().map(str::to_lowercase).collect();
        let first = &first[..first.len().min(*ECHO_WORDS.end())];
        let space = |there: bool| if there { " " } else { "" };
        let gap = space(before.ends_with(char::is_whitespace));
        let space = space(after.starts_with(char::is_whitespace));
        echoed(last, format!("{}{gap}{tag}", last.join(" ")))
            || echoed(first, format!("{tag}{space}{}", first.join(" ")))
    }
}

/// The tags of this name. The innermost counts where one is inside another.
fn find(shown: &str, name: &str) -> Vec<Tag> {
    let lower = shown.to_ascii_lowercase();
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut tags = Vec::new();
    let mut from = 0;
    while let Some(at) = lower[from..].find(&close) {
        let at = from + at;
        if let Some(start) = lower[from..at].rfind(&open) {
            let start = from + start;
            let text = shown[start + open.len()..at].to_owned();
            tags.push(Tag { start, end: at + close.len(), text });
        }
        from = at + close.len();
    }
    tags
}

/// The text with code and block quotes taken out.
fn without_quotes(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut fence: Option<(char, usize)> = None;
    let mut paragraph = String::new();
    for line in text.lines() {
        let inner = without_markers(line);
        let hidden = if let Some((mark, length)) = fence {
            let run = run_of(inner, mark);
            if run >= length && inner[run..].trim().is_empty() {
                fence = None;
            }
            true
        } else if let Some(opened) = opens_fence(inner) {
            fence = Some(opened);
            true
        } else {
            inner.starts_with('>')
        };
        if hidden || inner.trim().is_empty() {
            shown.push_str(&without_code(&paragraph));
            paragraph.clear();
            if hidden {
                shown.push(GAP);
            }
            shown.push('\n');
        } else {
            paragraph.push_str(line);
            paragraph.push('\n');
        }
    }
    shown.push_str(&without_code(&paragraph));
    shown
}

/// A line without its indent and the markers of lists before its text.
fn without_markers(line: &str) -> &str {
    let mut rest = line.trim_start();
    loop {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let numbered = (digits > 0).then(|| &rest[digits..]);
        let marked = numbered.and_then(|rest| rest.strip_prefix(['.', ')']));
        let next = marked.or_else(|| rest.strip_prefix(['-', '*', '+']));
        match next {
            Some(next) if next.starts_with([' ', '\t']) => rest = next.trim_start(),
            _ => return rest,
        }
    }
}

fn run_of(text: &str, mark: char) -> usize {
    text.chars().take_while(|c| *c == mark).count()
}

fn opens_fence(line: &str) -> Option<(char, usize)> {
    let mark = line.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let run = run_of(line, mark);
    let inline = mark == '`' && line[run..].contains('`');
    (run >= 3 && !inline).then_some((mark, run))
}

/// A paragraph without its inline code: runs of as many backticks open and close it.
fn without_code(paragraph: &str) -> String {
    let mut shown = String::with_capacity(paragraph.len());
    let mut rest = paragraph;
    while let Some(at) = rest.find('`') {
        let run = run_of(&rest[at..], '`');
        let after = &rest[at + run..];
        shown.push_str(&rest[..at]);
        if rest[..at].ends_with('\\') {
            shown.push('`');
            rest = &rest[at + 1..];
            continue;
        }
        if let Some(end) = closing(after, run) {
            shown.push(GAP);
            rest = &after[end..];
        } else {
            shown.push_str(&rest[at..at + run]);
            rest = after;
        }
    }
    shown.push_str(rest);
    shown
}

/// Where the code ends that a run of so many backticks began.
fn closing(text: &str, run: usize) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].find('`') {
        let at = from + at;
        let length = run_of(&text[at..], '`');
        if length == run {
            return Some(at + length);
        }
        from = at + length;
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PROMPT: &str = "Do it. Once it is true, end your answer with a line of its own that \
                          says <promise>ALL TESTS PASSING</promise>, and not before.";

    fn promised(answer: &str) -> bool {
        read(answer, Some("ALL  tests PASSING"), PROMPT).promised
    }

    #[test]
    fn the_promise_counts_where_the_agent_makes_it() {
        let yes = [
            "<promise>ALL TESTS PASSING</promise>",
            "Done. <Promise>all tests passing</PROMISE>",
            "It works:\n\n**<promise> All\n  tests passing </promise>**\n",
            "- done\n- <promise>ALL TESTS PASSING</promise>",
            "`cargo test` is green. <promise>ALL TESTS PASSING</promise> and `x` is gone",
            "a stray ` here\n\n<promise>ALL TESTS PASSING</promise> and a ` there",
            "```\ncode\n```\n<promise>ALL TESTS PASSING</promise>",
            "> quoted\n\n<promise>ALL TESTS PASSING</promise>",
            "<promise>x <promise>ALL TESTS PASSING</promise>",
            "\"quoted\" <promise>ALL TESTS PASSING</promise>",
        ];
        for answer in yes {
            assert!(promised(answer), "{answer}");
        }
    }

    #[test]
    fn the_promise_does_not_count_where_it_is_quoted() {
        let no = [
            "",
            "ALL TESTS PASSING",
            "<promise>ALL TESTS FAILING</promise>",
            "<promise>ALL TESTS PASSING",
            "```\n<promise>ALL TESTS PASSING</promise>\n```",
            "~~~~xml\n```\n<promise>ALL TESTS PASSING</promise>\n~~~\n",
            "1. ```\n   <promise>ALL TESTS PASSING</promise>\n   ```",
            "I will say `<promise>ALL TESTS PASSING</promise>` then",
            "I will say ``a ` <promise>ALL TESTS PASSING</promise>`` then",
            "over `lines\n<promise>ALL TESTS PASSING</promise>\nof` code",
            "> <promise>ALL TESTS PASSING</promise>",
            "  > - <promise>ALL TESTS PASSING</promise>",
            "I was told: \"<promise>ALL TESTS PASSING</promise>\".",
            "My task: end your answer with a line of its own that says \
             <promise>ALL TESTS PASSING</promise>, and not before.",
            "<promise>ALL TESTS PASSING</promise>, and not before. Not yet.",
            "<promise>ALL\n```\nTESTS\n```\nPASSING</promise>",
        ];
        for answer in no {
            assert!(!promised(answer), "{answer}");
        }
        assert!(!read("<promise>x</promise>", None, PROMPT).promised);
    }

    #[test]
    fn a_reason_and_a_question_are_read_and_the_examples_are_not() {
        let said = read("<blocked>no\n network</blocked>", None, PROMPT);
        assert_eq!(said.blocked.as_deref(), Some("no network"));
        let said = read("<needs-human>Which <b>port</b>?</needs-human>", None, PROMPT);
        assert_eq!(said.question.as_deref(), Some("Which <b>port</b>?"));
        let examples = "<blocked>the reason</blocked> <needs-human>The question</needs-human>";
        assert_eq!(read(examples, None, PROMPT), Said::default());
        assert_eq!(read("`<blocked>x</blocked>`", None, PROMPT), Said::default());
    }

    proptest! {
        #[test]
        fn white_space_and_case_make_no_difference(
            before in "[a-z .\n]{0,40}",
            gaps in prop::collection::vec("[ \t\n]{1,3}", 4),
            upper in any::<bool>(),
        ) {
            // A blank line inside would begin another paragraph; a tag may span them.
            let text = format!("{}all{}tests{}passing{}", gaps[0], gaps[1], gaps[2], gaps[3]);
            let text = if upper { text.to_uppercase() } else { text };
            let answer = format!("{before}\n<promise>{text}</promise>");
            prop_assert!(promised(&answer));
        }

        #[test]
        fn nothing_inside_a_fence_counts(inside in "[a-z`> \n]{0,60}") {
            let fence = "`".repeat(70);
            let answer = format!(
                "{fence}\n{inside}\n<promise>all tests passing</promise>\n{inside}\n{fence}\n"
            );
            prop_assert!(!promised(&answer));
        }

        #[test]
        fn any_text_can_be_read(answer in "\\PC{0,200}") {
            let _ = promised(&answer);
        }
    }
}
