//! The list below the prompt of what can stand at the cursor: there while there is something to
//! choose.
//!
//! One that stays open with nothing in it says so in words of its own, and takes the Enter of
//! whoever types on as soon as something fits by chance.

use reedline::{
    ColumnarMenu, Completer, Editor, Menu, MenuBuilder as _, MenuEvent, MenuSettings, Painter,
    Suggestion,
};

/// Beside letters and digits, what a command, a model or a path is made of: behind anything
/// else, a blank above all, the word that the list was opened for is over.
const WORD: &str = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~";

/// The list.
pub(super) struct Choices(ColumnarMenu);

impl Choices {
    /// Closed, by this name.
    pub(super) fn new(name: &str) -> Self {
        let menu = ColumnarMenu::default().with_name(name).with_columns(1).with_marker("");
        Self(menu.with_word_chars(WORD))
    }
}

impl Menu for Choices {
    fn settings(&self) -> &MenuSettings {
        self.0.settings()
    }

    fn is_active(&self) -> bool {
        self.0.is_active()
    }

    fn set_active(&mut self, active: bool) {
        self.0.set_active(active);
    }

    fn clear_input(&mut self) {
        self.0.clear_input();
    }

    fn menu_event(&mut self, event: MenuEvent) {
        self.0.menu_event(event);
    }

    fn can_quick_complete(&self) -> bool {
        self.0.can_quick_complete()
    }

    fn can_partially_complete(
        &mut self,
        values_updated: bool,
        editor: &mut Editor,
        completer: &mut dyn Completer,
    ) -> bool {
        self.0.can_partially_complete(values_updated, editor, completer)
    }

    fn update_values(&mut self, editor: &mut Editor, completer: &mut dyn Completer) {
        self.0.update_values(editor, completer);
        if self.0.get_values().is_empty() {
            self.0.menu_event(MenuEvent::Deactivate);
        }
    }

    fn reset_position(&mut self) {
        self.0.reset_position();
    }

    fn update_working_details(
        &mut self,
        editor: &mut Editor,
        completer: &mut dyn Completer,
        painter: &Painter,
    ) {
        self.0.update_working_details(editor, completer, painter);
    }

    fn replace_in_buffer(&self, editor: &mut Editor) {
        self.0.replace_in_buffer(editor);
    }

    fn menu_required_lines(&self, columns: u16) -> u16 {
        self.0.menu_required_lines(columns)
    }

    fn menu_string(&self, lines: u16, color: bool) -> String {
        self.0.menu_string(lines, color)
    }

    fn min_rows(&self) -> u16 {
        self.0.min_rows()
    }

    fn get_values(&self) -> &[Suggestion] {
        self.0.get_values()
    }

    fn results_are_provisional(&self) -> bool {
        self.0.results_are_provisional()
    }

    fn is_awaiting_first_answer(&self) -> bool {
        self.0.is_awaiting_first_answer()
    }
}
