//! What belongs to the house and to no run: money, runtimes, breakers.

use std::cell::Cell;

use copex_proto::breaker::BreakerList;
use copex_proto::health::{DaemonStatus, PoolStatus};
use copex_proto::spend::SpendReport;

/// What the daemon told of itself, each part once it was asked.
#[derive(Debug, Default)]
pub(crate) struct House {
    /// What was spent.
    pub(crate) spend: Option<SpendReport>,
    /// The runtimes.
    pub(crate) pool: Option<PoolStatus>,
    /// Breakers, limits and queues.
    pub(crate) breakers: Option<BreakerList>,
    /// The daemon.
    pub(crate) status: Option<DaemonStatus>,
    /// The first line that is shown.
    pub(crate) top: usize,
    /// As many lines above it as there can be, as it was drawn last.
    pub(crate) last: Cell<usize>,
}
