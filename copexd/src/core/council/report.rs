//! What comes of a council.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Council, ranking};

/// What came of a council, as far as it came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// What the chair decided.
    pub decision: Option<Decision>,
    /// Who the chair was.
    pub chair: String,
    /// Whether the decision is that of the chair's second turn.
    pub escalated: bool,
    /// Rounds of debate.
    pub rounds: u32,
    /// Whether the last reviews agreed.
    pub agreed: Option<bool>,
    /// The opinions, best first.
    pub ranking: Vec<Ranked>,
    /// The members, in their order.
    pub members: Vec<Contribution>,
    /// What is missing.
    pub missing: Vec<Missing>,
}

/// A decision, as the chair has to write it.
#[expect(clippy::struct_field_names, reason = "the chair writes these very names")]
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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

/// What a member thinks of the others' opinions, as it has to write it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// Their letters, best first.
    pub ranking: Vec<String>,
    /// Whether all come to the same decision, its own included.
    pub agree: bool,
    /// What is right and wrong with each, by letter.
    #[serde(default)]
    pub comments: BTreeMap<String, String>,
}

/// An opinion's place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ranked {
    /// Its rank, from 1.
    pub rank: u32,
    /// Its letter.
    pub label: String,
    /// Whose it is, from 0.
    pub member: usize,
    /// The mean of its Borda points.
    pub score: f64,
}

/// What a member contributed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Contribution {
    /// Its name.
    pub name: String,
    /// The letter of its opinion.
    pub label: Option<String>,
    /// Its opinion; after a debate, the last.
    pub opinion: Option<String>,
    /// Its review of the others.
    pub review: Option<Review>,
}

/// Something that did not come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Missing {
    /// Whose.
    pub name: String,
    /// What.
    pub stage: String,
    /// Why.
    pub reason: String,
}

impl Council {
    /// What came of it so far.
    pub(super) fn report(&self) -> Report {
        let progress = &self.progress;
        let named = || self.spec.members.iter().map(|seat| seat.name.clone());
        let members = named().zip(&progress.members).map(|(name, member)| Contribution {
            name,
            label: member.label.clone(),
            opinion: member.opinion.clone(),
            review: member.review.clone(),
        });
        let missing = named().zip(&progress.members).flat_map(|(name, member)| {
            member.missing.iter().map(move |missed| Missing {
                name: name.clone(),
                stage: missed.stage.name().to_owned(),
                reason: missed.ending.failure().message.clone(),
            })
        });
        Report {
            decision: progress.decision.clone(),
            chair: self.spec.chair.name.clone(),
            escalated: progress.escalated,
            rounds: progress.round,
            agreed: ranking::agreed(&progress.members),
            ranking: ranking::ranked(&progress.members),
            members: members.collect(),
            missing: missing.collect(),
        }
    }
}
