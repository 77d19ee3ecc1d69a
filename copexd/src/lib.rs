//! The daemon that owns Copilot sessions, resilience and durable runs.

pub mod backend;
pub mod core;
pub mod engine;
pub mod pool;
pub mod rpc;
pub mod runtime;
pub mod store;
