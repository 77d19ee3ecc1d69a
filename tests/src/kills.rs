//! Where a daemon is killed.

use crate::env;

/// How many kills `COPEX_KILLS` asks for.
pub fn asked() -> Option<usize> {
    env::var("COPEX_KILLS").and_then(|text| text.to_str()?.parse().ok())
}

/// Points from 1 to `most` at which to kill, in an order that looks random and is the same
/// each time: `standing` of them, or as many as `COPEX_KILLS` asks for.
pub fn points(standing: usize, most: u64) -> Vec<usize> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % most).unwrap_or(0) + 1
    };
    (0..asked().unwrap_or(standing)).map(|_| next()).collect()
}
