use copex_proto::error::{ErrorClass, ErrorInfo};
use copex_proto::event::Ending;
use copex_proto::id::RunId;

use super::*;

const PIPE: Style = Style {
    answer: AnswerStyle::Stream,
    progress: Shown::Yes,
    summary: Shown::No,
    reasoning: Shown::No,
    notes: Shown::Yes,
    terminal: Shown::No,
    color: Shown::No,
    drawing: None,
    whole: Shown::No,
    look: None,
    asides: None,
    results: Shown::No,
};

fn delta(text: &str) -> EventBody {
    EventBody::MessageDelta { text: text.to_owned() }
}

fn message(text: &str) -> EventBody {
    EventBody::Message { text: text.to_owned() }
}

fn restarted() -> EventBody {
    EventBody::Restarted { reason: "cut off".to_owned() }
}

fn done(content: &str) -> EventBody {
    EventBody::Done(Outcome { content: content.to_owned(), ..Outcome::default() })
}

fn tool() -> EventBody {
    EventBody::ToolStart(ToolStart {
        call: "c".to_owned(),
        name: "bash".to_owned(),
        arguments: serde_json::json!({ "command": "ls\n-l" }),
    })
}

fn play(style: Style, bodies: Vec<EventBody>) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut view = Text::new(&mut out, &mut err, style);
    for (index, body) in bodies.into_iter().enumerate() {
        let seq = index as u64 + 1;
        let event = RunEvent { run: RunId::new(1, 1), seq, at: 0, path: None, body };
        view.event(&event, "").unwrap();
    }
    (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn the_answer_streams_and_ends_with_one_line_end() {
    let cases = [
        vec![delta("a "), delta("b"), message("a b"), done("a b")],
        vec![message("a b"), done("a b")],
        vec![done("a b")],
        vec![delta("a"), done("a b")],
        vec![delta("a "), message("a b\n"), done("a b\n")],
    ];
    for bodies in cases {
        let words = format!("{bodies:?}");
        assert_eq!(play(PIPE, bodies), ("a b\n".to_owned(), String::new()), "{words}");
    }
}

#[test]
fn two_answers_are_never_spliced() {
    let (out, err) =
        play(PIPE, vec![delta("The ans"), restarted(), delta("The answer"), done("The answer")]);
    assert_eq!(out, "The ans\nThe answer\n");
    assert_eq!(err, "— starting again: cut off —\n");
    let (out, _) = play(PIPE, vec![restarted(), delta("x"), done("x")]);
    assert_eq!(out, "x\n");
    let (out, _) = play(PIPE, vec![delta("one"), message("two"), done("two")]);
    assert_eq!(out, "one\ntwo\n");
}

#[test]
fn at_the_end_means_the_last_answer_alone() {
    let style = Style { answer: AnswerStyle::AtTheEnd, ..PIPE };
    let bodies =
        vec![delta("The ans"), restarted(), message("First."), delta("x"), done("The answer")];
    assert_eq!(play(style, bodies), ("The answer\n".to_owned(), String::new()));
}

#[test]
fn messages_around_tools_stand_apart() {
    let bodies = vec![
        delta("Look."),
        message("Look."),
        tool(),
        delta("Found"),
        message("Found"),
        done("Found"),
    ];
    let (out, err) = play(PIPE, bodies);
    assert_eq!(out, "Look.\nFound\n");
    assert_eq!(err, "· bash ls\n");
    let (out, _) = play(PIPE, vec![delta("Look"), tool(), delta("Found"), done("Found")]);
    assert_eq!(out, "Look\nFound\n");
}

#[test]
fn a_failure_leaves_what_was_shown_and_ends_the_line() {
    let error = ErrorInfo::new(ErrorClass::Server, "500");
    let ending = Ending { error, outcome: Outcome::default() };
    let (out, _) = play(PIPE, vec![delta("half"), EventBody::Failed(ending)]);
    assert_eq!(out, "half\n");
}

#[test]
fn a_terminal_is_not_played_with_and_a_pipe_gets_every_byte() {
    let text = "a\u{1b}[2Jb";
    assert_eq!(play(PIPE, vec![done(text)]).0, format!("{text}\n"));
    let style = Style { terminal: Shown::Yes, ..PIPE };
    assert_eq!(play(style, vec![done(text)]).0, "a[2Jb\n");
}

#[test]
fn reasoning_goes_to_stderr_when_wanted() {
    let style = Style { reasoning: Shown::Yes, ..PIPE };
    let reasoning = EventBody::ReasoningDelta { text: "hm".to_owned() };
    let bodies = vec![reasoning, delta("x"), done("x")];
    assert_eq!(play(style, bodies.clone()), ("x\n".to_owned(), "hm\n".to_owned()));
    assert_eq!(play(PIPE, bodies), ("x\n".to_owned(), String::new()));
}

#[test]
fn tools_on_a_terminal_leave_an_answer_in_a_pipe_as_it_is() {
    let look = Look { columns: Some(40), ..Look::plain(copex_proto::config::Ui::default()) };
    let style = Style { asides: Some(look), ..PIPE };
    let end = EventBody::ToolEnd(ToolEnd {
        call: "c".to_owned(),
        name: "bash".to_owned(),
        success: true,
        result: "a\nb".to_owned(),
        duration_ms: 5,
    });
    let (out, err) =
        play(style, vec![tool(), delta("one "), end.clone(), delta("two"), done("one two")]);
    assert_eq!(out, "one two\n");
    assert_eq!(err, "✓ bash  ls  5 ms\n  a\n  b\n");
    // Both on one terminal.
    let style = Style { look: Some(look), terminal: Shown::Yes, ..style };
    let (out, err) =
        play(style, vec![tool(), end, delta("# A\n\n**two**"), done("# A\n\n**two**")]);
    assert_eq!((out.as_str(), err.as_str()), ("# A\n\ntwo\n", "✓ bash  ls  5 ms\n  a\n  b\n"));
}

#[test]
fn rendered_answers_are_not_spliced_either() {
    let look = Look { columns: Some(40), ..Look::plain(copex_proto::config::Ui::default()) };
    let style = Style { look: Some(look), terminal: Shown::Yes, ..PIPE };
    let bodies = vec![
        delta("The **ans"),
        restarted(),
        delta("The answer **is"),
        done("The answer **is** x"),
    ];
    assert_eq!(play(style, bodies).0, "The\nThe answer is x\n");
    let (out, _) = play(style, vec![delta("one two"), message("three"), done("three")]);
    assert_eq!(out, "one two\nthree\n");
    let (out, _) = play(
        style,
        vec![
            delta("half of"),
            EventBody::Failed(Ending {
                error: ErrorInfo::new(ErrorClass::Server, "500"),
                outcome: Outcome::default(),
            }),
        ],
    );
    assert_eq!(out, "half of\n");
}

#[test]
fn a_change_in_a_question_has_its_colours_where_there_are_any() {
    use crate::render::theme::Depth;
    let ui = copex_proto::config::Ui::default();
    let question = [
        styled::Line::of("write: a.rs", styled::Style::BOLD),
        styled::Line::of("-old", Role::Removed),
        styled::Line::of("+new", Role::Added),
    ];
    let asked = |asides: Option<Look>| {
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let mut view = Text::new(&mut out, &mut err, Style { asides, ..PIPE });
        view.question(&question).unwrap();
        String::from_utf8(err).unwrap()
    };
    let look = Look { depth: Depth::Ansi, ..Look::plain(ui) };
    let coloured = asked(Some(look));
    assert!(
        coloured.contains("\u{1b}[31m-old\u{1b}[0m\n\u{1b}[32m+new\u{1b}[0m\n"),
        "{coloured:?}"
    );
    let mono = copex_proto::config::Ui { theme: copex_proto::config::Theme::Mono, ..ui };
    let mono = asked(Some(Look { ui: mono, ..look }));
    assert!(mono.contains("\u{1b}[2m-old\u{1b}[0m\n\u{1b}[1m+new\u{1b}[0m\n"), "{mono:?}");
    let aloud = Look { ui: copex_proto::config::Ui { screen_reader: true, ..ui }, ..look };
    let plain = "copexctl: write: a.rs\n-old\n+new\n";
    for asides in [None, Some(aloud), Some(Look::plain(ui))] {
        assert_eq!(asked(asides), plain);
    }
}

#[test]
fn what_was_said_last_is_rendered_as_any_answer() {
    let failed = EventBody::Failed(Ending {
        error: ErrorInfo::new(ErrorClass::Server, "no"),
        outcome: Outcome { content: "It **failed**:\n\n- a".to_owned(), ..Outcome::default() },
    });
    let said = |style: Style| {
        play(Style { answer: AnswerStyle::AtTheEnd, ..style }, vec![failed.clone()]).0
    };
    let look = Look { columns: Some(40), ..Look::plain(copex_proto::config::Ui::default()) };
    let rendered = Style { look: Some(look), terminal: Shown::Yes, ..PIPE };
    assert_eq!(said(rendered), "It failed:\n\n• a\n");
    let raw = Style { terminal: Shown::Yes, ..PIPE };
    assert_eq!(said(raw), "It **failed**:\n\n- a\n");
    assert_eq!(said(Style { notes: Shown::No, ..raw }), "", "--quiet");
    assert_eq!(said(PIPE), "");
}
