//! What a terminal was told.

/// It shows its other screen.
pub const ENTER: &str = "\u{1b}[?1049h";

/// It shows its usual screen again.
pub const LEAVE: &str = "\u{1b}[?1049l";

/// The text without what moves the cursor and colours.
pub fn plain(text: &str) -> String {
    let mut pieces = text.split('\u{1b}');
    let mut plain = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = match piece.strip_prefix('[') {
            Some(rest) => rest.find(|c: char| c.is_ascii_alphabetic()).map(|end| end + 2),
            None => Some(1),
        };
        plain.push_str(end.and_then(|end| piece.get(end..)).unwrap_or_default());
    }
    plain
}
