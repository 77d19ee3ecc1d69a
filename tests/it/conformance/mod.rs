//! One suite over every backend: what the engine may rely on, whoever runs the agent.
//!
//! `sdk` and `cli` are the real Copilot CLI in front of a scripted model; `scripted` plays
//! the same turns and panics at every call out of order. Where a backend declares that it
//! cannot do something, the suite asks that it says so when it is asked all the same.

mod cases;
mod rig;

/// Every case once per backend.
macro_rules! conforms {
    ($($case:ident)*) => {
        mod sdk { $(#[tokio::test] async fn $case() {
            super::cases::$case(&super::rig::Rig::sdk().await).await;
        })* }
        mod cli { $(#[tokio::test] async fn $case() {
            super::cases::$case(&super::rig::Rig::cli()).await;
        })* }
        mod scripted { $(#[tokio::test] async fn $case() {
            super::cases::$case(&super::rig::Rig::scripted()).await;
        })* }
    };
}

conforms! {
    a_prompt_is_answered_in_pieces_and_as_a_whole
    a_turn_ends_in_idle_and_the_next_one_remembers_it
    a_session_is_resumed_by_its_id_with_its_memory
    an_unknown_session_is_gone
    a_stopped_turn_ends_in_idle_and_the_session_stays_usable
    a_failed_model_request_has_its_class
    a_tool_that_is_allowed_runs
    a_tool_that_is_denied_does_not_run
    what_is_not_there_cannot_be_decided
    a_broken_off_turn_is_finished_or_refused_by_name
    a_closed_session_can_be_opened_again
}

#[tokio::test]
#[should_panic(expected = "a prompt was sent into a turn under way")]
async fn the_scripted_backend_panics_at_a_call_out_of_order() {
    let rig = rig::Rig::scripted();
    rig.will_hang();
    let session = rig.open_new().await;
    session.send("one").await.unwrap();
    let _never = session.send("two").await;
}
