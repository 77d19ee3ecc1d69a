//! The request of a council.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{RunOptions, is_false};
use crate::config::nearest;
use crate::effort::Effort;

/// A council: several models are asked, judge each other without names, and a chair decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CouncilRequest {
    /// What to decide.
    pub task: String,
    /// The members, each `MODEL` or `MODEL:EFFORT`. From 2 to 12; a model may be there twice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<String>,
    /// Who decides, as a member is named. Default: the model of the run, else that of the
    /// first member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chair: Option<String>,
    /// Opinions without which nothing is decided (default: of more than half of the members).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quorum: Option<u32>,
    /// Seconds that the others have once the quorum is there, anew after each one that ends
    /// (default 180). Who is later is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub straggler_timeout_s: Option<f64>,
    /// Members at work at once (default 3, most 12).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_concurrent: Option<u32>,
    /// The most rounds in which members may change their opinions, while the reviews disagree
    /// (default 0, most 5).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debate: Option<u32>,
    /// Whether a chair that is less sure than 0.7 is asked once more, at a higher effort.
    #[serde(default, skip_serializing_if = "is_false")]
    pub escalate: bool,
    /// What the members look at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<CouncilPreset>,
    /// Tools that are offered beside those that only read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub council_tools: Vec<String>,
    /// Words for everybody beside the task.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_context: Option<String>,
    /// Everything that is the same in all modes.
    #[serde(flatten)]
    pub options: RunOptions,
}

/// What the members of a council look at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CouncilPreset {
    /// What an attacker could do.
    Security,
    /// Structure, boundaries, growth.
    Architecture,
    /// Simpler code that does the same.
    Refactor,
    /// Whether a change is right.
    Review,
}

/// Who sits in a council.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The model.
    pub model: String,
    /// How hard it thinks, where that was said.
    pub effort: Option<Effort>,
}

impl Seat {
    /// Reads `MODEL` or `MODEL:EFFORT`. A model's own name may have colons.
    ///
    /// # Errors
    /// With words that name what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("`{text}` is no MODEL or MODEL:EFFORT: {why}");
        let whole = || Self { model: text.to_owned(), effort: None };
        if text.chars().any(char::is_whitespace) {
            return Err(wrong("a name has no spaces"));
        }
        let seat = match text.rsplit_once(':') {
            None => whole(),
            Some((_, "")) => return Err(wrong("no effort after the colon")),
            Some((model, last)) => match last.parse() {
                Ok(effort) => Self { model: model.to_owned(), effort: Some(effort) },
                Err(_) => match nearest(last, Effort::ALL.map(Effort::as_str)) {
                    Some(near) => return Err(wrong(&format!("did you mean `{model}:{near}`?"))),
                    None => whole(),
                },
            },
        };
        if matches!(seat.model.as_str(), "" | "github:" | "provider:" | "github" | "provider") {
            return Err(wrong("no model"));
        }
        Ok(seat)
    }
}

impl CouncilRequest {
    /// What the members are called in the run's log, in their order: as they were given, and
    /// numbered where one is there more than once.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::with_capacity(self.members.len());
        for (index, member) in self.members.iter().enumerate() {
            let before = self.members[..index].iter().filter(|other| *other == member).count();
            names.push(match before {
                0 => member.clone(),
                before => format!("{member}#{}", before + 1),
            });
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_a_model_and_perhaps_an_effort() {
        let read = |text: &str| Seat::read(text).map(|seat| (seat.model, seat.effort));
        assert_eq!(read("gpt-5.4:high"), Ok(("gpt-5.4".to_owned(), Some(Effort::High))));
        assert_eq!(read("provider:qwen3:8b"), Ok(("provider:qwen3:8b".to_owned(), None)));
        assert_eq!(read("qwen3:8b:low"), Ok(("qwen3:8b".to_owned(), Some(Effort::Low))));
        for wrong in ["", ":high", "gpt-5:", "gpt-5:hihg", "two words", "github:"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
        assert!(read("gpt-5:hihg").unwrap_err().contains("gpt-5:high"));
    }

    #[test]
    fn a_model_that_is_there_twice_has_two_names() {
        let members = ["a", "b", "a", "a"].map(str::to_owned).to_vec();
        let request = CouncilRequest { members, ..CouncilRequest::default() };
        assert_eq!(request.names(), ["a", "b", "a#2", "a#3"]);
    }
}
