//! What lies over a screen: help, the palette, forms, questions.

use copex_proto::event::Ask;
use copex_proto::id::RunId;

use super::command::{Entry, TABLE};
use super::field::Field;
use super::form::Form;
use super::fuzzy;

/// What lies over the screen.
#[derive(Debug)]
pub(crate) enum Over {
    /// The keys, from this line on.
    Help(usize),
    /// The palette.
    Palette(Palette),
    /// A new run.
    Form(Box<Form>),
    /// A line to say.
    Say(Say),
    /// Whether this run is to be cancelled.
    Confirm(RunId),
    /// A text to read, from this line on.
    Text {
        /// What it is.
        title: String,
        /// The text.
        text: String,
        /// The first line that is shown.
        top: usize,
    },
}

/// The command palette.
#[derive(Debug, Default)]
pub(crate) struct Palette {
    /// What is searched for.
    pub(crate) field: Field,
    /// The place of the one that is looked at.
    pub(crate) selected: usize,
}

impl Palette {
    /// The commands that fit, best first.
    pub(crate) fn found(&self) -> Vec<&'static Entry> {
        let best = fuzzy::best(self.field.text(), TABLE.iter().map(|entry| entry.words));
        best.into_iter().map(|place| &TABLE[place]).collect()
    }
}

/// What is said is for.
#[derive(Debug, PartialEq)]
pub(crate) enum Purpose {
    /// An agent at work.
    Steer(RunId),
    /// A run that ended, to go on with.
    Resume {
        /// Which.
        run: RunId,
        /// Whether it takes words: only one who works alone does.
        words: bool,
        /// Whether it ended well.
        done: bool,
    },
    /// A question.
    Answer(Box<Ask>),
}

/// A line to say.
#[derive(Debug)]
pub(crate) struct Say {
    /// What for.
    pub(crate) purpose: Purpose,
    /// What was typed.
    pub(crate) field: Field,
}

impl Say {
    /// Nothing was typed yet.
    pub(crate) fn new(purpose: Purpose) -> Self {
        Self { purpose, field: Field::default() }
    }

    /// Whether anybody takes what is typed.
    pub(crate) fn takes_words(&self) -> bool {
        !matches!(self.purpose, Purpose::Resume { words: false, .. })
    }
}
