//! What keys ask for: calls, not drawings.

use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::{Answer, AnsweredBy, EventBody};
use copex_proto::id::AskId;
use copex_proto::run::RunState;
use crossterm::event::KeyCode;
use serde_json::json;

use super::*;
use crate::tui::model::{Screen, Want};

fn rig() -> (Rig, RunId, RunId) {
    let mut rig = Rig::new();
    let (asking, working) =
        (summary(2, RunState::Asking, "asks"), summary(1, RunState::Running, "works"));
    let runs = (asking.run, working.run);
    rig.told(vec![asking, working], 1);
    rig.asks(vec![permission()]);
    rig.model.inbox.asks[0].run = runs.0;
    (rig, runs.0, runs.1)
}

fn answer(answer: Answer) -> Vec<Effect> {
    vec![Call::Answer { ask: AskId("ask-1".to_owned()), answer }.into()]
}

#[test]
fn a_question_is_answered_from_the_list_and_from_the_inbox() {
    let (mut rig, ..) = rig();
    rig.press(KeyCode::Char('a'));
    rig.types("n not on a friday");
    let deny = Answer::Deny { feedback: Some("not on a friday".to_owned()) };
    assert_eq!(rig.press(KeyCode::Enter), answer(deny));
    rig.press(KeyCode::Char('2'));
    assert_eq!(rig.press(KeyCode::Char('y')), answer(Answer::Allow));
    assert_eq!(rig.press(KeyCode::Char('A')), answer(Answer::AllowAlways));
    assert_eq!(rig.press(KeyCode::Char('n')), answer(Answer::Deny { feedback: None }));
    rig.asks(vec![choice()]);
    let blue = Answer::Text { text: "blue, as the windows".to_owned() };
    let ask = AskId("ask-2".to_owned());
    assert_eq!(rig.press(KeyCode::Char('2')), [Call::Answer { ask, answer: blue }.into()]);
}

#[test]
fn a_question_that_is_not_known_yet_is_asked_for() {
    let mut rig = Rig::new();
    rig.told(vec![summary(12, RunState::Asking, "asks")], 1);
    assert_eq!(rig.press(KeyCode::Char('a')), [Call::Asks.into()]);
    assert!(rig.model.over.is_none());
    rig.asks(vec![permission()]);
    assert!(rig.text(80, 24).contains("[y]es, [n]o"));
}

#[test]
fn a_question_that_somebody_else_answers_goes_away() {
    let (mut rig, asking, _) = rig();
    rig.press(KeyCode::Char('a'));
    assert!(rig.model.over.is_some());
    let ask = AskId("ask-1".to_owned());
    let body = EventBody::Answered { ask, answer: Answer::Allow, by: AnsweredBy::Client };
    rig.event(asking, 1, None, body);
    assert!(rig.model.over.is_none());
    assert!(rig.model.note.as_ref().unwrap().text.contains("elsewhere"));
}

#[test]
fn a_cancel_is_asked_for_twice_and_a_third_ctrl_c_leaves() {
    let (mut rig, asking, working) = rig();
    assert_eq!(rig.control('c'), []);
    assert_eq!(rig.press(KeyCode::Esc), []);
    assert!(rig.model.over.is_none());
    rig.press(KeyCode::Char('c'));
    assert_eq!(rig.press(KeyCode::Char('y')), [Call::Cancel(asking).into()]);
    rig.press(KeyCode::Down);
    rig.control('c');
    assert_eq!(rig.press(KeyCode::Enter), [Call::Cancel(working).into()]);
    rig.control('c');
    assert_eq!(rig.control('c'), [Effect::Quit]);
}

#[test]
fn runs_are_steered_resumed_and_explained() {
    let (mut rig, _, working) = rig();
    rig.press(KeyCode::Down);
    rig.press(KeyCode::Char('s'));
    assert_eq!(rig.press(KeyCode::Enter), [], "nothing was typed");
    rig.types("in French");
    let text = "in French".to_owned();
    assert_eq!(rig.press(KeyCode::Enter), [Call::Say { run: working, text }.into()]);
    assert_eq!(rig.press(KeyCode::Char('w')), [Call::Explain(working).into()]);
    assert_eq!(rig.press(KeyCode::Char('r')), [], "it is at work");
    // What its own events say counts before the list's news of it.
    let parked = EventBody::Parked { reason: "a limit".to_owned(), until: None, needs_key: None };
    rig.event(working, 2, None, parked);
    let now = Effect::from(Call::Resume { run: working, prompt: None, now: true });
    assert_eq!(rig.press(KeyCode::Char('r')), [now]);
    let mut ended = summary(1, RunState::Failed, "works");
    rig.told(vec![ended.clone()], 1);
    assert_eq!(rig.press(KeyCode::Char('s')), [], "it is over");
    rig.press(KeyCode::Char('r'));
    let resume = |prompt, now| Effect::from(Call::Resume { run: working, prompt, now });
    assert_eq!(rig.press(KeyCode::Enter), [resume(None, false)]);
    // Tasks and steps go on as they are: no words are asked for that nobody takes.
    ended.mode = Mode::Fleet;
    rig.told(vec![ended.clone()], 1);
    rig.press(KeyCode::Char('r'));
    rig.types("hurry");
    let text = rig.text(80, 24);
    assert!(text.contains("go on with what is not done") && !text.contains("hurry"), "{text}");
    assert_eq!(rig.press(KeyCode::Enter), [resume(None, false)]);
    ended.state = RunState::Parked;
    rig.told(vec![ended], 1);
    assert_eq!(rig.press(KeyCode::Char('r')), [resume(None, true)]);
}

