//! What came of a council.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What came of a council, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct CouncilReport {
    /// What the chair decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
    /// Who the chair was.
    pub chair: String,
    /// Whether the decision is that of the chair's second turn, at a higher effort.
    pub escalated: bool,
    /// Rounds of debate.
    pub rounds: u32,
    /// Whether the last reviews agreed: each says that all come to the same decision (`agree`),
    /// or one opinion is the first of everybody but its author. Absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed: Option<bool>,
    /// The opinions, best first; equal scores have the same rank. Empty where no review compares
    /// two of them: with two members each judges one other.
    pub ranking: Vec<Ranked>,
    /// The members, in their order.
    pub members: Vec<MemberReport>,
    /// What is missing, and why.
    pub missing: Vec<Missing>,
}

/// A decision.
#[expect(clippy::struct_field_names, reason = "the chair writes these very names")]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Decision {
    /// The decision itself.
    pub decision: String,
    /// Why.
    pub reasons: Vec<String>,
    /// How sure the chair is, from 0 to 1.
    pub confidence: f64,
    /// What members held against it.
    pub dissent: Vec<String>,
    /// What to do next.
    pub next_steps: Vec<String>,
}

/// An opinion's place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ranked {
    /// Its rank, from 1.
    pub rank: u32,
    /// The letter under which it was judged.
    pub label: String,
    /// Whose it is.
    pub name: String,
    /// The mean of its Borda points: of `k` opinions in a review, the best has `k - 1`, the
    /// last 0.
    pub score: f64,
}

/// What a member contributed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MemberReport {
    /// Its name.
    pub name: String,
    /// The letter under which its opinion was judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Its opinion; after a debate, the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub opinion: Option<String>,
    /// Its review of the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
}

/// What a member thinks of the others' opinions.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Review {
    /// Their letters, best first.
    pub ranking: Vec<String>,
    /// Whether all come to the same decision, its own included.
    pub agree: bool,
    /// What is right and wrong with each, by letter.
    pub comments: BTreeMap<String, String>,
}

/// Something that did not come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Missing {
    /// Whose.
    pub name: String,
    /// What: `opinion`, `review` or `revision`.
    pub stage: String,
    /// Why.
    pub reason: String,
}

impl CouncilReport {
    /// The report for people: the decision first. With `whole`, opinions and reviews too.
    pub fn print(&self, whole: bool) -> String {
        let mut text = String::new();
        if let Some(decision) = &self.decision {
            self.print_decision(&mut text, decision);
        }
        let judged = self.members.iter().any(|member| member.review.is_some());
        if judged || !self.ranking.is_empty() {
            text.push_str("\n## Ranking\n\n");
            if self.ranking.is_empty() {
                text.push_str(
                    "None: each member judged one opinion, so that none is before another.\n",
                );
            }
            for Ranked { rank, label, name, score } in &self.ranking {
                let _ = writeln!(text, "{rank}. {name} (opinion {label}): {score:.2}");
            }
        }
        if let Some(decision) = &self.decision {
            list(&mut text, "Dissent", &decision.dissent);
            list(&mut text, "Next steps", &decision.next_steps);
        }
        let missing: Vec<String> = self
            .missing
            .iter()
            .map(|it| format!("{} of {}: {}", it.stage, it.name, it.reason))
            .collect();
        list(&mut text, "Missing", &missing);
        if whole {
            self.print_members(&mut text);
        }
        // Without a decision it begins with a title, and not with an empty line.
        text.trim_start().to_owned()
    }

    fn print_decision(&self, text: &mut String, decision: &Decision) {
        let Self { chair, rounds, agreed, escalated, .. } = self;
        let _ = writeln!(text, "{}\n", decision.decision.trim());
        let _ = write!(text, "Confidence {:.2}, by {chair}", decision.confidence);
        text.push_str(if *escalated { " at a higher effort" } else { "" });
        text.push_str(match agreed {
            Some(true) if self.same_decision() => "; the members agree",
            Some(true) => {
                "; the members put the same opinion first, though not all decide the same"
            }
            Some(false) => "; the members disagree",
            None => "",
        });
        match rounds {
            0 => text.push_str(".\n"),
            1 => text.push_str(" after 1 round of debate.\n"),
            rounds => {
                let _ = writeln!(text, " after {rounds} rounds of debate.");
            }
        }
        list(text, "Reasons", &decision.reasons);
    }

    /// Whether every review says that all come to the same decision.
    fn same_decision(&self) -> bool {
        self.members.iter().filter_map(|it| it.review.as_ref()).all(|review| review.agree)
    }

    fn print_members(&self, text: &mut String) {
        for member in &self.members {
            let Some(opinion) = &member.opinion else { continue };
            let label = member.label.as_deref().unwrap_or("?");
            let _ = writeln!(text, "\n## Opinion {label} ({})\n\n{}", member.name, opinion.trim());
        }
        for member in &self.members {
            let Some(review) = &member.review else { continue };
            let agree = if review.agree { "agree" } else { "disagree" };
            let _ = writeln!(text, "\n## Review by {}\n", member.name);
            if review.ranking.len() > 1 {
                let _ = write!(text, "Ranking: {}. ", review.ranking.join(", "));
            }
            let _ = writeln!(text, "They {agree}.");
            for (label, comment) in &review.comments {
                let _ = writeln!(text, "- {label}: {}", comment.trim());
            }
        }
    }
}

fn list(text: &mut String, title: &str, items: &[String]) {
    if items.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n## {title}\n");
    for item in items {
        let _ = writeln!(text, "- {}", item.trim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_decision_comes_first_and_what_is_empty_is_left_out() {
        let member = |name: &str, label: &str| MemberReport {
            name: name.to_owned(),
            label: Some(label.to_owned()),
            opinion: Some(format!("{name} thinks")),
            review: None,
        };
        let report = CouncilReport {
            decision: Some(Decision {
                decision: "Do it.".to_owned(),
                reasons: vec!["It is right".to_owned()],
                confidence: 0.8,
                ..Decision::default()
            }),
            chair: "m".to_owned(),
            rounds: 1,
            agreed: Some(true),
            ranking: vec![Ranked {
                rank: 1,
                label: "B".to_owned(),
                name: "x".to_owned(),
                score: 1.5,
            }],
            members: vec![member("x", "B")],
            ..CouncilReport::default()
        };
        let wanted = "Do it.\n\nConfidence 0.80, by m; the members agree after 1 round of debate.\n\n\
                      ## Reasons\n\n- It is right\n\n## Ranking\n\n1. x (opinion B): 1.50\n";
        assert_eq!(report.print(false), wanted);
        assert_eq!(report.print(true), format!("{wanted}\n## Opinion B (x)\n\nx thinks\n"));
        let review = Some(Review { ranking: vec!["A".to_owned()], ..Review::default() });
        let members = vec![MemberReport { review, ..member("x", "B") }, member("y", "A")];
        assert!(!report.print(true).contains("not all decide the same"));
        let differ = CouncilReport { members: members.clone(), ..report.clone() }.print(false);
        assert!(
            differ.contains("; the members put the same opinion first, though not"),
            "{differ}"
        );
        let pair = CouncilReport { ranking: Vec::new(), members, ..report }.print(false);
        assert!(pair.contains("## Ranking\n\nNone: each member judged one opinion"), "{pair}");
        let missed = Missing { name: "x".to_owned(), ..Missing::default() };
        let none = CouncilReport { missing: vec![missed], ..CouncilReport::default() };
        assert!(none.print(false).starts_with("## Missing\n"), "no empty line comes first");
    }
}
