//! Numbers for ids that sort in the order in which they were given out, also within one
//! millisecond and when the clock goes back.

/// Bits of chance in an id.
const CHANCE_BITS: u32 = 23;

/// The most that one id is above the one before in the same millisecond: they are not
/// guessed from each other, and a thousand fit.
const STEP_MASK: u32 = 0xfff;

/// Gives them out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ids {
    last: (u64, u32),
}

impl Ids {
    /// The next one's milliseconds and chance; always above the last one's.
    pub fn next(&mut self, now_ms: u64, chance: u32) -> (u64, u32) {
        let (ms, before) = self.last;
        let above = before.saturating_add(1 + (chance & STEP_MASK));
        self.last = if now_ms > ms {
            // In the lower half: there is room above it.
            (now_ms, chance & ((1 << (CHANCE_BITS - 1)) - 1))
        } else if above < 1 << CHANCE_BITS {
            (ms, above)
        } else {
            (ms + 1, chance & STEP_MASK)
        };
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn each_is_above_the_one_before(
            draws in proptest::collection::vec((0_u64..3, any::<u32>()), 1..5_000),
        ) {
            let mut ids = Ids::default();
            let mut last = (0, 0);
            for (back, chance) in draws {
                let next = ids.next(1_000 - back, chance);
                prop_assert!(next > last && next.1 < 1 << CHANCE_BITS, "{last:?} {next:?}");
                last = next;
            }
        }
    }
}