#[test]
fn ctrl_c_leaves_where_there_is_nothing_to_cancel() {
    let (mut rig, ..) = rig();
    rig.press(KeyCode::Down);
    rig.told(vec![summary(1, RunState::Done, "works")], 1);
    assert_eq!(rig.control('c'), []);
    assert!(rig.text(80, 24).contains("Ctrl+C once more leaves"));
    assert_eq!(rig.control('c'), [Effect::Quit]);
}

#[test]
fn a_new_run_is_opened_and_a_refused_one_keeps_its_prompt() {
    let (mut rig, ..) = rig();
    rig.control('n');
    rig.types("hello");
    let effects = rig.press(KeyCode::Enter);
    let Some(Effect::Submit(draft)) = effects.first() else { panic!("{effects:?}") };
    assert_eq!(draft.prompt, "hello");
    let why = ErrorInfo::new(ErrorClass::Usage, "no");
    rig.model.update(Msg::Submitted(Err(why)));
    rig.press(KeyCode::Char('n'));
    assert!(rig.text(80, 24).contains("> hello"));
    rig.press(KeyCode::Esc);
    let run = RunId::new(NOW, 9);
    let effects = rig.model.update(Msg::Submitted(Ok(run)));
    assert_eq!(effects, [Call::Detail(run).into()]);
    assert_eq!((rig.model.screen, rig.run()), (Screen::Run, run));
    assert_eq!(rig.model.followed(), [((run, Want::Whole), 0)].into());
}

#[test]
fn what_is_followed_is_what_is_seen() {
    let (mut rig, asking, working) = rig();
    assert_eq!(rig.model.followed(), [((asking, Want::Row), 0), ((working, Want::Row), 0)].into());
    rig.event(working, 7, None, said("hi"));
    assert_eq!(
        rig.model.followed()[&(working, Want::Row)],
        7,
        "after a reconnection it goes on there"
    );
    rig.press(KeyCode::Char('4'));
    assert_eq!(rig.model.followed(), [].into());
    rig.press(KeyCode::Char('1'));
    rig.told(vec![summary(1, RunState::Done, "works")], 1);
    assert_eq!(rig.model.followed(), [((asking, Want::Row), 0)].into());
}

#[test]
fn nothing_ticks_where_nothing_moves() {
    let mut rig = Rig::new();
    rig.told(vec![summary(1, RunState::Done, "over")], 0);
    assert_eq!(rig.model.rest(), None);
    rig.told(vec![summary(2, RunState::Running, "works")], 0);
    assert!(rig.model.rest().unwrap() <= 1_000);
    rig.press(KeyCode::Char('3'));
    assert!(rig.model.rest().unwrap() > 1_000, "money is looked at again");
    rig.told(vec![summary(2, RunState::Done, "works")], 0);
    assert_eq!(rig.model.rest(), None);
    rig.model.complain("no");
    assert_eq!(rig.model.rest(), Some(8_000));
    rig.model.tick(NOW + 8_000);
    assert_eq!((rig.model.rest(), &rig.model.note), (None, &None));
}

#[test]
fn the_palette_does_what_is_found() {
    let (mut rig, ..) = rig();
    rig.press(KeyCode::Char(':'));
    rig.types("close all");
    assert_eq!(rig.press(KeyCode::Enter), [Call::ResetBreakers.into()]);
    rig.control('p');
    rig.types("zzzz");
    assert_eq!(rig.press(KeyCode::Enter), []);
    rig.control('p');
    rig.types("start daemon");
    assert_eq!(rig.press(KeyCode::Enter), [Effect::StartDaemon]);
}

#[test]
fn answers_of_another_form_are_told_and_nothing_breaks() {
    let (mut rig, ..) = rig();
    rig.replied(Call::Spend, &json!({"rows": 3}));
    assert!(rig.model.note.as_ref().unwrap().bad);
}

