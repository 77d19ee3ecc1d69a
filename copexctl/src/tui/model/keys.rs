//! Keys, what is pasted, and the mouse.

use copex_proto::event::{Answer, AskKind};
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::call::{Call, Effect};
use super::command::{Command, of_key};
use super::form::Wish;
use super::over::{Over, Purpose, Say};
use super::run::Tab;
use super::{Model, Screen};
use crate::asks::read_answer;

/// Lines of a question that are turned at once: as many as the smallest screen shows.
const PAGE: usize = 8;

/// What is said where Ctrl+C has nothing to cancel.
const LEAVES: &str = "nothing to cancel here; Ctrl+C once more leaves";

impl Model {
    /// A key.
    pub(super) fn key(&mut self, key: KeyEvent) -> Vec<Effect> {
        if key.kind == KeyEventKind::Release {
            return Vec::new();
        }
        if let Some(over) = self.over.take() {
            return self.key_over(over, key);
        }
        if self.finding {
            return self.key_find(key);
        }
        if self.screen == Screen::Inbox
            && let Some(effects) = self.key_inbox(key)
        {
            return effects;
        }
        if self.moves(key) {
            return Vec::new();
        }
        if key.code == KeyCode::Char('c')
            && key.modifiers.contains(KeyModifiers::CONTROL)
            && self.nothing_to_cancel()
        {
            if self.note.as_ref().is_some_and(|note| note.text == LEAVES) {
                return vec![Effect::Quit];
            }
            self.say(LEAVES);
            return Vec::new();
        }
        match key.code {
            KeyCode::Tab => return self.turn(1),
            KeyCode::BackTab => return self.turn(-1),
            KeyCode::Esc | KeyCode::Backspace => return self.back(),
            KeyCode::Char('q') if key.modifiers.is_empty() && self.screen == Screen::Run => {
                return self.back();
            }
            _ => {}
        }
        of_key(key).map_or_else(Vec::new, |command| self.perform(command))
    }

