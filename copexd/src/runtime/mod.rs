//! The seams to the world: time, tasks, signals, the supervisor.

pub mod clock;
pub mod meter;
pub mod notify;
pub mod tasks;
