//! What words on a command line mean as an answer to a question.

use copex_proto::event::{Answer, Ask, AskKind};

use crate::error::{Failure, Result};
use crate::render::{brief, clean};

/// The question in a line: a tool's with what it is to do.
pub(crate) fn about(ask: &Ask) -> String {
    let said = ask.detail.is_empty() || ask.title.contains(&ask.detail);
    if said || ask.kind != AskKind::Permission {
        return brief(&ask.title, 100);
    }
    brief(&format!("{} {}", brief(&ask.title, 40), ask.detail.trim_start()), 100)
}

/// An answer, as it may be typed; the words in it clipped to `most` characters.
pub(crate) fn words(answer: &Answer, most: usize) -> String {
    match answer {
        Answer::Allow => "yes".to_owned(),
        Answer::AllowAlways => "always".to_owned(),
        Answer::Deny { feedback: None } => "no".to_owned(),
        Answer::Deny { feedback: Some(why) } => format!("no, {}", brief(why, most)),
        Answer::Text { text } => brief(text, most),
    }
}

/// What may stand behind `inbox answer ID` for this question.
pub(crate) fn ways(ask: &Ask) -> String {
    match ask.kind {
        AskKind::Permission => "yes|always|no [REASON]".to_owned(),
        AskKind::PlanApproval if ask.choices.is_empty() => {
            "yes|no [REASON]|\"WHAT TO CHANGE\"".to_owned()
        }
        _ if ask.choices.is_empty() => "TEXT".to_owned(),
        _ => {
            let numbers: Vec<_> = (1..=ask.choices.len()).map(|it| it.to_string()).collect();
            format!("{}, or \"SOME WORDS\"", numbers.join("|"))
        }
    }
}

/// The answer that `words` are, or `text` is, to this question.
///
/// # Errors
/// Usage, with what would be one.
pub(crate) fn read(ask: &Ask, words: &[String], text: Option<String>) -> Result<Answer> {
    if let Some(text) = text {
        // The agent would take any words about a tool for a no.
        if ask.kind == AskKind::Permission {
            return Err(no_answer(ask, "`--text` is no answer: it is about a tool"));
        }
        return Ok(Answer::Text { text });
    }
    let said = words.join(" ");
    let said = said.trim();
    if said.is_empty() {
        return Err(no_answer(ask, "the answer is empty"));
    }
    if let Some(choice) = choice(ask, said) {
        return Ok(Answer::Text { text: choice.to_owned() });
    }
    // One word that is none of the choices is a slip of the hand; several are words.
    let words = || {
        let several = said.contains(char::is_whitespace);
        several.then(|| Answer::Text { text: said.to_owned() })
    };
    match ask.kind {
        AskKind::Permission => decision(ask.kind, said),
        AskKind::PlanApproval => decision(ask.kind, said).or_else(words),
        _ if ask.choices.is_empty() => Some(Answer::Text { text: said.to_owned() }),
        AskKind::UserInput | AskKind::Unknown => words(),
    }
    .ok_or_else(|| no_answer(ask, &format!("`{}` is no answer to it", clean(said))))
}

/// The choice with this number, from 1, or this text.
fn choice<'a>(ask: &'a Ask, said: &str) -> Option<&'a str> {
    let number = said.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    let same = |choice: &&String| choice.to_lowercase() == said.to_lowercase();
    let found = ask.choices.iter().find(same);
    found.or_else(|| ask.choices.get(number?)).map(String::as_str)
}

/// Yes or no; the words behind a no are for the agent.
pub(crate) fn decision(kind: AskKind, said: &str) -> Option<Answer> {
    let (word, rest) = said.split_once(char::is_whitespace).unwrap_or((said, ""));
    let (word, rest) = (word.trim_end_matches([',', ':', '.', '!', ';']), rest.trim());
    match (word.to_ascii_lowercase().as_str(), rest) {
        ("y" | "yes" | "allow", "") => Some(Answer::Allow),
        ("a" | "always", "") if kind == AskKind::Permission => Some(Answer::AllowAlways),
        ("n" | "no" | "deny", _) => {
            Some(Answer::Deny { feedback: (!rest.is_empty()).then(|| rest.to_owned()) })
        }
        _ => None,
    }
}

