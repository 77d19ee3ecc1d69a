//! JSON as people write it: with comments, and a comma behind the last part.

/// The same text as JSON: each comment, and each comma behind which nothing stands, is spaces.
/// All else keeps its place, so that what a parser says of a line and a column is true. What is
/// wrong besides stays wrong.
pub(super) fn plain(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    // The last character that counts, and where the last comma stands if it is that.
    let (mut before, mut comma) = (b'[', None);
    let mut at = 0;
    while let Some(byte) = bytes.get(at).copied() {
        let end = match (byte, bytes.get(at + 1)) {
            (b'"', _) => string(&bytes, at),
            (b'/', Some(b'/')) => blank(&mut bytes, at, b"\n"),
            (b'/', Some(b'*')) => blank(&mut bytes, at, b"*/"),
            _ => at + 1,
        };
        // A comment is spaces by now.
        if !bytes[at].is_ascii_whitespace() {
            let part = !matches!(before, b'[' | b'{' | b',' | b':');
            match (byte, comma) {
                (b',', _) if part => comma = Some(at),
                (b']' | b'}', Some(last)) => {
                    bytes[last] = b' ';
                    comma = None;
                }
                _ => comma = None,
            }
            before = byte;
        }
        at = end;
    }
    // Whole characters were replaced by as many spaces as they have bytes.
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Where the string that begins at `from` ends.
fn string(bytes: &[u8], from: usize) -> usize {
    let mut at = from + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Blanks the comment that begins at `from`, line ends excepted; where it ends. One of several
/// lines that has no end stays for the parser to name.
fn blank(bytes: &mut [u8], from: usize, end: &[u8]) -> usize {
    let inside = from + 2;
    let found = bytes[inside..].windows(end.len()).position(|window| window == end);
    let end = match found {
        Some(found) => inside + found + end.len(),
        None if end == b"\n" => bytes.len(),
        None => return from + 1,
    };
    for byte in &mut bytes[from..end] {
        if *byte != b'\n' {
            *byte = b' ';
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn read(text: &str) -> Result<Value, serde_json::Error> {
        let plain = plain(text);
        assert_eq!(plain.len(), text.len());
        serde_json::from_str(&plain)
    }

    #[test]
    fn comments_and_last_commas_are_nothing() {
        let text = "// first\n{\n  /* é\n 日本 */ \"a\": [1, 2, /* , */ ], // ]\n  \"b\": {\"c\": \"//d, }\",},\n  \"e\": \"\\\"/*\", /**/\n}\n// last";
        let wanted = json!({"a": [1, 2], "b": {"c": "//d, }"}, "e": "\"/*"});
        assert_eq!(read(text).unwrap(), wanted);
    }

    #[test]
    fn what_is_wrong_stays_wrong_and_keeps_its_place() {
        for wrong in
            ["[,]", "{,}", "[1,,]", "{\"a\":,}", "[1] /* x", "/", "[1 / 2]", "\"a", "[1],", ""]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        let error = read("{\n  // é\n  \"a\": /* é */ x\n}").unwrap_err();
        assert_eq!((error.line(), error.column()), (3, 17));
    }

    proptest! {
        #[test]
        fn json_stays_as_it_is(texts in proptest::collection::vec("[\\PC\"\\\\/*,\\n]*", 0..6)) {
            let text = json!({"a": texts, "b": [texts.len(), null, {}]}).to_string();
            prop_assert_eq!(plain(&text), text);
        }

        #[test]
        fn any_text_is_taken(text in "[\\PC\"\\\\/*,\\[\\]{}\\n]*") {
            prop_assert_eq!(plain(&text).len(), text.len());
        }
    }
}
