//! The daemon that owns Copilot sessions, resilience and durable runs.

pub mod store;
