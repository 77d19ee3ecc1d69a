//! A loop that commits.

use super::*;
use crate::core::commits::{Baseline, Made, Order};
use crate::core::stored::Stored;

fn committing() -> RalphSpec {
    RalphSpec { commit: Some("copex/ralph/r".to_owned()), ..gated() }
}

fn base() -> Baseline {
    let (head, tree, on) = ("h".to_owned(), "t".to_owned(), "refs/heads/main".to_owned());
    Baseline { head, tree, on }
}

fn begun(spec: RalphSpec) -> Rig {
    let mut rig = Rig::start(spec);
    assert_eq!(rig.effects.last(), Some(&Effect::Baseline { known: None }));
    assert!(!rig.effects.contains(&Effect::Open), "the folder is looked at first");
    rig.hear(Input::Based(Ok(base())));
    rig
}

fn order(rig: &Rig) -> &Order {
    let found = rig.effects.iter().rev().find_map(|effect| match effect {
        Effect::Commit(order) => Some(&**order),
        _ => None,
    });
    found.expect("a commit")
}

fn made(commit: &str) -> Input {
    Input::Committed(Ok(Made { commit: Some(commit.to_owned()), left_out: Vec::new() }))
}

#[test]
fn each_iteration_is_committed_after_its_gates_and_before_it_is_decided() {
    let mut rig = begun(committing());
    rig.answer(KEPT);
    rig.gate(0, 0);
    assert!(!rig.effects.iter().any(|it| matches!(it, Effect::Commit(_))));
    rig.gate(1, 1);
    assert_eq!((order(&rig).tip.as_deref(), &order(&rig).base), (None, &base()));
    let message = order(&rig).message.clone();
    assert!(message.starts_with("ralph 1: the task\n\n`one` passes.\n`two` does not"), "{message}");
    assert!(message.ends_with("\n\nCopex-Run: r\nCopex-Iteration: 1\n"), "{message}");
    rig.hear(made("c1"));
    let artifact =
        Fact::Artifact { file: "copex/ralph/r c1".to_owned(), kind: "commit".to_owned() };
    assert!(rig.effects.contains(&Effect::Emit(artifact)));
    rig.answer(KEPT);
    rig.gate(0, 0);
    rig.gate(1, 0);
    assert_eq!(order(&rig).tip.as_deref(), Some("c1"));
    assert!(rig.end().is_none(), "the last iteration is committed as well");
    rig.hear(made("c2"));
    assert_eq!(rig.verdict(), &Verdict::Done);
}

#[test]
fn a_commit_that_was_under_way_is_asked_for_again_and_one_that_was_made_is_not() {
    let mut rig = begun(committing());
    rig.answer("no");
    rig.gate(0, 0);
    rig.gate(1, 0);
    let wanted = order(&rig).clone();
    let mut next = crashes::crashed(&rig, committing());
    assert_eq!(next.effects, [Effect::Commit(Box::new(wanted))]);
    next.hear(made("c1"));
    let after = crashes::crashed(&next, committing());
    assert!(!after.effects.iter().any(|it| matches!(it, Effect::Commit(_))));
}

#[test]
fn a_question_comes_after_the_commit_of_its_iteration() {
    let mut rig = begun(committing());
    rig.answer("<needs-human>Which port?</needs-human>");
    let asked = |rig: &Rig| rig.effects.contains(&Effect::Emit(Fact::Asking));
    assert!(!asked(&rig));
    let _ = order(&rig);
    rig.hear(Input::Committed(Ok(Made::default())));
    assert!(asked(&rig));
    assert!(!rig.effects.iter().any(|it| matches!(it, Effect::Gate { .. })));
}

#[test]
fn without_a_repository_the_loop_goes_on_without_commits() {
    let mut rig = Rig::start(committing());
    rig.hear(Input::Based(Err("no repository".to_owned())));
    rig.answer(KEPT);
    rig.gate(0, 0);
    rig.gate(1, 0);
    assert_eq!(rig.verdict(), &Verdict::Done);
    assert!(rig.effects.iter().any(|effect| matches!(effect,
        Effect::Emit(Fact::Warning { message, .. }) if message.contains("no repository"))));
}

#[test]
fn a_run_that_takes_the_loop_up_looks_at_the_folder_again_also_after_a_crash() {
    let mut rig = begun(committing());
    rig.answer("no");
    rig.gate(0, 0);
    rig.gate(1, 1);
    rig.hear(made("c1"));
    rig.hear(Input::Cancel);
    let mut spec = committing();
    spec.chat.run = "r2".to_owned();
    spec.commit = Some("copex/ralph/r2".to_owned());
    let known = Effect::Baseline { known: Some(base()) };
    let next = crashes::taken_up(&rig, spec.clone());
    assert_eq!(next.effects.last(), Some(&known));
    let bytes = serde_json::to_vec(&next.ralph.checkpoint()).unwrap();
    let Some(Stored::Ralph(progress)) = Stored::read(&bytes) else { panic!() };
    let mut next = Rig::of(Ralph::restored(spec, *progress));
    next.hear(Input::Recover(Tail::default()));
    assert_eq!(next.effects.last(), Some(&known));
    next.hear(Input::Based(Ok(base())));
    next.answer(KEPT);
    next.gate(0, 0);
    next.gate(1, 0);
    let order = order(&next);
    assert_eq!((order.branch.as_str(), order.tip.as_deref()), ("copex/ralph/r", Some("c1")));
}
