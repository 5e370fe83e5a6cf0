//! Whether the camera sees anything at all.
//!
//! Three ways to be blind: *dark* (nothing in the picture is bright), *covered* (bright
//! enough, but without any edge: tape, a hand, paint, a bag), *frozen* (the very same
//! picture again and again; a living sensor's noise changes some byte of every picture).
//! A black lens cap and a shop without light look alike: both are dark, and whether that is
//! wrong depends on the hour, which is not known here. A dark or covered picture has little
//! noise and may repeat itself, so only one that shows something can be frozen. A camera that was
//! knocked into another direction still sees.
//!
//! A state is reported when it has lasted for [`SETTLED_NS`] (frozen: [`FROZEN_NS`]) without a
//! break, so there is at most one report in five seconds.

#[cfg(test)]
mod tests;

use super::luma::Luma;

/// A state lasts for this long before it is believed, in nanoseconds.
pub const SETTLED_NS: u64 = 5_000_000_000;
/// Pictures repeat themselves for this long before they are called frozen, in nanoseconds.
pub const FROZEN_NS: u64 = 10_000_000_000;
/// Between pictures further apart than this nothing is known, in nanoseconds.
pub const GAP_NS: u64 = 2_000_000_000;

/// A picture is dark when 98 of 100 cells are below this …
const DARK_BELOW: u8 = 40;
/// … and stays so until they reach this.
const LIGHT_FROM: u8 = 48;
/// An edge: a cell that differs by so much from the mean of its neighbours.
const EDGE: i32 = 5;
/// A picture is covered with fewer edges than this many per mille of its cells …
const COVERED_BELOW: u16 = 15;
/// … and stays so until it has this many.
const OPEN_FROM: u16 = 25;

/// What a camera shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sight {
    /// Something can be seen.
    Clear,
    /// Nothing is bright.
    Dark,
    /// No edges.
    Covered,
    /// The same picture again and again.
    Frozen,
}

/// What a picture is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// 98 of 100 cells are not brighter than this.
    pub bright: u8,
    /// Cells with an edge, per mille.
    pub edges: u16,
}

impl Look {
    /// Of one picture.
    pub fn of(luma: &Luma) -> Self {
        let cells = luma.cells();
        let mut histogram = [0_usize; 256];
        for cell in cells {
            histogram[usize::from(*cell)] += 1;
        }
        let mut left = cells.len().saturating_sub(cells.len() / 50);
        let bright = histogram.iter().position(|count| {
            left = left.saturating_sub(*count);
            left == 0
        });
        let columns = luma.columns().max(1);
        let mut edges = 0;
        let mut inner = 0;
        for row in 1..luma.rows().saturating_sub(1) {
            for column in 1..columns.saturating_sub(1) {
                let at = row * columns + column;
                let cell = |at: usize| i32::from(cells[at]);
                let around = cell(at - 1) + cell(at + 1) + cell(at - columns) + cell(at + columns);
                inner += 1;
                edges += usize::from((4 * cell(at) - around).abs() >= 4 * EDGE);
            }
        }
        Self {
            bright: bright.unwrap_or(0) as u8,
            edges: (edges * 1000 / inner.max(1)) as u16,
        }
    }
}

/// What a camera shows, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SightChange {
    /// What it shows.
    pub sight: Sight,
    /// When it began, in monotonic nanoseconds.
    pub since_ns: u64,
    /// When it was believed, in monotonic nanoseconds.
    pub at_ns: u64,
}

/// Judges one camera.
#[derive(Debug, Clone, Default)]
pub struct BlindingDetector {
    believed: Option<Sight>,
    /// What the last pictures showed, frozen or not left aside, and since when.
    seen: Option<(Sight, u64)>,
    /// The last picture's fingerprint and since when it is the same.
    same: Option<(u64, u64)>,
    last_ns: Option<u64>,
}

impl BlindingDetector {
    /// Nothing is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is believed. `None` before the first pictures have lasted long enough.
    pub fn sight(&self) -> Option<Sight> {
        self.believed
    }

    /// Looks at a picture taken at `at_ns` with its
    /// [`fingerprint`](super::jpeg::fingerprint). Returns what is believed from now on, the
    /// first belief included.
    pub fn observe(&mut self, luma: &Luma, fingerprint: u64, at_ns: u64) -> Option<SightChange> {
        let gap = self
            .last_ns
            .is_none_or(|last| at_ns.saturating_sub(last) > GAP_NS);
        self.last_ns = Some(at_ns);
        if gap {
            (self.seen, self.same) = (None, None);
        }
        let same_since = match self.same {
            Some((last, since)) if last == fingerprint => since,
            _ => at_ns,
        };
        self.same = Some((fingerprint, same_since));
        let before = self.seen.map(|(sight, _)| sight).or(self.believed);
        let open = judge(Look::of(luma), before);
        // The time of a change to or from frozen is that of the first of the same pictures.
        let frozen = open == Sight::Clear && at_ns.saturating_sub(same_since) >= FROZEN_NS;
        let (sight, began) = if frozen {
            (Sight::Frozen, same_since)
        } else {
            (open, at_ns)
        };
        let since = match self.seen {
            Some((last, since)) if last == sight => since,
            _ => began,
        };
        self.seen = Some((sight, since));
        let settled = at_ns.saturating_sub(since) >= SETTLED_NS;
        // The same picture may be the first that came: till it moves, that it is clear is no news.
        if !settled || self.believed == Some(sight) {
            return None;
        }
        self.believed = Some(sight);
        Some(SightChange {
            sight,
            since_ns: since,
            at_ns,
        })
    }
}

/// What one picture shows; `before` it was that.
fn judge(look: Look, before: Option<Sight>) -> Sight {
    let (dark, covered) = (before == Some(Sight::Dark), before == Some(Sight::Covered));
    if look.bright < if dark { LIGHT_FROM } else { DARK_BELOW } {
        Sight::Dark
    } else if look.edges < if covered { OPEN_FROM } else { COVERED_BELOW } {
        Sight::Covered
    } else {
        Sight::Clear
    }
}