#[test]
fn scrolling_stays_where_it_is_while_text_comes() {
    let (mut rig, _, working) = rig();
    rig.press(KeyCode::Down);
    rig.press(KeyCode::Enter);
    let line = |n: u64| format!("line {n}\n");
    let text: String = (0..100).map(line).collect();
    rig.event(working, 1, None, EventBody::MessageDelta { text });
    assert!(rig.text(80, 24).contains("line 99"), "it follows");
    rig.press(KeyCode::PageUp);
    let before = rig.text(80, 24);
    assert!(before.contains("more ↓") && !before.contains("line 90"), "{before}");
    rig.event(working, 2, None, EventBody::MessageDelta { text: line(100) });
    let first = |text: &str| text.lines().nth(5).map(str::to_owned);
    assert_eq!(first(&rig.text(80, 24)), first(&before));
    rig.press(KeyCode::End);
    assert!(rig.text(80, 24).contains("line 100"), "it follows again");
}

#[test]
fn a_text_over_the_screen_is_scrolled_to_its_ends_and_back_at_once() {
    let mut rig = Rig::new();
    rig.press(KeyCode::Char('?'));
    let begin = rig.text(80, 24);
    rig.press(KeyCode::End);
    let end = rig.text(80, 24);
    assert!(begin.contains("all runs") && end.contains("Ctrl+J"), "{end}");
    for _ in 0..50 {
        rig.press(KeyCode::Down);
    }
    assert_eq!(rig.text(80, 24), end);
    rig.press(KeyCode::Up);
    assert_ne!(rig.text(80, 24), end, "one key is one line");
    rig.press(KeyCode::Home);
    assert_eq!(rig.text(80, 24), begin);
}

#[test]
fn a_plan_is_edited_from_the_inbox_though_its_run_was_not_opened() {
    let (mut rig, asking, _) = rig();
    let (file, kind) = ("/home/ada/plan.md".to_owned(), "plan".to_owned());
    rig.event(asking, 1, None, EventBody::Artifact { file: file.clone(), kind });
    rig.press(KeyCode::Char('2'));
    assert_eq!(rig.press(KeyCode::Char('E')), [Effect::EditPlan(file.into())]);
}

#[test]
fn a_long_output_is_read_to_its_first_line_when_it_is_opened() {
    let (mut rig, _, working) = rig();
    rig.press(KeyCode::Down);
    rig.press(KeyCode::Enter);
    let lines: Vec<String> = (0..1_000).map(|number| format!("line {number}\n")).collect();
    let output = lines.concat();
    rig.event(working, 1, None, gate("make", 0, &output));
    rig.event(working, 2, None, said("short"));
    assert!(!rig.text(80, 24).contains("line 999"), "a line of it all");
    let whole = Call::Whole(working, 1);
    assert_eq!(rig.press(KeyCode::Char('x')), [whole.clone().into()]);
    rig.text(80, 24);
    rig.press(KeyCode::Home);
    assert!(!rig.text(80, 24).contains("│ line 0\n"));
    let event = |output: &str| {
        json!({"events": [{"run": working, "seq": 1, "at": 1, "type": "gate", "command": "make",
            "exit_code": 0, "output": output, "duration_ms": 1}],
            "next_after": 1, "ended": false, "epoch": "e"})
    };
    rig.replied(whole.clone(), &event(&output));
    assert!(rig.text(80, 24).contains("│ line 0\n"));
    // Closed, it takes no more room than before; and it can be read again.
    assert_eq!(rig.press(KeyCode::Char('x')), []);
    assert_eq!(rig.press(KeyCode::Char('x')), [whole.clone().into()]);
    rig.text(80, 24);
    assert!(!rig.text(80, 24).contains("│ line 0\n"));
    // There is an end, and it is said.
    rig.replied(whole.clone(), &event(&"0123456789 ".repeat(200_000)));
    let screen = rig.text(80, 24);
    assert!(screen.contains("│ … 1 MB before this: copexctl runs logs RUN"), "{screen}");
    // An answer that comes after it was closed changes nothing.
    rig.press(KeyCode::Char('x'));
    rig.replied(whole, &event(&output));
    rig.press(KeyCode::Char('x'));
    assert!(!rig.text(80, 24).contains("│ line 0\n"));
    // What is whole is not read.
    rig.event(working, 3, None, gate("make test", 0, "one\ntwo"));
    rig.text(80, 24);
    rig.press(KeyCode::End);
    assert_eq!(rig.press(KeyCode::Char('x')), []);
    assert!(rig.text(80, 24).contains("│ two"));
}
