//! A new run before it is started.

use copex_proto::run::{Effort, Mode};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::field::Field;

/// Modes in the order in which they are chosen.
pub(crate) const MODES: [Mode; 5] =
    [Mode::Chat, Mode::Ralph, Mode::Plan, Mode::Fleet, Mode::Council];

/// What is to be started.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Draft {
    /// How.
    pub(crate) mode: Mode,
    /// The prompt; of a fleet, a task in each line.
    pub(crate) prompt: String,
    /// The model, where it is not that of the configuration.
    pub(crate) model: Option<String>,
    /// The effort, where it is not that of the configuration.
    pub(crate) effort: Option<Effort>,
    /// A command that must succeed.
    pub(crate) check: Option<String>,
}

/// A row of the form.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Row {
    /// What to do.
    #[default]
    Prompt,
    /// The mode.
    Mode,
    /// The model.
    Model,
    /// The effort.
    Effort,
    /// The command that checks.
    Check,
}

const ROWS: [Row; 5] = [Row::Prompt, Row::Mode, Row::Model, Row::Effort, Row::Check];

/// The form.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Form {
    /// Where a person is.
    pub(crate) row: Row,
    /// The prompt.
    pub(crate) prompt: Field,
    /// The place of the mode.
    pub(crate) mode: usize,
    /// The model.
    pub(crate) model: Field,
    /// The effort.
    pub(crate) effort: Option<Effort>,
    /// The command that checks.
    pub(crate) check: Field,
}

/// What a key of the form asks for.
#[derive(Debug, PartialEq)]
pub(crate) enum Wish {
    /// Nothing more.
    Nothing,
    /// Start it.
    Send(Box<Draft>),
    /// Take the prompt to the editor.
    Edit,
}

impl Form {
    /// With what the flags say.
    pub(crate) fn new(model: &str, effort: Option<Effort>) -> Self {
        Self { model: Field::of(model), effort, ..Self::default() }
    }

    /// The mode.
    pub(crate) fn mode(&self) -> Mode {
        MODES[self.mode % MODES.len()]
    }

    /// Whether the mode takes a command that checks.
    pub(crate) fn has_check(&self) -> bool {
        matches!(self.mode(), Mode::Ralph | Mode::Fleet)
    }

    /// Puts what was pasted where a person types.
    pub(crate) fn paste(&mut self, text: &str) {
        match self.row {
            Row::Model => self.model.insert(&text.replace('\n', " ")),
            Row::Check => self.check.insert(&text.replace('\n', " ")),
            _ => self.prompt.insert(text),
        }
    }

    /// Takes a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Wish {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let plain = key.modifiers.difference(KeyModifiers::SHIFT).is_empty();
        match key.code {
            KeyCode::Char('e') if control => self.effort = next_effort(self.effort),
            KeyCode::Char('o') if control => return Wish::Edit,
            KeyCode::Tab => self.go(1),
            KeyCode::BackTab => self.go(ROWS.len() - 1),
            KeyCode::Enter if plain => return self.send(),
            _ => self.typed(key),
        }
        Wish::Nothing
    }

    fn typed(&mut self, key: KeyEvent) {
        let back = key.code == KeyCode::Left;
        let moves = back || matches!(key.code, KeyCode::Right | KeyCode::Char(' '));
        match self.row {
            Row::Prompt => {
                if !self.prompt.key(key) && key.code == KeyCode::Down {
                    self.go(1);
                }
            }
            Row::Mode if moves => {
                self.mode = (self.mode + if back { MODES.len() - 1 } else { 1 }) % MODES.len();
            }
            Row::Effort if moves => self.effort = next_effort(self.effort),
            _ if key.code == KeyCode::Down => self.go(1),
            _ if key.code == KeyCode::Up => self.go(ROWS.len() - 1),
            Row::Model => drop(self.model.key(key)),
            Row::Check => drop(self.check.key(key)),
            Row::Mode | Row::Effort => {}
        }
    }

    fn go(&mut self, by: usize) {
        let at = ROWS.iter().position(|row| *row == self.row).unwrap_or(0);
        self.row = ROWS[(at + by) % ROWS.len()];
        if self.row == Row::Check && !self.has_check() {
            self.row = if by == 1 { Row::Prompt } else { Row::Effort };
        }
    }

    fn send(&self) -> Wish {
        if self.prompt.text().trim().is_empty() {
            return Wish::Nothing;
        }
        let some = |field: &Field| {
            let text = field.text().trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        Wish::Send(Box::new(Draft {
            mode: self.mode(),
            prompt: self.prompt.text().trim().to_owned(),
            model: some(&self.model),
            effort: self.effort,
            check: some(&self.check).filter(|_| self.has_check()),
        }))
    }
}

/// The effort after this one; none at last.
pub(crate) fn next_effort(effort: Option<Effort>) -> Option<Effort> {
    let Some(effort) = effort else { return Effort::ALL.first().copied() };
    let at = Effort::ALL.iter().position(|known| *known == effort)?;
    Effort::ALL.get(at + 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(form: &mut Form, code: KeyCode) -> Wish {
        form.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    #[test]
    fn a_form_becomes_a_draft_and_an_empty_one_none() {
        let mut form = Form::new("gpt-5", None);
        assert_eq!(press(&mut form, KeyCode::Enter), Wish::Nothing);
        form.paste("fix it\nnow");
        for code in [KeyCode::Tab, KeyCode::Right, KeyCode::Tab, KeyCode::Tab, KeyCode::Tab] {
            press(&mut form, code);
        }
        assert_eq!((form.mode(), form.row), (Mode::Ralph, Row::Check));
        form.paste("make\ntest");
        form.key(KeyEvent::new(KeyCode::Char('e'), KeyModifiers::CONTROL));
        let Wish::Send(draft) = press(&mut form, KeyCode::Enter) else { panic!("{form:?}") };
        assert_eq!((draft.prompt.as_str(), draft.mode), ("fix it\nnow", Mode::Ralph));
        assert_eq!(
            (draft.model.as_deref(), draft.check.as_deref()),
            (Some("gpt-5"), Some("make test"))
        );
        assert_eq!(draft.effort, Effort::ALL.first().copied());
    }

    #[test]
    fn efforts_come_round() {
        let mut effort = None;
        for _ in 0..=Effort::ALL.len() {
            effort = next_effort(effort);
        }
        assert_eq!(effort, None);
    }
}
