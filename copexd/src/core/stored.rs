//! A run's checkpoint as it is stored, whatever its mode.

use super::{chat, council, fleet, plan, ralph};

/// The field that names the mode; a chat's checkpoint has none.
const MODE: &str = "mode";

/// A checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Stored {
    /// Of a chat.
    Chat(Box<chat::Progress>),
    /// Of a loop.
    Ralph(Box<ralph::Progress>),
    /// Of a plan.
    Plan(Box<plan::Progress>),
    /// Of a council.
    Council(Box<council::Progress>),
    /// Of a fleet.
    Fleet(Box<fleet::Progress>),
}

impl Stored {
    /// Reads a checkpoint; nothing where it cannot be read.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
        match value[MODE].as_str() {
            Some("ralph") => serde_json::from_value(value).ok().map(Self::Ralph),
            Some("plan") => serde_json::from_value(value).ok().map(Self::Plan),
            Some("council") => serde_json::from_value(value).ok().map(Self::Council),
            Some("fleet") => serde_json::from_value(value).ok().map(Self::Fleet),
            _ => serde_json::from_value(value).ok().map(Self::Chat),
        }
    }

    /// The checkpoint for the store.
    pub fn value(&self) -> serde_json::Value {
        let (mode, value) = match self {
            Self::Chat(progress) => return serde_json::to_value(progress).unwrap_or_default(),
            Self::Ralph(progress) => ("ralph", serde_json::to_value(progress)),
            Self::Plan(progress) => ("plan", serde_json::to_value(progress)),
            Self::Council(progress) => ("council", serde_json::to_value(progress)),
            Self::Fleet(progress) => ("fleet", serde_json::to_value(progress)),
        };
        let mut value = value.unwrap_or_default();
        value[MODE] = mode.into();
        value
    }

    /// The present turn.
    pub fn turn(&self) -> &chat::Progress {
        match self {
            Self::Chat(progress) => progress,
            Self::Ralph(progress) => &progress.turn,
            Self::Plan(progress) => progress.turn(),
            Self::Council(progress) => progress.turn(),
            Self::Fleet(progress) => progress.turn(),
        }
    }

    /// The session in which the run's own lane speaks next, if it does.
    pub fn session(&self) -> Option<&String> {
        match self {
            Self::Chat(_) | Self::Ralph(_) => self.turn().session.as_ref(),
            Self::Plan(progress) => {
                let drafts = progress.stage == plan::Stage::Drafting;
                progress.draft.session.as_ref().filter(|_| drafts)
            }
            // All of their sessions are in lanes.
            Self::Council(_) | Self::Fleet(_) => None,
        }
    }

    /// Where an ended run stands for the run that goes on with it.
    pub fn taken_up(self) -> Self {
        match self {
            Self::Chat(progress) => Self::Chat(Box::new(progress.taken_up())),
            Self::Ralph(progress) => Self::Ralph(Box::new(progress.taken_up())),
            Self::Plan(progress) => Self::Plan(Box::new(progress.taken_up())),
            Self::Council(progress) => Self::Council(Box::new(progress.taken_up())),
            Self::Fleet(progress) => Self::Fleet(Box::new(progress.taken_up())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let chat = chat::Progress { sent: true, asked: 3, ..chat::Progress::default() };
        let ralph = ralph::Progress {
            iteration: 4,
            stage: ralph::Stage::Pausing { until: 7 },
            turn: chat.clone(),
            ..ralph::Progress::default()
        };
        let step =
            plan::StepProgress { ralph: Some(Box::new(ralph.clone())), ..Default::default() };
        let plan = plan::Progress {
            stage: plan::Stage::Rereading { words: "w".to_owned() },
            steps: [(3, step)].into(),
            marks: vec![(3, plan::Mark::Done)],
            ..plan::Progress::default()
        };
        let council = council::Progress {
            stage: council::Stage::Reviews,
            members: vec![council::Member {
                part: council::Part::Working,
                turn: chat.clone(),
                opinion: Some("o".to_owned()),
                ..Default::default()
            }],
            ..council::Progress::default()
        };
        let stored = [
            Stored::Council(Box::new(council)),
            Stored::Chat(Box::new(chat)),
            Stored::Ralph(Box::new(ralph)),
            Stored::Plan(Box::new(plan)),
        ];
        for stored in stored {
            let bytes = serde_json::to_vec(&stored.value()).unwrap();
            assert_eq!(Stored::read(&bytes), Some(stored));
        }
    }

    #[test]
    fn checkpoints_of_earlier_versions_are_chats() {
        let old = br#"{"sent":true,"session":"s","user_messages":2}"#;
        let Some(Stored::Chat(progress)) = Stored::read(old) else { panic!() };
        assert_eq!((progress.sent, progress.user_messages), (true, 2));
        assert_eq!(Stored::read(b"{"), None);
    }
}
