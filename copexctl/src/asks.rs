//! Questions that only a person may answer, in this terminal or elsewhere.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use copex_proto::event::{Answer, Ask, AskKind, EventBody, RunEvent};
use copex_proto::id::AskId;
use copex_proto::plan::Plan;

use crate::answer;
use crate::error::Result;
use crate::follow::View;
use crate::process;
use crate::render::markdown::code::{diff, is_diff};
use crate::render::styled::{Line, Role, Style};
use crate::render::{brief, clean};

/// The questions of one run that wait.
#[derive(Debug)]
pub(crate) struct Asks {
    terminal: Terminal,
    waiting: VecDeque<Ask>,
    typed: Vec<u8>,
    /// The user's editor.
    editor: String,
    /// The plan of the run, if it has one.
    plan: Option<PathBuf>,
}

/// Whether a person sits in front of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminal {
    /// Yes: questions are asked here.
    Person,
    /// No: somebody else answers.
    Nobody,
}

impl Asks {
    /// No question yet.
    pub(crate) fn new(terminal: Terminal, editor: String) -> Self {
        Self { terminal, waiting: VecDeque::new(), typed: Vec::new(), editor, plan: None }
    }

    /// Whether typed text is waited for.
    pub(crate) fn wants_input(&self) -> bool {
        self.terminal == Terminal::Person && !self.waiting.is_empty()
    }

