//! Plans are read as they were written, and refused where they cannot be understood.

use proptest::prelude::*;

use super::*;

fn step(number: u32, title: &str, depends_on: &[u32]) -> PlanStep {
    PlanStep {
        number,
        title: title.to_owned(),
        depends_on: depends_on.to_vec(),
        ..PlanStep::default()
    }
}

/// Text with everything in it that could be taken for something else.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z*`>#\\-\\[\\]():.0-9 ]{0,12}",
        Just("- [ ] 1. x".to_owned()),
        Just("- [".to_owned()),
        Just("# Plan".to_owned()),
        Just("> quoted".to_owned()),
        Just("```\ncode\n```".to_owned()),
        Just("- verify: x".to_owned()),
        Just("depends_on: 1".to_owned()),
        Just("  indented".to_owned()),
        Just("\t\r\n".to_owned()),
        Just("\u{1b}[2J é 漢 \u{a0}".to_owned()),
        any::<String>(),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.join("\n"))
}

fn a_mark() -> impl Strategy<Value = Mark> {
    prop_oneof![Just(Mark::Open), Just(Mark::Done), Just(Mark::Failed), Just(Mark::Skipped)]
}

prop_compose! {
    fn a_step(number: u32)(
        title in text(),
        detail in text(),
        verify in prop::collection::vec("[ -~]{0,20}", 0..3),
        depends in prop::collection::vec(1..=number, 0..3),
        mark in a_mark(),
    ) -> PlanStep {
        let depends_on = depends.into_iter().filter(|it| *it < number).collect();
        PlanStep { number, title: format!("t {title}"), detail, depends_on, verify, mark }
    }
}

fn a_plan() -> impl Strategy<Value = Plan> {
    let steps = (1..6_u32).prop_flat_map(|count| (1..=count).map(a_step).collect::<Vec<_>>());
    (text(), steps).prop_map(|(task, steps)| Plan::new(&task, steps).unwrap())
}

proptest! {
    #[test]
    fn a_plan_is_read_as_it_was_written(plan in a_plan()) {
        let text = plan.print();
        prop_assert_eq!(Plan::read(&text), Ok(plan), "{}", text);
    }

    #[test]
    fn a_box_is_ticked_and_nothing_else_changes(plan in a_plan(), mark in a_mark(), at in 0..6_usize) {
        let at = at % plan.steps.len();
        let number = plan.steps[at].number;
        let text = super::mark(&plan.print(), number, mark).unwrap();
        let mut wanted = plan;
        wanted.steps[at].mark = mark;
        prop_assert_eq!(text, wanted.print());
    }

    #[test]
    fn no_text_is_too_much(text in text()) {
        let _ = Plan::read(&text);
        let _ = Plan::from_answer("task", &text);
        let _ = Plan::from_python(&text);
    }
}

#[test]
fn what_a_person_types_is_understood() {
    let text = "\
# My plan\r
some words\r

* [X] 1) Set up
  verify: cargo build
  needs: none

- [ ] A step without a number
  - depends on: [1]
  - verify: `cargo test`
  - verify: cargo clippy
  Straight under it.
no indent here

- [-] **7.   Last**
";
    let plan = Plan::read(text).unwrap();
    assert_eq!(plan.task, "some words");
    let [one, two, last] = plan.steps.as_slice() else { panic!("{plan:?}") };
    assert_eq!((one.number, one.title.as_str(), one.mark), (1, "Set up", Mark::Done));
    assert_eq!(one.verify, ["cargo build"]);
    assert_eq!((two.number, two.depends_on.as_slice()), (2, &[1][..]));
    assert_eq!(two.verify, ["cargo test", "cargo clippy"]);
    assert_eq!(two.detail, "Straight under it.\nno indent here");
    assert_eq!((last.number, last.title.as_str(), last.mark), (7, "Last", Mark::Skipped));
    let ticked = mark_of(text, 2, Mark::Done);
    assert_eq!(ticked, text.replace("- [ ] A step", "- [x] A step"), "endings stay as they are");
}

fn mark_of(text: &str, number: u32, sign: Mark) -> String {
    super::mark(text, number, sign).unwrap()
}

#[test]
fn a_broken_edit_is_refused_with_its_line() {
    let wrong = |text: &str| Plan::read(text).unwrap_err().to_string();
    assert!(wrong("# Plan\n\nwords").contains("no step"));
    assert!(wrong("- [] 1. a").starts_with("line 1: the box is empty"));
    assert!(wrong("# Plan\n\n- [y] 1. a").starts_with("line 3: `[y]` is no box"));
    assert!(wrong("- [ ] 1. a\n- [ ] 1. b").starts_with("line 2: there is another step 1"));
    assert!(wrong("- [ ] 1. a\n  depends_on: x").starts_with("line 2: `x` is not"));
    assert!(wrong("- [ ] 1. a\n  depends_on: 4").contains("step 4, which is not there"));
    assert!(wrong("- [ ] 1. a\n  verify:").starts_with("line 2: verify has no command"));
    assert!(wrong("\n- [ ] 1.").starts_with("line 2: the step has no title"));
    assert!(wrong("- [ ] 0. a").contains("number 0"));
    assert!(wrong("- [ ] 99999999999. a").contains("too big"));
    let circle = "- [ ] 1. a\n  needs: 3\n- [ ] 2. b\n- [ ] 3. c\n  needs: 2, 1";
    assert_eq!(wrong(circle), "line 1: steps depend on each other in a circle: 1 → 3 → 1");
}

