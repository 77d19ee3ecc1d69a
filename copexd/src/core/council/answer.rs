//! Answers that must be JSON, read strictly: what is not as it was asked for is named.

use serde::de::DeserializeOwned;

use super::report::{Decision, Review};

/// Reads a review of the opinions with these letters.
///
/// # Errors
/// With words that say what is wrong.
pub(super) fn review(answer: &str, labels: &[String]) -> Result<Review, String> {
    let review: Review = read(answer)?;
    let mut named = review.ranking.clone();
    named.sort();
    let mut wanted = labels.to_vec();
    wanted.sort();
    if named != wanted {
        let (given, wanted) = (review.ranking.join(", "), wanted.join(", "));
        return Err(format!("`ranking` has [{given}]; it must have each of [{wanted}] once"));
    }
    match review.comments.keys().find(|label| !labels.contains(label)) {
        Some(label) => Err(format!("`comments` speaks of {label}, which nobody asked about")),
        None => Ok(review),
    }
}

/// Reads the chair's decision.
///
/// # Errors
/// With words that say what is wrong.
pub(super) fn decision(answer: &str) -> Result<Decision, String> {
    let decision: Decision = read(answer)?;
    if decision.decision.trim().is_empty() {
        return Err("`decision` is empty".to_owned());
    }
    if !(0.0..=1.0).contains(&decision.confidence) {
        return Err(format!("`confidence` is {}; it must be from 0 to 1", decision.confidence));
    }
    Ok(decision)
}

fn read<T: DeserializeOwned>(answer: &str) -> Result<T, String> {
    let object = object(answer).ok_or_else(|| "there is no JSON object in it".to_owned())?;
    serde_json::from_str(object).map_err(|error| error.to_string())
}

/// The JSON object of an answer: the whole of it, the last block that is fenced, or all from
/// the first brace to the last.
fn object(answer: &str) -> Option<&str> {
    let text = answer.trim();
    if text.starts_with('{') && text.ends_with('}') {
        return Some(text);
    }
    let blocks = text.split("```").skip(1).step_by(2);
    let inner = blocks.map(|block| block.strip_prefix("json").unwrap_or(block).trim());
    let fenced = inner.filter(|it| it.starts_with('{') && it.ends_with('}')).last();
    fenced.or_else(|| {
        let (from, to) = (text.find('{')?, text.rfind('}')?);
        text.get(from..=to)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DECISION: &str = r#"{"decision": "go", "reasons": ["a"], "confidence": 0.5,
        "dissent": [], "next_steps": []}"#;

    #[test]
    fn an_object_is_found_bare_fenced_or_between_words() {
        let fenced = format!("I thought.\n```json\n{DECISION}\n```\n");
        let between = format!("So: {DECISION} That is it.");
        for text in [DECISION, &fenced, &between] {
            assert_eq!(decision(text).unwrap().decision, "go", "{text}");
        }
    }

    #[test]
    fn what_is_not_as_asked_is_refused() {
        let change = |from: &str, to: &str| decision(&DECISION.replace(from, to)).unwrap_err();
        assert!(decision("I would go.").unwrap_err().contains("no JSON object"));
        assert!(change("\"go\"", "\" \"").contains("`decision` is empty"));
        assert!(change("0.5", "1.5").contains("`confidence` is 1.5"));
        assert!(change("\"dissent\": [],", "").contains("missing field `dissent`"));
        assert!(change("\"dissent\"", "\"votes\": 3, \"dissent\"").contains("unknown field"));
    }

    #[test]
    fn a_review_ranks_each_opinion_once() {
        let labels = ["A".to_owned(), "C".to_owned()];
        let read =
            |ranking: &str| review(&format!(r#"{{"ranking": {ranking}, "agree": true}}"#), &labels);
        assert_eq!(read(r#"["C", "A"]"#).unwrap().ranking, ["C", "A"]);
        for wrong in [r#"["C"]"#, r#"["A", "A"]"#, r#"["A", "C", "B"]"#] {
            assert!(read(wrong).unwrap_err().contains("each of [A, C] once"), "{wrong}");
        }
        let foreign = r#"{"ranking": ["A", "C"], "agree": true, "comments": {"Z": "x"}}"#;
        assert!(review(foreign, &labels).unwrap_err().contains('Z'));
    }
}
