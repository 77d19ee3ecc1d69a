//! Code in a few roles, line by line.
//!
//! A scanner over a table of languages, not a grammar: comments, texts, numbers, words of the
//! language, calls and types are what helps to read. A grammar for each language costs more
//! than the rest of the client together, in bytes and in time to the first line.

use super::lang::{self, Language};
use crate::render::styled::{Line, Role, Span};

/// A line that is longer is data, and is shown as it is.
const LONGEST: usize = 4_096;

/// What the end of a line left open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Open {
    #[default]
    Nothing,
    /// A comment that ends with these characters.
    Comment(&'static str),
    /// A text that ends with these.
    Text(&'static str),
}

/// Colours one block of code.
#[derive(Debug, Clone, Default)]
pub(crate) struct Highlight {
    language: Option<&'static Language>,
    diff: bool,
    open: Open,
}

impl Highlight {
    /// For the language that a fence names, if it is known.
    pub(crate) fn of(info: &str) -> Self {
        let name = info.split([' ', ',', '{', ':']).next().unwrap_or_default();
        let name = name.trim_start_matches('.').to_ascii_lowercase();
        let diff = matches!(name.as_str(), "diff" | "patch" | "udiff");
        Self { language: lang::find(&name), diff, open: Open::Nothing }
    }

    /// The next line, without its end.
    pub(crate) fn line(&mut self, text: &str) -> Line {
        if self.diff {
            return diff(text);
        }
        match self.language {
            Some(language) if text.len() <= LONGEST => self.scan(text, language),
            _ => Line::of(text, Role::Text),
        }
    }

    fn scan(&mut self, text: &str, language: &'static Language) -> Line {
        let mut line = Line::default();
        let mut rest = text;
        // The character before, for marks that begin a comment only after a space.
        let mut before = ' ';
        while let Some(first) = rest.chars().next() {
            let (role, end) = match self.open {
                Open::Comment(close) => (Role::Comment, self.close(rest, close)),
                Open::Text(close) => (Role::Literal, self.close_text(rest, close, language)),
                Open::Nothing => self.token(rest, first, before, language),
            };
            let (token, after) = rest.split_at(end.max(first.len_utf8()).min(rest.len()));
            line.push(&Span::new(token, role));
            before = token.chars().next_back().unwrap_or(' ');
            rest = after;
        }
        if let Open::Text(close) = self.open
            && !language.runs_on(close)
        {
            self.open = Open::Nothing;
        }
        line
    }

    fn close(&mut self, rest: &str, close: &str) -> usize {
        let Some(at) = rest.find(close) else { return rest.len() };
        self.open = Open::Nothing;
        at + close.len()
    }

    fn close_text(&mut self, rest: &str, close: &str, language: &Language) -> usize {
        let mut chars = rest.char_indices();
        while let Some((at, char)) = chars.next() {
            if char == '\\' && language.escapes {
                chars.next();
            } else if rest[at..].starts_with(close) {
                self.open = Open::Nothing;
                return at + close.len();
            }
        }
        rest.len()
    }

    /// The token that begins here: its role, and its length in bytes where that is known.
    fn token(
        &mut self,
        rest: &str,
        first: char,
        before: char,
        language: &'static Language,
    ) -> (Role, usize) {
        let comment = |mark: &&&str| rest.starts_with(**mark);
        if let Some(mark) = language.line_comments.iter().find(comment)
            && (*mark != "#" || !(before.is_alphanumeric() || "$&{".contains(before)))
        {
            return (Role::Comment, rest.len());
        }
        if let Some((begin, end)) =
            language.block_comments.iter().find(|(begin, _)| rest.starts_with(begin))
        {
            self.open = Open::Comment(end);
            return (Role::Comment, begin.len());
        }
        if let Some(quote) = language.quotes.iter().find(|quote| rest.starts_with(**quote)) {
            if *quote == "'" && language.lifetimes && !is_char(rest) {
                return (Role::Type, 1 + word(&rest[1..]));
            }
            self.open = Open::Text(quote);
            return (Role::Literal, quote.len());
        }
        if first.is_ascii_digit() {
            return (Role::Number, number(rest));
        }
        let end = word(rest);
        if end == 0 {
            return (Role::Text, first.len_utf8());
        }
        (named(&rest[..end], &rest[end..], language), end)
    }
}

/// Whether `'x'` or `'\n'` stands here, and not a name.
fn is_char(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// Bytes of the number at the beginning: a dot is of it before a digit.
fn number(text: &str) -> usize {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let inside = |at: usize, byte: u8| {
        byte.is_ascii_alphanumeric() || byte == b'_' || (byte == b'.' && digit(at + 1))
    };
    let end = bytes.iter().enumerate().position(|(at, byte)| !inside(at, *byte));
    end.unwrap_or(text.len())
}

/// Bytes of the word at the beginning.
fn word(text: &str) -> usize {
    let inside = |it: char| it.is_alphanumeric() || it == '_';
    text.find(|it: char| !inside(it)).unwrap_or(text.len())
}

fn named(word: &str, after: &str, language: &Language) -> Role {
    let known = if language.folds {
        language.keywords.contains(&word.to_ascii_lowercase().as_str())
    } else {
        language.keywords.contains(&word)
    };
    if known {
        return Role::Keyword;
    }
    if language.data {
        let key = after.trim_start().starts_with([':', '=']);
        return if key { Role::Function } else { Role::Text };
    }
    if after.starts_with('(') || after.starts_with("!(") {
        return Role::Function;
    }
    let begins_large = word.starts_with(|it: char| it.is_uppercase());
    let small = word.chars().any(char::is_lowercase);
    if begins_large && small && !language.folds { Role::Type } else { Role::Text }
}

/// A line of a diff.
pub(crate) fn diff(text: &str) -> Line {
    let head = ["+++", "---", "diff ", "index ", "*** "].iter().any(|head| text.starts_with(head));
    let role = match text.chars().next() {
        _ if head => Role::Dim,
        Some('+') => Role::Added,
        Some('-') => Role::Removed,
        Some('@') => Role::Hunk,
        _ => Role::Text,
    };
    Line::of(text, role)
}

/// Whether a text is a diff: of its first lines, one says where a change is.
pub(crate) fn is_diff(text: &str) -> bool {
    const HEAD: usize = 20;
    let mut head = text.lines().take(HEAD);
    head.any(|line| {
        line.starts_with("@@ ") || line.starts_with("diff --git ") || line == "*** Begin Patch"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(info: &str, text: &str) -> Vec<(String, Role)> {
        let mut highlight = Highlight::of(info);
        let spans = text.lines().flat_map(|line| highlight.line(line).spans);
        spans.map(|span| (span.text.trim().to_owned(), span.style.role)).collect()
    }

    fn role(info: &str, text: &str, piece: &str) -> Role {
        let roles = roles(info, text);
        let found = roles.iter().find(|(text, _)| text == piece);
        found.unwrap_or_else(|| panic!("{piece}: {roles:?}")).1
    }

    #[test]
    fn languages_are_read_by_their_own_rules() {
        let cases = [
            ("rust", "fn main<'a>() { x('b'); } // c", "fn", Role::Keyword),
            ("rust", "fn main<'a>() { x('b'); } // c", "'a", Role::Type),
            ("rust", "fn main<'a>() { x('b'); } // c", "'b'", Role::Literal),
            ("rs", "fn main<'a>() { x('b'); } // c", "// c", Role::Comment),
            ("rust", "/* a\nb */ let x = 1_000;", "b */", Role::Comment),
            ("rust", "/* a\nb */ let x = 1_000;", "1_000", Role::Number),
            ("python", "x = \"\"\"a\nb\"\"\"\nreturn x", "b\"\"\"", Role::Literal),
            ("python", "x = \"\"\"a\nb\"\"\"\nreturn x", "return", Role::Keyword),
            ("py", "a = 'it\\'s' # no", "'it\\'s'", Role::Literal),
            ("sh", "echo ${#a} $# # yes", "# yes", Role::Comment),
            ("ts", "const a: Foo = `x\ny`", "Foo", Role::Type),
            ("ts", "const a: Foo = `x\ny`", "y`", Role::Literal),
            ("sql", "SELECT a FROM b -- c", "SELECT", Role::Keyword),
            ("toml", "[a]\nkey = \"v\" # c", "key", Role::Function),
            ("json", "{\"a\": true}", "true", Role::Keyword),
            ("html", "<!-- a\nb --><p>", "b -->", Role::Comment),
            ("diff", "@@ -1 +1 @@\n-a\n+b\n c", "-a", Role::Removed),
            ("no-such", "fn x", "fn x", Role::Text),
            ("rust", "2.5.pow(3)", "2.5", Role::Number),
        ];
        for (info, text, piece, wanted) in cases {
            assert_eq!(role(info, text, piece), wanted, "{info}: {text}");
        }
    }

    #[test]
    fn a_text_that_is_not_closed_ends_with_its_line() {
        assert_eq!(role("c", "char *a = \"b\nint c;", "int"), Role::Keyword);
    }

    #[test]
    fn nothing_is_lost() {
        let text = "fn a() { \"é\\\n'x' /* 日本 */ } \\";
        for info in ["rust", "python", "js", "sh", "html", "", "diff", "yaml", "lua"] {
            let mut highlight = Highlight::of(info);
            for line in text.lines() {
                assert_eq!(highlight.line(line).plain(), line);
            }
        }
    }
}