    fn key_over(&mut self, over: Over, key: KeyEvent) -> Vec<Effect> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let closes = key.code == KeyCode::Esc || (control && key.code == KeyCode::Char('c'));
        match over {
            Over::Confirm(_) if control && key.code == KeyCode::Char('c') => {
                return vec![Effect::Quit];
            }
            Over::Confirm(run) => {
                if matches!(key.code, KeyCode::Char('y' | 'Y') | KeyCode::Enter) {
                    return vec![Call::Cancel(run).into()];
                }
            }
            Over::Form(form) if closes => {
                form.prompt.text().clone_into(&mut self.draft);
            }
            _ if closes => {}
            Over::Help(top) => {
                self.over = scrolled((top, self.over_last.get()), key).map(Over::Help);
            }
            Over::Text { title, text, top } => {
                let top = scrolled((top, self.over_last.get()), key);
                self.over = top.map(|top| Over::Text { title, text, top });
            }
            Over::Palette(mut palette) => {
                let last = palette.found().len().saturating_sub(1);
                match key.code {
                    KeyCode::Enter => {
                        let found = palette.found();
                        let entry = found.get(palette.selected.min(last));
                        return entry.map_or_else(Vec::new, |entry| self.perform(entry.command));
                    }
                    KeyCode::Up => palette.selected = palette.selected.min(last).saturating_sub(1),
                    KeyCode::Down => palette.selected = (palette.selected + 1).min(last),
                    _ => {
                        palette.field.key(key);
                        palette.selected = 0;
                    }
                }
                self.over = Some(Over::Palette(palette));
            }
            Over::Form(mut form) => {
                let wish = form.key(key);
                let text = form.prompt.text().to_owned();
                self.draft.clone_from(&text);
                match wish {
                    Wish::Send(draft) => return vec![Effect::Submit(draft)],
                    Wish::Edit => {
                        self.over = Some(Over::Form(form));
                        return vec![Effect::EditPrompt(text)];
                    }
                    Wish::Nothing => self.over = Some(Over::Form(form)),
                }
            }
            Over::Say(mut say) => {
                if key.code == KeyCode::Enter && key.modifiers.is_empty() {
                    return self.said(say);
                }
                if say.takes_words() {
                    say.field.key(key);
                }
                self.over = Some(Over::Say(say));
            }
        }
        Vec::new()
    }

    /// A line was typed to its end.
    fn said(&mut self, say: Say) -> Vec<Effect> {
        let text = say.field.text().trim().to_owned();
        let call = match &say.purpose {
            Purpose::Steer(_) if text.is_empty() => None,
            Purpose::Steer(run) => Some(Call::Say { run: *run, text }),
            Purpose::Resume { run, words, .. } => {
                let prompt = (*words && !text.is_empty()).then_some(text);
                Some(Call::Resume { run: *run, prompt, now: false })
            }
            Purpose::Answer(ask) if ask.kind == AskKind::PlanApproval && text == "e" => {
                return self.perform(Command::EditPlan);
            }
            Purpose::Answer(ask) => {
                read_answer(ask, &text).map(|answer| Call::Answer { ask: ask.ask.clone(), answer })
            }
        };
        if let Some(call) = call {
            return vec![call.into()];
        }
        self.over = Some(Over::Say(say));
        Vec::new()
    }

    fn key_find(&mut self, key: KeyEvent) -> Vec<Effect> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Esc => {
                self.finding = false;
                self.runs.find.clear();
            }
            KeyCode::Enter => self.finding = false,
            KeyCode::Up => self.runs.step(-1),
            KeyCode::Down => self.runs.step(1),
            KeyCode::Backspace => drop(self.runs.find.pop()),
            KeyCode::Char('u') if control => self.runs.find.clear(),
            KeyCode::Char('c') if control => self.finding = false,
            KeyCode::Char(c) if !control => self.runs.find.push(c),
            _ => {}
        }
        self.runs.settle();
        Vec::new()
    }

    /// Keys that answer the question which is looked at.
    fn key_inbox(&mut self, key: KeyEvent) -> Option<Vec<Effect>> {
        let inbox = &mut self.inbox;
        let most = inbox.last.get();
        match key.code {
            KeyCode::PageDown => inbox.top = (inbox.top + PAGE).min(most),
            KeyCode::PageUp => inbox.top = inbox.top.min(most).saturating_sub(PAGE),
            _ => {}
        }
        if matches!(key.code, KeyCode::PageUp | KeyCode::PageDown) {
            return Some(Vec::new());
        }
        let KeyCode::Char(c) = key.code else {
            return (key.code == KeyCode::Enter).then(|| self.perform(Command::Answer));
        };
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return None;
        }
        let ask = &self.inbox.current()?.ask;
        let yes_or_no = matches!(ask.kind, AskKind::Permission | AskKind::PlanApproval);
        let answer = match c {
            'y' if yes_or_no => Answer::Allow,
            'n' if yes_or_no => Answer::Deny { feedback: None },
            'A' if ask.kind == AskKind::Permission => Answer::AllowAlways,
            '1'..='9' => {
                let place = (c as usize) - ('1' as usize);
                Answer::Text { text: ask.choices.get(place)?.clone() }
            }
            _ => return None,
        };
        let ask = ask.ask.clone();
        Some(vec![Call::Answer { ask, answer }.into()])
    }

    /// Keys that go up and down; whether it was one.
    fn moves(&mut self, key: KeyEvent) -> bool {
        if key.modifiers.contains(KeyModifiers::CONTROL) {
            return false;
        }
        let page = isize::try_from(self.size.1).unwrap_or(24).saturating_sub(6).max(1);
        let by = match key.code {
            KeyCode::Up | KeyCode::Char('k') => -1,
            KeyCode::Down | KeyCode::Char('j') => 1,
            KeyCode::PageUp => -page,
            KeyCode::PageDown => page,
            KeyCode::Home => isize::MIN / 2,
            KeyCode::End => isize::MAX / 2,
            _ => return false,
        };
        self.go_by(by);
        true
    }

    pub(super) fn go_by(&mut self, by: isize) {
        let among = |at: usize, all: usize| at.saturating_add_signed(by).min(all.saturating_sub(1));
        match self.screen {
            Screen::Runs => self.runs.step(by),
            Screen::Run => {
                let Some(open) = &mut self.open else { return };
                match open.tab {
                    Tab::Parts if open.parts() > 0 => open.part = among(open.part, open.parts()),
                    Tab::Log => open.look_by(by),
                    _ => open.scroll_by(by),
                }
            }
            Screen::Inbox => {
                self.inbox.top = 0;
                self.inbox.selected = among(self.inbox.selected, self.inbox.asks.len());
            }
            Screen::Spend | Screen::Pool => {
                let house = &mut self.house;
                house.top = house.top.min(house.last.get()).saturating_add_signed(by);
                house.top = house.top.min(house.last.get());
            }
        }
    }

    /// Tab: the next view of a run, or the next screen.
    fn turn(&mut self, by: isize) -> Vec<Effect> {
        const SCREENS: [Screen; 4] = [Screen::Runs, Screen::Inbox, Screen::Spend, Screen::Pool];
        let next = |at: usize, all: usize| (at + all).saturating_add_signed(by) % all;
        if let (Screen::Run, Some(open)) = (self.screen, &mut self.open) {
            let tabs = open.tabs();
            let at = tabs.iter().position(|(tab, _)| *tab == open.tab).unwrap_or(0);
            open.show(tabs[next(at, tabs.len())].0);
            return Vec::new();
        }
        let at = SCREENS.iter().position(|screen| *screen == self.screen).unwrap_or(0);
        self.go(SCREENS[next(at, SCREENS.len())])
    }

    /// Esc: from a part to its run, from a run to all runs, from a search to the whole list.
    fn back(&mut self) -> Vec<Effect> {
        if let (Screen::Run, Some(open)) = (self.screen, &mut self.open)
            && open.only.take().is_some()
        {
            open.show(Tab::Parts);
            return Vec::new();
        }
        if self.screen == Screen::Runs {
            self.runs.find.clear();
            return Vec::new();
        }
        self.go(Screen::Runs)
    }

    /// Text was pasted: into what is being typed, and never as keys.
    pub(super) fn paste(&mut self, text: &str) -> Vec<Effect> {
        match &mut self.over {
            Some(Over::Form(form)) => form.paste(text),
            Some(Over::Say(say)) if say.takes_words() => say.field.insert(text),
            Some(Over::Palette(palette)) => palette.field.insert(&text.replace('\n', " ")),
            _ if self.finding => {
                self.runs.find.push_str(text.lines().next().unwrap_or_default());
                self.runs.settle();
            }
            _ => {}
        }
        Vec::new()
    }
}

/// Where a text is scrolled to by a key; none when the key closes it.
fn scrolled((top, last): (usize, usize), key: KeyEvent) -> Option<usize> {
    const PAGE: usize = 10;
    // The window may be higher than it was.
    let top = top.min(last);
    let top = match key.code {
        KeyCode::Up | KeyCode::Char('k') => top.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => top + 1,
        KeyCode::PageUp => top.saturating_sub(PAGE),
        KeyCode::PageDown | KeyCode::Char(' ') => top + PAGE,
        KeyCode::Home => 0,
        KeyCode::End => last,
        _ => return None,
    };
    Some(top.min(last))
}
