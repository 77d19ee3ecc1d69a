//! x
pub mod rpc;
