//! Time and chance as one argument.

/// What a decision may know of the world outside: when it is, and a throw of the dice.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moment {
    /// Unix milliseconds.
    pub now_ms: u64,
    /// Uniform in `[0, 1)`.
    pub chance: f64,
}
