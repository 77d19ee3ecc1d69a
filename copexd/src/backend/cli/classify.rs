//! What a process that ended without a typed error has failed of.
//!
//! Before it has a session the CLI writes plain words and exits with 1, whatever the
//! reason: this is the one place where words are looked at. What is not known stays
//! `Unknown`, in the CLI's own words.

use std::process::ExitStatus;

use crate::backend::sdk::classify::SIGN_IN;
use crate::core::failure::{Failure, FailureClass};

/// Beginnings of what CLI 1.0.102 writes before it has a session, and their classes.
const LAST_WORDS: [(&str, FailureClass); 5] = [
    ("Error: No authentication information found", FailureClass::Auth),
    ("Error: Authentication failed", FailureClass::Auth),
    ("Error: No session, task, or name matched", FailureClass::SessionGone),
    ("error: unexpected argument", FailureClass::Unavailable),
    ("error: unknown option", FailureClass::Unavailable),
];

/// The process ended before it took the prompt.
pub(super) fn before_prompt(status: Option<ExitStatus>, words: &[String]) -> Failure {
    let known = words.iter().find_map(|line| {
        let known = LAST_WORDS.iter().find(|(start, _)| line.starts_with(start));
        known.map(|(_, class)| *class)
    });
    let ended = ended(status);
    let class = known.unwrap_or_else(|| match status.and_then(|status| status.code()) {
        // Killed before it could do anything.
        None => FailureClass::RuntimeDied,
        Some(_) => FailureClass::Unknown,
    });
    let failure = Failure::new(
        class,
        said(&format!("the Copilot CLI {ended} before it took the prompt"), words),
    );
    match class {
        FailureClass::Auth => failure.with_hint(SIGN_IN),
        FailureClass::Unavailable => {
            failure.with_hint("update it with `npm i -g @github/copilot@latest`")
        }
        _ => failure,
    }
}

/// It told its end and no error, and yet it failed.
pub(super) fn without_error(exit_code: i64, words: &[String]) -> Failure {
    let text = said(&format!("the Copilot CLI ended with status {exit_code}"), words);
    Failure::new(FailureClass::Unknown, text)
}

/// It ended in the middle of the turn.
pub(super) fn midway(status: Option<ExitStatus>, words: &[String]) -> Failure {
    let text = said(&format!("the Copilot CLI {} in the middle of the turn", ended(status)), words);
    Failure::new(FailureClass::RuntimeDied, text)
}

fn ended(status: Option<ExitStatus>) -> String {
    status.map_or_else(|| "ended".to_owned(), |status| format!("ended ({status})"))
}

fn said(what: &str, words: &[String]) -> String {
    if words.is_empty() { what.to_owned() } else { format!("{what}: {}", words.join(" | ")) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn an_early_end_has_the_class_of_its_words_or_of_its_status() {
        let class = |status: i32, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|it| (*it).to_owned()).collect();
            let failure = before_prompt(Some(ExitStatus::from_raw(status)), &words);
            assert!(words.iter().all(|word| failure.message.contains(word)), "{failure}");
            failure.class
        };
        let one = 1 << 8;
        assert_eq!(
            class(one, &["Error: No authentication information found."]),
            FailureClass::Auth
        );
        assert_eq!(
            class(one, &["Error: No session, task, or name matched 'x'.", "", "To resume"]),
            FailureClass::SessionGone
        );
        assert_eq!(class(one, &["something else"]), FailureClass::Unknown);
        assert_eq!(class(9, &[]), FailureClass::RuntimeDied);
    }
}