#[test]
fn a_models_answer_is_read_strictly() {
    let answer = "Here it is:\n```json\n{\"steps\": [{\"title\": \"Set up\", \"verify\": \"ls\"}, \
                  {\"title\": \"Go on\", \"detail\": \"so\\nand so\", \"depends_on\": [1], \
                  \"verify\": [\"a\", \"b\"]}]}\n```\nGood luck.";
    let plan = Plan::from_answer("go", answer).unwrap();
    assert_eq!(plan.task, "go");
    assert_eq!(plan.steps[0].verify, ["ls"]);
    assert_eq!((plan.steps[1].number, plan.steps[1].detail.as_str()), (2, "so\nand so"));
    let bare = answer.replace("```json", "").replace("```", "");
    assert_eq!(Plan::from_answer("go", &bare), Ok(plan));
    let wrong = |text: &str| Plan::from_answer("go", text).unwrap_err().reason;
    assert!(wrong("I will do it.").contains("no JSON object"));
    assert!(wrong("{\"steps\": [{\"titel\": \"a\"}]}").contains("unknown field `titel`"));
    assert!(wrong("{\"steps\": []}").contains("no step"));
    assert!(wrong("{\"steps\": [{\"title\": \"a\", \"depends_on\": [1]}]}").contains("itself"));
}

#[test]
fn lines_of_python_copex_are_steps_that_follow_each_other() {
    let answer = "Sure!\nSTEP 1: Set up\n**Step 2:** Add routes\nwith care\n- step 3. Test\n";
    let plan = Plan::from_answer("go", answer).unwrap();
    let told: Vec<_> =
        plan.steps.iter().map(|it| (it.number, it.title.as_str(), it.depends_on.clone())).collect();
    let wanted = [(1, "Set up", vec![]), (2, "Add routes", vec![1]), (3, "Test", vec![2])];
    assert_eq!(told, wanted);
    assert_eq!(plan.steps[1].detail, "with care");
}

#[test]
fn a_plan_that_python_copex_saved_goes_on() {
    let json = r#"{"task": "go", "created_at": "x", "total_tokens": 0, "steps": [
        {"number": 1, "description": "a", "status": "completed", "result": "ok"},
        {"number": 2, "description": "b", "status": "running", "depends_on": []}]}"#;
    let plan = Plan::from_python(json).unwrap();
    assert_eq!((plan.steps[0].mark, plan.steps[1].mark), (Mark::Done, Mark::Open));
    assert_eq!(plan.steps[1].depends_on, [1]);
    assert_eq!(Plan::from_python("{\n]").unwrap_err().line, Some(2));
}

#[test]
fn waves_are_what_may_be_done_side_by_side() {
    let steps = [step(1, "a", &[]), step(2, "b", &[1]), step(3, "c", &[1]), step(4, "d", &[2, 3])];
    assert_eq!(waves(&steps), [vec![1], vec![2, 3], vec![4]]);
}

#[test]
fn pictures_show_steps_marks_and_what_they_need() {
    let mut steps = vec![step(1, "Set \"up\"", &[]), step(2, "b", &[1])];
    steps[0].mark = Mark::Done;
    steps[1].verify = vec!["cargo test".to_owned()];
    let plan = Plan::new("go", steps).unwrap();
    let ascii = "\
+-----------------+
| [x] 1. Set \"up\" |
+-----------------+
       |
       v
+--------------------+
| [ ] 2. b (after 1) |
+--------------------+
";
    assert_eq!(plan.draw(Drawing::Ascii), ascii);
    let tree = "\
go
├─ [x] 1. Set \"up\"
└─ [ ] 2. b (after 1)
     └─ verify: cargo test
";
    assert_eq!(plan.draw(Drawing::Tree), tree);
    let mermaid = plan.draw(Drawing::Mermaid);
    assert!(mermaid.starts_with("graph TD\n    S1[\"1. Set 'up'\"]:::done\n"), "{mermaid}");
    assert!(mermaid.contains("    S1 --> S2\n"));
    let dot = plan.draw(Drawing::Dot);
    assert!(dot.starts_with("digraph plan {") && dot.contains("    1 -> 2;\n"), "{dot}");
    assert!("circle".parse::<Drawing>().is_err());
}
