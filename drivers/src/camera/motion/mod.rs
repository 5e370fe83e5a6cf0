//! Whether something moves in a part of the picture.
//!
//! Each small picture is compared with what the last second looked like. A cell has changed
//! when its brightness differs by clearly more than the picture as a whole did and than
//! its noise does; a region moves when enough of its cells have. When most of the picture
//! changes at once, somebody switched the light or bumped into the camera: that says nothing
//! about who stands where, and the regions are *unjudged* until the picture has been quiet
//! enough to judge again.
//!
//! Nobody is accused because a camera saw nothing, unless it was able to see:
//! [`Motion::Still`] means that the region was watched and nothing happened, for two seconds.
//!
//! A region is reported at most once in [`MIN_BETWEEN_NS`], whatever happens before the
//! camera: with eight regions at most four reports a second.

#[cfg(test)]
mod tests;

use super::Region;
use super::luma::Luma;

/// Regions of one camera, at most.
pub const MAX_REGIONS: usize = 8;
/// Time between two reports of the same region, at least, in nanoseconds.
pub const MIN_BETWEEN_NS: u64 = 2_000_000_000;
/// Pictures are looked at this far apart, at least, in nanoseconds.
pub const MIN_SAMPLE_NS: u64 = 190_000_000;
/// Quiet for this long, a region is still, in nanoseconds.
pub const STILL_AFTER_NS: u64 = 2_000_000_000;
/// Without a picture for this long nothing can be said, in nanoseconds.
pub const GAP_NS: u64 = 2_000_000_000;
/// After a change of the whole picture nothing is said for this long, in nanoseconds.
pub const SETTLE_NS: u64 = 1_500_000_000;

/// Brightness times this is what is reckoned with.
const FINE: i32 = 16;
/// How much of a difference the remembered picture follows at each look: 1/2, so that five
/// looks later even black has become white.
const FOLLOW: i32 = 2;
/// A cell differs when it does by this many times the picture's median deviation.
const NOISE_FACTOR: i32 = 6;
/// The whole picture changed when this many per mille of its cells did …
const WHOLE_PER_MILLE: usize = 450;
/// … or when its median brightness jumped by so much.
const WHOLE_STEP: i32 = 10;
/// A region moves after so many looks in a row.
const HITS: u8 = 2;
/// Fewer changed cells are never a motion: dust, an insect, a blinking lamp.
const MIN_CELLS: usize = 3;

/// What is said of a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Motion {
    /// Nothing can be said: no pictures, or the whole picture changes.
    Unjudged,
    /// It was watched, and nothing moved.
    Still,
    /// Something moves.
    Moving,
}

/// A region's motion, from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MotionChange {
    /// Number of the region in the order they were given.
    pub region: u8,
    /// What it does.
    pub motion: Motion,
    /// Per mille of the region's cells that changed at the last look.
    pub score: u16,
    /// When that was seen, in monotonic nanoseconds.
    pub at_ns: u64,
}

/// How sensitive it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MotionConfig {
    /// A cell differs by at least this much brightness, of 255.
    pub contrast: u8,
    /// Motion begins at this many per mille of changed cells …
    pub begin: u16,
    /// … and goes on down to this.
    pub go_on: u16,
}

