//! One prompt's life: signals in, facts out, and in the end one answer.

use std::collections::BTreeMap;

use super::machine::Fact;
use super::moment::Moment;
use super::signal::{CallUsage, Signal};

/// Bytes of a tool's result that clients see; the middle of a longer one is left out.
/// The agent always gets the whole.
pub const TOOL_RESULT_BYTES: usize = 8 * 1024;

/// The Copilot CLI's tools that change nothing and reach nowhere. What is not named here may
/// have had effects: a tool of a later version least of all is one of them.
pub const READING: [&str; 5] = ["view", "grep", "rg", "glob", "report_intent"];

/// Whether a tool of this name may change something.
pub fn has_effects(name: &str) -> bool {
    !READING.contains(&name)
}

/// Folds the signals of one turn.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Turn {
    /// The id of the prompt's message, once accepted.
    message: Option<String>,
    /// Ids of what was said after it: answers to these are ours as well.
    also: Vec<String>,
    /// Whether text was shown that no whole message has confirmed.
    unconfirmed: bool,
    /// Tools at work: call -> (name, since).
    tools: BTreeMap<String, (String, u64)>,
    /// The agent's last message with text.
    answer: String,
    /// Whole messages that clients were told, in order.
    told: Vec<String>,
    /// Tools that ran.
    ran: u32,
    /// Those of them that may have changed something.
    effects: u32,
    /// Model requests that were asked again.
    again: u32,
    usage: CallUsage,
}

impl Turn {
    /// A turn that goes on: what it cost, ran (and of that with effects) and told so far, as
    /// the log has it.
    pub fn resumed(usage: CallUsage, (ran, effects): (u32, u32), told: Vec<String>) -> Self {
        Self { told, ran, effects, usage, ..Self::default() }
    }

    /// The prompt was accepted under this message id.
    pub fn sent(&mut self, message: String) {
        self.message = Some(message);
    }

    /// Answers to this message are ours as well.
    pub fn also(&mut self, message: String) {
        self.also.push(message);
    }

    /// The answer so far.
    pub fn answer(&self) -> &str {
        &self.answer
    }

    /// What it cost so far.
    pub fn usage(&self) -> &CallUsage {
        &self.usage
    }

    /// Tools that ran so far.
    pub fn tools_run(&self) -> u32 {
        self.ran
    }

    /// Those of them that may have changed something.
    pub fn effects(&self) -> u32 {
        self.effects
    }

    /// Model requests that were asked again so far.
    pub fn asked_again(&self) -> u32 {
        self.again
    }

    /// Whether a tool is at work.
    pub fn in_tool(&self) -> bool {
        !self.tools.is_empty()
    }

    /// Takes the messages of the turn from its transcript, as if they were said now. What
    /// was told before is not told again; the transcript may lack some of that.
    pub fn take_messages(&mut self, messages: Vec<String>) -> Vec<Fact> {
        self.unconfirmed = false;
        let told = std::mem::take(&mut self.told);
        let mut told = told.as_slice();
        let mut facts = Vec::new();
        for text in messages.into_iter().filter(|text| !text.is_empty()) {
            self.answer.clone_from(&text);
            match told.iter().position(|known| *known == text) {
                Some(at) => told = &told[at + 1..],
                None => facts.push(Fact::Message(text)),
            }
        }
        facts
    }

    /// Closes open tools and withdraws unconfirmed text, when the attempt is to be repeated.
    pub fn break_off(&mut self, reason: &str, moment: Moment) -> Vec<Fact> {
        let mut facts = self.close_tools(moment);
        if std::mem::take(&mut self.unconfirmed) {
            facts.push(Fact::Restarted(reason.to_owned()));
        }
        facts
    }

    /// Closes open tools as interrupted, when the turn ends without them.
    pub fn close_tools(&mut self, moment: Moment) -> Vec<Fact> {
        let mut facts = Vec::new();
        for (call, (name, since)) in std::mem::take(&mut self.tools) {
            facts.push(Fact::ToolEnd {
                call,
                name,
                success: false,
                result: "interrupted".to_owned(),
                duration_ms: moment.now_ms.saturating_sub(since),
            });
        }
        facts
    }