    /// Takes note of questions and answers in the log.
    pub(crate) fn event(&mut self, event: &RunEvent, view: &mut dyn View) -> io::Result<()> {
        match &event.body {
            EventBody::Ask(ask) => {
                let ask = by_name(ask, event.path.as_deref());
                if self.terminal == Terminal::Nobody {
                    return wait_elsewhere(&ask, view);
                }
                self.waiting.push_back(ask);
                if self.waiting.len() == 1 {
                    self.ask_next(view)?;
                }
                Ok(())
            }
            EventBody::Artifact { file, kind } if kind == "plan" => {
                self.plan = Some(PathBuf::from(file));
                Ok(())
            }
            EventBody::Answered { ask, .. } => {
                let first = self.waiting.front().is_some_and(|front| front.ask == *ask);
                let before = self.waiting.len();
                self.waiting.retain(|waiting| waiting.ask != *ask);
                if first && before > self.waiting.len() {
                    view.answered_elsewhere()?;
                    self.ask_next(view)?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Reads what was typed; the answer, once a line is one.
    pub(crate) fn typed(&mut self, view: &mut dyn View) -> Result<Option<(AskId, Answer)>> {
        let mut bytes = [0; 4096];
        match nix::unistd::read(io::stdin(), &mut bytes) {
            Ok(0) => {
                self.terminal = Terminal::Nobody;
                for ask in std::mem::take(&mut self.waiting) {
                    wait_elsewhere(&ask, view)?;
                }
                return Ok(None);
            }
            Ok(count) => self.typed.extend_from_slice(&bytes[..count]),
            Err(_) => return Ok(None),
        }
        let Some(end) = self.typed.iter().position(|byte| *byte == b'\n') else {
            return Ok(None);
        };
        let line: Vec<u8> = self.typed.drain(..=end).collect();
        self.line(&String::from_utf8_lossy(&line), view)
    }

    /// Takes a line that was typed; the answer, if it is one.
    pub(crate) fn line(
        &mut self,
        line: &str,
        view: &mut dyn View,
    ) -> Result<Option<(AskId, Answer)>> {
        let Some(ask) = self.waiting.front() else { return Ok(None) };
        let line = line.trim();
        if let (true, Some(plan)) = (wants_editor(ask, line), &self.plan) {
            let approval = ask.kind == AskKind::PlanApproval;
            view.suspend();
            let read = edited(&self.editor, plan);
            let readable = read.is_ok();
            let front = self.waiting.front_mut();
            match (read, front) {
                // What is asked is about the plan as it is now.
                (Ok(text), Some(ask)) if approval => ask.detail = text,
                (Ok(_), _) => {}
                (Err(why), _) => view.note(&why)?,
            }
            if !readable || approval {
                self.ask_next(view)?;
                return Ok(None);
            }
        }
        let Some(ask) = self.waiting.front() else { return Ok(None) };
        let Some(answer) = read_answer(ask, line) else {
            if !line.is_empty() {
                let way = if ask.kind == AskKind::Permission { PERMITTING } else { "" };
                view.note(&format!("`{}` is no answer to this{way}", brief(line, 40)))?;
            }
            view.question(&question(ask))?;
            return Ok(None);
        };
        let id = ask.ask.clone();
        self.waiting.pop_front();
        self.ask_next(view)?;
        Ok(Some((id, answer)))
    }

    /// Asks the first of the questions that wait. What was typed before it was shown is
    /// dropped: nobody answers what they have not seen.
    fn ask_next(&mut self, view: &mut dyn View) -> io::Result<()> {
        let Some(next) = self.waiting.front() else { return Ok(()) };
        self.typed.clear();
        // It fails where there is no terminal, and nothing was typed there.
        let _ = nix::sys::termios::tcflush(io::stdin(), nix::sys::termios::FlushArg::TCIFLUSH);
        view.question(&question(next))
    }
}

/// Lines before a change that only programs read.
const HEADS: [&str; 7] =
    ["diff --git ", "index ", "create file ", "new file ", "old mode ", "--- ", "+++ "];

/// What else may be said of a tool.
const PERMITTING: &str = "; `no, REASON` tells the agent why";

/// A question of one of several, with the name of who asks: a task or a member, and no number
/// of an iteration.
fn by_name(ask: &Ask, path: Option<&str>) -> Ask {
    let mut ask = ask.clone();
    let name = path.and_then(|path| path.split('/').next());
    if let Some(name) = name.filter(|name| name.parse::<u32>().is_err()) {
        ask.title = format!("[{name}] {}", ask.title);
    }
    ask
}

/// Whether a line asks for the editor: `e` where a plan is to be approved, or a choice that
/// begins with `edit`.
fn wants_editor(ask: &Ask, line: &str) -> bool {
    let edit = |text: &str| text.split_whitespace().next() == Some("edit");
    match ask.kind {
        AskKind::PlanApproval => line == "e" || line == "edit",
        AskKind::UserInput => {
            matches!(
                read_answer(ask, line), Some(Answer::Text { text }) if edit(&text)
            ) && ask.choices.iter().any(|choice| edit(choice))
        }
        AskKind::Permission | AskKind::Unknown => false,
    }
}

/// Lets a person edit the plan; its text then, or why it is none.
fn edited(editor: &str, plan: &Path) -> std::result::Result<String, String> {
    process::edit(editor, plan).map_err(|why| {
        format!("the editor `{editor}` {why}; set EDITOR, or edit {}", plan.display())
    })?;
    let text = std::fs::read_to_string(plan).map_err(|error| error.to_string());
    let read = text.and_then(|text| match Plan::read(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(error.to_string()),
    });
    read.map_err(|why| format!("the plan {} cannot be read: {why}", plan.display()))
}

fn wait_elsewhere(ask: &Ask, view: &mut dyn View) -> io::Result<()> {
    let how = answer::ways(ask);
    view.note(&format!(
        "waits for an answer: {}: copexctl inbox answer {} {how}",
        clean(&ask.title),
        ask.ask
    ))
}

/// A question in lines: a change in the colours that every change has.
fn question(ask: &Ask) -> Vec<Line> {
    let plain = |text: &str| -> Vec<Line> {
        clean(text).lines().map(|line| Line::of(line.replace('\t', "    "), Role::Text)).collect()
    };
    let mut lines: Vec<Line> =
        clean(&ask.title).lines().map(|line| Line::of(line, Style::BOLD)).collect();
    if !ask.detail.is_empty() && !ask.title.contains(&ask.detail) {
        lines.extend(if is_diff(&ask.detail) {
            // The question names the file; what else git says of it is none of a person's cares.
            let text = clean(&ask.detail);
            let told =
                |line: &str| !(line.is_empty() || HEADS.iter().any(|it| line.starts_with(it)));
            let shown: Vec<&str> = text.lines().skip_while(|line| !told(line)).collect();
            shown.iter().map(|line| diff(&line.replace('\t', "    "))).collect()
        } else {
            plain(&ask.detail)
        });
    }
    for (index, choice) in ask.choices.iter().enumerate() {
        lines.extend(plain(&format!("  {}. {choice}", index + 1)));
    }
    let ways = match ask.kind {
        AskKind::Permission => &permission(ask),
        AskKind::PlanApproval => {
            "[y]es / [n]o / [e]dit, or what to change (`3: …` changes step 3 alone)"
        }
        AskKind::UserInput | AskKind::Unknown => "Your answer:",
    };
    lines.push(Line::of(ways, Role::Wants));
    lines
}

/// The ways to answer a question about a tool, with what "always" would be.
fn permission(ask: &Ask) -> String {
    let always = ask.always.as_ref().map(|pattern| format!(": {}", brief(pattern, 60)));
    format!("Allow? [y]es / [n]o / [a]lways{}", always.unwrap_or_default())
}

/// What a line means as an answer; nothing when it is none, so that the question comes again.
/// `n` may be followed by words for the agent.
pub(crate) fn read_answer(ask: &Ask, line: &str) -> Option<Answer> {
    if line.is_empty() {
        return None;
    }
    if matches!(ask.kind, AskKind::UserInput | AskKind::Unknown) {
        let picked = line.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
        let text = picked.and_then(|index| ask.choices.get(index)).map_or(line, String::as_str);
        return Some(Answer::Text { text: text.to_owned() });
    }
    answer::decision(ask.kind, line).or_else(|| {
        // A letter is a slip, and no words for whoever plans.
        let words = ask.kind == AskKind::PlanApproval && line.chars().count() > 1;
        words.then(|| Answer::Text { text: line.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(kind: AskKind, choices: &[&str]) -> Ask {
        Ask {
            ask: AskId("a1".to_owned()),
            kind,
            title: "shell: \u{1b}[2Jrm".to_owned(),
            detail: String::new(),
            choices: choices.iter().map(|choice| (*choice).to_owned()).collect(),
            always: None,
            expires_at: None,
        }
    }

    #[test]
    fn lines_become_answers() {
        let permission = ask(AskKind::Permission, &[]);
        assert_eq!(read_answer(&permission, "Y"), Some(Answer::Allow));
        assert_eq!(read_answer(&permission, "always"), Some(Answer::AllowAlways));
        assert_eq!(read_answer(&permission, "maybe"), None);
        let feedback = Some("use git".to_owned());
        assert_eq!(read_answer(&permission, "n use git"), Some(Answer::Deny { feedback }));
        assert_eq!(read_answer(&ask(AskKind::PlanApproval, &[]), "a"), None);
        let words = Answer::Text { text: "3: use sqlite".to_owned() };
        assert_eq!(read_answer(&ask(AskKind::PlanApproval, &[]), "3: use sqlite"), Some(words));
        let choice = ask(AskKind::UserInput, &["red", "blue"]);
        assert_eq!(read_answer(&choice, "2"), Some(Answer::Text { text: "blue".to_owned() }));
        assert_eq!(read_answer(&choice, "7"), Some(Answer::Text { text: "7".to_owned() }));
    }

    #[test]
    fn a_question_of_one_of_several_says_whose_it_is() {
        let asks = |path| by_name(&ask(AskKind::Permission, &[]), path).title;
        assert!(asks(Some("task-1/2")).starts_with("[task-1] shell: "));
        assert!(asks(Some("2/1")).starts_with("shell: "), "an iteration is no name");
        assert!(asks(None).starts_with("shell: "));
    }

    #[test]
    fn the_editor_is_asked_for_by_name_or_number() {
        assert!(wants_editor(&ask(AskKind::PlanApproval, &[]), "e"));
        assert!(!wants_editor(&ask(AskKind::Permission, &[]), "e"));
        let failed = ask(AskKind::UserInput, &["retry", "skip", "edit the plan, then go on"]);
        assert!(wants_editor(&failed, "3") && wants_editor(&failed, "edit"));
        assert!(!wants_editor(&failed, "retry") && !wants_editor(&failed, "editor settings"));
        assert!(!wants_editor(&ask(AskKind::UserInput, &[]), "edit the file"));
    }

    #[test]
    fn a_question_cannot_play_with_the_terminal() {
        let lines = question(&ask(AskKind::Permission, &[]));
        assert!(lines.iter().all(|line| !line.plain().contains('\u{1b}')));
    }

    #[test]
    fn a_change_that_is_asked_about_looks_as_every_change() {
        let mut write = ask(AskKind::Permission, &[]);
        write.detail = "@@ -1 +1 @@\n-old\n+\tnew\n same".to_owned();
        let lines = question(&write);
        let roles: Vec<_> = lines.iter().map(|line| line.spans[0].style.role).collect();
        let change = [Role::Hunk, Role::Removed, Role::Added, Role::Text];
        assert_eq!(roles[1..5], change);
        assert_eq!((roles.len(), lines[3].plain().as_str()), (6, "+    new"));
        let head = "\ndiff --git a/x b/x\nindex 0..1\n--- a/x\n+++ b/x\n";
        write.detail.insert_str(0, head);
        assert_eq!(question(&write), lines, "the question names the file already");
        write.detail = "-rf x".to_owned();
        assert_eq!(question(&write)[1].spans[0].style.role, Role::Text, "no change");
    }
}
