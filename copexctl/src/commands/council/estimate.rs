//! What a council will ask, and what that may cost where prices are known.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use copex_proto::run::{CouncilRequest, Seat};
use serde_json::{Value, json};

use crate::render::amount;

/// Tokens that the Copilot CLI's own words and tools take in each prompt, rounded up.
const OVERHEAD_TOKENS: u64 = 20_000;

/// Tokens of an answer: an opinion has 800 words at most, and reasoning counts.
const ANSWER_TOKENS: u64 = 4_000;

/// Bytes of a token, at least, in text and code.
const BYTES_A_TOKEN: u64 = 3;

/// Who is asked, how often, and for how much.
pub(super) struct Estimate {
    members: Vec<String>,
    chair: String,
    quorum: usize,
    /// Turns at most.
    turns: u64,
    /// By the price table, where every model has a price.
    cost: Option<f64>,
    /// Models without one.
    unpriced: BTreeSet<String>,
}

impl Estimate {
    /// Works it out.
    ///
    /// # Errors
    /// With words, when somebody's name cannot be read.
    pub(super) fn of(request: &CouncilRequest) -> Result<Self, String> {
        let count = request.members.len() as u64;
        let debates = u64::from(request.debate.unwrap_or_default());
        let own = request.chair.clone().or_else(|| request.options.model.clone());
        let chair = own.or_else(|| request.members.first().cloned()).unwrap_or_default();
        let chair_turns = 2 + u64::from(request.escalate);
        let member_turns = 2 + 2 * debates;
        let task = (request.task.len() as u64) / BYTES_A_TOKEN;
        // Every turn of a member has what was said in its session before.
        let of_member: u64 =
            (1..=member_turns).map(|turn| turn * (task + count * ANSWER_TOKENS)).sum();
        let of_member = of_member + member_turns * OVERHEAD_TOKENS;
        let of_chair = chair_turns * (OVERHEAD_TOKENS + task + 2 * count * ANSWER_TOKENS);
        let mut cost = 0.0;
        let mut unpriced = BTreeSet::new();
        let members = request.members.iter().map(|it| (it, of_member, member_turns));
        for (name, input, turns) in members.chain([(&chair, of_chair, chair_turns)]) {
            let seat = Seat::read(name)?;
            let model = seat.model.trim_start_matches("github:").trim_start_matches("provider:");
            match request.options.prices.get(model) {
                Some(price) => {
                    cost += millions(input) * price.input;
                    cost += millions(turns * ANSWER_TOKENS) * price.output;
                }
                None => {
                    unpriced.insert(model.to_owned());
                }
            }
        }
        Ok(Self {
            members: request.names(),
            chair,
            quorum: request.quorum.map_or(request.members.len() / 2 + 1, |it| it as usize),
            turns: count * member_turns + chair_turns,
            cost: unpriced.is_empty().then_some(cost),
            unpriced,
        })
    }

    /// For people.
    pub(super) fn print(&self) -> String {
        let mut text = String::from("Members:\n");
        for name in &self.members {
            let _ = writeln!(text, "- {name}");
        }
        let _ = writeln!(text, "Chair: {}", self.chair);
        let _ = writeln!(text, "Quorum: {} of {}", self.quorum, self.members.len());
        let _ = writeln!(text, "Turns: {} at most", self.turns);
        let price = self.price().unwrap_or_else(|| {
            let names: Vec<&str> = self.unpriced.iter().map(String::as_str).collect();
            format!("not known; [prices] has no {}", names.join(", "))
        });
        let _ = writeln!(text, "Price: {price}");
        text
    }

    /// What it may cost, in a line; nothing where that is not known.
    pub(super) fn price(&self) -> Option<String> {
        let cost = amount(self.cost?);
        Some(format!(
            "≈ {cost} by [prices] for {} turns of one model call each; reading files takes more \
             calls, --max-cost sets a limit",
            self.turns
        ))
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "members": self.members,
            "chair": self.chair,
            "quorum": self.quorum,
            "turns": self.turns,
            "estimated_cost": self.cost,
            "unpriced": self.unpriced,
        })
    }
}

fn millions(tokens: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let tokens = tokens as f64;
    tokens / 1e6
}

#[cfg(test)]
mod tests {
    use copex_proto::run::RunOptions;
    use copex_proto::spend::Price;

    use super::*;

    #[test]
    fn a_price_is_told_only_where_all_are_known() {
        let price = Price { input: 1.0, output: 10.0, cached: None };
        let prices = [("a", price), ("b", price)].map(|(name, it)| (name.to_owned(), it));
        let mut request = CouncilRequest {
            task: "go".to_owned(),
            members: vec!["a".to_owned(), "github:b:high".to_owned(), "a".to_owned()],
            debate: Some(1),
            escalate: true,
            options: RunOptions { prices: prices.into(), ..RunOptions::default() },
            ..CouncilRequest::default()
        };
        let told = Estimate::of(&request).unwrap();
        assert_eq!((told.turns, told.quorum), (3 * 4 + 3, 2));
        let cost = told.cost.unwrap();
        assert!(cost > 15.0 * 4_000.0 * 10.0 / 1e6 && cost < 2.0, "{cost}");
        request.chair = Some("c".to_owned());
        let told = Estimate::of(&request).unwrap();
        assert_eq!(told.price(), None);
        assert!(told.print().contains("[prices] has no c\n"), "{}", told.print());
    }
}
