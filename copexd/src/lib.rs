#![doc = include_str!("../ARCHITECTURE.md")]

pub mod backend;
pub mod cli;
pub mod core;
pub mod daemon;
pub mod engine;
pub mod env;
pub mod error;
pub mod pool;
pub mod rpc;
pub mod runtime;
pub mod serve;
pub mod settings;
pub mod store;
mod transfer;

pub use serve::main;