impl Default for MotionConfig {
    fn default() -> Self {
        Self {
            contrast: 8,
            begin: 10,
            go_on: 4,
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct State {
    region: Region,
    score: u16,
    hits: u8,
    quiet_since: Option<u64>,
    now: Motion,
    reported: Motion,
    reported_ns: Option<u64>,
}

/// Judges the regions of one camera.
#[derive(Debug)]
pub struct MotionDetector {
    config: MotionConfig,
    regions: Vec<State>,
    columns: usize,
    /// The last second, each cell times [`FINE`].
    memory: Vec<i32>,
    /// Used again from look to look.
    scratch: Vec<i32>,
    last_ns: Option<u64>,
    unjudged_until: u64,
    whole_changes: u64,
}

impl MotionDetector {
    /// Watches `regions`; those behind the [`MAX_REGIONS`]th are ignored. All are unjudged
    /// at first, and known to be.
    pub fn new(regions: &[Region], config: MotionConfig) -> Self {
        let state = |region: &Region| State {
            region: *region,
            score: 0,
            hits: 0,
            quiet_since: None,
            now: Motion::Unjudged,
            reported: Motion::Unjudged,
            reported_ns: None,
        };
        Self {
            config,
            regions: regions.iter().take(MAX_REGIONS).map(state).collect(),
            columns: 0,
            memory: Vec::new(),
            scratch: Vec::new(),
            last_ns: None,
            unjudged_until: 0,
            whole_changes: 0,
        }
    }

    /// Whether a picture taken at `at_ns` would be looked at. Saves decoding it.
    pub fn is_due(&self, at_ns: u64) -> bool {
        self.last_ns
            .is_none_or(|last| at_ns.saturating_sub(last) >= MIN_SAMPLE_NS)
    }

    /// Looks at the picture that was taken at `at_ns`.
    pub fn observe(&mut self, luma: &Luma, at_ns: u64, report: &mut dyn FnMut(MotionChange)) {
        if !self.is_due(at_ns) {
            return;
        }
        let gap = self
            .last_ns
            .is_none_or(|last| at_ns.saturating_sub(last) > GAP_NS);
        self.last_ns = Some(at_ns);
        if gap || luma.cells().len() != self.memory.len() || luma.columns() != self.columns {
            self.remember(luma);
            self.forget_motion(at_ns);
        } else {
            self.compare(luma, at_ns);
        }
        self.report(at_ns, report);
    }

    /// Time has passed, perhaps without pictures: now it is `now_ns`.
    pub fn tick(&mut self, now_ns: u64, report: &mut dyn FnMut(MotionChange)) {
        if self
            .last_ns
            .is_none_or(|last| now_ns.saturating_sub(last) > GAP_NS)
        {
            self.forget_motion(now_ns);
        }
        self.report(now_ns, report);
    }

    /// What the region does now, reported or not.
    pub fn motion(&self, region: usize) -> Option<Motion> {
        self.regions.get(region).map(|state| state.now)
    }

    /// Per mille of the region's cells that changed at the last look.
    pub fn score(&self, region: usize) -> Option<u16> {
        self.regions.get(region).map(|state| state.score)
    }

    /// How often the whole picture changed at once.
    pub fn whole_changes(&self) -> u64 {
        self.whole_changes
    }

    fn remember(&mut self, luma: &Luma) {
        self.columns = luma.columns();
        self.memory.clear();
        self.memory
            .extend(luma.cells().iter().map(|cell| i32::from(*cell) * FINE));
    }

    fn forget_motion(&mut self, at_ns: u64) {
        self.unjudged_until = at_ns;
        for state in &mut self.regions {
            (state.now, state.hits, state.quiet_since) = (Motion::Unjudged, 0, None);
        }
    }

    fn compare(&mut self, luma: &Luma, at_ns: u64) {
        let cells = luma.cells();
        let contrast = i32::from(self.config.contrast) * FINE;
        let difference = |at: usize, memory: &[i32]| i32::from(cells[at]) * FINE - memory[at];

        let (memory, scratch) = (&mut self.memory, &mut self.scratch);
        scratch.clear();
        scratch.extend((0..cells.len()).map(|at| difference(at, memory)));
        let step = median(scratch);
        for one in scratch.iter_mut() {
            *one = (*one - step).abs();
        }
        let noise = median(scratch);
        let different = scratch.iter().filter(|one| **one >= contrast).count();
        if step.abs() >= WHOLE_STEP * FINE || different * 1000 > cells.len() * WHOLE_PER_MILLE {
            self.whole_changes += 1;
            self.remember(luma);
            self.forget_motion(at_ns + SETTLE_NS);
            return;
        }
        if at_ns >= self.unjudged_until {
            let threshold = contrast.max(NOISE_FACTOR * noise);
            for state in &mut self.regions {
                let (columns, rows) = state.region.cells(self.columns, luma.rows());
                let area = columns.len() * rows.len();
                let changed = rows
                    .flat_map(|row| columns.clone().map(move |column| (row, column)))
                    .map(|(row, column)| row * self.columns + column)
                    .filter(|at| (difference(*at, memory) - step).abs() >= threshold)
                    .count();
                state.judge(changed, area, &self.config, at_ns);
            }
        }
        for (at, memory) in memory.iter_mut().enumerate() {
            *memory += (i32::from(cells[at]) * FINE - *memory) / FOLLOW;
        }
    }

    fn report(&mut self, now_ns: u64, report: &mut dyn FnMut(MotionChange)) {
        for (number, state) in self.regions.iter_mut().enumerate() {
            let may = state
                .reported_ns
                .is_none_or(|last| now_ns.saturating_sub(last) >= MIN_BETWEEN_NS);
            if may && state.now != state.reported {
                (state.reported, state.reported_ns) = (state.now, Some(now_ns));
                report(MotionChange {
                    region: number as u8,
                    motion: state.now,
                    score: state.score,
                    at_ns: now_ns,
                });
            }
        }
    }
}

impl State {
    fn judge(&mut self, changed: usize, area: usize, config: &MotionConfig, at_ns: u64) {
        self.score = (changed * 1000 / area.max(1)) as u16;
        let enough = |per_mille| changed >= MIN_CELLS && self.score >= per_mille;
        if enough(config.begin) {
            self.hits = self.hits.saturating_add(1);
            self.quiet_since = None;
            if self.hits >= HITS {
                self.now = Motion::Moving;
            }
            return;
        }
        self.hits = 0;
        if self.now == Motion::Moving && enough(config.go_on) {
            self.quiet_since = None;
            return;
        }
        let since = *self.quiet_since.get_or_insert(at_ns);
        if at_ns.saturating_sub(since) >= STILL_AFTER_NS {
            self.now = Motion::Still;
        }
    }
}

/// The middle one by size; 0 of nothing. Changes the order.
fn median(values: &mut [i32]) -> i32 {
    let middle = values.len() / 2;
    if values.is_empty() {
        return 0;
    }
    *values.select_nth_unstable(middle).1
}
