//! A council on a terminal: what each member has done, and the decision when it has ended.

use copex_tests::model::Gate;
use copex_tests::terminal::{ENTER, LEAVE, plain};

use super::*;

#[test]
fn the_screen_has_a_row_for_each_member_and_the_chair() {
    let product = Product::start();
    let gate = Gate::new();
    let held = gate.clone();
    product.model.respond(move |request| match part(request) {
        Part::Decision => usual(request).wait_before_head(&held),
        _ => usual(request),
    });
    let ctl = product.ctl().with(|launch| launch.env("NO_COLOR", "1"));
    let running = ctl.start_on_one_terminal(words(&MEMBERS[..2], ["Which?"]));
    for words in ["council · decision", "opinion ✓ review ✓", "decision ▸"] {
        running.wait_stdout(words);
    }
    gate.open();
    let shown = running.wait().expect_code(0).stdout;
    let (screen, after) = shown.rsplit_once(LEAVE).unwrap();
    assert_eq!(screen.matches(ENTER).count(), 1, "{shown}");
    let after = plain(after);
    assert!(after.contains("✓ beta-2   opinion ✓ review ✓"), "{after}");
    assert!(after.contains("Take sled."), "{after}");
}