fn no_answer(ask: &Ask, why: &str) -> Failure {
    let words = format!("the question {} is \"{}\": {why}", ask.ask, about(ask));
    Failure::usage(words).with_hint(format!("copexctl inbox answer {} {}", ask.ask, ways(ask)))
}

#[cfg(test)]
mod tests {
    use copex_proto::id::AskId;

    use super::*;

    fn ask(kind: AskKind, choices: &[&str]) -> Ask {
        Ask {
            ask: AskId("q-1".to_owned()),
            kind,
            title: "shell: rm".to_owned(),
            detail: String::new(),
            choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
            always: None,
            expires_at: None,
        }
    }

    fn said(ask: &Ask, words: &str) -> Option<Answer> {
        let words: Vec<_> = words.split(' ').map(str::to_owned).collect();
        read(ask, &words, None).ok()
    }

    fn text(text: &str) -> Answer {
        Answer::Text { text: text.to_owned() }
    }

    #[test]
    fn a_tool_is_allowed_or_not() {
        let tool = ask(AskKind::Permission, &[]);
        for yes in ["yes", "Y", "allow"] {
            assert_eq!(said(&tool, yes), Some(Answer::Allow));
        }
        assert_eq!(said(&tool, "always"), Some(Answer::AllowAlways));
        assert_eq!(said(&tool, "deny"), Some(Answer::Deny { feedback: None }));
        let feedback = Some("use git instead".to_owned());
        for no in ["no use git instead", "No, use git instead", "n: use git instead"] {
            assert_eq!(said(&tool, no), Some(Answer::Deny { feedback: feedback.clone() }));
        }
        for unclear in ["maybe", "yes but not twice", "1", ""] {
            assert_eq!(said(&tool, unclear), None, "{unclear}");
        }
        let refused = read(&tool, &[], Some("words".to_owned())).unwrap_err();
        assert_eq!(refused.exit() as u8, 2);
        let Failure::Told { info, .. } = refused else { panic!() };
        let hint = "copexctl inbox answer q-1 yes|always|no [REASON]";
        assert_eq!(info.hint.as_deref(), Some(hint));
    }

    #[test]
    fn a_plan_is_approved_or_not_and_may_be_talked_about() {
        let plan = ask(AskKind::PlanApproval, &[]);
        assert_eq!(said(&plan, "yes"), Some(Answer::Allow));
        assert_eq!(said(&plan, "always"), None);
        assert_eq!(said(&plan, "3: use sqlite"), Some(text("3: use sqlite")));
        assert_eq!(read(&plan, &[], Some("shorter".to_owned())).ok(), Some(text("shorter")));
    }

    #[test]
    fn a_choice_is_named_by_number_or_text() {
        let colour = ask(AskKind::UserInput, &["Red", "deep blue", "7"]);
        assert_eq!(said(&colour, "2"), Some(text("deep blue")));
        assert_eq!(said(&colour, "red"), Some(text("Red")));
        assert_eq!(said(&colour, "Deep Blue"), Some(text("deep blue")));
        assert_eq!(said(&colour, "7"), Some(text("7")), "its text before a number");
        assert_eq!(said(&colour, "9"), None);
        assert_eq!(said(&colour, "green"), None);
        assert_eq!(read(&colour, &[], Some("green".to_owned())).ok(), Some(text("green")));
        assert_eq!(said(&colour, "green, please"), Some(text("green, please")));
        assert_eq!(ways(&colour), "1|2|3, or \"SOME WORDS\"");
    }

    #[test]
    fn a_free_question_takes_any_words() {
        let free = ask(AskKind::UserInput, &[]);
        assert_eq!(said(&free, "yes"), Some(text("yes")));
        assert_eq!(said(&free, "port 8080"), Some(text("port 8080")));
        assert_eq!(said(&free, " "), None);
    }
}