    /// Takes one signal. Signals that decide (permissions, failures, the end) are the
    /// machine's business and change nothing here.
    pub fn fold(&mut self, signal: &Signal, moment: Moment) -> Vec<Fact> {
        match signal {
            Signal::MessageDelta(text) if !text.is_empty() => {
                self.unconfirmed = true;
                vec![Fact::MessageDelta(text.clone())]
            }
            Signal::ReasoningDelta(text) if !text.is_empty() => {
                vec![Fact::ReasoningDelta(text.clone())]
            }
            Signal::Message { text, answers } => self.message(text, answers.as_deref()),
            Signal::ToolStart { call, name, arguments } => {
                let known = self.tools.insert(call.clone(), (name.clone(), moment.now_ms));
                if known.is_some() {
                    return Vec::new();
                }
                self.ran += 1;
                self.effects += u32::from(has_effects(name));
                vec![Fact::ToolStart {
                    call: call.clone(),
                    name: name.clone(),
                    arguments: arguments.clone(),
                }]
            }
            Signal::ToolEnd { call, success, result } => {
                let Some((name, since)) = self.tools.remove(call) else { return Vec::new() };
                vec![Fact::ToolEnd {
                    call: call.clone(),
                    name,
                    success: *success,
                    result: clip(result, TOOL_RESULT_BYTES),
                    duration_ms: moment.now_ms.saturating_sub(since),
                }]
            }
            Signal::Usage(usage) => {
                self.usage.add(usage);
                vec![Fact::Usage(usage.clone())]
            }
            Signal::Restarting(reason) => {
                if std::mem::take(&mut self.unconfirmed) {
                    vec![Fact::Restarted(reason.clone())]
                } else {
                    Vec::new()
                }
            }
            Signal::Waiting { attempt, failure, delay_ms } => {
                // A wait for a breaker or a limit is no try.
                self.again += u32::from(!failure.unasked);
                vec![Fact::Retrying {
                    attempt: *attempt,
                    failure: failure.clone(),
                    delay_ms: *delay_ms,
                }]
            }
            Signal::Notice { code, message } => {
                vec![Fact::Warning { code: (*code).to_owned(), message: message.clone() }]
            }
            Signal::MessageDelta(_)
            | Signal::ReasoningDelta(_)
            | Signal::Requesting(_)
            | Signal::Compacting(_)
            | Signal::Prompted { .. }
            | Signal::Permission { .. }
            | Signal::Question { .. }
            | Signal::Failed(_)
            | Signal::Idle
            | Signal::Closed(_) => Vec::new(),
        }
    }

    fn message(&mut self, text: &str, answers: Option<&str>) -> Vec<Fact> {
        if let (Some(ours), Some(theirs)) = (self.message.as_deref(), answers)
            && ours != theirs
            && !self.also.iter().any(|also| also == theirs)
        {
            // Another prompt's answer must never become ours.
            let message = format!("ignored an answer to another prompt ({theirs})");
            return vec![Fact::Warning { code: "foreign_answer".to_owned(), message }];
        }
        if text.is_empty() {
            return Vec::new();
        }
        self.unconfirmed = false;
        text.clone_into(&mut self.answer);
        self.told.push(text.to_owned());
        vec![Fact::Message(text.to_owned())]
    }
}

/// Keeps the head and the tail of a long text and says how much is missing.
pub fn clip(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let mut head = most / 2;
    while !text.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = text.len() - most / 2;
    while !text.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{}\n… {} bytes left out …\n{}", &text[..head], tail - head, &text[tail..])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { now_ms: 1_000, chance: 0.5 };

    fn delta(text: &str) -> Signal {
        Signal::MessageDelta(text.to_owned())
    }

    #[test]
    fn text_of_a_broken_attempt_is_withdrawn_once() {
        let mut turn = Turn::default();
        turn.fold(&delta("Hel"), NOW);
        let restart = Signal::Restarting("cut".to_owned());
        assert_eq!(turn.fold(&restart, NOW), vec![Fact::Restarted("cut".to_owned())]);
        assert_eq!(turn.fold(&restart, NOW), vec![]);
        assert_eq!(turn.break_off("again", NOW), vec![]);
    }

    #[test]
    fn a_confirmed_message_is_never_withdrawn() {
        let mut turn = Turn::default();
        turn.fold(&delta("Hello"), NOW);
        turn.fold(&Signal::Message { text: "Hello".to_owned(), answers: None }, NOW);
        assert_eq!(turn.break_off("died", NOW), vec![]);
        assert_eq!(turn.answer(), "Hello");
    }

    #[test]
    fn an_answer_to_another_prompt_is_not_ours() {
        let mut turn = Turn::default();
        turn.sent("m1".to_owned());
        let other = Signal::Message { text: "7".to_owned(), answers: Some("m0".to_owned()) };
        assert!(matches!(turn.fold(&other, NOW)[..], [Fact::Warning { .. }]));
        assert_eq!(turn.answer(), "");
    }

    #[test]
    fn a_tool_that_was_cut_off_is_closed_as_interrupted() {
        let mut turn = Turn::default();
        let start = Signal::ToolStart {
            call: "c".to_owned(),
            name: "bash".to_owned(),
            arguments: serde_json::Value::Null,
        };
        turn.fold(&start, NOW);
        let later = Moment { now_ms: 1_250, ..NOW };
        let facts = turn.break_off("died", later);
        assert!(
            matches!(&facts[..], [Fact::ToolEnd { success: false, duration_ms: 250, .. }]),
            "{facts:?}"
        );
    }

    #[test]
    fn usage_is_summed_over_the_calls_of_a_turn() {
        let mut turn = Turn::default();
        for _ in 0..3 {
            let call = CallUsage { calls: 1, input_tokens: 7, ..CallUsage::default() };
            turn.fold(&Signal::Usage(call), NOW);
        }
        assert_eq!((turn.usage().calls, turn.usage().input_tokens), (3, 21));
    }

    #[test]
    fn clipping_keeps_both_ends_and_whole_characters() {
        let text = "ä".repeat(10_000);
        let clipped = clip(&text, 100);
        assert!(clipped.starts_with('ä') && clipped.ends_with('ä'));
        assert!(clipped.contains("left out"));
        assert!(clipped.len() < 200);
    }
}
