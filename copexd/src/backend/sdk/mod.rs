//! The Copilot SDK adapter: a `copilot-runtime` that we start and supervise ourselves,
//! spoken to through the official crate over its standard streams.
//!
//! Invariant: classification happens here and only here ([`classify`]), and events that
//! the CLI delivers twice leave this module once ([`convert`]).

mod account;
pub mod classify;
pub mod convert;
pub mod demo;
pub mod mcp;
pub mod options;
pub mod probe;
pub mod runtime;
pub mod seam;
pub mod session;
mod sessions;
pub mod transcript;

pub use runtime::Runtime;
