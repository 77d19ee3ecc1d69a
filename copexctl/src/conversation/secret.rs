//! What looks like a secret: such a line is not kept.

/// Beginnings of words that are keys of well-known services.
const PREFIXES: [&str; 12] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "sk-",
    "AKIA",
    "xoxb-",
    "xoxp-",
    "eyJ",
];

/// The shortest word with such a beginning that is taken for a key.
const SHORTEST: usize = 16;

/// Names that a secret is given to.
const NAMES: [&str; 8] =
    ["password", "passwd", "secret", "token", "api_key", "apikey", "api-key", "access_key"];

/// Whether a text looks as if it had a secret in it.
pub(crate) fn looks_secret(text: &str) -> bool {
    if text.contains("-----BEGIN ") {
        return true;
    }
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let plain = word.trim_matches(|c: char| !c.is_ascii_alphanumeric());
        let known = PREFIXES.iter().any(|prefix| {
            plain.find(prefix).is_some_and(|at| {
                let begins = !plain[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
                begins && plain.len() - at >= SHORTEST
            })
        });
        let mut next = || words.peek().is_some_and(|next| next.len() >= SHORTEST);
        if known || (word.eq_ignore_ascii_case("bearer") && next()) || assigned(word) {
            return true;
        }
    }
    false
}

/// `NAME=value` or `NAME:value` with a name that says it.
fn assigned(word: &str) -> bool {
    let Some(at) = word.find(['=', ':']) else { return false };
    let (name, value) = (word[..at].to_ascii_lowercase(), &word[at + 1..]);
    value.len() >= 4 && !value.starts_with(['$', '<']) && NAMES.iter().any(|n| name.ends_with(n))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_from_words() {
        let secret = [
            "use ghp_abcdefghijklmnop1234 please",
            "export OPENAI_API_KEY=abcd1234",
            "Authorization: Bearer abcdefghijklmnopqrst",
            "\"sk-proj-abcdefghijklmnop\"",
            "-----BEGIN RSA PRIVATE KEY-----",
            "key=AKIAABCDEFGHIJKLMNOP",
        ];
        for text in secret {
            assert!(looks_secret(text), "{text}");
        }
        let plain = [
            "what is a token?",
            "token: the first word",
            "rename the password field",
            "risk-averse-and-careful-people",
            "set API_KEY=$KEY in the docs",
            "/model gpt-5",
        ];
        for text in plain {
            assert!(!looks_secret(text), "{text}");
        }
    }
}
