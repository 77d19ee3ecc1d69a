//! `workspace.yaml`, the file in which the Copilot CLI describes a session: as much of it as a
//! list and a doctor need. The CLI writes a flat mapping.

/// Bytes that are read of it. The CLI writes a few hundred.
pub const MOST_WORKSPACE: u64 = 64 << 10;

/// The text of a field on the first level.
pub fn field(text: &str, name: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?.trim();
    let quoted = |quote: char| value.strip_prefix(quote)?.strip_suffix(quote);
    let plain = match (quoted('"'), quoted('\'')) {
        (Some(_), _) => serde_json::from_str(value).ok()?,
        (None, Some(inner)) => inner.replace("''", "'"),
        (None, None) => value.to_owned(),
    };
    (!plain.is_empty()).then_some(plain)
}

/// Whether it describes a session in which nobody has spoken: the first prompt gives it a name.
pub fn unused(bytes: &[u8]) -> bool {
    field(&String::from_utf8_lossy(bytes), "name").is_none()
}

/// Whether the CLI reads it: a mapping with an id that is a text, no key twice, and none of the
/// bytes that a file system leaves behind.
pub fn readable(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let stray = |char: char| char.is_control() && !matches!(char, '\n' | '\r' | '\t');
    if text.contains(stray) {
        return false;
    }
    let mut keys = Vec::new();
    for line in text.lines() {
        let inside = line.is_empty() || line.starts_with([' ', '\t', '#']);
        if inside || matches!(line, "---" | "...") {
            continue;
        }
        let Some((key, value)) = line.split_once(':') else { return false };
        if key.starts_with("- ") || keys.contains(&key) || unclosed(value.trim()) {
            return false;
        }
        keys.push(key);
    }
    field(&text, "id").is_some_and(|id| id.parse::<f64>().is_err() && !id.starts_with(['[', '{']))
}

/// Whether a quotation or a list begins that does not end on its line. The CLI breaks none.
fn unclosed(value: &str) -> bool {
    [('"', '"'), ('\'', '\''), ('[', ']'), ('{', '}')].iter().any(|(begin, end)| {
        value.starts_with(*begin) && (value.len() == 1 || !value.ends_with(*end))
    })
}

/// The same with another id; for the copy of a session.
pub fn renamed(text: &str, id: &str) -> String {
    let line = |line: &str| {
        if line.starts_with("id:") { format!("id: {id}\n") } else { format!("{line}\n") }
    };
    text.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: &str = "id: 6da4c42a-d4c0-4b58-ade2-c171b9a749a8\ncwd: /x y\nname: 'it''s'\n\
                         user_named: false\ncreated_at: 2026-11-25T20:46:11.819Z\n";

    #[test]
    fn fields_are_read_quoted_or_not() {
        assert_eq!(field(SOUND, "cwd").as_deref(), Some("/x y"));
        assert_eq!(field(SOUND, "name").as_deref(), Some("it's"));
        assert_eq!(field("name: \"a \\\"b\\\"\"\n", "name").as_deref(), Some("a \"b\""));
        assert_eq!(field(SOUND, "nothing"), None);
        assert!(!unused(SOUND.as_bytes()) && unused(b"id: x\ncwd: /x\n"));
        assert!(renamed(SOUND, "new").starts_with("id: new\ncwd: /x y\n"));
    }

    #[test]
    fn what_the_cli_refuses_is_known() {
        assert!(readable(SOUND.as_bytes()));
        // Cut off in the middle of a value, it opens.
        assert!(readable(b"id: 6da4c42a-d4c0-4b5"));
        let refused: [&[u8]; 12] = [
            b"",
            b"\n",
            &[0; 64],
            b"just text\n",
            b"# only a comment\n",
            b"- a\n- b\n",
            b"id: x\nfoo\n",
            b"id: \"unclosed\n",
            b"id: a\nid: b\n",
            b"id: [\n",
            b"id: 5\n",
            b"cwd: /x\n",
        ];
        for bytes in refused {
            assert!(!readable(bytes), "{}", String::from_utf8_lossy(bytes));
        }
    }
}
