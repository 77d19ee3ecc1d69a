//! What the daemon has learned, and why a run waits.

use copex_proto::breaker::{
    BreakerList, BreakerState, BreakerStatus, GateStatus, LimitStatus, ResetResponse,
};
use copex_proto::explain::{Explanation, ModelStanding, Wait, WaitKind};
use copex_proto::run::RunState;

use super::events::error;
use super::{Frame, frame, run, text};

pub(super) fn all() -> Vec<Frame> {
    let breaker = BreakerStatus {
        backend: text("sdk"),
        endpoint: text("github"),
        model: text("gpt-5.4"),
        state: BreakerState::HalfOpen,
        until: Some(1_760_000_060_000),
        failures: 5,
        samples: 10,
        opened: 1,
        used_at: 1_760_000_000_000,
    };
    let limit = LimitStatus {
        endpoint: text("github"),
        model: Some(text("gpt-5.4")),
        scope: text("model"),
        until: 1_760_003_600_000,
        told: true,
        message: text("too many requests"),
    };
    let gate =
        GateStatus { endpoint: text("github"), in_use: 2, limit: 32, ceiling: 64, waiting: 1 };
    let wait = Wait {
        kind: WaitKind::Limit,
        detail: text("gpt-5.4 at github is limited for 60 min: too many requests"),
        since: Some(1_760_000_000_000),
        until: Some(1_760_003_600_000),
        unblock: text("copexctl breakers reset --model gpt-5.4"),
    };
    let standing = ModelStanding {
        model: text("gpt-5.4"),
        endpoint: text("github"),
        current: true,
        excluded: true,
        closed: Some(text("limited")),
    };
    vec![
        frame(
            "breaker.list",
            &BreakerList {
                breakers: vec![breaker],
                limits: vec![limit],
                gates: vec![gate],
                retry_budget: 30,
            },
        ),
        frame("breaker.reset", &ResetResponse { reset: 2 }),
        frame(
            "run.explain",
            &Explanation {
                run: run(),
                state: RunState::Parked,
                summary: text("it is parked"),
                waits: vec![wait],
                models: vec![standing],
                attempts: 2,
                fallbacks: 1,
                parks: 1,
                retry_budget: 30,
                error: Some(error()),
            },
        ),
    ]
}
