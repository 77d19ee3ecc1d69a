//! Fuzzy search: the letters typed, in their order, anywhere in a text.

/// How well a text fits what was typed; nothing when it does not. Letters that begin words
/// or follow each other count more, and a short text more than a long one.
pub(crate) fn score(typed: &str, text: &str) -> Option<i32> {
    const BEGINS: i32 = 8;
    const FOLLOWS: i32 = 5;
    let mut wanted = typed.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase);
    let mut next = wanted.next();
    let (mut score, mut before, mut hit) = (0, ' ', false);
    for c in text.chars().flat_map(char::to_lowercase) {
        let Some(want) = next else { break };
        if c == want {
            score += 1;
            if !before.is_alphanumeric() {
                score += BEGINS;
            }
            if hit {
                score += FOLLOWS;
            }
            next = wanted.next();
        }
        hit = c == want;
        before = c;
    }
    let length = i32::try_from(text.chars().count() / 8).unwrap_or(i32::MAX);
    next.is_none().then_some(score.saturating_sub(length))
}

/// The places of the texts that fit, best first; all of them, as they stand, when nothing
/// was typed.
pub(crate) fn best<'a>(typed: &str, texts: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let mut found: Vec<(usize, i32)> =
        texts.enumerate().filter_map(|(place, text)| Some((place, score(typed, text)?))).collect();
    if !typed.trim().is_empty() {
        found.sort_by_key(|(place, score)| (-score, *place));
    }
    found.into_iter().map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_in_order_fit_and_beginnings_of_words_come_first() {
        let texts = ["show the pool", "open the run", "cancel the run", "new run"];
        assert_eq!(best("nr", texts.into_iter())[0], 3);
        assert_eq!(best("cr", texts.into_iter()), [2]);
        assert_eq!(best("xyz", texts.into_iter()), [0; 0]);
        assert_eq!(best(" ", texts.into_iter()), [0, 1, 2, 3]);
        assert!(score("POOL", "show the pool").is_some());
        assert!(score("loop", "pool").is_none());
    }
}
