//! The line of a log that is looked at: keys move it, and what it stands for opens there.

use super::Shown;
use super::run::{RunView, Scroll};

/// A line of the log. It stays with its block, whatever is added or opened around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot {
    /// The number of its block.
    pub(crate) block: u64,
    /// Its place in the block.
    pub(crate) line: usize,
}

impl RunView {
    /// The place of the line that is looked at among all, as they were drawn last.
    pub(crate) fn place(&self) -> Option<usize> {
        let spot = self.spot?;
        let drawn = self.drawn.borrow();
        let at = drawn.partition_point(|(block, _)| *block < spot.block);
        let before: usize = drawn[..at].iter().map(|(_, lines)| lines).sum();
        let lines = drawn.get(at).map_or(0, |(_, lines)| *lines);
        Some(before + spot.line.min(lines.saturating_sub(1)))
    }

    /// The line at this place.
    fn spot_at(&self, mut place: usize) -> Option<Spot> {
        for (block, lines) in &*self.drawn.borrow() {
            if place < *lines {
                return Some(Spot { block: *block, line: place });
            }
            place -= lines;
        }
        None
    }

    /// The first line that is seen.
    pub(super) fn top(&self) -> usize {
        let (total, rows) = self.seen.get();
        let last = total.saturating_sub(rows);
        match (self.revealed.get(), self.scroll) {
            (Some(top), _) | (None, Scroll::At(top)) => top.min(last),
            (None, Scroll::End) => last,
        }
    }

    /// The first line to draw where it would be `top`: what was opened is seen as far as it fits.
    pub(crate) fn reveal(&self, top: usize) -> usize {
        let (Some(_), Some(at), Some(spot)) = (self.revealed.get(), self.place(), self.spot) else {
            return top;
        };
        let of_it = |(block, _): &&(u64, usize)| *block == spot.block;
        let lines = self.drawn.borrow().iter().find(of_it).map_or(0, |(_, lines)| *lines);
        let top = top.max((at + lines).saturating_sub(self.seen.get().1)).min(at);
        self.revealed.set(Some(top));
        top
    }

    /// Looks at another line, so many down where that is positive; a page turns what is seen as
    /// well. Below the last line none is looked at, and what comes is followed.
    pub(crate) fn look_by(&mut self, by: isize) {
        let (total, rows) = self.seen.get();
        let page = by.unsigned_abs() > 1;
        let nowhere = if page { total.saturating_sub(1) } else { total };
        let at = self.place().unwrap_or(nowhere).saturating_add_signed(by);
        self.spot = self.spot_at(at);
        let top = self.top();
        self.revealed.set(None);
        if self.spot.is_none() {
            self.scroll = Scroll::End;
            return;
        }
        let top = if page { top.saturating_add_signed(by) } else { top };
        self.scroll = Scroll::At(top.clamp((at + 1).saturating_sub(rows), at));
    }

    /// Looks at a line that is there to be pointed at; whether it was looked at before.
    pub(crate) fn point(&mut self, spot: Spot) -> bool {
        self.scroll = Scroll::At(self.top());
        self.revealed.set(None);
        self.spot.replace(spot) == Some(spot)
    }

    /// After the wheel the line that is looked at is one that is seen.
    pub(crate) fn keep_in_sight(&mut self) {
        let Some(place) = self.place() else { return };
        if self.scroll == Scroll::End {
            self.spot = None;
            return;
        }
        let (top, rows) = (self.top(), self.seen.get().1);
        self.spot = self.spot_at(place.clamp(top, top + rows.saturating_sub(1)));
    }

    /// Opens what is looked at, or closes it; where nothing is looked at, the last thing on the
    /// screen that can be opened. Whether there was something.
    pub(crate) fn unfold(&mut self, shown: Shown) -> bool {
        let mode = self.summary.mode;
        let spot = self.spot.or_else(|| {
            let drawn = self.drawn.borrow();
            let mut left = self.seen.get().1;
            let seen = drawn.iter().rev().take_while(|(_, lines)| {
                let is = left > 0;
                left = left.saturating_sub(*lines);
                is
            });
            let gone = self.log.gone;
            let opens = |number: u64| {
                let at = usize::try_from(number.checked_sub(gone)?).ok()?;
                self.log.blocks.get(at).map(|block| block.opens(mode))
            };
            let found = seen.map(|(block, _)| *block).find(|block| opens(*block) == Some(true));
            found.map(|block| Spot { block, line: 0 })
        });
        let block = spot.and_then(|spot| self.log.block(spot.block));
        let (Some(spot), Some(block)) = (spot, block.filter(|block| block.opens(mode))) else {
            return false;
        };
        block.unfold(shown);
        let opened = block.is_open(shown);
        let top = self.top();
        self.scroll = Scroll::At(top);
        self.revealed.set(opened.then_some(top));
        self.spot = Some(Spot { line: 0, ..spot });
        true
    }
}
