use proptest::prelude::*;
use serde_json::json;

use super::*;

const KEY: &str = "key-of-the-provider";

fn clean(text: &str) -> String {
    Redactor::new([KEY]).text(text).into_owned()
}

#[test]
fn known_texts_go_wherever_they_are() {
    assert_eq!(clean("key-of-the-provider"), MARK);
    assert_eq!(clean("a key-of-the-provider, b"), "a [redacted], b");
    assert_eq!(clean("xkey-of-the-providerkey-of-the-providery"), "x[redacted]y");
    assert_eq!(clean("key-of-the-provide"), "key-of-the-provide");
}

#[test]
fn tokens_of_known_services_go() {
    let t = |n: usize| "a1B2".repeat(n);
    for token in [
        format!("ghp_{}", t(9)),
        format!("gho_{}", t(9)),
        format!("github_pat_{}_{}", t(5), t(14)),
        format!("sk-proj-{}", t(8)),
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        format!("xoxb-{}", t(3)),
        format!("eyJ{}.eyJ{}.{}", t(5), t(5), t(5)),
    ] {
        assert_eq!(clean(&token), MARK, "{token}");
        assert_eq!(clean(&format!("is ({token}).")).matches(MARK).count(), 1, "{token}");
        assert!(!clean(&format!("is ({token}).")).contains(&token[4..]), "{token}");
    }
    assert_eq!(clean("Authorization: Bearer abcdefgh1234"), "Authorization: Bearer [redacted]");
    let key = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----";
    assert_eq!(
        clean(key),
        "-----BEGIN RSA PRIVATE KEY-----[redacted]-----END RSA PRIVATE KEY-----"
    );
}

#[test]
fn ordinary_words_stay() {
    for text in ["risk-assessment-methodology", "ask-a-friend", "the AKIA prefix", "ghp_short"] {
        assert_eq!(clean(text), text);
    }
    assert_eq!(Redactor::new(["ollama"]).text("ollama serve"), "ollama serve");
}

#[test]
fn documents_are_cleaned_at_every_leaf() {
    let mut value = json!({
        "a": [{ "b": "x key-of-the-provider" }, 3, null],
        "api_key": "whatever it is",
        "key-of-the-provider": 1,
        "usage": { "prompt_tokens": 3 },
    });
    assert!(Redactor::new([KEY]).value(&mut value));
    let text = value.to_string();
    assert!(!text.contains(KEY) && !text.contains("whatever"), "{text}");
    assert!(text.contains("prompt_tokens"), "{text}");
    assert!(!Redactor::new([KEY]).value(&mut value), "a second time there is nothing to do");
}

#[test]
fn names_of_secrets_are_known() {
    for name in ["Authorization", "x-api-key", "api-key", "Cookie", "set-cookie", "X-Auth-Token"] {
        assert!(is_secret_header(name), "{name}");
    }
    for name in ["content-type", "x-request-id", "retry-after", "x-initiator"] {
        assert!(!is_secret_header(name), "{name}");
    }
}

proptest! {
    #[test]
    fn a_key_in_pieces_is_found(
        key in "[ -~]{8,40}",
        before in "[a-z \"\\\\{}]{0,40}",
        after in "[a-z \"\\\\{}]{0,40}",
        cuts in prop::collection::vec(0usize..120, 0..12),
    ) {
        prop_assume!(key.trim().len() >= LEAST && !MARK.contains(key.trim()));
        let key = key.trim();
        let whole = format!("{before}{key}{after}{key}{key}");
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(whole.len())).collect();
        cuts.extend([0, whole.len()]);
        cuts.sort_unstable();
        let bytes = whole.as_bytes();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
        let clean = Redactor::new([key]).pieces(&pieces);
        prop_assert_eq!(clean.len(), pieces.len());
        let clean = String::from_utf8(clean.concat()).unwrap();
        prop_assert!(!clean.contains(key), "{}", clean);
        prop_assert!(clean.contains(MARK));
    }

    #[test]
    fn text_without_secrets_stays_as_it_is(text in "[a-z \n]{0,200}") {
        let redactor = Redactor::new([KEY]);
        prop_assert!(redactor.text(&text) == text, "{}", text);
    }
}
